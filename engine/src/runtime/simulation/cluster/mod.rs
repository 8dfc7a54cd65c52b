//! Several servers of one service over one simulated log and one group ([`group`]), in one thread, on one clock and from one seed:
//! the real runtimes, and the real following of what the group says ([`super::super::share`]).
//!
//! Each thread of each server is something that may have its turn. Servers come, end in order, die, stand still beyond their session
//! and go on, are cut off, and answer rebalances late. Before each call of the log others may have theirs ([`wire`]): so a server may
//! stand still in the middle of a commit, and send the rest of it when others have its slots.
//!
//! What the sink holds and the stores answer in the end is compared with the same model as that of one server.

mod claim;
mod group;
mod node;
mod setup;
mod tests;
mod wire;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::group::{Group, SESSION_MS};
use self::node::Node;
use self::setup::{ClusterSetup, Defect, Happened};
use self::wire::Wire;
use super::super::{SlotSet, Slots};
use super::check::Observed;
use super::clock::SimulatedClock;
use super::model::Expected;
use super::schemas;
use super::workload::Input;
use crate::clock::Clock;
use crate::log::simulated::{FaultPlan, SimulatedLog, StoredRecord};
use crate::log::{Offset, SharedClaim};
use crate::plan::QueryPlan;
use crate::registry::slow::SlowRegistry;
use crate::state::StateDb;
use crate::state::simulated::SimulatedDisk;

/// How deep things that have their turn in the middle of others may lie.
const MAX_DEPTH: usize = 2;
/// Things to do in the middle of another, at most.
const MAX_WITHIN: usize = 30;
/// How often something is done while a server stands still in the middle of something, at most.
const MAX_STANDSTILL: usize = 3_000;
/// Rounds until everything has to have come to rest.
const MAX_ROUNDS: usize = 6_000;
/// Nobody has anything to do for so long, milliseconds: it rests.
const REST_MS: u128 = 3_600_000;

/// All that there is.
pub(super) struct Cluster {
    setup: ClusterSetup,
    plan: Arc<QueryPlan>,
    log: SimulatedLog,
    clock: Arc<SimulatedClock>,
    registry: Arc<SlowRegistry>,
    group: Arc<Mutex<Group>>,
    servers: Vec<Server>,
    /// What is still to be written to the sources.
    waiting: Mutex<VecDeque<(&'static str, i32, StoredRecord)>>,
    random: Mutex<StdRng>,
    depth: AtomicUsize,
    /// Faults are over.
    is_calm: AtomicBool,
    /// Whose state a commit has.
    at_work: Arc<Mutex<Option<StateDb>>>,
    happened: Mutex<Happened>,
    history: Mutex<Vec<String>>,
    trouble: Mutex<Option<String>>,
}

/// A server over its lives.
struct Server {
    name: String,
    disk: SimulatedDisk,
    node: Mutex<Option<Arc<Node>>>,
    /// Of a life that is about to begin.
    starting: Mutex<Option<Wire>>,
    stopped_until_ms: AtomicU64,
    cut_until_ms: AtomicU64,
}

/// What a run came to.
struct Ran {
    expected: Expected,
    observed: Observed,
    happened: Happened,
    log: String,
    history: Vec<String>,
}

/// Runs a setup.
///
/// # Errors
/// A query failed, or the servers did not come to rest; and what happened before.
fn run(setup: &ClusterSetup) -> Result<Ran, (String, Vec<String>)> {
    let (cluster, inputs) = Cluster::new(setup.clone());
    let result = cluster.live().and_then(|()| cluster.rest()).and_then(|()| cluster.observe());
    let history = std::mem::take(&mut *cluster.history.lock());
    let observed = match result {
        Ok(observed) => observed,
        Err(error) => return Err((error, history)),
    };
    let mut happened = *cluster.happened.lock();
    (happened.log, happened.group) = (cluster.log.fault_counts(), cluster.group.lock().counts);
    Ok(Ran { expected: setup.base.workload.expected(&inputs), observed, happened, log: super::dump(&cluster.log), history })
}

impl Cluster {
    fn new(setup: ClusterSetup) -> (Arc<Self>, Vec<Input>) {
        let base = &setup.base;
        let mut random = StdRng::seed_from_u64(base.seed ^ 0x5eed);
        let inputs = base.workload.inputs(base.records, i32::try_from(base.partitions).unwrap_or(1), &mut random);
        let waiting = inputs.iter().map(|input| (input.topic, input.partition, super::record_of(base, input, &mut random))).collect();
        let log = super::log_of(base);
        let at_work = Arc::<Mutex<Option<StateDb>>>::default();
        let whose = at_work.clone();
        log.set_state_sink(move |batch| match &*whose.lock() {
            Some(state) => state.write_later(batch),
            None => batch.write(),
        });
        let server = |index: usize| Server {
            name: format!("server{index}"),
            disk: SimulatedDisk::new(base.seed ^ index as u64, base.disk),
            node: Mutex::default(),
            starting: Mutex::default(),
            stopped_until_ms: AtomicU64::new(0),
            cut_until_ms: AtomicU64::new(0),
        };
        let mut group = Group::new(Slots::new(setup.slots).all());
        group.gives_twice = setup.defect == Some(Defect::SlotOfTwo);
        let cluster = Cluster {
            plan: super::planned(base),
            log,
            clock: Arc::new(SimulatedClock::new()),
            registry: schemas::registry(base.seed, base.late_schemas.unwrap_or_default()),
            group: Arc::new(Mutex::new(group)),
            servers: (0..setup.servers).map(server).collect(),
            waiting: Mutex::new(waiting),
            random: Mutex::new(random),
            depth: AtomicUsize::new(0),
            is_calm: AtomicBool::new(false),
            at_work,
            happened: Mutex::default(),
            history: Mutex::default(),
            trouble: Mutex::default(),
            setup,
        };
        (Arc::new(cluster), inputs)
    }

    fn below(&self, limit: usize) -> usize {
        self.random.lock().random_range(0..limit.max(1))
    }

    fn ms(&self, from: u64, to: u64) -> u64 {
        self.random.lock().random_range(from..to)
    }

    fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.random.lock().random_bool(probability.min(1.0))
    }

    fn count(&self, count: impl FnOnce(&mut Happened)) {
        count(&mut self.happened.lock());
    }

    fn note(&self, what: String) {
        self.history.lock().push(format!("{} ms: {what}", self.clock.passed_ms()));
    }

    fn troubled(&self, reason: String) {
        self.trouble.lock().get_or_insert(reason);
    }

    fn check_trouble(&self) -> Result<(), String> {
        self.trouble.lock().clone().map_or(Ok(()), Err)
    }

    /// Things happen until all of the input is written.
    fn live(self: &Arc<Self>) -> Result<(), String> {
        let first = 1 + self.below(self.servers.len());
        (0..first).for_each(|server| self.start(server));
        while !self.waiting.lock().is_empty() {
            self.act();
            self.check_trouble()?;
        }
        Ok(())
    }

    /// Something happens.
    fn act(self: &Arc<Self>) {
        let server = self.below(self.servers.len());
        match self.below(40) {
            0..2 => self.write_input(),
            2..7 => {
                let ms = self.ms(1, 100);
                self.advance(ms);
            }
            7..9 => {
                if let Some(node) = self.awake(server) {
                    let _ = node.state.write_next();
                }
            }
            9 => self.beat(server),
            10 => self.befall(server),
            11..16 => self.look(server),
            16..19 => self.supervise(server),
            19 => self.follow(server),
            choice => self.step(server, choice),
        }
    }

    fn write_input(&self) {
        for _ in 0..1 + self.below(5) {
            let Some((topic, partition, record)) = self.waiting.lock().pop_front() else { return };
            if let Err(error) = self.log.append(topic, partition, record) {
                self.troubled(error.to_string());
            }
        }
    }

    /// Time passes, and the clients and the coordinator see to it.
    fn advance(&self, ms: u64) {
        self.clock.advance(ms);
        let now = self.clock.passed_ms();
        for (index, server) in self.servers.iter().enumerate() {
            let cut_until = server.cut_until_ms.load(Ordering::Acquire);
            if cut_until > 0 && cut_until <= now {
                server.cut_until_ms.store(0, Ordering::Release);
                self.set_cut(index, false, false);
            }
            self.beat(index);
        }
        self.group.lock().expire(now);
    }

    fn beat(&self, server: usize) {
        if !self.is_stopped(server) {
            self.group.lock().beat(&self.servers[server].name, self.clock.passed_ms());
        }
    }

    fn is_stopped(&self, server: usize) -> bool {
        self.clock.passed_ms() < self.servers[server].stopped_until_ms.load(Ordering::Acquire)
    }

    /// A server that runs, and does not stand still.
    fn awake(&self, server: usize) -> Option<Arc<Node>> {
        if self.is_stopped(server) { None } else { self.servers[server].node.lock().clone() }
    }

    fn look(&self, server: usize) {
        let Some(node) = self.awake(server) else { return };
        let before = node.runtime.slots();
        if let Err(reason) = node.look(&*self.clock) {
            self.troubled(reason);
        }
        self.note_slots(server, &node, &before);
    }

    fn supervise(&self, server: usize) {
        let Some(node) = self.awake(server) else { return };
        let (had_lost_ids, before) = (node.runtime.has_lost_ids(), node.runtime.slots());
        let followed = node.runtime.standby_lags();
        match node.supervise(self) {
            Ok(is_again) => self.count(|happened| happened.starts_again += u64::from(is_again)),
            Err(reason) => self.troubled(format!("{}: {reason}", self.servers[server].name)),
        }
        self.count(|happened| happened.fenced += u64::from(had_lost_ids && !node.runtime.has_lost_ids()));
        self.note_slots(server, &node, &before);
        let (now, slots) = (node.runtime.slots(), Slots::new(self.setup.slots));
        let comes = |partition| slots.of(&self.plan.query_id, partition);
        let taken = followed.iter().filter(|lag| lag.included > Offset(0) && (&now - &before).contains(&comes(lag.partition)));
        self.count(|happened| happened.from_standby += taken.count() as u64);
        self.bury(server, &node);
    }

    /// Where queries have standbys.
    fn follow(&self, server: usize) {
        let Some(node) = self.awake(server).filter(|_| self.setup.standbys > 0) else { return };
        node.follow(&self.servers[server].name);
        self.bury(server, &node);
    }

    fn note_slots(&self, server: usize, node: &Node, before: &SlotSet) {
        let now = node.runtime.slots();
        if now != *before {
            self.note(format!("{} has slots {now:?}, and had {before:?}", self.servers[server].name));
        }
    }

    fn step(&self, server: usize, choice: usize) {
        let Some(node) = self.awake(server) else { return };
        node.step(choice % node.workers());
        self.bury(server, &node);
    }

    /// A process that has died in a call is gone.
    fn bury(&self, server: usize, node: &Arc<Node>) {
        let is_this = self.servers[server].node.lock().as_ref().is_some_and(|known| Arc::ptr_eq(known, node));
        if node.wire.is_dead() && is_this {
            self.kill(server);
        }
    }

    fn is_there(&self, index: usize) -> bool {
        let server = &self.servers[index];
        server.node.lock().is_some() || server.starting.lock().is_some()
    }

    /// Something befalls a server.
    fn befall(self: &Arc<Self>, index: usize) {
        let (server, setup) = (&self.servers[index], &self.setup);
        if !self.is_there(index) {
            if self.chance(0.6) {
                self.start(index);
            }
            return;
        }
        let now = self.clock.passed_ms();
        if self.chance(setup.kill) {
            self.kill(index);
        } else if self.chance(setup.leave) {
            self.leave(index);
        } else if self.chance(setup.stop) && !self.is_stopped(index) {
            self.stop(index);
            self.count(|happened| happened.stops += 1);
        } else if self.chance(setup.cut) {
            let ms = self.ms(SESSION_MS / 4, SESSION_MS * 3);
            server.cut_until_ms.store(now + ms, Ordering::Release);
            let from_log = self.chance(0.5);
            self.note(format!("{} is cut off for {ms} ms{}", server.name, if from_log { ", from the log too" } else { "" }));
            self.set_cut(index, true, from_log);
            self.count(|happened| happened.cuts += 1);
        } else if self.chance(setup.slow) {
            let ms = self.ms(50, SESSION_MS * 2);
            self.group.lock().be_late(&server.name, now + ms);
            self.count(|happened| happened.late += 1);
        }
    }

    fn set_cut(&self, index: usize, is_cut: bool, from_log: bool) {
        let server = &self.servers[index];
        self.group.lock().cut(&server.name, is_cut);
        for wire in server.node.lock().iter().map(|node| node.wire.clone()).chain(server.starting.lock().clone()) {
            wire.cut(is_cut && from_log);
        }
    }

    fn stop(&self, index: usize) {
        let ms = self.ms(SESSION_MS / 2, SESSION_MS * 3);
        self.servers[index].stopped_until_ms.store(self.clock.passed_ms() + ms, Ordering::Release);
        self.note(format!("{} stands still for {ms} ms", self.servers[index].name));
    }

    fn start(self: &Arc<Self>, index: usize) {
        if self.is_there(index) {
            return;
        }
        let server = &self.servers[index];
        let state = server.disk.open();
        let wire = Wire::new(self, index, state.clone());
        *server.starting.lock() = Some(wire.clone());
        self.note(format!("{} starts", server.name));
        let started = Node::start(self, &server.name, &wire, state);
        *server.starting.lock() = None;
        match started {
            Ok(Some(node)) if !wire.is_dead() => {
                *server.node.lock() = Some(Arc::new(node));
                self.count(|happened| happened.starts += 1);
            }
            Ok(_) => {
                wire.kill();
                server.disk.crash();
                self.note(format!("{} did not start", server.name));
                self.count(|happened| happened.failed_starts += 1);
            }
            Err(reason) => self.troubled(format!("{} can't start: {reason}", server.name)),
        }
    }

    /// A process dies, whatever it is at.
    fn kill(&self, index: usize) {
        let server = &self.servers[index];
        self.note(format!("{} dies", server.name));
        self.count(|happened| happened.kills += 1);
        if let Some(wire) = &*server.starting.lock() {
            wire.kill();
        }
        let node = server.node.lock().take();
        if let Some(node) = &node {
            node.wire.kill();
            node.claim.end();
        }
        server.disk.crash();
        server.stopped_until_ms.store(0, Ordering::Release);
        server.cut_until_ms.store(0, Ordering::Release);
        if self.chance(self.setup.base.wipe) {
            server.disk.wipe();
            self.count(|happened| happened.wipes += 1);
        }
    }

    /// A process ends in order, where it is not in the middle of something.
    fn leave(&self, index: usize) {
        let server = &self.servers[index];
        let Some(node) = self.awake(index) else { return };
        // The server's own, and this one.
        if Arc::strong_count(&node) > 2 {
            return;
        }
        self.note(format!("{} ends", server.name));
        node.end();
        if node.wire.is_dead() {
            return self.bury(index, &node);
        }
        // Some keep their place, for they are about to come again.
        if self.chance(0.5) && node.has_ended() && node.claim.leave(Duration::ZERO) {
            self.count(|happened| happened.given_up += 1);
        }
        node.wire.kill();
        node.claim.end();
        server.disk.crash();
        *server.node.lock() = None;
        self.count(|happened| happened.leaves += 1);
    }

    /// A server is about to call the log: others may have their turn, and it may stand still for long.
    fn interrupt(self: &Arc<Self>, server: usize, is_cut: bool) {
        let depth = self.depth.load(Ordering::Acquire);
        if self.is_calm.load(Ordering::Acquire) {
            return;
        }
        if depth >= MAX_DEPTH {
            if is_cut {
                self.advance(20);
            }
            return;
        }
        let is_hit = self.chance(self.setup.interrupt / [1.0, 4.0][depth.min(1)]);
        let things = match (is_hit, is_cut) {
            (true, _) => 1 + self.below(MAX_WITHIN),
            (false, true) => 5,
            (false, false) => return,
        };
        self.depth.store(depth + 1, Ordering::Release);
        self.count(|happened| happened.interrupts += 1);
        if is_hit && self.chance(self.setup.stop) {
            self.stop(server);
            self.count(|happened| happened.stops_within += 1);
        }
        for _ in 0..things {
            self.act();
        }
        for _ in 0..MAX_STANDSTILL {
            if !self.is_stopped(server) || self.trouble.lock().is_some() {
                break;
            }
            self.act();
        }
        self.depth.store(depth, Ordering::Release);
    }

    /// What is done next to the log is a server's.
    fn at_work(&self, state: &StateDb, server: usize) {
        *self.at_work.lock() = Some(state.clone());
        if self.setup.defect == Some(Defect::TornHandover) {
            self.log.lose_rows(self.group.lock().wants(&self.servers[server].name));
        }
    }

    /// Faults end, and all that is left is worked off.
    fn rest(self: &Arc<Self>) -> Result<(), String> {
        self.note("faults end".to_owned());
        self.is_calm.store(true, Ordering::Release);
        self.log.set_faults(FaultPlan { seed: self.setup.base.seed, ..FaultPlan::default() });
        self.registry.answer();
        for (index, server) in self.servers.iter().enumerate() {
            server.disk.set_faults(0.0);
            server.stopped_until_ms.store(0, Ordering::Release);
            server.cut_until_ms.store(0, Ordering::Release);
            self.set_cut(index, false, false);
            self.group.lock().be_late(&server.name, 0);
        }
        let mut rested = 0;
        for _ in 0..MAX_ROUNDS {
            if self.servers.iter().all(|server| server.node.lock().is_none()) {
                self.start(0);
            }
            let next_ms = self.round();
            self.check_trouble()?;
            let is_at_rest = next_ms >= REST_MS && self.group.lock().is_at_rest();
            rested = if is_at_rest { rested + 1 } else { 0 };
            if rested > 3 {
                return Ok(());
            }
            self.advance(u64::try_from(next_ms).unwrap_or(0).clamp(1, 100));
        }
        let says = |server: &Server| Some(format!("{}: {}", server.name, server.node.lock().as_ref()?.says()));
        let servers: Vec<String> = self.servers.iter().filter_map(says).collect();
        Err(format!("the servers do not come to rest: {}; group: {:?}", servers.join("; "), self.group.lock().shares()))
    }

    /// Everybody has a turn. When somebody has something to do again, milliseconds from now.
    fn round(&self) -> u128 {
        let mut next_ms = u128::MAX;
        for index in 0..self.servers.len() {
            self.look(index);
            self.supervise(index);
            self.follow(index);
            let Some(node) = self.awake(index) else { continue };
            if !node.is_at_rest() {
                next_ms = 0;
            }
            for worker in 0..node.workers() {
                let idle = (0..1_000).find_map(|_| node.step(worker));
                let until = idle.map_or(0, |until| until.saturating_duration_since(self.clock.instant()).as_millis());
                next_ms = next_ms.min(until);
            }
            while node.state.write_next().is_some() {
                next_ms = 0;
            }
            self.bury(index, &node);
        }
        next_ms
    }

    fn observe(&self) -> Result<Observed, String> {
        let nodes: Vec<Arc<Node>> = self.servers.iter().filter_map(|server| server.node.lock().clone()).collect();
        let partitions = |stores: &[String]| {
            let mut found = Vec::new();
            for node in &nodes {
                for (partition, readers) in node.runtime.readers_here(&self.plan.query_id, stores).into_iter().enumerate() {
                    if found.len() <= partition {
                        found.resize_with(partition + 1, Vec::new);
                    }
                    if readers.is_empty() {
                        continue;
                    }
                    if !found[partition].is_empty() {
                        return Err(format!("partition {partition} is at two servers"));
                    }
                    found[partition] = readers;
                }
            }
            match found.iter().position(Vec::is_empty) {
                Some(partition) => Err(format!("partition {partition} is at no server")),
                None => Ok(found),
            }
        };
        let store = if self.setup.base.workload.is_table() { Some(super::store_rows(&self.plan, partitions)?) } else { None };
        Ok(Observed { sink: super::sink_rows(&self.plan, &self.log)?, store })
    }
}
