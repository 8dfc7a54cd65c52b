//! A broker that goes and comes back: said once, nothing lost, nothing twice, nothing mistaken for "none".

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_engine::log::{Commit, Log, LogError, Offset, OutRecord};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;

use crate::support::{PATIENCE, Waiting, fill, handle, log_on, new_topic, partition};

#[test]
fn reading_and_writing_go_on_after_an_outage() {
    let Some(mut broker) = broker::own("reading_and_writing_go_on_after_an_outage") else { return };
    let log = log_on(&broker.bootstrap());
    let topic = new_topic(&log, "outage", 1);
    let group: Arc<str> = "outage-group".into();
    fill(&log, &topic, 0, 0, 1_000);
    let source = partition(&topic, 0);
    let commit = |next| Commit { offsets: vec![(group.clone(), vec![(source.clone(), Offset(next))])], state: StateBatch::default() };
    let mut writer = log.writer().expect("a writer");
    writer.commit(commit(1_000)).expect("a commit");
    let mut reader = Waiting::new(&log, vec![(source.clone(), Offset(0))]);
    assert_eq!(reader.take(1_000).last().map(|read| read.offset), Some(999));

    let topic_handle = handle(&log, &topic);
    broker.kill();
    // The reader hears of it, and it is worth trying again.
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        match reader.next(Duration::from_secs(1)) {
            Err(error) => break error,
            Ok(read) => assert_eq!(read, []),
        }
        assert!(Instant::now() < deadline, "the outage was not noticed");
    };
    assert!(matches!(&said, LogError::Retriable(text) if text.contains(&broker.bootstrap())), "{said}");
    assert!(log.ping(Duration::from_secs(1)).is_err());

    // Written during the outage, delivered after it.
    for number in 1_000..2_000_i64 {
        let text = number.to_string();
        let record = OutRecord { partition: 0, timestamp: 1, key: None, value: Some(text.as_bytes()), headers: &[] };
        writer.send(topic_handle, record).expect("a send into the queue");
    }
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| writer.commit(commit(2_000)));
        let asking = scope.spawn(|| log.committed(&group, std::slice::from_ref(&source)));
        // Longer than one request may take: it is tried again.
        std::thread::sleep(Duration::from_secs(15));
        broker.start_again().expect("the broker comes back");
        committing.join().expect("no panic").expect("the commit goes through");
        match asking.join().expect("no panic") {
            Ok(committed) => assert!(matches!(committed[..], [Some(Offset(1_000 | 2_000))]), "{committed:?}"),
            Err(error) => assert!(matches!(error, LogError::Retriable(_)), "{error}"),
        }
    });

    let mut next = 1_000;
    while next < 2_000 {
        for read in reader.next(Duration::from_secs(5)).unwrap_or_default() {
            assert_eq!((read.offset, read.value), (next, Some(next.to_string().into_bytes())), "once and in order");
            next += 1;
        }
        assert!(Instant::now() < deadline + PATIENCE, "stopped at {next}");
    }
    assert_eq!(log.committed(&group, &[source]).expect("offsets"), [Some(Offset(2_000))]);
    log.ping(Duration::from_secs(10)).expect("the broker answers");
}

#[test]
fn without_a_broker_nothing_is_none() {
    let Some(mut broker) = broker::own("without_a_broker_nothing_is_none") else { return };
    let log = log_on(&broker.bootstrap());
    let topic = new_topic(&log, "away", 1);
    let _ = handle(&log, &topic);
    broker.kill();
    let began = Instant::now();
    assert!(matches!(log.describe_topic(&topic), Err(LogError::Retriable(_))));
    assert!(matches!(log.list_topics(), Err(LogError::Retriable(_))));
    assert!(matches!(log.committed("g", &[partition(&topic, 0)]), Err(LogError::Retriable(_))));
    assert!(began.elapsed() < 3 * PATIENCE, "it does not wait for ever");
}
