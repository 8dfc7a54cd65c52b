//! Times from anywhere: no record, whatever its timestamp, costs a windowed operator or a join more than a few steps, ends
//! its query, or vanishes without a word.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::join_tests::Bench;
use crate::state::{StateDb, visits};

const STREAMS: &str = "CREATE STREAM L (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
    CREATE STREAM R (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', TIMESTAMP='A');
    CREATE TABLE T (ID STRING PRIMARY KEY, A BIGINT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', TIMESTAMP='A');";

const QUERIES: &[&str] = &[
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW TUMBLING (SIZE 7 SECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM R WINDOW TUMBLING (SIZE 7 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY ID EMIT FINAL;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW HOPPING (SIZE 7 SECONDS, ADVANCE BY 2 SECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM R WINDOW HOPPING (SIZE 7 SECONDS, ADVANCE BY 2 SECONDS,
        GRACE PERIOD 106751991167 DAYS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW TUMBLING (SIZE 106751991167 DAYS, GRACE PERIOD 106751991167 DAYS) GROUP BY ID
        EMIT FINAL;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW SESSION (7 SECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM R WINDOW SESSION (7 SECONDS, GRACE PERIOD 3 SECONDS) GROUP BY ID EMIT FINAL;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM R WINDOW SESSION (106751991167 DAYS, GRACE PERIOD 106751991167 DAYS) GROUP BY ID;",
    "CREATE STREAM O AS SELECT L.ID, L.A, R.A AS B FROM L JOIN R WITHIN 7 SECONDS ON L.ID = R.ID;",
    "CREATE STREAM O AS SELECT L.ID, L.A, R.A AS B FROM L LEFT JOIN R WITHIN 7 SECONDS GRACE PERIOD 3 SECONDS ON L.ID = R.ID;",
    "CREATE STREAM O AS SELECT ROWKEY, L.A, R.A AS B FROM L FULL OUTER JOIN R WITHIN (0 SECONDS, 106751991167 DAYS)
        GRACE PERIOD 0 SECONDS ON L.ID = R.ID;",
    "CREATE STREAM O AS SELECT ROWKEY, L.A, R.A AS B FROM L FULL OUTER JOIN R WITHIN 106751991167 DAYS
        GRACE PERIOD 106751991167 DAYS ON L.ID = R.ID;",
    "CREATE STREAM O AS SELECT L.ID, L.A, T.A AS B FROM L LEFT JOIN T ON L.ID = T.ID;",
];

fn time(random: &mut StdRng) -> i64 {
    let near = random.random_range(-3..=3i64);
    let base = match random.random_range(0..9) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => -1,
        3 => 0,
        4 => random.random(),
        5 => i64::MAX / 7_000 * 7_000,
        6 => i64::MAX - 7_000,
        7 => random.random_range(0..100) * 7_000,
        _ => random.random_range(0..1_000) * 2_000,
    };
    base.saturating_add(near)
}

#[test]
fn any_time_takes_few_steps() {
    for query in QUERIES {
        for seed in 0..12 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut bench = Bench::over(StateDb::in_memory(), &format!("{STREAMS}{query}"), &["l", "r"], seed);
            let mut negative = 0;
            for step in 0..300 {
                let (key, at) = (["a", "b"][random.random_range(0..2)], time(&mut random));
                let topic = if random.random() { "l" } else { "r" };
                // The topic that is read by its column has a timestamp of its own, too.
                let timestamp = if topic == "r" { step } else { at };
                visits::take();
                bench.feed_one(topic, key, Some(&json!({"A": at})), timestamp);
                let steps = visits::take();
                // At most all rows that are held or match, and those are at most as many as there are.
                assert!(steps < 1_500, "{steps} steps for {at}, seed {seed}: {query}");
                let reads = |name: &str| query.contains(&format!("FROM {name} ")) || query.contains(&format!("JOIN {name} "));
                negative += usize::from(at < 0 && (topic == "l" && reads("L") || topic == "r" && (reads("R") || reads("T"))));
                match random.random_range(0..30) {
                    0 => bench.query.restart().unwrap(),
                    1 => bench.query.end_chunk().unwrap(),
                    _ => {}
                }
            }
            let rows = bench.written_bytes().len();
            assert!(rows < 300 * 200, "{rows} rows, seed {seed}: {query}");
            let reported = bench.reports.0.lock().iter().filter(|message| message.contains("negative")).count();
            assert_eq!(reported, negative, "records before 1970 are dropped and reported, seed {seed}: {query}");
        }
    }
}

#[test]
fn a_time_too_late_for_a_window_leaves_the_others_alone() {
    for query in [QUERIES[0], QUERIES[2], QUERIES[5]] {
        let mut bench = Bench::over(StateDb::in_memory(), &format!("{STREAMS}{query}"), &["l"], 0);
        for at in [1_000, i64::MAX, 2_000] {
            bench.feed_one("l", "a", Some(&json!({"A": 1})), at);
        }
        let counts: Vec<_> = bench.written_bytes().into_iter().filter_map(|(_, value)| value.map(|v| v["KSQL_COL_0"].clone())).collect();
        assert!(counts.contains(&json!(2)) && !counts.contains(&json!(3)), "{counts:?}");
        let reports = bench.reports.0.lock();
        assert_eq!(reports.len(), 1);
        assert!(reports[0].starts_with("Skipping record whose time 9223372036854775807 is too far in the future"), "{reports:?}");
    }
}
