//! Calls functions in tests without parser or compiler: picks the variant whose parameters take the values.

use std::collections::HashMap;

use super::{Args, ConstArgs, LambdaFn, ScalarFunction, ScalarImpl, ScalarVariant};
use crate::functions::{EvalError, ParamType, Returns};
use crate::types::{SqlType, Value};

/// Calls `function` and compares.
#[track_caller]
pub fn check(function: &ScalarFunction, args: &[Value], expected: Value) {
    assert_eq!(call(function, args, &[]), Ok(expected), "{}{args:?}", function.name);
}

/// The call fails on this row.
#[track_caller]
pub fn check_fails(function: &ScalarFunction, args: &[Value]) {
    let got = call(function, args, &[]);
    assert!(got.is_err(), "{}{args:?} gives {got:?}", function.name);
}

/// No variant takes the arguments.
#[track_caller]
pub fn check_refused(function: &ScalarFunction, args: &[Value]) {
    assert!(variant(function, args, 0).is_none(), "{}{args:?}", function.name);
}

/// A table of calls.
#[track_caller]
pub fn check_all<const N: usize>(function: &ScalarFunction, calls: impl IntoIterator<Item = ([Value; N], Value)>) {
    for (args, expected) in calls {
        check(function, &args, expected);
    }
}

/// The type of the result for argument types, by the first variant with as many parameters that gives one.
pub fn return_type(function: &ScalarFunction, types: &[SqlType]) -> String {
    let fits = |v: &&ScalarVariant| v.params.len() == types.len() && v.params.iter().zip(types).all(|(p, t)| takes_type(&p.param_type, t));
    let variant = function.variants.iter().find(fits).expect("no variant takes these types");
    match variant.returns {
        Returns::By(by) => by(types).map_or_else(|why| why, |sql_type| sql_type.to_string()),
        Returns::Type(declared) => concrete(&declared, &HashMap::new()).to_string(),
    }
}

/// Calls `function`; a lambda's slot in `args` is null.
pub fn call(function: &ScalarFunction, args: &[Value], lambdas: &[&LambdaFn<'_>]) -> Result<Value, EvalError> {
    let variant = variant(function, args, lambdas.len()).unwrap_or_else(|| panic!("{} does not take {args:?}", function.name));
    call_variant(variant, args, lambdas)
}

/// Calls one variant.
pub fn call_variant(variant: &ScalarVariant, args: &[Value], lambdas: &[&LambdaFn<'_>]) -> Result<Value, EvalError> {
    let is_lambda = |index: usize| matches!(param_at(variant, index, args.len()), Some(ParamType::Lambda(..)));
    let null_argument = args.iter().enumerate().any(|(index, value)| value.is_null() && !is_lambda(index));
    if !variant.called_on_null && null_argument {
        return Ok(Value::Null);
    }
    let mut values = args.to_vec();
    let mut call_args = Args { values: &mut values, lambdas };
    match variant.implementation {
        ScalarImpl::Plain(eval) => eval(&mut call_args),
        ScalarImpl::Prepared(prepare) => {
            let types: Vec<Option<SqlType>> = args.iter().map(type_of).collect();
            let constants = vec![None; args.len()];
            let mut vars = HashMap::new();
            for (index, value) in args.iter().enumerate() {
                if let (Some(param), Some(sql_type)) = (param_at(variant, index, args.len()), type_of(value)) {
                    bind(&param, &sql_type, &mut vars);
                }
            }
            let return_type = match variant.returns {
                Returns::Type(declared) => concrete(&declared, &vars),
                Returns::By(by) => by(&types.iter().flatten().cloned().collect::<Vec<_>>()).map_err(EvalError::new)?,
            };
            prepare(&ConstArgs { types: &types, constants: &constants, return_type: &return_type })?(&mut call_args)
        }
    }
}

fn variant(function: &ScalarFunction, args: &[Value], lambdas: usize) -> Option<&'static ScalarVariant> {
    function.variants.iter().find(|variant| {
        let wanted = variant.params.iter().filter(|p| matches!(p.param_type, ParamType::Lambda(..))).count();
        let count = args.len();
        let fits = if variant.variadic.is_some() { count + 1 >= variant.params.len() } else { count == variant.params.len() };
        let mut vars = HashMap::new();
        fits && wanted == lambdas
            && args.iter().enumerate().all(|(index, value)| {
                let Some(param) = param_at(variant, index, count) else { return false };
                let Some(sql_type) = type_of(value) else { return true };
                takes_type(&param, &sql_type) && bind(&param, &sql_type, &mut vars)
            })
    })
}

/// The parameter that argument `index` of `count` goes to.
fn param_at(variant: &ScalarVariant, index: usize, count: usize) -> Option<ParamType> {
    let params = variant.params;
    let at = match variant.variadic {
        Some(repeated) if index >= repeated => {
            let behind = params.len() - repeated - 1;
            if index >= count - behind { params.len() - (count - index) } else { repeated }
        }
        _ => index,
    };
    params.get(at).map(|p| p.param_type)
}

/// The type of a value as far as it shows; `None` for null.
pub fn type_of(value: &Value) -> Option<SqlType> {
    let first = |values: &[Value]| values.iter().find_map(type_of).unwrap_or(SqlType::Int);
    Some(match value {
        Value::Null => return None,
        Value::Boolean(_) => SqlType::Boolean,
        Value::Int(_) => SqlType::Int,
        Value::BigInt(_) => SqlType::BigInt,
        Value::Double(_) => SqlType::Double,
        Value::Decimal(v) => {
            let scale = u32::try_from(v.fractional_digit_count()).unwrap_or(0);
            SqlType::Decimal { precision: u32::try_from(v.digits()).unwrap_or(38).max(scale), scale }
        }
        Value::String(_) => SqlType::String,
        Value::Bytes(_) => SqlType::Bytes,
        Value::Time(_) => SqlType::Time,
        Value::Date(_) => SqlType::Date,
        Value::Timestamp(_) => SqlType::Timestamp,
        Value::Array(items) => SqlType::array(first(items)),
        Value::Map(map) => SqlType::map(
            map.keys().next().and_then(type_of).unwrap_or(SqlType::String),
            map.values().find_map(type_of).unwrap_or(SqlType::Int),
        ),
        Value::Struct(fields) => {
            SqlType::structure(fields.iter().enumerate().map(|(i, v)| (format!("F{i}"), type_of(v).unwrap_or(SqlType::Int))))
        }
    })
}

fn takes_type(param: &ParamType, sql_type: &SqlType) -> bool {
    match (param, sql_type) {
        (ParamType::Any | ParamType::Var(_), _) | (ParamType::Struct, SqlType::Struct(_)) | (ParamType::Unit, SqlType::String) => true,
        (ParamType::Array(item), SqlType::Array(found)) => takes_type(item, found),
        (ParamType::Map(key, item), SqlType::Map(found_key, found)) => takes_type(key, found_key) && takes_type(item, found),
        (ParamType::Decimal, SqlType::Decimal { .. }) => true,
        _ => simple(param).is_some_and(|simple| simple == *sql_type),
    }
}

/// The type that a parameter of a simple type takes.
pub fn simple(param: &ParamType) -> Option<SqlType> {
    Some(match param {
        ParamType::Boolean => SqlType::Boolean,
        ParamType::Int => SqlType::Int,
        ParamType::BigInt => SqlType::BigInt,
        ParamType::Double => SqlType::Double,
        ParamType::String => SqlType::String,
        ParamType::Bytes => SqlType::Bytes,
        ParamType::Time => SqlType::Time,
        ParamType::Date => SqlType::Date,
        ParamType::Timestamp => SqlType::Timestamp,
        _ => return None,
    })
}

/// Notes what a type variable stands for; false where it already stands for something else.
fn bind(param: &ParamType, sql_type: &SqlType, vars: &mut HashMap<char, SqlType>) -> bool {
    match (param, sql_type) {
        (ParamType::Var(name), _) => vars.entry(*name).or_insert_with(|| sql_type.clone()).base_name() == sql_type.base_name(),
        (ParamType::Array(item), SqlType::Array(found)) => bind(item, found, vars),
        (ParamType::Map(key, item), SqlType::Map(found_key, found)) => bind(key, found_key, vars) && bind(item, found, vars),
        _ => true,
    }
}

fn concrete(param: &ParamType, vars: &HashMap<char, SqlType>) -> SqlType {
    match param {
        ParamType::Var(name) => vars.get(name).cloned().unwrap_or(SqlType::Int),
        ParamType::Array(item) => SqlType::array(concrete(item, vars)),
        ParamType::Map(key, item) => SqlType::map(concrete(key, vars), concrete(item, vars)),
        other => simple(other).unwrap_or(SqlType::Int),
    }
}

/// A string.
pub fn s(text: &str) -> Value {
    Value::string(text)
}

/// A decimal.
pub fn dec(text: &str) -> Value {
    Value::decimal(text.parse().expect("a decimal"))
}

/// Bytes.
pub fn b(bytes: &[u8]) -> Value {
    Value::bytes(bytes)
}

/// An array of INT.
pub fn ints(values: &[i32]) -> Value {
    Value::array(values.iter().map(|v| Value::Int(*v)).collect())
}

/// An array of STRING.
pub fn strings(values: &[&str]) -> Value {
    Value::array(values.iter().map(|v| s(v)).collect())
}

/// A map of STRING to values.
pub fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(std::sync::Arc::new(entries.iter().map(|(key, value)| (s(key), value.clone())).collect()))
}

/// Null.
pub const NULL: Value = Value::Null;
