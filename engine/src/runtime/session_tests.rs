//! Sessions of random records, in whatever order, with commits and restarts anywhere and memory for everything or nothing:
//! what the sink holds in the end is what a list of sessions gives.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::join_tests::Bench;
use crate::log::partition_for;
use crate::state::{StateDb, StateLimits};

const GAP: i64 = 5;
const GRACE: i64 = 20;
const RECORDS: i64 = 1_500;

/// Start, end and count.
type Session = (i64, i64, i64);

/// The sessions of each key, and the stream time of each partition.
#[derive(Default)]
struct Model {
    sessions: BTreeMap<&'static str, Vec<Session>>,
    times: BTreeMap<i32, i64>,
}

impl Model {
    fn add(&mut self, key: &'static str, at: i64) {
        let time = self.times.entry(partition_for(Some(key.as_bytes()), 3, &mut 0)).or_insert(i64::MIN);
        // The retention is as long as a session can change.
        let expired = time.saturating_sub(GAP + GRACE);
        *time = (*time).max(at);
        let closed = *time - GRACE - GAP;
        let sessions = self.sessions.entry(key).or_default();
        let touches = |(start, end, _): &Session| *end >= at - GAP && *end > expired && *start <= at + GAP;
        let touched: Vec<Session> = sessions.iter().copied().filter(touches).collect();
        let merged = touched.iter().fold((at, at, 1), |all, one| (all.0.min(one.0), all.1.max(one.1), all.2 + one.2));
        if merged.1 >= closed {
            sessions.retain(|session| !touched.contains(session));
            sessions.push(merged);
        }
    }
}

#[test]
fn sessions_are_those_of_a_list() {
    let script = format!(
        "CREATE STREAM L (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
         CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM L WINDOW SESSION ({GAP} MILLISECONDS, GRACE PERIOD {GRACE} MILLISECONDS)
           GROUP BY ID;"
    );
    for (seed, overlay_bytes) in (0..20).zip([0, 100_000, 128 << 20].into_iter().cycle()) {
        let mut random = StdRng::seed_from_u64(seed);
        let state = StateDb::in_memory_within(StateLimits { overlay_bytes, ..StateLimits::default() });
        let mut bench = Bench::over(state, &script, &["l"], seed);
        let mut model = Model::default();
        for step in 0..RECORDS {
            let key = ["a", "b", "c", "d"][random.random_range(0..4)];
            let at = (step + random.random_range(-40..=5)).max(0);
            bench.feed_one("l", key, Some(&json!({"A": step})), at);
            model.add(key, at);
            match random.random_range(0..60) {
                0 => bench.query.restart().unwrap(),
                1..6 => bench.query.end_chunk().unwrap(),
                _ => {}
            }
        }
        let mut sink = BTreeMap::new();
        for (key, value) in bench.written_bytes() {
            match value {
                Some(value) => sink.insert(key, value["N"].as_i64().unwrap()),
                None => sink.remove(&key),
            };
        }
        let spelled =
            |key: &str, (start, end, count): Session| ([key.as_bytes(), &end.to_be_bytes(), &start.to_be_bytes()].concat(), count);
        let sessions = model.sessions.iter().flat_map(|(key, sessions)| sessions.iter().map(|session| spelled(key, *session)));
        let expected: BTreeMap<_, _> = sessions.collect();
        let only_in = |one: &BTreeMap<Vec<u8>, i64>, other: &BTreeMap<Vec<u8>, i64>| {
            one.iter().filter(|(key, count)| other.get(*key) != Some(*count)).map(|(key, count)| (key.clone(), *count)).collect()
        };
        let (surplus, missing): (Vec<_>, Vec<_>) = (only_in(&sink, &expected), only_in(&expected, &sink));
        assert_eq!(surplus, missing, "seed {seed}, {overlay_bytes} bytes of overlays");
    }
}
