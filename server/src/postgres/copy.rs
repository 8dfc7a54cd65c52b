//! COPY … TO STDOUT: rows as lines of text or CSV.

use std::collections::BTreeMap;

use super::error::{NOT_SUPPORTED, PgError, WRONG_VALUE};
use super::output::AnswerColumn;
use super::types::text_of;
use tidemill_engine::types::Value;

/// How lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    pub is_csv: bool,
    pub header: bool,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub force_quote: bool,
}

impl CopyFormat {
    /// # Errors
    /// An option that there is not, or that has no such value.
    pub fn of(options: &BTreeMap<String, String>) -> Result<Self, PgError> {
        let mut format =
            CopyFormat { is_csv: false, header: false, delimiter: b'\t', null: "\\N".to_owned(), quote: b'"', force_quote: false };
        match options.get("FORMAT").map(String::as_str) {
            None | Some("TEXT") => {}
            Some("CSV") => (format.is_csv, format.delimiter, format.null) = (true, b',', String::new()),
            Some(other) => {
                return Err(PgError::new(NOT_SUPPORTED, format!("COPY writes the formats text and csv, not {}", other.to_lowercase())));
            }
        }
        for (name, value) in options {
            let byte = || match value.as_bytes() {
                [byte] if !byte.is_ascii_control() || *byte == b'\t' => Ok(*byte),
                [b'\\', b't'] => Ok(b'\t'),
                _ => Err(PgError::new(WRONG_VALUE, format!("COPY {} must be a single one-byte character", name.to_lowercase()))),
            };
            match name.as_str() {
                "FORMAT" => {}
                "HEADER" => format.header = matches!(value.to_ascii_uppercase().as_str(), "TRUE" | "ON" | "1"),
                "DELIMITER" | "DELIMITERS" => format.delimiter = byte()?,
                "NULL" => format.null = value.clone(),
                "QUOTE" => format.quote = byte()?,
                "ENCODING" if value.eq_ignore_ascii_case("utf8") || value.eq_ignore_ascii_case("utf-8") => {}
                "FORCE_QUOTE" => format.force_quote = true,
                other => return Err(PgError::new(NOT_SUPPORTED, format!("COPY has no option {}", other.to_lowercase()))),
            }
        }
        if format.null.contains(['\n', '\r']) {
            return Err(PgError::new(WRONG_VALUE, "COPY null representation cannot use newline or carriage return"));
        }
        Ok(format)
    }

    /// The names of the columns.
    pub fn header_line(&self, columns: &[AnswerColumn]) -> Vec<u8> {
        self.line(columns.iter().map(|column| Some(column.name.clone())))
    }

    pub fn row(&self, values: &[Value], columns: &[AnswerColumn], types: &[tidemill_engine::types::SqlType]) -> Vec<u8> {
        let fields = (0..columns.len()).map(|index| match (values.get(index), types.get(index)) {
            (Some(value), Some(sql_type)) if !value.is_null() => Some(text_of(value, sql_type)),
            _ => None,
        });
        self.line(fields)
    }

    /// A line of fields, the end of the line behind them.
    pub fn line(&self, fields: impl Iterator<Item = Option<String>>) -> Vec<u8> {
        let mut line = Vec::new();
        for (index, field) in fields.enumerate() {
            if index > 0 {
                line.push(self.delimiter);
            }
            match field {
                None => line.extend_from_slice(self.null.as_bytes()),
                Some(text) if self.is_csv => self.csv(&text, &mut line),
                Some(text) => self.escaped(&text, &mut line),
            }
        }
        line.push(b'\n');
        line
    }

    fn csv(&self, text: &str, line: &mut Vec<u8>) {
        let special = |byte: u8| byte == self.delimiter || byte == self.quote || matches!(byte, b'\n' | b'\r');
        // Unquoted it would be null, or the end of the data.
        let is_quoted = self.force_quote || text == self.null || text == "\\." || text.bytes().any(special);
        if !is_quoted {
            line.extend_from_slice(text.as_bytes());
            return;
        }
        line.push(self.quote);
        for byte in text.bytes() {
            if byte == self.quote {
                line.push(self.quote);
            }
            line.push(byte);
        }
        line.push(self.quote);
    }

    fn escaped(&self, text: &str, line: &mut Vec<u8>) {
        for byte in text.bytes() {
            match byte {
                b'\\' => line.extend_from_slice(b"\\\\"),
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                b'\t' => line.extend_from_slice(b"\\t"),
                byte if byte == self.delimiter => line.extend_from_slice(&[b'\\', byte]),
                byte => line.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &[(&str, &str)], fields: &[Option<&str>]) -> String {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let format = CopyFormat::of(&options).expect("good");
        String::from_utf8(format.line(fields.iter().map(|field| field.map(str::to_owned)))).expect("text")
    }

    #[test]
    fn lines_can_be_read_back() {
        let fields = [Some("a\tb"), None, Some("\\N"), Some(""), Some("x\ny")];
        assert_eq!(line(&[], &fields), "a\\tb\t\\N\t\\\\N\t\tx\\ny\n");
        let fields = [Some("a,b"), None, Some("say \"hi\""), Some(""), Some("x\ny"), Some("1")];
        assert_eq!(line(&[("FORMAT", "CSV")], &fields), "\"a,b\",,\"say \"\"hi\"\"\",\"\",\"x\ny\",1\n");
        assert_eq!(line(&[("FORMAT", "CSV"), ("DELIMITER", ";"), ("NULL", "-")], &[Some("-"), None, Some("a,b")]), "\"-\";-;a,b\n");
    }
}
