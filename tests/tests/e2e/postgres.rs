//! PostgreSQL's protocol: psql, drivers of Python, JDBC, and who has nothing good in mind. What is not installed is said: `SKIPPED: …`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tidemill_tests::broker::{BrokerError, unavailable};
use tidemill_tests::certificates::Authority;
use tidemill_tests::server::{ServerProcess, free_port, tidemill_binary};
use tidemill_tests::{jdbc, python};

const PATIENCE: Duration = Duration::from_secs(60);

pub const STATEMENTS: &str = "
    CREATE STREAM views (page STRING, member STRING, ms INT) WITH (KAFKA_TOPIC='views', PARTITIONS=3, VALUE_FORMAT='JSON');
    CREATE TABLE per_page AS SELECT page, COUNT(*) AS n, SUM(ms) AS total FROM views GROUP BY page;
    CREATE TABLE people_in (name STRING PRIMARY KEY, info STRUCT<city STRING, tags ARRAY<STRING>>, props MAP<STRING, INT>,
        paid DECIMAL(10, 2), born DATE, wakes TIME, seen TIMESTAMP, photo BYTES)
        WITH (KAFKA_TOPIC='people', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE people AS SELECT * FROM people_in;
    CREATE STREAM mixed (`Id` INT KEY, `lower` STRING) WITH (KAFKA_TOPIC='mixed', PARTITIONS=1, VALUE_FORMAT='JSON');
    INSERT INTO mixed (`Id`, `lower`) VALUES (1, 'x');
    INSERT INTO views (page, member, ms) VALUES ('a', 'ann', 10);
    INSERT INTO views (page, member, ms) VALUES ('b', 'ann', 20);
    INSERT INTO views (page, member, ms) VALUES ('a', 'bob', 30);
    INSERT INTO views (page, member, ms) VALUES ('c', 'cat', 40);
    INSERT INTO people_in VALUES ('ann', STRUCT(city := 'Ulm', tags := ARRAY['x', 'y']), MAP('k' := 7), 12.50, '2001-02-03', '06:30:00', '2020-01-01T00:00:00', 'AQI=');
    INSERT INTO people_in VALUES ('bob', STRUCT(city := 'Kiel', tags := ARRAY['z']), MAP('k' := 8), 0.05, '1999-12-31', '07:00:00', '2020-01-02T00:00:00', 'AQ==');";

struct World {
    server: ServerProcess,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let server = ServerProcess::start(&folder.path().join("data"), &["--postgres", &address.to_string()]);
    server.ksql(STATEMENTS);
    server.pull_until("SELECT * FROM per_page;", PATIENCE, |rows| rows.len() == 3);
    server.pull_until("SELECT * FROM people;", PATIENCE, |rows| rows.len() == 2);
    World { server, address, _folder: folder }
}

/// psql with what is typed at it; `None`: there is none here.
fn psql(address: SocketAddr, arguments: &[&str], typed: &str, environment: &[(&str, &str)]) -> Option<Output> {
    let port = address.port().to_string();
    let mut command = Command::new("psql");
    command.args(["-X", "-h", "127.0.0.1", "-p", &port, "-U", "any", "-d", "tidemill"]).args(arguments);
    command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return unavailable("psql", &BrokerError::Missing(format!("needs psql (postgresql-client): {error}")));
        }
    };
    child.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("typed");
    Some(child.wait_with_output().expect("an end"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    /// What psql prints of a text, unaligned; its errors and notices behind.
    fn said(&self, sql: &str) -> Option<String> {
        let output = psql(self.address, &["-At"], sql, &[])?;
        Some(text(&output.stdout) + &text(&output.stderr))
    }

    fn check(&self, sql: &str, expected: &str) {
        if let Some(said) = self.said(sql) {
            assert_eq!(said, expected, "{sql}");
        }
    }

    fn has(&self, sql: &str, expected: &[&str]) {
        if let Some(said) = self.said(sql) {
            for part in expected {
                assert!(said.contains(part), "{sql}: no {part} in\n{said}");
            }
        }
    }
}

fn skip(test: &str, why: &BrokerError) {
    let _: Option<()> = unavailable(test, why);
}

#[test]
fn psql_asks_and_changes() {
    let world = world();
    // Names in any case of letters, quoted as clients quote them, with the schema that there is.
    world.check("select PAGE, n from Per_Page order by n desc, page limit 2;", "a|2\nb|1\n");
    world.check("SELECT \"page\" FROM \"public\".\"per_page\" p WHERE p.\"page\" = 'a';", "a\n");
    world.check("SELECT id, LOWER, \"lower\" AS other FROM MIXED;", "1|x|x\n");
    world.check("SELECT p.page, v.member FROM per_page p JOIN views v ON p.page = v.page WHERE v.ms = 40;", "c|cat\n");
    world.check("SELECT 1::int + 1, 'x'; SELECT 2;", "2|x\n2\n");
    world.check(
        "SELECT * FROM people WHERE name = 'ann';",
        "ann|{\"CITY\":\"Ulm\",\"TAGS\":[\"x\",\"y\"]}|{\"k\":7}|12.50|2001-02-03|06:30:00|2020-01-01 00:00:00|\\x0102\n",
    );
    world.check("SELECT ARRAY['a b', NULL, 'c'], NULL, TRUE;", "{\"a b\",NULL,c}||t\n");
    // Statements of the dialect.
    world.has(
        "CREATE STREAM made (id INT KEY, word STRING) WITH (kafka_topic='made', partitions=1, value_format='JSON');",
        &["NOTICE", "CREATE STREAM"],
    );
    world.check("INSERT INTO made (id, word) VALUES (1, 'one'), (2, 'it''s');", "INSERT 0 2\n");
    world.check("SELECT word FROM made ORDER BY id;", "one\nit's\n");
    world.has("SHOW QUERIES;", &["PERSISTENT", "PER_PAGE"]);
    world.has("DESCRIBE made;", &["ID|INTEGER|key", "WORD|STRING|"]);
    world.has("DROP STREAM made DELETE TOPIC;", &["DROP STREAM"]);
    world.has(
        "SET 'auto.offset.reset' = 'earliest'; SELECT page, ms FROM views WHERE page = 'a' EMIT CHANGES LIMIT 2;",
        &["SET\n", "a|10\n", "a|30\n"],
    );
    // PostgreSQL's own.
    world.check("SHOW server_version; SET timezone TO 'UTC'; SHOW TimeZone; RESET ALL;", "15.0\nSET\nUTC\nRESET\n");
    world.has("BEGIN; INSERT INTO views (page, ms) VALUES ('z', 1); ROLLBACK;", &["NOTICE", "INSERT 0 1", "WARNING", "stays", "ROLLBACK"]);
    world.has("SELECT version();", &["PostgreSQL 15.0 (Tidemill"]);
    world.has("EXPLAIN SELECT page FROM per_page ORDER BY page;", &["PER_PAGE"]);
    // COPY and cursors.
    world.check("COPY (SELECT page, n FROM per_page WHERE page < 'c' ORDER BY 1) TO STDOUT;", "a\t2\nb\t1\n");
    world.has("COPY per_page (n, page) TO STDOUT WITH (FORMAT csv, HEADER); SELECT 'behind';", &["n,page\n", "\n2,a\n", "behind\n"]);
    world.check(
        "BEGIN; DECLARE c CURSOR FOR SELECT page FROM per_page WHERE page < 'd' ORDER BY page; FETCH 2 FROM c; FETCH ALL FROM c; FETCH c; CLOSE c; COMMIT;",
        "BEGIN\nDECLARE CURSOR\na\nb\nc\nCLOSE CURSOR\nCOMMIT\nNOTICE:  there are no transactions here: each statement takes effect by itself, at once\n",
    );
    // A client that takes rows one by one follows.
    world.has(
        "\\set FETCH_COUNT 1\nSET 'auto.offset.reset' = 'earliest';\nSELECT page FROM views WHERE page = 'b' EMIT CHANGES LIMIT 1;",
        &["b\n"],
    );
}

#[test]
fn psql_copies_rows_in() {
    let world = world();
    let own = "rows (word STRING, n DOUBLE, id INT KEY, seen TIMESTAMP, tags ARRAY<STRING>, info STRUCT<city STRING>, photo BYTES)";
    for target in ["kept", "again"] {
        let own = own.replace("rows", target);
        world.server.ksql(&format!("CREATE STREAM {own} WITH (kafka_topic='{target}', partitions=1, value_format='JSON');"));
    }
    world.check(
        "COPY kept (id, word, n, seen, tags, info, photo) FROM STDIN;\n\
         1\tone\\ttwo\t1.5\t2020-01-01 00:00:00\t{a,\"b c\",NULL}\t{\"city\":\"Ulm\"}\t\\\\x0102\n\
         2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n\
         \\.\nSELECT 'behind';",
        "COPY 2\nbehind\n",
    );
    let all = "id, word, n, seen, tags, photo";
    let expected = "1|one\ttwo|1.5|2020-01-01 00:00:00|{a,\"b c\",NULL}|\\x0102\n2|||||\n";
    world.check(&format!("SELECT {all} FROM kept ORDER BY id;"), expected);
    // What is written to a file can be read from it, in either format, all columns as they stand.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rows").display().to_string();
    for options in ["", "WITH (FORMAT csv, HEADER match)", "WITH CSV HEADER QUOTE '~' NULL '-' DELIMITER ';'"] {
        world.has(&format!("\\copy kept TO '{file}' {}", options.replace("match", "true")), &["COPY 2\n"]);
        world.check(&format!("\\copy again FROM '{file}' {options}"), "COPY 2\n");
    }
    let thrice: String = expected.split_inclusive('\n').map(|row| row.repeat(3)).collect();
    world.check(&format!("SELECT {all} FROM again ORDER BY id;"), &thrice);
    // Rows before a wrong one stay, and that is said.
    world.check(
        "COPY public.kept (id, rowtime) FROM STDIN CSV;\n3,1000\n4,\nx,5\n5,6\n\\.\n",
        "ERROR:  invalid input syntax for type integer: \"x\"\nHINT:  Rows that are written and stay: the first 2.\n\
         CONTEXT:  COPY kept, line 3, column id: \"x\"\n",
    );
    world.check("SELECT id, CASE WHEN rowtime = 1000 THEN 'said' ELSE 'now' END FROM kept WHERE id > 2 ORDER BY 1;", "3|said\n4|now\n");
    world.has("COPY kept (id, word) FROM STDIN;\n6\n\\.\n", &["missing data for column \"word\"", "CONTEXT:  COPY kept, line 1: \"6\""]);
    world.has("COPY kept (id) FROM STDIN;\n6\t7\n\\.\n", &["extra data after last expected column"]);
    world.has("COPY kept (id) FROM STDIN CSV HEADER MATCH;\nidd\n6\n\\.\n", &["the first line does not name the columns, which are id"]);
    world.has("COPY people_in (info) FROM STDIN;\n{\"city\":\"Ulm\"}\n\\.\n", &["primary key", "COPY people_in, line 1"]);
    world.check("SELECT COUNT(*) FROM kept;", "4\n");
    // So they do where hundreds are written together.
    let rows: String = (0..1_200).map(|n| if n == 700 { "x\n".to_owned() } else { format!("{n}\n") }).collect();
    world.has(
        &format!("COPY kept (id) FROM STDIN;\n{rows}\\.\n"),
        &["HINT:  Rows that are written and stay: the first 700.", "CONTEXT:  COPY kept, line 701, column id: \"x\""],
    );
    world.check("SELECT COUNT(*), SUM(id) FROM kept WHERE word IS NULL AND id < 700;", "703|244659\n");
    let rows: String = (0..5_000).map(|n| format!("{n}\tword {n}\n")).collect();
    world.check(&format!("COPY again (id, word) FROM STDIN;\n{rows}\\.\n"), "COPY 5000\n");
    world.check("SELECT COUNT(*), COUNT(DISTINCT word) FROM again WHERE word LIKE 'word %';", "5000|5000\n");
}

#[test]
fn psql_prepares_by_statements() {
    let world = world();
    world.check(
        "PREPARE many (bigint) AS SELECT page FROM per_page WHERE n >= $1 ORDER BY page; EXECUTE many(2); EXECUTE many('1'); DEALLOCATE many;",
        "PREPARE\na\na\nb\nc\nDEALLOCATE\n",
    );
    // Types that are not said are found.
    world.check("PREPARE p AS SELECT n FROM per_page WHERE page = $1 AND n < $2; EXECUTE p('a', '5');", "PREPARE\n2\n");
    world.check(
        "PREPARE put AS INSERT INTO mixed (\"Id\", \"lower\") VALUES ($1, $2); EXECUTE put(-7, 'it''s'); DEALLOCATE ALL;
         SELECT \"lower\" FROM mixed WHERE \"Id\" = -7;",
        "PREPARE\nINSERT 0 1\nDEALLOCATE ALL\nit's\n",
    );
    world.check("PREPARE d (date, text) AS SELECT $1, $2; EXECUTE d(DATE '2020-02-03', NULL);", "PREPARE\n2020-02-03|\n");
}

#[test]
fn psql_lists_and_describes() {
    let world = world();
    world.has("\\d", &["public|per_page|table", "public|views|view"]);
    world.has("\\dt", &["per_page", "people"]);
    if let Some(tables) = world.said("\\dt") {
        assert!(!tables.contains("views"), "streams are no tables: {tables}");
    }
    world.has("\\dv", &["views"]);
    world.has("\\d per_page", &["page|text", "n|bigint", "total|integer"]);
    world.has("\\d Per_Page", &["page|text"]);
    world.has("\\d+ views", &["member|text"]);
    world.has("\\d nowhere", &["Did not find any relation named \"nowhere\"."]);
    world.has("\\l", &["tidemill"]);
    world.has("\\dn", &["public"]);
    world.has("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1;", &["people", "views"]);
}

#[test]
fn psql_is_told_what_is_wrong_and_where() {
    let world = world();
    let told = |sql: &str, expected: &[&str]| {
        if let Some(output) = psql(world.address, &["-At", "-v", "VERBOSITY=verbose"], sql, &[]) {
            let said = text(&output.stderr);
            for part in expected {
                assert!(said.contains(part), "{sql}: no {part} in\n{said}");
            }
        }
    };
    told("SELECT\n  paeg FROM per_page;", &["42703", "PAGE", "LINE 2:   paeg FROM per_page;", "\n          ^"]);
    told("SELECT 1; SELECT * FROM per_pag;", &["42P01", "PER_PAGE", "LINE 1: SELECT * FROM per_pag;"]);
    told("SELEKT 1;", &["42601", "LINE 1: SELEKT 1;"]);
    told("SELECT (1;", &["42601"]);
    told("SHOW time_zone;", &["42704", "TimeZone"]);
    told("UPDATE per_page SET n = 1;", &["0A000"]);
    told("COPY per_page FROM STDIN WITH (FORMAT binary);", &["0A000", "text and csv"]);
    told("COPY per_pag FROM STDIN;", &["42P01", "PER_PAGE", "LINE 1: COPY per_pag FROM STDIN;"]);
    told("COPY views (page, membr) FROM STDIN;", &["42703", "membr", "member"]);
    told("COPY views (page, page) FROM STDIN;", &["42701"]);
    told("EXECUTE nothing;", &["26000", "prepared statement \"nothing\" does not exist"]);
    told("PREPARE p (int) AS SELECT $1 + 1; EXECUTE p(1, 2);", &["42601", "wrong number of parameters"]);
    told("PREPARE p (int) AS SELECT $1 + 1; EXECUTE p('x');", &["22P02"]);
    told("PREPARE p (int) AS SELECT $1 + 1; EXECUTE p(now());", &["0A000"]);
    told("PREPARE p AS SELECT 1; PREPARE p AS SELECT 2;", &["42P05"]);
    told("PREPARE p AS BEGIN;", &["42601"]);
    told("PREPARE p AS SELECT $1 + nope FROM per_page; EXECUTE p(1);", &["42703", "NOPE"]);
    told("FETCH c;", &["34000"]);
    told("SELECT page FROM per_page EMIT CHNAGES;", &["42601"]);
    // What was said before an error is there, and what comes behind it goes on.
    world.has("SELECT 'before'; SELECT nope FROM per_page;\nSELECT 'after';", &["before", "ERROR", "after"]);
}

#[test]
fn drivers_of_python_ask_and_change() {
    let world = world();
    match python::run_script("postgres.py", &["--address", &world.address.to_string()]) {
        Ok(said) => assert!(said.ends_with("all as expected"), "{said}"),
        Err(error @ BrokerError::Missing(_)) => skip("drivers of Python", &error),
        Err(BrokerError::Failed(said)) => panic!("{said}\n{}", world.server.log()),
    }
}

#[test]
fn jdbc_asks_and_changes() {
    let world = world();
    match jdbc::run("Jdbc.java", &[&format!("jdbc:postgresql://{}/tidemill", world.address)]) {
        Ok(said) => assert!(said.ends_with("all as expected"), "{said}"),
        Err(error @ BrokerError::Missing(_)) => skip("JDBC", &error),
        Err(BrokerError::Failed(said)) => panic!("{said}\n{}", world.server.log()),
    }
}

fn add(users: &Path, name: &str, role: &str, password: &str) {
    let file = users.display().to_string();
    let mut child = Command::new(tidemill_binary())
        .args(["user", "add", name, "--role", role, "--file", &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(format!("{password}\n").as_bytes()).expect("typed");
    assert!(child.wait().expect("ends").success());
}

/// A server that encrypts and asks who it is, with a protocol's port.
pub struct Locked {
    pub server: ServerProcess,
    pub address: SocketAddr,
    /// Who has signed the server's certificate.
    pub roots: String,
    _folder: tempfile::TempDir,
}

/// With users: name, role, password. `listen` is the property of the port; `None`: there are no certificates to be had.
pub fn locked(listen: &str, users: &[(&str, &str, &str)]) -> Option<Locked> {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(folder.path())?;
    authority.sign("server", "subjectAltName=IP:127.0.0.1");
    let file_of_users = folder.path().join("users");
    users.iter().for_each(|(name, role, password)| add(&file_of_users, name, role, password));
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let file = folder.path().join("server.properties");
    let lines = [
        format!("ssl.keystore.location={}", authority.path("server.both.pem").display()),
        "ssl.keystore.type=PEM".to_owned(),
        "authentication.method=BASIC".to_owned(),
        "authentication.skip.paths=/chc/*".to_owned(),
        format!("tidemill.auth.users.file={}", file_of_users.display()),
        format!("{listen}={address}"),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let (server, _) = ServerProcess::start_secure(&folder.path().join("data"), &["--config", &file.display().to_string()]);
    let roots = authority.path("ca.pem").display().to_string();
    Some(Locked { server, address, roots, _folder: folder })
}

#[test]
fn who_asks_says_who_it_is_and_may_do_what_its_role_says() {
    let users = [("rita", "read", "rita's"), ("walt", "write", "walt's")];
    let Some(Locked { server, address, roots: _, _folder }) = locked("tidemill.postgres.listen", &users) else { return };
    let ask = |user: &str, password: &str, mode: &str, sql: &str| {
        let environment = [("PGPASSWORD", password), ("PGSSLMODE", mode)];
        psql(address, &["-At", "-U", user, "-c", sql], "", &environment).map(|output| text(&output.stdout) + &text(&output.stderr))
    };
    let Some(said) = ask("rita", "rita's", "require", "SELECT 1") else { return };
    assert_eq!(said, "1\n");
    let has = |said: Option<String>, part: &str| {
        let said = said.expect("psql is there");
        assert!(said.contains(part), "no {part} in\n{said}");
    };
    has(ask("rita", "wrong", "require", "SELECT 1"), "password authentication failed for user \"rita\"");
    has(ask("eve", "x", "require", "SELECT 1"), "password authentication failed for user \"eve\"");
    has(ask("rita", "rita's", "disable", "SELECT 1"), "encrypted connections only");
    let create = "CREATE STREAM s (a INT) WITH (kafka_topic='s', partitions=1, value_format='JSON')";
    has(ask("rita", "rita's", "require", create), "needs the role write");
    has(ask("walt", "walt's", "require", create), "CREATE STREAM");
    has(ask("rita", "rita's", "require", "INSERT INTO s (a) VALUES (1)"), "needs the role write");
    has(ask("walt", "walt's", "require", "INSERT INTO s (a) VALUES (1)"), "INSERT 0 1");
    has(ask("rita", "rita's", "require", "COPY s FROM STDIN"), "needs the role write");
    has(ask("walt", "walt's", "require", "COPY s FROM STDIN"), "COPY 0");
    let log = server.log();
    assert!(!log.contains("rita's") && !log.contains("wrong") && log.contains("walt at"), "{log}");
}

#[test]
fn nonsense_is_closed_and_said() {
    let world = world();
    let startup = |parameters: &str| {
        let mut bytes = vec![0, 3, 0, 0];
        bytes.extend_from_slice(parameters.as_bytes());
        let length = u32::try_from(bytes.len() + 4).expect("short");
        [&length.to_be_bytes()[..], &bytes].concat()
    };
    let begin = startup("user\0any\0\0");
    let with = |rest: &[u8]| [&begin[..], rest].concat();
    let ends = |what: &str, bytes: &[u8]| {
        let mut stream = TcpStream::connect(world.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        // It may be closed while this is sent.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let began = Instant::now();
        let _ = stream.read_to_end(&mut answer);
        assert!(began.elapsed() < PATIENCE, "{what} is not closed");
        answer
    };
    ends("HTTP", b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    ends("a length of nothing", &[0; 8]);
    ends("a length of 2 GiB", &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]);
    ends("an old version", &[0, 0, 0, 8, 0, 2, 0, 0]);
    ends("no user", &startup("\0"));
    ends("a text without an end", &startup("user"));
    ends("a cancelling of nobody", &[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1, 0, 0, 0, 2]);
    for (what, rest) in [
        ("no message", &b"!\0\0\0\x04"[..]),
        ("a message of 4 GiB", b"Q\xff\xff\xff\xff"),
        ("a message shorter than its length", b"Q\0\0\0\x01"),
        ("a statement that is not UTF-8", b"Q\0\0\0\x06\xff\0"),
        ("more parameters than there are bytes", b"B\0\0\0\x0a\0\0\0\0\xff\xff"),
        ("a negative length", b"B\0\0\0\x10\0\0\0\0\0\x01\x80\0\0\0\0\0"),
    ] {
        let answer = ends(what, &with(rest));
        assert!(text(&answer).contains("08P01"), "{what}: {}", text(&answer));
    }
    let log = world.server.log();
    assert!(log.contains("did not begin") && log.contains("a PostgreSQL client's connection ends"), "{log}");
    // Messages in an order that makes no sense are answered, and the connection goes on.
    let answer = ends("an order without sense", &with(b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04c\0\0\0\x04Q\0\0\0\x0dSELECT 7\0X\0\0\0\x04"));
    assert!(text(&answer).contains("34000") && answer.windows(5).any(|part| part == [0, 0, 0, 1, b'7']), "{}", text(&answer));
    world.check("SELECT 'goes on';", "goes on\n");
}

#[test]
fn a_client_that_stops_reading_holds_nothing_up() {
    let world = world();
    let mut stuck = TcpStream::connect(world.address).expect("a connection");
    stuck.write_all(b"\0\0\0\x12\0\x03\0\0user\0any\0\0").expect("sent");
    let sql =
        "SELECT a.page, REPEAT('x', 1000) FROM views a, views b, views c, views d, views e, views f, views g, views h, views i, views j";
    let length = u32::try_from(sql.len() + 5).expect("short");
    stuck.write_all(&[b"Q", &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat()).expect("sent");
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", world.server.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line").to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number")
    };
    // A million rows of a kilobyte are asked for; none of them piles up while others are answered.
    for _ in 0..5 {
        world.check("SELECT n FROM per_page WHERE page = 'a';", "2\n");
    }
    assert!(memory() < 600_000, "{} KiB", memory());
    drop(stuck);
    world.check("SELECT 1;", "1\n");
}
