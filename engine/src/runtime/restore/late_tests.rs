//! Restores of changelogs to which processes have written late that had been replaced by then.

use super::super::ends::{End, EndKind};
use super::super::epoch::{Life, OwnedChangelog, stamp};
use super::tests::watched;
use super::*;
use crate::log::TopicSpec;
use crate::log::simulated::{SimulatedLog, StoredRecord};
use crate::state::{StoreKey, StoreKind, StoreSpec};

const NOW_MS: i64 = 1_790_000_000_000;

/// A changelog that a test writes record by record, and who is known to have had it.
struct Hand {
    log: SimulatedLog,
    place: TopicPartition,
    owner: Option<Owner>,
    now_ms: i64,
}

impl Hand {
    fn new() -> Self {
        let log = SimulatedLog::default();
        log.create_topic(&TopicSpec { name: "c".into(), partitions: 1, replicas: 1, config: BTreeMap::new() }).unwrap();
        Hand { log, place: TopicPartition { topic: "c".into(), partition: 0 }, owner: None, now_ms: NOW_MS }
    }

    fn end(&self) -> Offset {
        self.log.offsets(std::slice::from_ref(&self.place), OffsetSpec::Latest).unwrap()[0]
    }

    /// A process has restored the task's state up to here, and says that it begins.
    fn begins(&mut self, epoch: Epoch, base: Option<CommitId>) {
        let since = self.end();
        let mut lives = self.owner.take().map(|owner| owner.lives("c", None)).unwrap_or_default();
        lives.begin(Life { epoch, since });
        let changelogs = BTreeMap::from([("c".into(), OwnedChangelog { id: None, lives })]);
        self.owner = Some(Owner { epoch, base, changelogs });
    }

    fn append(&self, epoch: Epoch, key: &[u8], value: Option<Vec<u8>>) {
        let record = StoredRecord { timestamp: stamp(self.now_ms, epoch), key: Some(key.into()), value, ..StoredRecord::default() };
        self.log.append("c", 0, record).unwrap();
    }

    fn puts(&self, epoch: Epoch, key: &str, value: &str) {
        self.append(epoch, key.as_bytes(), Some(value.into()));
    }

    fn ends(&self, kind: EndKind, (epoch, since): (Epoch, i64), number: CommitNumber, next: i64) {
        let life = (epoch > 0).then_some(Life { epoch, since: Offset(since) });
        let inputs = vec![(input(), Offset(next))];
        self.append(epoch, &[], Some(End { kind, life, number, stream_time: i64::MIN, inputs }.encode()));
    }

    fn marks(&self, life: (Epoch, i64), number: CommitNumber, next: i64) {
        self.ends(EndKind::Mark, life, number, next);
    }

    /// Restores a folder as a start does.
    fn restore(&self, db: &StateDb) -> Found {
        self.read(db, false).0
    }

    /// As a standby does, which goes on from the place that it is given back.
    fn follow(&self, db: &StateDb) -> (Found, i64) {
        self.read(db, true)
    }

    fn read(&self, db: &StateDb, follows: bool) -> (Found, i64) {
        let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
        let mut stores = [db.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: true }).unwrap()];
        let (topics, positions) = ([Some(self.place.clone())], db.positions("q").unwrap());
        let (place, mut batch) = (CommitPlace::new(0, 0), StateBatch::default());
        let lives = self.owner.iter().map(|owner| owner.lives("c", None)).collect();
        let (owner, begun, now_ms) = (self.owner.as_ref(), Begun::new(0, 0), self.now_ms);
        let subject = Subject { changelogs: &topics, lives, owner, positions: &positions, place: &place, begun: &begun, now_ms };
        let restored = watched(|watch| restore(&self.log, db, &mut stores, subject, &mut batch, watch)).unwrap();
        for (input, next) in &restored.inputs {
            batch.set_position(db, "q", input, *next);
        }
        let included = restored.changelogs[0].as_ref().unwrap().included;
        if follows {
            batch.set_position(db, "q", &self.place, included);
        }
        batch.write().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut entries = BTreeMap::new();
        stores[0]
            .range(&[], None, &mut |key, value| {
                entries.insert(text(key), text(value));
                true
            })
            .unwrap();
        let mut owed: Vec<String> = restored.changelogs.iter().flatten().flat_map(|own| &own.owed).map(|key| text(key)).collect();
        owed.sort();
        let next = restored.inputs.get(&input()).map(|next| next.0);
        (Found { commit: restored.commit, next, entries, owed }, included.0)
    }

    /// Restores a folder that was lost.
    fn anew(&self) -> Found {
        self.restore(&StateDb::in_memory())
    }
}

fn input() -> TopicPartition {
    TopicPartition { topic: "in".into(), partition: 0 }
}

#[derive(Debug, PartialEq)]
struct Found {
    commit: Option<CommitId>,
    /// Where the input is read on.
    next: Option<i64>,
    entries: BTreeMap<String, String>,
    owed: Vec<String>,
}

fn found(epoch: Epoch, number: CommitNumber, next: i64, entries: &[(&str, &str)], owed: &[&str]) -> Found {
    let text = |text: &&str| (*text).to_owned();
    let entries = entries.iter().map(|(key, value)| (text(key), text(value))).collect();
    Found { commit: commit(epoch, number), next: Some(next), entries, owed: owed.iter().map(text).collect() }
}

fn commit(epoch: Epoch, number: CommitNumber) -> Option<CommitId> {
    Some(CommitId { epoch, number })
}

/// The first owner has counted `a` and `b` and committed that.
fn counted() -> Hand {
    let mut hand = Hand::new();
    hand.begins(1, None);
    hand.puts(1, "a", "1");
    hand.puts(1, "b", "1");
    hand.marks((1, 0), 1, 10);
    hand
}

#[test]
fn what_comes_behind_the_next_owner_never_counts() {
    let mut hand = counted();
    hand.begins(2, commit(1, 1));
    // The first one's second commit, before the second one's and behind it.
    for _ in 0..2 {
        hand.puts(1, "a", "late");
        hand.puts(1, "x", "late");
        hand.marks((1, 0), 2, 20);
        let nothing_yet = hand.anew();
        if nothing_yet.commit == commit(1, 1) {
            assert_eq!(nothing_yet, found(1, 1, 10, &[("a", "1"), ("b", "1")], &["a", "x"]));
        }
        hand.puts(2, "a", "2");
        hand.marks((2, 3), 2, 15);
        assert_eq!(hand.anew(), found(2, 2, 15, &[("a", "2"), ("b", "1")], &["a", "x"]));
    }
}

#[test]
fn what_comes_before_the_next_owner_counts_where_its_commit_is_whole() {
    let mut hand = counted();
    hand.puts(1, "a", "2");
    hand.marks((1, 0), 2, 20);
    hand.puts(1, "b", "cut");
    hand.begins(2, commit(1, 2));
    assert_eq!(hand.anew(), found(1, 2, 20, &[("a", "2"), ("b", "1")], &["b"]));
}

#[test]
fn of_several_that_were_replaced_none_counts() {
    let mut hand = counted();
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    hand.puts(1, "b", "late");
    hand.marks((2, 3), 2, 20);
    hand.begins(3, commit(2, 2));
    hand.puts(2, "a", "late");
    hand.puts(3, "c", "1");
    hand.puts(1, "c", "late");
    hand.marks((1, 0), 9, 90);
    hand.marks((3, 6), 3, 30);
    hand.marks((2, 3), 8, 80);
    assert_eq!(hand.anew(), found(3, 3, 30, &[("a", "2"), ("b", "1"), ("c", "1")], &["a", "b", "c"]));
}

#[test]
fn tags_that_come_again_are_told_apart_as_long_as_they_differ() {
    for epoch in [63, 64, 1_023, 1_024, 1_025] {
        let mut hand = counted();
        hand.begins(epoch, commit(1, 1));
        hand.puts(epoch, "a", "2");
        hand.puts(1, "a", "late");
        hand.puts(epoch - 1, "b", "late");
        hand.marks((epoch, 3), 2, 20);
        // A thousand and twenty-four owners later the first one's look like the last one's.
        let expected = match epoch {
            1_025 => found(epoch, 2, 20, &[("a", "late"), ("b", "1")], &["b"]),
            _ => found(epoch, 2, 20, &[("a", "2"), ("b", "1")], &["a", "b"]),
        };
        assert_eq!(hand.anew(), expected);
    }
}

#[test]
fn where_nothing_is_known_of_owners_their_commits_tell() {
    let mut hand = counted();
    hand.puts(1, "b", "late, and before the next one's first record");
    hand.puts(2, "a", "2");
    hand.marks((2, 3), 2, 20);
    hand.puts(1, "a", "late");
    hand.marks((1, 0), 3, 30);
    hand.owner = None;
    assert_eq!(hand.anew(), found(2, 2, 20, &[("a", "2"), ("b", "1")], &["a", "b"]));
}

#[test]
fn marks_of_earlier_owners_do_not_hide_the_last_ones() {
    // More than is looked at at once, so that all that is seen at first is late.
    let mut hand = counted();
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    hand.marks((2, 3), 2, 20);
    for number in 2..200 {
        hand.puts(1, "a", "late");
        hand.marks((1, 0), number, 10 * number);
    }
    assert_eq!(hand.anew(), found(2, 2, 20, &[("a", "2"), ("b", "1")], &["a"]));
    // The second one has died before its first commit.
    let mut hand = counted();
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "cut");
    for number in 2..200 {
        hand.marks((1, 0), number, 10 * number);
    }
    assert_eq!(hand.anew(), found(1, 1, 10, &[("a", "1"), ("b", "1")], &["a"]));
}

#[test]
fn a_folder_of_who_was_replaced_is_not_gone_on_with() {
    let mut hand = counted();
    let folder = StateDb::in_memory();
    hand.restore(&folder);
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    // The first one goes on behind the second one's back, and its folder says so.
    hand.puts(1, "a", "late");
    hand.marks((1, 0), 2, 30);
    let mut batch = StateBatch::default();
    CommitPlace::new(0, 0).write(&folder, "q", CommitId { epoch: 1, number: 2 }, &mut batch);
    batch.set_position(&folder, "q", &hand.place, Offset(5));
    batch.write().unwrap();
    hand.marks((2, 3), 2, 20);
    assert_eq!(hand.restore(&folder), found(2, 2, 20, &[("a", "2"), ("b", "1")], &["a"]));
    // One that has only stood still is.
    let mut hand = counted();
    let folder = StateDb::in_memory();
    hand.restore(&folder);
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    hand.marks((2, 3), 2, 20);
    hand.puts(1, "b", "late");
    assert_eq!(hand.restore(&folder), found(2, 2, 20, &[("a", "2"), ("b", "1")], &["b"]));
}

#[test]
fn a_version_that_knows_no_epochs_may_have_gone_on() {
    let mut hand = counted();
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    hand.marks((2, 3), 2, 20);
    hand.puts(0, "a", "3");
    hand.marks((0, 0), 3, 30);
    assert_eq!(hand.anew(), found(0, 3, 30, &[("a", "3"), ("b", "1")], &[]));
    // Its folder says so as well, and then nothing is to be read.
    let folder = StateDb::in_memory();
    hand.restore(&folder);
    assert_eq!(hand.restore(&folder), found(0, 3, 30, &[("a", "3"), ("b", "1")], &[]));
    // From there the next one begins as if nobody had been before.
    hand.owner = None;
    hand.begins(4, commit(0, 3));
    hand.puts(0, "b", "late");
    hand.marks((4, 7), 4, 40);
    assert_eq!(hand.anew(), found(4, 4, 40, &[("a", "3"), ("b", "1")], &["b"]));
}

#[test]
fn commits_of_the_first_version_are_restored() {
    let hand = Hand::new();
    hand.puts(0, "a", "1");
    hand.marks((0, 0), 0, 10);
    hand.puts(0, "a", "2");
    hand.marks((0, 0), 0, 20);
    hand.puts(0, "b", "cut");
    assert_eq!(hand.anew(), found(0, 0, 20, &[("a", "2")], &["b"]));
}

const HOUR_MS: i64 = 60 * 60 * 1000;

/// The next owner deletes `a`, and goes on until the changelog is compacted so many hours later.
fn deleted_and_compacted(hand: &mut Hand, hours: i64) {
    hand.begins(2, commit(1, 1));
    hand.append(2, b"a", None);
    hand.marks((2, 3), 2, 20);
    hand.now_ms += hours * HOUR_MS;
    hand.puts(2, "c", "1");
    hand.marks((2, 3), 3, 30);
    hand.log.compact("c", hand.now_ms - 24 * HOUR_MS).unwrap();
}

#[test]
fn what_was_deleted_behind_an_old_folder_does_not_come_back() {
    for hours in [1, 11, 13, 23, 25, 1_000] {
        let mut hand = counted();
        let folder = StateDb::in_memory();
        hand.restore(&folder);
        deleted_and_compacted(&mut hand, hours);
        assert_eq!(hand.restore(&folder), found(2, 3, 30, &[("b", "1"), ("c", "1")], &[]), "{hours} hours");
        // From here on it is up to date, whatever the time.
        hand.now_ms += 1_000 * HOUR_MS;
        assert_eq!(hand.restore(&folder), found(2, 3, 30, &[("b", "1"), ("c", "1")], &[]), "{hours} hours");
    }
}

#[test]
fn a_folder_that_was_being_emptied_or_filled_for_too_long_is_begun_anew() {
    let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
    let begun = Begun::new(0, 0);
    // What an earlier restore has left: where it stands, and since when; how many hours ago; whether it is gone on with.
    for (place, hours, goes_on) in [(CLEARING, 1, false), (Offset(1), 1, true), (Offset(1), 13, false), (Offset(1), -1, false)] {
        let mut hand = counted();
        deleted_and_compacted(&mut hand, 30);
        let folder = StateDb::in_memory();
        let mut store = folder.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: true }).unwrap();
        store.put(b"of the first slice", Some(b"1"));
        let place = (&hand.place, place);
        write_slice(&folder, &mut store, &[place, begun.at(hand.now_ms - hours * HOUR_MS)]).unwrap();
        drop(store);
        let mut expected = found(2, 3, 30, &[("b", "1"), ("c", "1")], &[]);
        if goes_on {
            expected.entries.insert("of the first slice".into(), "1".into());
        }
        assert_eq!(hand.restore(&folder), expected, "{place:?}, {hours} hours");
    }
}

#[test]
fn a_standby_does_not_go_past_what_is_owed() {
    let (mut hand, db) = (Hand::new(), StateDb::in_memory());
    hand.begins(1, None);
    hand.puts(1, "a", "1");
    hand.marks((1, 0), 1, 5);
    assert_eq!(hand.follow(&db), (found(1, 1, 5, &[("a", "1")], &[]), 2));
    hand.begins(2, commit(1, 1));
    hand.puts(2, "a", "2");
    hand.puts(2, "b", "1");
    // Late: compaction may take the value that holds for this one.
    hand.puts(1, "a", "late");
    hand.marks((2, 2), 1, 7);
    assert_eq!(hand.follow(&db), (found(2, 1, 7, &[("a", "2"), ("b", "1")], &["a"]), 4));
    // What has not come to its end.
    hand.puts(2, "c", "1");
    assert_eq!(hand.follow(&db), (found(2, 1, 7, &[("a", "2"), ("b", "1")], &["a", "c"]), 4));
    assert_eq!(hand.restore(&db).owed, ["a", "c"], "whoever goes on finds both");
    // It was written again.
    hand.puts(2, "a", "2");
    hand.marks((2, 2), 2, 8);
    let (found, included) = hand.follow(&db);
    assert_eq!((found.entries.len(), included), (3, hand.end().0));
    hand.puts(2, "d", "1");
    assert_eq!(hand.follow(&db).1, included, "not past the last commit");
}
