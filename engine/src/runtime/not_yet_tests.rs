//! Records whose schema the registry does not know yet: their task waits and says so, nothing is lost, nothing comes twice, and
//! nobody else waits with it.

use std::sync::Arc;
use std::time::Duration;

use super::QueryState;
use super::lab::Lab;
use crate::registry::slow::SlowRegistry;
use crate::registry::{Schema, SchemaId, SchemaKind};

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, V STRING, T BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVRO');";
const COPY: &str = "CREATE STREAM O WITH (VALUE_FORMAT='JSON') AS SELECT ID, V FROM S;";
const OTHERS: &str = "CREATE STREAM J (ID STRING KEY, V STRING) WITH (KAFKA_TOPIC='j', VALUE_FORMAT='JSON');
                      CREATE STREAM P AS SELECT * FROM J;";

/// The schema of a record with V and T.
fn schema() -> Schema {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"V","type":"string"},{"name":"T","type":"long"}]}"#;
    Schema::new(SchemaKind::Avro, text)
}

/// A record of that schema under an id; `v` and `t` are small.
fn record(id: i32, v: &str, t: u8) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    bytes.push(u8::try_from(v.len() * 2).unwrap());
    bytes.extend(v.as_bytes());
    bytes.push(t * 2);
    bytes
}

/// A lab whose registry knows the schema as number 1, and not yet.
fn lab(atomic: bool, is_late: impl FnMut(u64) -> bool + Send + 'static) -> (Lab, Arc<SlowRegistry>) {
    let registry = SlowRegistry::new(is_late);
    registry.content.register_as("s-value", schema(), SchemaId(1)).unwrap();
    let lab = Lab::with_registry(atomic, registry.clone());
    for topic in ["s", "r", "j", "O", "P"] {
        lab.topic(topic);
    }
    (lab, registry)
}

#[test]
fn a_record_waits_for_its_schema_and_others_go_on() {
    for atomic in [true, false] {
        let (mut lab, registry) = lab(atomic, |_| true);
        let copy = lab.plan(&format!("{STREAM}{COPY}"));
        let other = lab.plan(OTHERS);
        let (copy, other) = (lab.start(&copy), lab.start(&other));
        lab.append_avro("s", "a", 1, record(1, "x", 1));
        lab.append("j", "a", r#"{"V": "1"}"#);
        lab.work_until(|lab| lab.values("P").len() == 1 && registry.late() > 3);
        assert_eq!((copy.state(), lab.values("O").len()), (QueryState::Running, 0));
        let said = copy.remarks().concat();
        assert!(said.contains("partition 0 of topic 's' waits at offset 0") && said.contains("schema 1"), "{said}");
        assert!(said.ends_with("The registry is slow"), "{said}");
        assert_eq!((other.state(), other.remarks().len()), (QueryState::Running, 0));
        lab.append_avro("s", "a", 2, record(1, "y", 1));
        lab.append("j", "a", r#"{"V": "2"}"#);
        lab.work_until(|lab| lab.values("P").len() == 2);
        registry.answer();
        lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(2));
        assert_eq!(lab.values("O"), [r#"{"V":"x"}"#, r#"{"V":"y"}"#]);
        assert_eq!(copy.remarks(), Vec::<String>::new());
        assert_eq!(copy.metrics.errors(), 0);
    }
}

#[test]
fn an_id_that_nobody_knows_is_a_bad_record() {
    let (mut lab, _) = lab(true, |before| before < 2);
    let copy = lab.plan(&format!("{STREAM}{COPY}"));
    let copy = lab.start(&copy);
    lab.append_avro("s", "a", 1, record(7, "x", 1));
    lab.append_avro("s", "a", 1, record(1, "y", 1));
    lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(2));
    assert_eq!(lab.values("O"), [r#"{"V":"y"}"#]);
    assert_eq!(copy.metrics.errors(), 1);
}

#[test]
fn what_was_read_before_is_committed_meanwhile() {
    let (mut lab, registry) = lab(false, |before| before > 0);
    let copy = lab.plan(&format!("{STREAM}{COPY}"));
    let copy = lab.start(&copy);
    lab.append_avro("s", "a", 1, record(1, "x", 1));
    lab.append_avro("s", "a", 1, record(2, "y", 1));
    lab.append_avro("s", "a", 1, record(1, "z", 1));
    lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(1));
    assert!(copy.remarks().concat().contains("at offset 1"), "{:?}", copy.remarks());
    registry.content.register_as("s-value", schema(), SchemaId(2)).unwrap();
    registry.answer();
    lab.work_until(|lab| lab.committed(&copy.id, "s") == Some(3));
    assert_eq!(lab.values("O"), [r#"{"V":"x"}"#, r#"{"V":"y"}"#, r#"{"V":"z"}"#]);
}

#[test]
fn who_waits_can_be_paused_and_ended() {
    let (mut lab, registry) = lab(true, |_| true);
    let copy = lab.plan(&format!("{STREAM}{COPY}"));
    let copy = lab.start(&copy);
    lab.append_avro("s", "a", 1, record(1, "x", 1));
    lab.work_until(|_| registry.late() > 1);
    lab.runtime.pause(&copy.id);
    registry.answer();
    // Longer than the longest pause between two looks would be by now.
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_millis(50) {
        lab.work();
    }
    assert_eq!((copy.state(), lab.values("O").len()), (QueryState::Paused, 0));
    lab.runtime.resume(&copy.id);
    lab.work_until(|lab| lab.values("O").len() == 1);

    let (mut lab, registry) = self::lab(true, |_| true);
    let copy = lab.plan(&format!("{STREAM}{COPY}"));
    let copy = lab.start(&copy);
    lab.append_avro("s", "a", 1, record(1, "x", 1));
    lab.work_until(|_| registry.late() > 1);
    lab.runtime.stop_soon(&copy.id);
    lab.work();
    assert_eq!((copy.state(), copy.remarks().len()), (QueryState::Stopped, 0));
    let asked = registry.late();
    lab.work();
    assert_eq!(registry.late(), asked, "nobody waits any more");
}

#[test]
fn a_restart_while_waiting_loses_nothing() {
    for atomic in [true, false] {
        let (mut lab, registry) = lab(atomic, |before| before != 0);
        let plan = lab.plan(&format!("{STREAM}CREATE TABLE O WITH (VALUE_FORMAT='JSON') AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;"));
        let query = lab.start(&plan);
        lab.append_avro("s", "a", 1, record(1, "x", 1));
        lab.append_avro("s", "a", 1, record(2, "y", 1));
        lab.work_until(|lab| lab.committed(&query.id, "s") == Some(1));
        drop(query);
        lab.restart();
        let query = lab.start(&plan);
        let asked = registry.late();
        lab.work_until(|_| registry.late() > asked + 1);
        registry.content.register_as("s-value", schema(), SchemaId(2)).unwrap();
        registry.answer();
        lab.work_until(|lab| lab.committed(&query.id, "s") == Some(2));
        assert_eq!(lab.values("O"), [r#"{"N":1}"#, r#"{"N":2}"#]);
    }
}

/// Whichever question finds that the answer is not there yet, what comes out is the same.
#[test]
fn a_record_that_several_sources_read_is_processed_once() {
    let script = format!(
        "{STREAM}CREATE STREAM S2 (ID STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVRO');
         CREATE STREAM O WITH (VALUE_FORMAT='JSON') AS SELECT S.ID, S.V AS A, S2.V AS B FROM S
         JOIN S2 WITHIN 5 MILLISECONDS GRACE PERIOD 1 DAY ON S.ID = S2.ID;"
    );
    let mut outcomes = Vec::new();
    for late in 0..10 {
        let (mut lab, registry) = lab(true, move |before| before == late || before == late + 2);
        registry.content.register_as("s-value", schema(), SchemaId(2)).unwrap();
        let plan = lab.plan(&script);
        let query = lab.start(&plan);
        for (number, id) in [1, 2, 1, 2].into_iter().enumerate() {
            lab.append_avro("s", "a", 1, record(id, &number.to_string(), 1));
        }
        lab.work_until(|lab| lab.committed(&query.id, "s") == Some(4));
        outcomes.push((lab.values("O"), registry.late()));
    }
    let (first, _) = outcomes.last().unwrap().clone();
    assert_eq!(first.len(), 16, "each of four with each");
    assert!(outcomes.iter().all(|(values, _)| *values == first), "{outcomes:?}");
    assert!(outcomes.iter().take(2).all(|(_, late)| *late > 0), "{outcomes:?}");
}

/// Where a column tells the time, a record whose time is not known yet holds back those that may be younger.
#[test]
fn the_order_of_event_times_holds() {
    let script = "CREATE STREAM S (ID STRING KEY, V STRING, T BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='AVRO', TIMESTAMP='T');
         CREATE STREAM R (ID STRING KEY, V STRING, T BIGINT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='AVRO', TIMESTAMP='T');
         CREATE STREAM O WITH (VALUE_FORMAT='JSON') AS SELECT S.ID, S.V AS A, R.V AS B FROM S
         LEFT JOIN R WITHIN 1 MILLISECONDS GRACE PERIOD 0 MILLISECONDS ON S.ID = R.ID;";
    let mut outcomes = Vec::new();
    for late in 0..12 {
        let (mut lab, registry) = lab(true, move |before| before == late || before == late + 1);
        registry.content.register_as("r-value", schema(), SchemaId(2)).unwrap();
        let plan = lab.plan(script);
        // The times cross; taken in another order, those that are late would be dropped.
        for (topic, id, v, t) in
            [("s", 1, "a", 1), ("r", 2, "b", 2), ("s", 2, "c", 10), ("r", 1, "d", 9), ("s", 1, "e", 30), ("r", 1, "f", 31)]
        {
            lab.append_avro(topic, "k", 1, record(id, v, t));
        }
        let query = lab.start(&plan);
        lab.work_until(|lab| lab.committed(&query.id, "s") == Some(3) && lab.committed(&query.id, "r") == Some(3));
        outcomes.push((lab.values("O"), registry.late()));
    }
    let (first, _) = outcomes.last().unwrap().clone();
    assert!(first.len() >= 3, "{first:?}");
    assert!(outcomes.iter().all(|(values, _)| *values == first), "{outcomes:?}");
    assert!(outcomes.iter().filter(|(_, late)| *late > 0).count() > 4, "{outcomes:?}");
}
