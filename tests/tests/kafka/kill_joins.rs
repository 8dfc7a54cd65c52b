//! kill -9 under joins on Kafka, the data folder with it: what streams and tables were joined from comes back from the
//! changelogs, and the joins go on where they were.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, log_on, new_topic};

/// Rounds of inserts with a kill behind each; every second time the folder goes, too.
const ROUNDS: i64 = 4;
/// Desks, each in one of so many rooms.
const DESKS: i64 = 8;
const ROOMS: i64 = 3;

#[test]
fn joins_come_back_from_their_changelogs() {
    let Some(bootstrap) = broker::shared("joins_come_back_from_their_changelogs") else { return };
    let log = log_on(&bootstrap);
    let topic = |name: &str, partitions| new_topic(&log, name, partitions);
    let (a, b) = (topic("a", 2), topic("b", 3));
    let (desks, rooms, people) = (topic("desks", 2), topic("rooms", 3), topic("people", 2));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, config) = (folder.path().join("data"), folder.path().join("server.properties"));
    std::fs::write(&config, "ksql.service.id=kill_joins_\n").expect("a configuration");
    let start = || ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")]);

    let mut server = start();
    server.ksql(&format!(
        "CREATE STREAM a (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{a}', VALUE_FORMAT='JSON');
         CREATE STREAM b (id STRING KEY, a_id STRING) WITH (KAFKA_TOPIC='{b}', VALUE_FORMAT='JSON');
         CREATE STREAM pairs AS SELECT a.id AS id, a.n AS n, b.id AS other FROM a JOIN b WITHIN 1 DAY ON a.id = b.a_id;
         CREATE TABLE met AS SELECT id, COLLECT_SET(CONCAT(CAST(n AS STRING), other)) AS them FROM pairs GROUP BY id;
         CREATE TABLE desks (id STRING PRIMARY KEY, room STRING) WITH (KAFKA_TOPIC='{desks}', VALUE_FORMAT='JSON');
         CREATE TABLE rooms (room STRING PRIMARY KEY, floor INT) WITH (KAFKA_TOPIC='{rooms}', VALUE_FORMAT='JSON');
         CREATE TABLE people (id STRING PRIMARY KEY, name STRING) WITH (KAFKA_TOPIC='{people}', FORMAT='JSON');
         CREATE TABLE placed AS SELECT desks.id AS id, floor FROM desks LEFT JOIN rooms ON desks.room = rooms.room;
         CREATE TABLE floors AS SELECT * FROM placed;
         CREATE TABLE seats AS SELECT ROWKEY AS id, room, name FROM desks FULL OUTER JOIN people ON desks.id = people.id;
         CREATE TABLE seen AS SELECT * FROM seats;"
    ));
    let queries = server.running_queries();
    for round in 0..ROUNDS {
        server.ksql(&format!("INSERT INTO a (id, n) VALUES ('k', {round}); INSERT INTO b (id, a_id) VALUES ('b{round}', 'k');"));
        for desk in 0..DESKS {
            // Desks move to another room each round, rooms to another floor; half of the people have no desk.
            let insert_desk = format!("INSERT INTO desks (id, room) VALUES ('d{desk}', 'r{}');", (desk + round) % ROOMS);
            server.ksql(&format!("{insert_desk} INSERT INTO people (id, name) VALUES ('d{}', 'p{round}');", 2 * desk));
        }
        for room in 0..ROOMS {
            server.ksql(&format!("INSERT INTO rooms (room, floor) VALUES ('r{room}', {});", 10 * round + room));
        }
        server.kill();
        if round % 2 == 1 {
            std::fs::remove_dir_all(&data).expect("the data folder can be removed");
        }
        server = start();
        assert_eq!(server.running_queries(), queries, "{}", server.log());
        check(&server, round);
    }
}

fn check(server: &ServerProcess, round: i64) {
    let pairs = (0..=round).flat_map(|n| (0..=round).map(move |other| json!(format!("{n}b{other}"))));
    let pairs: BTreeSet<String> = pairs.map(|p| p.to_string()).collect();
    server.pull_until("SELECT them FROM met WHERE id = 'k';", PATIENCE, |rows| {
        let them = rows.first().and_then(|row| row[0].as_array());
        them.is_some_and(|them| them.iter().map(Json::to_string).collect::<BTreeSet<_>>() == pairs)
    });
    let same = |rows: &[Json], expected: &[Json]| rows.len() == expected.len() && expected.iter().all(|row| rows.contains(row));
    let room = |desk: i64| (desk + round) % ROOMS;
    let floors: Vec<Json> = (0..DESKS).map(|d| json!([format!("d{d}"), 10 * round + room(d)])).collect();
    server.pull_until("SELECT id, floor FROM floors;", PATIENCE, |rows| same(rows, &floors));
    let ids: BTreeSet<i64> = (0..DESKS).chain((0..DESKS).map(|d| 2 * d)).collect();
    let seat = |id: &i64| {
        let room = (*id < DESKS).then(|| format!("r{}", room(*id)));
        json!([format!("d{id}"), room, (id % 2 == 0).then(|| format!("p{round}"))])
    };
    let seats: Vec<Json> = ids.iter().map(seat).collect();
    server.pull_until("SELECT id, room, name FROM seen;", PATIENCE, |rows| same(rows, &seats));
}
