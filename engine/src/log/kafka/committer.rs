//! Commits the offsets of consumer groups in the background.
//!
//! A broker takes some 5 ms for each group and answers a connection's requests one by one: with a hundred queries, a
//! worker that waited would stand still for half a second at each commit. Offsets come last anyway and may lag: after a
//! crash the records since are read again, which "at least once" allows. Offsets that wait are overwritten by newer ones
//! of the same partition, so a backlog is never longer than there are groups.
//!
//! Groups go in the order in which they began to wait, so that each has its turn however many there are. They have
//! connections of their own, on which nobody waits: one as a rule, and more where groups wait longer than they may.
//!
//! Positions that marks remember are committed for lag tools only: these may wait for others of the same group, so that most of
//! them never go, and go so seldom that a broker hardly notices a thousand groups.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use super::errors::Failure;
use super::ffi::offsets::GroupCommit;
use crate::log::{GroupOffsets, LogError, Offset, TopicPartition};
use crate::points::{self, Point};

/// Groups that are sent together: a connection is busy with them for some 80 ms, and what else goes over it waits so long.
const ROUND_GROUPS: usize = 16;
/// Connections, at most.
const MAX_CONNECTIONS: usize = 3;
/// Where a group has waited longer than this, as long again as between two commits, another connection helps.
const MAX_LAG: Duration = Duration::from_millis(2_000);
/// How long offsets wait that nobody goes back to, at least: who reads what it has written may wait for them, on another server.
const REMEMBERED_LAG: Duration = Duration::from_secs(1);
/// Such groups go one after another, no faster than this: a broker is busy with them for a fortieth of its time.
const REMEMBERED_PACE: Duration = Duration::from_millis(200);
/// First and longest pause after a round in which something failed for now, milliseconds.
const BACKOFF_MS: (u64, u64) = (10, 500);
/// How long the last offsets may take when the log or a writer goes, seconds.
const CLOSE_PATIENCE_S: u64 = 5;
const CLOSE_STEP: Duration = Duration::from_millis(5);

/// Takes the offsets of groups to their brokers.
pub(super) trait Carrier: Send + Sync {
    /// What became of each group, in their order. `connection` counts from 0; each is used by one thread.
    fn commit(&self, connection: usize, groups: &[GroupCommit<'_>]) -> Vec<Result<(), Failure>>;
}

type Offsets = BTreeMap<TopicPartition, Offset>;

pub(super) struct Committer {
    shared: Arc<Shared>,
}

struct Shared {
    carrier: Arc<dyn Carrier>,
    state: Mutex<State>,
    changed: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Waiting {
    offsets: Offsets,
    is_in_order: bool,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Arc<str>, Waiting>,
    /// The groups whose turn comes, each since when.
    order: VecDeque<(Arc<str>, Instant)>,
    /// The groups that may wait, each until when; some have come into the order meanwhile.
    later: VecDeque<(Arc<str>, Instant)>,
    /// When the next of these may go.
    next_later: Option<Instant>,
    /// Callers that wait until everything is committed: nothing may wait then.
    hurries: usize,
    /// Under way; `waiting` is newer, and waits until these have arrived.
    sending: HashMap<Arc<str>, Offsets>,
    /// Groups whose last offsets were refused for good.
    refused: BTreeMap<Arc<str>, String>,
    connections: usize,
    is_closing: bool,
    /// Somebody has waited in vain, and nothing has arrived since: an end need not wait as long again.
    is_hopeless: bool,
}

impl State {
    fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_empty()
    }

    /// Offsets to commit, over those of the same partitions that wait. Those that are `remembered` may wait longer.
    fn add(&mut self, group: Arc<str>, offsets: impl IntoIterator<Item = (TopicPartition, Offset)>, now: Instant, remembered: bool) {
        let is_new = !self.waiting.contains_key(&group);
        let waiting = self.waiting.entry(Arc::clone(&group)).or_default();
        waiting.offsets.extend(offsets);
        if !remembered && !waiting.is_in_order {
            waiting.is_in_order = true;
            self.order.push_back((group, now));
        } else if remembered && is_new {
            self.later.push_back((group, now + REMEMBERED_LAG));
        }
    }

    /// When the first of those that may wait is to go.
    fn first_later(&self) -> Option<Instant> {
        let (_, due) = self.later.front()?;
        Some(self.next_later.map_or(*due, |next| next.max(*due)))
    }

    /// Brings those into the order that have waited for long enough.
    fn bring_in(&mut self, now: Instant) {
        let hurries = self.hurries > 0 || self.is_closing;
        while (hurries || self.first_later().is_some_and(|due| due <= now))
            && let Some((group, _)) = self.later.pop_front()
        {
            if let Some(waiting) = self.waiting.get_mut(&group)
                && !waiting.is_in_order
            {
                waiting.is_in_order = true;
                self.order.push_back((group, now));
                self.next_later = Some(now + REMEMBERED_PACE);
            }
        }
    }

    /// Offsets that did not arrive wait again, but for those that are newer.
    fn put_back(&mut self, group: Arc<str>, offsets: Offsets, now: Instant) {
        let newer = self.waiting.get(&group).map(|waiting| waiting.offsets.clone()).unwrap_or_default();
        self.add(group, offsets.into_iter().chain(newer), now, false);
    }

    /// Remembers a refusal. True: it is not the group's last one again.
    fn refuse(&mut self, group: Arc<str>, error: &LogError) -> bool {
        let text = error.to_string();
        let earlier = self.refused.insert(group, text.clone());
        earlier.is_none_or(|earlier| earlier != text)
    }

    /// Takes the groups that have waited longest, but none whose offsets are under way: newer ones must not arrive first.
    fn take_round(&mut self) -> Vec<(Arc<str>, Offsets)> {
        let (mut round, mut passed_over) = (Vec::new(), Vec::new());
        while round.len() < ROUND_GROUPS
            && let Some((group, since)) = self.order.pop_front()
        {
            if self.sending.contains_key(&group) {
                passed_over.push((group, since));
            } else if let Some(Waiting { offsets, .. }) = self.waiting.remove(&group) {
                self.sending.insert(Arc::clone(&group), offsets.clone());
                round.push((group, offsets));
            }
        }
        for place in passed_over.into_iter().rev() {
            self.order.push_front(place);
        }
        round
    }

    /// Whether groups wait longer than the connections that there are can help.
    fn wants_help(&self, now: Instant) -> bool {
        let longest = self.order.front().map(|(_, since)| now.saturating_duration_since(*since));
        !self.is_closing && self.connections < MAX_CONNECTIONS && longest.is_some_and(|waited| waited > MAX_LAG)
    }
}

impl Committer {
    /// Starts the first thread.
    pub(super) fn new(carrier: Arc<dyn Carrier>) -> Result<Committer, LogError> {
        let shared = Arc::new(Shared { carrier, state: Mutex::default(), changed: Condvar::new(), threads: Mutex::default() });
        shared.start_thread(&mut shared.state.lock()).map_err(|error| LogError::Fatal(format!("a thread for offsets: {error}")))?;
        Ok(Committer { shared })
    }

    /// Takes the offsets to commit. `is_remembered` says of which partitions something else remembers these positions. It never
    /// fails, since the records and the state of the commit are written already; what brokers refuse is said in the log.
    pub(super) fn commit(&self, groups: Vec<(Arc<str>, GroupOffsets)>, is_remembered: impl Fn(&Arc<str>, &TopicPartition) -> bool) {
        let mut state = self.shared.state.lock();
        let now = Instant::now();
        let mut has_any = false;
        for (group, offsets) in groups.into_iter().filter(|(_, offsets)| !offsets.is_empty()) {
            let remembered = offsets.iter().all(|(partition, _)| is_remembered(&group, partition));
            state.add(group, offsets, now, remembered);
            has_any = true;
        }
        if has_any {
            self.shared.changed.notify_all();
        }
    }

    /// Begins a run of a group at these offsets: what was refused of an earlier run is no matter of this one.
    pub(super) fn begin(&self, group: &str, offsets: GroupOffsets) {
        self.shared.state.lock().refused.remove(group);
        self.commit(vec![(group.into(), offsets)], |_, _| false);
    }

    /// What is about to be committed of these partitions, newer than what brokers know.
    pub(super) fn pending(&self, group: &str, partitions: &[TopicPartition]) -> Vec<Option<Offset>> {
        let state = self.shared.state.lock();
        let find = |offsets: Option<&Offsets>, partition| offsets.and_then(|offsets| offsets.get(partition)).copied();
        let (waiting, sending) = (state.waiting.get(group).map(|waiting| &waiting.offsets), state.sending.get(group));
        partitions.iter().map(|partition| find(waiting, partition).or_else(|| find(sending, partition))).collect()
    }

    /// Forgets a group, once nothing of it is under way.
    pub(super) fn forget(&self, group: &str) {
        let mut state = self.shared.state.lock();
        state.waiting.remove(group);
        let deadline = Instant::now() + Duration::from_secs(CLOSE_PATIENCE_S);
        while state.sending.contains_key(group) && !self.shared.changed.wait_until(&mut state, deadline).timed_out() {}
        state.waiting.remove(group);
        state.refused.remove(group);
    }

    /// Waits until everything is committed, as long as that may take at an end.
    pub(super) fn settle(&self) {
        let mut state = self.shared.state.lock();
        state.hurries += 1;
        self.shared.changed.notify_all();
        let deadline = Instant::now() + Duration::from_secs(CLOSE_PATIENCE_S);
        while !state.is_settled() && !self.shared.changed.wait_until(&mut state, deadline).timed_out() {}
        state.is_hopeless = !state.is_settled();
        state.hurries -= 1;
    }
}

impl Drop for Committer {
    /// Waits until everything is committed, but no longer than that may take: a request to a broker that is gone takes as long as
    /// requests may, and its thread goes on by itself.
    fn drop(&mut self) {
        let is_hopeless = {
            let mut state = self.shared.state.lock();
            state.is_closing = true;
            state.is_hopeless
        };
        self.shared.changed.notify_all();
        let deadline = Instant::now() + if is_hopeless { Duration::ZERO } else { Duration::from_secs(CLOSE_PATIENCE_S) };
        let threads = std::mem::take(&mut *self.shared.threads.lock());
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(CLOSE_STEP);
        }
    }
}

impl Shared {
    fn start_thread(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let (working, connection) = (Arc::clone(self), state.connections);
        let thread = std::thread::Builder::new().name(format!("kafka-offsets-{connection}")).spawn(move || working.work(connection))?;
        state.connections += 1;
        self.threads.lock().push(thread);
        Ok(())
    }

    fn work(self: &Arc<Self>, connection: usize) {
        let mut state = self.state.lock();
        let mut backoff = BACKOFF_MS.0;
        let mut give_up = None;
        loop {
            if state.is_closing {
                let patience = Duration::from_secs(if state.is_hopeless { 0 } else { CLOSE_PATIENCE_S });
                let deadline = *give_up.get_or_insert_with(|| Instant::now() + patience);
                if state.waiting.is_empty() || Instant::now() > deadline {
                    return;
                }
            }
            state.bring_in(Instant::now());
            let round = state.take_round();
            if round.is_empty() {
                match give_up.or(state.first_later()) {
                    Some(until) => {
                        self.changed.wait_until(&mut state, until);
                    }
                    None => self.changed.wait(&mut state),
                }
            } else if self.carry(connection, round, &mut state) {
                backoff = BACKOFF_MS.0;
                if state.wants_help(Instant::now())
                    && let Err(error) = self.start_thread(&mut state)
                {
                    tracing::warn!(target: "kafka", "another thread for offsets: {error}");
                }
            } else {
                // New offsets may wake it earlier, and do no harm.
                self.changed.wait_for(&mut state, Duration::from_millis(backoff));
                backoff = (backoff * 2).min(BACKOFF_MS.1);
            }
        }
    }

    /// Commits a round. False where something must be tried again.
    fn carry(&self, connection: usize, round: Vec<(Arc<str>, Offsets)>, state: &mut MutexGuard<'_, State>) -> bool {
        let commits: Vec<GroupCommit<'_>> = round.iter().map(|(group, offsets)| GroupCommit { group, offsets }).collect();
        let results = MutexGuard::unlocked(state, || {
            points::reach(Point::OffsetsSend);
            let results = self.carrier.commit(connection, &commits);
            points::reach(Point::OffsetsSent);
            results
        });
        let now = Instant::now();
        let mut all_done = true;
        for ((group, offsets), result) in round.into_iter().zip(results) {
            state.sending.remove(&group);
            match result {
                Ok(()) => {
                    state.is_hopeless = false;
                    state.refused.remove(&group);
                }
                Err(failure) if failure.is_retriable() => {
                    all_done = false;
                    state.put_back(group, offsets, now);
                }
                Err(failure) => {
                    let error = refused(&group, failure);
                    // The next commit tries again; a line for each would drown the log.
                    if state.refuse(group, &error) {
                        tracing::warn!(target: "kafka", "{error}; positions are kept elsewhere, and only tools that show lag see old ones");
                    }
                }
            }
        }
        self.changed.notify_all();
        all_done
    }
}

fn refused(group: &str, failure: Failure) -> LogError {
    let hint = if failure.is(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID) { " (another program reads with this group)" } else { "" };
    failure.about(&format!("committing the offsets of group '{group}'{hint}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> [(TopicPartition, Offset); 1] {
        [(TopicPartition { topic: "t".into(), partition: 0 }, Offset(offset))]
    }

    fn names(round: &[(Arc<str>, Offsets)]) -> Vec<&str> {
        round.iter().map(|(group, _)| &**group).collect()
    }

    fn arrived(state: &mut State, round: &[(Arc<str>, Offsets)]) {
        for (group, _) in round {
            state.sending.remove(group);
        }
    }

    #[test]
    fn every_group_has_its_turn_however_many_there_are() {
        const GROUPS: usize = 10 * ROUND_GROUPS;
        let name = |index: usize| -> Arc<str> { format!("{index:04}").into() };
        let mut state = State::default();
        let mut last_seen = vec![0; GROUPS];
        // Each round takes as long as it takes all groups to have something new: the first must not come twice before the
        // last came once.
        for round in 1..=40 {
            for index in 0..GROUPS {
                state.add(name(index), at(round), Instant::now(), false);
            }
            let sent = state.take_round();
            assert_eq!(sent.len(), ROUND_GROUPS);
            for (index, seen) in last_seen.iter_mut().enumerate() {
                if names(&sent).contains(&&*name(index)) {
                    *seen = round;
                }
            }
            arrived(&mut state, &sent);
        }
        assert!(last_seen.iter().all(|round| *round > 30), "{last_seen:?}");
        assert_eq!(state.order.len(), GROUPS - ROUND_GROUPS);
    }

    #[test]
    fn newer_offsets_do_not_overtake_those_under_way() {
        let mut state = State::default();
        for group in ["a", "b"] {
            state.add(group.into(), at(1), Instant::now(), false);
        }
        let first = state.take_round();
        assert_eq!(names(&first), ["a", "b"]);
        state.add("a".into(), at(2), Instant::now(), false);
        state.add("c".into(), at(2), Instant::now(), false);
        let second = state.take_round();
        assert_eq!(names(&second), ["c"]);
        assert!(state.take_round().is_empty());
        arrived(&mut state, &first);
        let third = state.take_round();
        assert_eq!(third, [("a".into(), Offsets::from(at(2)))]);
    }

    #[test]
    fn what_did_not_arrive_waits_again_unless_there_is_newer() {
        let mut state = State::default();
        let [older, newer] = [at(1), at(2)];
        let elsewhere = (TopicPartition { topic: "t".into(), partition: 1 }, Offset(9));
        state.add("a".into(), older.iter().cloned().chain([elsewhere.clone()]), Instant::now(), false);
        let sent = state.take_round();
        state.add("a".into(), newer.clone(), Instant::now(), false);
        arrived(&mut state, &sent);
        for (group, offsets) in sent {
            state.put_back(group, offsets, Instant::now());
        }
        let again = state.take_round();
        assert_eq!(again, [("a".into(), newer.into_iter().chain([elsewhere]).collect())]);
        assert!(state.take_round().is_empty());
    }

    #[test]
    fn another_connection_helps_where_groups_wait_too_long() {
        let mut state = State { connections: 1, ..State::default() };
        let now = Instant::now();
        state.add("a".into(), at(1), now, false);
        assert!(!state.wants_help(now + MAX_LAG));
        assert!(state.wants_help(now + 2 * MAX_LAG));
        // Newer offsets do not make it younger.
        state.add("a".into(), at(2), now + MAX_LAG, false);
        assert!(state.wants_help(now + 2 * MAX_LAG));
        state.connections = MAX_CONNECTIONS;
        assert!(!state.wants_help(now + 2 * MAX_LAG));
    }

    #[test]
    fn what_state_remembers_may_wait() {
        let mut state = State::default();
        let now = Instant::now();
        for step in 0..5 {
            let later = now + step * REMEMBERED_LAG / 5;
            state.add("kept".into(), at(i64::from(step)), later, true);
            state.bring_in(later);
            assert!(state.take_round().is_empty(), "step {step}");
        }
        // All five go as one.
        state.bring_in(now + REMEMBERED_LAG);
        let round = state.take_round();
        assert_eq!(round, [("kept".into(), Offsets::from(at(4)))]);
        arrived(&mut state, &round);
        assert!(state.later.is_empty() && state.is_settled());
        // Not once others of the group have to go, nor when somebody waits for it.
        state.add("both".into(), at(1), now, true);
        state.add("both".into(), at(2), now, false);
        assert_eq!(names(&state.take_round()), ["both"]);
        state.add("kept".into(), at(5), now, true);
        state.hurries = 1;
        state.bring_in(now);
        assert_eq!(names(&state.take_round()), ["kept"]);
    }

    /// Refuses the groups that it is told to; and the groups that came to it.
    #[derive(Default)]
    struct Scripted {
        refuses: Mutex<Vec<&'static str>>,
        seen: Mutex<Vec<String>>,
    }

    impl Scripted {
        fn refusing(group: &'static str) -> (Arc<Scripted>, Committer) {
            let carrier = Arc::new(Scripted { refuses: Mutex::new(vec![group]), seen: Mutex::default() });
            let committer = Committer::new(Arc::clone(&carrier) as Arc<dyn Carrier>).unwrap();
            (carrier, committer)
        }

        fn count(&self, group: &str) -> usize {
            self.seen.lock().iter().filter(|seen| *seen == group).count()
        }
    }

    impl Carrier for Scripted {
        fn commit(&self, _connection: usize, groups: &[GroupCommit<'_>]) -> Vec<Result<(), Failure>> {
            let answer = |group: &GroupCommit<'_>| {
                self.seen.lock().push(group.group.to_owned());
                if self.refuses.lock().contains(&group.group) {
                    return Err(Failure::new(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, "no"));
                }
                Ok(())
            };
            groups.iter().map(answer).collect()
        }
    }

    fn commit(committer: &Committer, group: &str, offset: i64) {
        committer.commit(vec![(group.into(), at(offset).into())], |_, _| false);
        committer.settle();
    }

    #[test]
    fn a_refusal_keeps_no_later_offsets_back() {
        let (carrier, committer) = Scripted::refusing("foreign");
        commit(&committer, "own", 1);
        commit(&committer, "foreign", 1);
        assert_eq!(committer.pending("own", &[at(1)[0].0.clone()]), [None]);
        // The offsets of a commit come behind its state: they are taken whatever became of earlier ones.
        commit(&committer, "own", 2);
        commit(&committer, "foreign", 2);
        assert_eq!((carrier.count("own"), carrier.count("foreign")), (2, 2));
        carrier.refuses.lock().clear();
        commit(&committer, "foreign", 3);
        assert_eq!(carrier.count("foreign"), 3);
    }

    #[test]
    fn the_same_refusal_is_logged_once() {
        let refused = |code| super::refused("g", Failure::new(code, "no"));
        let mut state = State::default();
        assert!(state.refuse("g".into(), &refused(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)));
        assert!(!state.refuse("g".into(), &refused(Code::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID)));
        assert!(state.refuse("g".into(), &refused(Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)));
        assert!(state.refuse("h".into(), &refused(Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)));
    }

    #[test]
    fn a_group_begins_whatever_was_said_of_an_earlier_run() {
        let (carrier, committer) = Scripted::refusing("g");
        commit(&committer, "g", 1);
        carrier.refuses.lock().clear();
        committer.begin("g", at(7).into());
        committer.settle();
        assert_eq!(carrier.count("g"), 2);
        // One that has its offsets already forgets as well.
        carrier.refuses.lock().push("g");
        commit(&committer, "g", 8);
        committer.begin("g", Vec::new());
        committer.settle();
        assert_eq!(carrier.count("g"), 3);
    }
}
