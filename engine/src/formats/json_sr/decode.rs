//! The decoder: JSON's own, behind the prefix.

use super::infer;
use crate::formats::json::{DecimalTexts, Dialect, JsonDecoder};
use crate::formats::schemas::columns::only_column;
use crate::formats::schemas::frame::{HEADER_BYTES, id_of};
use crate::formats::schemas::plans::{Planned, Plans};
use crate::formats::{DecodeError, Decoder, Inferred, Layout, Span};
use crate::registry::{Schema, SchemaId};
use crate::types::{Column, SqlType, Value};

/// What columns a schema says that it has, for one that is read as a row or as a single value.
struct Declared {
    is_unwrapped: bool,
}

impl Planned for Declared {
    type Plan = Inferred;
    const LANGUAGE: &'static str = "JSON";

    fn compile(&self, schema: &Schema, _more: &[u8]) -> Result<Inferred, String> {
        Ok(match infer::columns_of(schema, false)? {
            Inferred::Columns(columns) if self.is_unwrapped => Inferred::Value(as_struct(&columns)),
            inferred => inferred,
        })
    }
}

pub(super) struct JsonSchemaDecoder {
    json: JsonDecoder,
    /// Only looked at where a text stands in place of a DECIMAL.
    plans: Plans<Declared>,
    /// The schema by which it was last decided what such texts mean. `None`: not yet.
    decided: Option<SchemaId>,
    has_decimals: bool,
}

impl JsonSchemaDecoder {
    pub fn new(layout: &Layout) -> Result<Self, String> {
        let schemas = layout.schemas.as_ref().ok_or("JSON_SR needs a schema registry")?;
        let dialect = Dialect { map_entries: true, decimals: DecimalTexts::Undecided };
        Ok(JsonSchemaDecoder {
            json: JsonDecoder::new(layout, dialect),
            plans: Plans::new(Declared { is_unwrapped: only_column(layout).is_some() }, schemas),
            decided: None,
            has_decimals: layout.fields.iter().any(|field| field.slot.is_some() && has_decimal(&field.column.sql_type)),
        })
    }

    /// Looks at the record's schema: where Connect's annotations say DECIMAL and a text stands there, it is base64. A schema
    /// that nobody knows is none of Connect's, as far as reading goes.
    #[cold]
    fn decide(&mut self, id: SchemaId, payload: &[u8]) -> Result<(), DecodeError> {
        let row = match self.plans.of(payload) {
            Ok((row, _)) => Some(row),
            Err(error) if error.is_not_yet() => return Err(error),
            Err(_) => None,
        };
        self.json.set_decimals(|name, sql_type| match row {
            Some(Inferred::Value(written)) => meaning(sql_type, written),
            Some(Inferred::Columns(columns)) => {
                let upper = name.to_uppercase();
                columns
                    .iter()
                    .find(|column| column.name == upper)
                    .map_or(DecimalTexts::Numbers, |column| meaning(sql_type, &column.sql_type))
            }
            None => DecimalTexts::Numbers,
        });
        self.decided = Some(id);
        Ok(())
    }
}

impl Decoder for JsonSchemaDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let id = match payload {
            [0, ..] => id_of(payload)?,
            _ => {
                return Err(DecodeError::new(
                    "Got unexpected JSON serialization format that did not start with the magic byte. If this stream was not \
                     serialized using the JsonSchemaConverter, then make sure the stream is declared with JSON format (not JSON_SR).",
                ));
            }
        };
        if self.has_decimals && self.decided.is_some_and(|decided| decided != id) {
            self.decided = None;
            self.json.set_decimals(|_, _| DecimalTexts::Undecided);
        }
        let body = payload.get(HEADER_BYTES..).unwrap_or_default();
        let mut decoded = self.json.decode_carrying(body, row, spans);
        if decoded.is_err() && self.json.take_undecided() {
            self.decide(id, payload)?;
            spans.fill(Span::default());
            decoded = self.json.decode_carrying(body, row, spans);
        }
        for span in spans.iter_mut().filter(|span| span.end > span.start) {
            *span = Span { start: span.start + HEADER_BYTES, end: span.end + HEADER_BYTES };
        }
        decoded
    }
}

fn has_decimal(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Decimal { .. } => true,
        SqlType::Array(item) | SqlType::Map(_, item) => has_decimal(item),
        SqlType::Struct(fields) => fields.iter().any(|field| has_decimal(&field.sql_type)),
        _ => false,
    }
}

fn as_struct(columns: &[Column]) -> SqlType {
    SqlType::structure(columns.iter().map(|column| (column.name.clone(), column.sql_type.clone())))
}

/// What texts mean in a column of a type that was written as another.
fn meaning(read: &SqlType, written: &SqlType) -> DecimalTexts {
    use DecimalTexts::{Base64, Numbers, OtherScale};
    match (read, written) {
        (SqlType::Decimal { scale: read, .. }, SqlType::Decimal { scale: written, .. }) => {
            if read == written {
                Base64
            } else {
                OtherScale
            }
        }
        (SqlType::Array(read), SqlType::Array(written)) | (SqlType::Map(_, read), SqlType::Map(_, written)) => meaning(read, written),
        (SqlType::Struct(read), SqlType::Struct(written)) => {
            let fields = read.iter().filter_map(|field| {
                let upper = field.name.to_uppercase();
                written.iter().find(|other| *other.name == *upper).map(|other| meaning(&field.sql_type, &other.sql_type))
            });
            // One whose scale differs spoils the column.
            fields.fold(Numbers, |all, one| if all == OtherScale || one == Numbers { all } else { one })
        }
        _ => Numbers,
    }
}
