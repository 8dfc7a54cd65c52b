//! `+ - * / %`, the sign, and `+` on strings.
//!
//! Integers wrap and division by zero fails, as in Java; DOUBLE has infinities and NaN; DECIMAL never rounds (see
//! [`super::decimal`]). A null operand fails the expression, but is the text `null` where strings are joined.

use std::sync::Arc;

use bigdecimal::BigDecimal;
use tidemill_parser::ast::{BinaryOp, Expr, ExprKind};

use crate::functions::{EvalError, limits};
use crate::types::{SqlType, Text};

use super::compile::compile as compile_expr;
use super::compiled::type_name;
use super::operand::{Operand, Scalar};
use super::{Compiled, Eval, ExprError, Scope, column, decimal};

/// An operator with two operands.
pub(super) fn compile(expr: &Expr, op: BinaryOp, left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let (left, right) = (compile_expr(left, scope)?, compile_expr(right, scope)?);
    let constant = left.is_constant() && right.is_constant();
    let base = |c: &Compiled| c.sql_type.as_ref().map_or("null", SqlType::base_name);
    let unsupported = || {
        let message = format!("Error processing expression: {expr}. Unsupported arithmetic types. {} {}", base(&left), base(&right));
        ExprError::new(message, expr.span)
    };
    let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
        let (l, r) = (type_name(left.sql_type.as_ref()), type_name(right.sql_type.as_ref()));
        let message = format!("Error processing expression: {expr}. Arithmetic on types {l} and {r} are not supported.");
        return Err(ExprError::new(message, expr.span));
    };
    let compiled = match (left_type, right_type) {
        (SqlType::String, SqlType::String) if op == BinaryOp::Add => Compiled::typed(SqlType::String, join(left, right)),
        (SqlType::Double, other) | (other, SqlType::Double) if other.is_numeric() => {
            Compiled::typed(SqlType::Double, double(op, left, right))
        }
        (SqlType::Int, SqlType::Int) => Compiled::typed(SqlType::Int, int(op, left, right)),
        (SqlType::Int | SqlType::BigInt, SqlType::Int | SqlType::BigInt) => Compiled::typed(SqlType::BigInt, big_int(op, left, right)),
        _ => match (decimal::digits_of(left_type), decimal::digits_of(right_type)) {
            (Some(l), Some(r)) => decimals(op, left, right, l, r),
            _ => return Err(unsupported()),
        },
    };
    Ok(compiled.folded(constant))
}

/// A closure over both operands; a null fails it.
fn both<T: Scalar>(left: Compiled, right: Compiled, calculate: impl Fn(T, T) -> Result<T, EvalError> + Send + Sync + 'static) -> Eval<T> {
    let (left, right) = (Operand::<T>::new(left), Operand::<T>::new(right));
    match (left, right) {
        (Operand::Slot(slot), Operand::Constant(Some(right))) => Box::new(move |env| {
            let left = env.values.get(slot).and_then(T::load).ok_or_else(EvalError::null_operand)?;
            calculate(left, right.clone()).map(Some)
        }),
        (left, right) => Box::new(move |env| calculate(left.require(env)?, right.require(env)?).map(Some)),
    }
}

fn by_zero() -> EvalError {
    EvalError::new("/ by zero")
}

fn int(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<i32> {
    match op {
        BinaryOp::Subtract => both(left, right, |a: i32, b| Ok(a.wrapping_sub(b))),
        BinaryOp::Multiply => both(left, right, |a: i32, b| Ok(a.wrapping_mul(b))),
        BinaryOp::Divide => both(left, right, |a: i32, b| if b == 0 { Err(by_zero()) } else { Ok(a.wrapping_div(b)) }),
        BinaryOp::Modulo => both(left, right, |a: i32, b| if b == 0 { Err(by_zero()) } else { Ok(a.wrapping_rem(b)) }),
        _ => both(left, right, |a: i32, b| Ok(a.wrapping_add(b))),
    }
}

fn big_int(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<i64> {
    match op {
        BinaryOp::Subtract => both(left, right, |a: i64, b| Ok(a.wrapping_sub(b))),
        BinaryOp::Multiply => both(left, right, |a: i64, b| Ok(a.wrapping_mul(b))),
        BinaryOp::Divide => both(left, right, |a: i64, b| if b == 0 { Err(by_zero()) } else { Ok(a.wrapping_div(b)) }),
        BinaryOp::Modulo => both(left, right, |a: i64, b| if b == 0 { Err(by_zero()) } else { Ok(a.wrapping_rem(b)) }),
        _ => both(left, right, |a: i64, b| Ok(a.wrapping_add(b))),
    }
}

fn double(op: BinaryOp, left: Compiled, right: Compiled) -> Eval<f64> {
    match op {
        BinaryOp::Subtract => both(left, right, |a: f64, b| Ok(a - b)),
        BinaryOp::Multiply => both(left, right, |a: f64, b| Ok(a * b)),
        BinaryOp::Divide => both(left, right, |a: f64, b| Ok(a / b)),
        BinaryOp::Modulo => both(left, right, |a: f64, b| Ok(a % b)),
        _ => both(left, right, |a: f64, b| Ok(a + b)),
    }
}

fn decimals(op: BinaryOp, left: Compiled, right: Compiled, l: (u32, u32), r: (u32, u32)) -> Compiled {
    type D = Arc<BigDecimal>;
    let (to, eval): ((u32, u32), Eval<D>) = match op {
        BinaryOp::Subtract => {
            let to = decimal::sum_type(l, r);
            (to, both(left, right, move |a: D, b| decimal::settle(&*a - &*b, to).map(Arc::new)))
        }
        BinaryOp::Multiply => {
            let to = decimal::product_type(l, r);
            let is_whole = |side: &Compiled| matches!(side.sql_type, Some(SqlType::Int | SqlType::BigInt)) && !side.is_constant();
            if is_whole(&right) {
                (to, times(left, right, to))
            } else if is_whole(&left) {
                (to, times(right, left, to))
            } else {
                (to, both(left, right, move |a: D, b| decimal::settle(&*a * &*b, to).map(Arc::new)))
            }
        }
        BinaryOp::Divide => {
            let to = decimal::quotient_type(l, r);
            (to, both(left, right, move |a: D, b| decimal::divide(&a, &b, to).map(Arc::new)))
        }
        BinaryOp::Modulo => {
            let to = decimal::remainder_type(l, r);
            (to, both(left, right, move |a: D, b| decimal::remainder(&a, &b, to).map(Arc::new)))
        }
        _ => {
            let to = decimal::sum_type(l, r);
            (to, both(left, right, move |a: D, b| decimal::settle(&*a + &*b, to).map(Arc::new)))
        }
    };
    Compiled::typed(SqlType::Decimal { precision: to.0, scale: to.1 }, eval)
}

/// A decimal times a whole number, which need not become a decimal for it.
fn times(left: Compiled, right: Compiled, to: (u32, u32)) -> Eval<Arc<BigDecimal>> {
    let (left, right) = (Operand::<Arc<BigDecimal>>::new(left), Operand::<i64>::new(right));
    Box::new(move |env| {
        let (left, right) = (left.get_ref(env)?.ok_or_else(EvalError::null_operand)?, right.require(env)?);
        decimal::times(&left, right, to).map(Arc::new).map(Some)
    })
}

/// Strings one behind the other; a null is the text `null`.
fn join(left: Compiled, right: Compiled) -> Eval<Text> {
    let (left, right) = (Operand::<Text>::new(left), Operand::<Text>::new(right));
    Box::new(move |env| {
        let (left, right) = (left.get_ref(env)?, right.get_ref(env)?);
        let (left, right) = (left.as_ref().map_or("null", |t| t.as_str()), right.as_ref().map_or("null", |t| t.as_str()));
        limits::check_bytes(left.len() + right.len())?;
        let mut text = Text::with_capacity(left.len() + right.len());
        text.push_str(left);
        text.push_str(right);
        Ok(Some(text))
    })
}

/// A sign before an operand.
pub(super) fn negate(expr: &Expr, operand: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    // -2147483648 is an INTEGER, though its digits alone are not.
    if let ExprKind::BigInt(value) = operand.kind
        && let Some(value) = value.checked_neg().and_then(|v| i32::try_from(v).ok())
    {
        return Ok(column::constant(Some(SqlType::Int), crate::types::Value::Int(value)));
    }
    fn eval<T: Scalar>(operand: Compiled, negate: impl Fn(T) -> T + Send + Sync + 'static) -> Eval<T> {
        let operand = Operand::<T>::new(operand);
        Box::new(move |env| Ok(Some(negate(operand.require(env)?))))
    }
    let operand = compile_expr(operand, scope)?;
    let constant = operand.is_constant();
    let compiled = match operand.sql_type.clone() {
        Some(SqlType::Int) => Compiled::typed(SqlType::Int, eval(operand, i32::wrapping_neg)),
        Some(SqlType::BigInt) => Compiled::typed(SqlType::BigInt, eval(operand, i64::wrapping_neg)),
        Some(SqlType::Double) => Compiled::typed(SqlType::Double, eval(operand, |v: f64| -v)),
        Some(sql_type @ SqlType::Decimal { .. }) => Compiled::typed(sql_type, eval(operand, |v: Arc<BigDecimal>| Arc::new(-&*v))),
        other => {
            let found = type_name(other.as_ref());
            return Err(ExprError::code(format!("The sign - takes a number, but got {found}. expression: {expr}"), expr.span));
        }
    };
    Ok(compiled.folded(constant))
}
