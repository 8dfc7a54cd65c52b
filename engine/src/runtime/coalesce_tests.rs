//! Coalesced tables as they come out of a query: one change a key and commit.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::join_tests::Bench;
use crate::state::StateDb;

const STREAM: &str = "CREATE STREAM L (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');";

/// Feeds key and time of records, commit by commit, and gives for each commit the keys and counts that come out.
fn run(sql: &str, commits: &[&[(&str, i64)]]) -> Vec<Vec<(String, Option<i64>)>> {
    let properties = BTreeMap::from([("cache.max.bytes.buffering".to_owned(), "1000000".to_owned())]);
    let mut bench = Bench::with(properties, StateDb::in_memory(), &format!("{STREAM} {sql}"), &["l"], 0);
    bench.query.hold();
    let mut seen = 0;
    let mut found = Vec::new();
    for commit in commits {
        for (key, at) in *commit {
            bench.feed_one("l", key, Some(&json!({"A": 1})), *at);
        }
        let written = bench.written_bytes();
        // The key alone, without its window.
        let count = |value: &Option<Json>| value.as_ref().and_then(|value| value["N"].as_i64());
        found.push(written.iter().skip(seen).map(|(key, value)| (String::from_utf8_lossy(&key[..1]).into_owned(), count(value))).collect());
        seen = written.len();
    }
    found
}

fn rows(rows: &[(&str, Option<i64>)]) -> Vec<(String, Option<i64>)> {
    rows.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

#[test]
fn sessions_that_grew_before_they_were_sent_are_sent_once() {
    let sql = "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM L WINDOW SESSION (10 SECONDS) GROUP BY ID;";
    let commits: &[&[(&str, i64)]] = &[
        &[("a", 1_000), ("a", 2_000), ("a", 3_000), ("a", 4_000)],
        // Grows what was sent: that goes first.
        &[("a", 5_000), ("a", 6_000)],
        // Inside of it: it stays as it was, with another count.
        &[("a", 2_500)],
        // Joins two that were never sent with one that was.
        &[("a", 30_000), ("a", 22_000), ("a", 14_000)],
        &[],
    ];
    let expected = [
        rows(&[("a", Some(4))]),
        rows(&[("a", None), ("a", Some(6))]),
        rows(&[("a", Some(7))]),
        rows(&[("a", None), ("a", Some(10))]),
        rows(&[]),
    ];
    assert_eq!(run(sql, commits), expected);
}

#[test]
fn keys_leave_in_the_order_of_their_last_change() {
    // Of one partition: others may lie between.
    let sql = "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM L GROUP BY ID;";
    let same = |key: &&str| crate::log::partition_for(Some(key.as_bytes()), 3, &mut 0) == 0;
    let keys: Vec<&str> = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].into_iter().filter(same).take(2).collect();
    let (x, y) = (keys[0], keys[1]);
    assert_eq!(run(sql, &[&[(x, 1), (y, 2), (x, 3)]]), [rows(&[(y, Some(1)), (x, Some(2))])]);
}
