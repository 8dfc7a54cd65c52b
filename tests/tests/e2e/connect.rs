//! Statements about connectors, against a Kafka Connect that answers what a test wants: what it is asked, what becomes of
//! its answers and of their absence.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::fake_connect::{Answer, FakeConnect, connector, refusal, state};
use tidemill_tests::server::{ServerProcess, free_port};

const CREATE: &str = "CREATE SOURCE CONNECTOR `c` WITH ('connector.class'='org.X', \"connection.password\"='s3cret-word', \
                      'file'='${file:/etc/x:y}', 'tasks.max'=2, 'flag'=true);";

fn server(folder: &tempfile::TempDir, environment: &[(&str, &str)]) -> ServerProcess {
    ServerProcess::start_in(&folder.path().join("data"), &[], environment)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The status and body of what is answered to statements.
fn ksql(server: &ServerProcess, sql: &str) -> (u16, Json) {
    let (status, text) = server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("the server answers");
    (status, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
}

fn message(answer: &Json) -> &str {
    answer["message"].as_str().unwrap_or_default()
}

/// A Connect that keeps the connectors it is given, as the real one does.
fn keeping() -> FakeConnect {
    let mut kept: BTreeMap<String, Json> = BTreeMap::new();
    FakeConnect::start(move |asked| {
        let (method, path) = asked.line.split_once(' ').unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let not_found = |name: &str| refusal(404, &format!("Connector {name} not found"));
        match (method, parts.as_slice()) {
            ("GET", ["connectors"]) => Answer::Json(200, json!(kept.keys().collect::<Vec<_>>())),
            ("POST", ["connectors"]) => {
                let name = asked.body["name"].as_str().unwrap_or_default().to_owned();
                kept.insert(name.clone(), asked.body["config"].clone());
                Answer::Json(201, connector(&name, "source", &asked.body["config"]))
            }
            ("GET", ["connectors", name]) => match kept.get(*name) {
                Some(config) => Answer::Json(200, connector(name, "source", config)),
                None => not_found(name),
            },
            ("GET", ["connectors", name, "status"]) if kept.contains_key(*name) => {
                Answer::Json(200, state(name, "source", "RUNNING", "FAILED"))
            }
            ("GET", ["connectors", name, "topics"]) => Answer::Json(200, json!({*name: {"topics": ["lines"]}})),
            ("DELETE", ["connectors", name]) => match kept.remove(*name) {
                Some(_) => Answer::Bytes(Vec::new()),
                None => not_found(name),
            },
            ("GET", ["connector-plugins"]) => Answer::Json(200, json!([{"class": "org.X", "type": "source", "version": "4"}])),
            ("PUT", ["connector-plugins", _, "config", "validate"]) => Answer::Json(200, json!({"configs": []})),
            (_, [.., name, _] | [name]) => not_found(name),
            _ => not_found(""),
        }
    })
}

#[test]
fn a_connector_lives_in_connect_from_create_to_drop() {
    let (folder, connect) = (folder(), keeping());
    let server = server(&folder, &[("KSQL_KSQL_CONNECT_URL", &connect.url())]);
    server.ksql("CREATE STREAM lines (l STRING) WITH (KAFKA_TOPIC='lines', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let (status, created) = ksql(&server, CREATE);
    assert_eq!((status, &created[0]["@type"]), (200, &json!("connector_info")), "{created}");
    assert_eq!((&created[0]["info"]["name"], &created[0]["info"]["type"]), (&json!("c"), &json!("source")));
    assert_eq!(created[0]["info"]["tasks"], json!([{"connector": "c", "task": 0}]));
    let asked = connect.asked();
    let lines: Vec<&str> = asked.iter().map(|a| a.line.as_str()).collect();
    assert_eq!(lines, ["GET /connectors", "PUT /connector-plugins/org.X/config/validate", "POST /connectors"]);
    // Names keep their case, values become texts, and what is meant for Connect stays as it is.
    let config = json!({"connector.class": "org.X", "connection.password": "s3cret-word", "file": "${file:/etc/x:y}",
                        "tasks.max": "2", "flag": "true", "name": "c"});
    assert_eq!((&asked[1].body, &asked[2].body), (&config, &json!({"name": "c", "config": config})));

    let (_, listed) = ksql(&server, "SHOW SOURCE CONNECTORS; LIST SINK CONNECTORS; SHOW CONNECTOR PLUGINS;");
    let one = json!([{"name": "c", "type": "source", "className": "org.X", "state": "WARNING (0/1 tasks RUNNING)"}]);
    assert_eq!((&listed[0]["@type"], &listed[0]["connectors"]), (&json!("connector_list"), &one));
    assert_eq!((&listed[1]["connectors"], &listed[1]["warnings"]), (&json!([]), &json!([])));
    assert_eq!(listed[2]["@type"], "connector_plugins_list");
    assert_eq!(listed[2]["connectorsPlugins"], json!([{"className": "org.X", "type": "source", "version": "4"}]));

    let (_, described) = ksql(&server, "DESCRIBE CONNECTOR `c`;");
    let described = &described[0];
    assert_eq!((&described["@type"], &described["connectorClass"]), (&json!("connector_description"), &json!("org.X")));
    assert_eq!(described["status"], state("c", "source", "RUNNING", "FAILED"));
    assert_eq!((&described["topics"], &described["sources"][0]["name"]), (&json!(["lines"]), &json!("LINES")));

    let (status, again) = ksql(&server, &CREATE.replace("`c`", "C"));
    assert_eq!((status, &again["@type"], &again["error_code"]), (409, &json!("generic_error"), &json!(40900)));
    assert_eq!(message(&again), "Connector C already exists");
    let (status, again) = ksql(&server, &CREATE.replace("`c`", "IF NOT EXISTS `c`"));
    assert_eq!((status, &again[0]["@type"], message(&again[0])), (200, &json!("warning_entity"), "Connector c already exists"));

    let (_, dropped) = ksql(&server, "DROP CONNECTOR `c`;");
    assert_eq!((&dropped[0]["@type"], &dropped[0]["connectorName"]), (&json!("drop_connector"), &json!("c")));
    let (status, gone) = ksql(&server, "DROP CONNECTOR `c`;");
    assert_eq!((status, &gone["error_code"], message(&gone)), (404, &json!(40400), "Failed to drop connector: Connector c not found"));
    let (status, gone) = ksql(&server, "DROP CONNECTOR IF EXISTS `c`;");
    assert_eq!((status, &gone[0]["@type"], message(&gone[0])), (200, &json!("warning_entity"), "Connector 'c' does not exist."));
    let (status, gone) = ksql(&server, "DESCRIBE CONNECTOR `c`;");
    assert_eq!((status, message(&gone)), (404, "Failed to query connector status: Connector c not found"));
}

#[test]
fn what_connect_refuses_is_told_and_secrets_are_not() {
    let (folder, connect) = (folder(), keeping());
    let server = server(&folder, &[("KSQL_KSQL_CONNECT_URL", &connect.url())]);
    let answer_to = |part: &'static str, answer: Answer| {
        connect.answer(move |asked| match asked.line.contains(part) {
            true => answer.clone(),
            false if asked.line.ends_with("/validate") => Answer::Json(200, json!({"configs": []})),
            false => Answer::Json(200, json!([])),
        });
    };
    let wrong = json!({"configs": [
        {"value": {"name": "file", "errors": ["Missing required configuration \"file\"", "and more"]}},
        {"value": {"name": "connection.password", "errors": ["Invalid value s3cret-word"]}},
        {"value": {"name": "ok", "errors": []}},
    ]});
    answer_to("/validate", Answer::Json(200, wrong));
    let (status, refused) = ksql(&server, CREATE);
    assert_eq!((status, &refused["@type"], &refused["error_code"]), (400, &json!("statement_error"), &json!(40001)));
    assert_eq!(
        message(&refused),
        "Validation error: file - Missing required configuration \"file\". and more\nconnection.password - Invalid value [hidden]"
    );
    let text = refused["statementText"].as_str().unwrap_or_default();
    assert!(text.contains("'connector.class'='org.X'") && text.contains("'connection.password'='[string]'"), "{text}");

    answer_to("POST /connectors", refusal(400, "no connection to x:s3cret-word@db"));
    let (status, refused) = ksql(&server, CREATE);
    assert_eq!((status, &refused["error_code"]), (400, &json!(40000)));
    assert_eq!(message(&refused), "Failed to create connector: no connection to x:[hidden]@db");

    answer_to("/validate", refusal(404, "HTTP 404 Not Found"));
    let (status, refused) = ksql(&server, &CREATE.replace("org.X", "org.Y"));
    assert_eq!((status, message(&refused)), (400, "Validation error: HTTP 404 Not Found"));

    for (sql, expected) in [
        ("CREATE SINK CONNECTOR c WITH ('connection.password'='s3cret-word');", "contains no connector type"),
        ("CREATE SINK CONNECTOR c WITH ('connector.class'=' ');", "Connector type cannot be empty"),
        ("CREATE SINK CONNECTOR c WITH ('connector.class'='X',\n 'p'=NULL);", "line 2:2: property 'p' is NULL"),
        ("CREATE SINK CONNECTOR c WITH ('connection.password' 's3cret-word');", "line 1:"),
        ("CREATE SINK CONECTOR c\nWITH ('connector.class'='X', 'connection.password'='s3cret-word');", "line 1:13"),
        ("CREATE SINK CONNECTOR c WITH ('a'='s3cret-word', 'a'='s3cret-word');", "Duplicate property 'a'"),
        ("CREATE SINK CONNECTOR c WITH ('a'=s3cret-word);", "line 1:"),
        ("CREATE SINK CONNECTOR c WITH ('a'='s3cret-word';", "line 1:"),
        ("CREATE SINK CONNECTOR c WITH ('a'='s3cret-word')", "missing ';'"),
        ("CREATE SINK CONNECTOR c WITH ('a'='s3cret-word', 'b'='x);", "line 1:"),
        ("CREATE SINK CONNECTOR c WITH ('a'='x, 'password'='s3cret-word');", "line 1:"),
        ("CREATE SINK CONNECTOR c WITH ('a'='s3cret-word'); SELEC 1;", "line 1:"),
        ("CREATE SINK CNNECTOR c WITH ('a'='s3cret-word');", "line 1:"),
        ("EXPLAIN CREATE SINK CONNECTOR c WITH ('a'='s3cret-word');", "does not run a ksql query"),
        ("DESCRIBE CONNECTOR `..`;", "can't have a connector of that name"),
    ] {
        let (status, refused) = ksql(&server, sql);
        assert!(status == 400 && message(&refused).contains(expected), "{sql}: {status} {refused}");
        assert!(!refused.to_string().contains("s3cret-word"), "{refused}");
    }
    // An answer that can't be read may repeat what was sent.
    answer_to("/connectors", Answer::Bytes(b"[\"connection.password: s3cret-word\"".to_vec()));
    let (status, refused) = ksql(&server, CREATE);
    assert!(status == 500 && message(&refused).contains("answers what Kafka Connect does not"), "{refused}");
    assert!(!refused.to_string().contains("s3cret-word"), "{refused}");
    assert!(!server.log().contains("s3cret-word"), "{}", server.log());
    assert!(server.log().contains("'connection.password'='[string]'"), "the statement is noted: {}", server.log());
}

#[test]
fn connect_that_is_away_or_slow_is_told_in_time_and_nothing_else_waits() {
    let folder = folder();
    let nowhere = format!("http://me:s3cret@127.0.0.1:{}", free_port());
    {
        let server = server(&folder, &[("KSQL_KSQL_CONNECT_URL", &nowhere)]);
        for sql in ["SHOW CONNECTORS;", "SHOW CONNECTOR PLUGINS;", "DESCRIBE CONNECTOR c;", "DROP CONNECTOR IF EXISTS c;", CREATE] {
            let (status, refused) = ksql(&server, sql);
            assert_eq!((status, &refused["@type"], &refused["error_code"]), (500, &json!("statement_error"), &json!(50000)), "{refused}");
            let said = message(&refused);
            assert!(said.contains("can't be reached: ") && said.contains("refused") && said.contains("ksql.connect.url"), "{said}");
            assert!(!refused.to_string().contains("s3cret"), "{refused}");
        }
    }
    let held = Arc::new(Mutex::new(()));
    let (hold, holds) = (held.lock().expect("not poisoned"), held.clone());
    let connect = FakeConnect::start(move |_| {
        drop(holds.lock());
        Answer::Json(200, json!([]))
    });
    let environment = [("KSQL_KSQL_CONNECT_URL", connect.url()), ("KSQL_KSQL_CONNECT_REQUEST_TIMEOUT_MS", "2000".to_owned())];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = server(&folder, &environment);
    std::thread::scope(|scope| {
        let started = Instant::now();
        let waiting: Vec<_> = (0..24).map(|_| scope.spawn(|| ksql(&server, "SHOW CONNECTORS;"))).collect();
        // Beside them statements run: those that wait hold a share of the threads only.
        for n in 0..5 {
            server.ksql(&format!("CREATE TYPE t{n} AS INT;"));
        }
        let mut busy = 0;
        for answer in waiting {
            match answer.join().expect("no panic") {
                (429, refused) => {
                    busy += 1;
                    assert!(message(&refused).contains("wait for Kafka Connect already"), "{refused}");
                }
                (500, refused) => assert!(message(&refused).contains("no answer within 2000 ms"), "{refused}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(busy > 0, "more asked than may wait");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    });
    drop(hold);
    assert_eq!(ksql(&server, "SHOW CONNECTORS;").0, 200, "it is back");
}

#[test]
fn nonsense_is_not_taken_for_an_answer() {
    let (folder, connect) = (folder(), keeping());
    let server = server(&folder, &[("KSQL_KSQL_CONNECT_URL", &connect.url())]);
    for nonsense in [&b"<html>\x1b[2J hello"[..], b"", b"{\"a\":", b"[1]", b"\xff\xfe", b"null"] {
        connect.answer(move |_| Answer::Bytes(nonsense.to_vec()));
        for sql in ["SHOW CONNECTORS;", "SHOW CONNECTOR PLUGINS;", "DESCRIBE CONNECTOR c;", CREATE] {
            let (status, refused) = ksql(&server, sql);
            assert!(status == 500 && message(&refused).contains("answers what Kafka Connect does not"), "{refused}");
            assert!(!message(&refused).contains('\u{1b}'), "{refused}");
        }
    }
    // A body without an end is not read to it.
    connect.answer(|_| Answer::Bytes(vec![b'['; 17 << 20]));
    assert_eq!(ksql(&server, "SHOW CONNECTORS;").0, 500);
    // One that is no Connect's: a proxy's page.
    connect.answer(|_| Answer::Json(302, json!("go away")));
    assert_eq!(message(&ksql(&server, "SHOW CONNECTORS;").1), "Failed to list connectors: HTTP status 302 \"go away\"");
    assert_eq!(server.ksql("SHOW STREAMS;")[0]["@type"], "streams", "the server is well");
}

#[test]
fn what_may_pass_is_tried_again_and_nothing_is_made_twice() {
    let (folder, connect) = (folder(), keeping());
    let server = server(&folder, &[("KSQL_KSQL_CONNECT_URL", &connect.url())]);
    let failing = |times: usize, answer: Answer| {
        let mut left = times;
        connect.answer(move |_| match left {
            0 => Answer::Json(200, json!([])),
            _ => {
                left -= 1;
                answer.clone()
            }
        });
        connect.asked();
    };
    for passing in [refusal(500, "oops"), Answer::Closed, refusal(409, "Cannot complete request because of a conflicting operation")] {
        failing(2, passing);
        assert_eq!(ksql(&server, "SHOW CONNECTORS;").0, 200);
        assert_eq!(connect.asked().len(), 3);
    }
    // For as long as workers part their work anew, within the time of the request.
    failing(5, refusal(409, "Cannot complete request momentarily due to stale configuration"));
    assert_eq!(ksql(&server, "SHOW CONNECTORS;").0, 200);
    failing(usize::MAX, refusal(503, "down"));
    let (status, refused) = ksql(&server, "SHOW CONNECTORS;");
    assert_eq!((status, &refused["error_code"], connect.asked().len()), (503, &json!(50300), 3));
    // A connector that may have been made is not made again.
    for broken in [refusal(500, "oops"), Answer::Closed] {
        connect.answer(move |asked| match asked.line.as_str() {
            "POST /connectors" => broken.clone(),
            "GET /connectors" => Answer::Json(200, json!([])),
            _ => Answer::Json(200, json!({"configs": []})),
        });
        assert_eq!(ksql(&server, CREATE).0, 500);
        assert_eq!(connect.asked().iter().filter(|asked| asked.line.starts_with("POST")).count(), 1);
    }
    connect.answer(|asked| match asked.line.as_str() {
        "GET /connectors" => Answer::Json(200, json!(["a", "b"])),
        "GET /connectors/a" => Answer::Json(200, connector("a", "sink", &json!({"connector.class": "Y"}))),
        "GET /connectors/a/status" => Answer::Json(200, state("a", "sink", "PAUSED", "PAUSED")),
        _ => refusal(404, "gone"),
    });
    let (_, listed) = ksql(&server, "SHOW CONNECTORS; SHOW SINK CONNECTORS;");
    let a = json!({"name": "a", "type": "sink", "className": "Y", "state": "PAUSED"});
    assert_eq!(listed[0]["connectors"], json!([a, {"name": "b", "type": "unknown"}]));
    assert_eq!(listed[0]["warnings"], json!([{"message": "Could not describe connector b: gone"}]));
    assert_eq!(listed[1]["connectors"], json!([a]));
}

#[test]
fn connect_is_told_who_asks() {
    let (folder, connect) = (folder(), keeping());
    let ask = |server: &ServerProcess| {
        let body = json!({"ksql": "SHOW CONNECTORS;"}).to_string();
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        let head = format!(
            "POST /ksql HTTP/1.1\r\nHost: tidemill\r\nAuthorization: Bearer mine\r\nContent-Length: {}\r\nConnection: close\r\n",
            body.len()
        );
        write!(stream, "{head}\r\n{body}").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let asked = connect.asked().remove(0);
        (asked.headers.get("authorization").cloned().unwrap_or_default(), asked.headers.get("x-tenant").cloned())
    };
    let url = connect.url();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "X-Tenant: blue\n").expect("written");
    let environment =
        [("KSQL_KSQL_CONNECT_URL", url.as_str()), ("TIDEMILL_CONNECT_REQUEST_HEADERS_FILE", headers.to_str().expect("a path"))];
    assert_eq!(ask(&server(&folder, &environment)), ("Bearer mine".to_owned(), Some("blue".to_owned())));
    let credentials = folder.path().join("credentials");
    std::fs::write(&credentials, "username=me\npassword=one\n").expect("written");
    let environment = [
        ("KSQL_KSQL_CONNECT_URL", url.as_str()),
        ("KSQL_KSQL_CONNECT_BASIC_AUTH_CREDENTIALS_SOURCE", "FILE"),
        ("KSQL_KSQL_CONNECT_BASIC_AUTH_CREDENTIALS_FILE", credentials.to_str().expect("a path")),
    ];
    assert_eq!(ask(&server(&folder, &environment)), ("Basic bWU6b25l".to_owned(), None));
}

#[test]
fn without_connect_the_statements_say_what_is_missing() {
    let folder = folder();
    {
        let server = server(&folder, &[]);
        for sql in ["SHOW CONNECTORS;", CREATE] {
            let (status, refused) = ksql(&server, sql);
            assert!(
                status == 500 && message(&refused).contains("ksql.connect.url") && message(&refused).contains("bootstrap.servers"),
                "{refused}"
            );
        }
    }
    for (property, value, expected) in [
        ("KSQL_KSQL_CONNECT_WORKER_CONFIG", "/etc/connect.properties", "set ksql.connect.url"),
        ("KSQL_KSQL_CONNECT_REQUEST_HEADERS_PLUGIN", "com.X", "tidemill.connect.request.headers.file"),
        ("KSQL_KSQL_CONNECT_URL", "localhost", "ksql.connect.url"),
    ] {
        let mut command = std::process::Command::new(tidemill_tests::server::tidemill_binary());
        let output = command
            .arg("server")
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path().join("other"))
            .env(property, value)
            .output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{property}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // A script, with the place of the statement.
    let script = folder.path().join("script.sql");
    std::fs::write(&script, format!("SHOW STREAMS;\n{CREATE}\n")).expect("written");
    let mut command = std::process::Command::new(tidemill_tests::server::tidemill_binary());
    let output = command.arg("run").arg(&script).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("2") && said.contains("ksql.connect.url") && !said.contains("s3cret-word"), "{said}");
}

#[test]
fn connectors_of_the_queries_file_are_made_once_and_their_secrets_not_kept() {
    let (folder, connect) = (folder(), keeping());
    let file = folder.path().join("queries.sql");
    std::fs::write(&file, CREATE).expect("written");
    let url = connect.url();
    let environment = [("KSQL_KSQL_CONNECT_URL", url.as_str()), ("KSQL_KSQL_QUERIES_FILE", file.to_str().expect("a path"))];
    for posts in [1, 0] {
        let server = server(&folder, &environment);
        assert_eq!(connect.asked().iter().filter(|asked| asked.line.starts_with("POST")).count(), posts);
        assert!(!server.log().contains("s3cret-word"), "{}", server.log());
        assert_eq!(server.terminate(), Some(0));
    }
    let mut files = vec![folder.path().join("data")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("readable").flatten().map(|entry| entry.path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(11).any(|window| window == b"s3cret-word"), "{}", path.display());
    }
}
