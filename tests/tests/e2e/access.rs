//! Users, roles and tokens, as a client meets them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::{HttpAnswer, ServerProcess, exchange, tidemill_binary};

const PATIENCE: Duration = Duration::from_secs(30);

pub fn tidemill(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(tidemill_binary())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("TIDEMILL_PASSWORD")
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Adds a user as an operator does.
pub fn add(file: &str, name: &str, role: &str, password: &str) {
    let output = tidemill(&["user", "add", name, "--role", role, "--file", file], &format!("{password}\n"));
    assert!(output.status.success(), "{}", said(&output));
}

pub fn basic(name: &str, password: &str) -> String {
    // Base64, by hand: the tests have no need of more.
    let bytes = format!("{name}:{password}").into_bytes();
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for part in bytes.chunks(3) {
        let number = part.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place > part.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

pub fn ask(server: &ServerProcess, method: &str, path: &str, authorization: Option<&str>, body: &Json) -> HttpAnswer {
    let headers: Vec<(&str, &str)> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    exchange(server.address(), method, path, &headers, body.as_bytes()).unwrap_or_else(|e| panic!("{method} {path}: {e}\n{}", server.log()))
}

pub fn sql(text: &str) -> Json {
    json!({ "ksql": text })
}

/// A server with three users and a token; what each of them sends to be known by.
pub fn guarded(folder: &Path, lines: &str) -> (ServerProcess, [String; 4]) {
    let (users, tokens) = (folder.join("users").display().to_string(), folder.join("tokens").display().to_string());
    add(&users, "rita", "read", "rita's password");
    add(&users, "walt", "write", "walt's password");
    add(&users, "anna", "admin", "anna's password");
    let output = tidemill(&["user", "token", "ci", "--role", "write", "--file", &tokens], "");
    assert!(output.status.success(), "{}", said(&output));
    let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!std::fs::read_to_string(&tokens).expect("the file").contains(&token), "only its hash is kept");
    let file = folder.join("server.properties");
    let text = format!(
        "authentication.method=BASIC\ntidemill.auth.users.file={users}\ntidemill.auth.tokens.file={tokens}\nauthentication.skip.paths=/healthcheck,/chc/*\n{lines}"
    );
    std::fs::write(&file, text).expect("written");
    let server = ServerProcess::start(&folder.join("data"), &["--config", &file.display().to_string()]);
    let of = |name: &str| basic(name, &format!("{name}'s password"));
    (server, [of("rita"), of("walt"), of("anna"), format!("Bearer {token}")])
}

#[test]
fn who_is_not_known_learns_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [rita, ..]) = guarded(folder.path(), "");
    let none = Json::Null;
    for (method, path) in [
        ("GET", "/info"),
        ("GET", "/metrics"),
        ("GET", "/status"),
        ("POST", "/ksql"),
        ("POST", "/query"),
        ("POST", "/query-stream"),
        ("POST", "/close-query"),
        ("POST", "/ksql/terminate"),
        ("POST", "/inserts-stream"),
        ("GET", "/subjects"),
        ("DELETE", "/subjects/x"),
        ("GET", "/no/such"),
        ("GET", "/healthcheck/../info"),
        ("GET", "/healthcheck%2F..%2Finfo"),
        ("GET", "//info"),
    ] {
        for authorization in [None, Some("Basic x"), Some("Bearer nonsense"), Some(&*basic("rita", "wrong")), Some(&*basic("eve", "x"))] {
            let answer = ask(&server, method, path, authorization, &none);
            assert_eq!(answer.status, 401, "{method} {path} {authorization:?}: {answer:?}");
            let error: Json = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
            assert_eq!(error, json!({"@type": "generic_error", "error_code": 40100, "message": "Unauthorized"}), "{path}");
            assert!(answer.head.to_ascii_lowercase().contains("www-authenticate: basic realm=\"tidemill\""), "{answer:?}");
        }
    }
    for path in ["/healthcheck", "/chc/live", "/v1/metadata/id"] {
        assert_eq!(ask(&server, "GET", path, None, &none).status, 200, "{path}");
    }
    assert_eq!(ask(&server, "GET", "/info", Some(&rita), &none).status, 200);
    let metrics = ask(&server, "GET", "/metrics", Some(&rita), &none).body;
    assert!(metrics.contains("tidemill_http_denied_total{status=\"401\"} "), "{metrics}");
    let log = server.log();
    assert!(!log.contains("password'") && !log.contains("nonsense") && !log.contains("wrong"), "{log}");
}

#[test]
fn roles_say_who_may_do_what() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [rita, walt, anna, ci]) = guarded(folder.path(), "");
    let create = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";
    let drop_connector = "DROP CONNECTOR c;";
    let (terminate, none) = (json!({}), Json::Null);
    for (method, path, body, allowed) in [
        ("GET", "/info", &none, [true, true, true, true]),
        ("POST", "/ksql", &sql("SHOW STREAMS;"), [true, true, true, true]),
        ("POST", "/ksql", &sql("DEFINE x = 'y'; SHOW VARIABLES;"), [true, true, true, true]),
        ("POST", "/ksql", &sql(create), [false, true, true, true]),
        ("POST", "/ksql", &sql("INSERT INTO s (k, n) VALUES ('a', 1);"), [false, true, true, true]),
        ("POST", "/ksql", &sql("SHOW STREAMS; DROP STREAM IF EXISTS nosuch;"), [false, true, true, true]),
        ("POST", "/ksql", &sql(drop_connector), [false, false, true, false]),
        ("POST", "/ksql", &sql("ALTER SYSTEM 'a'='b';"), [false, false, true, false]),
        ("POST", "/query-stream", &json!({"sql": "SELECT * FROM s;"}), [true, true, true, true]),
        ("POST", "/subjects/x/versions", &json!({"schema": "\"string\""}), [false, true, true, true]),
        ("DELETE", "/subjects/x", &none, [false, false, true, false]),
        ("POST", "/heartbeat", &terminate, [false, false, true, false]),
        // At the end: it ends the service.
        ("POST", "/ksql/terminate", &terminate, [false, false, true, false]),
    ] {
        // Those who may not first.
        for (who, may) in [&rita, &walt, &ci, &anna].into_iter().zip([allowed[0], allowed[1], allowed[3], allowed[2]]) {
            let answer = ask(&server, method, path, Some(who), body);
            assert_eq!(answer.status != 403, may, "{method} {path} {body}: {answer:?}");
            if !may {
                let error: Json = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {answer:?}"));
                assert_eq!(error["error_code"], 40300, "{error}");
                assert!(error["message"].as_str().is_some_and(|m| m.starts_with("Forbidden") && m.contains("needs the role")), "{error}");
            }
        }
    }
    assert!(server.log().contains("walt at 127.0.0.1"), "the log says who: {}", server.log());
}

/// A push query of a user: its connection, and its id.
pub fn begin_push(server: &ServerProcess, authorization: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let body = json!({"sql": "SELECT * FROM s EMIT CHANGES;"}).to_string();
    let head = format!(
        "POST /query-stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("asked");
    let (mut text, mut room) = (String::new(), [0; 1024]);
    loop {
        let count = stream.read(&mut room).expect("an answer");
        assert!(count > 0, "{text}");
        text += &String::from_utf8_lossy(&room[..count]);
        if let Some((_, rest)) = text.split_once("\"queryId\":\"")
            && let Some((id, _)) = rest.split_once('"')
        {
            return (stream, id.to_owned());
        }
    }
}

#[test]
fn push_queries_are_ended_by_who_began_them_and_by_who_may_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [rita, walt, _, ci]) = guarded(folder.path(), "ksql.server.command.topic.rate.limit=0.5\n");
    let rob = basic("rob", "rob's password");
    add(&folder.path().join("users").display().to_string(), "rob", "read", "rob's password");
    let create = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";
    assert_eq!(ask(&server, "POST", "/ksql", Some(&walt), &sql(create)).status, 200);
    let began = Instant::now();
    while ask(&server, "GET", "/info", Some(&rob), &Json::Null).status != 200 {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let terminate = |who: &str, id: &str| ask(&server, "POST", "/ksql", Some(who), &sql(&format!("TERMINATE {id};"))).status;
    let close = |who: &str, id: &str| ask(&server, "POST", "/close-query", Some(who), &json!({"queryId": id})).status;
    type End<'a> = &'a dyn Fn(&str, &str) -> u16;
    let ways: [End<'_>; 2] = [&terminate, &close];
    for (way, end) in ways.into_iter().enumerate() {
        for (owner, other, may) in [(&rita, &rob, false), (&rita, &walt, true), (&rob, &ci, true), (&walt, &rita, false)] {
            let (mut client, id) = begin_push(&server, owner);
            assert_eq!(end(other, &id), if may { 200 } else { 403 }, "way {way}");
            if !may {
                assert_eq!(end(owner, &id), 200, "way {way}: its own");
            }
            let mut rest = String::new();
            client.read_to_string(&mut rest).expect("the answer ends");
        }
    }
    // What is not there, and what is no push query, is no reader's to end.
    assert_eq!(terminate(&rita, "CSAS_NONE_1"), 403);
    assert_eq!(close(&rita, "transient_S_1"), 400);
}

#[test]
fn a_thousand_wrong_passwords_slow_nobody_who_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [rita, ..]) = guarded(folder.path(), "");
    let timed = || {
        let began = Instant::now();
        assert_eq!(ask(&server, "GET", "/info", Some(&rita), &Json::Null).status, 200);
        began.elapsed()
    };
    timed();
    let done = AtomicBool::new(false);
    let (mut slowest, mut asked) = (Duration::ZERO, 0);
    let busy = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..10)
            .map(|thread| {
                let server = &server;
                scope.spawn(move || {
                    let statuses =
                        (0..100).map(|n| ask(server, "GET", "/info", Some(&basic("anna", &format!("{thread} {n}"))), &Json::Null).status);
                    statuses.filter(|status| *status == 429).count()
                })
            })
            .collect();
        let watched = scope.spawn(|| {
            let (mut slowest, mut asked) = (Duration::ZERO, 0);
            while !done.load(Ordering::Relaxed) {
                slowest = slowest.max(timed());
                asked += 1;
            }
            (slowest, asked)
        });
        let busy: usize = attackers.into_iter().map(|attacker| attacker.join().expect("no panic")).sum();
        done.store(true, Ordering::Relaxed);
        (slowest, asked) = watched.join().expect("no panic");
        busy
    });
    assert!(
        asked >= 5 && slowest < Duration::from_secs(1),
        "{asked} requests, the slowest took {slowest:?}; {busy} attempts were refused at once"
    );
    assert_eq!(ask(&server, "GET", "/info", Some(&basic("anna", "anna's password")), &Json::Null).status, 200);
}

#[test]
fn users_change_while_the_server_runs_and_a_wrong_file_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [rita, ..]) = guarded(folder.path(), "");
    let users = folder.path().join("users").display().to_string();
    let status = |authorization: &str| ask(&server, "GET", "/info", Some(authorization), &Json::Null).status;
    let until = |what: &str, done: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < PATIENCE, "{what}: {}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    assert_eq!(status(&rita), 200);
    add(&users, "newt", "read", "newt's");
    until("newt is known", &|| status(&basic("newt", "newt's")) == 200);
    let output = tidemill(&["user", "list", "--file", &users], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "rita: read\nwalt: write\nanna: admin\nnewt: read\n");
    assert!(tidemill(&["user", "remove", "rita", "--file", &users], "").status.success());
    until("rita is gone", &|| status(&rita) == 401);
    let good = std::fs::read_to_string(&users).expect("the file");
    std::fs::write(&users, format!("{good}broken: CRYPT:xyz\n")).expect("written");
    until("it is said", &|| server.log().contains("users can't be read again"));
    assert!(server.log().contains("line 4: user 'broken'"), "{}", server.log());
    assert_eq!(status(&basic("newt", "newt's")), 200);
}

#[test]
fn ksqldbs_files_are_read_and_ways_that_promise_nothing_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("password.properties"), "fred: OBF:1vny1zlo1x8e1vnw1vn61x8g1zlu1vn4,ksql-user\nbill: letmein,other\n")
        .expect("written");
    let users = format!("tidemill.auth.users.file={}\n", path("password.properties").display());
    let config = |text: &str| {
        std::fs::write(path("server.properties"), text).expect("written");
        path("server.properties").display().to_string()
    };
    let file = config(&format!(
        "authentication.method=BASIC\nauthentication.roles=ksql-user,developer\nauthentication.realm=KsqlServer-Props\n{users}"
    ));
    let server = ServerProcess::start(&path("data"), &["--config", &file]);
    let create = sql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    assert_eq!(ask(&server, "POST", "/ksql", Some(&basic("fred", "storepwd")), &create).status, 200);
    assert_eq!(ask(&server, "GET", "/info", Some(&basic("bill", "letmein")), &Json::Null).status, 403);
    assert!(server.log().contains("keeps passwords that can be read or found by trying (of bill, fred)"), "{}", server.log());
    drop(server);
    for (text, expected) in [
        (users.clone(), "tidemill.auth.users.file is set, and authentication.method is not"),
        ("authentication.method=BASIC\n".to_owned(), "line 1: authentication.method=BASIC needs tidemill.auth.users.file"),
        ("authentication.method=DIGEST\n".to_owned(), "NONE, BASIC, BEARER"),
        ("authentication.method=BASIC\ntidemill.auth.users.file=/no/such\n".to_owned(), "line 2: tidemill.auth.users.file: /no/such: "),
        (
            format!("{users}authentication.method=BASIC\ntidemill.auth.jwt.key.file=/k\n"),
            "tidemill.auth.jwt.key.file needs tidemill.auth.jwt.audience",
        ),
    ] {
        let data = path("refused");
        let _ = std::fs::remove_file(data.with_extension("log"));
        let (code, log) = ServerProcess::start_refused(&data, &["--config", &config(&text)]);
        assert!(code == Some(1) && log.contains(expected), "{text}: {log}");
    }
}

#[test]
fn the_shell_logs_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, [.., ci]) = guarded(folder.path(), "");
    let url = format!("http://{}", server.address());
    let shell = |arguments: &[&str]| tidemill(&[&["shell", &url], arguments, &["-e", "SHOW STREAMS;"]].concat(), "");
    assert!(shell(&["-u", "rita", "-p", "rita's password"]).status.success());
    assert!(shell(&["--token", ci.trim_start_matches("Bearer ")]).status.success());
    let file = folder.path().join("shell.properties");
    std::fs::write(folder.path().join("secret"), "walt's password\n").expect("written");
    std::fs::write(
        &file,
        format!("tidemill.client.user=walt\ntidemill.client.password=${{file:{}}}\n", folder.path().join("secret").display()),
    )
    .expect("written");
    let output = shell(&["--config-file", &file.display().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    for (arguments, expected) in [
        (&[][..], "Log in with --user NAME, or --token TOKEN"),
        (&["-u", "rita", "-p", "wrong"], "does not take this name and password"),
        (&["-u", "rita"], "TIDEMILL_PASSWORD"),
    ] {
        let output = shell(arguments);
        assert!(!output.status.success() && said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn an_open_door_is_warned_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("loopback"), &[]);
    assert!(!server.log().contains("ANYBODY"), "{}", server.log());
    drop(server);
    let server = ServerProcess::start_everywhere(&folder.path().join("open"), &[]);
    assert!(server.log().contains("ANYBODY WHO CAN REACH 0.0.0.0:"), "{}", server.log());
}

/// What is edited stays as it was but for its text, so whoever reads it still can.
#[test]
fn a_file_of_users_keeps_its_mode_and_links_to_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let (file, link) = (folder.path().join("users"), folder.path().join("link"));
    let (path, link_path) = (file.display().to_string(), link.display().to_string());
    let mode = || std::fs::metadata(&file).expect("the file").permissions().mode() & 0o7777;
    add(&path, "anna", "admin", "secret");
    assert_eq!(mode(), 0o600, "a new one is its maker's");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("another mode");
    symlink(&file, &link).expect("a link");
    add(&link_path, "bob", "read", "secret");
    assert_eq!(mode(), 0o640);
    assert!(std::fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert!(std::fs::read_to_string(&file).expect("the file").contains("bob"));
    let output = tidemill(&["user", "remove", "bob", "--file", &link_path], "");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(mode(), 0o640);
    assert!(!std::fs::read_to_string(&file).expect("the file").contains("bob"));
}

/// Names that nobody could log in by, or that would be lines of their own.
#[test]
fn names_that_a_file_of_users_can_not_hold_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users").display().to_string();
    for name in ["", "a:b", "a\nadmin: x,admin", " a", "a\t"] {
        for command in ["add", "token"] {
            let output = tidemill(&["user", command, name, "--role", "read", "--file", &file], "secret\n");
            assert_eq!(output.status.code(), Some(1), "{name:?}: {}", said(&output));
            assert!(said(&output).contains("name"), "{}", said(&output));
        }
    }
    assert!(!Path::new(&file).exists());
}

/// The unit's ExecReload, where nothing is there that could be read again.
#[test]
fn users_and_tokens_are_not_mixed_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (users, tokens) = (folder.path().join("users").display().to_string(), folder.path().join("tokens").display().to_string());
    add(&users, "ann", "read", "ann's");
    assert!(tidemill(&["user", "token", "ci", "--role", "read", "--file", &tokens], "").status.success());
    let (of_users, of_tokens) = (std::fs::read(&users).expect("there"), std::fs::read(&tokens).expect("there"));
    for (arguments, input, expected) in [
        (&["user", "token", "ann", "--role", "read", "--file", &users][..], "", "is a file of users"),
        (&["user", "add", "ci", "--role", "read", "--file", &tokens], "pw\n", "is a file of tokens"),
        (&["user", "add", "bob", "--role", "read", "--file", &users], &format!("{}\n", "x".repeat(1_025)), "more than 1024 bytes"),
        (&["user", "list", "--file", &format!("{users}.gone")], "", "No such file"),
    ] {
        let output = tidemill(arguments, input);
        assert!(output.status.code() == Some(1) && said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
    assert_eq!((std::fs::read(&users).expect("there"), std::fs::read(&tokens).expect("there")), (of_users, of_tokens));
    // A server does not take one for the other either: the hash that stands there would let in.
    let config = folder.path().join("server.properties").display().to_string();
    for (lines, expected) in [
        (format!("authentication.method=BASIC\ntidemill.auth.users.file={tokens}\n"), "a token's hash"),
        (format!("authentication.method=BEARER\ntidemill.auth.tokens.file={users}\n"), "a password's hash"),
    ] {
        std::fs::write(&config, lines).expect("written");
        let output = tidemill(&["server", "--config", &config, "--data-dir", &folder.path().join("data").display().to_string()], "");
        assert!(output.status.code() == Some(1) && said(&output).contains(expected), "{}", said(&output));
        assert!(said(&output).contains("line 1"), "{}", said(&output));
    }
}

#[test]
fn a_server_without_files_to_read_again_lives_through_sighup() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(folder.path(), &[]);
    let told = std::process::Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().expect("kill");
    assert!(told.success());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(server.request("GET", "/info", None).expect("it answers").0, 200);
    assert_eq!(server.terminate(), Some(0));
}
