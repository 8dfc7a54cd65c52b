//! Slots come and go while their queries run: tasks begin where a slot comes, and end where one goes. What does not move does not
//! stop.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use super::query_handle::{QueryFailure, QueryHandle, QueryState};
use super::restorers::Job;
use super::seat::{Seat, Taken, is_free};
use super::slots::SlotSet;
use super::start::{Prepared, Readers, StartError, StartQuery};
use super::task_runner::Task;
use super::worker::{Message, panic_text};
use super::{RunningQuery, Runtime};
use crate::log::{LogError, PartitionId, TopicId};
use crate::state::StoreReader;

/// A place for a task in a query: its sub-topology, in the order of the plan, and the partition.
pub(super) type Place = (usize, PartitionId);

/// The ids of a query's changelogs.
pub(super) type TopicIds = BTreeMap<String, TopicId>;

/// How slots are let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetGo {
    /// Behind a last commit, so that whoever comes next has nothing to do again.
    Committed,
    /// At once, and nothing is committed: somebody else may have them already.
    AsItStands,
}

/// The seats of a query, and its own ends of them.
pub(super) type Seats = (Vec<(Place, Seat)>, BTreeMap<Place, Taken>);

/// Tasks that are being made for a query that runs.
struct Filling {
    handle: Arc<QueryHandle>,
    start: Arc<StartQuery>,
    /// Its sub-topologies, in the order of the plan; those that get no task are not there.
    prepared: Vec<Option<Prepared>>,
}

/// A query whose tasks are to be made, their seats, and the ids of its changelogs.
type Missing = (Filling, Vec<(Place, Seat)>, TopicIds);

impl Runtime {
    /// The slots whose tasks run here.
    pub fn slots(&self) -> SlotSet {
        self.held.read().clone()
    }

    /// A seat for a query's task of a partition, where its slot is among those. `None`: of a push query, which runs where it is asked.
    pub(super) fn seat(
        &self,
        query: &str,
        partition: PartitionId,
        held: Option<&SlotSet>,
        lease: &Sender<Infallible>,
    ) -> Option<(Seat, Taken)> {
        let slot = held.map(|_| self.config.slots.of(query, partition));
        let is_elsewhere = slot.zip(held).is_some_and(|(slot, held)| !held.contains(&slot));
        (!is_elsewhere).then(|| Seat::new(slot, lease))
    }

    /// The seats of a query that starts: of each partition whose slot is among those.
    pub(super) fn seats(
        &self,
        query: &str,
        partitions: impl Iterator<Item = u32>,
        held: Option<&SlotSet>,
        lease: &Sender<Infallible>,
    ) -> Seats {
        let (mut seats, mut taken) = (Vec::new(), BTreeMap::new());
        for (index, count) in partitions.enumerate() {
            for partition in 0..PartitionId::try_from(count).unwrap_or(PartitionId::MAX) {
                let Some((seat, known)) = self.seat(query, partition, held, lease) else { continue };
                seats.push(((index, partition), seat));
                taken.insert((index, partition), known);
            }
        }
        (seats, taken)
    }

    /// Runs the tasks of more slots from now on, of all queries.
    #[cfg(test)]
    pub(super) fn take_slots(self: &Arc<Self>, slots: &SlotSet, servers: BTreeSet<String>) -> Result<(), StartError> {
        self.succeed(servers)?;
        self.hold(slots);
        self.fill_seats();
        Ok(())
    }

    /// Learns what others have left of tasks that are about to come here, behind the end of the transactions of those that do not run
    /// any more. `servers`: those that do.
    ///
    /// # Errors
    /// The log is away: nothing may be taken.
    pub fn succeed(&self, servers: BTreeSet<String>) -> Result<(), LogError> {
        if self.parts.log.is_atomic() {
            return Ok(());
        }
        let begins_again = self.has_lost_ids();
        // Nor may a worker take its ids anew behind that, while it lets go.
        if begins_again && !(self.held.read().is_empty() && self.are_free(&self.config.slots.all())) {
            return Err(LogError::Retriable("others have taken this server for gone: first it lets go of everything".into()));
        }
        self.marks.set_peers(servers);
        let writers = self.marks.succeed(&*self.parts.log, begins_again)?;
        self.hand_out(writers);
        Ok(())
    }

    /// The tasks of these slots are to run here from now on; [`Self::fill_seats`] makes them. Nobody else may run them: who had them
    /// has let go of them, or its transactions have ended.
    pub fn hold(&self, slots: &SlotSet) {
        self.held.write().extend(slots);
        self.leave_standby(slots);
    }

    /// These servers run the service now, this one included.
    pub fn set_servers(&self, servers: BTreeSet<String>) {
        self.marks.set_peers(servers);
    }

    /// Whether another server has ended this one's transactions: nothing of what it runs is sure to be its own.
    pub fn has_lost_ids(&self) -> bool {
        self.marks.has_lost_ids()
    }

    /// Makes the tasks that are missing in queries that run. Those whose state has to be restored for long begin when it is. Where one
    /// can't be made, [`Self::has_empty_seats`] says so afterwards.
    pub fn fill_seats(self: &Arc<Self>) {
        let queries: Vec<Arc<str>> = self.queries.lock().keys().cloned().collect();
        self.has_empty_seats.store(false, Ordering::Release);
        self.standbys.await_gone();
        for query in queries {
            if let Err(error) = self.fill(&query) {
                tracing::warn!(%query, %error, "tasks that came to this server can't begin yet; trying again");
                self.has_empty_seats.store(true, Ordering::Release);
            }
        }
    }

    /// Whether tasks could not be made that are to run here.
    pub fn has_empty_seats(&self) -> bool {
        self.has_empty_seats.load(Ordering::Acquire)
    }

    /// Whether the last task of slots that were let go of is gone: until then nobody else may have them.
    pub fn are_free(&self, slots: &SlotSet) -> bool {
        #[cfg(test)]
        if super::planted::is(super::planted::Defect::KeptTasks) {
            return true;
        }
        let queries = self.queries.lock();
        let leaving =
            queries.iter().flat_map(|(query, running)| running.leaving.iter().map(move |((_, partition), gone)| (query, *partition, gone)));
        let mut busy =
            leaving.filter(|(query, partition, gone)| !is_free(gone) && slots.contains(&self.config.slots.of(query, *partition)));
        // Nor those of queries that were told to end meanwhile.
        busy.next().is_none() && self.ending.lock().values().all(is_free)
    }

    /// Lets go of slots, without waiting: see [`Self::are_free`].
    pub fn release_slots(&self, slots: &SlotSet, how: LetGo) {
        #[cfg(test)]
        if super::planted::is(super::planted::Defect::KeptTasks) && !slots.is_empty() && self.tasks() > 0 {
            return self.held.write().retain(|slot| !slots.contains(slot));
        }
        let mut held = self.held.write();
        held.retain(|slot| !slots.contains(slot));
        for query in self.queries.lock().values_mut() {
            query.leaving.retain(|_, gone| !is_free(gone));
            let goes = |taken: &Taken| taken.slot().is_some_and(|slot| slots.contains(&slot));
            let (going, stay): (BTreeMap<Place, Taken>, _) =
                std::mem::take(&mut query.seats).into_iter().partition(|(_, taken)| goes(taken));
            query.seats = stay;
            for (place, taken) in going {
                query.forget_readers(place);
                query.leaving.insert(place, taken.give_up());
            }
        }
        // Behind what was sent to the workers under the lock.
        let slots = Arc::new(slots.clone());
        self.broadcast(|_| Message::Release { slots: slots.clone(), how });
    }

    /// Makes the tasks of one query that are missing.
    fn fill(self: &Arc<Self>, query: &Arc<str>) -> Result<(), StartError> {
        // No slot goes meanwhile, but for what is restored in the background.
        let held = self.held.read();
        let Some((filling, seats, ids)) = self.missing(query, &held)? else { return Ok(()) };
        let replays = self.replays(&filling.start, &filling.handle)?;
        let wanted: BTreeSet<usize> = seats.iter().map(|((index, _), _)| *index).collect();
        let mut prepared = Vec::new();
        for (index, spec) in super::start::specs(&filling.start, replays.as_ref())?.into_iter().enumerate() {
            let mut own = wanted.contains(&index).then(|| self.prepare(query, spec, false, replays.as_ref())).transpose()?;
            own.iter_mut().for_each(|own| own.ids.clone_from(&ids));
            prepared.push(own);
        }
        let filling = Filling { prepared, ..filling };
        if let Some(records) =
            self.backlog(query, seats.iter().filter_map(|((sub, partition), _)| Some((filling.prepared.get(*sub)?.as_ref()?, *partition))))?
        {
            return self.fill_later(filling, seats, records);
        }
        let mut made = Vec::new();
        for (place, seat) in &seats {
            made.push(self.make_one(&filling, *place, seat)?);
        }
        self.seat_tasks(&filling, made)
    }

    /// A query's seats that nobody has, and that somebody should. They are taken; where they are dropped without a task, they are
    /// free again.
    fn missing(&self, query: &Arc<str>, held: &SlotSet) -> Result<Option<Missing>, StartError> {
        let mut queries = self.queries.lock();
        let Some(running) = queries.get_mut(query).filter(|running| !running.handle.has_ended()) else { return Ok(None) };
        if running.start.collector.is_some() {
            return Ok(None);
        }
        // What could not be made is tried again.
        running.seats.retain(|_, taken| !taken.is_free());
        running.leaving.retain(|_, gone| !is_free(gone));
        let mut seats = Vec::new();
        for (index, sub) in running.running.iter().enumerate() {
            for partition in 0..PartitionId::try_from(sub.partitions).unwrap_or(PartitionId::MAX) {
                let place = (index, partition);
                if running.seats.contains_key(&place) {
                    continue;
                }
                let Some(seat) = self.seat(query, partition, Some(held), &running.lease) else { continue };
                if running.leaving.contains_key(&place) || self.standbys.has(query, place) {
                    return Err(StartError::StillEnding(query.to_string()));
                }
                seats.push((place, seat));
            }
        }
        if seats.is_empty() {
            return Ok(None);
        }
        let seats = seats.into_iter().map(|(place, (seat, taken))| {
            running.seats.insert(place, taken);
            (place, seat)
        });
        let seats = seats.collect();
        let filling = Filling { handle: running.handle.clone(), start: running.start.clone(), prepared: Vec::new() };
        Ok(Some((filling, seats, running.ids.clone())))
    }

    fn make_one(&self, filling: &Filling, (index, partition): Place, seat: &Seat) -> Result<(Place, u64, Task, Readers), StartError> {
        let Some(sub) = filling.prepared.get(index).and_then(Option::as_ref) else { return Err(StartError::CalledOff) };
        let mut readers = Readers::default();
        // It has run, wherever that was: partitions of which nothing is known came since.
        let start = StartQuery { ran_before: true, made_anew: BTreeSet::new(), ..(*filling.start).clone() };
        let (key, task) = self.make_task(&start, &filling.handle, sub, partition, seat, &mut readers)?;
        Ok(((index, partition), key, task, readers))
    }

    /// Writes down whose the tasks are, and lets them begin.
    fn seat_tasks(&self, filling: &Filling, mut made: Vec<(Place, u64, Task, Readers)>) -> Result<(), StartError> {
        self.declare_beginnings(&filling.start, made.iter_mut().map(|(_, key, task, _)| (*key, task)))?;
        let mut queries = self.queries.lock();
        let query = queries.get_mut(&filling.handle.id).filter(|query| Arc::ptr_eq(&query.handle, &filling.handle));
        let Some(query) = query else { return Ok(()) };
        for (place, key, task, readers) in made {
            if !query.seats.contains_key(&place) || task.seat.is_given_up() {
                continue;
            }
            query.add_readers(readers);
            let _ = self.worker_of(key).send(Message::Add(key, Box::new(task)));
        }
        Ok(())
    }

    /// Restores the tasks in the background; each begins when it is whole.
    fn fill_later(self: &Arc<Self>, filling: Filling, seats: Vec<(Place, Seat)>, records: u64) -> Result<(), StartError> {
        let query = filling.handle.id.clone();
        tracing::info!(%query, records, tasks = seats.len(), "restoring the state of tasks that came to this server in the background");
        let filling = Arc::new(filling);
        let job = |(place, seat): (Place, Seat)| {
            let (runtime, filling) = (Arc::downgrade(self), filling.clone());
            let work = move || {
                let Some(runtime) = runtime.upgrade() else { return };
                let handle = &filling.handle;
                if handle.has_ended() || runtime.is_ending.load(Ordering::Acquire) || seat.is_given_up() {
                    return;
                }
                let made = || runtime.make_one(&filling, place, &seat).and_then(|made| runtime.seat_tasks(&filling, vec![made]));
                match catch_unwind(AssertUnwindSafe(made)) {
                    Ok(Ok(()) | Err(StartError::CalledOff)) => {}
                    // The seat is free again: whoever fills seats tries once more.
                    Ok(Err(error)) => {
                        tracing::warn!(query = %handle.id, %error, "a task that came to this server can't begin yet; trying again");
                        runtime.has_empty_seats.store(true, Ordering::Release);
                    }
                    Err(panic) => {
                        let failure = QueryFailure::lasting(format!("internal error: {}", panic_text(&*panic)));
                        tracing::error!(query = %handle.id, reason = failure.reason, "a task that came to this server can't begin");
                        handle.set_state(QueryState::Failed(failure));
                    }
                }
            };
            Job { query: query.clone(), records, work: Box::new(work) }
        };
        let jobs = seats.into_iter().map(job).collect();
        self.restorers.submit(jobs).map_err(|error| StartError::NoThread(error.to_string()))
    }
}

impl RunningQuery {
    /// Whether its state is nowhere yet, or not any more.
    pub(super) fn is_without_state(&self) -> bool {
        self.handle.restoring().is_some() || self.stores.is_empty() && self.handle.has_ended()
    }

    /// Of each partition one reader a store, in the order of `stores`; of one that is not here nothing. Empty where it lacks a store.
    pub(super) fn readers(&self, stores: &[String]) -> Vec<Vec<StoreReader>> {
        let count = |name: &String| {
            let has = |sub: &&super::growth::Running| sub.spec.stores.iter().any(|store| *store.name == **name);
            self.running.iter().find(has).map(|sub| sub.partitions)
        };
        let Some(counts) = stores.iter().map(count).collect::<Option<Vec<_>>>() else { return Vec::new() };
        let here: Vec<_> = stores.iter().map(|name| self.stores.get(name.as_str())).collect();
        let of_partition =
            |partition| here.iter().map(|own| own.as_ref()?.get(&partition).cloned()).collect::<Option<Vec<_>>>().unwrap_or_default();
        let count = PartitionId::try_from(counts.into_iter().min().unwrap_or(0)).unwrap_or(PartitionId::MAX);
        (0..count).map(of_partition).collect()
    }

    pub(super) fn add_readers(&mut self, readers: Readers) {
        for (store, own) in readers {
            self.stores.entry(store).or_default().extend(own);
        }
    }

    /// Nobody reads a task's stores here any more.
    fn forget_readers(&mut self, (index, partition): Place) {
        let stores = self.running.get(index).into_iter().flat_map(|running| &running.spec.stores);
        for store in stores {
            if let Some(readers) = self.stores.get_mut(&store.name) {
                readers.remove(&partition);
            }
        }
    }
}
