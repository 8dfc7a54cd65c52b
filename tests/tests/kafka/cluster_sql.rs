//! Any SQL over tables that three servers share: what one server answers is what each of the three does, by REST and by PostgreSQL's
//! protocol, and while one of them dies each answer is right and whole, or an honest error.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::log::{Log, OutRecord, partition_for};
use tidemill_tests::broker::{self, BrokerError, unavailable};
use tidemill_tests::server::{ServerProcess, exchange, free_port};

use crate::support::{PATIENCE, commit, handle, log_on, new_topic};

const PARTITIONS: u32 = 12;
const KEYS: usize = 30_000;
/// The longest that a question may take: what a page is asked for again, and what a machine that is busy adds.
const LONGEST: Duration = Duration::from_secs(30);
const QUESTIONS: [&str; 6] = [
    "SELECT g, COUNT(*) AS n, SUM(n) AS s FROM facts GROUP BY g ORDER BY g;",
    "SELECT id, n FROM facts ORDER BY n DESC LIMIT 20;",
    "SELECT a.g, COUNT(*) AS n FROM facts a JOIN others b ON a.id = b.id WHERE b.m >= 100 GROUP BY a.g HAVING COUNT(*) > 1 ORDER BY a.g;",
    "SELECT COUNT(*) AS n, COUNT(DISTINCT g) AS d FROM facts;",
    "SELECT id, m FROM others WHERE id >= 'k00100' AND id < 'k00120' ORDER BY id;",
    "SELECT COUNT(*) AS n FROM given s LEFT JOIN facts f ON s.id = f.id WHERE f.n = s.n;",
];

/// Writes `k00000` and so on, with their numbers.
pub fn fill(log: &dyn Log, topic: &str, keys: usize) {
    let topic = handle(log, topic);
    let mut writer = log.writer().expect("a writer");
    for number in 0..keys {
        let (key, value) = (format!("k{number:05}"), json!({"n": number, "g": format!("g{}", number % 7)}).to_string());
        let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
        let record =
            OutRecord { partition, timestamp: 1_700_000_000_000, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    commit(&mut *writer);
}

/// What is not right must say so.
fn is_honest(said: &str) -> bool {
    said.contains("can't be queried") && said.contains("again later")
}

/// The rows of an answer, or the error that it ends with.
fn by_rest(server: SocketAddr, sql: &str) -> Result<String, String> {
    let body = json!({"sql": sql}).to_string();
    let answer = exchange(server, "POST", "/query-stream", &[], body.as_bytes()).map_err(|error| error.to_string())?;
    let rows: Vec<&str> = answer.body.lines().skip(1).collect();
    if answer.status != 200 || rows.iter().any(|row| !row.starts_with('[')) { Err(answer.body) } else { Ok(rows.join("\n")) }
}

/// The same by psql; `None`: there is none here.
fn by_postgres(server: SocketAddr, sql: &str) -> Option<Result<String, String>> {
    let port = server.port().to_string();
    let mut command = Command::new("psql");
    command.args(["-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port, "-U", "any", "-d", "tidemill"]);
    let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return unavailable("psql", &BrokerError::Missing(format!("needs psql (postgresql-client): {error}"))),
    };
    child.stdin.take().expect("piped").write_all(sql.as_bytes()).expect("typed");
    let output = child.wait_with_output().expect("an end");
    let (said, error) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    Some(if output.status.success() { Ok(said) } else { Err(error) })
}

fn ask(server: &(ServerProcess, SocketAddr), sql: &str) -> (String, Option<String>) {
    let by_rest = by_rest(server.0.address(), sql).unwrap_or_else(|error| panic!("{sql}: {error}\n{}", server.0.log()));
    let by_postgres = by_postgres(server.1, sql).map(|said| said.unwrap_or_else(|error| panic!("{sql}: {error}")));
    (by_rest, by_postgres)
}

/// How many slots a server says that each has.
fn slots(server: &ServerProcess) -> Vec<u64> {
    let listed = server.ksql("SHOW SERVERS;");
    listed[0]["servers"].as_array().into_iter().flatten().filter_map(|server| server["slots"].as_u64()).collect()
}

#[test]
fn any_sql_covers_tables_that_three_servers_share() {
    let Some(bootstrap) = broker::shared("any_sql_covers_tables_that_three_servers_share") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "facts", PARTITIONS);
    fill(&log, &topic, KEYS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    let text = format!("ksql.service.id={topic}_\nksql.streams.commit.interval.ms=100\ntidemill.cluster.enabled=true\n");
    std::fs::write(&config, text).expect("a configuration");
    let start = |name: &str| {
        let postgres: SocketAddr = ([127, 0, 0, 1], free_port()).into();
        let at = postgres.to_string();
        let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path"), "--postgres", &at];
        (ServerProcess::start(&folder.path().join(name), &arguments), postgres)
    };
    let one = start("one");
    one.0.ksql(&format!(
        "SET 'auto.offset.reset' = 'earliest';
         CREATE STREAM given (id STRING KEY, n INT, g STRING) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');
         CREATE TABLE facts AS SELECT id, LATEST_BY_OFFSET(g) AS g, SUM(n) AS n FROM given GROUP BY id EMIT CHANGES;
         CREATE TABLE others AS SELECT id, MAX(n) AS m FROM given GROUP BY id EMIT CHANGES;"
    ));
    for table in ["facts", "others"] {
        one.0.pull_until(&format!("SELECT id FROM {table};"), PATIENCE, |rows| rows.len() == KEYS);
    }
    let expected: Vec<(String, Option<String>)> = QUESTIONS.iter().map(|sql| ask(&one, sql)).collect();
    assert_eq!(expected[3].0, format!("[{KEYS},7]"), "one server is right");

    let (two, three) = (start("two"), start("three"));
    let began = Instant::now();
    loop {
        let shared = slots(&one.0);
        if shared.len() == 3 && shared.iter().all(|slots| (20..=23).contains(slots)) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{shared:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    for server in [&one, &two, &three] {
        let began = Instant::now();
        // Slots have just moved.
        while let Err(error) = by_rest(server.0.address(), QUESTIONS[3]) {
            assert!(began.elapsed() < PATIENCE && is_honest(&error), "{error}");
        }
        for (sql, expected) in QUESTIONS.iter().zip(&expected) {
            assert_eq!(ask(server, sql), *expected, "{sql}");
        }
    }
    let plan = by_rest(one.0.address(), "EXPLAIN ANALYZE SELECT COUNT(*) FROM facts WHERE n >= 0;").expect("a plan");
    assert!(plan.contains("remote=2") && plan.contains("Remote rows: ") && plan.contains("Remote bytes: "), "{plan}");

    // One dies while the first is asked all the time.
    let stop = AtomicBool::new(false);
    let (right, errors) = ([AtomicUsize::new(0), AtomicUsize::new(0)], [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let longest_ms = AtomicU64::new(0);
    let note = |way: usize, sql: &str, said: Result<String, String>, expected: &str, took: Duration| {
        match said {
            Ok(said) => {
                assert_eq!(said, expected, "{sql}");
                right[way].fetch_add(1, Ordering::AcqRel);
            }
            Err(error) => {
                assert!(is_honest(&error), "{sql}: {error}");
                errors[way].fetch_add(1, Ordering::AcqRel);
            }
        }
        assert!(took < LONGEST, "{sql}: {took:?}");
        longest_ms.fetch_max(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::AcqRel);
    };
    std::thread::scope(|scope| {
        let (one, stop, note, expected) = (&one, &stop, &note, &expected);
        let asking = scope.spawn(move || {
            for (sql, (expected, _)) in QUESTIONS.iter().zip(expected).cycle().take_while(|_| !stop.load(Ordering::Acquire)) {
                let began = Instant::now();
                note(0, sql, by_rest(one.0.address(), sql), expected, began.elapsed());
            }
        });
        let by_psql = scope.spawn(move || {
            for (sql, (_, expected)) in QUESTIONS.iter().zip(expected).cycle().take_while(|_| !stop.load(Ordering::Acquire)) {
                let began = Instant::now();
                let Some((said, expected)) = by_postgres(one.1, sql).zip(expected.as_ref()) else { return };
                note(1, sql, said, expected, began.elapsed());
            }
        });
        std::thread::sleep(Duration::from_secs(1));
        three.0.kill();
        let began = Instant::now();
        // Both ways, for longer than it takes until a dead server is missed and its state is elsewhere.
        while began.elapsed() < Duration::from_secs(12) && !asking.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Release);
        asking.join().expect("right or honest");
        by_psql.join().expect("right or honest");
    });
    let (longest_ms, count) = (longest_ms.into_inner(), |of: &[AtomicUsize]| of.iter().map(|of| of.load(Ordering::Acquire)).sum::<usize>());
    println!("while a server died: {right:?} right, {errors:?} errors (by REST, by PostgreSQL), the longest took {longest_ms} ms");
    assert!(right[0].load(Ordering::Acquire) > QUESTIONS.len(), "it was asked");
    assert!(count(&errors) > 0 || longest_ms > 500, "the fault was there");
    for server in [&one, &two] {
        let began = Instant::now();
        while let Err(error) = by_rest(server.0.address(), QUESTIONS[3]) {
            assert!(began.elapsed() < PATIENCE && is_honest(&error), "{error}");
        }
        for (sql, expected) in QUESTIONS.iter().zip(&expected) {
            assert_eq!(ask(server, sql), *expected, "{sql}");
        }
    }
    assert_eq!(two.0.terminate(), Some(0));
    assert_eq!(one.0.terminate(), Some(0));
}
