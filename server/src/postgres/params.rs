//! Parameters of prepared statements: a value as a client sends it, in either format, becomes the literal that stands for it in
//! the statement's text. So a statement with parameters is one like any other: a query, an INSERT, a push query.

use bytes::{Buf, Bytes};
use tidemill_engine::types::text::{civil_from_days, parse_decimal, parse_double};

use super::error::{NOT_SUPPORTED, PgError, WRONG_TEXT};
use super::message::Format;
use super::numeric;
use super::types::{
    ARRAYS, BOOL, BPCHAR, BYTEA, DATE, EPOCH_DAYS, FLOAT4, FLOAT8, INT2, INT4, INT8, JSON, JSONB, NAME, NUMERIC, OID, TEXT, TIME,
    TIMESTAMP, TIMESTAMPTZ, UNKNOWN, UUID, VARCHAR,
};

/// Items of an array that is a parameter.
const MAX_ITEMS: usize = 100_000;
const DAY_US: i64 = 86_400_000_000;

/// The literal of a value. `oid` is the type that the client says or was told.
///
/// # Errors
/// It is no value of that type.
pub fn literal(value: Option<Bytes>, oid: u32, format: Format) -> Result<String, PgError> {
    let Some(bytes) = value else { return Ok("NULL".to_owned()) };
    if let Some((item, _)) = ARRAYS.iter().find(|(_, array)| *array == oid) {
        return match format {
            Format::Binary => array(bytes, *item),
            Format::Text => text_array(&utf8(bytes)?, *item),
        };
    }
    match format {
        Format::Text => of_text(&utf8(bytes)?, oid),
        Format::Binary => of_binary(bytes, oid),
    }
}

fn utf8(bytes: Bytes) -> Result<String, PgError> {
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| PgError::new(WRONG_TEXT, "a parameter is not UTF-8"))?;
    if text.contains('\0') { Err(PgError::new(WRONG_TEXT, "a parameter holds the character 0")) } else { Ok(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn cast(text: &str, to: &str) -> String {
    format!("CAST({} AS {to})", quoted(text))
}

/// A negative number binds weaker than what may stand before it.
fn number(text: &str) -> String {
    if text.starts_with('-') { format!("({text})") } else { text.to_owned() }
}

fn no_value(text: &str, what: &str) -> PgError {
    const SHOWN: usize = 100;
    let shown: String = text.chars().take(SHOWN).collect();
    PgError::new(WRONG_TEXT, format!("invalid input syntax for type {what}: \"{shown}\""))
}

fn of_text(text: &str, oid: u32) -> Result<String, PgError> {
    let trimmed = text.trim();
    match oid {
        BOOL => match trimmed.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok("TRUE".to_owned()),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok("FALSE".to_owned()),
            _ => Err(no_value(text, "boolean")),
        },
        INT2 | INT4 | INT8 | OID => {
            let parsed = trimmed.parse::<i64>().map_err(|_| no_value(text, "bigint"))?;
            Ok(number(&parsed.to_string()))
        }
        FLOAT4 | FLOAT8 => {
            let parsed = match trimmed.to_ascii_lowercase().as_str() {
                "infinity" | "inf" => f64::INFINITY,
                "-infinity" | "-inf" => f64::NEG_INFINITY,
                "nan" => f64::NAN,
                _ => parse_double(trimmed).ok_or_else(|| no_value(text, "double precision"))?,
            };
            Ok(double(parsed))
        }
        NUMERIC => match parse_decimal(trimmed) {
            Some(_) => Ok(number(trimmed.trim_start_matches('+'))),
            None => Err(no_value(text, "numeric")),
        },
        DATE => Ok(cast(trimmed, "DATE")),
        TIME => Ok(cast(trimmed, "TIME")),
        TIMESTAMP | TIMESTAMPTZ => Ok(cast(&trimmed.replacen(' ', "T", 1), "TIMESTAMP")),
        BYTEA => match trimmed.strip_prefix("\\x") {
            Some(digits) if digits.len() % 2 == 0 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                Ok(format!("TO_BYTES('{digits}', 'hex')"))
            }
            _ => Err(no_value(text, "bytea")),
        },
        // A text that is none of the others may still be meant as a number: what it is compared with decides.
        _ => Ok(quoted(text)),
    }
}

fn double(value: f64) -> String {
    if value.is_finite() {
        number(&format!("{value:E}"))
    } else {
        cast(
            if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
            "DOUBLE",
        )
    }
}

fn of_binary(mut bytes: Bytes, oid: u32) -> Result<String, PgError> {
    let wrong = || PgError::new(WRONG_TEXT, format!("a parameter's bytes are no value of the type with the OID {oid}"));
    let length = bytes.len();
    let literal = match (oid, length) {
        (BOOL, 1) => (if bytes.get_u8() == 0 { "FALSE" } else { "TRUE" }).to_owned(),
        (INT2, 2) => number(&bytes.get_i16().to_string()),
        (INT4, 4) => number(&bytes.get_i32().to_string()),
        (OID, 4) => bytes.get_u32().to_string(),
        (INT8, 8) => number(&bytes.get_i64().to_string()),
        (FLOAT4, 4) => double(f64::from(bytes.get_f32())),
        (FLOAT8, 8) => double(bytes.get_f64()),
        (NUMERIC, _) => number(&numeric::read(bytes).ok_or_else(wrong)?),
        (TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN | JSON | 0, _) => quoted(&utf8(bytes)?),
        (JSONB, 1..) => quoted(&utf8(bytes.slice(1..))?),
        (BYTEA, _) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("TO_BYTES('{digits}', 'hex')")
        }
        (UUID, 16) => {
            let mut raw = [0; 16];
            bytes.copy_to_slice(&mut raw);
            quoted(&uuid::Uuid::from_bytes(raw).to_string())
        }
        (DATE, 4) => cast(&date(i64::from(bytes.get_i32()) + EPOCH_DAYS).ok_or_else(wrong)?, "DATE"),
        (TIME, 8) => cast(&time(bytes.get_i64()).ok_or_else(wrong)?, "TIME"),
        (TIMESTAMP | TIMESTAMPTZ, 8) => {
            let us = bytes.get_i64();
            let date = date(us.div_euclid(DAY_US) + EPOCH_DAYS).ok_or_else(wrong)?;
            let time = time(us.rem_euclid(DAY_US)).ok_or_else(wrong)?;
            cast(&format!("{date}T{time}"), "TIMESTAMP")
        }
        (BOOL | INT2 | INT4 | INT8 | FLOAT4 | FLOAT8 | OID | DATE | TIME | TIMESTAMP | TIMESTAMPTZ | UUID | JSONB, _) => {
            return Err(wrong());
        }
        _ => {
            let message = format!("parameters of the type with the OID {oid} are not read in the binary format");
            return Err(PgError::new(NOT_SUPPORTED, message).hint("Send it as a text, or cast it to a type of the dialect."));
        }
    };
    Ok(literal)
}

fn date(days: i64) -> Option<String> {
    let (year, month, day) = civil_from_days(days);
    (1..=9_999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn time(us: i64) -> Option<String> {
    let ms = us / 1_000;
    let seconds = ms / 1_000;
    (0..DAY_US).contains(&us).then(|| format!("{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000))
}

fn array(mut bytes: Bytes, item: u32) -> Result<String, PgError> {
    let wrong = || PgError::new(WRONG_TEXT, "a parameter's bytes are no array of one dimension");
    let next = |bytes: &mut Bytes| bytes.try_get_u32().map_err(|_| wrong());
    let dimensions = next(&mut bytes)?;
    next(&mut bytes)?;
    let item_oid = next(&mut bytes)?;
    if dimensions == 0 {
        return Ok(items(Vec::new(), item));
    }
    if dimensions != 1 {
        return Err(wrong());
    }
    let count = usize::try_from(next(&mut bytes)?).unwrap_or(usize::MAX);
    next(&mut bytes)?;
    if count > MAX_ITEMS || count.saturating_mul(4) > bytes.len() {
        return Err(wrong());
    }
    let mut literals = Vec::with_capacity(count);
    for _ in 0..count {
        let length = next(&mut bytes)?;
        if length == u32::MAX {
            literals.push("NULL".to_owned());
            continue;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > bytes.len() {
            return Err(wrong());
        }
        literals.push(of_binary(bytes.split_to(length), item_oid)?);
    }
    Ok(items(literals, item))
}

fn text_array(text: &str, item: u32) -> Result<String, PgError> {
    let given = array_items(text).ok_or_else(|| no_value(text, "array"))?;
    let literals = given.iter().map(|one| one.as_deref().map_or_else(|| Ok("NULL".to_owned()), |text| of_text(text, item)));
    Ok(items(literals.collect::<Result<_, _>>()?, item))
}

/// The items of `{a,"b c",NULL}`, an array of one dimension; `None`: it is none, or has too many.
pub fn array_items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))?;
    let mut found = Vec::new();
    let mut chars = inner.chars().peekable();
    while chars.peek().is_some() {
        if found.len() >= MAX_ITEMS {
            return None;
        }
        let mut one = String::new();
        let is_quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.next() {
                Some('"') if is_quoted => break,
                Some('\\') => one.push(chars.next()?),
                Some('{' | '}') if !is_quoted => return None,
                // So that the comma is seen below.
                Some(',') if !is_quoted => break,
                Some(other) => one.push(other),
                None if is_quoted => return None,
                None => break,
            }
        }
        if is_quoted && !matches!(chars.next(), Some(',') | None) {
            return None;
        }
        let is_null = !is_quoted && one.eq_ignore_ascii_case("null");
        found.push((!is_null).then_some(one));
    }
    Some(found)
}

fn items(literals: Vec<String>, item: u32) -> String {
    let item_type = match item {
        BOOL => "BOOLEAN",
        INT2 | INT4 => "INTEGER",
        INT8 => "BIGINT",
        FLOAT4 | FLOAT8 => "DOUBLE",
        _ => "STRING",
    };
    if literals.is_empty() { format!("CAST(ARRAY[] AS ARRAY<{item_type}>)") } else { format!("ARRAY[{}]", literals.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str, oid: u32) -> Result<String, PgError> {
        literal(Some(Bytes::from_static(text.as_bytes())), oid, Format::Text)
    }

    fn binary(bytes: &'static [u8], oid: u32) -> Result<String, PgError> {
        literal(Some(Bytes::from_static(bytes)), oid, Format::Binary)
    }

    #[test]
    fn literals_stand_for_values_and_nothing_else() {
        let good = |result: Result<String, PgError>| result.expect("a value");
        assert_eq!(good(text("it's; DROP", UNKNOWN)), "'it''s; DROP'");
        assert_eq!(good(text(" -5 ", INT4)), "(-5)");
        assert_eq!(good(text("1.5e3", FLOAT8)), "1.5E3");
        assert_eq!(good(text("NaN", FLOAT8)), "CAST('NaN' AS DOUBLE)");
        assert_eq!(good(text("2024-02-03 04:05:06.7", TIMESTAMP)), "CAST('2024-02-03T04:05:06.7' AS TIMESTAMP)");
        assert_eq!(good(text("\\x00fF", BYTEA)), "TO_BYTES('00fF', 'hex')");
        assert_eq!(good(text("{1,NULL,-3}", 1007)), "ARRAY[1, NULL, (-3)]");
        assert_eq!(good(text("{a,\"b,\\\"'\",\"NULL\"}", 1009)), "ARRAY['a', 'b,\"''', 'NULL']");
        assert_eq!(good(binary(&[0, 0, 0, 7], INT4)), "7");
        assert_eq!(good(binary(&[0, 0, 0, 0, 0, 0, 0, 0], TIMESTAMP)), "CAST('2000-01-01T00:00:00.000' AS TIMESTAMP)");
        assert_eq!(good(literal(None, INT4, Format::Text)), "NULL");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for (given, oid) in [
            ("1; DROP", INT4),
            ("1.5", INT8),
            ("x", FLOAT8),
            ("1e", NUMERIC),
            ("maybe", BOOL),
            ("\\xzz", BYTEA),
            ("{1", 1007),
            ("{{1}}", 1007),
            ("{\"a\"b}", 1009),
        ] {
            assert!(text(given, oid).is_err(), "{given}");
        }
        for (given, oid) in [(&[0, 1][..], INT4), (&[1], JSONB), (b"\xff", TEXT), (&[0, 0, 0, 1], 1007), (&[], 1007)] {
            assert!(binary(given, oid).is_err() || oid == JSONB, "{given:?} {oid}");
        }
        assert!(binary(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 255, 255, 255, 255, 0, 0, 0, 1], 1007).is_err());
        assert!(binary(&[127, 255, 255, 255], DATE).is_err());
    }
}
