//! Operands of the Rust type that an operator calculates with.
//!
//! Columns, lambda arguments and constants are read in place; only what has to be calculated costs an indirect call.
//! Reading widens: an INT column read as `i64` or `f64` needs no step of its own.

use std::ops::Deref;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use crate::functions::EvalError;
use crate::types::{Text, Value};

use super::compiled::Origin;
use super::{Compiled, Env, Eval, Evaluator, decimal};

/// A Rust type that expressions calculate with.
pub(super) trait Scalar: Clone + Send + Sync + 'static {
    /// The value as this type, widened where that loses nothing; `None` for null and for any other type.
    fn load(value: &Value) -> Option<Self>;
    /// Without copying, where the value holds just this type.
    fn borrow(value: &Value) -> Option<&Self>;
    fn store(self) -> Value;
    fn evaluator(eval: Eval<Self>) -> Evaluator;
    /// What an evaluator of this or a narrower type yields, as this type.
    fn widen(evaluator: Evaluator) -> Eval<Self>;
}

/// Where an operand's value comes from.
pub(super) enum Operand<T> {
    Slot(usize),
    LambdaArg(usize),
    Constant(Option<T>),
    Eval(Eval<T>),
}

impl<T: Scalar> Operand<T> {
    pub(super) fn new(compiled: Compiled) -> Self {
        match compiled.origin {
            Origin::Slot(slot) => Operand::Slot(slot),
            Origin::LambdaArg(index) => Operand::LambdaArg(index),
            Origin::Constant(value) => Operand::constant(&value),
            Origin::Computed => Operand::Eval(T::widen(compiled.evaluator)),
        }
    }

    pub(super) fn constant(value: &Value) -> Self {
        Operand::Constant(T::load(value))
    }

    #[inline]
    pub(super) fn get(&self, env: &Env<'_>) -> Result<Option<T>, EvalError> {
        match self {
            Operand::Slot(slot) => Ok(env.values.get(*slot).and_then(T::load)),
            Operand::LambdaArg(index) => Ok(env.lambda_args.get(*index).and_then(T::load)),
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Eval(eval) => eval(env),
        }
    }

    /// Like `get`, but copies no text and no decimal that stands in the row.
    #[inline]
    pub(super) fn get_ref<'a>(&'a self, env: &Env<'a>) -> Result<Option<Ref<'a, T>>, EvalError> {
        let loaded = |value: &'a Value| match T::borrow(value) {
            Some(borrowed) => Some(Ref::Borrowed(borrowed)),
            None => T::load(value).map(Ref::Owned),
        };
        match self {
            Operand::Slot(slot) => Ok(env.values.get(*slot).and_then(loaded)),
            Operand::LambdaArg(index) => Ok(env.lambda_args.get(*index).and_then(loaded)),
            Operand::Constant(value) => Ok(value.as_ref().map(Ref::Borrowed)),
            Operand::Eval(eval) => Ok(eval(env)?.map(Ref::Owned)),
        }
    }

    /// The operand's value; null is an error, as operators that ksqlDB gives to Java take it.
    #[inline]
    pub(super) fn require(&self, env: &Env<'_>) -> Result<T, EvalError> {
        self.get(env)?.ok_or_else(EvalError::null_operand)
    }

    pub(super) fn into_eval(self) -> Eval<T> {
        match self {
            Operand::Eval(eval) => eval,
            other => Box::new(move |env| other.get(env)),
        }
    }

    pub(super) fn into_evaluator(self) -> Evaluator {
        T::evaluator(self.into_eval())
    }
}

/// Borrowed from the row or calculated.
pub(super) enum Ref<'a, T> {
    Borrowed(&'a T),
    Owned(T),
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Ref::Borrowed(value) => value,
            Ref::Owned(value) => value,
        }
    }
}

/// An operand of a type that has no Rust type of its own here, or of any type.
pub(super) enum AnyOperand {
    Slot(usize),
    LambdaArg(usize),
    Constant(Value),
    Computed(Compiled),
}

impl AnyOperand {
    pub(super) fn new(compiled: Compiled) -> Self {
        match compiled.origin {
            Origin::Slot(slot) => AnyOperand::Slot(slot),
            Origin::LambdaArg(index) => AnyOperand::LambdaArg(index),
            Origin::Constant(value) => AnyOperand::Constant(value),
            Origin::Computed => AnyOperand::Computed(compiled),
        }
    }

    /// Gives the value to `see`, without copying it where it stands in the row.
    #[inline]
    pub(super) fn with<R>(&self, env: &Env<'_>, see: impl FnOnce(&Value) -> R) -> Result<R, EvalError> {
        match self {
            AnyOperand::Slot(slot) => Ok(see(env.values.get(*slot).unwrap_or(&Value::Null))),
            AnyOperand::LambdaArg(index) => Ok(see(env.lambda_args.get(*index).unwrap_or(&Value::Null))),
            AnyOperand::Constant(value) => Ok(see(value)),
            AnyOperand::Computed(compiled) => Ok(see(&compiled.eval_value(env)?)),
        }
    }

    #[inline]
    pub(super) fn get(&self, env: &Env<'_>) -> Result<Value, EvalError> {
        match self {
            AnyOperand::Computed(compiled) => compiled.eval_value(env),
            other => other.with(env, Value::clone),
        }
    }
}

/// An evaluator of values as one of a Rust type.
fn from_values<T: Scalar>(evaluator: Evaluator) -> Eval<T> {
    match evaluator {
        Evaluator::Value(eval) => Box::new(move |env| Ok(T::load(&eval(env)?))),
        // Analysis lets no other type come here.
        other => {
            let compiled = Compiled::computed(None, other);
            Box::new(move |env| Ok(T::load(&compiled.eval_value(env)?)))
        }
    }
}

macro_rules! scalar {
    ($type:ty, $variant:ident, widens { $($value:pat => $widened:expr),* }, evaluators { $($evaluator:pat => $eval:expr),* }) => {
        impl Scalar for $type {
            #[inline]
            fn load(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    $($value => Some($widened),)*
                    _ => None,
                }
            }

            #[inline]
            fn borrow(value: &Value) -> Option<&Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn store(self) -> Value {
                Value::$variant(self)
            }

            fn evaluator(eval: Eval<Self>) -> Evaluator {
                Evaluator::$variant(eval)
            }

            fn widen(evaluator: Evaluator) -> Eval<Self> {
                match evaluator {
                    Evaluator::$variant(eval) => eval,
                    $($evaluator => Box::new($eval),)*
                    other => from_values(other),
                }
            }
        }
    };
}

scalar!(bool, Boolean, widens {}, evaluators {});
scalar!(i32, Int, widens {}, evaluators {});
scalar!(i64, BigInt, widens { Value::Int(v) => i64::from(*v) }, evaluators {
    Evaluator::Int(eval) => move |env| Ok(eval(env)?.map(i64::from))
});
scalar!(f64, Double, widens {
    Value::Int(v) => f64::from(*v),
    Value::BigInt(v) => *v as f64,
    Value::Decimal(v) => decimal::to_f64(v)
}, evaluators {
    Evaluator::Int(eval) => move |env| Ok(eval(env)?.map(f64::from)),
    Evaluator::BigInt(eval) => move |env| Ok(eval(env)?.map(|v| v as f64)),
    Evaluator::Decimal(eval) => move |env| Ok(eval(env)?.map(|v| decimal::to_f64(&v)))
});
scalar!(Arc<BigDecimal>, Decimal, widens {
    Value::Int(v) => Arc::new(BigDecimal::from(*v)),
    Value::BigInt(v) => Arc::new(BigDecimal::from(*v))
}, evaluators {
    Evaluator::Int(eval) => move |env| Ok(eval(env)?.map(|v| Arc::new(BigDecimal::from(v)))),
    Evaluator::BigInt(eval) => move |env| Ok(eval(env)?.map(|v| Arc::new(BigDecimal::from(v))))
});
scalar!(Text, String, widens {}, evaluators {});

/// Chooses by SQL type: `by_type!(sql_type, T => …, else => …)` evaluates the first expression with `T` standing for the
/// Rust type, or the second where the SQL type has none.
macro_rules! by_type {
    ($sql_type:expr, $T:ident => $typed:expr, else => $other:expr) => {
        match $sql_type {
            $crate::types::SqlType::Boolean => {
                type $T = bool;
                $typed
            }
            $crate::types::SqlType::Int => {
                type $T = i32;
                $typed
            }
            $crate::types::SqlType::BigInt => {
                type $T = i64;
                $typed
            }
            $crate::types::SqlType::Double => {
                type $T = f64;
                $typed
            }
            $crate::types::SqlType::Decimal { .. } => {
                type $T = std::sync::Arc<bigdecimal::BigDecimal>;
                $typed
            }
            $crate::types::SqlType::String => {
                type $T = $crate::types::Text;
                $typed
            }
            _ => $other,
        }
    };
}
pub(super) use by_type;
