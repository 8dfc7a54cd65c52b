//! kill -9 under joins: streams joined in time, tables joined on their keys and on a foreign key. What the joins give is
//! counted, so that a pair lost or made twice shows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tidemill_tests::server::ServerProcess;

/// Rounds of inserts, each with a kill behind it.
const ROUNDS: i64 = 3;
/// Inserts a round, into each source.
const INSERTS: i64 = 12;
const KEYS: i64 = 3;
/// How long the queries may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(20);

const STATEMENTS: &str = "
    CREATE STREAM a (id STRING KEY, n INT) WITH (KAFKA_TOPIC='a', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE STREAM b (id STRING KEY, a_id STRING) WITH (KAFKA_TOPIC='b', PARTITIONS=3, VALUE_FORMAT='JSON');
    CREATE STREAM pairs AS SELECT a.id AS id, b.id AS other FROM a JOIN b WITHIN 1 DAY ON a.id = b.a_id;
    CREATE TABLE pair_counts AS SELECT id, COUNT(*) AS c FROM pairs GROUP BY id;
    CREATE TABLE desks (id STRING PRIMARY KEY, room STRING) WITH (KAFKA_TOPIC='desks', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE rooms (room STRING PRIMARY KEY, floor INT) WITH (KAFKA_TOPIC='rooms', PARTITIONS=3, VALUE_FORMAT='JSON');
    CREATE TABLE people (id STRING PRIMARY KEY, name STRING) WITH (KAFKA_TOPIC='people', PARTITIONS=2, FORMAT='JSON');
    CREATE TABLE floors AS SELECT floor, COUNT(*) AS c FROM desks LEFT JOIN rooms ON desks.room = rooms.room GROUP BY floor;
    CREATE TABLE seats AS SELECT ROWKEY AS id, room, name FROM desks FULL OUTER JOIN people ON desks.id = people.id;
    CREATE TABLE seat_counts AS SELECT CASE WHEN room IS NULL THEN 1 ELSE 0 END AS standing, COUNT(*) AS c
      FROM seats GROUP BY CASE WHEN room IS NULL THEN 1 ELSE 0 END;";

#[test]
fn joins_come_back_after_kill_9() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut server = ServerProcess::start(&data, &[]);
    server.ksql(STATEMENTS);
    let mut expected = Expected::default();
    for round in 0..ROUNDS {
        for n in 0..INSERTS {
            let number = round * INSERTS + n;
            let key = number % KEYS;
            server.ksql(&format!("INSERT INTO a (id, n) VALUES ('k{key}', {number});"));
            server.ksql(&format!("INSERT INTO b (id, a_id) VALUES ('b{number}', 'k{key}');"));
            *expected.per_key.entry(key).or_default() += 1;
            // Desks move to another room each round, rooms to another floor, and half of the desks have somebody.
            server.ksql(&format!("INSERT INTO desks (id, room) VALUES ('d{n}', 'r{}');", (n + round) % KEYS));
            server.ksql(&format!("INSERT INTO people (id, name) VALUES ('d{}', 'p{round}');", 2 * n));
        }
        for room in 0..KEYS {
            server.ksql(&format!("INSERT INTO rooms (room, floor) VALUES ('r{room}', {});", room / 2 + round));
        }
        expected.round = round;
        // At once, with whatever is in flight.
        server.kill();
        server = ServerProcess::start(&data, &[]);
        expected.check(&server);
    }
}

#[derive(Default)]
struct Expected {
    /// Rows of either stream by key: each row of one meets each of the other.
    per_key: BTreeMap<i64, i64>,
    round: i64,
}

impl Expected {
    fn check(&self, server: &ServerProcess) {
        for (key, rows) in &self.per_key {
            answers(server, &format!("SELECT c FROM pair_counts WHERE id = 'k{key}';"), rows * rows);
        }
        // Rooms 0 and 1 are on one floor, room 2 on the next; earlier floors are empty by now.
        answers(server, &format!("SELECT c FROM floors WHERE floor = {};", self.round), INSERTS / KEYS * 2);
        answers(server, &format!("SELECT c FROM floors WHERE floor = {};", self.round + 1), INSERTS / KEYS);
        if self.round > 0 {
            answers(server, &format!("SELECT c FROM floors WHERE floor = {};", self.round - 1), 0);
        }
        answers(server, "SELECT c FROM seat_counts WHERE standing = 0;", INSERTS);
        answers(server, "SELECT c FROM seat_counts WHERE standing = 1;", INSERTS / 2);
    }
}

/// The query's one number must become the given one.
fn answers(server: &ServerProcess, query: &str, expected: i64) {
    server.pull_until(query, CATCH_UP, |rows| rows == [json!([expected])]);
}
