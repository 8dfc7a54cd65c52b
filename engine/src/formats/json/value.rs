//! JSON values as SQL values, with ksqlDB's coercions:
//!
//! | column | takes |
//! |---|---|
//! | BOOLEAN | `true`, `false` |
//! | INT, BIGINT | numbers (cut to the whole part and to 32 or 64 bits), text of a whole number that fits |
//! | DOUBLE | numbers, text of a number (`"NaN"`, `"Infinity"`) |
//! | DECIMAL | numbers and their text, if they fit the scale without rounding; more digits before the point than the type has are taken |
//! | STRING | any value, as text |
//! | BYTES | base64 text |
//! | TIMESTAMP, TIME, DATE | numbers and their text: milliseconds, milliseconds of the day, days |
//! | ARRAY, MAP, STRUCT | arrays, objects |
//!
//! `null` is null in all of them. Anything else is an error, and the record is skipped.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::dialect::DecimalTexts;
use super::scan::{ANY_VALUE, COMMA_IN_ARRAY, COMMA_IN_OBJECT, Fault, Scanned, Scanner};
use super::text::read_text;
use crate::types::text::{DAY_MS, parse_decimal, parse_double, parse_padded_base64, read_decimal};
use crate::types::{MapValue, SqlType, StructField, Value};

/// The value that begins here, as one of that type.
#[inline]
pub(super) fn read_value(scanner: &mut Scanner<'_>, sql_type: &SqlType) -> Scanned<Value> {
    let first = scanner.peek();
    match (sql_type, first) {
        (_, b'n') => scanner.literal("null").map(|()| Value::Null),
        (SqlType::String, b'"') => scanner.text().map(|text| Value::string(&*text)),
        // As in Java's `intValue`, an INT is the lowest 32 bits.
        (SqlType::Int, b'-' | b'0'..=b'9') => whole_number(scanner).map(|v| Value::Int(to_int(scanner, v))),
        (SqlType::BigInt, b'-' | b'0'..=b'9') => whole_number(scanner).map(Value::BigInt),
        (SqlType::Timestamp, b'-' | b'0'..=b'9') => whole_number(scanner).map(Value::Timestamp),
        (SqlType::Double, b'-' | b'0'..=b'9') => scanner.number().map(|number| Value::Double(number.to_f64())),
        (SqlType::Boolean, b't') => scanner.literal("true").map(|()| Value::Boolean(true)),
        (SqlType::Boolean, b'f') => scanner.literal("false").map(|()| Value::Boolean(false)),
        (SqlType::Array(item), b'[') => array(scanner, item),
        (SqlType::Map(_, item), b'{') => map(scanner, item),
        (SqlType::Struct(fields), b'{') => structure(scanner, fields),
        _ => read_rare(scanner, sql_type, first),
    }
}

/// The conversions off the beaten track.
fn read_rare(scanner: &mut Scanner<'_>, sql_type: &SqlType, first: u8) -> Scanned<Value> {
    match (sql_type, first) {
        (SqlType::String, _) => read_text(scanner).map(Value::String),
        (SqlType::Decimal { precision, scale }, b'"') if scanner.dialect().decimals != DecimalTexts::Numbers => {
            decimal_of_text(scanner, *precision, *scale)
        }
        (SqlType::Bytes, b'"') => {
            let text = scanner.text()?;
            parse_padded_base64(text.as_bytes()).map(Value::bytes).ok_or_else(|| Fault::value("Cannot read a text as base64".into()))
        }
        (SqlType::Time, b'-' | b'0'..=b'9') => whole_number(scanner).and_then(time),
        (SqlType::Date, b'-' | b'0'..=b'9') => whole_number(scanner).and_then(date),
        (SqlType::Decimal { precision, scale }, b'-' | b'0'..=b'9') => {
            let number = scanner.number()?.to_decimal().ok_or_else(|| Fault::value("A number's exponent is too large".into()))?;
            read_decimal(&number, *precision, *scale).map(Value::decimal).map_err(Fault::value)
        }
        (
            SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. } | SqlType::Timestamp | SqlType::Time | SqlType::Date,
            b'"',
        ) => {
            let text = scanner.text()?;
            from_text(&text, sql_type)
        }
        (SqlType::Map(_, item), b'[') if scanner.dialect().map_entries => map_of_entries(scanner, item),
        _ => Err(wrong_type(scanner, sql_type)),
    }
}

/// A DECIMAL from a text that may not be a number in digits.
#[cold]
fn decimal_of_text(scanner: &mut Scanner<'_>, precision: u32, scale: u32) -> Scanned<Value> {
    match scanner.dialect().decimals {
        DecimalTexts::Base64 => {
            let text = scanner.text()?;
            let bytes = parse_padded_base64(text.as_bytes()).ok_or_else(|| Fault::value("Cannot read a text as base64".into()))?;
            let number = BigDecimal::new(BigInt::from_signed_bytes_be(&bytes), i64::from(scale));
            read_decimal(&number, precision, scale).map(Value::decimal).map_err(Fault::value)
        }
        DecimalTexts::Undecided => {
            scanner.note_undecided();
            Err(Fault::value("A DECIMAL's text can't be read before its schema is known".into()))
        }
        DecimalTexts::OtherScale => Err(Fault::value(format!(
            "The record's schema writes this DECIMAL with another scale than the column's {scale}: declare the column as the schema does"
        ))),
        DecimalTexts::Numbers => {
            let text = scanner.text()?;
            from_text(&text, &SqlType::Decimal { precision, scale })
        }
    }
}

/// A MAP from an array of its entries, `{"key": …, "value": …}`. Keys of other types are taken by their text.
#[cold]
fn map_of_entries(scanner: &mut Scanner<'_>, item: &SqlType) -> Scanned<Value> {
    let mut entries = MapValue::default();
    each_item(scanner, |scanner, index| {
        let (mut key, mut value) = (Value::Null, Value::Null);
        each_member(scanner, |scanner, _, name| {
            match name {
                "key" => key = read_value(scanner, &SqlType::String)?,
                "value" => value = read_value(scanner, item).map_err(|fault| fault.within(|| ".value".to_owned()))?,
                _ => scanner.skip_value()?,
            }
            Ok(())
        })
        .map_err(|fault| fault.within(|| format!("[{index}]")))?;
        entries.insert(key, value);
        Ok(())
    })?;
    Ok(Value::Map(Arc::new(entries)))
}

/// A number or a time from its text.
fn from_text(text: &str, sql_type: &SqlType) -> Scanned<Value> {
    let value = match sql_type {
        SqlType::Int => text.parse().ok().map(Value::Int),
        SqlType::BigInt => text.parse().ok().map(Value::BigInt),
        SqlType::Timestamp => text.parse().ok().map(Value::Timestamp),
        SqlType::Double => parse_double(text).map(Value::Double),
        SqlType::Time => text.parse().ok().map(time).transpose()?,
        SqlType::Date => text.parse().ok().map(date).transpose()?,
        SqlType::Decimal { precision, scale } => match parse_decimal(text) {
            Some(number) => Some(Value::decimal(read_decimal(&number, *precision, *scale).map_err(Fault::value)?)),
            None => None,
        },
        _ => None,
    };
    value.ok_or_else(|| Fault::value(format!("Can't coerce string to type. targetType: {}", sql_type.base_name())))
}

#[inline]
fn whole_number(scanner: &mut Scanner<'_>) -> Scanned<i64> {
    match scanner.short_integer() {
        Some(value) => Ok(value),
        None => {
            let number = scanner.number()?;
            if !number.fits_i64() {
                scanner.note_wrapped();
            }
            Ok(number.to_i64())
        }
    }
}

/// The lowest 32 bits; what is cut off is noted.
#[inline]
pub(super) fn to_int(scanner: &mut Scanner<'_>, value: i64) -> i32 {
    if i32::try_from(value).is_err() {
        scanner.note_wrapped();
    }
    value as i32
}

fn time(ms: i64) -> Scanned<Value> {
    match i32::try_from(ms) {
        Ok(ms) if (0..=DAY_MS).contains(&i64::from(ms)) => Ok(Value::Time(ms)),
        _ => Err(Fault::value(format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}."))),
    }
}

fn date(days: i64) -> Scanned<Value> {
    i32::try_from(days).map(Value::Date).map_err(|_| Fault::value(format!("A date of {days} days since 1970-01-01 is out of range")))
}

fn array(scanner: &mut Scanner<'_>, item: &SqlType) -> Scanned<Value> {
    let mut items = Vec::new();
    each_item(scanner, |scanner, index| {
        items.push(read_value(scanner, item).map_err(|fault| fault.within(|| format!("[{index}]")))?);
        Ok(())
    })?;
    Ok(Value::array(items))
}

fn map(scanner: &mut Scanner<'_>, item: &SqlType) -> Scanned<Value> {
    let mut entries = MapValue::default();
    each_member(scanner, |scanner, _, name| {
        let value = read_value(scanner, item).map_err(|fault| fault.within(|| format!(".{name}")))?;
        entries.insert(Value::string(name), value);
        Ok(())
    })?;
    Ok(Value::Map(Arc::new(entries)))
}

fn structure(scanner: &mut Scanner<'_>, fields: &[StructField]) -> Scanned<Value> {
    let mut values = vec![Value::Null; fields.len()];
    // For each field, whether a member of exactly its name was there: it wins over one in other letters.
    let mut exact = vec![false; fields.len()];
    each_member(scanner, |scanner, position, name| {
        // Members mostly stand in the order of the type.
        let hint = fields.get(position).filter(|field| *field.name == *name).map(|_| position);
        let (index, is_exact) = match hint.or_else(|| fields.iter().position(|field| *field.name == *name)) {
            Some(index) => (Some(index), true),
            None => {
                let upper = name.to_uppercase();
                (fields.iter().position(|field| *field.name == *upper), false)
            }
        };
        let (Some(index), Some(field)) = (index, index.and_then(|index| fields.get(index))) else { return scanner.skip_value() };
        let value = read_value(scanner, &field.sql_type).map_err(|fault| fault.within(|| format!(".{}", field.name)))?;
        if let (Some(place), Some(exact)) = (values.get_mut(index), exact.get_mut(index))
            && (is_exact || !*exact)
        {
            *place = value;
            *exact = is_exact;
        }
        Ok(())
    })?;
    Ok(Value::structure(values))
}

/// Walks over the items of the array that begins here; `item` reads one, and is told its 0-based index.
pub(super) fn each_item<'a>(scanner: &mut Scanner<'a>, mut item: impl FnMut(&mut Scanner<'a>, usize) -> Scanned<()>) -> Scanned<()> {
    if !scanner.take_byte(b'[') {
        return Err(scanner.unexpected("an array"));
    }
    scanner.skip_blanks();
    if scanner.take_byte(b']') {
        return Ok(());
    }
    for index in 0.. {
        item(scanner, index)?;
        scanner.skip_blanks();
        if scanner.take_byte(b']') {
            break;
        }
        if !scanner.take_byte(b',') {
            return Err(scanner.unexpected(COMMA_IN_ARRAY));
        }
        scanner.skip_blanks();
    }
    Ok(())
}

/// Walks over the members of the object that begins here; `member` reads one's value, and is told its position and name.
fn each_member<'a>(scanner: &mut Scanner<'a>, mut member: impl FnMut(&mut Scanner<'a>, usize, &str) -> Scanned<()>) -> Scanned<()> {
    if !scanner.take_byte(b'{') {
        return Err(scanner.unexpected("an object"));
    }
    scanner.skip_blanks();
    if scanner.take_byte(b'}') {
        return Ok(());
    }
    for position in 0.. {
        let name = scanner.text()?;
        scanner.colon()?;
        member(scanner, position, &name)?;
        scanner.skip_blanks();
        if scanner.take_byte(b'}') {
            break;
        }
        if !scanner.take_byte(b',') {
            return Err(scanner.unexpected(COMMA_IN_OBJECT));
        }
        scanner.skip_blanks();
    }
    Ok(())
}

/// The fault of a value that begins here and can't be of that type (or is no value at all).
#[cold]
pub(super) fn wrong_type(scanner: &Scanner<'_>, sql_type: &SqlType) -> Box<Fault> {
    wrong_shape(scanner, &describe(sql_type))
}

/// As [`wrong_type`], with the required type in words.
#[cold]
pub(super) fn wrong_shape(scanner: &Scanner<'_>, required: &str) -> Box<Fault> {
    let found = match scanner.peek() {
        b'"' => "TextNode",
        b'{' => "ObjectNode",
        b'[' => "ArrayNode",
        b't' | b'f' => "BooleanNode",
        b'-' | b'0'..=b'9' => match scanner.clone().number() {
            Ok(number) if number.is_integer() => "IntNode",
            Ok(_) => "DecimalNode",
            Err(fault) => return fault,
        },
        _ => return scanner.unexpected(ANY_VALUE),
    };
    // A text that is not even JSON is told as such.
    match scanner.clone().skip_value() {
        Ok(()) => Fault::value(format!("Can't convert type. sourceType: {found}, requiredType: {required}")),
        Err(fault) => fault,
    }
}

/// A type in an error text: scalars by their name, the others as ksqlDB's formatter spells Connect schemas.
fn describe(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => spelled(sql_type),
        SqlType::Decimal { .. } => sql_type.to_string(),
        scalar => scalar.base_name().to_string(),
    }
}

/// `STRUCT<A INT, B VARCHAR>`.
pub(super) fn spelled(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Int => "INT".into(),
        SqlType::String => "VARCHAR".into(),
        SqlType::Array(item) => format!("ARRAY<{}>", spelled(item)),
        SqlType::Map(key, item) => format!("MAP<{}, {}>", spelled(key), spelled(item)),
        SqlType::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(|field| format!("{} {}", field.name, spelled(&field.sql_type))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::DecodeError;

    fn read(json: &str, sql_type: &SqlType) -> Result<Value, String> {
        read_value(&mut Scanner::new(json.as_bytes()), sql_type).map_err(|fault| DecodeError::from(fault).to_string())
    }

    fn decimal(text: &str) -> Value {
        Value::decimal(parse_decimal(text).unwrap())
    }

    #[test]
    fn scalars_and_their_coercions() {
        use SqlType::*;
        let money = Decimal { precision: 4, scale: 2 };
        let cases: Vec<(&str, SqlType, Value)> = vec![
            ("null", Int, Value::Null),
            ("7", Int, Value::Int(7)),
            ("\"7\"", Int, Value::Int(7)),
            ("\"+7\"", Int, Value::Int(7)),
            ("1.9", Int, Value::Int(1)),
            ("99999999999", Int, Value::Int(1_215_752_191)),
            ("1e3", BigInt, Value::BigInt(1000)),
            ("9223372036854775808", BigInt, Value::BigInt(i64::MIN)),
            ("\"-5\"", BigInt, Value::BigInt(-5)),
            ("1", Double, Value::Double(1.0)),
            ("\"1.5\"", Double, Value::Double(1.5)),
            ("\"-Infinity\"", Double, Value::Double(f64::NEG_INFINITY)),
            ("1e400", Double, Value::Double(f64::INFINITY)),
            ("true", Boolean, Value::Boolean(true)),
            ("false", Boolean, Value::Boolean(false)),
            ("10", money.clone(), decimal("10.00")),
            ("\"1.5\"", money.clone(), decimal("1.50")),
            ("1.500", money.clone(), decimal("1.50")),
            ("100", money.clone(), decimal("100.00")),
            ("\"-12345\"", money, decimal("-12345.00")),
            ("\"x\"", String, Value::string("x")),
            ("5", String, Value::string("5")),
            ("1.50", String, Value::string("1.50")),
            ("true", String, Value::string("true")),
            ("{\"q\": 1}", String, Value::string("{\"q\":1}")),
            ("[1, 2]", String, Value::string("[1, 2]")),
            ("\"YWI=\"", Bytes, Value::bytes(&b"ab"[..])),
            ("1709164800123", Timestamp, Value::Timestamp(1_709_164_800_123)),
            ("\"5\"", Timestamp, Value::Timestamp(5)),
            ("86399999", Time, Value::Time(86_399_999)),
            ("19782", Date, Value::Date(19_782)),
            ("\"-1\"", Date, Value::Date(-1)),
        ];
        for (json, sql_type, value) in cases {
            assert_eq!(read(json, &sql_type), Ok(value), "{json} as {sql_type}");
        }
    }

    #[test]
    fn containers() {
        let inner = SqlType::structure([("A".to_string(), SqlType::Int), ("b".to_string(), SqlType::String)]);
        let text = |t: &str| Value::string(t);
        let cases: Vec<(&str, SqlType, Value)> = vec![
            ("[]", SqlType::array(SqlType::Int), Value::array(vec![])),
            ("[1, null , \"3\"]", SqlType::array(SqlType::Int), Value::array(vec![Value::Int(1), Value::Null, Value::Int(3)])),
            ("[1,2]", SqlType::array(SqlType::String), Value::array(vec![text("1"), text("2")])),
            (
                "{\"k\":1,\"l\":null,\"k\":3}",
                SqlType::map(SqlType::String, SqlType::Int),
                Value::Map(Arc::new([(text("k"), Value::Int(3)), (text("l"), Value::Null)].into_iter().collect())),
            ),
            ("{}", inner.clone(), Value::structure(vec![Value::Null, Value::Null])),
            ("{\"a\":1,\"B\":2,\"x\":[{}],\"b\":\"y\"}", inner.clone(), Value::structure(vec![Value::Int(1), text("y")])),
            ("{\"A\":1,\"a\":2}", inner.clone(), Value::structure(vec![Value::Int(1), Value::Null])),
            ("{\"a\":2,\"A\":1}", inner.clone(), Value::structure(vec![Value::Int(1), Value::Null])),
            ("[{\"A\":1}]", SqlType::array(inner), Value::array(vec![Value::structure(vec![Value::Int(1), Value::Null])])),
        ];
        for (json, sql_type, value) in cases {
            assert_eq!(read(json, &sql_type), Ok(value), "{json} as {sql_type}");
        }
    }

    #[test]
    fn causes_go_from_the_outside_in() {
        let nested = SqlType::structure([("A".to_string(), SqlType::array(SqlType::Int))]);
        let causes = |json: &str| {
            let fault = read_value(&mut Scanner::new(json.as_bytes()), &nested).expect_err(json);
            DecodeError::from(fault).causes()
        };
        let said = "Can't coerce string to type. targetType: INTEGER";
        let paths = [", path: $.A[1]", ", path: .A[1]", ", path: [1]", ""];
        assert_eq!(causes("{\"a\":[1,\"x\"]}"), paths.map(|path| format!("{said}{path}")));
        assert_eq!(causes("5").len(), 2);
        assert_eq!(causes("{").len(), 1, "syntax has no place");
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let nested = SqlType::structure([("A".to_string(), SqlType::array(SqlType::Int))]);
        for (json, sql_type, reason) in [
            ("\"oops\"", SqlType::Int, "Can't coerce string to type. targetType: INTEGER, path: $"),
            ("true", SqlType::Int, "Can't convert type. sourceType: BooleanNode, requiredType: INTEGER, path: $"),
            ("1", SqlType::Boolean, "sourceType: IntNode, requiredType: BOOLEAN"),
            ("\"true\"", SqlType::Boolean, "sourceType: TextNode"),
            ("1.5", SqlType::Bytes, "sourceType: DecimalNode"),
            ("\"?\"", SqlType::Bytes, "base64"),
            ("86400001", SqlType::Time, "Time values must use"),
            ("99999999999", SqlType::Date, "out of range"),
            ("1e2000", SqlType::Decimal { precision: 4, scale: 2 }, "Numeric field overflow"),
            ("1.234", SqlType::Decimal { precision: 4, scale: 2 }, "without rounding"),
            ("\" 1\"", SqlType::Int, "coerce"),
            ("[1,2]", nested.clone(), "sourceType: ArrayNode, requiredType: STRUCT<A ARRAY<INT>>, path: $"),
            ("{\"a\":[1,\"x\"]}", nested.clone(), "targetType: INTEGER, path: $.A[1]"),
            ("{\"a\":[1,}", nested, "Unexpected character"),
            ("[1,", SqlType::Int, "end-of-input"),
            ("", SqlType::Int, "end-of-input"),
        ] {
            let error = read(json, &sql_type).unwrap_err();
            assert!(error.contains(reason), "{error} for {json}");
        }
    }
}
