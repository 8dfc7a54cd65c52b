//! What the doctor says of folders and topics that are not as they should be.

use std::collections::BTreeMap;

use super::*;
use crate::engine::Engine;
use crate::log::simulated::{SimulatedLog, SimulationOptions, StoredRecord};

const SCRIPT: &str = "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='in', PARTITIONS=1, VALUE_FORMAT='JSON');
                      CREATE TABLE c WITH (KAFKA_TOPIC='out') AS SELECT n, COUNT(*) AS c FROM s GROUP BY n;";
const COMMANDS: &str = "_confluent-ksql-default__command_topic";

struct World {
    log: Arc<SimulatedLog>,
    state: StateDb,
    config: EngineConfig,
}

impl World {
    /// A server that has run and ended.
    fn new() -> World {
        let log = Arc::new(SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() }));
        let config = EngineConfig { workers: 1, processing_log_topic: None, ..EngineConfig::new("unused") };
        let world = World { log, state: StateDb::in_memory(), config };
        let engine =
            Engine::assemble(world.config.clone(), world.log.clone(), world.state.clone(), Arc::new(SystemClock)).expect("an engine");
        for statement in tidemill_parser::split_script(SCRIPT) {
            engine.execute(&statement.parse().expect("SQL"), &engine.session(&BTreeMap::new())).expect("a statement");
        }
        engine.shutdown();
        world
    }

    /// What is not sound.
    fn findings(&self) -> Vec<(Verdict, String)> {
        let log: Arc<dyn Log> = self.log.clone();
        let all = examine_parts(&self.config, &log, &self.state).expect("it looks").0;
        all.into_iter().filter(|finding| finding.verdict != Verdict::Sound).map(|finding| (finding.verdict, finding.text)).collect()
    }

    fn topic(&self, ends_with: &str) -> String {
        let all = self.log.list_topics().expect("topics").into_iter().map(|topic| topic.name);
        all.into_iter().find(|name| name.ends_with(ends_with)).expect("a topic")
    }
}

#[test]
fn what_is_as_it_should_be_is_sound() {
    assert_eq!(World::new().findings(), []);
}

/// What happens to it, what is found then, and what is said of that.
type Case<'a> = (&'a dyn Fn(&World), Verdict, &'a str);

#[test]
fn what_a_start_mends_is_told_apart_from_what_it_can_not() {
    let cases: [Case<'_>; 7] = [
        (&|world| world.log.delete_topic(COMMANDS).unwrap(), Verdict::Restored, "2 statements are written to it from the folder"),
        (&|world| world.log.delete_topic(&world.topic("-changelog")).unwrap(), Verdict::Restored, "filled from the state"),
        (&|world| world.log.delete_topic(&world.topic("-repartition")).unwrap(), Verdict::Broken, "RESUME CTAS_C_1"),
        (&|world| world.log.delete_topic("in").unwrap(), Verdict::Broken, "topic 'in' does not exist"),
        (
            &|world| {
                world.log.append(COMMANDS, 0, StoredRecord { value: Some(b"x".to_vec()), ..StoredRecord::default() }).unwrap();
            },
            Verdict::Broken,
            "the record at offset 2",
        ),
        (
            &|world| {
                let drop = r#"{"version":1,"statement":"DROP","properties":{},"action":{"DropSource":{"name":"C"}}}"#;
                world.log.append(COMMANDS, 0, StoredRecord { value: Some(drop.into()), ..StoredRecord::default() }).unwrap();
            },
            Verdict::LeftOver,
            "of query CTAS_C_1, which is gone",
        ),
        (
            &|world| {
                let intent = Intent::Make { source: "X".into(), made: world.log.identify(&["made"]).unwrap()[0] };
                assert_eq!(intent, Intent::Make { source: "X".into(), made: None });
                world.state.put_notes(vec![(b"Lmade".to_vec(), serde_json::to_vec(&intent).ok())]).unwrap();
                let spec = crate::log::TopicSpec { name: "made".into(), partitions: 1, replicas: 1, config: BTreeMap::new() };
                world.log.create_topic(&spec).unwrap();
            },
            Verdict::LeftOver,
            "topic made: made for X, which was then not declared",
        ),
    ];
    for (change, verdict, text) in cases {
        let world = World::new();
        change(&world);
        let found = world.findings();
        assert!(found.iter().any(|(found, said)| *found == verdict && said.contains(text)), "{text}: {found:?}");
        // Looking changes nothing.
        assert_eq!(world.findings(), found);
    }
}
