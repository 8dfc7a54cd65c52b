//! Reading the arguments of a call. The resolver has checked and converted their types, so a value of another type is a
//! fault of the engine: it makes the call fail, never the process.

use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::{Args, ConstArgs, LambdaFn};
use crate::functions::EvalError;
use crate::types::{MapValue, Text, Value};

/// Days since 1970-01-01.
#[derive(Debug, Clone, Copy)]
pub struct Days(pub i32);

/// Milliseconds of the day.
#[derive(Debug, Clone, Copy)]
pub struct TimeOfDay(pub i32);

/// Milliseconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub struct Instant(pub i64);

/// A Rust type that an argument can be read as.
pub trait FromValue<'v>: Sized {
    /// For the message where it can't.
    const EXPECTED: &'static str;
    fn from_value(value: &'v Value) -> Option<Self>;
}

/// Implements [`FromValue`] for one variant of [`Value`].
macro_rules! from_value {
    ($type:ty, $name:literal, $pattern:pat => $read:expr) => {
        impl<'v> FromValue<'v> for $type {
            const EXPECTED: &'static str = $name;
            fn from_value(value: &'v Value) -> Option<Self> {
                match value {
                    $pattern => Some($read),
                    _ => None,
                }
            }
        }
    };
}

from_value!(bool, "BOOLEAN", Value::Boolean(v) => *v);
from_value!(i32, "INTEGER", Value::Int(v) => *v);
from_value!(i64, "BIGINT", Value::BigInt(v) => *v);
from_value!(f64, "DOUBLE", Value::Double(v) => *v);
from_value!(&'v BigDecimal, "DECIMAL", Value::Decimal(v) => v);
from_value!(&'v str, "STRING", Value::String(v) => v);
from_value!(&'v Text, "STRING", Value::String(v) => v);
from_value!(&'v [u8], "BYTES", Value::Bytes(v) => v);
from_value!(&'v Arc<Vec<Value>>, "ARRAY", Value::Array(v) => v);
from_value!(&'v [Value], "ARRAY", Value::Array(v) => v);
from_value!(&'v MapValue, "MAP", Value::Map(v) => v);
from_value!(Days, "DATE", Value::Date(v) => Days(*v));
from_value!(TimeOfDay, "TIME", Value::Time(v) => TimeOfDay(*v));
from_value!(Instant, "TIMESTAMP", Value::Timestamp(v) => Instant(*v));

impl<'a> Args<'a> {
    /// An argument that is not null.
    ///
    /// # Errors
    /// It is missing, null or of another type.
    pub fn get<'v, T: FromValue<'v>>(&'v self, index: usize) -> Result<T, EvalError> {
        let value = self.value(index);
        T::from_value(value).ok_or_else(|| EvalError::new(format!("argument {} is no {}: {value:?}", index + 1, T::EXPECTED)))
    }

    /// An argument that may be null.
    ///
    /// # Errors
    /// It is of another type.
    pub fn opt<'v, T: FromValue<'v>>(&'v self, index: usize) -> Result<Option<T>, EvalError> {
        if self.value(index).is_null() { Ok(None) } else { self.get(index).map(Some) }
    }

    /// An argument as it is; null where it is missing.
    pub fn value(&self, index: usize) -> &Value {
        self.values.get(index).unwrap_or(&Value::Null)
    }

    /// Takes an argument out; null stays behind.
    pub fn take(&mut self, index: usize) -> Value {
        self.values.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    /// The arguments from `index` on.
    pub fn rest(&self, index: usize) -> &[Value] {
        self.values.get(index..).unwrap_or_default()
    }

    /// A lambda, counted among the lambdas.
    ///
    /// # Errors
    /// There is none.
    pub fn lambda(&self, index: usize) -> Result<&'a LambdaFn<'a>, EvalError> {
        self.lambdas.get(index).copied().ok_or_else(|| EvalError::new(format!("lambda {} is missing", index + 1)))
    }
}

impl ConstArgs<'_> {
    /// The value of an argument that is a literal.
    pub fn constant(&self, index: usize) -> Option<&Value> {
        self.constants.get(index).and_then(Option::as_ref)
    }
}
