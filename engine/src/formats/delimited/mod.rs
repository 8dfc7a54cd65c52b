//! DELIMITED: one line of comma-separated values (or of any other delimiter), as Apache Commons CSV reads and writes them
//! by default: quotes around values that need them, doubled inside. An empty value is null. Only scalar types.

mod decode;
mod encode;
mod split;

use super::{Decoder, Encoder, Format, Layout};
use crate::types::{Column, SqlType};

pub(super) static DELIMITED: DelimitedFormat = DelimitedFormat;

/// What stands between values where nothing is said.
const DEFAULT_DELIMITER: char = ',';

pub(super) struct DelimitedFormat;

impl Format for DelimitedFormat {
    fn name(&self) -> &'static str {
        "DELIMITED"
    }

    fn supports_wrapping(&self) -> (bool, bool) {
        // A column stands as it is, so "unwrapped" may be said; it changes nothing.
        (false, true)
    }

    fn check_column(&self, column: &Column, _is_key: bool) -> Result<(), String> {
        match column.sql_type {
            SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
                Err(format!("The 'DELIMITED' format does not support type '{}', column: `{}`", column.sql_type.base_name(), column.name))
            }
            _ => Ok(()),
        }
    }

    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String> {
        layout.fields.iter().try_for_each(|field| self.check_column(&field.column, layout.is_key))?;
        Ok(Box::new(decode::DelimitedDecoder::new(layout)))
    }

    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String> {
        layout.fields.iter().try_for_each(|field| self.check_column(&field.column, layout.is_key))?;
        Ok(Box::new(encode::DelimitedEncoder::new(layout)?))
    }
}

/// The delimiter that a WITH property (KEY_DELIMITER, VALUE_DELIMITER) names: one character, `TAB` or `SPACE` in any case.
///
/// # Errors
/// The reason, as a sentence for the user.
pub fn parse_delimiter(property: &str) -> Result<char, String> {
    if property.trim().is_empty() {
        return Err("Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special values 'TAB' or 'SPACE'\n\
                    Example valid value: ';'"
            .into());
    }
    let mut characters = property.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(only),
        _ if property.eq_ignore_ascii_case("TAB") => Ok('\t'),
        _ if property.eq_ignore_ascii_case("SPACE") => Ok(' '),
        _ => Err(format!(
            "Invalid delimiter value: '{property}'. Delimiter must be a single character or TAB,SPACE\nExample valid value: ';'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        for (property, delimiter) in [
            ("|", Some('|')),
            ("tab", Some('\t')),
            ("SPACE", Some(' ')),
            ("é", Some('é')),
            ("<~>", None),
            (" ", None),
            ("\t", None),
            ("", None),
        ] {
            assert_eq!(parse_delimiter(property).ok(), delimiter, "{property}");
        }
        assert!(
            parse_delimiter("<~>")
                .unwrap_err()
                .starts_with("Invalid delimiter value: '<~>'. Delimiter must be a single character or TAB,SPACE")
        );
    }

    #[test]
    fn nested_types_are_refused() {
        let column = Column::new("K", SqlType::array(SqlType::Double));
        assert_eq!(DELIMITED.check_column(&column, true).unwrap_err(), "The 'DELIMITED' format does not support type 'ARRAY', column: `K`");
        assert_eq!(DELIMITED.check_column(&Column::new("V", SqlType::Bytes), false), Ok(()));
    }
}
