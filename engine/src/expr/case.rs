//! `CASE WHEN condition THEN result … ELSE default END`. Only what is needed is evaluated.

use tidemill_parser::ast::{Expr, WhenClause};

use crate::types::{SqlType, Value};

use super::compile::compile as compile_expr;
use super::compiled::type_name;
use super::operand::{Operand, Scalar, by_type};
use super::{Compiled, Eval, ExprError, Scope, column};

/// A searched CASE. A null condition fails it; without ELSE, what meets no condition is null.
pub(super) fn compile(expr: &Expr, whens: &[WhenClause], default: Option<&Expr>, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let mut conditions = Vec::with_capacity(whens.len());
    let mut results = Vec::with_capacity(whens.len() + 1);
    let mut sql_type: Option<SqlType> = None;
    for when in whens {
        let condition = compile_expr(&when.condition, scope)?;
        if condition.sql_type != Some(SqlType::Boolean) {
            let found = type_name(condition.sql_type.as_ref());
            let message = format!("WHEN operand type should be boolean.\nType for '{}' is {found}", when.condition);
            return Err(ExprError::new(message, when.condition.span));
        }
        conditions.push(condition);
        let result = compile_expr(&when.result, scope)?;
        match (&sql_type, &result.sql_type) {
            (Some(previous), Some(found)) if previous != found => {
                let message = format!(
                    "Invalid Case expression. Type for all 'THEN' clauses should be the same.\nTHEN expression 'WHEN {} THEN {}' has type: {found}.\nPrevious THEN expression(s) type: {previous}.",
                    when.condition, when.result
                );
                return Err(ExprError::new(message, when.result.span));
            }
            (None, Some(found)) => sql_type = Some(found.clone()),
            _ => {}
        }
        results.push(result);
    }
    let otherwise = match default {
        Some(default) => compile_expr(default, scope)?,
        None => column::constant(None, Value::Null),
    };
    match (&sql_type, &otherwise.sql_type) {
        (Some(then), Some(found)) if then != found => {
            let message = format!(
                "Invalid Case expression. Type for the default clause should be the same as for 'THEN' clauses.\nTHEN type: {then}.\nDEFAULT type: {found}."
            );
            return Err(ExprError::new(message, default.map_or(expr.span, |d| d.span)));
        }
        (None, found) => sql_type = found.clone(),
        _ => {}
    }
    let Some(sql_type) = sql_type else {
        return Err(ExprError::new("Invalid Case expression. All case branches have NULL type", expr.span));
    };
    let constant = otherwise.is_constant() && conditions.iter().chain(&results).all(Compiled::is_constant);
    let conditions: Vec<Operand<bool>> = conditions.into_iter().map(Operand::new).collect();
    let compiled = by_type!(&sql_type,
    T => Compiled::typed::<T>(sql_type.clone(), choose::<T>(conditions, results, otherwise)),
    else => {
        let branches: Vec<(Operand<bool>, Compiled)> = conditions.into_iter().zip(results).collect();
        Compiled::from_values(sql_type.clone(), move |env| {
            for (condition, result) in &branches {
                if condition.require(env)? {
                    return result.eval_value(env);
                }
            }
            otherwise.eval_value(env)
        })
    });
    Ok(compiled.folded(constant))
}

fn choose<T: Scalar>(conditions: Vec<Operand<bool>>, results: Vec<Compiled>, otherwise: Compiled) -> Eval<T> {
    let branches: Vec<(Operand<bool>, Operand<T>)> = conditions.into_iter().zip(results.into_iter().map(Operand::new)).collect();
    let otherwise = Operand::<T>::new(otherwise);
    Box::new(move |env| {
        for (condition, result) in &branches {
            if condition.require(env)? {
                return result.get(env);
            }
        }
        otherwise.get(env)
    })
}
