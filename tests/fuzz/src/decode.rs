//! Each format's decoder: payloads that its own encoder made of random rows, changed here and there; payloads of another
//! schema; any bytes.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use tidemill_engine::formats::{self, Decoder, Field, Format, Layout, LayoutSchemas, SchemaShape};
use tidemill_engine::plan::{SchemaSpec, WriteSchema};
use tidemill_engine::registry::{MemoryRegistry, SchemaRegistry};
use tidemill_engine::types::{Column, Value};

use super::mutate::mutate;
use super::random;

/// Payloads of one schema.
const MAX_PAYLOADS: usize = 16;

pub fn avro(data: &[u8]) {
    format("AVRO", data);
}

pub fn delimited(data: &[u8]) {
    format("DELIMITED", data);
}

pub fn json(data: &[u8]) {
    format("JSON", data);
}

pub fn json_sr(data: &[u8]) {
    format("JSON_SR", data);
}

pub fn kafka(data: &[u8]) {
    format("KAFKA", data);
}

pub fn protobuf(data: &[u8]) {
    format("PROTOBUF", data);
}

pub fn protobuf_nosr(data: &[u8]) {
    format("PROTOBUF_NOSR", data);
}

fn format(name: &str, data: &[u8]) {
    if let Some(format) = formats::by_name(name) {
        // An end of the bytes ends the case.
        let _ = one(format, &mut Unstructured::new(data));
    }
}

/// Columns that a format takes, with all that reads and writes them.
struct Case {
    columns: Vec<Column>,
    layout: Layout,
}

fn one(format: &'static dyn Format, u: &mut Unstructured<'_>) -> Result<()> {
    let registry: Arc<MemoryRegistry> = Arc::default();
    let Some(case) = case(format, &registry, u)? else { return Ok(()) };
    let Ok(mut encoder) = format.encoder(&case.layout) else { return Ok(()) };
    let all = format.decoder(&case.layout).unwrap_or_else(|error| panic!("written, but not read: {error}: {:?}", case.columns));
    let mut decoders: Vec<Box<dyn Decoder>> = vec![all];
    let mut some = case.layout.clone();
    for field in &mut some.fields {
        field.slot = field.slot.filter(|_| u.arbitrary().unwrap_or(true));
    }
    decoders.extend(format.decoder(&some));
    // One whose columns are others, with the schema that the first one's records have.
    if let Some(other) = self::case(format, &registry, u)? {
        decoders.extend(format.decoder(&other.layout));
    }
    for _ in 0..MAX_PAYLOADS {
        if u.is_empty() {
            break;
        }
        let mut payload = Vec::new();
        let row = case.columns.iter().map(|column| random::value(u, &column.sql_type)).collect::<Result<Vec<_>>>()?;
        let written = encoder.encode(&row, &mut payload);
        if written == Ok(true) {
            let mut read = vec![Value::Null; row.len()];
            let decoded = decoders.first_mut().map(|decoder| decoder.decode(&payload, &mut read));
            // Lines have no nulls of their own: what is written there need not come back.
            if format.schemas().is_some() {
                assert!(matches!(decoded, Some(Ok(_))), "{decoded:?} of {row:?} as {:?}: {}", case.columns, payload.escape_ascii());
            }
        }
        if u.ratio(1, 8)? {
            payload = u.bytes(u.len().min(64))?.to_vec();
        }
        mutate(&mut payload, u)?;
        for decoder in &mut decoders {
            let mut read = vec![Value::Null; row.len().max(8)];
            if decoder.decode(&payload, &mut read) == Ok(true) {
                let mut out = Vec::new();
                let _ = encoder.encode(&read, &mut out);
            }
        }
    }
    Ok(())
}

fn case(format: &'static dyn Format, registry: &Arc<MemoryRegistry>, u: &mut Unstructured<'_>) -> Result<Option<Case>> {
    let mut columns = random::columns(u)?;
    columns.retain(|column| format.check_column(column, false).is_ok());
    let (_, can_unwrap) = format.supports_wrapping();
    let unwrapped = columns.len() == 1 && (format.unwrapped_by_default() || (can_unwrap && u.arbitrary()?));
    if columns.is_empty() || format.check_columns(&columns, false).is_err() {
        return Ok(None);
    }
    let mut schemas = None;
    if let Some(support) = format.schemas() {
        let Ok(schema) = support.schema_of(&columns, &SchemaShape { unwrapped, ..SchemaShape::default() }) else { return Ok(None) };
        let Ok(id) = registry.register("t-value", &schema) else { return Ok(None) };
        let spec = SchemaSpec { writes: Some(WriteSchema { id, schema }), ..SchemaSpec::default() };
        schemas = Some(LayoutSchemas { registry: registry.clone(), spec });
    }
    let fields = columns.iter().enumerate().map(|(slot, column)| Field::new(column.clone(), Some(slot))).collect();
    let delimiter = *u.choose(&[None, Some('\t'), Some('|')])?;
    let layout = Layout { fields, unwrapped, is_key: false, delimiter: delimiter.filter(|_| format.name() == "DELIMITED"), schemas };
    Ok(Some(Case { columns, layout }))
}
