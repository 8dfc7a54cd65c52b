//! The encoder of every format with schemas: what stands before each payload is the same, then comes a row or a single value.

use crate::formats::{Carried, EncodeError, Encoder};
use crate::types::Value;

/// What is written for a schema.
pub enum Written<R, V> {
    /// A record of columns.
    Row(R),
    /// The only column without a record around it.
    Single { slot: usize, writer: V },
}

/// Writes the columns of a row, some of which may be carried.
pub trait WriteRow: Send {
    /// # Errors
    /// A value that can't be written.
    fn write_row(&self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Writes a single value, which is not null.
pub trait WriteValue: Send {
    /// # Errors
    /// The value can't be written.
    fn write_value(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Writes payloads behind a prefix.
pub struct PrefixedEncoder<R, V> {
    prefix: Box<[u8]>,
    written: Written<R, V>,
}

impl<R, V> PrefixedEncoder<R, V> {
    pub fn new(prefix: impl Into<Box<[u8]>>, written: Written<R, V>) -> Self {
        PrefixedEncoder { prefix: prefix.into(), written }
    }
}

impl<R: WriteRow, V: WriteValue> Encoder for PrefixedEncoder<R, V> {
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode_carrying(row, &Carried::default(), out)
    }

    fn encode_carrying(&mut self, row: &[Value], carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        match &self.written {
            Written::Row(writer) => {
                out.extend_from_slice(&self.prefix);
                writer.write_row(row, carried, out)?;
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
