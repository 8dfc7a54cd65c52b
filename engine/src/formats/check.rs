//! Whether a format can hold a schema, said as ksqlDB says it.

use std::fmt::Write;

use super::Format;
use crate::types::Column;

/// Checks the columns of a key or of a value against a format.
///
/// `unwrapped` is true where WRAP_SINGLE_VALUE was set to false (it shows in the text only).
///
/// # Errors
/// The whole text for the user: which part, which format, which schema, and the reason.
pub fn check_schema(format: &dyn Format, columns: &[Column], is_key: bool, unwrapped: bool) -> Result<(), String> {
    let reason = if is_key && !columns.is_empty() && !format.supports_key() {
        Err(format!("The '{}' format can't be used for keys", format.name()))
    } else {
        format.check_columns(columns, is_key)
    };
    reason.map_err(|reason| {
        format!(
            "{} format does not support schema.\nformat: {}\nschema: Persistence{{columns={}, features=[{}]}}\nreason: {reason}",
            if is_key { "Key" } else { "Value" },
            format.name(),
            describe_columns(columns, is_key),
            if unwrapped && !is_key { "UNWRAP_SINGLES" } else { "" },
        )
    })
}

/// Columns as error texts list them: ``[`K` STRING KEY, `L` INTEGER KEY]``.
pub fn describe_columns(columns: &[Column], is_key: bool) -> String {
    let mut text = String::from("[");
    for (i, column) in columns.iter().enumerate() {
        let separator = if i > 0 { ", " } else { "" };
        let suffix = if is_key { " KEY" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}`{}` {}{suffix}", column.name, column.sql_type);
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::by_name;
    use crate::types::SqlType;

    #[test]
    fn the_text_names_part_format_schema_and_reason() {
        let kafka = by_name("kafka").unwrap();
        let columns = [Column::new("K1", SqlType::Int), Column::new("K2", SqlType::Int)];
        assert_eq!(
            check_schema(kafka, &columns, true, false).unwrap_err(),
            "Key format does not support schema.\nformat: KAFKA\nschema: Persistence{columns=[`K1` INTEGER KEY, `K2` INTEGER KEY], features=[]}\n\
             reason: The 'KAFKA' format only supports a single field. Got: [`K1` INTEGER KEY, `K2` INTEGER KEY]"
        );
        assert_eq!(
            check_schema(kafka, &[Column::new("A", SqlType::array(SqlType::Int))], false, true).unwrap_err(),
            "Value format does not support schema.\nformat: KAFKA\nschema: Persistence{columns=[`A` ARRAY<INTEGER>], features=[UNWRAP_SINGLES]}\n\
             reason: The 'KAFKA' format does not support type 'ARRAY'"
        );
        assert_eq!(check_schema(kafka, &columns[..1], true, false), Ok(()));
    }
}
