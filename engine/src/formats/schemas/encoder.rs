//! The encoder of every format with schemas: what stands before each payload is the same, then comes a row or a single value.

use crate::formats::{Carried, EncodeError, Encoder};
use crate::types::Value;

/// What is written for a schema.
pub enum Written<F, V> {
    /// A record of columns, by the writers of its fields.
    Row(Box<[F]>),
    /// The only column without a record around it.
    Single { slot: usize, writer: V },
}

/// Writes the fields of a row, some of whose values may be carried.
pub trait WriteFields: Send + Sized {
    /// # Errors
    /// A value that can't be written.
    fn write_fields(fields: &[Self], row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Writes a single value, which is not null.
pub trait WriteValue: Send {
    /// # Errors
    /// The value can't be written.
    fn write_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Writes payloads behind a prefix.
pub struct PrefixedEncoder<F, V> {
    prefix: Box<[u8]>,
    written: Written<F, V>,
}

impl<F, V> PrefixedEncoder<F, V> {
    pub fn new(prefix: impl Into<Box<[u8]>>, written: Written<F, V>) -> Self {
        PrefixedEncoder { prefix: prefix.into(), written }
    }
}

impl<F: WriteFields, V: WriteValue> Encoder for PrefixedEncoder<F, V> {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.written {
            Written::Row(fields) => {
                out.extend_from_slice(&self.prefix);
                F::write_fields(fields, row, carried, out)?;
            }
            Written::Single { slot, writer } => {
                let value = row.get(*slot).unwrap_or(&Value::Null);
                if value.is_null() {
                    return Ok(false);
                }
                out.extend_from_slice(&self.prefix);
                writer.write_value(value, out)?;
            }
        }
        Ok(true)
    }
}
