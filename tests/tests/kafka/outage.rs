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

#[test]
fn groups_and_offsets_survive_repeated_outages() {
    let Some(mut broker) = broker::own("groups_and_offsets_survive_repeated_outages") else { return };
    let log = log_on(&broker.bootstrap());
    let topic = new_topic(&log, "flapping", 2);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Requests of every kind under way whenever the broker goes or comes: some fail, none brings the process down.
        let asking = scope.spawn(|| {
            let both = [partition(&topic, 0), partition(&topic, 1)];
            let (mut answered, mut failed) = (0, 0);
            for number in 0.. {
                if done.load(std::sync::atomic::Ordering::Acquire) {
                    break;
                }
                let answer = match number % 4 {
                    0 => log.offsets(&both, tidemill_engine::log::OffsetSpec::Latest).map(|_| ()),
                    1 => log.committed("flapping-group", &both).map(|_| ()),
                    2 => log.describe_topic(&topic).map(|found| assert!(found.is_some(), "an outage is not an absence")),
                    _ => log.delete_group("flapping-group"),
                };
                match answer {
                    Ok(()) => answered += 1,
                    Err(LogError::Retriable(_)) => failed += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            (answered, failed)
        });
        let committing = scope.spawn(|| {
            let mut writer = log.writer().expect("a writer");
            let mut next = 0;
            while !done.load(std::sync::atomic::Ordering::Acquire) {
                next += 1;
                let offsets = vec![("flapping-committed".into(), vec![(partition(&topic, 0), Offset(next))])];
                writer.commit(Commit { offsets, state: StateBatch::default() }).expect("a commit outlasts an outage");
                std::thread::sleep(Duration::from_millis(5));
            }
            next
        });
        for round in 0..2 {
            std::thread::sleep(Duration::from_millis(1_500));
            broker.kill();
            // Shorter and longer than a request's time limit.
            std::thread::sleep(Duration::from_secs(if round == 1 { 13 } else { 2 }));
            broker.start_again().expect("the broker comes back");
        }
        std::thread::sleep(Duration::from_secs(2));
        done.store(true, std::sync::atomic::Ordering::Release);
        let committed = committing.join().expect("the committer lives");
        let (answered, _) = asking.join().expect("the asker lives");
        assert!(answered > 0);
        let other = log_on(&broker.bootstrap());
        let found = other.committed("flapping-committed", &[partition(&topic, 0)]).expect("offsets");
        assert_eq!(found, [Some(Offset(committed))]);
    });
}
