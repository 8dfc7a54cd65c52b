//! Data of a COPY … FROM STDIN: bytes as they come, cut into records, and a record into its fields. A record is a line; in CSV a
//! quoted field may go over several.

use std::borrow::Cow;

use bytes::{Buf, BytesMut};

use super::copy::CopyFormat;
use super::error::{BAD_COPY, PgError, TOO_MANY, WRONG_BYTES};

/// Bytes of a record at most.
const MAX_RECORD_BYTES: usize = 16 << 20;

/// Bytes that have come and are not yet rows.
#[derive(Default)]
pub struct Lines {
    bytes: BytesMut,
    /// How much of them was looked at for the record's end, and how that stood.
    scanned: usize,
    is_quoted: bool,
    is_escaped: bool,
    /// Lines that have been taken; the last record's last line is of this number.
    pub line: u64,
    /// Lines of the record that is being looked at, beside its last one.
    within: u64,
    /// Whether lines end with a carriage return and a line feed, as the first one did.
    crlf: Option<bool>,
    /// Whether no more comes.
    is_over: bool,
    /// Whether the end was marked within the data: what is behind it is passed over.
    is_marked: bool,
}

impl Lines {
    pub fn push(&mut self, data: &[u8]) {
        if !self.is_marked {
            self.bytes.extend_from_slice(data);
        }
    }

    pub fn finish(&mut self) {
        self.is_over = true;
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The next record, without the end of its line; `None`: it has not all come.
    ///
    /// # Errors
    /// It is too long, or no text.
    pub fn next(&mut self, format: &CopyFormat) -> Result<Option<String>, PgError> {
        if self.is_marked {
            self.bytes.clear();
            return Ok(None);
        }
        let (end, length) = match self.end(format) {
            Some(at) => (at, at + 1),
            None if self.bytes.len() > MAX_RECORD_BYTES => {
                self.line += 1;
                return Err(PgError::new(TOO_MANY, format!("a row of COPY may have up to {MAX_RECORD_BYTES} bytes")));
            }
            None if self.is_over && !self.bytes.is_empty() => (self.bytes.len(), self.bytes.len()),
            None => return Ok(None),
        };
        self.line += 1 + std::mem::take(&mut self.within);
        (self.scanned, self.is_quoted, self.is_escaped) = (0, false, false);
        let mut record = self.bytes.split_to(end);
        self.bytes.advance(length - end);
        if self.bytes.is_empty() {
            // What one long record took is not kept for short ones.
            self.bytes = BytesMut::new();
        }
        if *self.crlf.get_or_insert_with(|| record.last() == Some(&b'\r')) && record.last() == Some(&b'\r') {
            record.truncate(record.len() - 1);
        }
        if &record[..] == b"\\." {
            self.is_marked = true;
            self.bytes = BytesMut::new();
            return Ok(None);
        }
        let record = String::from_utf8(record.to_vec());
        record.map(Some).map_err(|_| PgError::new(WRONG_BYTES, "invalid byte sequence for encoding \"UTF8\""))
    }

    /// Where the record's last line ends.
    fn end(&mut self, format: &CopyFormat) -> Option<usize> {
        let escape =
            if !format.is_csv || format.escape != format.quote { Some(if format.is_csv { format.escape } else { b'\\' }) } else { None };
        for (index, byte) in self.bytes.iter().enumerate().skip(self.scanned) {
            let byte = *byte;
            if format.is_csv {
                if self.is_quoted && Some(byte) == escape {
                    self.is_escaped = !self.is_escaped;
                }
                if byte == format.quote && !self.is_escaped {
                    self.is_quoted = !self.is_quoted;
                }
                if Some(byte) != escape {
                    self.is_escaped = false;
                }
                match byte {
                    b'\n' if self.is_quoted => self.within += 1,
                    b'\n' => return Some(index),
                    _ => {}
                }
            } else if byte == b'\n' && !self.is_escaped {
                return Some(index);
            } else {
                // A line feed behind a backslash belongs to the field.
                self.within += u64::from(byte == b'\n');
                self.is_escaped = Some(byte) == escape && !self.is_escaped;
            }
        }
        self.scanned = self.bytes.len();
        None
    }
}

/// The fields of a record; `None`: null.
///
/// # Errors
/// A quote is not closed.
pub fn fields<'a>(record: &'a str, format: &CopyFormat) -> Result<Vec<Option<Cow<'a, str>>>, PgError> {
    if format.is_csv { csv_fields(record, format) } else { text_fields(record, format) }
}

fn csv_fields<'a>(record: &'a str, format: &CopyFormat) -> Result<Vec<Option<Cow<'a, str>>>, PgError> {
    let (quote, escape, delimiter) = (char::from(format.quote), char::from(format.escape), char::from(format.delimiter));
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        // Most fields are not quoted.
        let plain = rest.find([quote, delimiter]).unwrap_or(rest.len());
        let (before, after) = rest.split_at(plain);
        if !after.starts_with(quote) {
            fields.push((before != format.null).then_some(Cow::Borrowed(before)));
            match after.strip_prefix(delimiter) {
                Some(after) => rest = after,
                None => return Ok(fields),
            }
            continue;
        }
        let mut field = before.to_owned();
        let mut chars = after.chars();
        let mut is_quoted = false;
        let is_last = loop {
            let Some(c) = chars.next() else {
                if is_quoted {
                    return Err(PgError::new(BAD_COPY, "unterminated CSV quoted field"));
                }
                break true;
            };
            if is_quoted {
                let next = chars.clone().next();
                match next {
                    Some(next) if c == escape && (next == escape || next == quote) => {
                        field.push(next);
                        chars.next();
                    }
                    _ if c == quote => is_quoted = false,
                    _ => field.push(c),
                }
            } else if c == quote {
                is_quoted = true;
            } else if c == delimiter {
                break false;
            } else {
                field.push(c);
            }
        };
        // What was quoted is never null.
        fields.push(Some(Cow::Owned(field)));
        if is_last {
            return Ok(fields);
        }
        rest = chars.as_str();
    }
}

fn text_fields<'a>(record: &'a str, format: &CopyFormat) -> Result<Vec<Option<Cow<'a, str>>>, PgError> {
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let mut is_escaped = false;
        let end = rest.bytes().position(|byte| {
            let ends = byte == format.delimiter && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        let field = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        fields.push(if field == format.null { None } else { Some(unescaped(field)?) });
        match end {
            Some(end) => rest = rest.get(end + 1..).unwrap_or_default(),
            None => return Ok(fields),
        }
    }
}

/// A field of the text format, its backslashes read.
fn unescaped(field: &str) -> Result<Cow<'_, str>, PgError> {
    if !field.contains('\\') {
        return Ok(Cow::Borrowed(field));
    }
    // Numbers stand for bytes, which together are to be a text again.
    let mut out = Vec::with_capacity(field.len());
    let mut bytes = field.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        out.push(match escaped {
            None => byte,
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(b'x') if bytes.peek().is_some_and(u8::is_ascii_hexdigit) => number(&mut bytes, 0, 16, 2),
            Some(digit @ b'0'..=b'7') => number(&mut bytes, digit - b'0', 8, 2),
            Some(other) => other,
        });
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| PgError::new(WRONG_BYTES, "invalid byte sequence for encoding \"UTF8\""))
}

/// A byte by its digits, of which `most` follow at most.
fn number(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>, first: u8, radix: u32, most: usize) -> u8 {
    let mut value = u32::from(first);
    for _ in 0..most {
        let Some(digit) = bytes.peek().and_then(|byte| char::from(*byte).to_digit(radix)) else { break };
        value = value * radix + digit;
        bytes.next();
    }
    u8::try_from(value & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::copy::Direction;

    fn format(options: &[(&str, &str)]) -> CopyFormat {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        CopyFormat::of(&options, Direction::From).expect("good")
    }

    /// Records with the numbers of their lines, however the bytes come.
    fn records(data: &str, format: &CopyFormat) -> Vec<(u64, Vec<Option<String>>)> {
        let read = |chunk: usize| {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            let mut take = |lines: &mut Lines| {
                while let Some(record) = lines.next(format).expect("short") {
                    let fields = fields(&record, format).expect("closed");
                    found.push((lines.line, fields.into_iter().map(|field| field.map(Cow::into_owned)).collect()));
                }
            };
            for part in data.as_bytes().chunks(chunk) {
                lines.push(part);
                take(&mut lines);
            }
            lines.finish();
            take(&mut lines);
            found
        };
        let at_once = read(data.len());
        assert_eq!(read(1), at_once, "byte by byte");
        at_once
    }

    fn row(line: u64, fields: &[Option<&str>]) -> (u64, Vec<Option<String>>) {
        (line, fields.iter().map(|field| field.map(str::to_owned)).collect())
    }

    #[test]
    fn text_is_cut_into_rows_and_fields() {
        let text = format(&[]);
        assert_eq!(
            records("1\ta\\tb\t\\N\n\\\\N\t\tx\\\ny\\101\\x42\nlast", &text),
            [row(1, &[Some("1"), Some("a\tb"), None]), row(3, &[Some("\\N"), Some(""), Some("x\nyAB")]), row(4, &[Some("last")])]
        );
        assert_eq!(records("1\r\n2\r\n\\.\r\nnever", &text), [row(1, &[Some("1")]), row(2, &[Some("2")])]);
        assert_eq!(records("a|b\n", &format(&[("DELIMITER", "|"), ("NULL", "b")])), [row(1, &[Some("a"), None])]);
        assert!(unescaped("\\xff").is_err_and(|error| error.code == WRONG_BYTES));
    }

    #[test]
    fn csv_is_cut_into_rows_and_fields() {
        let csv = format(&[("FORMAT", "CSV")]);
        assert_eq!(
            records("1,\"a,\"\"b\"\"\",,\"\"\n2,x\"y\"z,\"two\nlines\",\n", &csv),
            [row(1, &[Some("1"), Some("a,\"b\""), None, Some("")]), row(3, &[Some("2"), Some("xyz"), Some("two\nlines"), None])]
        );
        let odd = format(&[("FORMAT", "CSV"), ("QUOTE", "'"), ("ESCAPE", "\\"), ("DELIMITER", ";"), ("NULL", "-")]);
        assert_eq!(records("'it\\'s \\\\ \n';-;'-'\n", &odd), [row(2, &[Some("it's \\ \n"), None, Some("-")])]);
        assert!(fields("a,\"b", &csv).is_err_and(|error| error.code == BAD_COPY));
    }

    #[test]
    fn what_was_written_is_read_again() {
        let given = [Some("a\tb,"), None, Some("\\N"), Some(""), Some("x\ny\r"), Some("\\."), Some("\"'")];
        for options in [&[][..], &[("FORMAT", "CSV")], &[("FORMAT", "CSV"), ("ESCAPE", "\\")], &[("NULL", ""), ("DELIMITER", ",")]] {
            let format = format(options);
            // An empty text is null where null is empty.
            let given = given.map(|field| field.filter(|text| format.is_csv || *text != format.null));
            let line = String::from_utf8(format.line(given.iter().map(|field| field.map(str::to_owned)))).expect("text");
            let read = records(&line, &format);
            assert_eq!(read.iter().map(|(_, fields)| fields.clone()).collect::<Vec<_>>(), [row(1, &given).1], "{options:?}");
        }
    }

    #[test]
    fn a_record_has_bounds() {
        let (mut lines, text) = (Lines::default(), format(&[]));
        lines.push(&vec![b'x'; MAX_RECORD_BYTES + 1]);
        assert!(lines.next(&text).is_err_and(|error| error.code == TOO_MANY));
        let mut lines = Lines::default();
        lines.push(b"\xff\n");
        assert!(lines.next(&text).is_err_and(|error| error.code == WRONG_BYTES));
    }
}
