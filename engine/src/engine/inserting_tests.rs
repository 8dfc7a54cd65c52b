//! Rows that are written together are those that would be written one by one, as far as the log takes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Engine, EngineConfig, Inserting, SessionProperties};
use crate::log::{Log, Offset, TopicPartition, read_whole};
use crate::types::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 3;

struct World {
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

fn world() -> World {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::open(EngineConfig { processing_log_topic: None, ..EngineConfig::new(folder.path()) }).expect("opens");
    let world = World { engine, _folder: folder };
    for name in ["together", "singly"] {
        world.run(&format!(
            "CREATE STREAM {name} (k STRING KEY, n INT, d DECIMAL(4, 2)) WITH (KAFKA_TOPIC='{name}', PARTITIONS={PARTITIONS}, \
             VALUE_FORMAT='JSON');"
        ));
    }
    world
}

impl World {
    fn run(&self, script: &str) {
        for statement in tidemill_parser::split_script(script) {
            self.engine.execute(&statement.parse().expect("SQL"), &SessionProperties(BTreeMap::new())).expect("done");
        }
    }

    /// What each partition of a topic holds: times, keys and values.
    fn records(&self, topic: &str) -> Vec<Vec<(i64, String, String)>> {
        let text = |bytes: Option<&[u8]>| bytes.map_or_else(|| "null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
        let of = |partition| {
            let mut found = Vec::new();
            let partition = TopicPartition { topic: topic.into(), partition };
            let log: &dyn Log = &**self.engine.log();
            read_whole(log, &partition, Offset(0), PATIENCE, &mut |record| {
                found.push((record.timestamp, text(record.key), text(record.value)));
            })
            .expect("records");
            found
        };
        (0..PARTITIONS).map(of).collect()
    }
}

fn row(number: i32) -> Vec<Value> {
    let key = if number % 7 == 0 { Value::Null } else { Value::string(format!("k{}", number % 10)) };
    let decimal = if number % 5 == 0 { Value::Null } else { Value::decimal("1.50".parse().expect("a decimal")) };
    vec![key, Value::Int(number), decimal]
}

fn push(inserting: &mut Inserting, number: i32) {
    inserting.push(row(number), Some(1_000 + i64::from(number))).expect("a row");
}

#[test]
fn rows_that_are_written_together_are_those_that_are_written_singly() {
    const ROWS: i32 = 1_000;
    let world = world();
    let mut singly = world.engine.inserting("singly").expect("a stream");
    for number in 0..ROWS {
        push(&mut singly, number);
        assert_eq!(singly.write().expect("written"), 1);
    }
    let mut together = world.engine.inserting("together").expect("a stream");
    assert_eq!(together.write().expect("nothing waits"), 0);
    (0..ROWS / 2).for_each(|number| push(&mut together, number));
    assert_eq!((together.waiting(), together.is_full()), (500, false));
    assert_eq!(together.write().expect("written"), 500);
    assert_eq!(together.write().expect("nothing waits any more"), 0);
    (ROWS / 2..ROWS).for_each(|number| push(&mut together, number));
    assert_eq!(together.write().expect("written"), 500);
    let (singly, together) = (world.records("singly"), world.records("together"));
    assert_eq!(singly.iter().map(Vec::len).sum::<usize>(), 1_000);
    // Rows without a key go to one partition after the other, wherever the one before went.
    let keyed = |partitions: &[Vec<(i64, String, String)>]| -> Vec<Vec<(i64, String, String)>> {
        partitions.iter().map(|records| records.iter().filter(|(_, key, _)| key != "null").cloned().collect()).collect()
    };
    assert_eq!(keyed(&together), keyed(&singly));
    let all = |partitions: &[Vec<(i64, String, String)>]| {
        let mut all = partitions.concat();
        all.sort();
        all
    };
    assert_eq!(all(&together), all(&singly));
}

#[test]
fn a_row_that_is_wrong_takes_none_of_the_others_with_it() {
    let world = world();
    let mut inserting = world.engine.inserting("together").expect("a stream");
    push(&mut inserting, 1);
    // Two digits before the point are all that there is room for.
    let wrong = vec![Value::string("k"), Value::Int(2), Value::decimal("123456.5".parse().expect("a decimal"))];
    let refused = inserting.push(wrong, None);
    assert_eq!(inserting.push_keyed(row(7)).expect_err("no key").message, "Key field must be specified: K");
    push(&mut inserting, 3);
    let expected = 2 + usize::from(refused.is_ok());
    assert_eq!(inserting.write().expect("written"), expected);
    // One that the log refuses: those before it are written, and it is said how many.
    push(&mut inserting, 4);
    push(&mut inserting, 5);
    inserting.push(vec![Value::string("large"), Value::Int(6), Value::Null], None).expect("a row");
    let huge = Value::string("x".repeat(65 << 20));
    inserting.push(vec![huge, Value::Int(7), Value::Null], None).expect("it is encoded");
    assert!(inserting.is_full());
    push(&mut inserting, 8);
    let unwritten = inserting.write().expect_err("no log takes that");
    assert_eq!((unwritten.written, inserting.waiting()), (3, 0), "{unwritten}");
    assert_eq!(world.records("together").concat().len(), expected + 3);
}

#[test]
fn a_topic_that_was_made_anew_is_looked_up_anew() {
    let world = world();
    let mut inserting = world.engine.inserting("together").expect("a stream");
    push(&mut inserting, 1);
    inserting.write().expect("written");
    let log = world.engine.log();
    log.delete_topic("together").expect("deleted");
    log.create_topic(&crate::log::TopicSpec { name: "together".into(), partitions: 3, replicas: 1, config: BTreeMap::new() })
        .expect("made");
    push(&mut inserting, 2);
    push(&mut inserting, 3);
    assert_eq!(inserting.write().expect("written"), 2);
    assert_eq!(world.records("together").concat().len(), 2);
}

#[test]
fn source_streams_take_the_apis_rows_and_not_those_of_insert_into() {
    let world = world();
    world.run("CREATE SOURCE STREAM kept (k STRING KEY, n INT, d DECIMAL(4, 2)) WITH (KAFKA_TOPIC='singly', VALUE_FORMAT='JSON');");
    let refused = world.engine.inserting("kept").expect("a stream").as_insert_into().err().expect("it is refused");
    assert_eq!(refused.message, "Cannot insert values into read-only stream: KEPT");
    let mut inserting = world.engine.inserting("kept").expect("a stream");
    push(&mut inserting, 1);
    assert_eq!(inserting.write().expect("written"), 1);
    assert!(world.engine.inserting("singly").expect("a stream").as_insert_into().is_ok());
}
