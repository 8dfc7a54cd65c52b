//! Dead letters: what a query can't decode or process is kept as it was, can be read as a stream, and is counted by kind.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(30);

const STATEMENTS: &str = "
    CREATE STREAM raw (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='orders', PARTITIONS=1, FORMAT='KAFKA');
    CREATE STREAM orders (k STRING KEY, id INT, amount INT) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
    CREATE STREAM shares AS SELECT k, id, 100 / amount AS share FROM orders;";

const LETTERS: &str = "SELECT FROM_BYTES(record_key, 'utf8') AS k, FROM_BYTES(record_value, 'utf8') AS v, query_id, source_topic, source_offset, kind, \
                       part, reason, attempt FROM KSQL_DEAD_LETTERS";

fn server(folder: &std::path::Path) -> ServerProcess {
    ServerProcess::start_in(&folder.join("data"), &[], &[("KSQL_KSQL_DEAD_LETTER_TOPIC", "dead")])
}

fn produce(server: &ServerProcess, value: &str) {
    server.ksql(&format!("INSERT INTO raw (k, v) VALUES ('key', '{value}');"));
}

#[test]
fn bad_records_are_letters_and_the_query_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = server(folder.path());
    server.ksql(STATEMENTS);
    for value in [r#"{"ID":1,"AMOUNT":4}"#, "no JSON", r#"{"ID":2,"AMOUNT":0}"#, r#"{"ID":3,"AMOUNT":5}"#] {
        produce(&server, value);
    }
    server.pull_until("SELECT * FROM shares;", PATIENCE, |rows| rows.len() == 3);
    let query = server.running_queries().into_iter().next().expect("a query");
    let letters = server.pull_until(&format!("{LETTERS};"), PATIENCE, |letters| letters.len() == 2);
    let row = |letter: &Json| letter.as_array().cloned().unwrap_or_default();
    assert_eq!(
        row(&letters[0])[..7],
        [json!("key"), json!("no JSON"), json!(query), json!("orders"), json!(1), json!("undecodable"), json!("value")]
    );
    assert_eq!(
        row(&letters[1])[..7],
        [json!("key"), json!(r#"{"ID":2,"AMOUNT":0}"#), json!(query), json!("orders"), json!(2), json!("failed"), Json::Null]
    );
    assert!(letters[1][7].as_str().is_some_and(|reason| reason.contains("SHARE")), "{letters:?}");
    let (_, page) = server.request("GET", "/metrics", None).expect("an answer");
    for (name, kind, expected) in [("left_out", "undecodable", 1), ("left_out", "failed", 1), ("left_out", "late", 0)] {
        let sample = format!("tidemill_query_{name}_total{{query=\"{query}\",kind=\"{kind}\"}} {expected}");
        assert!(page.contains(&sample), "{sample}\n{page}");
    }
    assert!(page.contains(&format!("tidemill_query_dead_letters_total{{query=\"{query}\"}} 2")), "{page}");
    // SHOW QUERIES EXTENDED has the same numbers.
    let shown = server.ksql("SHOW QUERIES EXTENDED;");
    let metrics = &shown[0]["queryDescriptions"][0]["metrics"];
    assert_eq!(
        (&metrics["recordsRead"], &metrics["recordsWritten"], &metrics["deadLetters"]),
        (&json!(4), &json!(3), &json!(2)),
        "{shown}"
    );
    assert_eq!(metrics["leftOut"], json!({"undecodable": 1, "failed": 1}), "{shown}");
}

#[test]
fn a_query_has_letters_of_its_own_and_what_is_wrong_with_them_is_said() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(
        "CREATE STREAM orders (k STRING KEY, id INT) WITH (KAFKA_TOPIC='orders', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM raw (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='orders', FORMAT='KAFKA');",
    );
    let post = |sql: &str, properties: Json| {
        let body = json!({"ksql": sql, "streamsProperties": properties});
        server.request("POST", "/ksql", Some(&body)).expect("an answer")
    };
    let create = "CREATE STREAM copies AS SELECT * FROM orders;";
    for (name, value, expected) in [
        ("ksql.dead.letter.kinds", "late,lost", "'lost' must be one of: undecodable, failed, unwritable, late, null_key"),
        ("ksql.dead.letter.topic", "no topic", "ksql.dead.letter.topic"),
    ] {
        let (status, answer) = post(create, json!({name: value}));
        assert!(status == 400 && answer.contains(expected), "{status} {answer}");
    }
    let (status, answer) = post(create, json!({"ksql.dead.letter.topic": "mine", "ksql.dead.letter.kinds": "undecodable"}));
    assert_eq!(status, 200, "{answer}");
    server.ksql(
        "INSERT INTO raw (k, v) VALUES ('a', 'bad');
         CREATE STREAM letters (v BYTES, reason VARCHAR HEADER('tidemill.letter.reason')) WITH (KAFKA_TOPIC='mine', VALUE_FORMAT='KAFKA');",
    );
    let letters = server.pull_until("SELECT FROM_BYTES(v, 'utf8') AS v, reason FROM letters;", PATIENCE, |letters| letters.len() == 1);
    assert_eq!(letters[0][0], "bad");
    // Other headers are bytes, as in ksqlDB.
    let (status, answer) =
        post("CREATE STREAM no (v BYTES, r VARCHAR HEADER('own')) WITH (KAFKA_TOPIC='mine', VALUE_FORMAT='KAFKA');", json!({}));
    assert!(status == 400 && answer.contains("expected BYTES"), "{answer}");
}

/// What a statement says.
fn said(server: &ServerProcess, sql: &str) -> String {
    server.ksql(sql)[0]["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn letters_go_through_a_mended_query_once_and_nobody_else_sees_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut server = server(folder.path());
    server.ksql(STATEMENTS);
    server.ksql("CREATE STREAM others AS SELECT k, id FROM orders;");
    for value in [r#"{"ID":1,"AMOUNT":4}"#, r#"{"ID":2,"AMOUNT":"two"}"#, r#"{"ID":3,"AMOUNT":"x"}"#] {
        produce(&server, value);
    }
    server.pull_until("SELECT * FROM shares;", PATIENCE, |rows| rows.len() == 1);
    let query = server.running_queries().into_iter().find(|id| id.contains("SHARES")).expect("a query");
    server.pull_until(&format!("{LETTERS} WHERE query_id = '{query}';"), PATIENCE, |letters| letters.len() == 2);
    let shown = server.ksql("SHOW DEAD LETTERS LIMIT 5;");
    let shown = shown[0]["letters"].as_array().cloned().unwrap_or_default();
    assert!(shown.iter().any(|letter| letter["queryId"] == query.as_str() && letter["value"] == r#"{"ID":3,"AMOUNT":"x"}"#), "{shown:?}");
    let shown = server.ksql(&format!("SHOW DEAD LETTERS OF {query} LIMIT 1;"));
    assert_eq!((shown[0]["letters"].as_array().map(Vec::len), &shown[0]["letters"][0]["offset"]), (Some(1), &json!(2)));

    // They fail again, and are letters again.
    assert_eq!(said(&server, &format!("REPLAY DEAD LETTERS OF {query};")), format!("2 dead letters of {query} replayed."));
    let attempts = format!("SELECT attempt FROM KSQL_DEAD_LETTERS WHERE query_id = '{query}' AND attempt = 1;");
    server.pull_until(&attempts, PATIENCE, |letters| letters.len() == 2);

    // Another query over the same topic reads what this one could not, and now does so a second time.
    server.ksql(
        "CREATE STREAM texts (k STRING KEY, id INT, amount STRING) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');
         CREATE STREAM mended AS SELECT k, id, LEN(amount) AS n FROM texts;",
    );
    let mended = server.running_queries().into_iter().find(|id| id.contains("MENDED")).expect("a query");
    let replay = format!("REPLAY DEAD LETTERS OF {query} INTO {mended};");
    assert_eq!(said(&server, &replay), format!("2 dead letters of {query} replayed into {mended}; 2 dead letters replayed before."));
    let rows = |rows: &[Json]| {
        let mut rows = rows.to_vec();
        rows.sort_by_key(ToString::to_string);
        rows
    };
    let seen = server.pull_until("SELECT k, id, n FROM mended;", PATIENCE, |rows| rows.len() == 5);
    let expected = [[1, 1], [2, 3], [2, 3], [3, 1], [3, 1]].map(|[id, n]| json!(["key", id, n]));
    assert_eq!(rows(&seen), expected);
    // Not a second time, also after a restart.
    let again = format!("0 dead letters of {query} replayed into {mended}; 4 dead letters replayed before.");
    assert_eq!(said(&server, &replay), again);
    server.kill();
    server = ServerProcess::start_in(&data, &[], &[("KSQL_KSQL_DEAD_LETTER_TOPIC", "dead")]);
    assert_eq!(said(&server, &replay), again);
    produce(&server, r#"{"ID":9,"AMOUNT":"last!"}"#);
    let seen = server.pull_until("SELECT k, id, n FROM mended;", PATIENCE, |rows| rows.iter().any(|row| row[1] == 9));
    assert_eq!(seen.len(), 6, "{seen:?}");
    // Whoever reads the topic has met each record once.
    let others = server.pull_until("SELECT id FROM others;", PATIENCE, |rows| rows.iter().any(|row| row[0] == 9));
    assert_eq!(others.len(), 4, "{others:?}");
}

#[test]
fn what_can_not_be_replayed_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    let query = server.running_queries().into_iter().next().expect("a query");
    let post = |sql: &str| {
        let (status, answer) = server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).expect("an answer");
        assert_eq!(status, 400, "{sql}: {answer}");
        answer
    };
    for (sql, expected) in [
        (format!("REPLAY DEAD LETTERS OF {query};"), "ksql.dead.letter.topic was not set"),
        (format!("SHOW DEAD LETTERS OF {query};"), "ksql.dead.letter.topic was not set"),
        ("REPLAY DEAD LETTERS OF csas_share_7;".to_owned(), "Did you mean"),
        ("SHOW DEAD LETTERS;".to_owned(), "ksql.dead.letter.topic is not set"),
        (format!("REPLAY DEAD LETTERS {query};"), "OF"),
    ] {
        let answer = post(&sql);
        assert!(answer.contains(expected), "{sql}: {answer}");
    }
}
