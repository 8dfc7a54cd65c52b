//! Values as the text that CAST AS STRING makes of them, spelled as Java's `toString` does.

use std::sync::Arc;

use crate::types::text::{
    TextOut, write_base64, write_date, write_decimal, write_double, write_i32, write_i64, write_time, write_timestamp,
};
use crate::types::{SqlType, Value};

/// Appends a value: `[1, null]` for arrays, `{a=1}` for maps, `Struct{X=1,Y=q}` for structs, whose null fields are left out.
pub fn write_value(value: &Value, sql_type: &SqlType, out: &mut impl TextOut) {
    match (value, sql_type) {
        (Value::Null, _) => out.push_text("null"),
        (Value::Boolean(v), _) => out.push_text(if *v { "true" } else { "false" }),
        (Value::Int(v), _) => write_i32(*v, out),
        (Value::BigInt(v), _) => write_i64(*v, out),
        (Value::Double(v), _) => write_double(*v, out),
        (Value::Decimal(v), _) => write_decimal(v, out),
        (Value::String(v), _) => out.push_text(v),
        (Value::Bytes(v), _) => write_base64(v, out),
        (Value::Time(v), _) => write_time(*v, out),
        (Value::Date(v), _) => write_date(*v, out),
        (Value::Timestamp(v), _) => write_timestamp(*v, out),
        (Value::Array(items), SqlType::Array(item_type)) => {
            out.push_text("[");
            for (i, item) in items.iter().enumerate() {
                separate(i, ", ", out);
                write_value(item, item_type, out);
            }
            out.push_text("]");
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) => {
            out.push_text("{");
            for (i, (key, value)) in entries.iter().enumerate() {
                separate(i, ", ", out);
                write_value(key, key_type, out);
                out.push_text("=");
                write_value(value, value_type, out);
            }
            out.push_text("}");
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            out.push_text("Struct{");
            let present = fields.iter().zip(values.iter()).filter(|(_, value)| !value.is_null());
            for (i, (field, value)) in present.enumerate() {
                separate(i, ",", out);
                out.push_text(&field.name);
                out.push_text("=");
                write_value(value, &field.sql_type, out);
            }
            out.push_text("}");
        }
        // A value of another type than its column's: a fault of ours that shows in the text but stops nothing.
        (other, _) => out.push_text(&format!("{other:?}")),
    }
}

fn separate(index: usize, by: &str, out: &mut impl TextOut) {
    if index > 0 {
        out.push_text(by);
    }
}

/// CAST(text AS BOOLEAN): beginnings of "true" and "yes" in any case are true, all else is false.
pub fn parse_boolean(text: &str) -> bool {
    is_beginning(text, "true") || is_beginning(text, "yes")
}

/// The same for literals that become BOOLEAN by themselves: what begins neither of "true", "yes", "false", "no" is refused.
pub fn parse_boolean_exact(text: &str) -> Option<bool> {
    if parse_boolean(text) {
        Some(true)
    } else if is_beginning(text, "false") || is_beginning(text, "no") {
        Some(false)
    } else {
        None
    }
}

fn is_beginning(text: &str, of: &str) -> bool {
    !text.is_empty() && of.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
}

/// Bytes in the form that BYTES has in SQL text, base64. `None` where it is none.
pub fn parse_bytes(text: &str) -> Option<Arc<[u8]>> {
    crate::types::text::parse_base64(text.as_bytes()).map(Arc::from)
}
