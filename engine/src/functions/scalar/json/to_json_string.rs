//! TO_JSON_STRING: any value as JSON text.

use super::document;
use super::prelude::*;
use crate::functions::java::java_cmp;
use crate::types::text::{write_base64, write_date, write_double, write_i32, write_i64, write_time, write_timestamp};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TO_JSON_STRING",
    spelling: "TO_JSON_STRING",
    category: Category::Json,
    description: "Any value as JSON: decimals with their scale, times and dates as ISO-8601 text, bytes as base64. Fields and keys are sorted by name.",
    examples: &[example("TO_JSON_STRING(ARRAY[1, NULL])", "[1,null]")],
    variants: &[ScalarVariant::prepared("JSON of a value.", &[param("val", ParamType::Var('T'), "The value.")], STRING, |call| {
        let sql_type = call.types.first().cloned().flatten();
        Ok(Box::new(move |args| {
            let mut out = String::new();
            write(args.value(0), sql_type.as_ref(), &mut out)?;
            Ok(Value::string(out))
        }))
    })
    .called_on_null()],
};

/// Appends a value as JSON. The type gives the names of struct fields.
fn write(value: &Value, sql_type: Option<&SqlType>, out: &mut String) -> Result<(), EvalError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(v) => out.push_str(if *v { "true" } else { "false" }),
        Value::Int(v) => write_i32(*v, out),
        Value::BigInt(v) => write_i64(*v, out),
        Value::Double(v) if v.is_finite() => write_double(*v, out),
        Value::Double(v) => quoted(out, |out| write_double(*v, out)),
        Value::Decimal(v) => out.push_str(&document::plain_decimal(v)?),
        Value::String(v) => document::write_string(v, out),
        Value::Bytes(v) => quoted(out, |out| write_base64(v, out)),
        Value::Time(v) => quoted(out, |out| write_time(*v, out)),
        Value::Date(v) => quoted(out, |out| write_date(*v, out)),
        Value::Timestamp(v) => quoted(out, |out| write_timestamp(*v, out)),
        Value::Array(items) => {
            let Some(SqlType::Array(item_type)) = sql_type else { return Err(unknown_type(value)) };
            list(out, ['[', ']'], items.iter(), |item, out| write(item, Some(item_type), out))?;
        }
        Value::Map(entries) => {
            let Some(SqlType::Map(key_type, value_type)) = sql_type else { return Err(unknown_type(value)) };
            let mut entries: Vec<(&Value, &Value)> = entries.iter().collect();
            entries.sort_by(|(a, _), (b, _)| java_cmp(a, b));
            list(out, ['{', '}'], entries.into_iter(), |(key, item), out| {
                match key {
                    Value::String(name) => document::write_string(name, out),
                    other => {
                        let mut name = String::new();
                        write(other, Some(key_type), &mut name)?;
                        document::write_string(name.trim_matches('"'), out);
                    }
                }
                out.push(':');
                write(item, Some(value_type), out)
            })?;
        }
        Value::Struct(values) => {
            let Some(SqlType::Struct(fields)) = sql_type else { return Err(unknown_type(value)) };
            let mut fields: Vec<_> =
                fields.iter().zip(values.iter()).map(|(field, item)| (Value::string(&*field.name), field, item)).collect();
            fields.sort_by(|(a, ..), (b, ..)| java_cmp(a, b));
            list(out, ['{', '}'], fields.into_iter(), |(_, field, item), out| {
                document::write_string(&field.name, out);
                out.push(':');
                write(item, Some(&field.sql_type), out)
            })?;
        }
    }
    Ok(())
}

fn unknown_type(value: &Value) -> EvalError {
    EvalError::new(format!("the type of {value:?} is not known"))
}

fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    out.push(open);
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out)?;
    }
    out.push(close);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            (Value::Int(1), "1"),
            (Value::Double(1e10), "1.0E10"),
            (s("a\"b\\é/\n"), "\"a\\\"b\\\\é/\\n\""),
            (NULL, "null"),
            (dec("-0.001"), "-0.001"),
            (dec("1.500"), "1.500"),
            (dec("0.0000000001"), "0.0000000001"),
            (map(&[("b", Value::Int(1)), ("a", NULL), ("B", Value::Int(2))]), "{\"B\":2,\"a\":null,\"b\":1}"),
            (Value::Timestamp(-1), "\"1969-12-31T23:59:59.999\""),
            (Value::Date(-1), "\"1969-12-31\""),
            (Value::Time(0), "\"00:00\""),
            (Value::Time(86_399_999), "\"23:59:59\""),
            (b(b"hi"), "\"aGk=\""),
            (Value::array(vec![Value::Int(1), NULL]), "[1,null]"),
            (map(&[("k", Value::Double(1.5))]), "{\"k\":1.5}"),
            (Value::structure(vec![Value::Int(1), s("x")]), "{\"F0\":1,\"F1\":\"x\"}"),
        ];
        check_all(&FUNCTION, calls.map(|(x, y)| ([x], s(y))));
    }
}
