//! What the formats cost for each record, beside each other on the same bids.
//!
//! ```text
//! cargo run --release --workspace --example format_floor [-- WORDS]
//! ```
//! Prints nanoseconds for each record, the best of several rounds on one core: reading columns of a nexmark bid into a row,
//! writing all of them, and passing a bid on as q1 does (three numbers read, the texts carried). WORDS: only measurements
//! whose name has them.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use tidemill_engine::formats::{Carried, SchemaShape, SlotUse, TopicReader, TopicWriter, WriteError, by_name};
use tidemill_engine::plan::{FormatSpec, SchemaSpec, TopicFormat, WriteSchema};
use tidemill_engine::registry::{MemoryRegistry, SchemaId, SchemaRegistry};
use tidemill_engine::row::{Row, RowMeta};
use tidemill_engine::types::{Column, Schema, SqlType, Value};

/// Records in one round, and rounds of which the best counts.
const RECORDS: usize = 20_000;
const ROUNDS: usize = 15;

fn schema() -> Schema {
    use SqlType::{BigInt, String};
    let columns = [
        ("AUCTION", BigInt),
        ("BIDDER", BigInt),
        ("PRICE", BigInt),
        ("CHANNEL", String),
        ("URL", String),
        ("DATE_TIME", BigInt),
        ("EXTRA", String),
    ];
    Schema { key: Vec::new(), value: columns.into_iter().map(|(name, sql_type)| Column::new(name, sql_type)).collect() }
}

/// Bids as the nexmark generators write them.
fn bids() -> Vec<Row> {
    let bid = |i: usize| {
        let number = |value: usize| Value::BigInt(i64::try_from(value).unwrap_or_default());
        let values = vec![
            number(1000 + i % 97),
            number(1001 + i % 991),
            number(100 + i * 7919 % 99_000_000),
            Value::string(format!("channel-{:04}", i % 9999)),
            Value::string(format!("https://www.nexmark.com/abo/xcd/_dq/item.htm?query=1&channel_id={i:09}")),
            number(1_582_971_072_345 + i),
            Value::string("abcdefghij klmnopqrst uvwxyz".repeat(2)),
        ];
        Row { values, old: None, meta: RowMeta { has_value: true, ..RowMeta::default() } }
    };
    (0..RECORDS).map(bid).collect()
}

/// Nanoseconds for each record; `None` for a measurement that was not asked for.
fn measure(what: &str, mut round: impl FnMut()) -> Option<f64> {
    if std::env::args().nth(1).is_some_and(|words| !what.contains(&words)) {
        return None;
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_secs_f64());
    }
    Some(best * 1e9 / RECORDS as f64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rows, schema) = (bids(), schema());
    let registry = Arc::new(MemoryRegistry::default());
    let shared: Arc<dyn SchemaRegistry> = registry.clone();
    let mut report = std::io::stdout().lock();
    for name in ["JSON", "AVRO", "PROTOBUF", "JSON_SR"].into_iter().filter(|name| by_name(name).is_some()) {
        let spec = |name: &str| FormatSpec { name: name.into(), unwrapped: false, delimiter: None, schema: None };
        let mut format = TopicFormat { topic: name.to_lowercase(), key: spec("KAFKA"), value: spec(name), windowed_key: None };
        if let Some(support) = by_name(name).and_then(|format| format.schemas()) {
            let schema = support.schema_of(&schema.value, &SchemaShape::default())?;
            let id = match support.kind() {
                Some(_) => registry.register(name, &schema)?,
                None => SchemaId(0),
            };
            format.value.schema = Some(Box::new(SchemaSpec { writes: Some(WriteSchema { id, schema }), ..SchemaSpec::default() }));
        }
        let mut writer = TopicWriter::new(&format, &schema)?;
        let payloads: Vec<Vec<u8>> =
            rows.iter().map(|row| Ok(writer.write(row)?.value.unwrap_or_default().to_vec())).collect::<Result<_, WriteError>>()?;
        let bytes: usize = payloads.iter().map(Vec::len).sum();
        let mut say = |what: &str, ns: Option<f64>| match ns {
            Some(ns) => writeln!(report, "{name:<10}{what:<40}{ns:>8.0} ns"),
            None => Ok(()),
        };
        say("bytes of a record", Some(bytes as f64 / RECORDS as f64))?;
        for (what, wanted) in [
            ("read 2 numbers (q2)", &[0usize, 2][..]),
            ("read 4 numbers", &[0, 1, 2, 5]),
            ("read all 7 columns", &[0, 1, 2, 3, 4, 5, 6]),
            ("read none", &[]),
        ] {
            let uses: Vec<SlotUse> = (0..7).map(|slot| if wanted.contains(&slot) { SlotUse::Read } else { SlotUse::Unread }).collect();
            let mut reader = TopicReader::new(&format, &schema, &uses, &shared)?;
            let (mut row, mut failed) = (Row::default(), 0);
            let ns = measure(what, || {
                for payload in &payloads {
                    failed += usize::from(reader.read(None, Some(black_box(payload)), &mut row).is_err());
                }
                black_box(&row);
            });
            if failed > 0 {
                return Err(format!("{name}: {failed} bids could not be read").into());
            }
            say(what, ns)?;
        }
        let what = "write all 7 columns";
        let ns = measure(what, || rows.iter().for_each(|row| assert!(black_box(writer.write(black_box(row)).is_ok()))));
        say(what, ns)?;
        let what = "pass on, 4 numbers read, 3 texts carried";
        let carried_slots = [3, 4, 6];
        let number = |slot: usize| carried_slots.iter().position(|carried| *carried == slot);
        let uses: Vec<SlotUse> = (0..7).map(|slot| number(slot).map_or(SlotUse::Read, SlotUse::Carried)).collect();
        let mut reader = TopicReader::new(&format, &schema, &uses, &shared)?;
        let mut writer = TopicWriter::carrying(&format, &schema, number)?;
        let (mut row, mut carried) = (Row::default(), Carried::default());
        let ns = measure(what, || {
            for payload in &payloads {
                let _ = reader.read_carrying(None, Some(black_box(payload)), &mut row, &mut carried);
                let _ = black_box(writer.write_carrying(&row, &carried).is_ok());
            }
        });
        say(what, ns)?;
    }
    Ok(())
}
