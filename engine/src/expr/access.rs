//! `array[i]`, `map[key]` and `struct->field`.

use tidemill_parser::ast::{Expr, Ident};
use tidemill_parser::did_you_mean;

use crate::types::{SqlType, Value};

use super::compile::compile;
use super::compiled::type_name;
use super::operand::{AnyOperand, Operand};
use super::{Compiled, ExprError, Scope};

/// `base[index]`: arrays count from 1, from the end with negative numbers. What isn't there is null, and so is everything
/// in an array or a map that is null itself, and in an array at a null index; the expression around goes on. The index is
/// not looked at where there is nothing to look into, as in ksqlDB.
pub(super) fn subscript(expr: &Expr, base: &Expr, index: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let (container, at) = (compile(base, scope)?, compile(index, scope)?);
    let constant = container.is_constant() && at.is_constant();
    let compiled = match (container.sql_type.clone(), &at.sql_type) {
        (Some(SqlType::Array(item)), Some(SqlType::Int | SqlType::BigInt)) => {
            let (array, at) = (AnyOperand::new(container), Operand::<i64>::new(at));
            Compiled::from_values((*item).clone(), move |env| {
                array.with(env, |array| match array {
                    Value::Array(items) => {
                        let found = at.get(env)?.and_then(|at| place(at, items.len())).and_then(|i| items.get(i));
                        Ok(found.cloned().unwrap_or_default())
                    }
                    _ => Ok(Value::Null),
                })?
            })
        }
        (Some(SqlType::Map(key, value)), found) if found.as_ref().is_none_or(|t| *t == *key) => {
            let (map, at) = (AnyOperand::new(container), AnyOperand::new(at));
            Compiled::from_values((*value).clone(), move |env| {
                map.with(env, |map| match map {
                    Value::Map(entries) => at.with(env, |key| entries.get(key).cloned().unwrap_or_default()),
                    _ => Ok(Value::Null),
                })?
            })
        }
        (Some(SqlType::Array(_)), found) => {
            let found = type_name(found.as_ref());
            return Err(ExprError::code(format!("An array's index is an INTEGER, but {index} is {found}. expression: {expr}"), index.span));
        }
        (Some(SqlType::Map(key, _)), found) => {
            let found = type_name(found.as_ref());
            return Err(ExprError::code(format!("The map's keys are {key}, but {index} is {found}. expression: {expr}"), index.span));
        }
        (other, _) => {
            let found = type_name(other.as_ref());
            return Err(ExprError::new(format!("Only an ARRAY or a MAP takes a subscript, but {base} is {found}."), base.span));
        }
    };
    Ok(compiled.folded(constant))
}

/// The place of an item counted from 1, or from the end.
fn place(at: i64, len: usize) -> Option<usize> {
    match at {
        0 => None,
        1.. => usize::try_from(at - 1).ok(),
        _ => usize::try_from(at.unsigned_abs()).ok().and_then(|back| len.checked_sub(back)),
    }
}

/// `base->field`; null where the struct is.
pub(super) fn field(base: &Expr, field: &Ident, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let compiled = compile(base, scope)?;
    let Some(SqlType::Struct(fields)) = &compiled.sql_type else {
        let found = type_name(compiled.sql_type.as_ref());
        return Err(ExprError::new(format!("Expected STRUCT type, got: {found}."), base.span));
    };
    let Some((index, found)) = fields.iter().enumerate().find(|(_, f)| *f.name == field.name) else {
        let near = did_you_mean(&field.name, fields.iter().map(|f| &*f.name)).map(|n| format!(" Did you mean `{n}`?")).unwrap_or_default();
        let message = format!("Could not find field '{}' in {}.{near}", field.name, type_name(compiled.sql_type.as_ref()));
        return Err(ExprError::new(message, field.span));
    };
    let sql_type = found.sql_type.clone();
    let constant = compiled.is_constant();
    let structure = AnyOperand::new(compiled);
    let read = Compiled::from_values(sql_type, move |env| {
        structure.with(env, |value| match value {
            Value::Struct(values) => values.get(index).cloned().unwrap_or_default(),
            _ => Value::Null,
        })
    });
    Ok(read.folded(constant))
}
