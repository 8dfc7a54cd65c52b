//! Columns, pseudo-columns and lambda parameters: reads of one slot.

use crate::types::{SqlType, Value};

use super::compiled::Origin;
use super::operand::{Operand, by_type};
use super::{Compiled, Env, Evaluator};

/// A column of the row.
pub(super) fn slot(slot: usize, sql_type: SqlType) -> Compiled {
    let evaluator = by_type!(&sql_type,
        T => Operand::<T>::Slot(slot).into_evaluator(),
        else => Evaluator::Value(Box::new(move |env| Ok(env.values.get(slot).cloned().unwrap_or_default()))));
    Compiled { sql_type: Some(sql_type), evaluator, origin: Origin::Slot(slot) }
}

/// A parameter of a lambda around the expression.
pub(super) fn lambda_arg(index: usize, sql_type: SqlType) -> Compiled {
    let evaluator = by_type!(&sql_type,
        T => Operand::<T>::LambdaArg(index).into_evaluator(),
        else => Evaluator::Value(Box::new(move |env| Ok(env.lambda_args.get(index).cloned().unwrap_or_default()))));
    Compiled { sql_type: Some(sql_type), evaluator, origin: Origin::LambdaArg(index) }
}

/// Something of type BIGINT that every row carries.
pub(super) fn big_int(read: impl Fn(&Env<'_>) -> Option<i64> + Send + Sync + 'static) -> Compiled {
    Compiled::computed(Some(SqlType::BigInt), Evaluator::BigInt(Box::new(move |env| Ok(read(env)))))
}

/// Something of type INTEGER that every row carries.
pub(super) fn int(read: impl Fn(&Env<'_>) -> Option<i32> + Send + Sync + 'static) -> Compiled {
    Compiled::computed(Some(SqlType::Int), Evaluator::Int(Box::new(move |env| Ok(read(env)))))
}

/// A value that is the same for every row.
pub(super) fn constant(sql_type: Option<SqlType>, value: Value) -> Compiled {
    let evaluator = match &sql_type {
        Some(known) => by_type!(known,
            T => Operand::<T>::constant(&value).into_evaluator(),
            else => constant_value(value.clone())),
        None => constant_value(value.clone()),
    };
    Compiled { sql_type, evaluator, origin: Origin::Constant(value) }
}

fn constant_value(value: Value) -> Evaluator {
    Evaluator::Value(Box::new(move |_| Ok(value.clone())))
}
