//! `ARRAY[…]`, `MAP(k := v, …)` and `STRUCT(f := v, …)`. An item that fails becomes null.

use std::sync::Arc;

use tidemill_parser::ast::{Expr, Ident};

use crate::types::{MapValue, SqlType, Value};

use super::common_type::compile_list;
use super::compile::compile;
use super::operand::AnyOperand;
use super::{Compiled, Env, ExprError, Phase, Scope, swallowed};

const EMPTY_ISSUE: &str = "(see https://github.com/confluentinc/ksql/issues/4239)";

fn all_null(expr: &Expr, what: &str) -> ExprError {
    let message = format!("Cannot construct {what} {EMPTY_ISSUE}. As a workaround, you may cast a NULL value to the desired type.");
    ExprError::new(message, expr.span)
}

/// `ARRAY[item, …]`.
pub(super) fn array(expr: &Expr, items: &[Expr], scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    if items.is_empty() {
        let message = format!("Array constructor cannot be empty. Please supply at least one element {EMPTY_ISSUE}.");
        return Err(ExprError::new(message, expr.span));
    }
    let (item_type, items) = compile_list(items, scope, Phase::Types)?;
    let item_type = item_type.ok_or_else(|| all_null(expr, "an array with all NULL elements"))?;
    Ok(array_of(&SqlType::array(item_type), items))
}

/// `MAP(key := value, …)`. Of equal keys the last one counts.
pub(super) fn map(expr: &Expr, entries: &[(Expr, Expr)], scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    if entries.is_empty() {
        let message = format!("Map constructor cannot be empty. Please supply at least one key value pair {EMPTY_ISSUE}.");
        return Err(ExprError::new(message, expr.span));
    }
    let (key_type, keys) = compile_list(entries.iter().map(|(key, _)| key), scope, Phase::Types)?;
    let key_type = key_type.ok_or_else(|| all_null(expr, "a map with all NULL keys"))?;
    let (value_type, values) = compile_list(entries.iter().map(|(_, value)| value), scope, Phase::Types)?;
    let value_type = value_type.ok_or_else(|| all_null(expr, "a map with all NULL values"))?;
    Ok(map_of(&SqlType::map(key_type, value_type), keys.into_iter().zip(values).collect()))
}

/// `STRUCT(field := value, …)`.
pub(super) fn structure(expr: &Expr, fields: &[(Ident, Expr)], scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let mut types: Vec<(String, SqlType)> = Vec::with_capacity(fields.len());
    let mut values = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let compiled = compile(value, scope)?;
        let Some(sql_type) = compiled.sql_type.clone() else {
            let message =
                format!("Can't infer the type of field `{}` from null. Cast the null to a type, e.g. CAST(null AS VARCHAR).", name.name);
            return Err(ExprError::new(message, value.span));
        };
        if let Some((_, earlier)) = types.iter().find(|(earlier, _)| *earlier == name.name) {
            let message = format!("Duplicate field names found in STRUCT: '`{0}` {earlier}' and '`{0}` {sql_type}'", name.name);
            return Err(ExprError::new(message, expr.span));
        }
        types.push((name.name.clone(), sql_type));
        values.push(compiled);
    }
    Ok(struct_of(&SqlType::structure(types), values))
}

/// Operands, with whether all of them are constants.
fn operands(items: Vec<Compiled>) -> (Vec<AnyOperand>, bool) {
    let constant = items.iter().all(Compiled::is_constant);
    (items.into_iter().map(AnyOperand::new).collect(), constant)
}

fn item(operand: &AnyOperand, env: &Env<'_>) -> Value {
    swallowed::or_null(operand.get(env))
}

/// An array of items that have its item type.
pub(super) fn array_of(sql_type: &SqlType, items: Vec<Compiled>) -> Compiled {
    let (items, constant) = operands(items);
    Compiled::from_values(sql_type.clone(), move |env| Ok(Value::array(items.iter().map(|i| item(i, env)).collect()))).folded(constant)
}

/// A map of entries that have its types.
pub(super) fn map_of(sql_type: &SqlType, entries: Vec<(Compiled, Compiled)>) -> Compiled {
    let (keys, values): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    let ((keys, constant_keys), (values, constant_values)) = (operands(keys), operands(values));
    let compiled = Compiled::from_values(sql_type.clone(), move |env| {
        let entries = keys.iter().zip(&values).map(|(key, value)| (item(key, env), item(value, env)));
        Ok(Value::Map(Arc::new(entries.collect::<MapValue>())))
    });
    compiled.folded(constant_keys && constant_values)
}

/// A struct of values in the order of its fields.
pub(super) fn struct_of(sql_type: &SqlType, values: Vec<Compiled>) -> Compiled {
    let (values, constant) = operands(values);
    Compiled::from_values(sql_type.clone(), move |env| Ok(Value::structure(values.iter().map(|v| item(v, env)).collect()))).folded(constant)
}
