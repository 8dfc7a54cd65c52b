//! DESCRIBE FUNCTION, from the function's own data.

use std::collections::BTreeMap;

use tidemill_engine::functions::resolve::Spelled;
use tidemill_engine::functions::{AggregateCall, AggregateVariant, Param, ParamType, Returns, registry};
use tidemill_engine::types::{SqlType, Value};
use tidemill_parser::ast::Ident;

use crate::entities::{Argument, Common, DescribeFunction, KsqlEntity, Signature};
use crate::error::ApiError;

/// Where a type follows from arguments of which there are none yet.
const UNKNOWN_TYPE: &str = "ANY";

pub fn run(name: &Ident, text: String) -> Result<KsqlEntity, ApiError> {
    let entity = |name, description, kind, functions| {
        KsqlEntity::DescribeFunction(DescribeFunction {
            name,
            description,
            author: "Tidemill",
            version: "",
            path: "internal",
            functions,
            kind,
            common: Common::new(text),
        })
    };
    if let Some(function) = registry::scalar(&name.name) {
        let signatures = function.variants.iter().map(|v| signature(v.params, v.variadic, returned(v.params, &v.returns), v.description));
        return Ok(entity(function.name, function.description, "SCALAR", signatures.collect()));
    }
    if let Some(function) = registry::aggregate(&name.name) {
        // COUNT(*) counts what any column would.
        let variants = function.variants.iter().filter(|v| !v.params.is_empty());
        let signatures = variants.map(|v| {
            let mut signature = signature(v.params, v.variadic, aggregated(v), v.description);
            name_columns(&mut signature, v.params.len().saturating_sub(v.constants));
            signature
        });
        return Ok(entity(function.name, function.description, "AGGREGATE", signatures.collect()));
    }
    if let Some(function) = registry::table(&name.name) {
        let signatures = function.variants.iter().map(|v| signature(v.params, None, returned(v.params, &v.returns), v.description));
        return Ok(entity(function.name, function.description, "TABLE", signatures.collect()));
    }
    Err(ApiError::bad_request(registry::unknown(&name.name)))
}

fn signature(params: &[Param], variadic: Option<usize>, return_type: String, description: &'static str) -> Signature {
    let argument = |(i, param): (usize, &Param)| Argument {
        name: param.name.to_owned(),
        argument_type: Spelled(&param.param_type).to_string(),
        description: param.description,
        is_variadic: variadic == Some(i),
    };
    Signature {
        argument_types: params.iter().map(|p| Spelled(&p.param_type).to_string()).collect(),
        arguments: params.iter().enumerate().map(argument).collect(),
        return_type,
        description,
    }
}

/// ksqlDB calls the columns of an aggregate `val1`, `val2`, …; whatever may be of any type is a `T`.
fn name_columns(signature: &mut Signature, columns: usize) {
    let any = Spelled(&ParamType::Any).to_string();
    for (i, argument) in signature.arguments.iter_mut().take(columns).enumerate() {
        argument.name = format!("val{}", i + 1);
    }
    let types = signature.arguments.iter_mut().map(|a| &mut a.argument_type);
    for spelled in types.chain(&mut signature.argument_types).filter(|t| **t == any) {
        "T".clone_into(spelled);
    }
}

fn returned(params: &[Param], returns: &Returns) -> String {
    match returns {
        Returns::Type(declared) => Spelled(declared).to_string(),
        Returns::By(calculate) => {
            let arguments: Vec<SqlType> = params.iter().map(|p| sample(&p.param_type)).collect();
            calculate(&arguments).map_or_else(|_| UNKNOWN_TYPE.to_owned(), |sql_type| spell(&sql_type))
        }
    }
}

/// The type of an aggregate is that of a call with sample arguments.
fn aggregated(variant: &AggregateVariant) -> String {
    let columns = variant.params.len().saturating_sub(variant.constants);
    let types: Vec<SqlType> = variant.params.iter().take(columns).map(|p| sample(&p.param_type)).collect();
    let constants: Vec<Value> = variant.params.iter().skip(columns).map(|p| sample_value(&p.param_type)).collect();
    let call = AggregateCall { types: &types, constants: &constants, properties: &BTreeMap::new() };
    (variant.build)(&call).map_or_else(|_| UNKNOWN_TYPE.to_owned(), |aggregator| spell(&aggregator.return_type()))
}

/// Marks the field of a sample STRUCT that stands for a type variable.
const VARIABLE: char = '\u{1}';

/// Some type that a parameter takes. A type variable is a STRUCT whose one field bears its name.
fn sample(param: &ParamType) -> SqlType {
    match param {
        ParamType::Boolean => SqlType::Boolean,
        ParamType::Int => SqlType::Int,
        ParamType::BigInt => SqlType::BigInt,
        ParamType::Double => SqlType::Double,
        ParamType::Decimal => SqlType::Decimal { precision: 10, scale: 2 },
        ParamType::String | ParamType::Unit => SqlType::String,
        ParamType::Bytes => SqlType::Bytes,
        ParamType::Time => SqlType::Time,
        ParamType::Date => SqlType::Date,
        ParamType::Timestamp => SqlType::Timestamp,
        ParamType::Var(name) => SqlType::structure([(format!("{VARIABLE}{name}"), SqlType::Int)]),
        ParamType::Array(item) => SqlType::array(sample(item)),
        ParamType::Map(key, item) => SqlType::map(sample(key), sample(item)),
        ParamType::Lambda(_, body) => sample(body),
        ParamType::Struct | ParamType::Any => SqlType::structure([("F".to_owned(), SqlType::Int)]),
    }
}

fn sample_value(param: &ParamType) -> Value {
    match param {
        ParamType::Boolean => Value::Boolean(true),
        ParamType::BigInt => Value::BigInt(1),
        ParamType::Double => Value::Double(1.0),
        ParamType::String => Value::string("x"),
        _ => Value::Int(1),
    }
}

fn spell(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Int => "INT".to_owned(),
        SqlType::String => "VARCHAR".to_owned(),
        SqlType::Array(item) => format!("ARRAY<{}>", spell(item)),
        SqlType::Map(key, item) => format!("MAP<{}, {}>", spell(key), spell(item)),
        SqlType::Struct(fields) => {
            if let [field] = &fields[..]
                && let Some(variable) = field.name.strip_prefix(VARIABLE)
            {
                return variable.to_owned();
            }
            let fields: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name, spell(&f.sql_type))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.base_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str) -> Vec<String> {
        let Ok(KsqlEntity::DescribeFunction(entity)) = run(&Ident::new(name), String::new()) else { panic!("{name}") };
        entity.functions.iter().map(|s| format!("({}) {}", s.argument_types.join(", "), s.return_type)).collect()
    }

    #[test]
    fn signatures_follow_from_the_data() {
        assert_eq!(described("ucase"), ["(VARCHAR) VARCHAR"]);
        assert_eq!(described("COUNT").last().map(String::as_str), Some("(T) BIGINT"));
        assert!(described("LATEST_BY_OFFSET").contains(&"(T) T".to_owned()));
        assert!(described("FILTER").contains(&"(ARRAY<T>, LAMBDA (T) => BOOLEAN) ARRAY<T>".to_owned()));
        assert!(run(&Ident::new("NO_SUCH_FN"), String::new()).is_err());
    }
}
