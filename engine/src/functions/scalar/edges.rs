//! Every function with the arguments that users do not think of: null in every place, empty texts, the largest and smallest
//! numbers, units past U+FFFF.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::testing::{b, call_variant, dec, s, simple, type_of};
use super::{LambdaFn, Returns, ScalarVariant, all};
use crate::functions::ParamType;
use crate::types::{SqlType, Value};

/// No call takes longer, on a slow machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Values of a parameter's type, null first, the usual ones next. `var` is what type variables stand for.
fn pool(param: &ParamType, var: &ParamType) -> Vec<Value> {
    let doubles = [1.5, 0.0, -0.0, -2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e300];
    let texts = [
        "a",
        "utf8",
        "yyyy-MM-dd",
        "UTC",
        "",
        " ",
        "😀x",
        "x😀",
        "\u{FFFF}",
        "%_",
        "[",
        "(a)|b",
        "\\",
        "\\u0041",
        "{\"a\":[1,null]}",
        "[1, {",
        "$.a[0]",
        "0x1",
        "YQ==",
        "http://u@h:1/p?q=1#f",
        "2024-02-30",
        "hex",
        "BIG_ENDIAN",
        "'",
        "$9",
        "%4",
    ];
    let mut values = match param {
        ParamType::Boolean => vec![Value::Boolean(true), Value::Boolean(false)],
        ParamType::Int => [1, 2, 0, -1, 70, i32::MAX, i32::MIN].map(Value::Int).to_vec(),
        ParamType::BigInt => [1, 2, 0, -1, 1 << 40, i64::MAX, i64::MIN].map(Value::BigInt).to_vec(),
        ParamType::Double => doubles.map(Value::Double).to_vec(),
        ParamType::Decimal => {
            ["1.50", "0.00", "-999.99", "99999999999999999999999999999999999999", "0.0000000000000000000000000000000001"].map(dec).to_vec()
        }
        ParamType::String => texts.map(s).to_vec(),
        ParamType::Bytes => vec![b(b"ab"), b(b""), b(&[255; 8]), b(&[0; 4]), b(&[7; 16])],
        ParamType::Time => [1, 0, 86_399_999].map(Value::Time).to_vec(),
        ParamType::Date => [1, 0, -719_529, i32::MAX, i32::MIN].map(Value::Date).to_vec(),
        ParamType::Timestamp => [1, 0, -1, 1 << 60, i64::MAX, i64::MIN].map(Value::Timestamp).to_vec(),
        ParamType::Unit => ["DAYS", "HOURS", "MILLISECONDS", "YEARS"].map(s).to_vec(),
        ParamType::Var(_) | ParamType::Any => return pool(var, &ParamType::Int),
        ParamType::Array(item) => {
            let items = pool(item, var);
            vec![Value::array(items[1..].to_vec()), Value::array(items.clone()), Value::array(vec![]), Value::array(vec![Value::Null])]
        }
        ParamType::Map(key, item) => {
            let entries = pool(key, var).into_iter().skip(1).zip(pool(item, var).into_iter().skip(1).chain([Value::Null]));
            vec![Value::Map(Arc::new(entries.collect())), Value::Map(Arc::default())]
        }
        ParamType::Struct => vec![Value::structure(vec![Value::Int(1), Value::Null])],
        ParamType::Lambda(..) => return vec![Value::Null],
    };
    values.insert(0, Value::Null);
    values
}

/// Argument lists: each value of each argument, beside null and the usual values of the others.
fn calls(variant: &ScalarVariant, var: &ParamType) -> Vec<Vec<Value>> {
    let mut pools: Vec<Vec<Value>> = variant.params.iter().map(|param| pool(&param.param_type, var)).collect();
    if let Some(repeated) = variant.variadic {
        pools.insert(repeated, pools[repeated].clone());
    }
    let mut calls = vec![Vec::new(); usize::from(pools.is_empty())];
    for (varied, values) in pools.iter().enumerate() {
        for value in values {
            for base in 0..5 {
                calls.push(
                    pools
                        .iter()
                        .enumerate()
                        .map(|(index, pool)| if index == varied { value.clone() } else { pool[base.min(pool.len() - 1)].clone() })
                        .collect(),
                );
            }
        }
    }
    calls
}

/// The type of a variant's results, where it is a simple one.
fn declared_type(variant: &ScalarVariant) -> Option<SqlType> {
    match variant.returns {
        Returns::Type(ParamType::Decimal) | Returns::By(_) => None,
        Returns::Type(declared) => simple(&declared),
    }
}

#[test]
fn every_function_stands_any_argument() {
    let first = |values: &[Value]| Ok(values[0].clone());
    let (first, is_true): (&LambdaFn<'_>, &LambdaFn<'_>) = (&first, &|_| Ok(Value::Boolean(true)));
    let mut count = BTreeMap::new();
    for function in all() {
        for variant in function.variants {
            let lambdas: Vec<&LambdaFn<'_>> = variant
                .params
                .iter()
                .filter_map(|param| match param.param_type {
                    ParamType::Lambda(_, ParamType::Boolean) => Some(is_true),
                    ParamType::Lambda(..) => Some(first),
                    _ => None,
                })
                .collect();
            for var in [ParamType::Int, ParamType::String, ParamType::Double, ParamType::Decimal, ParamType::Bytes, ParamType::Timestamp] {
                for args in calls(variant, &var) {
                    let begun = Instant::now();
                    let got = catch_unwind(AssertUnwindSafe(|| call_variant(variant, &args, &lambdas)));
                    let shown = format!("{}{args:?}", function.name);
                    assert!(begun.elapsed() < PATIENCE, "{shown} took {:?}", begun.elapsed());
                    *count.entry(function.name).or_insert(0) += 1;
                    let Ok(outcome) = got else { panic!("{shown} panics") };
                    // What a type variable stands for shows only in an expression.
                    if let (Some(found), Some(declared)) = (outcome.ok().as_ref().and_then(type_of), declared_type(variant)) {
                        assert_eq!(found, declared, "{shown}");
                    }
                }
            }
        }
    }
    assert_eq!(count.len(), all().count(), "{count:?}");
}
