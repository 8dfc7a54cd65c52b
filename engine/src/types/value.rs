//! A value of any SQL type, as rows hold it.

use std::sync::Arc;

use bigdecimal::BigDecimal;

/// Text: up to 15 bytes inline, longer ones shared by reference count.
pub type Text = ecow::EcoString;

/// Entries of a MAP in order of insertion; keys are unique.
pub type MapValue = indexmap::IndexMap<Value, Value, foldhash::fast::FixedState>;

/// One value, 24 bytes. Cloning never copies a long text or a collection.
///
/// Equality and hashing are structural: `NaN` equals itself, `-0.0` differs from `0.0`, decimals compare with their scale.
/// SQL's `=` is another thing (see [`crate::expr`]).
#[derive(Debug, Clone, Default)]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Int(i32),
    BigInt(i64),
    Double(f64),
    Decimal(Arc<BigDecimal>),
    String(Text),
    Bytes(Arc<[u8]>),
    /// Milliseconds of the day.
    Time(i32),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds since the epoch, UTC.
    Timestamp(i64),
    Array(Arc<Vec<Value>>),
    Map(Arc<MapValue>),
    /// Fields in the order of the type.
    Struct(Arc<[Value]>),
}

impl Value {
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Makes it null, without a look at the heap where it holds nothing there, as most values do.
    #[inline]
    pub fn set_null(&mut self) {
        use Value::*;
        match self {
            Null => {}
            Boolean(_) | Int(_) | BigInt(_) | Double(_) | Time(_) | Date(_) | Timestamp(_) => std::mem::forget(std::mem::take(self)),
            _ => *self = Null,
        }
    }

    /// Bytes that it takes besides its own 24; what several values share counts for each of them.
    pub fn heap_bytes(&self) -> usize {
        use Value::*;
        let all = |values: &[Value]| values.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum::<usize>();
        match self {
            Null | Boolean(_) | Int(_) | BigInt(_) | Double(_) | Time(_) | Date(_) | Timestamp(_) => 0,
            String(text) if text.len() <= Text::INLINE_LIMIT => 0,
            String(text) => text.len(),
            Bytes(bytes) => bytes.len(),
            // Three decimal digits take ten bits.
            Decimal(value) => size_of::<BigDecimal>() + usize::try_from(value.digits() / 2).unwrap_or(usize::MAX),
            Array(items) => all(items),
            Struct(fields) => all(fields),
            Map(entries) => entries.iter().map(|(key, value)| 3 * size_of::<Value>() + key.heap_bytes() + value.heap_bytes()).sum(),
        }
    }

    pub fn string(text: impl Into<Text>) -> Self {
        Value::String(text.into())
    }

    pub fn decimal(value: BigDecimal) -> Self {
        Value::Decimal(Arc::new(value))
    }

    pub fn bytes(value: impl Into<Arc<[u8]>>) -> Self {
        Value::Bytes(value.into())
    }

    pub fn array(items: Vec<Value>) -> Self {
        Value::Array(Arc::new(items))
    }

    pub fn structure(fields: Vec<Value>) -> Self {
        Value::Struct(fields.into())
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        use Value::*;
        match (self, other) {
            (Null, Null) => true,
            (Boolean(a), Boolean(b)) => a == b,
            (Int(a), Int(b)) | (Time(a), Time(b)) | (Date(a), Date(b)) => a == b,
            (BigInt(a), BigInt(b)) | (Timestamp(a), Timestamp(b)) => a == b,
            (Double(a), Double(b)) => a.to_bits() == b.to_bits(),
            (Decimal(a), Decimal(b)) => a.as_bigint_and_exponent() == b.as_bigint_and_exponent(),
            (String(a), String(b)) => a == b,
            (Bytes(a), Bytes(b)) => a == b,
            (Array(a), Array(b)) => a == b,
            (Map(a), Map(b)) => a == b,
            (Struct(a), Struct(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        use Value::*;
        std::mem::discriminant(self).hash(state);
        match self {
            Null => {}
            Boolean(v) => v.hash(state),
            Int(v) | Time(v) | Date(v) => v.hash(state),
            BigInt(v) | Timestamp(v) => v.hash(state),
            Double(v) => v.to_bits().hash(state),
            Decimal(v) => v.as_bigint_and_exponent().hash(state),
            String(v) => v.hash(state),
            Bytes(v) => v.hash(state),
            Array(v) => v.hash(state),
            // Order of insertion is no part of a map's identity.
            Map(v) => v.len().hash(state),
            Struct(v) => v.hash(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(std::mem::size_of::<Value>(), 24);
    }
}
