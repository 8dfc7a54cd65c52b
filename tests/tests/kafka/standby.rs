//! Servers that follow each other's state on a real broker: a takeover reads the last of it only.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::log::{Commit, Log, OutRecord, partition_for};
use tidemill_engine::state::StateBatch;
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::support::{PATIENCE, handle, log_on, new_topic};

const PARTITIONS: u32 = 6;
const KEYS: usize = 12_000;
/// The tables, one for each guarantee.
const TABLES: [&str; 2] = ["counts", "counts_al"];

/// The sum of a metric over its labels.
fn metric(server: &ServerProcess, name: &str) -> u64 {
    let (status, text) = server.request("GET", "/metrics", None).expect("an answer");
    assert_eq!(status, 200, "{text}");
    let is_its = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok()).expect("a number");
    text.lines().filter(is_its).map(|line| value(line) as u64).sum()
}

fn wait(what: &str, servers: &[&ServerProcess], holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}\n{}", servers.iter().map(|server| server.log()).collect::<Vec<_>>().join("\n---\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{what}: after {:?}", began.elapsed());
    began.elapsed()
}

/// Sends one record of each of some keys.
fn send(log: &dyn Log, topic: &str, keys: std::ops::Range<usize>) {
    let (topic, mut writer) = (handle(log, topic), log.writer().expect("a writer"));
    for key in keys {
        let (key, value) = (format!("k{key}"), json!({"n": key}).to_string());
        let partition = partition_for(Some(key.as_bytes()), PARTITIONS, &mut 0);
        let record = OutRecord { partition, timestamp: 1, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
        writer.send(topic, record).expect("a send");
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).expect("a commit");
}

/// Whether a server gives every key of a table, and how often each was counted; from standbys as well where that is said.
fn has_all(server: &ServerProcess, table: &str, sent: impl Fn(usize) -> usize) -> bool {
    gives_all(server, table, false, sent)
}

fn gives_all(server: &ServerProcess, table: &str, from_standbys: bool, sent: impl Fn(usize) -> usize) -> bool {
    let properties = json!({"ksql.query.pull.enable.standby.reads": from_standbys, "ksql.query.pull.max.allowed.offset.lag": 0});
    let asked = Some(json!({"sql": format!("SELECT id, c FROM {table};"), "properties": properties}));
    let (status, text) = server.request("POST", "/query-stream", asked.as_ref()).unwrap_or((0, String::new()));
    let rows = text.lines().skip(1).filter_map(|line| serde_json::from_str::<(String, usize)>(line).ok());
    let counts: BTreeMap<String, usize> = rows.collect();
    status == 200 && counts.len() == KEYS && (0..KEYS).all(|key| counts.get(&format!("k{key}")) == Some(&sent(key)))
}

/// What is said of stores, in ksqlDB's shape: those that are followed are on the other server.
fn check_status(server: &ServerProcess) {
    let (status, text) = server.request("GET", "/clusterStatus", None).expect("an answer");
    assert_eq!(status, 200, "{text}");
    let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hosts = said["clusterStatus"].as_object().expect("hosts");
    assert_eq!(hosts.len(), 2, "{text}");
    for host in hosts.values() {
        let queries = host["activeStandbyPerQuery"].as_object().expect("queries");
        assert_eq!(queries.len(), TABLES.len(), "{text}");
        for (query, holds) in queries {
            let stores = [&holds["activeStores"], &holds["standByStores"]].map(|stores| stores.as_array().map(Vec::len));
            assert_eq!(stores, [Some(1), Some(1)], "{text}");
            let partitions = [&holds["activePartitions"], &holds["standByPartitions"]].map(|all| all.as_array().map_or(0, Vec::len));
            assert!(partitions[0] > 0 && partitions[0] + partitions[1] == PARTITIONS as usize, "{text}");
            let name = |lags: &(&String, &serde_json::Value)| lags.0.contains(&format!("query_{query}#"));
            let lags = host["hostStoreLags"]["stateStoreLags"].as_object().and_then(|all| all.iter().find(name)).expect("lags").1;
            assert_eq!(lags["size"], json!(PARTITIONS), "{text}");
            for lag in lags["lagByPartition"].as_object().expect("partitions").values() {
                let [current, end, lag] = ["currentOffsetPosition", "endOffsetPosition", "offsetLag"].map(|name| lag[name].as_i64());
                assert!(end > Some(0) && current <= end && lag.is_some_and(|lag| lag >= 0), "{text}");
            }
        }
    }
}

#[test]
fn a_takeover_from_a_standby_reads_the_last_of_it_only() {
    let Some(bootstrap) = broker::shared("a_takeover_from_a_standby_reads_the_last_of_it_only") else { return };
    let log = log_on(&bootstrap);
    let topic = new_topic(&log, "standby", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let start = |name: &str| {
        let config = folder.path().join(format!("{name}.properties"));
        let text = format!(
            "ksql.service.id={topic}_\nksql.streams.commit.interval.ms=200\ntidemill.cluster.enabled=true\n\
             ksql.streams.num.standby.replicas=1\ntidemill.rack=rack-of-{name}\n\
             ksql.heartbeat.enable=true\nksql.lag.reporting.enable=true\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        ServerProcess::start(&folder.path().join(name), &["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")])
    };
    let one = start("one");
    one.ksql(&format!("CREATE STREAM s (id STRING KEY, n BIGINT) WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON');"));
    for (table, guarantee) in TABLES.into_iter().zip(["exactly_once_v2", "at_least_once"]) {
        let sql = format!("CREATE TABLE {table} WITH (KAFKA_TOPIC='{topic}-{table}') AS SELECT id, COUNT(*) AS c FROM s GROUP BY id;");
        let properties = json!({"processing.guarantee": guarantee, "auto.offset.reset": "earliest"});
        let (status, text) = one.request("POST", "/ksql", Some(&json!({"ksql": sql, "streamsProperties": properties}))).expect("an answer");
        assert_eq!(status, 200, "{text}");
    }
    send(&log, &topic, 0..KEYS);
    for table in TABLES {
        wait("the first has counted", &[&one], || has_all(&one, table, |_| 1));
    }

    let two = start("two");
    let (slots, tasks) = (TABLES.len() as u64 * u64::from(PARTITIONS), |server: &ServerProcess| metric(server, "tidemill_tasks"));
    wait("each has a share, and follows the other", &[&one, &two], || {
        let followed = [&one, &two].map(|server| (tasks(server), metric(server, "tidemill_standby_tasks")));
        followed[0].0 + followed[1].0 == slots && followed[1].0 > 0 && followed.iter().all(|(own, others)| own + others == slots)
    });
    let all_of_others = KEYS as u64 * TABLES.len() as u64 * tasks(&one) / slots;
    wait("the second has what the first has", &[&one, &two], || {
        metric(&two, "tidemill_standby_lag") == 0 && metric(&two, "tidemill_standby_entries_total") * 10 >= all_of_others * 7
    });
    // Changes are followed as well, each once.
    let few = KEYS / 100;
    send(&log, &topic, 0..few);
    let sent = |key: usize| 1 + usize::from(key < few);
    for table in TABLES {
        wait("both have counted", &[&one, &two], || has_all(&two, table, sent));
    }
    let listed = two.ksql("SHOW SERVERS;");
    let servers = listed[0]["servers"].as_array().expect("servers");
    assert!(servers.len() == 2 && servers.iter().all(|server| server["standbyTasks"].as_u64().is_some_and(|tasks| tasks > 0)), "{listed}");
    assert!(listed.to_string().contains("rack-of-one"), "{listed}");
    check_status(&two);

    // All of it was read once: what it began with when it got that, or before, while it followed the first.
    let read = ["tidemill_restored_entries_total", "tidemill_standby_entries_total"].map(|name| metric(&two, name));
    let all = KEYS as u64 * TABLES.len() as u64;
    assert!(read.iter().sum::<u64>() * 10 >= all * 7, "{read:?} of {all}");

    let (before, of_one) = (metric(&two, "tidemill_restored_entries_total"), tasks(&one));
    one.kill();
    let killed = Instant::now();
    // The group does not miss it yet.
    for table in TABLES {
        wait("the second answers from what it has followed", &[&two], || gives_all(&two, table, true, sent));
    }
    let followed = killed.elapsed();
    assert!(followed < Duration::from_secs(4) && tasks(&two) + of_one == slots, "{followed:?}\n{}", two.log());
    for table in TABLES {
        wait("the second answers for all", &[&two], || has_all(&two, table, sent));
    }
    let answered = killed.elapsed();
    let read = metric(&two, "tidemill_restored_entries_total") - before;
    println!(
        "{of_one} tasks of about {all_of_others} entries were taken over with {read} entries read; all was answered {answered:?} after the kill"
    );
    assert_eq!(tasks(&two), slots, "{}", two.log());
    assert!(read * 10 < all_of_others, "{read} of {all_of_others} entries were read");
    // It goes on from there.
    send(&log, &topic, 0..KEYS);
    for table in TABLES {
        wait("nothing was lost or counted twice", &[&two], || has_all(&two, table, |key| sent(key) + 1));
    }
    assert_eq!(two.terminate(), Some(0));
}
