//! What the formats alone cost: bids in memory, decoded and encoded as q1 and q2 do it, in one thread, without a log. The
//! quietest judge of a format: nothing else has a part in it.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bigdecimal::BigDecimal;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use tidemill_engine::formats::{Carried, SchemaShape, SlotUse, TopicReader, TopicWriter, by_name};
use tidemill_engine::plan::{FormatSpec, SchemaSpec, TopicFormat, WriteSchema};
use tidemill_engine::registry::{NoRegistry, SchemaId, SchemaRegistry};
use tidemill_engine::row::Row;
use tidemill_engine::types::{Column, Schema, SqlType, Value};

use crate::input::{text, write_bid};

/// Bids in memory: few enough for the processor's cache.
const BIDS: usize = 4_000;
/// Every so many-th auction passes q2's filter.
const KEPT: i64 = 123;
/// Formats in the order of the table; JSON first.
const FORMATS: [&str; 5] = ["JSON", "JSON_SR", "AVRO", "PROTOBUF", "PROTOBUF_NOSR"];

/// The slots of a bid.
const AUCTION: usize = 0;
const PRICE: usize = 2;

fn bid_columns() -> Vec<Column> {
    let long = |name: &str| Column::new(name, SqlType::BigInt);
    let texts = |name: &str| Column::new(name, SqlType::String);
    vec![long("AUCTION"), long("BIDDER"), long("PRICE"), texts("CHANNEL"), texts("URL"), long("DATE_TIME"), texts("EXTRA")]
}

fn converted_columns() -> Vec<Column> {
    let mut columns = bid_columns();
    if let Some(price) = columns.get_mut(PRICE) {
        price.sql_type = SqlType::Decimal { precision: 23, scale: 3 };
    }
    columns
}

fn filtered_columns() -> Vec<Column> {
    bid_columns().into_iter().filter(|column| ["AUCTION", "PRICE"].contains(&&*column.name)).collect()
}

/// A topic's format, with the schema that its records have.
fn topic(format: &str, columns: &[Column], id: i32) -> Result<TopicFormat, String> {
    let key = FormatSpec { name: "KAFKA".into(), unwrapped: true, delimiter: None, schema: None };
    let schemas = by_name(format).and_then(|format| format.schemas());
    let schema = schemas.map(|schemas| schemas.schema_of(columns, &SchemaShape::default())).transpose()?;
    let spec = schema.map(|schema| SchemaSpec { writes: Some(WriteSchema { id: SchemaId(id), schema }), ..SchemaSpec::default() });
    let value = FormatSpec { name: format.into(), unwrapped: false, delimiter: None, schema: spec.map(Box::new) };
    Ok(TopicFormat { topic: "bids".into(), key, value, windowed_key: None })
}

fn schema(value: Vec<Column>) -> Schema {
    Schema { key: Vec::new(), value }
}

/// One format's bids and its readers and writers for both queries.
struct Codec {
    name: &'static str,
    bids: Vec<Vec<u8>>,
    all: TopicReader,
    converting: (TopicReader, TopicWriter),
    filtering: (TopicReader, TopicWriter),
}

/// What is measured of a codec.
const PARTS: [&str; 3] = ["decode all", "q1", "q2"];

impl Codec {
    fn new(name: &'static str, json: &[Vec<u8>]) -> Result<Self, String> {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(NoRegistry);
        let bids = schema(bid_columns());
        let plain = topic(name, &bids.value, 1)?;
        let reader = |uses: &[SlotUse]| TopicReader::new(&plain, &bids, uses, &registry);
        let all = [SlotUse::Read; 7];
        let mut own = Vec::with_capacity(json.len());
        if name == "JSON" {
            own.extend_from_slice(json);
        } else {
            let mut from = TopicReader::new(&topic("JSON", &bids.value, 1)?, &bids, &all, &registry)?;
            let mut to = TopicWriter::new(&plain, &bids)?;
            for bid in json {
                let mut row = Row::default();
                from.read(None, Some(bid), &mut row).map_err(text)?;
                own.push(to.write(&row).map_err(text)?.value.unwrap_or_default().to_vec());
            }
        }
        let numbered: Vec<usize> = (0..7).filter(|slot| *slot != PRICE).collect();
        let number = |slot: usize| numbered.iter().position(|carried| *carried == slot);
        let uses: Vec<SlotUse> = (0..7).map(|slot| number(slot).map_or(SlotUse::Read, SlotUse::Carried)).collect();
        let converted = schema(converted_columns());
        let converter = TopicWriter::carrying(&topic(name, &converted.value, 2)?, &converted, number)?;
        let mut filter_uses = [SlotUse::Unread; 7];
        (filter_uses[AUCTION], filter_uses[PRICE]) = (SlotUse::Read, SlotUse::Carried(0));
        let filtered = schema(filtered_columns());
        let filter = TopicWriter::carrying(&topic(name, &filtered.value, 3)?, &filtered, |slot| (slot == 1).then_some(0))?;
        Ok(Codec {
            name,
            bids: own,
            all: reader(&all)?,
            converting: (reader(&uses)?, converter),
            filtering: (reader(&filter_uses)?, filter),
        })
    }

    /// Runs a part over all bids, and says how long it took and how many bytes came out.
    fn run(&mut self, part: &str) -> Result<(Duration, usize), String> {
        let (mut row, mut carried, mut written) = (Row::default(), Carried::default(), 0);
        let began = Instant::now();
        for bid in &self.bids {
            match part {
                "q1" => {
                    let (reader, writer) = &mut self.converting;
                    reader.read_carrying(None, Some(bid), &mut row, &mut carried).map_err(text)?;
                    let Some(Value::BigInt(price)) = row.values.get(PRICE) else { return Err("a bid has no price".into()) };
                    row.values[PRICE] = Value::decimal(BigDecimal::new((908 * price).into(), 3));
                    written += writer.write_carrying(&row, &carried).map_err(text)?.value.map_or(0, <[u8]>::len);
                }
                "q2" => {
                    let (reader, writer) = &mut self.filtering;
                    reader.read_carrying(None, Some(bid), &mut row, &mut carried).map_err(text)?;
                    let Some(Value::BigInt(auction)) = row.values.get(AUCTION) else { return Err("a bid has no auction".into()) };
                    if auction % KEPT == 0 {
                        row.values.swap(1, PRICE);
                        written += writer.write_carrying(&row, &carried).map_err(text)?.value.map_or(0, <[u8]>::len);
                    }
                }
                _ => {
                    self.all.read(None, Some(bid), &mut row).map_err(text)?;
                    black_box(&row);
                }
            }
        }
        Ok((began.elapsed(), written))
    }
}

/// Measures all formats in turn, so many rounds, and returns the table of the best round of each.
///
/// # Errors
/// A format that does not read or write the bids.
pub fn measure(rounds: usize) -> Result<String, String> {
    let events = EventGenerator::new(NexmarkConfig::default());
    let bids = events.filter_map(|event| if let Event::Bid(bid) = event { Some(bid) } else { None }).take(BIDS);
    let json: Vec<Vec<u8>> = bids
        .map(|bid| {
            let mut json = String::new();
            write_bid(&bid, &mut json);
            json.into_bytes()
        })
        .collect();
    let mut codecs = FORMATS.iter().map(|name| Codec::new(name, &json)).collect::<Result<Vec<_>, _>>()?;
    let mut best = vec![[Duration::MAX; PARTS.len()]; codecs.len()];
    let mut written = vec![[0; PARTS.len()]; codecs.len()];
    for _ in 0..rounds.max(1) {
        for (codec, (best, written)) in codecs.iter_mut().zip(best.iter_mut().zip(&mut written)) {
            for (part, (best, written)) in PARTS.iter().zip(best.iter_mut().zip(written)) {
                let (took, bytes) = codec.run(part)?;
                (*best, *written) = ((*best).min(took), bytes);
            }
        }
    }
    let mut table = String::from("| ns a bid | bytes in | decode all | q1 | bytes out | q2 |\n|---|---:|---:|---:|---:|---:|\n");
    for (codec, (best, written)) in codecs.iter().zip(best.iter().zip(&written)) {
        let ns = |part: usize| best[part].as_nanos() as f64 / BIDS as f64;
        let bytes_in = codec.bids.iter().map(Vec::len).sum::<usize>() / BIDS;
        let (all, q1, q2, bytes_out) = (ns(0), ns(1), ns(2), written[1] / BIDS);
        let _ = writeln!(table, "| {} | {bytes_in} | {all:.0} | {q1:.0} | {bytes_out} | {q2:.0} |", codec.name);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_and_writes_bids() {
        let table = measure(1).expect("a table");
        assert_eq!(table.lines().count(), 2 + FORMATS.len(), "{table}");
    }
}
