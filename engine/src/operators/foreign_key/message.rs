//! Messages between the parts of a foreign-key join, as bytes of the state's codec. They stand in internal topics only.

use crate::operators::FatalError;
use crate::types::Value;
use crate::types::codec;

/// What the left's side tells the right's about one of its rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subscription {
    pub instruction: Instruction,
    /// Which change of the left's table it was: later ones have larger versions.
    pub version: i64,
    /// Columns of the left's key, then its value columns; of a row that is to be forgotten the key alone. Behind them its
    /// partition, where the join asks for it.
    pub row: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// The row names another key now.
    Forget,
    /// The row is gone: so is its result.
    Delete,
    /// The row is new: a result only if there is a match (or rows go on without one).
    Insert,
    /// The row replaces one that may have had a result: without a match that has to go.
    Update,
}

/// A result on its way back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Response {
    pub version: i64,
    /// The value columns; `None`: there is no result.
    pub values: Option<Vec<Value>>,
}

impl Subscription {
    pub fn encode(&self) -> Value {
        let instruction = match self.instruction {
            Instruction::Forget => 0,
            Instruction::Delete => 1,
            Instruction::Insert => 2,
            Instruction::Update => 3,
        };
        let mut values = vec![Value::Int(instruction), Value::BigInt(self.version)];
        values.extend(self.row.iter().cloned());
        encode(&values)
    }

    pub fn decode(message: Option<&Value>) -> Result<Self, FatalError> {
        let mut values = decode(message)?.into_iter();
        let (Some(Value::Int(instruction)), Some(Value::BigInt(version))) = (values.next(), values.next()) else { return Err(corrupt()) };
        let instruction = match instruction {
            0 => Instruction::Forget,
            1 => Instruction::Delete,
            2 => Instruction::Insert,
            3 => Instruction::Update,
            _ => return Err(corrupt()),
        };
        Ok(Subscription { instruction, version, row: values.collect() })
    }
}

impl Response {
    pub fn encode(&self) -> Value {
        let mut values = vec![Value::BigInt(self.version), Value::Boolean(self.values.is_some())];
        values.extend(self.values.iter().flatten().cloned());
        encode(&values)
    }

    pub fn decode(message: Option<&Value>) -> Result<Self, FatalError> {
        let mut values = decode(message)?.into_iter();
        let (Some(Value::BigInt(version)), Some(Value::Boolean(is_there))) = (values.next(), values.next()) else { return Err(corrupt()) };
        Ok(Response { version, values: is_there.then(|| values.collect()) })
    }
}

fn encode(values: &[Value]) -> Value {
    let mut bytes = Vec::new();
    codec::encode_values(values, &mut bytes);
    Value::bytes(bytes)
}

fn decode(message: Option<&Value>) -> Result<Vec<Value>, FatalError> {
    let Some(Value::Bytes(bytes)) = message else { return Err(corrupt()) };
    let mut values = Vec::new();
    codec::decode_values(bytes, &mut values).map_err(|e| FatalError(e.to_string()))?;
    Ok(values)
}

#[cold]
pub(super) fn corrupt() -> FatalError {
    FatalError("a message of a foreign-key join can't be read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_there_and_back() {
        for instruction in [Instruction::Forget, Instruction::Delete, Instruction::Insert, Instruction::Update] {
            let sent = Subscription { instruction, version: 7, row: vec![Value::string("k"), Value::Null] };
            assert_eq!(Subscription::decode(Some(&sent.encode())).unwrap(), sent);
        }
        for values in [None, Some(vec![]), Some(vec![Value::Null, Value::Int(1)])] {
            let sent = Response { version: -1, values };
            assert_eq!(Response::decode(Some(&sent.encode())).unwrap(), sent);
        }
        assert!(Response::decode(Some(&Value::bytes(&b"?"[..]))).is_err());
        assert!(Subscription::decode(None).is_err());
    }
}
