//! SQL beyond the dialect's pull queries, over live tables and topics.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

const PATIENCE: Duration = Duration::from_secs(60);

const STATEMENTS: &str = "
    CREATE STREAM views (page STRING, member STRING, ms INT) WITH (KAFKA_TOPIC='views', PARTITIONS=3, VALUE_FORMAT='JSON');
    CREATE TABLE per_page AS SELECT page, COUNT(*) AS n, SUM(ms) AS total FROM views GROUP BY page;
    CREATE TABLE per_hour AS SELECT page, COUNT(*) AS n FROM views WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY page;
    CREATE TABLE people_in (name STRING PRIMARY KEY, info STRUCT<city STRING, tags ARRAY<STRING>>, props MAP<STRING, INT>,
        paid DECIMAL(10, 2), born DATE, wakes TIME, seen TIMESTAMP, photo BYTES)
        WITH (KAFKA_TOPIC='people', PARTITIONS=2, VALUE_FORMAT='JSON');
    CREATE TABLE people AS SELECT * FROM people_in;
    INSERT INTO views (page, member, ms, ROWTIME) VALUES ('a', 'ann', 10, 1000);
    INSERT INTO views (page, member, ms, ROWTIME) VALUES ('b', 'ann', 20, 2000);
    INSERT INTO views (page, member, ms, ROWTIME) VALUES ('a', 'bob', 30, 3600000);
    INSERT INTO views (page, member, ms, ROWTIME) VALUES ('c', 'cat', 40, 3601000);
    INSERT INTO people_in VALUES ('ann', STRUCT(city := 'Ulm', tags := ARRAY['x', 'y']), MAP('k' := 7), 12.50, '2001-02-03', '06:30:00', '2020-01-01T00:00:00', 'AQI=');
    INSERT INTO people_in VALUES ('bob', STRUCT(city := 'Kiel', tags := ARRAY['z']), MAP('k' := 8, 'l' := 9), 0.05, '1999-12-31', '07:00:00', '2020-01-02T00:00:00', 'AQ==');";

fn started() -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    server.ksql(STATEMENTS);
    server.pull_until("SELECT * FROM per_page;", PATIENCE, |rows| rows.len() == 3);
    server.pull_until("SELECT * FROM per_hour;", PATIENCE, |rows| rows.len() == 4);
    server.pull_until("SELECT * FROM people;", PATIENCE, |rows| rows.len() == 2);
    (folder, server)
}

fn check(server: &ServerProcess, sql: &str, expected: Json) {
    assert_eq!(json!(server.pull(sql)), expected, "{sql}");
}

#[test]
fn what_pull_queries_can_not_say_is_answered() {
    let (_folder, server) = started();
    let check = |sql: &str, expected: Json| check(&server, sql, expected);
    // Nothing but SQL.
    check("SELECT 1 + 1, 'x' || 'y';", json!([[2, "xy"]]));
    check("VALUES (1, 'a'), (2, 'b');", json!([[1, "a"], [2, "b"]]));
    // Live tables.
    check("SELECT page, n FROM per_page ORDER BY n DESC, page LIMIT 2;", json!([["a", 2], ["b", 1]]));
    check("SELECT COUNT(*), SUM(total), MAX(page) FROM per_page;", json!([[3, 100, "c"]]));
    check("SELECT n, COUNT(*) FROM per_page GROUP BY n HAVING COUNT(*) > 1;", json!([[1, 2]]));
    check("SELECT DISTINCT n FROM per_page ORDER BY 1;", json!([[1], [2]]));
    check("SELECT page FROM per_page WHERE n = (SELECT MAX(n) FROM per_page);", json!([["a"]]));
    check("WITH big AS (SELECT * FROM per_page WHERE total > 20) SELECT b.page FROM big b ORDER BY b.page;", json!([["a"], ["c"]]));
    check("SELECT page, RANK() OVER (ORDER BY n DESC) AS place FROM per_page ORDER BY place, page;", json!([["a", 1], ["b", 2], ["c", 2]]));
    check("SELECT page FROM per_page WHERE page IN ('a', 'c', 'nobody') ORDER BY page OFFSET 1;", json!([["c"]]));
    check("SELECT page FROM per_page WHERE page >= 'b' AND page < 'c' ORDER BY page;", json!([["b"]]));
    check("SELECT page FROM per_page UNION SELECT name FROM people ORDER BY 1;", json!([["a"], ["ann"], ["b"], ["bob"], ["c"]]));
    // Windows.
    check("SELECT page, WINDOWSTART, n FROM per_hour WHERE page = 'a' ORDER BY WINDOWSTART;", json!([["a", 0, 1], ["a", 3_600_000, 1]]));
    check("SELECT COUNT(*) FROM per_hour WHERE WINDOWSTART >= '1970-01-01T01:00:00';", json!([[2]]));
    // Topics.
    check("SELECT page, SUM(ms) FROM views GROUP BY page ORDER BY 2 DESC, 1;", json!([["a", 40], ["c", 40], ["b", 20]]));
    check(
        "SELECT page, ROWTIME FROM views WHERE ROWTIME >= '1970-01-01T01:00:00' ORDER BY ROWTIME;",
        json!([["a", 3_600_000], ["c", 3_601_000]]),
    );
    check("SELECT COUNT(*) FROM views WHERE ROWOFFSET >= 0 AND ROWPARTITION BETWEEN 0 AND 2;", json!([[4]]));
    check("SELECT COUNT(*) FROM views WHERE ROWPARTITION = 99;", json!([[0]]));
    // Topics with tables.
    check(
        "SELECT v.page, p.info->city FROM views v LEFT JOIN people p ON p.name = v.member ORDER BY v.page, p.name;",
        json!([["a", "Ulm"], ["a", "Kiel"], ["b", "Ulm"], ["c", null]]),
    );
    // `*` shows no more than the columns, also where others are named.
    check("SELECT * FROM views WHERE ROWTIME = 1000 ORDER BY ms;", json!([["a", "ann", 10]]));
}

#[test]
fn the_dialect_is_spoken() {
    let (_folder, server) = started();
    let check = |sql: &str, expected: Json| check(&server, sql, expected);
    let all = "[\"bob\",{\"CITY\":\"Kiel\",\"TAGS\":[\"z\"]},{\"k\":8,\"l\":9},0.05,\"1999-12-31\",\"07:00\",\"2020-01-02T00:00:00.000\",\"AQ==\"]";
    let expected: Json = serde_json::from_str(all).expect("JSON");
    let plain = server.pull("SELECT * FROM people WHERE name = 'bob';");
    assert_eq!(plain, [expected], "a look-up by key");
    // Every type is shown as the dialect's own queries show it.
    assert_eq!(server.pull("SELECT * FROM people WHERE name = 'bob' ORDER BY name;"), plain);
    check(
        "SELECT info->city, info->tags[1], info->tags[-1], props['k'], ARRAY[1, 2][2], MAP('a' := 1)['a'], STRUCT(f := 5)->f FROM people ORDER BY name;",
        json!([["Ulm", "x", "y", 7, 2, 1, 5], ["Kiel", "z", "z", 8, 2, 1, 5]]),
    );
    check("SELECT CAST('12' AS INT), CAST('x' AS INT), CAST(5 AS STRING) AS s FROM people LIMIT 1 OFFSET 0;", json!([[12, null, "5"]]));
    // Its functions go before DataFusion's, whose others are there as well.
    check("SELECT UCASE(name), LEN(name), INSTR(name, 'n'), btrim(' x ') FROM people ORDER BY name LIMIT 1;", json!([["ANN", 3, 2, "x"]]));
    check("SELECT TRANSFORM(info->tags, x => x || name) FROM people ORDER BY name;", json!([[["xann", "yann"]], [["zbob"]]]));
    check(
        "SELECT REDUCE(ARRAY[1, 2, 3], 0, (s, x) => s + x), DATEADD(DAYS, 1, born) FROM people ORDER BY name LIMIT 1;",
        json!([[6, "2001-02-04"]]),
    );
    check("SELECT COUNT_DISTINCT(member), TOPK(ms, 2), HISTOGRAM(page)['a'] FROM views;", json!([[3, [40, 30], 2]]));
    check("SELECT member, COLLECT_LIST(ms) FROM views WHERE member = 'bob' GROUP BY member;", json!([["bob", [30]]]));
    check("SELECT SUM(paid) FROM people;", serde_json::from_str("[[12.55]]").expect("JSON"));
    // Names are found in any case of letters, columns without a name are named as in the dialect.
    let (status, text) = server
        .request(
            "POST",
            "/query-stream",
            Some(&json!({"sql": "select Count(*), pAge as `p` from VIEWS group by page order by 2 limit 1;"})),
        )
        .expect("an answer");
    assert_eq!(status, 200, "{text}");
    let header: Json = serde_json::from_str(text.lines().next().expect("a header")).expect("JSON");
    assert_eq!(header["columnNames"], json!(["KSQL_COL_0", "p"]));
    assert_eq!(header["columnTypes"], json!(["BIGINT", "STRING"]));
    // The older form.
    let (status, text) = server.request("POST", "/query", Some(&json!({"ksql": "SELECT COUNT(*) AS c FROM people;"}))).expect("an answer");
    assert_eq!(status, 200, "{text}");
    let answer: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer[1], json!({"row": {"columns": [2]}}));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let (_folder, server) = started();
    for (sql, status, said) in [
        ("SELECT pag FROM views ORDER BY 1;", 400, "line 1:8: Column 'PAG' cannot be resolved. Did you mean 'PAGE'?"),
        ("SELECT 1 FROM viewz ORDER BY 1;", 400, "line 1:15: VIEWZ does not exist. Did you mean 'VIEWS'?"),
        ("SELECT nofunction(page) FROM views ORDER BY 1;", 400, "line 1:8: Can't find any functions with the name 'NOFUNCTION'."),
        ("SELECT SUM(page) FROM views;", 400, "Function 'SUM' does not accept parameters (STRING)."),
        ("SELECT page FROM views v, per_page p ORDER BY 1;", 400, "ambiguous"),
        ("SELECT page FROM views ORDER BYE page;", 400, "line 1:30: Syntax Error"),
        ("SELECT COUNT(*) FROM people_in;", 400, "isn't queryable"),
        ("SELECT LEN(ms, 1, 2) FROM views ORDER BY 1;", 400, "line 1:8: Function 'len' does not accept parameters"),
        ("SELECT page FROM views ORDER BY 7;", 400, "line 1:33: Order by column out of bounds, specified: 7"),
        ("WITH x AS (DELETE FROM views) SELECT * FROM x;", 400, "Not supported: Query DELETE FROM VIEWS"),
    ] {
        let (found, text) = server.request("POST", "/query-stream", Some(&json!({"sql": sql}))).expect("an answer");
        assert_eq!(found, status, "{sql}\n{text}");
        assert!(text.contains(said), "{sql}\n{text}");
    }
}

#[test]
fn plans_are_shown() {
    let (_folder, server) = started();
    let lines = |sql: &str| {
        let rows = server.pull(sql);
        rows.iter().map(|row| row[0].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>().join("\n")
    };
    let plan = lines("EXPLAIN SELECT page, COUNT(*) FROM per_page WHERE page = 'a' GROUP BY page;");
    assert!(plan.contains(" > [ TABLE_SCAN ] | PER_PAGE, columns=[PAGE], key ranges=1"), "{plan}");
    let ran = lines("EXPLAIN ANALYZE SELECT COUNT(*) FROM views;");
    assert!(ran.contains(" > [ TOPIC_SCAN ] | VIEWS, topic=views") && ran.contains("Rows: 4") && ran.contains("Time: "), "{ran}");
}

/// A server with limits of its own and a table of a million rows.
fn with_limits(properties: &str) -> (tempfile::TempDir, ServerProcess) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, properties).expect("a file");
    let server = ServerProcess::start(&folder.path().join("data"), &["--config", &config.display().to_string()]);
    server.ksql("CREATE STREAM s (n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON'); INSERT INTO s (n) VALUES (1);");
    (folder, server)
}

fn broken_off(server: &ServerProcess, sql: &str) -> String {
    let (_, text) = server.request("POST", "/query-stream", Some(&json!({"sql": sql}))).expect("an answer");
    text
}

#[test]
fn a_million_rows_that_cross_a_million_end_by_their_limit() {
    let (_folder, server) = with_limits("tidemill.query.timeout.ms=8000\n");
    let began = Instant::now();
    let crossing = std::thread::scope(|scope| {
        let crossing = scope.spawn(|| {
            let million = "generate_series(1, 1000000)";
            broken_off(&server, &format!("SELECT COUNT(*) FROM {million} AS a(v) CROSS JOIN {million} AS b(v) WHERE a.v + b.v < 0;"))
        });
        // Nobody else notices.
        while !crossing.is_finished() {
            assert_eq!(server.pull("SELECT COUNT(*) FROM s;"), [json!([1])]);
        }
        crossing.join().expect("it ends")
    });
    assert!(crossing.contains("tidemill.query.timeout.ms"), "{crossing}");
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn a_query_whose_client_leaves_ends() {
    let (_folder, server) = with_limits("tidemill.query.timeout.ms=600000\n");
    let million = "generate_series(1, 1000000)";
    let sql = format!("SELECT COUNT(*) FROM {million} AS a(v) CROSS JOIN {million} AS b(v) WHERE a.v + b.v < 0;");
    let running = || server.request("GET", "/running-queries", None).expect("an answer").1;
    let wait_until = |is: bool| {
        let began = Instant::now();
        while running().contains("CROSS JOIN") != is {
            assert!(began.elapsed() < PATIENCE, "it should{} run", if is { "" } else { " not" });
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let body = json!({"sql": sql}).to_string();
    let mut client = std::net::TcpStream::connect(server.address()).expect("connects");
    let head =
        format!("POST /query-stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(format!("{head}{body}").as_bytes()).expect("writes");
    wait_until(true);
    drop(client);
    wait_until(false);
}

#[test]
fn memory_has_a_limit_and_what_can_goes_to_disk() {
    let (_folder, server) = with_limits("tidemill.query.memory.bytes=64000000\n");
    // An order spills.
    let numbered = "SELECT ROW_NUMBER() OVER (ORDER BY t) AS r FROM (SELECT 'some text that takes room ' || CAST(v AS STRING) AS t FROM generate_series(1, 1500000) AS s(v)) x";
    assert_eq!(server.pull(&format!("SELECT MAX(r), COUNT(*) FROM ({numbered}) y;")), [json!([1_500_000, 1_500_000])]);
    let ran = server.pull(&format!("EXPLAIN ANALYZE SELECT MAX(r), COUNT(*) FROM ({numbered}) y;"));
    assert!(ran.iter().any(|line| line.to_string().contains("Spilled bytes: ")), "{ran:?}");
    // The table of a join's side can't.
    let told = broken_off(
        &server,
        "SELECT COUNT(*) FROM (SELECT v, 'some text' || CAST(v AS STRING) AS t FROM generate_series(1, 3000000) AS s(v)) a
         JOIN (SELECT v, 'some text' || CAST(v AS STRING) AS t FROM generate_series(1, 3000000) AS s(v)) b ON a.t = b.t;",
    );
    assert!(told.contains("tidemill.query.memory.bytes"), "{told}");
    assert_eq!(server.pull("SELECT COUNT(*) FROM s;"), [json!([1])]);
}

#[test]
fn a_table_that_is_dropped_is_read_to_its_end() {
    let (_folder, server) = started();
    let names: String = (0..2_000).map(|n| format!("INSERT INTO views (page, member, ms) VALUES ('page {n}', 'x', 1);")).collect();
    server.ksql(&names);
    server.pull_until("SELECT COUNT(*) FROM per_page;", PATIENCE, |rows| rows == [json!([2003])]);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            (0..40)
                .map(|_| broken_off(&server, "SELECT COUNT(*), COUNT(DISTINCT b.page) FROM per_page a JOIN per_page b ON a.page = b.page;"))
                .collect::<Vec<_>>()
        });
        server.ksql("DROP TABLE per_page;");
        for text in reading.join().expect("answers") {
            // All of it, or that it is not there.
            assert!(text.contains("[2003,2003]") || text.contains("does not exist") || text.contains("has been terminated"), "{text}");
        }
    });
}

#[test]
fn a_large_partition_is_read_in_pieces() {
    const ROWS: i64 = 100_000;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &[]);
    // Texts that can't be packed, so that there are some megabytes of files.
    let noise = ["CAST(RANDOM() AS STRING)"; 6].join(" + ");
    server.ksql(&format!(
        "CREATE STREAM seeds (seed BIGINT) WITH (KAFKA_TOPIC='seeds', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM ticks AS SELECT EXPLODE(GENERATE_SERIES(1, 10000)) AS n, seed FROM seeds;
         CREATE STREAM numbered AS SELECT seed * 10000 + n AS id, n % 10 AS kind, {noise} AS text FROM ticks PARTITION BY seed * 10000 + n;
         CREATE TABLE large AS SELECT id, LATEST_BY_OFFSET(kind) AS kind, LATEST_BY_OFFSET(text) AS text FROM numbered GROUP BY id;"
    ));
    server.ksql(&(0..10).map(|seed| format!("INSERT INTO seeds VALUES ({seed});")).collect::<String>());
    server.pull_until("SELECT COUNT(*) FROM large;", PATIENCE, |rows| rows == [json!([ROWS])]);
    // What a start finds lies in files.
    assert_eq!(server.terminate(), Some(0));
    let server = ServerProcess::start(&data, &[]);
    let plan = json!(server.pull("EXPLAIN SELECT COUNT(*) FROM large;")).to_string();
    let parts = plan.split("parts=").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()).map(str::parse::<usize>);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    assert!(matches!(parts, Some(Ok(parts)) if parts >= 2.min(cores)), "{plan}");
    // Each row once, whatever piece it is in; those of a range as well.
    let all = "SELECT COUNT(*), COUNT(DISTINCT id), SUM(id), MIN(id), MAX(id) FROM large";
    check(&server, &format!("{all};"), json!([[ROWS, ROWS, ROWS * (ROWS + 1) / 2, 1, ROWS]]));
    check(&server, &format!("{all} WHERE id > 1000 AND id <= 99000;"), json!([[98_000, 98_000, 4_900_049_000_i64, 1_001, 99_000]]));
    check(&server, "SELECT kind, COUNT(*) FROM large GROUP BY kind ORDER BY kind LIMIT 2;", json!([[0, ROWS / 10], [1, ROWS / 10]]));
    // And while rows change, which then lie elsewhere.
    server.ksql("INSERT INTO seeds VALUES (0); INSERT INTO seeds VALUES (10);");
    server.pull_until("SELECT COUNT(*) FROM large;", PATIENCE, |rows| rows == [json!([ROWS + 10_000])]);
    let most = ROWS + 10_000;
    check(&server, &format!("{all};"), json!([[most, most, most * (most + 1) / 2, 1, most]]));
}

#[test]
fn a_query_that_runs_shows_what_it_does() {
    let (_folder, server) = started();
    let lines = |sql: &str| -> Vec<String> { server.pull(sql).iter().map(|row| row[0].as_str().unwrap_or_default().to_owned()).collect() };
    let id = server.running_queries().into_iter().find(|id| id.starts_with("CTAS_PER_PAGE_")).expect("the query");
    let shown = lines(&format!("EXPLAIN ANALYZE {id};"));
    let has =
        |parts: &[&str]| assert!(shown.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{parts:?}\n{}", shown.join("\n"));
    has(&[" > [ QUERY ] | CTAS_PER_PAGE_", "State: RUNNING", "Rows out: ", "Late rows dropped: 0", "Errors: 0"]);
    has(&["[ TOPIC ] | views", "Records: 4 (0/s)", "Lag: "]);
    has(&["[ SOURCE(views) ]", "Rows: 4", "Time: "]);
    has(&["AGGREGATE ]", "Sub-topology: 1", "Rows: 4"]);
    has(&["[ STORE ]", "Entries: 3", "Bytes: "]);
    let (status, text) =
        server.request("POST", "/query-stream", Some(&json!({"sql": "EXPLAIN ANALYZE CTAS_PER_PAGE_;"}))).expect("an answer");
    assert!(status == 400 && text.contains(&format!("Did you mean '{id}'?")), "{text}");
}

#[test]
fn the_manual_s_python_example_runs() {
    let (_folder, server) = started();
    server.ksql(
        "CREATE STREAM pageviews (page STRING) WITH (KAFKA_TOPIC='pageviews', PARTITIONS=2, VALUE_FORMAT='JSON');
         INSERT INTO pageviews VALUES ('a'); INSERT INTO pageviews VALUES ('b'); INSERT INTO pageviews VALUES ('a');",
    );
    let manual = include_str!("../../../docs/queries.md");
    let example = manual.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let output = std::process::Command::new("python3")
        .args(["-c", example])
        .env("TIDEMILL_SERVER", format!("http://{}", server.address()))
        .output()
        .expect("python3");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(out.trim(), "{'PAGE': 'a', 'N': 2}\n{'PAGE': 'b', 'N': 1}", "{err}");
}

#[test]
fn a_look_up_that_is_known_is_planned_anew_when_its_table_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let look_up = "SELECT * FROM t WHERE k = 'a';";
    server.ksql(
        "SET 'auto.offset.reset'='earliest';
         CREATE STREAM s (k STRING, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=3, VALUE_FORMAT='JSON');
         INSERT INTO s VALUES ('a', 5); INSERT INTO s VALUES ('a', 7);
         CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;",
    );
    server.pull_until(look_up, PATIENCE, |rows| rows == [json!(["a", 2])]);
    assert_eq!(server.pull(look_up), [json!(["a", 2])]);
    // A limit is no part of what is known of another text.
    assert_eq!(server.pull("SELECT * FROM t WHERE k = 'a' LIMIT 0;"), Vec::<Json>::new());
    server.ksql(
        "DROP TABLE t; SET 'auto.offset.reset'='earliest'; CREATE TABLE t AS SELECT k, SUM(n) AS total, MAX(n) AS most FROM s GROUP BY k;",
    );
    server.pull_until(look_up, PATIENCE, |rows| rows == [json!(["a", 12, 7])]);
    server.ksql("DROP TABLE t;");
    let (status, text) = server.request("POST", "/query-stream", Some(&json!({"sql": look_up}))).expect("an answer");
    assert!(status == 400 && text.contains("does not exist"), "{text}");
}
