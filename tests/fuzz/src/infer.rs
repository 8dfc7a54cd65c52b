//! Schemas that somebody else registered, and payloads that are of them, or nearly: columns are inferred, and records are
//! read and printed by the schema whose id they bear.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use tidemill_engine::formats::{Field, Inferred, Layout, LayoutSchemas, SchemaShape};
use tidemill_engine::plan::SchemaSpec;
use tidemill_engine::registry::{MemoryRegistry, SchemaRegistry};
use tidemill_engine::types::{Column, Value};

use super::schemas;

/// Payloads of one schema.
const MAX_PAYLOADS: usize = 16;
const MAX_PAYLOAD_BYTES: usize = 64;

pub fn infer(data: &[u8]) {
    // An end of the bytes ends the case.
    let _ = one(&mut Unstructured::new(data));
}

fn one(u: &mut Unstructured<'_>) -> Result<()> {
    let (schema, written) = (schemas::any(u)?, schemas::any(u)?);
    let Some((format, support)) = schemas::format_of(schema.kind) else { return Ok(()) };
    let unwrapped = format.supports_wrapping().1 && u.arbitrary()?;
    let columns = match support.columns_of(&schema, &SchemaShape { unwrapped, ..SchemaShape::default() }) {
        Ok(Inferred::Columns(columns)) => columns,
        Ok(Inferred::Value(sql_type)) => vec![Column::new("ROWVAL", sql_type)],
        Err(reason) => {
            assert!(!reason.is_empty(), "{} is refused without a word", schema.text);
            return Ok(());
        }
    };
    let registry: Arc<MemoryRegistry> = Arc::default();
    // The schema itself, and another one in the same language that records may bear.
    let ids = [&schema, &written].map(|schema| registry.register("t-value", schema).ok());
    let printers = [&schema, &written].map(|schema| support.printer(schema).ok());
    let layout = Layout {
        fields: columns.iter().enumerate().map(|(slot, column)| Field::new(column.clone(), Some(slot))).collect(),
        unwrapped: unwrapped && columns.len() == 1,
        is_key: false,
        delimiter: None,
        schemas: Some(LayoutSchemas { registry, spec: SchemaSpec::default() }),
    };
    let Ok(mut decoder) = format.decoder(&layout) else { return Ok(()) };
    for _ in 0..MAX_PAYLOADS {
        if u.is_empty() {
            break;
        }
        let which = usize::from(u.ratio(1, 4)?);
        let length = u.int_in_range(0..=MAX_PAYLOAD_BYTES)?;
        let body = u.bytes(length.min(u.len()))?;
        if let Some(Some(printer)) = printers.get(which) {
            let _ = printer(body);
        }
        let Some(Some(id)) = ids.get(which) else { continue };
        let payload = [&[0][..], &id.0.to_be_bytes(), body].concat();
        let mut row = vec![Value::Null; columns.len()];
        let _ = decoder.decode(&payload, &mut row);
    }
    Ok(())
}
