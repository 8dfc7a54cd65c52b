//! Passing over records that a WHERE straight behind the source leaves out, without making rows of them.
//!
//! The filter itself stays: it decides about all that is not passed over, and reports what fails. So nothing is passed over
//! whose predicate fails, in whole or in part, or might say something else when it is asked again.

use tidemill_parser::ast::{BinaryOp, Expr, ExprKind};

use super::index::Key;
use super::slab::Slab;
use crate::expr::{self, Env, Eval, Scope};
use crate::operators::FatalError;
use crate::operators::early_test::calls_nothing;
use crate::operators::exprs::parse;
use crate::row::Row;
use crate::types::{Schema, SqlType};

/// Records that were passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    pub records: usize,
    /// Of their keys and values.
    pub bytes: u64,
}

/// A predicate over a source's rows.
pub struct PassOver {
    predicate: Eval<bool>,
    /// Where it can only be true if a column has this value: the slot and the value.
    equals: Option<(usize, Key)>,
}

impl PassOver {
    /// `None`: nothing may be passed over.
    pub(in super::super) fn new(predicate: &str, schema: &Schema, scope: &Scope<'_>) -> Result<Option<Self>, FatalError> {
        let parsed = parse(predicate)?;
        if !calls_nothing(&parsed) {
            return Ok(None);
        }
        let compiled = expr::compile_predicate(&parsed, scope).map_err(|e| FatalError(e.to_string()))?;
        Ok(Some(PassOver { predicate: compiled, equals: equals(&parsed, schema) }))
    }

    /// How many records of a slab, `most` at most, fall out from a place on.
    pub(in super::super) fn passed(&self, slab: &Slab, from: usize, most: usize) -> Passed {
        let until = slab.len().min(from.saturating_add(most));
        let index = self.equals.as_ref().and_then(|(slot, key)| Some((slab.index(*slot)?, key)));
        let mut place = from;
        while place < until {
            if let Some((index, key)) = index {
                place = index.next(key, place).unwrap_or(until).min(until);
            }
            match slab.rows().get(place) {
                Some(Some(row)) if place < until && self.refuses(row) => place += 1,
                _ => break,
            }
        }
        Passed { records: place - from, bytes: slab.bytes(from, place) }
    }

    fn refuses(&self, row: &Row) -> bool {
        if !row.meta.has_value {
            return true;
        }
        let result = (self.predicate)(&Env::new(&row.values, &row.meta));
        expr::take_swallowed().is_empty() && matches!(result, Ok(result) if result != Some(true))
    }
}

/// The slot and the value of `column = value` where nothing stands before it that could fail: it is the whole predicate, or the
/// first of those that AND joins. (Where the column is null the others are evaluated as well.)
fn equals(predicate: &Expr, schema: &Schema) -> Option<(usize, Key)> {
    let ExprKind::Binary { op, left, right } = &predicate.kind else { return None };
    match op {
        BinaryOp::And => equals(left, schema),
        BinaryOp::Equal => column_and_key(left, right, schema).or_else(|| column_and_key(right, left, schema)),
        _ => None,
    }
}

fn column_and_key(column: &Expr, value: &Expr, schema: &Schema) -> Option<(usize, Key)> {
    let ExprKind::Column(reference) = &column.kind else { return None };
    let slot = schema.slot(&reference.name.name)?;
    let key = match (&schema.columns().nth(slot)?.sql_type, &value.kind) {
        (SqlType::Int | SqlType::BigInt, ExprKind::Integer(number)) => Key::Whole(i64::from(*number)),
        (SqlType::Int | SqlType::BigInt, ExprKind::BigInt(number)) => Key::Whole(*number),
        (SqlType::String, ExprKind::String(text)) => Key::Text(text.as_str().into()),
        _ => return None,
    };
    Some((slot, key))
}
