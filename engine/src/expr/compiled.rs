//! Compiled expressions and how they are run.

use crate::functions::EvalError;
use crate::row::RowMeta;
use crate::types::{SqlType, Value};

use super::operand::{Operand, Scalar, by_type};
use super::{Compiled, Env, Eval, Evaluator, ExprError, column, swallowed};

/// Where the value of an expression comes from, so that operators can read it in place.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A slot of the row.
    Slot(usize),
    /// An argument of a lambda around it.
    LambdaArg(usize),
    /// Known before any row.
    Constant(Value),
    Computed,
}

impl Compiled {
    /// Something that is calculated.
    pub(super) fn computed(sql_type: Option<SqlType>, evaluator: Evaluator) -> Self {
        Compiled { sql_type, evaluator, origin: Origin::Computed }
    }

    /// Something that is calculated, of a Rust type.
    pub(super) fn typed<T: Scalar>(sql_type: SqlType, eval: Eval<T>) -> Self {
        Compiled::computed(Some(sql_type), T::evaluator(eval))
    }

    /// Something that is calculated as a value of `sql_type`, or null.
    pub(super) fn from_values(sql_type: SqlType, eval: impl Fn(&Env<'_>) -> Result<Value, EvalError> + Send + Sync + 'static) -> Self {
        let evaluator = by_type!(&sql_type,
            T => T::evaluator(Box::new(move |env| Ok(T::load(&eval(env)?)))),
            else => Evaluator::Value(Box::new(eval)));
        Compiled::computed(Some(sql_type), evaluator)
    }

    /// The expression's value for a row.
    pub fn eval_value(&self, env: &Env<'_>) -> Result<Value, EvalError> {
        fn stored<T: Scalar>(value: Option<T>) -> Value {
            value.map_or(Value::Null, T::store)
        }
        match &self.origin {
            Origin::Slot(slot) => return Ok(env.values.get(*slot).cloned().unwrap_or_default()),
            Origin::LambdaArg(index) => return Ok(env.lambda_args.get(*index).cloned().unwrap_or_default()),
            Origin::Constant(value) => return Ok(value.clone()),
            Origin::Computed => {}
        }
        match &self.evaluator {
            Evaluator::Boolean(eval) => eval(env).map(stored),
            Evaluator::Int(eval) => eval(env).map(stored),
            Evaluator::BigInt(eval) => eval(env).map(stored),
            Evaluator::Double(eval) => eval(env).map(stored),
            Evaluator::Decimal(eval) => eval(env).map(stored),
            Evaluator::String(eval) => eval(env).map(stored),
            Evaluator::Value(eval) => eval(env),
        }
    }

    /// The expression as a condition. A row for which it yields null or an error does not meet it.
    pub fn into_predicate(self) -> Result<Eval<bool>, ExprError> {
        match self.sql_type {
            Some(SqlType::Boolean) => Ok(Operand::<bool>::new(self).into_eval()),
            other => {
                Err(ExprError::new(format!("Should evaluate to boolean but is {} instead.", type_name(other.as_ref())), Default::default()))
            }
        }
    }

    /// The slot of the row, where the expression is just a column.
    pub fn slot(&self) -> Option<usize> {
        match self.origin {
            Origin::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    /// The value, where it is the same for every row.
    pub fn constant(&self) -> Option<&Value> {
        match &self.origin {
            Origin::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Whether running it may fail: reading a column, an argument or a constant does not.
    pub(super) fn may_fail(&self) -> bool {
        matches!(self.origin, Origin::Computed)
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self.origin, Origin::Constant(_))
    }

    /// Calculates what depends on constants only, now. What fails, or goes on from a failure, stays as
    /// it is and does so for every row.
    pub(super) fn folded(self, constant: bool) -> Self {
        if !constant || self.is_constant() {
            return self;
        }
        let meta = RowMeta::default();
        match swallowed::watched(|| self.eval_value(&Env { values: &[], meta: &meta, lambda_args: &[] })) {
            (Ok(value), failures) if failures.is_empty() => column::constant(self.sql_type, value),
            _ => self,
        }
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("sql_type", &self.sql_type).field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A type in an error text; a bare null has none.
pub(super) fn type_name(sql_type: Option<&SqlType>) -> String {
    sql_type.map_or_else(|| "null".to_string(), SqlType::to_string)
}
