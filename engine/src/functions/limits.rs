//! How large the result of one call may be.
//!
//! A function whose result is the product of two arguments (REPLACE, ARRAY_JOIN), or one that a lambda calls again and
//! again (`REDUCE(…, (s, x) => s || s)`), makes more of a small record than there is memory. Such a call fails as any other
//! does: null in its column, an entry in the processing log.

use super::EvalError;
use crate::types::Value;

/// The longest text or BYTES, in bytes of UTF-8. No broker takes a record of that size.
pub const MAX_BYTES: usize = 1 << 26;
/// The most items of an array and the most entries of a map.
pub const MAX_ITEMS: usize = 10_000_000;

/// # Errors
/// A text or BYTES of that length is too long.
pub fn check_bytes(length: usize) -> Result<(), EvalError> {
    if length <= MAX_BYTES {
        return Ok(());
    }
    Err(EvalError::new(format!("the result would have {length} bytes: {MAX_BYTES} are possible")))
}

/// The result of a call as it is.
///
/// # Errors
/// It is larger than one that the next call may work with.
pub fn checked(value: Value) -> Result<Value, EvalError> {
    let (length, most) = match &value {
        Value::String(text) => (text.len(), MAX_BYTES),
        Value::Bytes(bytes) => (bytes.len(), MAX_BYTES),
        Value::Array(items) => (items.len(), MAX_ITEMS),
        Value::Map(entries) => (entries.len(), MAX_ITEMS),
        _ => return Ok(value),
    };
    if length <= most {
        return Ok(value);
    }
    Err(EvalError::new(format!("the result has {length} bytes, items or entries: {most} are possible")))
}

/// What a value that a lambda made may hold altogether, in bytes: its texts, and a slot for each item, entry and field.
/// Parts that are shared count wherever they stand, as they do in what is written of the value.
const MAX_HELD: usize = 1 << 28;

/// How much of [`MAX_HELD`] is left.
#[derive(Debug)]
pub struct Room {
    left: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room { left: MAX_HELD }
    }
}

impl Room {
    /// Takes the room of a value; what is found too large is not looked at to its end.
    ///
    /// # Errors
    /// There is less.
    pub fn take(&mut self, value: &Value) -> Result<(), EvalError> {
        let held = match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        let left = self.left.checked_sub(held.saturating_add(size_of::<Value>()));
        self.left = left.ok_or_else(|| EvalError::new(format!("the result has more than {MAX_HELD} bytes")))?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.take(item)),
            Value::Struct(fields) => fields.iter().try_for_each(|field| self.take(field)),
            Value::Map(entries) => entries.iter().try_for_each(|(key, value)| self.take(key).and_then(|()| self.take(value))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long() {
        assert_eq!(check_bytes(MAX_BYTES), Ok(()));
        assert!(check_bytes(MAX_BYTES + 1).unwrap_err().to_string().contains("67108865"));
        assert!(checked(Value::bytes(vec![0; MAX_BYTES])).is_ok());
        assert!(checked(Value::bytes(vec![0; MAX_BYTES + 1])).is_err());
        assert!(checked(Value::array(vec![Value::Null; MAX_ITEMS + 1])).is_err());
        assert_eq!(checked(Value::Int(1)), Ok(Value::Int(1)));
    }

    #[test]
    fn parts_that_are_shared_count_wherever_they_stand() {
        let text = Value::string("x".repeat(1 << 20));
        let some = Value::array(vec![text.clone(); 200]);
        assert_eq!(Room::default().take(&some), Ok(()));
        assert!(Room::default().take(&Value::array(vec![some.clone(), some])).is_err());
        let mut room = Room::default();
        assert!((0..300).try_for_each(|_| room.take(&text)).is_err());
    }
}
