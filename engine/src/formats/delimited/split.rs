//! Splits the first record of a CSV text into its values, as Apache Commons CSV's default format does.
//!
//! Empty lines before it are passed over. A value that begins with a quote ends at the next single quote and may hold
//! delimiters, line ends and doubled quotes; only blanks may stand between it and the delimiter. In any other value quotes
//! are plain characters.

use std::borrow::Cow;

use crate::formats::DecodeError;

/// Walks over the values of a record.
pub(super) struct Values<'a> {
    rest: &'a [u8],
    delimiter: &'a [u8],
    /// The record has ended.
    done: bool,
}

impl<'a> Values<'a> {
    /// The values of the first record in `text`; none where there is no record.
    pub(super) fn new(text: &'a [u8], delimiter: &'a [u8]) -> Self {
        let start = text.iter().position(|b| !matches!(b, b'\r' | b'\n'));
        let rest = start.and_then(|start| text.get(start..)).unwrap_or_default();
        Values { done: rest.is_empty(), rest, delimiter }
    }

    /// The next value; `None` behind the last.
    ///
    /// # Errors
    /// A quote that is never closed, or text behind a closing quote.
    pub(super) fn next(&mut self) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
        if self.done {
            return Ok(None);
        }
        if self.rest.first() == Some(&b'"') {
            return self.quoted().map(Some);
        }
        let bytes = self.rest;
        let mut end = 0;
        loop {
            let Some(behind) = bytes.get(end..).filter(|behind| !behind.is_empty()) else {
                self.done = true;
                break;
            };
            if behind.starts_with(self.delimiter) {
                self.rest = behind.get(self.delimiter.len()..).unwrap_or_default();
                break;
            }
            if matches!(behind.first(), Some(b'\r' | b'\n')) {
                self.done = true;
                break;
            }
            end += 1;
        }
        Ok(Some(Cow::Borrowed(bytes.get(..end).unwrap_or_default())))
    }

    /// A value in quotes, from its opening quote.
    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, DecodeError> {
        let bytes = self.rest.get(1..).unwrap_or_default();
        let mut value: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        let mut start = 0;
        loop {
            let run = bytes.get(start..).unwrap_or_default();
            let length = memchr::memchr(b'"', run).ok_or_else(|| DecodeError::new("EOF reached before encapsulated token finished"))?;
            let doubled = run.get(length + 1) == Some(&b'"');
            // A doubled quote stands for one, which ends this run.
            let run = run.get(..length + usize::from(doubled)).unwrap_or_default();
            if value.is_empty() {
                value = Cow::Borrowed(run);
            } else {
                value.to_mut().extend_from_slice(run);
            }
            start += length + 1 + usize::from(doubled);
            if !doubled {
                break;
            }
        }
        let mut behind = bytes.get(start..).unwrap_or_default();
        loop {
            if behind.starts_with(self.delimiter) {
                self.rest = behind.get(self.delimiter.len()..).unwrap_or_default();
                return Ok(value);
            }
            match behind.split_first() {
                None | Some((b'\r' | b'\n', _)) => {
                    self.done = true;
                    return Ok(value);
                }
                Some((b' ' | b'\t' | 0x0b | 0x0c | 0x1c..=0x1f, rest)) => behind = rest,
                Some(_) => return Err(DecodeError::new("invalid char between encapsulated token and delimiter")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, delimiter: &str) -> Result<Vec<String>, String> {
        let mut values = Values::new(text.as_bytes(), delimiter.as_bytes());
        let mut all = Vec::new();
        while let Some(value) = values.next().map_err(|e| e.to_string())? {
            all.push(String::from_utf8(value.into_owned()).unwrap());
        }
        Ok(all)
    }

    #[test]
    fn records_as_commons_csv_splits_them() {
        let cases: &[(&str, &str, &[&str])] = &[
            ("", ",", &[]),
            ("\r\n\n", ",", &[]),
            ("a", ",", &["a"]),
            ("a,b,c", ",", &["a", "b", "c"]),
            (",,", ",", &["", "", ""]),
            ("a,", ",", &["a", ""]),
            ("\n\na,b\nc,d", ",", &["a", "b"]),
            ("a,b\r\n", ",", &["a", "b"]),
            (" a , b ", ",", &[" a ", " b "]),
            ("\"a,b\",c", ",", &["a,b", "c"]),
            ("\"a\"\"b\",\"\"", ",", &["a\"b", ""]),
            ("\"\"\"\",x", ",", &["\"", "x"]),
            ("\"a\nb\" ,c", ",", &["a\nb", "c"]),
            ("a\"b,c", ",", &["a\"b", "c"]),
            ("1|\"a|b\"", "|", &["1", "a|b"]),
            ("1 \"a b\" ", " ", &["1", "a b", ""]),
            ("1\t2", "\t", &["1", "2"]),
            ("1é2éx", "é", &["1", "2", "x"]),
        ];
        for (text, delimiter, expected) in cases {
            assert_eq!(split(text, delimiter).unwrap(), *expected, "{text:?}");
        }
        assert!(split("\"a", ",").unwrap_err().contains("EOF reached before encapsulated token finished"));
        assert!(split("\"a\"\"", ",").is_err());
        assert!(split("\"a\"b,c", ",").unwrap_err().contains("invalid char between encapsulated token and delimiter"));
    }
}
