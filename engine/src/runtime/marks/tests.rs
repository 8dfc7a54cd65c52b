//! The topic of marks on the simulated log.

use super::super::ends::CommitNumber;
use super::*;
use crate::log::simulated::{SimulatedLog, SimulationOptions};
use crate::log::{Commit, OffsetSpec, TopicPartition};
use crate::state::StateBatch;

fn log() -> SimulatedLog {
    SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() })
}

fn marked(number: CommitNumber, next: i64) -> Marked {
    Marked { commit: CommitId { epoch: 1, number }, inputs: vec![(TopicPartition { topic: "in".into(), partition: 3 }, Offset(next))] }
}

fn commit(writer: &mut dyn LogWriter) {
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
}

#[test]
fn the_newest_commit_counts_whichever_worker_made_it() {
    let log = log();
    let marks = Marks::new("s", 1, 3, 1, "a");
    assert!(marks.open(&log, false).unwrap().is_empty());
    let mut writer = log.writer().unwrap();
    marks.send(&mut *writer, 2, ("q", 0, 5), &marked(7, 70), 1).unwrap();
    marks.send(&mut *writer, 0, ("q", 0, 5), &marked(6, 60), 1).unwrap();
    marks.send(&mut *writer, 1, ("gone", 0, 0), &marked(1, 1), 1).unwrap();
    commit(&mut *writer);
    let later = Marks::new("s", 1, 3, 2, "a");
    later.open(&log, false).unwrap();
    assert_eq!(later.of("q", 0, 5), Some(marked(7, 70)));
    assert_eq!(later.of_all("q", 0).len(), 1);
    assert_eq!(later.of("q", 1, 5), None);
    later.forget(&log, "gone", 1);
    let last = Marks::new("s", 1, 3, 3, "a");
    last.open(&log, false).unwrap();
    assert_eq!((last.of("gone", 0, 0), last.of("q", 0, 5).is_some()), (None, true));
}

#[test]
fn what_is_known_by_heart_goes_to_a_new_topic() {
    let log = log();
    let marks = Marks::new("s", 1, 2, 1, "a");
    let (.., mut writer) = marks.open(&log, true).unwrap().pop().unwrap();
    marks.send(&mut *writer, 1, ("q", 0, 0), &marked(4, 40), 1).unwrap();
    commit(&mut *writer);
    marks.committed(1, (&"q".into(), 0, 0), marked(4, 40));
    let before = marks.identities(None).0;
    log.delete_topic("s_positions").unwrap();
    marks.is_lost();
    assert_eq!(marks.open(&log, true).unwrap().len(), 2 * HANDS, "writers that are known in the new topic");
    marks.rewrite(&log, "q", 1).unwrap();
    let (read, written) = (before, marks.identities(None).0);
    assert!(read != written && written.is_some(), "{read:?} {written:?}");
    assert!(marks.identities(read.as_ref()).1 && marks.identities(written.as_ref()).1, "it knows what both held");
    let next = Marks::new("s", 1, 2, 2, "a");
    next.open(&log, false).unwrap();
    assert_eq!(next.of("q", 0, 0), Some(marked(4, 40)));
    assert_eq!(next.identities(written.as_ref()), (written, true));
    assert!(!next.identities(read.as_ref()).1);
}

#[test]
fn what_an_earlier_life_left_open_ends_before_marks_are_read() {
    let log = log();
    let first = Marks::new("s", 1, 2, 1, "a");
    let (.., mut writer) = first.open(&log, true).unwrap().pop().unwrap();
    first.send(&mut *writer, 1, ("q", 0, 0), &marked(1, 10), 1).unwrap();
    commit(&mut *writer);
    first.send(&mut *writer, 1, ("q", 0, 0), &marked(2, 20), 1).unwrap();
    writer.flush().unwrap();
    // The next life has fewer workers, and no query that needs transactions.
    let next = Marks::new("s", 1, 1, 2, "a");
    assert_eq!(next.open(&log, false).unwrap().len(), HANDS);
    assert_eq!(next.of("q", 0, 0), Some(marked(1, 10)));
    let end = |log: &SimulatedLog| log.offsets(&[TopicPartition { topic: "s_positions".into(), partition: 1 }], OffsetSpec::Latest);
    let before = end(&log).unwrap();
    let stale = writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() });
    assert!(matches!(stale, Err(LogError::Fenced(_))), "{stale:?}");
    assert_eq!(end(&log).unwrap(), before, "nothing holds readers up, and nothing was added");
}

#[test]
fn the_ids_of_another_server_end_once() {
    let log = log();
    let first = Marks::new("s", 1, 1, 1, "a");
    let (.., mut writer) = first.open(&log, true).unwrap().pop().unwrap();
    first.send(&mut *writer, 0, ("q", 0, 0), &marked(1, 10), 1).unwrap();
    writer.flush().unwrap();
    let places = || crate::log::partitions_of("s_positions", PARTITIONS);
    let size = |log: &SimulatedLog| log.offsets(&places(), OffsetSpec::Latest).unwrap().iter().map(|end| end.0).sum::<i64>();
    // Another folder, which needs no transactions itself.
    let next = Marks::new("s", 1, 1, 2, "b");
    assert_eq!(next.open(&log, false).unwrap().len(), HANDS);
    assert_eq!(next.of("q", 0, 0), None, "what was open has ended");
    assert!(matches!(writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }), Err(LogError::Fenced(_))));
    let last = Marks::new("s", 1, 1, 3, "b");
    let before = size(&log);
    last.open(&log, false).unwrap();
    let hands = i64::try_from(HANDS).unwrap();
    assert_eq!(size(&log) - before, hands + 1, "its own ids and its epoch, and nothing of the first server's ids");
    // It comes back, and has them again.
    let again = Marks::new("s", 1, 1, 4, "a");
    assert_eq!(again.open(&log, true).unwrap().len(), HANDS);
}
