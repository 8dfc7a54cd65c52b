//! Records that are not what they say, among as many good ones, through a query that reads every column: all good ones come
//! out, each bad one is counted, nothing panics and nothing hangs.

use std::collections::HashSet;
use std::sync::Arc;

use super::StartQuery;
use super::lab::{Lab, start};
use crate::formats::{SchemaShape, TopicWriter, by_name};
use crate::letters::{Kinds, LetterBox};
use crate::plan::{FormatSpec, SchemaSpec, TopicFormat, WriteSchema};
use crate::registry::{MemoryRegistry, SchemaId, SchemaRegistry};
use crate::row::{Row, RowMeta};
use crate::types::{Column, MapValue, Schema, SqlType, Value};

/// Good records of each format, and as many mutated ones. `TIDEMILL_HOSTILE_RECORDS` sets another number.
const RECORDS: usize = 20_000;
/// Records that are appended at once.
const BATCH: usize = 2_000;

/// A generator of numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end as u64)).unwrap()
    }

    /// The bytes with one to four edits.
    fn mutated(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = payload.to_vec();
        for _ in 0..1 + self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(7) {
                0 => bytes[at] = self.below(256) as u8,
                1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes.insert(at, [0xff, 0x80, 0x7f, 0x00, 0x02][self.below(5)]),
                3 => drop(bytes.remove(at)),
                4 => bytes.truncate(at),
                5 => bytes.splice(at..at, [0xff; 9]).for_each(drop),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    }
}

fn schema() -> Schema {
    let point = SqlType::structure([("X".to_owned(), SqlType::Int), ("Y".to_owned(), SqlType::String)]);
    let value = [
        ("N", SqlType::BigInt),
        ("V", SqlType::String),
        ("A", SqlType::array(SqlType::Int)),
        ("D", SqlType::Decimal { precision: 9, scale: 2 }),
        ("P", SqlType::array(point)),
        ("M", SqlType::map(SqlType::String, SqlType::Boolean)),
        ("T", SqlType::Timestamp),
        ("F", SqlType::Double),
    ];
    Schema { key: Vec::new(), value: value.into_iter().map(|(name, sql_type)| Column::new(name, sql_type)).collect() }
}

/// `nulls`: the format holds a null within an array.
fn row(index: usize, nulls: bool) -> Row {
    let number = index as i64;
    let point = |x: i64| Value::structure(vec![Value::Int(x as i32), Value::string("a text that does not fit in place")]);
    let map: MapValue = [(Value::string(format!("k{}", index % 7)), Value::Boolean(index.is_multiple_of(2)))].into_iter().collect();
    let values = vec![
        Value::BigInt(number * 1_000_003),
        Value::string(format!("good {index} grün")),
        Value::array((0..index % 4).map(|item| Value::Int(item as i32)).collect()),
        Value::decimal(bigdecimal::BigDecimal::new(number.into(), 2)),
        Value::array(vec![point(number), if nulls { Value::Null } else { point(0) }]),
        Value::Map(Arc::new(map)),
        Value::Timestamp(1_700_000_000_000 + number),
        Value::Double(number as f64 / 8.0),
    ];
    Row { values, old: None, meta: RowMeta { has_value: true, ..RowMeta::default() } }
}

/// Writes rows in a format; schemas are registered.
fn writer(format: &str, registry: &MemoryRegistry) -> TopicWriter {
    let spec = |name: &str| FormatSpec { name: name.into(), unwrapped: false, delimiter: None, schema: None };
    let mut topic = TopicFormat { topic: "s".into(), key: spec("KAFKA"), value: spec(format), windowed_key: None };
    if let Some(support) = by_name(format).unwrap().schemas() {
        let schema = support.schema_of(&schema().value, &SchemaShape::default()).unwrap();
        let id = support.kind().map_or(SchemaId(0), |_| registry.register("s-value", &schema).unwrap());
        topic.value.schema = Some(Box::new(SchemaSpec { writes: Some(WriteSchema { id, schema }), ..SchemaSpec::default() }));
    }
    TopicWriter::new(&topic, &schema()).unwrap()
}

#[test]
fn good_records_come_out_and_bad_ones_are_counted() {
    let records = std::env::var("TIDEMILL_HOSTILE_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(RECORDS);
    for format in ["AVRO", "PROTOBUF", "JSON_SR", "JSON"].into_iter().filter(|name| by_name(name).is_some()) {
        let registry = Arc::new(MemoryRegistry::default());
        let (mut good, mut json) = (writer(format, &registry), writer("JSON", &registry));
        let mut lab = Lab::with_registry(true, registry);
        lab.topic("s");
        lab.topic("O");
        let query = lab.plan(&format!(
            "CREATE STREAM S (K STRING KEY, N BIGINT, V STRING, A ARRAY<INT>, D DECIMAL(9, 2), P ARRAY<STRUCT<X INT, Y STRING>>,
                 M MAP<STRING, BOOLEAN>, T TIMESTAMP, F DOUBLE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='{format}');
             CREATE STREAM O WITH (VALUE_FORMAT='JSON') AS SELECT * FROM S;"
        ));
        let letters = Some(LetterBox { topic: "dead".into(), kinds: Kinds::default() });
        let query = lab.runtime.start_query(StartQuery { letters, ..start(&query, None) }).unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let (mut expected, mut hostile) = (Vec::new(), HashSet::new());
        for index in 0..records {
            let row = row(index, format != "PROTOBUF");
            let payload = good.write(&row).unwrap().value.unwrap().to_vec();
            expected.push(String::from_utf8(json.write(&row).unwrap().value.unwrap().to_vec()).unwrap());
            let mutated = random.mutated(&payload);
            hostile.insert(mutated.clone());
            lab.append_avro("s", "k", 1, mutated);
            lab.append_avro("s", "k", 1, payload);
            if index % BATCH == BATCH - 1 {
                lab.work();
            }
        }
        let all = i64::try_from(2 * records).unwrap();
        lab.work_until(|lab| lab.committed(&query.id, "s") == Some(all));
        let values = lab.values("O");
        let bad = query.metrics.errors();
        assert_eq!(values.len() as u64 + bad, all as u64, "{format}: each record comes out or is counted");
        // Some edits make another good record; most don't.
        assert!(bad > records as u64 / 4, "{format}: {bad} bad records");
        // Each of these, and nothing else, is a letter, with the very bytes.
        let letters = lab.log.records("dead").unwrap().concat();
        assert_eq!(letters.len() as u64, bad, "{format}");
        assert!(letters.iter().all(|letter| letter.value.as_ref().is_some_and(|value| hostile.contains(value))), "{format}");
        let out: HashSet<&str> = values.iter().map(String::as_str).collect();
        let lost = expected.iter().filter(|line| !out.contains(line.as_str())).count();
        assert_eq!(lost, 0, "{format}: good records are lost");
    }
}
