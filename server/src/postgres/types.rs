//! The dialect's types and values as PostgreSQL has them. STRUCT, MAP and arrays of anything but simple types are JSON there.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use tidemill_engine::types::text::{civil_from_days, to_text, write_base64, write_decimal};
use tidemill_engine::types::{SqlType, Value};

use super::message::Format;
use super::numeric;

pub const BOOL: u32 = 16;
pub const BYTEA: u32 = 17;
pub const NAME: u32 = 19;
pub const INT8: u32 = 20;
pub const INT2: u32 = 21;
pub const INT4: u32 = 23;
pub const TEXT: u32 = 25;
pub const OID: u32 = 26;
pub const JSON: u32 = 114;
pub const FLOAT4: u32 = 700;
pub const FLOAT8: u32 = 701;
pub const UNKNOWN: u32 = 705;
pub const BPCHAR: u32 = 1042;
pub const VARCHAR: u32 = 1043;
pub const DATE: u32 = 1082;
pub const TIME: u32 = 1083;
pub const TIMESTAMP: u32 = 1114;
pub const TIMESTAMPTZ: u32 = 1184;
pub const NUMERIC: u32 = 1700;
pub const UUID: u32 = 2950;
pub const JSONB: u32 = 3802;

/// Types whose arrays are arrays, with the array's type.
pub const ARRAYS: [(u32, u32); 14] = [
    (BOOL, 1000),
    (BYTEA, 1001),
    (INT2, 1005),
    (INT4, 1007),
    (TEXT, 1009),
    (VARCHAR, 1015),
    (INT8, 1016),
    (FLOAT4, 1021),
    (FLOAT8, 1022),
    (TIMESTAMP, 1115),
    (DATE, 1182),
    (TIME, 1183),
    (TIMESTAMPTZ, 1185),
    (NUMERIC, 1231),
];

const DAY_MS: i64 = 86_400_000;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub const EPOCH_DAYS: i64 = 10_957;

/// A column's type: a number by which clients know it, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    oid: u32,
    sql_type: SqlType,
}

impl ColumnType {
    pub fn of(sql_type: &SqlType) -> Self {
        ColumnType { oid: oid(sql_type), sql_type: sql_type.clone() }
    }

    /// A type of the system's catalog, whose values are written by others.
    pub fn written(oid: u32) -> Self {
        ColumnType { oid, sql_type: SqlType::String }
    }

    pub fn oid(&self) -> u32 {
        self.oid
    }

    /// Bytes of a value; negative where it depends on the value.
    pub fn width(&self) -> i16 {
        match self.oid {
            BOOL => 1,
            INT2 => 2,
            INT4 | OID | FLOAT4 | DATE => 4,
            INT8 | FLOAT8 | TIME | TIMESTAMP | TIMESTAMPTZ => 8,
            NAME => 64,
            _ => -1,
        }
    }

    /// What a type says besides its name; of NUMERIC the precision and the scale.
    pub fn modifier(&self) -> i32 {
        match &self.sql_type {
            SqlType::Decimal { precision, scale } => i32::try_from((precision << 16 | scale & 0xffff) + 4).unwrap_or(-1),
            _ => -1,
        }
    }
}

/// The number of a type.
pub fn oid(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Boolean => BOOL,
        SqlType::Int => INT4,
        SqlType::BigInt => INT8,
        SqlType::Double => FLOAT8,
        SqlType::Decimal { .. } => NUMERIC,
        SqlType::String => TEXT,
        SqlType::Bytes => BYTEA,
        SqlType::Time => TIME,
        SqlType::Date => DATE,
        SqlType::Timestamp => TIMESTAMP,
        SqlType::Array(item) => {
            let item = oid(item);
            ARRAYS.iter().find(|(simple, _)| *simple == item).map_or(JSON, |(_, array)| *array)
        }
        SqlType::Map(..) | SqlType::Struct(_) => JSON,
    }
}

/// Writes a value that is not null.
pub fn write_value(value: &Value, column: &ColumnType, format: Format, out: &mut BytesMut) {
    match format {
        Format::Text => out.put_slice(text_of(value, &column.sql_type).as_bytes()),
        Format::Binary => binary(value, &column.sql_type, out),
    }
}

/// A value as a text, as PostgreSQL writes it.
pub fn text_of(value: &Value, sql_type: &SqlType) -> String {
    match value {
        Value::Null => String::new(),
        Value::Boolean(true) => "t".to_owned(),
        Value::Boolean(false) => "f".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Double(number) => double(*number),
        Value::Decimal(decimal) => to_text(|out| write_decimal(decimal, out)).to_string(),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => {
            let mut text = String::with_capacity(2 + 2 * bytes.len());
            text.push_str("\\x");
            for byte in bytes.iter() {
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
        Value::Time(ms) => time(i64::from(*ms)),
        Value::Date(days) => date(i64::from(*days)),
        Value::Timestamp(ms) => {
            let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
            let date = date(days);
            match date.strip_suffix(" BC") {
                Some(date) => format!("{date} {} BC", time(of_day)),
                None => format!("{date} {}", time(of_day)),
            }
        }
        Value::Array(items) => match sql_type {
            SqlType::Array(item) if oid(sql_type) != JSON => {
                let items = items.iter().map(|value| if value.is_null() { "NULL".to_owned() } else { item_text(&text_of(value, item)) });
                format!("{{{}}}", items.collect::<Vec<_>>().join(","))
            }
            _ => json_text(value, sql_type),
        },
        Value::Map(_) | Value::Struct(_) => json_text(value, sql_type),
    }
}

/// An array's item, in quotes where it could be read as something else.
fn item_text(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_whitespace());
    if plain { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else if number == 0.0 || (1e-5..1e16).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

fn date(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    if year > 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{:04}-{month:02}-{day:02} BC", 1 - year) }
}

fn time(ms: i64) -> String {
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if ms == 0 { text } else { format!("{text}.{ms:03}").trim_end_matches('0').to_owned() }
}

fn json_text(value: &Value, sql_type: &SqlType) -> String {
    let mut out = String::new();
    json(value, sql_type, &mut out);
    out
}

fn json(value: &Value, sql_type: &SqlType, out: &mut String) {
    let string = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Double(number) if !number.is_finite() => out.push_str(&string(&double(*number))),
        Value::Int(_) | Value::BigInt(_) | Value::Double(_) | Value::Decimal(_) => out.push_str(&text_of(value, sql_type)),
        Value::String(text) => out.push_str(&string(text)),
        Value::Bytes(bytes) => out.push_str(&string(&to_text(|out| write_base64(bytes, out)))),
        Value::Time(_) | Value::Date(_) | Value::Timestamp(_) => out.push_str(&string(&text_of(value, sql_type))),
        Value::Array(items) => {
            let item_type = if let SqlType::Array(item) = sql_type { item } else { sql_type };
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(item, item_type, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            let (key_type, value_type) = if let SqlType::Map(key, value) = sql_type { (&**key, &**value) } else { (sql_type, sql_type) };
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&string(&text_of(key, key_type)));
                out.push(':');
                json(value, value_type, out);
            }
            out.push('}');
        }
        Value::Struct(values) => {
            let fields = if let SqlType::Struct(fields) = sql_type { &fields[..] } else { &[] };
            out.push('{');
            for (index, (field, value)) in fields.iter().zip(values.iter()).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&string(&field.name));
                out.push(':');
                json(value, &field.sql_type, out);
            }
            out.push('}');
        }
    }
}

fn binary(value: &Value, sql_type: &SqlType, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Boolean(value) => out.put_u8(u8::from(*value)),
        Value::Int(number) => out.put_i32(*number),
        Value::BigInt(number) => out.put_i64(*number),
        Value::Double(number) => out.put_f64(*number),
        Value::Decimal(decimal) => numeric::write(decimal, out),
        Value::String(text) => out.put_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.put_slice(bytes),
        Value::Time(ms) => out.put_i64(i64::from(*ms) * 1_000),
        Value::Date(days) => out.put_i32(days.saturating_sub(EPOCH_DAYS as i32)),
        Value::Timestamp(ms) => out.put_i64(ms.saturating_sub(EPOCH_DAYS * DAY_MS).saturating_mul(1_000)),
        Value::Array(items) => match sql_type {
            SqlType::Array(item) if oid(sql_type) != JSON => array(items, item, out),
            _ => out.put_slice(json_text(value, sql_type).as_bytes()),
        },
        Value::Map(_) | Value::Struct(_) => out.put_slice(json_text(value, sql_type).as_bytes()),
    }
}

fn array(items: &[Value], item: &SqlType, out: &mut BytesMut) {
    out.put_u32(u32::from(!items.is_empty()));
    out.put_u32(u32::from(items.iter().any(Value::is_null)));
    out.put_u32(oid(item));
    if items.is_empty() {
        return;
    }
    out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
    out.put_u32(1);
    for value in items {
        if value.is_null() {
            out.put_i32(-1);
            continue;
        }
        let start = out.len();
        out.put_u32(0);
        binary(value, item, out);
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_postgresql_does() {
        let text = |value: &Value, sql_type: &SqlType| text_of(value, sql_type);
        assert_eq!(text(&Value::Double(100.0), &SqlType::Double), "100");
        assert_eq!(text(&Value::Double(1e21), &SqlType::Double), "1e21");
        assert_eq!(text(&Value::bytes(vec![0, 255]), &SqlType::Bytes), "\\x00ff");
        assert_eq!(text(&Value::Time(3_723_450), &SqlType::Time), "01:02:03.45");
        assert_eq!(text(&Value::Timestamp(-1), &SqlType::Timestamp), "1969-12-31 23:59:59.999");
        assert_eq!(text(&Value::Date(-719_528), &SqlType::Date), "0001-01-01 BC");
        let texts = SqlType::array(SqlType::String);
        let items = ["a", "b c", "", "nUll", "\"", "\\"].map(Value::string).into_iter().chain([Value::Null]).collect();
        assert_eq!(text(&Value::array(items), &texts), r#"{a,"b c","","nUll","\"","\\",NULL}"#);
        let nested = SqlType::structure([("A".to_owned(), SqlType::array(SqlType::Date)), ("b".to_owned(), SqlType::Double)]);
        let value = Value::structure(vec![Value::array(vec![Value::Date(0)]), Value::Double(f64::NAN)]);
        assert_eq!(text(&value, &nested), r#"{"A":["1970-01-01"],"b":"NaN"}"#);
        assert_eq!(oid(&nested), JSON);
    }

    #[test]
    fn binary_values_count_from_the_year_2000() {
        let written = |value: Value, sql_type: SqlType| {
            let mut out = BytesMut::new();
            write_value(&value, &ColumnType::of(&sql_type), Format::Binary, &mut out);
            out.to_vec()
        };
        assert_eq!(written(Value::Date(10_958), SqlType::Date), [0, 0, 0, 1]);
        assert_eq!(written(Value::Timestamp(946_684_800_001), SqlType::Timestamp), 1_000_i64.to_be_bytes());
        let array = written(Value::array(vec![Value::Int(7), Value::Null]), SqlType::array(SqlType::Int));
        assert_eq!(array, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255]);
    }
}
