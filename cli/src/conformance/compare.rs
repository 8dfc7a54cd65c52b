//! Whether what came out is what a case expects. Numbers compare by value, doubles within a millionth, struct fields by
//! name (falling back to upper case), and a field that is not there is null.

use std::str::FromStr;

use bigdecimal::BigDecimal;
use serde_json::Value as Json;
use tidemill_engine::types::{Column, SqlType};

/// How far doubles may be apart …
const DOUBLE_TOLERANCE: f64 = 1e-6;
/// … and, of large ones, which part of them: a few units in the last place.
const RELATIVE_TOLERANCE: f64 = 1e-14;

/// The first difference between two values, with its path; `None`: they agree.
pub fn difference(expected: &Json, actual: &Json) -> Option<String> {
    at("$", expected, actual)
}

fn at(path: &str, expected: &Json, actual: &Json) -> Option<String> {
    match (expected, actual) {
        (Json::Object(expected), Json::Object(actual)) => {
            for (name, value) in expected {
                let upper = name.to_uppercase();
                let found = actual.get(name).or_else(|| actual.get(&upper)).unwrap_or(&Json::Null);
                if let Some(difference) = at(&format!("{path}.{name}"), value, found) {
                    return Some(difference);
                }
            }
            let unexpected =
                actual.iter().find(|(name, value)| !value.is_null() && !expected.keys().any(|e| e == *name || e.to_uppercase() == **name));
            unexpected.map(|(name, value)| format!("{path}.{name}: nothing expected, got {value}"))
        }
        (Json::Array(expected_items), Json::Array(actual_items)) => {
            if expected_items.len() != actual_items.len() {
                return Some(format!("{path}: expected {expected}, got {actual}"));
            }
            expected_items.iter().zip(actual_items).enumerate().find_map(|(i, (e, a))| at(&format!("{path}[{i}]"), e, a))
        }
        (Json::Number(e), Json::Number(a)) => {
            (!same_number(&e.to_string(), &a.to_string())).then(|| format!("{path}: expected {e}, got {a}"))
        }
        // NaN and the infinities are strings in JSON; decimals may be quoted in either.
        (Json::String(e), Json::Number(a)) if BigDecimal::from_str(e).is_ok() => {
            (!same_number(e, &a.to_string())).then(|| format!("{path}: expected {e}, got {a}"))
        }
        (Json::Number(e), Json::String(a)) if BigDecimal::from_str(a).is_ok() => {
            (!same_number(&e.to_string(), a)).then(|| format!("{path}: expected {e}, got {a}"))
        }
        _ => (expected != actual).then(|| format!("{path}: expected {expected}, got {actual}")),
    }
}

/// The first decimal of a row that is written with another number of digits behind the point than expected.
pub fn scale_difference<'c>(columns: impl Iterator<Item = &'c Column>, expected: &Json, actual: &Json) -> Option<String> {
    let decimals = columns.filter(|c| matches!(c.sql_type, SqlType::Decimal { .. }));
    decimals.map(|c| c.name.as_str()).find_map(|name| {
        let wanted = expected.as_object()?.iter().find(|(field, _)| *field == name || field.to_uppercase() == name);
        let (wanted, found) = (digits(wanted?.1)?, digits(actual.get(name)?)?);
        // A whole number may stand for any scale.
        (wanted > 0 && wanted != found).then(|| format!("$.{name}: expected {wanted} digits behind the point, got {found}"))
    })
}

/// Digits behind the point of a number without an exponent, quoted or not.
fn digits(value: &Json) -> Option<usize> {
    let text = match value {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        _ => return None,
    };
    BigDecimal::from_str(&text).ok().filter(|_| !text.contains(['e', 'E']))?;
    Some(text.split_once('.').map_or(0, |(_, fraction)| fraction.len()))
}

pub fn same_number(expected: &str, actual: &str) -> bool {
    if expected == actual {
        return true;
    }
    match (BigDecimal::from_str(expected), BigDecimal::from_str(actual)) {
        (Ok(e), Ok(a)) if e == a => true,
        _ => match (expected.parse::<f64>(), actual.parse::<f64>()) {
            (Ok(e), Ok(a)) => {
                let is_double = [expected, actual].iter().any(|t| t.contains(['.', 'e', 'E']));
                is_double && (e - a).abs() <= DOUBLE_TOLERANCE.max(RELATIVE_TOLERANCE * e.abs())
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_have_their_scale() {
        let columns = [Column::new("D", SqlType::Decimal { precision: 6, scale: 2 }), Column::new("N", SqlType::Double)];
        for (expected, agree) in [("1.50", true), ("1.5", false), ("1.500", false), ("2", true)] {
            let expected: Json = serde_json::from_str(&format!("{{\"d\": {expected}, \"N\": 1.0}}")).unwrap();
            let actual: Json = serde_json::from_str("{\"D\": 1.50, \"N\": 1}").unwrap();
            assert_eq!(scale_difference(columns.iter(), &expected, &actual).is_none(), agree, "{expected}");
        }
    }

    #[test]
    fn agreement_and_difference() {
        for (expected, actual, agree) in [
            (json!({"a": 1}), json!({"A": 1}), true),
            (json!({"A": 1.0}), json!({"A": 1}), true),
            (json!({"A": 0.1}), json!({"A": 0.100_000_000_1}), true),
            (json!({"A": 1}), json!({"A": 2}), false),
            (json!({"A": null}), json!({}), true),
            (json!({}), json!({"A": 1}), false),
            (json!([1, 2]), json!([1]), false),
            (json!(null), json!({}), false),
            (json!(1_000_000_000_000_000_001_i64), json!(1_000_000_000_000_000_002_i64), false),
        ] {
            assert_eq!(difference(&expected, &actual).is_none(), agree, "{expected} {actual}");
        }
    }
}
