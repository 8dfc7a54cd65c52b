//! Several subscribers of one partition: each gets its own records once and in order, whatever the others do.

use std::time::{Duration, Instant};

use tidemill_engine::log::{Log, Offset, OffsetSpec};

use crate::support::{PATIENCE, Waiting, fill, new_topic, partition, shared_log};

/// Enough that subscribers stand farther apart than the log lets them share a position.
const RECORDS: i64 = 120_000;

/// Reads `from..to` and checks each record.
fn read_through(reader: &mut Waiting, from: i64, to: i64) {
    let mut next = from;
    let deadline = Instant::now() + PATIENCE;
    while next < to {
        for read in reader.next(Duration::from_secs(5)).expect("records") {
            assert_eq!(read.offset, next, "in order, none twice");
            assert_eq!(read.value.as_deref(), Some(next.to_string().as_bytes()));
            next += 1;
        }
        assert!(Instant::now() < deadline, "stopped at {next} of {to}");
    }
    assert_eq!(next, to);
}

#[test]
fn subscribers_at_different_offsets_share_a_partition() {
    let Some(log) = shared_log("subscribers_at_different_offsets_share_a_partition") else { return };
    let topic = new_topic(&log, "sharing", 1);
    fill(&log, &topic, 0, 0, RECORDS);
    let at = |offset| vec![(partition(&topic, 0), Offset(offset))];

    let mut first = Waiting::new(&log, at(RECORDS - 10));
    read_through(&mut first, RECORDS - 10, RECORDS);
    let readers: Vec<(i64, Waiting)> =
        [0, 0, 5, RECORDS / 2, RECORDS - 1, 30_000, RECORDS].into_iter().map(|from| (from, Waiting::new(&log, at(from)))).collect();
    std::thread::scope(|scope| {
        for (from, mut reader) in readers {
            scope.spawn(move || {
                // At the end all read on together.
                read_through(&mut reader, from, RECORDS + 5_000);
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        fill(&log, &topic, 0, RECORDS, RECORDS + 5_000);
        read_through(&mut first, RECORDS, RECORDS + 5_000);
    });
}

#[test]
fn a_slow_subscriber_holds_up_nobody() {
    let Some(log) = shared_log("a_slow_subscriber_holds_up_nobody") else { return };
    let topic = new_topic(&log, "slow", 1);
    fill(&log, &topic, 0, 0, RECORDS);
    let at = |offset| vec![(partition(&topic, 0), Offset(offset))];
    let mut slow = Waiting::with_buffer(&log, at(0), 64 << 10);
    let mut fast = Waiting::with_buffer(&log, at(0), 64 << 10);
    assert_eq!(slow.take_batch_from(0), 0);
    read_through(&mut fast, 0, RECORDS);
    // The slow one has lost nothing.
    let seen = slow.seen;
    read_through(&mut slow, seen, RECORDS);
}

impl Waiting {
    /// Reads one batch and remembers how far it got.
    fn take_batch_from(&mut self, from: i64) -> i64 {
        let read = self.next(PATIENCE).expect("a batch");
        self.seen = read.last().map_or(from, |last| last.offset + 1);
        read.first().map_or(-1, |first| first.offset)
    }
}

#[test]
fn a_reader_seeks_alone() {
    let Some(log) = shared_log("a_reader_seeks_alone") else { return };
    let topic = new_topic(&log, "seeking", 2);
    fill(&log, &topic, 0, 0, 60_000);
    fill(&log, &topic, 1, 0, 10);
    let both = |a, b| vec![(partition(&topic, 0), Offset(a)), (partition(&topic, 1), Offset(b))];
    let mut other = Waiting::new(&log, vec![(partition(&topic, 0), Offset(0))]);
    let mut reader = Waiting::new(&log, both(50_000, 10));
    read_through(&mut reader, 50_000, 60_000);
    read_through(&mut other, 0, 60_000);
    reader.reader.seek(&[Offset(59_990), Offset(5)]).expect("a seek");
    let mut read = reader.take(15);
    read.sort_by_key(|read| (read.source, read.offset));
    let places: Vec<_> = read.iter().map(|read| (read.source, read.offset)).collect();
    let expected: Vec<_> = (59_990..60_000).map(|at| (0, at)).chain((5..10).map(|at| (1, at))).collect();
    assert_eq!(places, expected);
    reader.reader.seek(&[Offset(0), Offset(10)]).expect("a seek");
    read_through(&mut reader, 0, 60_000);
    assert_eq!(other.next(Duration::from_millis(300)).expect("nothing new"), []);
    assert!(reader.reader.seek(&[Offset(0)]).is_err());
}

#[test]
fn a_reader_knows_when_it_has_caught_up() {
    let Some(log) = shared_log("a_reader_knows_when_it_has_caught_up") else { return };
    let topic = new_topic(&log, "caught-up", 2);
    fill(&log, &topic, 0, 0, 5_000);
    let ends = log.offsets(&[partition(&topic, 0)], OffsetSpec::Latest).expect("ends");
    let mut reader = Waiting::new(&log, vec![(partition(&topic, 0), Offset(0)), (partition(&topic, 1), Offset(0))]);
    assert!(!reader.reader.caught_up(0));
    let mut count = 0;
    // The end is known from the start; an event of the client's may still have to be taken.
    let began = Instant::now();
    while !reader.reader.caught_up(1) {
        count += reader.next(Duration::from_millis(100)).expect("records").len() as i64;
        assert!(began.elapsed() < PATIENCE, "an empty partition holds nobody up");
    }
    while !reader.reader.caught_up(0) {
        count += reader.next(Duration::from_secs(5)).expect("records").len() as i64;
    }
    assert_eq!(count, ends[0].0, "not before the last record");
    assert_eq!(reader.next(Duration::from_millis(100)).expect("nothing"), []);
}
