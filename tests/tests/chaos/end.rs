//! The server is told to end under load, again and again: nothing is left to restore, no transaction open, no client without a last
//! word, and nothing is repeated.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tidemill_tests::ending::{PushClient, end_of};

use super::arena::{Arena, turn};
use super::report::{Row, count, seeded};

/// How long a broker may take to say where a partition ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Behind the last record that readers of an isolation level see.
fn end(bootstrap: &str, isolation: &str, topic: &str, partition: i32) -> i64 {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "nobody")
        .set("isolation.level", isolation)
        .create()
        .expect("a consumer");
    consumer.fetch_watermarks(topic, partition, PATIENCE).expect("an offset").1
}

fn ends(test: &'static str, exactly_once: bool) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    let planned = count(3, 200);
    let mut server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let (mut hit, mut wrong) = (0, Vec::new());
    for round in 0..planned {
        let client = PushClient::start(server.address(), "SELECT * FROM passed EMIT CHANGES;");
        load.wait_for(random.between(20, 300) as i64);
        let mut found = end_of(server, client, &arena.data, &arena.arguments());
        for (topic, partition) in arena.outputs().into_iter().filter(|_| exactly_once) {
            let (all, committed) =
                (end(&arena.servers, "read_uncommitted", &topic, partition), end(&arena.servers, "read_committed", &topic, partition));
            if all != committed {
                found.push(format!("a transaction is open in {topic}-{partition}: {committed} of {all} can be read"));
            }
        }
        hit += usize::from(found.is_empty());
        wrong.extend(found.into_iter().map(|what| format!("round {round}: {what}")));
        server = arena.start();
    }
    let clicks = load.stop();
    let mut verdict = arena.verdict(&server);
    verdict.wrong.extend(wrong);
    if verdict.repeats > 0 {
        verdict.wrong.push(format!("{} records came again behind an orderly end", verdict.repeats));
    }
    let note = format!("{clicks} clicks");
    Row { test, planned, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn orderly_ends() {
    ends("orderly_ends", false);
}

#[test]
fn orderly_ends_exactly_once() {
    ends("orderly_ends_exactly_once", true);
}
