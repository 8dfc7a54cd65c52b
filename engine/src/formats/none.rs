//! NONE: a key without columns. Whatever bytes a record's key has are passed over, and none are written.

use super::{DecodeError, Decoder, EncodeError, Encoder, Format, Layout, describe_columns};
use crate::types::{Column, Value};

pub(super) static NONE: NoneFormat = NoneFormat;

pub(super) struct NoneFormat;

impl Format for NoneFormat {
    fn name(&self) -> &'static str {
        "NONE"
    }

    fn supports_several_key_columns(&self) -> bool {
        false
    }

    fn supports_wrapping(&self) -> (bool, bool) {
        (false, false)
    }

    fn check_column(&self, column: &Column, is_key: bool) -> Result<(), String> {
        self.check_columns(std::slice::from_ref(column), is_key)
    }

    fn check_columns(&self, columns: &[Column], is_key: bool) -> Result<(), String> {
        if columns.is_empty() {
            return Ok(());
        }
        Err(format!("The 'NONE' format can only be used when no columns are defined. Got: {}", describe_columns(columns, is_key)))
    }

    fn decoder(&self, _layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        Ok(Box::new(Nothing))
    }

    fn encoder(&self, _layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        Ok(Box::new(Nothing))
    }
}

struct Nothing;

impl Decoder for Nothing {
    fn decode(&mut self, _payload: &[u8], _row: &mut [Value]) -> Result<bool, DecodeError> {
        Ok(false)
    }
}

impl Encoder for Nothing {
    fn encode(&mut self, _row: &[Value], _out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    #[test]
    fn no_column_at_all() {
        let column = Column::new("K", SqlType::String);
        assert_eq!(
            NONE.check_column(&column, true).unwrap_err(),
            "The 'NONE' format can only be used when no columns are defined. Got: [`K` STRING KEY]"
        );
        assert_eq!(NONE.check_columns(&[], true), Ok(()));
    }
}
