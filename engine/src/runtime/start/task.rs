//! Making a task: its stores, restored, its operators, and where it reads on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::changelog::Changelog;
use super::super::ends::CommitPlace;
use super::super::epoch::{OwnedChangelog, Owner};
use super::super::input::Input;
use super::super::pen::Guarantee;
use super::super::query_handle::QueryHandle;
use super::super::restore::tombstones::Begun;
use super::super::restore::{self, Positions, RestoredChangelog, Subject, Watch};
use super::super::seat::Seat;
use super::super::task_runner::{FIRST_LOOK, SourceReads, Task, TaskId};
use super::super::worker::Message;
use super::super::{Runtime, refill};
use super::prepare::{Prepared, lanes};
use super::{Readers, StartError, StartQuery};
use crate::log::{GroupOffsets, Offset, PartitionId, Subscription, TopicPartition};
use crate::operators::{self, BuildEnv, Origins, Sharing};
use crate::pace::Pace;
use crate::points::{self, Point};
use crate::state::{StateBatch, StateDb, StoreKey};
use crate::task::TaskContext;

impl Runtime {
    pub(in crate::runtime) fn make_task(
        &self,
        start: &StartQuery,
        handle: &Arc<QueryHandle>,
        sub: &Prepared,
        partition: PartitionId,
        seat: &Seat,
        readers: &mut Readers,
    ) -> Result<(u64, Task), StartError> {
        let ephemeral = start.collector.is_some();
        let mut stores = Vec::with_capacity(sub.spec.stores.len());
        let mut topics = Vec::with_capacity(stores.capacity());
        // What a push query keeps is gone with it.
        let state = if ephemeral { StateDb::in_memory() } else { self.parts.state.clone() };
        for (spec, changelog) in sub.spec.stores.iter().zip(&sub.changelogs) {
            let key = StoreKey { query: handle.id.clone(), store: spec.name.clone(), partition };
            stores.push(state.open_store(&key, spec)?);
            topics.push(changelog.as_ref().map(|(topic, _)| TopicPartition { topic: topic.as_str().into(), partition }));
        }
        let mut positions = state.positions(&handle.id)?;
        let mut batch = StateBatch::default();
        let place = CommitPlace::new(sub.spec.id, partition);
        // Of a task that has committed, the state is whole without a changelog that was made anew.
        let is_refilled = place.read(&positions).is_some() && topics.iter().flatten().any(|topic| sub.refill.contains(&*topic.topic));
        if is_refilled {
            positions.extend(topics.iter().flatten().map(|topic| (topic.clone(), Offset(0))));
        }
        let (progress, entries, places) = (&handle.restore, &self.restored_entries, Some(&self.restore_places));
        let watch = Watch { handle, is_ending: &self.is_ending, seat, progress, entries, places };
        let owner = if ephemeral { None } else { self.marks.owner(&handle.id, (sub.spec.id, partition)) };
        let lives = |topic: &Option<TopicPartition>| {
            let owned = owner.as_ref().zip(topic.as_ref()).filter(|(_, topic)| !sub.refill.contains(&*topic.topic));
            owned.map(|(owner, topic)| owner.lives(&topic.topic, sub.ids.get(&*topic.topic).copied())).unwrap_or_default()
        };
        let lives = topics.iter().map(lives).collect();
        let (begun, now_ms) = (Begun::new(sub.spec.id, partition), self.parts.clock.now_ms());
        let subject =
            Subject { changelogs: &topics, lives, owner: owner.as_ref(), positions: &positions, place: &place, begun: &begun, now_ms };
        let restored = restore::restore(&*self.parts.log, &state, &mut stores, subject, &mut batch, &watch)?;
        let has_changelogs = topics.iter().any(Option::is_some);
        let restored_number = restored.number();
        let epoch = if has_changelogs { self.marks.epoch_from(&*self.parts.log, restored.epoch)? } else { self.marks.epoch() };
        let mut changelogs = Vec::with_capacity(stores.len());
        let mut lives = Vec::with_capacity(stores.len());
        for (((store, topic), changelog), restored) in stores.iter_mut().zip(topics).zip(&sub.changelogs).zip(restored.changelogs) {
            readers.entry(store.key().store.clone()).or_default().insert(partition, store.reader());
            changelogs.push(match (topic, changelog, restored) {
                (Some(topic), Some((_, topic_handle)), Some(RestoredChangelog { end, owed, head, lives: known, included: _ })) => {
                    lives.push((topic.topic.clone(), known));
                    let changelog = Changelog::new(topic, *topic_handle, epoch, end, owed, head);
                    changelog.settle_debts(store)?;
                    Some(changelog)
                }
                _ => None,
            });
        }
        let env = BuildEnv {
            query_id: handle.id.clone(),
            topics: sub.sinks.clone(),
            collector: start.collector.clone(),
            registry: self.parts.registry.clone(),
            sharing: start.collector.is_some().then(|| Sharing { readings: self.readings.clone(), partition }),
        };
        let mut graph = operators::build(&start.plan, &sub.spec, &env)?;
        let lanes = lanes(sub, partition);
        let group: Option<Arc<str>> = (!ephemeral).then(|| self.group(&handle.id).into());
        // Without a changelog the marks stand in the service's topic; without marks, its group says how far it was.
        let marked = if has_changelogs || ephemeral { None } else { self.marks.of(&handle.id, sub.spec.id, partition) };
        let (included, number) = match marked {
            Some(marked) => (marked.inputs.into_iter().collect(), marked.commit.number),
            None if has_changelogs => (restored.inputs, restored_number),
            None => (Positions::new(), 0),
        };
        let (offsets, is_new) = self.start_offsets(sub, &lanes, start, &included, number > 0)?;
        let is_new = is_new && group.is_some();
        let key = self.next_task_key();
        let mut origins = Origins::default();
        if !ephemeral && !self.parts.log.is_atomic() {
            origins = Origins::new(partition, self.session(key), included.iter());
            origins.keep_topics(|topic| lanes.iter().any(|(lane, _)| *lane.topic == *topic));
            if start.guarantee == Guarantee::ExactlyOnce {
                origins = origins.reads_only();
            }
            origins.begin_again(number, included.iter());
            let anew = lanes.iter().enumerate().filter(|(_, (lane, _))| start.made_anew.contains(&*lane.topic));
            anew.for_each(|(lane, _)| origins.begin_anew(lane));
            if self.parts.log.gaps() > 0 {
                origins.begin_all_anew(lanes.len());
            }
        }
        if is_refilled {
            let lanes = lanes.iter().map(|(lane, _)| lane.clone()).zip(offsets.iter().copied());
            let inputs: GroupOffsets = lanes.chain(origins.positions()).chain(origins.beginnings(number)).collect();
            refill::refill(&*self.parts.log, &mut stores, &mut changelogs, number, &inputs, self.parts.clock.now_ms())?;
            for changelog in changelogs.iter().flatten() {
                batch.set_position(&state, &handle.id, &changelog.partition, changelog.position);
            }
        }
        if has_changelogs {
            let lanes = lanes.iter().map(|(lane, _)| lane.clone()).zip(offsets.iter().copied());
            for (input, next) in lanes.chain(origins.positions()).chain(origins.beginnings(number)) {
                batch.set_position(&state, &handle.id, &input, next);
            }
            batch.write()?;
            points::log(Point::RestoreEnd)?;
        }
        let owned = changelogs.iter_mut().flatten().zip(lives).map(|(changelog, (topic, mut lives))| {
            lives.begin(changelog.begin_life());
            let id = sub.ids.get(&*topic).copied();
            (topic, OwnedChangelog { id, lives })
        });
        let owner = has_changelogs.then(|| Owner { epoch, base: restored.commit, changelogs: owned.collect() });
        let scheduled = Arc::new(AtomicBool::new(true));
        let reader = self.parts.log.subscribe(Subscription {
            partitions: lanes.iter().map(|(tp, _)| tp.clone()).zip(offsets.iter().copied()).collect(),
            wake: self.waker(key, scheduled.clone()),
            max_buffered_bytes: self.config.max_buffered_bytes,
        })?;
        let order = sub.order.as_ref().and_then(|_| lanes.iter().position(|(_, sources)| sources.is_empty()));
        // A topic that is read twice has the time of the first source that names one.
        let mut clock_of = |sources: &[usize]| sources.iter().find_map(|source| graph.clocks.get_mut(*source).and_then(Option::take));
        let begin = offsets.iter().copied().zip(&lanes).map(|(offset, (_, sources))| (offset, clock_of(sources))).collect();
        let mut cx = TaskContext::new(stores, self.parts.clock.clone(), self.parts.processing_log.clone(), partition);
        cx.pace = Pace::new(handle.signal(), self.config.max_rows_per_record);
        (cx.policy, cx.query) = (start.policy, handle.id.clone());
        cx.origins = origins;
        cx.pouch = self.pouch(start, sub, &lanes)?;
        let mut input = Input::new(reader, begin, Duration::from_millis(self.config.max_task_idle_ms), self.parts.clock.clone());
        if let Some(lane) = order {
            input.keep_order(lane);
        }
        let task = Task {
            id: TaskId { query: handle.id.clone(), sub_topology: sub.spec.id, partition },
            handle: handle.clone(),
            graph,
            cx,
            input,
            order: sub.order.as_ref().map(|(_, handle)| *handle),
            replays: sub.replays.as_ref().and_then(|(topic, _)| lanes.iter().position(|(lane, _)| lane.topic == *topic)),
            lanes,
            wants_headers: sub.spec.sources.iter().map(|s| s.wants_headers).collect(),
            is_repartition: sub.spec.sources.iter().map(|s| s.is_repartition).collect(),
            reads: sub.spec.sources.iter().map(|s| (!s.is_repartition).then(|| SourceReads::of(handle.metrics.reads(&s.topic)))).collect(),
            changelogs,
            writes: sub.writes.iter().cloned().chain(start.letters.iter().map(|letters| letters.topic.clone())).collect(),
            group,
            guarantee: if ephemeral || self.parts.log.is_atomic() { Guarantee::AtLeastOnce } else { start.guarantee },
            marks_positions: !ephemeral && !self.parts.log.is_atomic(),
            scheduled,
            committed: offsets,
            pending: None,
            commit_number: number,
            epoch,
            owner,
            // A restart before the first commit begins at the same place.
            dirty: is_new,
            must_commit: false,
            look_after: FIRST_LOOK,
            registry: self.parts.registry.clone(),
            waiting: None,
            seat: seat.clone(),
        };
        Ok((key, task))
    }

    /// Tells the life of a task from earlier ones.
    fn session(&self, key: u64) -> u32 {
        let now_ms = u64::try_from(self.parts.clock.now_ms()).unwrap_or_default();
        u32::try_from((now_ms ^ key << 24) & u64::from(u32::MAX)).unwrap_or(1)
    }

    /// Tells the task's worker once, however often the reader calls, until the task had its turn.
    fn waker(&self, key: u64, scheduled: Arc<AtomicBool>) -> Arc<dyn Fn() + Send + Sync> {
        let worker = self.worker_of(key).clone();
        Arc::new(move || {
            if !scheduled.swap(true, Ordering::AcqRel) {
                let _ = worker.send(Message::Wake(key));
            }
        })
    }
}
