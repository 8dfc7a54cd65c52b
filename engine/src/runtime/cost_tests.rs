//! What a record costs does not depend on what has passed: the entries that windowed operators look at, and the memory
//! that their stores take, stay the same however many windows have come and gone.

use serde_json::json;

use super::join_tests::Bench;
use crate::state::{StateDb, StateLimits, visits};

const ROUNDS: i64 = 10;
const RECORDS_PER_ROUND: i64 = 500;
/// Records of a commit.
const RECORDS_PER_COMMIT: i64 = 50;

const STREAMS: &str = "CREATE STREAM L (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
    CREATE STREAM R (ID STRING KEY, B BIGINT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');";

const QUERIES: &[&str] = &[
    "CREATE STREAM O AS SELECT L.ID, A, B FROM L LEFT JOIN R WITHIN 50 MILLISECONDS GRACE PERIOD 100 MILLISECONDS ON L.ID = R.ID;",
    "CREATE STREAM O AS SELECT ROWKEY, A, B FROM L FULL OUTER JOIN R WITHIN (0 MILLISECONDS, 500 MILLISECONDS)
        GRACE PERIOD 0 MILLISECONDS ON L.ID = R.ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS)
        GROUP BY ID EMIT FINAL;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW HOPPING (SIZE 20 MILLISECONDS, ADVANCE BY 5 MILLISECONDS,
        RETENTION 30 MILLISECONDS, GRACE PERIOD 10 MILLISECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW SESSION (5 MILLISECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW SESSION (100 MILLISECONDS, GRACE PERIOD 10 MILLISECONDS) GROUP BY ID;",
    "CREATE TABLE O AS SELECT ID, COUNT(*) FROM L WINDOW SESSION (5 MILLISECONDS, GRACE PERIOD 10 MILLISECONDS) GROUP BY ID EMIT FINAL;",
];

/// Entries looked at and bytes of overlays, round by round.
fn rounds(query: &str, overlay_bytes: usize, restarts: bool) -> Vec<(u64, usize)> {
    let state = StateDb::in_memory_within(StateLimits { overlay_bytes, ..StateLimits::default() });
    let mut bench = Bench::over(state.clone(), &format!("{STREAMS}{query}"), &["l", "r"], 1);
    let mut costs = Vec::new();
    for round in 0..ROUNDS {
        visits::take();
        for index in 0..RECORDS_PER_ROUND {
            let number = round * RECORDS_PER_ROUND + index;
            let key = format!("k{}", number % 7);
            // A little out of order, and now and then with nothing on the other side, or with a gap.
            let timestamp = number - number % 3 * 2 + number / 50 * 40;
            bench.feed_one("l", &key, Some(&json!({"A": number})), timestamp);
            if number % 3 != 0 && query.contains("JOIN") {
                bench.feed_one("r", &key, Some(&json!({"B": number})), timestamp + 1);
            }
            if index % RECORDS_PER_COMMIT == 0 {
                bench.query.end_chunk().unwrap();
            }
        }
        costs.push((visits::take(), state.overlay_bytes()));
        if restarts {
            bench.query.restart().unwrap();
        }
    }
    assert!(!bench.written_bytes().is_empty(), "{query}");
    costs
}

#[test]
fn what_has_passed_costs_nothing() {
    for query in QUERIES {
        for (overlay_bytes, restarts) in [(0, false), (0, true), (1 << 20, true), (128 << 20, false)] {
            let costs = rounds(query, overlay_bytes, restarts);
            let (early, late) = (&costs[1..4], &costs[costs.len() - 3..]);
            let sum = |part: &[(u64, usize)]| part.iter().map(|(visits, _)| visits).sum::<u64>();
            let most = |part: &[(u64, usize)]| part.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
            let what = format!("{query}\nwithin {overlay_bytes} bytes, with restarts: {restarts}: {costs:?}");
            assert!(sum(late) <= sum(early) * 5 / 4 + 100, "more and more entries are looked at by {what}");
            // Sessions that can still change are kept.
            assert!(most(late) <= most(early) * 5 / 4 || !query.contains("GRACE"), "more and more memory is taken by {what}");
        }
    }
}
