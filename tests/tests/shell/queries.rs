//! Queries at a terminal: why a push query ended, what a deletion looks like, why a query failed.

use std::process::Command;

use tidemill_tests::server::tidemill_binary;

use crate::support::{SALES, World, fake_server, piped};

#[test]
fn a_push_query_says_why_it_ended() {
    let world = World::new();
    assert_eq!(world.execute(SALES).code, Some(0));
    let said = world.execute("SET 'auto.offset.reset'='earliest'; SELECT * FROM orders EMIT CHANGES LIMIT 1;");
    assert!(said.code == Some(0) && said.out.ends_with("Query ended: its LIMIT is reached.\n"), "{said:?}");
    let mut terminal = world.terminal(&[], 100, 50);
    terminal.send("SELECT * FROM orders EMIT CHANGES;\r");
    terminal.wait_for("+---");
    let queries = world.server.ksql("SHOW QUERIES;");
    let push = queries[0]["queries"].as_array().into_iter().flatten().find(|q| q["queryType"] == "PUSH").expect("the push query");
    let close = serde_json::json!({"queryId": push["id"]});
    world.server.request("POST", "/close-query", Some(&close)).expect("the server answers");
    terminal.wait_for("Query ended: it was terminated.");
    terminal.wait_for("tidemill> ");
    terminal.send("SELECT * FROM orders EMIT CHANGES;\r");
    terminal.wait_for("+---");
    let World { server, folder } = world;
    server.terminate();
    terminal.wait_for("Query ended: the server stopped.");
    terminal.wait_for("tidemill> ");
    terminal.send("SHOW STREAMS;\r");
    terminal.wait_for("can't reach the server");
    drop(folder);
}

#[test]
fn a_server_that_dies_is_told_from_one_that_stops() {
    let world = World::new();
    assert_eq!(world.execute(SALES).code, Some(0));
    let mut terminal = world.terminal(&[], 100, 50);
    terminal.send("SELECT * FROM orders EMIT CHANGES;\r");
    terminal.wait_for("+---");
    let World { server, folder } = world;
    server.kill();
    terminal.wait_for("ended before it was complete");
    terminal.wait_for("tidemill> ");
    drop(folder);
}

#[test]
fn a_deletion_has_its_key_and_a_mark() {
    let world = World::new();
    let sql = "SET 'auto.offset.reset'='earliest';
        CREATE TABLE players (name STRING PRIMARY KEY, team STRING) WITH (KAFKA_TOPIC='players', PARTITIONS=1, VALUE_FORMAT='JSON');
        CREATE TABLE teams AS SELECT team, COUNT(*) AS n FROM players GROUP BY team HAVING COUNT(*) > 0;
        INSERT INTO players (name, team) VALUES ('ann', 'red');
        INSERT INTO players (name, team) VALUES ('ann', 'blue');
        SELECT * FROM teams EMIT CHANGES LIMIT 3;";
    for (output, deleted, null) in [("table", "|red", "null"), ("csv", "red,<TOMBSTONE>", "red,\n")] {
        let said = world.piped(
            &["--output", output, "-e", &format!("{}{sql}", "DROP TABLE IF EXISTS teams; DROP TABLE IF EXISTS players DELETE TOPIC;")],
            "",
        );
        assert_eq!(said.code, Some(0), "{said:?}");
        let line = said.out.lines().find(|line| line.contains("<TOMBSTONE>")).unwrap_or_else(|| panic!("no deletion: {said:?}"));
        assert!(line.starts_with(deleted) && !line.contains(null), "{line}");
    }
}

#[test]
fn a_failed_query_has_its_reason() {
    let url = fake_server(|request| {
        if request.starts_with("GET /info") {
            return r#"{"KsqlServerInfo":{"version":"1"}}"#;
        }
        if request.contains("EXPLAIN B_2;") {
            return r#"[{"@type":"queryDescription","queryDescription":{"queryErrors":[{"errorMessage":"the topic has gone"}]}}]"#;
        }
        assert!(request.contains("SHOW QUERIES;"), "{request}");
        r#"[{"@type":"queries","queries":[{"id":"A_1","queryString":"a","sinks":[],"queryType":"PERSISTENT","statusCount":{"RUNNING":1}},
            {"id":"B_2","queryString":"b","sinks":[],"queryType":"PERSISTENT","statusCount":{"ERROR":1}}]}]"#
    });
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "-e", "SHOW QUERIES;"]);
    let said = piped(command, "");
    assert!(said.code == Some(0) && said.out.contains("ERROR") && said.out.ends_with("B_2 failed: the topic has gone\n"), "{said:?}");
}
