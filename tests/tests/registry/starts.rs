//! What a user has without installing anything: formats with schemas work, what was registered is there after a restart, and
//! the registry can be switched off or be another's topic.

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

fn json_of(server: &ServerProcess, method: &str, path: &str, body: Option<&Json>) -> (u16, Json) {
    let (status, text) = server.request(method, path, body).expect("the server answers");
    (status, serde_json::from_str(&text).unwrap_or(Json::String(text)))
}

#[test]
fn avro_works_with_nothing_installed_and_schemas_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &[]);
    assert_eq!(json_of(&server, "GET", "/subjects", None), (200, json!([])));
    server.ksql("CREATE STREAM orders (id INT KEY, item STRING, n INT) WITH (KAFKA_TOPIC='orders', PARTITIONS=1, VALUE_FORMAT='AVRO');");
    server.ksql("INSERT INTO orders (id, item, n) VALUES (1, 'tea', 5);");
    let (status, schema) = json_of(&server, "GET", "/subjects/orders-value/versions/latest", None);
    assert_eq!((status, &schema["version"]), (200, &json!(1)), "{schema}");
    assert!(schema["schema"].as_str().is_some_and(|text| text.contains("KsqlDataSourceSchema")), "{schema}");
    // What others register is taken by name.
    let text = r#"{"type":"record","name":"R","fields":[{"name":"who","type":"string"}]}"#;
    let (status, registered) = json_of(&server, "POST", "/subjects/people-value/versions", Some(&json!({ "schema": text })));
    assert_eq!(status, 200, "{registered}");
    server.ksql("CREATE STREAM people (id INT KEY) WITH (KAFKA_TOPIC='people', PARTITIONS=1, VALUE_FORMAT='AVRO');");
    assert!(server.ksql("DESCRIBE people;").to_string().contains("WHO"));
    server.kill();
    let server = ServerProcess::start(&data, &[]);
    assert_eq!(json_of(&server, "GET", "/subjects", None), (200, json!(["orders-value", "people-value"])));
    assert_eq!(json_of(&server, "GET", &format!("/schemas/ids/{}", registered["id"]), None).1["schema"], text);
    server.ksql("CREATE TABLE counts AS SELECT item, COUNT(*) AS c FROM orders GROUP BY item;");
    server.pull_until("SELECT * FROM counts WHERE item = 'tea';", std::time::Duration::from_secs(30), |rows| rows.len() == 1);
}

#[test]
fn it_can_be_switched_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = [("TIDEMILL_SCHEMA_REGISTRY_ENABLED", "false")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &variables);
    assert_eq!(json_of(&server, "GET", "/subjects", None).0, 404);
    let body = json!({ "ksql": "CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='AVRO');" });
    let (status, answer) = json_of(&server, "POST", "/ksql", Some(&body));
    assert!(status >= 400 && answer["message"].to_string().contains("registry"), "{answer}");
}

#[test]
fn what_is_registered_can_be_asserted() {
    let folder = tempfile::tempdir().expect("a folder");
    // The default formats of users are not those of the server's own streams.
    let variables = [("KSQL_KSQL_PERSISTENCE_DEFAULT_FORMAT_KEY", "AVRO")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &[], &variables);
    server.ksql("CREATE STREAM s (k INT KEY, a INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON_SR');");
    let (_, schema) = json_of(&server, "GET", "/subjects/s-value/versions/latest", None);
    let id = &schema["id"];
    for held in ["SUBJECT 's-key'".to_owned(), format!("ID {id}"), format!("SUBJECT 's-value' ID {id}")] {
        let entity = server.ksql(&format!("ASSERT SCHEMA {held} TIMEOUT 1 SECONDS;"));
        assert_eq!((&entity[0]["@type"], &entity[0]["exists"]), (&json!("assert_schema"), &json!(true)), "{entity}");
    }
    server.ksql("ASSERT NOT EXISTS SCHEMA SUBJECT 'nobody';");
    server.ksql("ASSERT NOT EXISTS TOPIC nobody WITH (FOO=9);");
    for (statement, message) in [
        ("ASSERT SCHEMA SUBJECT 'nobody' TIMEOUT 10 MILLISECONDS;".to_owned(), "Schema with subject name nobody does not exist"),
        (format!("ASSERT SCHEMA SUBJECT 's-key' ID {id} TIMEOUT 10 MILLISECONDS;"), "does not exist"),
        (format!("ASSERT NOT EXISTS SCHEMA ID {id} TIMEOUT 10 MILLISECONDS;"), " exists"),
        (
            "ASSERT TOPIC 's' WITH (PARTITIONS=2, FOO=1) TIMEOUT 10 MILLISECONDS;".to_owned(),
            "got 1\nCannot assert unknown topic property: FOO",
        ),
    ] {
        let (status, answer) = json_of(&server, "POST", "/ksql", Some(&json!({ "ksql": statement })));
        assert_eq!((status, &answer["error_code"]), (417, &json!(41700)), "{answer}");
        assert!(answer["message"].as_str().is_some_and(|said| said.ends_with(message)), "{answer}");
    }
}

#[test]
fn a_topic_that_others_use_is_not_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM one (a INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='AVRO');");
    server.ksql("CREATE STREAM two WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');");
    let drop = json!({ "ksql": "DROP STREAM one DELETE TOPIC;" });
    let (status, answer) = json_of(&server, "POST", "/ksql", Some(&drop));
    let message = "Refusing to delete topic. Found other data sources (TWO) using topic t";
    assert!(status == 400 && answer["message"].as_str().is_some_and(|said| said.contains(message)), "{answer}");
    server.ksql("DROP STREAM two;");
    server.ksql("DROP STREAM one DELETE TOPIC;");
    assert_eq!(json_of(&server, "GET", "/subjects", None), (200, json!([])));
}

#[test]
fn subjects_that_the_registry_keeps_are_named_when_their_topic_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql("CREATE STREAM one (a INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='AVRO');");
    assert_eq!(json_of(&server, "PUT", "/mode/t-value", Some(&json!({ "mode": "READONLY" }))).0, 200);
    let dropped = server.ksql("DROP STREAM one DELETE TOPIC;");
    let warning = dropped[0]["warnings"][0]["message"].as_str().unwrap_or_default();
    let begins = "Could not clean up the schema registry for topic: t. ";
    assert!(warning.starts_with(begins) && warning.contains("what is left under t-value holds"), "{dropped}");
    assert!(!server.ksql("SHOW STREAMS;").to_string().contains("ONE"));
    assert!(!server.ksql("SHOW TOPICS;").to_string().contains("\"t\""));
}

/// As in ksqlDB: rows with the new column get a new version of the schema.
#[test]
fn rows_are_inserted_after_a_column_was_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    for format in ["AVRO", "PROTOBUF", "JSON_SR"] {
        let topic = format.to_lowercase();
        server.ksql(&format!(
            "CREATE STREAM s_{topic} (a INT, b STRING) WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, VALUE_FORMAT='{format}');"
        ));
        server.ksql(&format!("INSERT INTO s_{topic} VALUES (1, 'x');"));
        server.ksql(&format!("ALTER STREAM s_{topic} ADD COLUMN c DOUBLE;"));
        let insert = format!("INSERT INTO s_{topic} VALUES (2, 'y', 2.5);");
        if format == "JSON_SR" {
            // Its schemas are open, and nothing can be added to them compatibly.
            let (status, answer) = json_of(&server, "POST", "/ksql", Some(&json!({ "ksql": insert })));
            let message = answer["message"].as_str().unwrap_or_default();
            assert!(status == 400 && message.contains("PUT /config/json_sr-value with {\"compatibility\": \"NONE\"}"), "{answer}");
            assert_eq!(json_of(&server, "PUT", "/config/json_sr-value", Some(&json!({ "compatibility": "NONE" }))).0, 200);
        }
        server.ksql(&insert);
        assert_eq!(server.pull(&format!("SELECT a, b, c FROM s_{topic};")), [json!([1, "x", null]), json!([2, "y", 2.5])], "{format}");
        assert_eq!(json_of(&server, "GET", &format!("/subjects/{topic}-value/versions"), None), (200, json!([1, 2])), "{format}");
    }
}
