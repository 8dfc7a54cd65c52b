//! COPY: how rows are lines of text or CSV, and rows written so (COPY … TO STDOUT).

use std::collections::BTreeMap;

use super::error::{NOT_SUPPORTED, PgError, WRONG_VALUE};
use super::output::AnswerColumn;
use super::types::text_of;
use tidemill_engine::types::Value;

/// How lines are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    pub is_csv: bool,
    pub header: Header,
    pub delimiter: u8,
    pub null: String,
    pub quote: u8,
    pub escape: u8,
    pub force_quote: bool,
}

/// What the first line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// A row.
    None,
    Names,
    /// Names that are to be those of the columns.
    Match,
}

/// Where rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    To,
    From,
}

impl CopyFormat {
    /// # Errors
    /// An option that there is not, or that has no such value.
    pub fn of(options: &BTreeMap<String, String>, direction: Direction) -> Result<Self, PgError> {
        let mut format = CopyFormat {
            is_csv: false,
            header: Header::None,
            delimiter: b'\t',
            null: "\\N".to_owned(),
            quote: b'"',
            escape: b'"',
            force_quote: false,
        };
        match options.get("FORMAT").map(String::as_str) {
            None | Some("TEXT") => {}
            Some("CSV") => (format.is_csv, format.delimiter, format.null) = (true, b',', String::new()),
            Some(other) => {
                let does = if direction == Direction::To { "writes" } else { "reads" };
                return Err(PgError::new(NOT_SUPPORTED, format!("COPY {does} the formats text and csv, not {}", other.to_lowercase())));
            }
        }
        let mut escape = None;
        for (name, value) in options {
            let byte = || match value.as_bytes() {
                [byte] if byte.is_ascii() && (!byte.is_ascii_control() || *byte == b'\t') => Ok(*byte),
                [b'\\', b't'] => Ok(b'\t'),
                _ => Err(PgError::new(WRONG_VALUE, format!("COPY {} must be a single one-byte character", name.to_lowercase()))),
            };
            match name.as_str() {
                "FORMAT" => {}
                "HEADER" => format.header = header(value, direction)?,
                "DELIMITER" | "DELIMITERS" => format.delimiter = byte()?,
                "NULL" => format.null = value.clone(),
                "QUOTE" | "ESCAPE" if !format.is_csv => {
                    return Err(PgError::new(NOT_SUPPORTED, format!("COPY {} requires CSV mode", name.to_lowercase())));
                }
                "QUOTE" => format.quote = byte()?,
                "ESCAPE" => escape = Some(byte()?),
                "ENCODING" if value.eq_ignore_ascii_case("utf8") || value.eq_ignore_ascii_case("utf-8") => {}
                "FORCE_QUOTE" if direction == Direction::To => format.force_quote = true,
                other => return Err(PgError::new(NOT_SUPPORTED, format!("COPY has no option {}", other.to_lowercase()))),
            }
        }
        format.escape = escape.unwrap_or(format.quote);
        format.check()?;
        Ok(format)
    }

    /// # Errors
    /// What was written so could not be read again.
    fn check(&self) -> Result<(), PgError> {
        let wrong = |message: &str| Err(PgError::new(WRONG_VALUE, message));
        if self.null.contains(['\n', '\r']) {
            return wrong("COPY null representation cannot use newline or carriage return");
        }
        if self.null.contains(char::from(self.delimiter)) {
            return wrong("COPY delimiter character must not appear in the NULL specification");
        }
        if !self.is_csv
            && (self.delimiter.is_ascii_lowercase() || self.delimiter.is_ascii_digit() || matches!(self.delimiter, b'\\' | b'.'))
        {
            return wrong(&format!("COPY delimiter cannot be \"{}\"", char::from(self.delimiter)));
        }
        if self.is_csv && self.delimiter == self.quote {
            return wrong("COPY delimiter and quote must be different");
        }
        if self.is_csv && self.null.contains(char::from(self.quote)) {
            return wrong("CSV quote character must not appear in the NULL specification");
        }
        Ok(())
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
            if byte == self.quote || byte == self.escape {
                line.push(self.escape);
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

fn header(value: &str, direction: Direction) -> Result<Header, PgError> {
    match value.to_ascii_uppercase().as_str() {
        "TRUE" | "ON" | "1" => Ok(Header::Names),
        "FALSE" | "OFF" | "0" => Ok(Header::None),
        "MATCH" if direction == Direction::From => Ok(Header::Match),
        "MATCH" => Err(PgError::new(WRONG_VALUE, "cannot use \"match\" with HEADER in COPY TO")),
        _ => Err(PgError::new(WRONG_VALUE, "header requires a Boolean value or \"match\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &[(&str, &str)], fields: &[Option<&str>]) -> String {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let format = CopyFormat::of(&options, Direction::To).expect("good");
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

    #[test]
    fn what_could_not_be_read_again_is_refused() {
        for options in [
            &[("FORMAT", "BINARY")][..],
            &[("DELIMITER", "a")],
            &[("DELIMITER", "ab")],
            &[("DELIMITER", "ä")],
            &[("NULL", "a\tb")],
            &[("QUOTE", "'")],
            &[("HEADER", "maybe")],
            &[("FORMAT", "CSV"), ("QUOTE", ",")],
            &[("FORMAT", "CSV"), ("NULL", "\"")],
            &[("FORCE_NULL", "TRUE")],
        ] {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert!(CopyFormat::of(&options, Direction::From).is_err(), "{options:?}");
        }
    }
}
