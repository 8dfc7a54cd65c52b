//! `expr [NOT] IN (item, …)`. Nulls equal nothing: a null operand is in no list, a null item is passed over.

use std::collections::HashSet;

use tidemill_parser::ast::Expr;

use crate::types::{SqlType, Value};

use super::common_type::compile_list;
use super::operand::AnyOperand;
use super::{Compiled, Eval, ExprError, Phase, Scope};

/// From this many constants on they are looked up instead of compared one by one.
const MIN_LOOKED_UP: usize = 9;

pub(super) fn compile(operand: &Expr, list: &[Expr], negated: bool, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let (sql_type, items) = compile_list(std::iter::once(operand).chain(list), scope, Phase::Code)?;
    let all_constant = items.iter().all(Compiled::is_constant);
    let mut items = items.into_iter();
    let Some(operand) = items.next().map(AnyOperand::new) else {
        return Err(ExprError::new("IN needs an operand", operand.span));
    };
    let mut constants = Vec::new();
    let mut others = Vec::new();
    for item in items {
        match item.constant() {
            Some(Value::Null) => {}
            Some(value) => constants.push(value.clone()),
            None => others.push(AnyOperand::new(item)),
        }
    }
    // Only where SQL's equality is that of values.
    let hashable = matches!(sql_type, Some(SqlType::Int | SqlType::BigInt | SqlType::String));
    let looked_up: HashSet<Value, foldhash::fast::FixedState> =
        if hashable && constants.len() >= MIN_LOOKED_UP { constants.drain(..).collect() } else { HashSet::default() };
    let eval: Eval<bool> = Box::new(move |env| {
        let found = operand.with(env, |value| {
            if value.is_null() {
                return Ok(false);
            }
            if constants.iter().any(|c| equal(value, c)) || (!looked_up.is_empty() && looked_up.contains(value)) {
                return Ok(true);
            }
            for item in &others {
                if item.with(env, |item| equal(value, item))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })??;
        Ok(Some(found != negated))
    });
    Ok(Compiled::typed(SqlType::Boolean, eval).folded(all_constant))
}

/// SQL's `=` on two values of one type, neither null: 1.0 is 1.00, 0.0 is -0.0.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => a == b,
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b).is_eq(),
        (a, b) => a == b,
    }
}
