//! Several servers that share a service on a real broker: they come, go, die and stand still under load, and what comes of it is
//! exact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tidemill_engine::log::{Log, TopicSpec};
use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use crate::asking;
use crate::exactly_once::{GROUPS, IDS, PARTITIONS, check_exact, click, create, many, signal};
use crate::support::{PATIENCE, log_on, new_topic};

/// What servers say of slots.
const COME: &str = "slots of the service come to this server";
const GO: &str = "slots of the service go to another server";
const LOST: &str = "slots of the service are not this server's any more";

fn count(server: &ServerProcess, said: &str) -> usize {
    server.log().matches(said).count()
}

fn wait(what: &str, servers: &[&ServerProcess], holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}\n{}", servers.iter().map(|server| server.log()).collect::<Vec<_>>().join("\n---\n"));
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("{what}: after {:?}", began.elapsed());
}

#[test]
fn servers_share_a_service_and_lose_nothing() {
    let Some(bootstrap) = broker::shared("servers_share_a_service_and_lose_nothing") else { return };
    let log = log_on(&bootstrap);
    let clicks = new_topic(&log, "cluster", PARTITIONS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    let text = format!("ksql.service.id={clicks}_\nksql.streams.commit.interval.ms=100\ntidemill.cluster.enabled=true\n");
    std::fs::write(&config, text).expect("a configuration");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let start = |name: &str| ServerProcess::start(&folder.path().join(name), &arguments);

    let one = start("one");
    println!("the first start took {:?}", one.started_in);
    create(&one, &clicks);
    let queries = one.running_queries();
    let (stop, has_asked, is_troubled) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (_stop, _asked) = (StopAtTheEnd(&stop), StopAtTheEnd(&has_asked));
        let clicking = scope.spawn(|| click(&log, &clicks, &stop));
        std::thread::sleep(Duration::from_millis(800));
        one.pull_until("SELECT id, c FROM counts_al;", PATIENCE, |rows| rows.len() == IDS as usize);
        let at = one.address();
        let (asked_enough, troubled) = (&has_asked, &is_troubled);
        let asking = scope.spawn(move || asking::ask(at, asked_enough, troubled));

        let two = start("two");
        assert_eq!(two.running_queries(), queries, "statements are everybody's");
        wait("the second has its share", &[&one, &two], || count(&one, GO) == 1 && count(&two, COME) >= 1);
        for server in [&one, &two] {
            assert_eq!(server.pull("SELECT * FROM counts_al;").len(), IDS as usize, "what is elsewhere is asked for there");
        }
        for (server, place) in [(&one, 0), (&two, 1)] {
            let listed = server.ksql("SHOW SERVERS;");
            let servers = listed[0]["servers"].as_array().expect("servers");
            let addresses = [&one, &two].map(|server| format!("http://{}", server.address()));
            assert_eq!(servers.len(), 2, "{listed}");
            for listed in servers {
                let at = addresses.iter().position(|address| listed["address"] == *address).expect("one of the two");
                assert_eq!((&listed["slots"], &listed["state"]), (&json!(32), &json!("RUNNING")), "{listed}");
                assert_eq!(listed["isAsked"], json!(at == place), "{listed}");
                assert!(listed["tasks"].as_u64().is_some_and(|tasks| tasks > 0), "{listed}");
            }
            let listed = server.ksql("SHOW QUERIES;");
            assert_eq!(listed[0]["queries"][0]["statusCount"], json!({"RUNNING": 2}), "{listed}");
        }
        // A statement of the one is carried out by the other.
        two.ksql("CREATE STREAM late WITH (PARTITIONS=3) AS SELECT id, n FROM clicks EMIT CHANGES;");
        wait("the first runs it", &[&one, &two], || one.running_queries().len() == queries.len() + 1);
        one.ksql("DROP STREAM late DELETE TOPIC;");
        wait("the second does not run it any more", &[&one, &two], || two.running_queries().len() == queries.len());
        std::thread::sleep(Duration::from_millis(800));

        // A folder's log goes on where the one before left off.
        let before = count(&two, COME);
        is_troubled.store(true, Ordering::Release);
        two.kill();
        let come = count(&one, COME);
        wait("the first has what the dead one had", &[&one], || count(&one, COME) > come);
        std::thread::sleep(Duration::from_millis(800));
        is_troubled.store(false, Ordering::Release);

        let two = start("two");
        wait("the second is back", &[&one, &two], || count(&one, GO) == 2 && count(&two, COME) > before);
        std::thread::sleep(Duration::from_millis(500));
        // It stands still until others have its share, and goes on.
        let (come, before) = (count(&one, COME), count(&two, COME));
        is_troubled.store(true, Ordering::Release);
        signal(two.pid(), "STOP");
        let listed = one.ksql("SHOW SERVERS;").to_string();
        assert!(listed.contains("UNREACHABLE: it does not answer"), "{listed}");
        wait("the first has what the still one had", &[&one], || count(&one, COME) > come);
        std::thread::sleep(Duration::from_millis(500));
        signal(two.pid(), "CONT");
        wait("the second has found out", &[&one, &two], || count(&two, LOST) >= 1);
        is_troubled.store(false, Ordering::Release);
        wait("the second has a share again", &[&one, &two], || count(&one, GO) == 3 && count(&two, COME) > before);
        std::thread::sleep(Duration::from_millis(800));

        has_asked.store(true, Ordering::Release);
        let asked = asking.join().expect("no panic");
        println!(
            "asked of the first: {} answers, {} errors while all was well, {} while a server was gone, the longest took {:?}, went back: {:?}",
            asked.answers,
            asked.errors[0].len(),
            asked.errors[1].len(),
            asked.longest,
            asked.back
        );
        assert!(asked.errors[0].len() * 100 <= asked.answers, "{:?}", asked.errors);
        assert_eq!(asked.back[0], 0, "{asked:?}");

        // In order.
        let come = count(&two, COME);
        assert_eq!(one.terminate(), Some(0));
        wait("the second has everything", &[&two], || count(&two, COME) > come);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Release);
        let clicked = clicking.join().expect("no panic");
        check_exact(&log, &clicks, clicked);
        // State is exact at least once as well.
        two.pull_until("SELECT id, c FROM counts_al;", PATIENCE, |rows| {
            (0..IDS).all(|rest| rows.contains(&json!([format!("k{rest}"), many(clicked, rest, IDS)])))
        });
        two.pull_until("SELECT g, c FROM groups_al;", PATIENCE, |rows| {
            (0..GROUPS).all(|rest| rows.contains(&json!([format!("g{rest}"), many(clicked, rest, GROUPS)])))
        });
        println!("{clicked} clicks, each once");
        assert_eq!(two.terminate(), Some(0));
    });
}

/// Ends the load where the test fails as well.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let Some(bootstrap) = broker::shared("what_does_not_fit_together_is_refused") else { return };
    let log = log_on(&bootstrap);
    let service = new_topic(&log, "misfit", 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = |name: &str, more: &str| {
        let path = folder.path().join(format!("{name}.properties"));
        std::fs::write(&path, format!("ksql.service.id={service}_\n{more}")).expect("a configuration");
        path.to_str().expect("a path").to_owned()
    };
    let data = |name: &str| folder.path().join(name);
    let shared = config("shared", "tidemill.cluster.enabled=true\ntidemill.slots=12\n");
    let server = ServerProcess::start(&data("one"), &["--bootstrap-servers", &bootstrap, "--config", &shared]);
    wait("its share", &[&server], || count(&server, COME) == 1);
    let refused = |data: &Path, config: &str| {
        let (code, said) = ServerProcess::start_refused(data, &["--bootstrap-servers", &bootstrap, "--config", config]);
        assert_eq!(code, Some(1), "{said}");
        said
    };
    let said = refused(&data("two"), &config("slots", "tidemill.cluster.enabled=true\ntidemill.slots=64\n"));
    assert!(said.contains("set tidemill.slots=12"), "{said}");
    let said = refused(&data("two"), &config("alone", ""));
    assert!(said.contains("another server of service") && said.contains("tidemill.cluster.enabled=true"), "{said}");
    assert_eq!(server.terminate(), Some(0));

    // The other way round.
    let alone = config("alone-now", "");
    let server = ServerProcess::start(&data("two"), &["--bootstrap-servers", &bootstrap, "--config", &alone]);
    std::thread::sleep(Duration::from_secs(4));
    let said = refused(&data("three"), &shared);
    assert!(said.contains("does not share it"), "{said}");
    assert_eq!(server.terminate(), Some(0));

    let (code, said) = ServerProcess::start_refused(&data("four"), &["--config", &config("embedded", "tidemill.cluster.enabled=true\n")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("tidemill.cluster.enabled") && said.contains("bootstrap.servers"), "{said}");
}

/// Somebody tidies up.
#[test]
fn the_topic_of_the_slots_is_made_anew_where_it_was_deleted() {
    const SLOTS: u32 = 12;
    let Some(bootstrap) = broker::shared("the_topic_of_the_slots_is_made_anew_where_it_was_deleted") else { return };
    let log = log_on(&bootstrap);
    let clicks = new_topic(&log, "tidied", 4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("server.properties");
    std::fs::write(&config, format!("ksql.service.id={clicks}_\ntidemill.cluster.enabled=true\ntidemill.slots={SLOTS}\n"))
        .expect("written");
    let arguments = ["--bootstrap-servers", &bootstrap, "--config", config.to_str().expect("a path")];
    let servers = ["one", "two"].map(|name| ServerProcess::start(&folder.path().join(name), &arguments));
    let [one, two] = &servers;
    // While the topic is being made it can't be read, and an error says so.
    let shown = |statement: &str| {
        let (_, shown) = one.request("POST", "/ksql", Some(&json!({"ksql": statement}))).expect("an answer");
        serde_json::from_str::<serde_json::Value>(&shown).expect("JSON")
    };
    let shares = || {
        let listed = shown("SHOW SERVERS;");
        let servers = listed[0]["servers"].as_array().cloned().unwrap_or_default();
        let mut slots: Vec<u64> = servers.iter().filter_map(|server| server["slots"].as_u64()).collect();
        slots.sort_unstable();
        slots
    };
    let half = [u64::from(SLOTS / 2); 2];
    wait("each has half", &[one, two], || shares() == half);
    one.ksql(&format!(
        "CREATE STREAM clicks (id STRING KEY, n INT) WITH (KAFKA_TOPIC='{clicks}', VALUE_FORMAT='JSON');
         CREATE TABLE counts AS SELECT id, COUNT(*) AS c FROM clicks GROUP BY id EMIT CHANGES;"
    ));
    let click = |rounds: u32| {
        for _ in 0..rounds {
            for id in 0..8 {
                one.ksql(&format!("INSERT INTO clicks (id, n) VALUES ('k{id}', 1);"));
            }
        }
    };
    let counted = |count: u32| {
        one.pull_until("SELECT id, c FROM counts;", PATIENCE, |rows| (0..8).all(|id| rows.contains(&json!([format!("k{id}"), count]))));
    };
    click(2);
    counted(2);

    let topic = log
        .list_topics()
        .expect("topics")
        .into_iter()
        .map(|topic| topic.name)
        .find(|name| name.contains(&clicks) && name.ends_with("_slots"));
    let topic = topic.expect("the topic of the slots");
    let partitions = || log.identify(&[&topic]).ok()?[0].map(|found| found.partitions);
    log.delete_topic(&topic).expect("it goes");
    wait("it is missed", &[one, two], || servers.iter().any(|server| count(server, "was deleted; making it anew") > 0));
    wait("it is there again", &[one, two], || partitions() == Some(SLOTS));
    click(1);
    wait("each has half again", &[one, two], || shares() == half);
    counted(3);

    // Another of the same name, with fewer.
    log.delete_topic(&topic).expect("it goes");
    let few = TopicSpec { name: topic.clone(), partitions: 5, replicas: 1, config: BTreeMap::new() };
    let made = AtomicBool::new(false);
    wait("another is there", &[one, two], || {
        made.fetch_or(log.create_topic(&few).is_ok(), Ordering::AcqRel);
        // A server may have been first.
        partitions() == Some(if made.load(Ordering::Acquire) { few.partitions } else { SLOTS })
    });
    if made.into_inner() {
        wait("it is named", &[one, two], || shown("SHOW QUERIES;").to_string().contains("has 5 partitions now"));
        log.delete_topic(&topic).expect("it goes");
        wait("it is there once more", &[one, two], || partitions() == Some(SLOTS));
    }
    click(1);
    wait("each has half for the third time", &[one, two], || shares() == half);
    counted(4);
    wait("nothing is wrong any more", &[one, two], || {
        let shown = shown("SHOW QUERIES;");
        shown[0]["queries"].is_array() && !shown.to_string().contains("partitions now")
    });
    for server in servers {
        assert_eq!(server.terminate(), Some(0));
    }
}
