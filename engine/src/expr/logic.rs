//! AND, OR, NOT, IS NULL and BETWEEN.
//!
//! AND and OR read their operands from left to right and stop as soon as the result is certain. A null that is reached
//! fails the expression: ksqlDB knows no third truth value.

use tidemill_parser::ast::{BinaryOp, Expr};

use crate::functions::EvalError;
use crate::types::{SqlType, Value};

use super::compile::compile;
use super::compiled::type_name;
use super::operand::{AnyOperand, Operand};
use super::{Compiled, Eval, Evaluator, ExprError, Scope, compare};

/// A BOOLEAN operand.
fn operand(expr: &Expr, scope: &Scope<'_>, of: &str) -> Result<(Operand<bool>, bool), ExprError> {
    let compiled = compile(expr, scope)?;
    if compiled.sql_type != Some(SqlType::Boolean) {
        let found = type_name(compiled.sql_type.as_ref());
        return Err(ExprError::code(format!("{of} takes BOOLEAN operands, but {expr} is {found}. expression: {expr}"), expr.span));
    }
    let constant = compiled.is_constant();
    Ok((Operand::new(compiled), constant))
}

fn boolean(eval: Eval<bool>, constant: bool) -> Compiled {
    Compiled::typed(SqlType::Boolean, eval).folded(constant)
}

pub(super) fn and(left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let ((left, left_constant), (right, right_constant)) = (operand(left, scope, "AND")?, operand(right, scope, "AND")?);
    Ok(boolean(all(left, right), left_constant && right_constant))
}

pub(super) fn or(left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let ((left, left_constant), (right, right_constant)) = (operand(left, scope, "OR")?, operand(right, scope, "OR")?);
    let eval: Eval<bool> = Box::new(move |env| if left.require(env)? { Ok(Some(true)) } else { right.require(env).map(Some) });
    Ok(boolean(eval, left_constant && right_constant))
}

pub(super) fn not(expr: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let (operand, constant) = operand(expr, scope, "NOT")?;
    Ok(boolean(inverted(operand), constant))
}

fn all(left: Operand<bool>, right: Operand<bool>) -> Eval<bool> {
    Box::new(move |env| if left.require(env)? { right.require(env).map(Some) } else { Ok(Some(false)) })
}

fn inverted(operand: Operand<bool>) -> Eval<bool> {
    Box::new(move |env| operand.require(env).map(|value| Some(!value)))
}

/// `expr IS [NOT] NULL`; never null itself.
pub(super) fn is_null(expr: &Expr, negated: bool, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let compiled = compile(expr, scope)?;
    let constant = compiled.is_constant();
    fn absent<T>(value: Option<T>, negated: bool) -> Result<Option<bool>, EvalError> {
        Ok(Some(value.is_none() != negated))
    }
    let eval: Eval<bool> = match AnyOperand::new(compiled) {
        AnyOperand::Computed(compiled) => match compiled.evaluator {
            Evaluator::Boolean(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::Int(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::BigInt(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::Double(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::Decimal(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::String(eval) => Box::new(move |env| absent(eval(env)?, negated)),
            Evaluator::Value(eval) => Box::new(move |env| Ok(Some(eval(env)?.is_null() != negated))),
        },
        in_place => Box::new(move |env| in_place.with(env, Value::is_null).map(|null| Some(null != negated))),
    };
    Ok(boolean(eval, constant))
}

/// `expr [NOT] BETWEEN low AND high`, both ends in. A null makes BETWEEN false, and so NOT BETWEEN true.
pub(super) fn between(expr: &Expr, low: &Expr, high: &Expr, negated: bool, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let from = compare::compile(BinaryOp::GreaterOrEqual, expr, low, scope)?;
    let to = compare::compile(BinaryOp::LessOrEqual, expr, high, scope)?;
    let constant = from.is_constant() && to.is_constant();
    let inside = all(Operand::new(from), Operand::new(to));
    Ok(boolean(if negated { inverted(Operand::Eval(inside)) } else { inside }, constant))
}
