//! `/metrics` as Prometheus sees it, and what stands in docs for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::broker::skipped;
use tidemill_tests::server::{ServerProcess, exchange, free_port};

const PATIENCE: Duration = Duration::from_secs(60);

fn docs(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics").join(file)
}

/// A program of Debian's package `prometheus`; `None`, said aloud, where it is not installed.
fn installed(program: &str) -> Option<&str> {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        skipped("metrics", &format!("{program} is not installed (Debian: apt-get install prometheus)"));
    }
    found.then_some(program)
}

fn page(server: &ServerProcess) -> String {
    let (status, page) = server.request("GET", "/metrics", None).expect("an answer");
    assert_eq!(status, 200, "{page}");
    page
}

/// The value of a sample, by its name and labels as they are written.
fn sample(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// A server with a query that has read four records, written three, and dropped one that came too late.
fn busy(data: &Path) -> ServerProcess {
    let server = ServerProcess::start(data, &[]);
    server.ksql(
        "CREATE STREAM s (k STRING KEY, n INT, t BIGINT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON', TIMESTAMP='t');
         CREATE TABLE w AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY k;
         INSERT INTO s (k, n, t) VALUES ('a', 1, 1000);
         INSERT INTO s (k, n, t) VALUES ('a', 1, 5000);
         INSERT INTO s (k, n, t) VALUES ('b', 2, 9000);
         INSERT INTO s (k, n, t) VALUES ('a', 3, 1500);",
    );
    server
}

fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(began.elapsed() < PATIENCE, "{what}: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn numbers_of_queries_are_those_of_the_statements() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = busy(&folder.path().join("data"));
    let id = server.running_queries().into_iter().next().expect("a query");
    let read = format!("tidemill_query_records_read_total{{query=\"{id}\",topic=\"s\"}}");
    let page = until("four records are read", || {
        let page = page(&server);
        let caught_up = sample(&page, &format!("tidemill_query_lag_records{{query=\"{id}\",topic=\"s\",partition=\"0\"}}")) == Some(0.0);
        if sample(&page, &read) == Some(4.0) && caught_up { Ok(page) } else { Err(page) }
    });
    for (name, expected) in [
        (format!("tidemill_query_records_written_total{{query=\"{id}\"}}"), 3.0),
        (format!("tidemill_query_late_records_total{{query=\"{id}\"}}"), 1.0),
        (format!("tidemill_query_errors_total{{query=\"{id}\",kind=\"processing\"}}"), 1.0),
        (format!("tidemill_query_errors_total{{query=\"{id}\",kind=\"deserialization\"}}"), 0.0),
        (format!("tidemill_query_state{{query=\"{id}\",state=\"running\"}}"), 1.0),
        ("tidemill_queries{state=\"failed\"}".to_owned(), 0.0),
        ("tidemill_log_up".to_owned(), 1.0),
        ("tidemill_http_requests_total{endpoint=\"chc\",status=\"2xx\"}".to_owned(), 1.0),
    ] {
        assert!(sample(&page, &name).is_some_and(|value| value >= expected), "{name}: {page}");
    }
    assert!(sample(&page, &format!("tidemill_query_commit_seconds_total{{query=\"{id}\"}}")).is_some_and(|s| s > 0.0), "{page}");
    assert!(sample(&page, "process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6), "{page}");
    let described = server.ksql("DESCRIBE s EXTENDED;");
    let statistics = described[0]["sourceDescription"]["clusterStatistics"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| statistics.iter().find(|s| s["name"] == name).and_then(|s| s["value"].as_f64());
    assert_eq!(of("consumer-total-messages"), sample(&page, &read), "{described}");
    assert_eq!(of("consumer-total-bytes"), sample(&page, &read.replace("records_read", "bytes_read")), "{described}");
    // What is dropped is gone.
    server.ksql(&format!("TERMINATE {id}; DROP TABLE w;"));
    assert!(!self::page(&server).contains(&format!("\"{id}\"")));
}

/// What SHOW QUERIES EXTENDED, DESCRIBE EXTENDED and `/metrics` say is the same, of queries that read, write, fail and leave out.
#[test]
fn statements_and_metrics_read_the_same_numbers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = busy(&folder.path().join("data"));
    server.ksql(
        "CREATE STREAM garbage (text STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='KAFKA');
         CREATE STREAM doubled AS SELECT k, n * 2 AS n FROM s EMIT CHANGES;
         INSERT INTO garbage (text) VALUES ('no JSON');",
    );
    for n in 0..20 {
        server.ksql(&format!("INSERT INTO s (k, n, t) VALUES ('c', {n}, {});", 20_000 + n));
    }
    let ids = server.running_queries();
    assert_eq!(ids.len(), 2);
    let of_query =
        |page: &str, id: &str, family: &str, more: &str| sample(page, &format!("tidemill_query_{family}{{query=\"{id}\"{more}}}"));
    // Numbers of a moment: a commit may come between two questions, so all are asked until the first is as the last.
    let (page, described, listed) = until("numbers stand still", || {
        let before = page(&server);
        let described: Vec<Json> = ["s", "doubled", "w"].iter().map(|name| server.ksql(&format!("DESCRIBE {name} EXTENDED;"))).collect();
        let listed = server.ksql("SHOW QUERIES EXTENDED;");
        let counted = |page: &str| -> Vec<String> {
            let of_queries = page.lines().filter(|line| line.starts_with("tidemill_query_") && !line.contains("_seconds{"));
            of_queries.map(str::to_owned).collect()
        };
        // Twenty-four rows and one that is none, of each of both.
        let have_read = |id| of_query(&before, id, "records_read_total", ",topic=\"s\"") == Some(25.0);
        if counted(&before) == counted(&page(&server)) && ids.iter().all(|id| have_read(id)) {
            Ok((before, described, listed))
        } else {
            Err(before)
        }
    });
    let descriptions = listed[0]["queryDescriptions"].as_array().cloned().unwrap_or_default();
    let (mut written, mut failed) = (0.0, 0.0);
    for id in &ids {
        let of = |family: &str, more: &str| of_query(&page, id, family, more).unwrap_or_else(|| panic!("{family} of {id}: {page}"));
        let numbers = descriptions.iter().find(|query| query["id"] == json!(id)).map(|query| &query["metrics"]);
        let numbers = numbers.unwrap_or_else(|| panic!("{id}: {listed}"));
        let number = |name: &str| numbers[name].as_f64().unwrap_or_else(|| panic!("{name} of {id}: {numbers}"));
        assert_eq!(number("recordsRead"), of("records_read_total", ",topic=\"s\""), "{id}");
        assert_eq!(number("bytesRead"), of("bytes_read_total", ",topic=\"s\""), "{id}");
        for (name, family) in [
            ("recordsWritten", "records_written_total"),
            ("bytesWritten", "bytes_written_total"),
            ("deadLetters", "dead_letters_total"),
            ("commits", "commits_total"),
        ] {
            assert_eq!(number(name), of(family, ""), "{name} of {id}");
        }
        // Milliseconds of the one are whole ones of the other.
        assert_eq!(number("commitMs"), (of("commit_seconds_total", "") * 1e3 + 1e-6).floor(), "{id}");
        for (name, family) in [("errors", "errors_total"), ("leftOut", "left_out_total")] {
            let prefix = format!("tidemill_query_{family}{{query=\"{id}\",kind=\"");
            let kinds = page.lines().filter_map(|line| line.strip_prefix(prefix.as_str())?.split_once("\"} "));
            let kinds: Vec<(&str, f64)> = kinds.map(|(kind, count)| (kind, count.parse().expect("a number"))).collect();
            assert!(!kinds.is_empty(), "{family}: {page}");
            for (kind, count) in &kinds {
                assert_eq!(numbers[name][*kind].as_f64().unwrap_or(0.0), *count, "{name} of {kind} of {id}");
            }
            assert!(numbers[name].as_object().is_some_and(|said| said.len() <= kinds.len()), "{numbers}");
            failed += kinds.iter().map(|(_, count)| count).sum::<f64>();
        }
        written += number("recordsWritten");
    }
    assert!(written > 20.0 && failed >= 3.0, "{written} written, {failed} failed: {page}");
    // What a topic's description adds up.
    let statistic = |described: &Json, list: &str, name: &str| {
        let statistics = described[0]["sourceDescription"][list].as_array().cloned().unwrap_or_default();
        statistics.iter().find(|statistic| statistic["name"] == name).and_then(|statistic| statistic["value"].as_f64()).unwrap_or(0.0)
    };
    let both = |family: &str, more: &str| ids.iter().filter_map(|id| of_query(&page, id, family, more)).sum::<f64>();
    let [s, sinks @ ..] = described.as_slice() else { panic!("three descriptions") };
    assert_eq!(statistic(s, "clusterStatistics", "consumer-total-messages"), both("records_read_total", ",topic=\"s\""));
    assert_eq!(statistic(s, "clusterStatistics", "consumer-total-bytes"), both("bytes_read_total", ",topic=\"s\""));
    let of_sinks: f64 = sinks.iter().map(|sink| statistic(sink, "clusterStatistics", "total-messages")).sum();
    assert_eq!(of_sinks, both("records_written_total", ""));
    let errors: f64 = page
        .lines()
        .filter(|line| line.starts_with("tidemill_query_errors_total{"))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert_eq!(statistic(s, "clusterErrorStats", "consumer-failed-messages"), errors, "{s}");
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_reads_it_and_can_be_asked() {
    let (Some(prometheus), Some(promtool)) = (installed("prometheus"), installed("promtool")) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = busy(&folder.path().join("data"));
    let address: SocketAddr = ([127, 0, 0, 1], free_port()).into();
    let config = folder.path().join("prometheus.yaml");
    let text = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n- job_name: tidemill\n  \
         static_configs: [{{targets: ['{}']}}]\n",
        docs("alerts.yaml").display(),
        server.address()
    );
    std::fs::write(&config, text).expect("a file");
    let log = std::fs::File::create(folder.path().join("prometheus.log")).expect("a file");
    let _running = Killed(
        Command::new(prometheus)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts"),
    );
    let ask = |query: &str| -> Result<Json, String> {
        let path = format!("/api/v1/query?query={query}");
        let answer = exchange(address, "GET", &path, &[], b"").map_err(|error| error.to_string())?;
        serde_json::from_str(&answer.body).map_err(|error| format!("{error}: {}", answer.body))
    };
    for (query, expected) in [
        ("sum(tidemill_query_records_read_total)", "4"),
        ("sum(tidemill_query_late_records_total)", "1"),
        ("tidemill_queries%7Bstate=%22running%22%7D", "1"),
        ("up%7Bjob=%22tidemill%22%7D", "1"),
    ] {
        until(query, || {
            let answer = ask(query)?;
            if answer["data"]["result"][0]["value"][1] == json!(expected) { Ok(()) } else { Err(answer.to_string()) }
        });
    }
    let check =
        Command::new(promtool).args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut check = check.expect("promtool starts");
    std::io::Write::write_all(&mut check.stdin.take().expect("its input"), page(&server).as_bytes()).expect("written");
    let output = check.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn rules_and_the_dashboard_know_only_what_is_served() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = busy(&folder.path().join("data"));
    let (rules, dashboard) = (docs("alerts.yaml"), docs("grafana.json"));
    if let Some(promtool) = installed("promtool") {
        let output = Command::new(promtool).args(["check", "rules"]).arg(&rules).output().expect("promtool starts");
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    let served = until("lags are known", || {
        let page = page(&server);
        if page.contains("tidemill_query_last_record_timestamp_seconds{") { Ok(page) } else { Err(page) }
    });
    let dashboard = std::fs::read_to_string(dashboard).expect("the dashboard");
    let parsed: Json = serde_json::from_str(&dashboard).expect("JSON");
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() >= 8), "{parsed}");
    let rules = std::fs::read_to_string(rules).expect("the rules");
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md")).expect("docs/metrics.md");
    let names = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words.filter(|w| w.starts_with("tidemill_") || w.starts_with("process_")).map(str::to_owned).collect()
    };
    for name in [names(&dashboard), names(&rules)].concat() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        assert!(served.contains(&format!("# TYPE {family} ")), "{name} is not served");
    }
    for line in served.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(manual.contains(&format!("`{name}`")), "{name} is missing in docs/metrics.md");
    }
}
