//! The flags of ksqlDB's shell, and what belongs to a session.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use tidemill_tests::server::tidemill_binary;

use crate::support::{SALES, World, fake_server, piped};

#[test]
fn a_name_and_a_password_go_with_each_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a shell comes");
        let lines = BufReader::new(stream.try_clone().expect("a stream can be read")).lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope").expect("it is answered");
        head
    });
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "-u", "ann", "-p", "s3cret", "-e", "SHOW STREAMS;"]);
    let said = piped(command, "");
    let head = server.join().expect("a shell came");
    // base64 of ann:s3cret
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("authorization: Basic YW5uOnMzY3JldA==")), "{head:?}");
    assert!(said.code == Some(1) && said.err.contains("401") && !said.err.contains("s3cret"), "{said:?}");
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "-u", "ann", "-e", "SHOW STREAMS;"]).env_remove("TIDEMILL_PASSWORD");
    assert!(piped(command, "").err.contains("needs a password"));
}

#[test]
fn https_at_a_port_without_tls_is_told_in_words() {
    let world = World::new();
    let url = world.url().replace("http://", "https://");
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "-e", "SHOW STREAMS;"]);
    let said = piped(command, "");
    assert!(said.code == Some(1) && said.err.contains("does not speak TLS at this port"), "{said:?}");
    assert!(!said.err.contains("tidemill server"), "no advice that does not help: {}", said.err);
}

#[test]
fn a_session_begins_with_variables_and_properties() {
    let world = World::new();
    world.write("cli.properties", "# of the session\nauto.offset.reset=earliest\n");
    let arguments =
        ["-d", "topic=orders", "--define", "n='5'", "--config-file", "cli.properties", "-e", "SHOW VARIABLES; SHOW PROPERTIES;"];
    let said = world.piped(&arguments, "");
    let squeezed = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(squeezed.contains("| topic | orders |") && squeezed.contains("| n | 5 |"), "{said:?}");
    assert!(squeezed.contains("auto.offset.reset | SESSION | earliest") || squeezed.contains("auto.offset.reset"), "{said:?}");
    world.write("cli.properties", "no.such.thing=1\n");
    let said = world.piped(&["--config-file", "cli.properties", "-e", "SHOW STREAMS;"], "");
    assert!(said.code == Some(1) && said.err.starts_with("cli.properties:1: ") && said.err.contains("no.such.thing"), "{said:?}");
    for (line, word) in [("tidemill.client.usr=x", "tidemill.client.usr"), ("ssl.truststor.location=x", "ssl.truststore.location")] {
        world.write("cli.properties", &format!("# mine\n{line}\n"));
        let said = world.piped(&["--config-file", "cli.properties", "-e", "SHOW STREAMS;"], "");
        assert!(said.code == Some(1) && said.err.contains("cli.properties:2: ") && said.err.contains(word), "{said:?}");
    }
    assert!(world.piped(&["-d", "1x=2", "-e", ""], "").err.contains("is no name"));
}

#[test]
fn limits_end_queries() {
    let world = World::new();
    assert_eq!(world.execute(SALES).code, Some(0));
    let forever = "SET 'auto.offset.reset'='earliest'; SELECT * FROM orders EMIT CHANGES;";
    let said = world.piped(&["--query-row-limit", "1", "-e", forever], "");
    assert!(said.code == Some(0) && said.out.contains("stopped after 1 row (--query-row-limit)"), "{said:?}");
    let said = world.piped(&["--query-row-limit", "1", "-e", "SELECT * FROM orders;"], "");
    assert!(said.code == Some(0) && said.out.contains("Stopped after 1 row (--query-row-limit)"), "{said:?}");
    let said = world.piped(&["--query-timeout", "300", "-e", forever], "");
    assert!(said.code == Some(0) && said.out.contains("stopped after 300 ms (--query-timeout)"), "{said:?}");
    assert!(said.out.contains("|tea"), "{said:?}");
    // Its queries are closed, not left to run.
    let queries = world.server.ksql("SHOW QUERIES;");
    assert_eq!(queries[0]["queries"].as_array().map(Vec::len), Some(1), "{queries}");
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let url = fake_server(|request| {
        if !request.starts_with("GET /info") {
            std::thread::sleep(Duration::from_secs(600));
        }
        r#"{"KsqlServerInfo":{"version":"1"}}"#
    });
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "--query-timeout", "200", "-e", "SHOW STREAMS;"]);
    let said = piped(command, "");
    assert!(said.code == Some(1) && said.err.contains("No answer after 200 ms (--query-timeout)"), "{said:?}");
    // It may hang from the first word on.
    let url = fake_server(|_| {
        std::thread::sleep(Duration::from_secs(600));
        ""
    });
    let mut command = Command::new(tidemill_binary());
    command.args(["shell", &url, "--query-timeout", "200", "-e", "SHOW STREAMS;"]);
    let said = piped(command, "");
    assert!(said.code == Some(1) && said.err.contains("No answer after 200 ms (--query-timeout)"), "{said:?}");
}

#[test]
fn properties_are_checked_at_once() {
    let world = World::new();
    for (sql, words) in [
        ("SET 'auto.ofset.reset'='earliest';", "auto.offset.reset"),
        ("SET 'auto.offset.reset'='banana';", "banana"),
        ("SET 'ksql.service.id'='x';", "ksql.service.id"),
        ("SET 'a b/../c'='x';", "a b/../c"),
    ] {
        let said = world.execute(sql);
        assert!(said.code == Some(1) && said.err.contains(words), "{sql}: {said:?}");
    }
    let sql = "SET 'auto.offset.reset'='earliest'; SET 'auto.offset.reset'='latest'; UNSET 'auto.offset.reset'; UNSET 'auto.offset.reset';
               DEFINE a = 'b'; UNDEFINE a; UNDEFINE a; UNSET ALL;";
    let said = world.execute(sql);
    assert_eq!(
        said.out.lines().collect::<Vec<_>>(),
        [
            "auto.offset.reset is now 'earliest'.",
            "auto.offset.reset is now 'latest' (it was 'earliest').",
            "auto.offset.reset is no longer 'latest'; the server's value holds.",
            "auto.offset.reset was not set.",
            "${a} stands for 'b'.",
            "${a} is no longer defined.",
            "a was not defined.",
            "All properties are as the server has them.",
        ],
        "{said:?}"
    );
}

#[test]
fn commands_work_in_scripts() {
    let world = World::new();
    world.write("inner.sql", "DEFINE inner = 'yes';\nexit\nSELECT * FROM nope;");
    world.write(
        "outer.sql",
        "spool 'copy.txt'\nRUN SCRIPT 'inner.sql';\nSHOW VARIABLES;\nSPOOL OFF;\noutput json;\nSHOW VARIABLES;\nserver\n",
    );
    let said = world.piped(&["-f", "outer.sql"], "");
    assert_eq!(said.code, Some(0), "{said:?}");
    let copy = std::fs::read_to_string(world.path().join("copy.txt")).expect("the spool file");
    assert!(copy.contains("${inner} stands for 'yes'.") && copy.contains("| inner"), "{copy}");
    assert!(!copy.contains("@type") && said.out.contains(r#""@type":"variables""#), "{said:?}");
    assert!(said.out.ends_with(&format!("{}\n", world.url())), "{said:?}");
    let said = world.execute("output xml;");
    assert!(said.code == Some(1) && said.err.contains("table, vertical, csv, tsv, json"), "{said:?}");
    world.write("loop.sql", "RUN SCRIPT 'loop.sql';");
    let said = world.piped(&["-f", "loop.sql"], "");
    assert!(said.code == Some(1) && said.err.contains("nests deeper") && said.err.lines().count() == 1, "{said:?}");
}
