//! What the JSON functions share: reading as Jackson reads (only the first value of a text counts), writing compactly.

use std::borrow::Cow;

use bigdecimal::BigDecimal;
use serde_json::Value as Json;

use crate::functions::EvalError;
use crate::functions::java::decimal_text;

/// The most digits behind the point, or zeros in front of it, of a number that is written plainly.
const MAX_SCALE: i64 = 9_999;

/// The first JSON value of a text; `None` where there is none but blanks.
///
/// # Errors
/// The text does not begin with a JSON value.
pub(super) fn read(text: &str) -> Result<Option<Json>, EvalError> {
    match serde_json::Deserializer::from_str(text).into_iter::<Json>().next() {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(error)) => Err(EvalError::new(format!("Invalid JSON format: {error}"))),
    }
}

/// A value as text: strings as they are, the rest as JSON.
pub(super) fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => to_json(other),
    }
}

/// A value as compact JSON. Numbers with a fraction or an exponent are spelled as Java's BigDecimal.
pub(super) fn to_json(value: &Json) -> String {
    let mut out = String::new();
    // Every decimal has such a spelling.
    let _ = write(value, &mut |decimal| Ok(decimal_text(decimal)), &mut out);
    out
}

/// A value as compact JSON, with all digits of its numbers and no exponent.
///
/// # Errors
/// As for [`plain_decimal`].
pub(super) fn to_plain_json(value: &Json) -> Result<String, EvalError> {
    let mut out = String::new();
    write(value, &mut plain_decimal, &mut out)?;
    Ok(out)
}

/// A decimal with all its digits and no exponent.
///
/// # Errors
/// It has more than 9,999 of them in front of the point or behind it: Jackson writes none of these, either.
pub(super) fn plain_decimal(decimal: &BigDecimal) -> Result<String, EvalError> {
    let scale = decimal.fractional_digit_count();
    if (-MAX_SCALE..=MAX_SCALE).contains(&scale) {
        Ok(decimal.to_plain_string())
    } else {
        Err(EvalError::new(format!("a number of {} digits is too long to be written", scale.unsigned_abs())))
    }
}

fn write(value: &Json, spell: &mut dyn FnMut(&BigDecimal) -> Result<String, EvalError>, out: &mut String) -> Result<(), EvalError> {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::Number(number) => out.push_str(&number_text(number, spell)?),
        Json::String(text) => write_string(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, spell, out)?;
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (index, (name, field)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write(field, spell, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn number_text<'n>(
    number: &'n serde_json::Number,
    spell: &mut dyn FnMut(&BigDecimal) -> Result<String, EvalError>,
) -> Result<Cow<'n, str>, EvalError> {
    let text = number.as_str();
    if text.contains(['.', 'e', 'E'])
        && let Ok(decimal) = text.parse()
    {
        return spell(&decimal).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(if text == "-0" { "0" } else { text }))
}

/// Appends a JSON string: only quotes, backslashes and control characters are escaped.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts() {
        for (text, json) in [
            ("{\"a\": 1} x", Some("{\"a\":1}")),
            ("1 2", Some("1")),
            ("{\"a\":1}}", Some("{\"a\":1}")),
            (" ", None),
            ("[1.50, 1e3, -0, \"\\u0041\\u0001/\"]", Some("[1.50,1E+3,0,\"A\\u0001/\"]")),
        ] {
            assert_eq!(read(text).map(|value| value.map(|value| to_json(&value))), Ok(json.map(str::to_owned)), "{text}");
        }
        for text in ["not json", "{a:1}", "[1,]", "NaN", "{'a':1}", "{"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(to_json(&read("{\"b\":1,\"a\":2,\"b\":3}").unwrap().unwrap()), "{\"b\":3,\"a\":2}");
    }
}
