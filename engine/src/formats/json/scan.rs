//! The scanner: walks over the bytes of a JSON text, checks its syntax, and borrows what it can.
//!
//! Nothing here knows types or columns. No bytes make it panic: every access is checked, and skipping does not recurse.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::dialect::{DecimalTexts, Dialect};
use super::number::Number;
use super::plain_run::plain_run;
use crate::formats::{DecodeError, Span};
use crate::types::SqlType;

/// What the scanner's methods return. Errors are boxed, so that the good path moves few bytes.
pub(super) type Scanned<T> = Result<T, Box<Fault>>;

/// Why a text could not be read: its syntax, or a value that does not fit its column.
#[derive(Debug)]
pub(super) struct Fault {
    message: String,
    /// Where the value stands, the innermost first; `None` for faults of syntax.
    path: Option<Vec<String>>,
}

impl Fault {
    pub(super) fn syntax(message: String) -> Box<Self> {
        Box::new(Fault { message, path: None })
    }

    pub(super) fn value(message: String) -> Box<Self> {
        Box::new(Fault { message, path: Some(Vec::new()) })
    }

    /// The same fault, seen from the value around: `segment` is `.name` or `[index]`.
    pub(super) fn within(mut self: Box<Self>, segment: impl FnOnce() -> String) -> Box<Self> {
        if let Some(path) = &mut self.path {
            path.push(segment());
        }
        self
    }
}

impl From<Box<Fault>> for DecodeError {
    fn from(fault: Box<Fault>) -> Self {
        match fault.path {
            Some(mut path) => {
                path.reverse();
                DecodeError::at(fault.message, path)
            }
            None => DecodeError::new(fault.message),
        }
    }
}

/// A position in a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// A number was cut to its type.
    wrapped: bool,
    dialect: Dialect,
    /// A text stood for a DECIMAL, and it is undecided what it means.
    met_undecided: bool,
}

impl<'a> Scanner<'a> {
    /// Stands at the first byte that is neither a byte order mark nor blank.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = Scanner {
            bytes: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes),
            at: 0,
            wrapped: false,
            dialect: Dialect::default(),
            met_undecided: false,
        };
        scanner.skip_blanks();
        scanner
    }

    /// The same, for another dialect.
    #[inline(always)]
    pub(super) fn with(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    #[inline(always)]
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sets what a text means where a DECIMAL should stand.
    #[inline(always)]
    pub(super) fn set_decimals(&mut self, decimals: DecimalTexts) {
        self.dialect.decimals = decimals;
    }

    #[cold]
    pub(super) fn note_undecided(&mut self) {
        self.met_undecided = true;
    }

    pub(super) fn met_undecided(&self) -> bool {
        self.met_undecided
    }

    /// Bytes of the whole text, without a byte order mark.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Notes that a number was beyond its type.
    #[cold]
    pub(super) fn note_wrapped(&mut self) {
        self.wrapped = true;
    }

    /// Whether a number was beyond its type since this was asked last.
    #[inline(always)]
    pub(super) fn take_wrapped(&mut self) -> bool {
        std::mem::take(&mut self.wrapped)
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The bytes from an earlier position to this one.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte; 0, which stands nowhere in JSON, at the end.
    #[inline(always)]
    pub(super) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub(super) fn skip_blanks(&mut self) {
        if self.peek() <= b' ' {
            self.skip_several_blanks();
        }
    }

    fn skip_several_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Passes over `text` if it stands here.
    #[inline(always)]
    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        let taken = self.rest().starts_with(text);
        if taken {
            self.at += text.len();
        }
        taken
    }

    /// Passes over a name with its quotes if it stands here.
    #[inline(always)]
    pub(super) fn take_name(&mut self, name: &QuotedName) -> bool {
        let taken = name.begins(self.rest());
        if taken {
            self.at += name.text.len();
        }
        taken
    }

    /// Passes over one byte if it stands here.
    #[inline(always)]
    pub(super) fn take_byte(&mut self, byte: u8) -> bool {
        let taken = self.peek() == byte;
        if taken {
            self.at += 1;
        }
        taken
    }

    /// Passes over the colon behind a member's name, and the blanks around it.
    #[inline(always)]
    pub(super) fn colon(&mut self) -> Scanned<()> {
        self.skip_blanks();
        if !self.take_byte(b':') {
            return Err(self.unexpected("a colon to separate field name and value"));
        }
        self.skip_blanks();
        Ok(())
    }

    /// Passes over `true`, `false` or `null`.
    pub(super) fn literal(&mut self, literal: &str) -> Scanned<()> {
        if self.take(literal.as_bytes()) { Ok(()) } else { Err(self.unexpected(ANY_VALUE)) }
    }

    /// A root value that is a number or a word must end where it ends: `12x` is no 12. What comes behind any root value
    /// after a blank is not looked at, as in ksqlDB.
    pub(super) fn end_of_root(&self) -> Scanned<()> {
        let last = self.at.checked_sub(1).and_then(|at| self.bytes.get(at)).copied().unwrap_or(0);
        let closed =
            matches!(last, b'"' | b'}' | b']') || matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') || self.at >= self.bytes.len();
        if closed { Ok(()) } else { Err(self.unexpected("the end of the value")) }
    }

    /// The string that begins here (at its quote), borrowed unless it has escapes.
    #[inline]
    pub(super) fn text(&mut self) -> Scanned<Cow<'a, str>> {
        self.open_text()?;
        let start = self.at;
        let (end, _) = plain_run(self.bytes, start);
        if self.bytes.get(end) != Some(&b'"') {
            return self.text_with_escapes(start);
        }
        self.at = end + 1;
        let text = self.bytes.get(start..end).unwrap_or_default();
        std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| invalid_utf8())
    }

    /// Passes over the string that begins here (at its quote).
    #[inline]
    pub(super) fn skip_text(&mut self) -> Scanned<()> {
        self.open_text()?;
        let start = self.at;
        let (end, has_high) = plain_run(self.bytes, start);
        if self.bytes.get(end) != Some(&b'"') {
            return self.text_with_escapes(start).map(drop);
        }
        self.at = end + 1;
        if has_high && std::str::from_utf8(self.bytes.get(start..end).unwrap_or_default()).is_err() {
            return Err(invalid_utf8());
        }
        Ok(())
    }

    /// Passes over the value that begins here if it stands just as a value of that type is written, and says where;
    /// `None`, and nothing is passed over, if it does not, or may not.
    #[inline]
    pub(super) fn verbatim(&mut self, sql_type: &SqlType) -> Option<Span> {
        let start = self.at;
        match sql_type {
            SqlType::String if self.peek() == b'"' => {
                let (end, has_high) = plain_run(self.bytes, start + 1);
                let is_plain = self.bytes.get(end) == Some(&b'"');
                if !is_plain || has_high && std::str::from_utf8(self.bytes.get(start + 1..end)?).is_err() {
                    return None;
                }
                self.at = end + 1;
            }
            SqlType::BigInt | SqlType::Int | SqlType::Timestamp => {
                let (value, length) = Number::short_integer(self.rest())?;
                let is_minus_zero = value == 0 && length > 1;
                if is_minus_zero || matches!(sql_type, SqlType::Int) && i32::try_from(value).is_err() {
                    return None;
                }
                self.at += length;
            }
            _ => return None,
        }
        Some(Span { start, end: self.at })
    }

    #[inline(always)]
    fn open_text(&mut self) -> Scanned<()> {
        if self.take_byte(b'"') { Ok(()) } else { Err(self.unexpected("double-quote to start a string")) }
    }

    /// A string with escapes in it, from behind its opening quote.
    #[cold]
    fn text_with_escapes(&mut self, start: usize) -> Scanned<Cow<'a, str>> {
        let mut text = Vec::new();
        self.at = start;
        loop {
            let (end, _) = plain_run(self.bytes, self.at);
            text.extend_from_slice(self.bytes.get(self.at..end).unwrap_or_default());
            self.at = end;
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at += 1;
                    return String::from_utf8(text).map(Cow::Owned).map_err(|_| invalid_utf8());
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(control) => {
                    return Err(Fault::syntax(format!(
                        "Illegal unquoted character (code {control}): has to be escaped using backslash to be included in string value"
                    )));
                }
                None => return Err(Fault::syntax("Unexpected end-of-input: was expecting closing quote for a string value".into())),
            }
        }
    }

    /// The character of an escape, from behind its backslash. Half a surrogate pair becomes U+FFFD.
    fn escape(&mut self) -> Scanned<char> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex4()?;
                let mut behind = *self;
                if (0xd800..0xdc00).contains(&unit)
                    && behind.take(b"\\u")
                    && let Ok(low @ 0xdc00..0xe000) = behind.hex4()
                {
                    *self = behind;
                    char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
                } else {
                    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            _ => {
                self.at -= 1;
                return Err(Fault::syntax(format!("Unrecognized character escape {}", self.next_shown())));
            }
        })
    }

    fn hex4(&mut self) -> Scanned<u32> {
        let digits = self.rest().get(..4).unwrap_or_default();
        let unit = digits.iter().try_fold(0, |value, digit| char::from(*digit).to_digit(16).map(|digit| value * 16 + digit));
        match unit {
            Some(unit) if digits.len() == 4 => {
                self.at += 4;
                Ok(unit)
            }
            _ => Err(Fault::syntax("expected a hex-digit for character escape sequence".into())),
        }
    }

    /// A whole number of up to 18 digits; `None` (and nothing is passed over) for any other number.
    #[inline(always)]
    pub(super) fn short_integer(&mut self) -> Option<i64> {
        let (digits, consumed) = Number::short_integer(self.rest())?;
        self.at += consumed;
        Some(digits)
    }

    /// The number that begins here.
    pub(super) fn number(&mut self) -> Scanned<Number<'a>> {
        match Number::scan(self.rest()) {
            Ok(number) => {
                self.at += number.text().len();
                Ok(number)
            }
            Err(at) => {
                self.at += at;
                Err(self.unexpected("digit (0-9) of a number"))
            }
        }
    }

    /// Passes over the value that begins here, whatever it is.
    #[inline]
    pub(super) fn skip_value(&mut self) -> Scanned<()> {
        match self.peek() {
            b'"' => self.skip_text(),
            b'{' | b'[' => self.skip_container(),
            _ => self.skip_plain(),
        }
    }

    /// Passes over a number or a word.
    #[inline]
    fn skip_plain(&mut self) -> Scanned<()> {
        match self.peek() {
            b'-' | b'0'..=b'9' if self.short_integer().is_some() => Ok(()),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.unexpected(ANY_VALUE)),
        }
    }

    /// Passes over an array or an object. One bit for each level says which of the two it is.
    fn skip_container(&mut self) -> Scanned<()> {
        let mut objects = [0u64; MAX_DEPTH / 64];
        let mut depth = 0;
        loop {
            // Here a value begins.
            let open = self.peek();
            if open == b'{' || open == b'[' {
                if depth == MAX_DEPTH {
                    return Err(too_deep());
                }
                self.at += 1;
                self.skip_blanks();
                let bit = 1 << (depth % 64);
                if let Some(word) = objects.get_mut(depth / 64) {
                    *word = if open == b'{' { *word | bit } else { *word & !bit };
                }
                depth += 1;
                if open == b'{' && self.peek() != b'}' {
                    self.skip_text()?;
                    self.colon()?;
                    continue;
                }
                if open == b'[' && self.peek() != b']' {
                    continue;
                }
            } else if open == b'"' {
                self.skip_text()?;
            } else {
                self.skip_plain()?;
            }
            // Here a value (or the opening of an empty container) has ended.
            loop {
                let in_object = objects.get((depth - 1) / 64).is_some_and(|word| word >> ((depth - 1) % 64) & 1 == 1);
                self.skip_blanks();
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.skip_blanks();
                        if in_object {
                            self.skip_text()?;
                            self.colon()?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return Err(self.unexpected(if in_object { COMMA_IN_OBJECT } else { COMMA_IN_ARRAY })),
                }
                self.at += 1;
                depth -= 1;
                if depth == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// A fault of syntax at this position.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Box<Fault> {
        if self.at >= self.bytes.len() {
            return Fault::syntax(format!("Unexpected end-of-input: was expecting {expected}"));
        }
        let word = self.rest().iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').take(MAX_SHOWN_BYTES).copied();
        let word: Vec<u8> = word.collect();
        if word.first().is_some_and(u8::is_ascii_alphabetic) {
            return Fault::syntax(format!("Unrecognized token '{}': was expecting {expected}", String::from_utf8_lossy(&word)));
        }
        Fault::syntax(format!("Unexpected character {}: was expecting {expected}", self.next_shown()))
    }

    fn next_shown(&self) -> String {
        match self.rest().first() {
            Some(byte) if byte.is_ascii_graphic() => format!("('{}' (code {byte}))", char::from(*byte)),
            Some(byte) => format!("(code {byte})"),
            None => "(end-of-input)".into(),
        }
    }
}

/// A member's name as it stands in a text, with its quotes, made ready to be compared in a few instructions.
pub(super) struct QuotedName {
    text: Box<[u8]>,
    /// The first eight bytes (or all, with zeros behind), and a mask of as many.
    head: u64,
    mask: u64,
}

impl QuotedName {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut head = [0; 8];
        let mut mask = [0; 8];
        for ((head, mask), byte) in head.iter_mut().zip(&mut mask).zip(text) {
            *head = *byte;
            *mask = 0xff;
        }
        QuotedName { text: text.into(), head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask) }
    }

    /// Whether `bytes` begin with the name.
    #[inline(always)]
    fn begins(&self, bytes: &[u8]) -> bool {
        let Some(head) = bytes.first_chunk::<8>() else { return bytes.starts_with(&self.text) };
        if u64::from_le_bytes(*head) & self.mask != self.head {
            return false;
        }
        match self.text.len() {
            ..=8 => true,
            // The last eight bytes overlap the first: no loop.
            length @ ..=16 => match (bytes.get(length - 8..).and_then(|rest| rest.first_chunk::<8>()), self.text.last_chunk::<8>()) {
                (Some(there), Some(here)) => there == here,
                _ => false,
            },
            _ => bytes.starts_with(&self.text),
        }
    }
}

/// Bytes of an unknown word that an error shows.
const MAX_SHOWN_BYTES: usize = 40;

pub(super) const ANY_VALUE: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
pub(super) const COMMA_IN_OBJECT: &str = "comma to separate Object entries";
pub(super) const COMMA_IN_ARRAY: &str = "comma to separate Array entries";

#[cold]
fn invalid_utf8() -> Box<Fault> {
    Fault::syntax("Invalid UTF-8 in a string".into())
}

#[cold]
pub(super) fn too_deep() -> Box<Fault> {
    Fault::syntax(format!("Document nesting depth exceeds the maximum allowed ({MAX_DEPTH})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &[u8]) -> Result<usize, String> {
        let mut scanner = Scanner::new(text);
        scanner.skip_value().map(|()| scanner.position()).map_err(|fault| DecodeError::from(fault).to_string())
    }

    #[test]
    fn valid_values_are_passed_over_whole() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "12.5e-3",
            "1E+5",
            r#""""#,
            r#""a\"b\\\u00e9\ud83d\ude00""#,
            "{}",
            "[]",
            "[[],{}]",
            r#"{"a":[1,{"b":null}],"c":"é{["}"#,
            "[ 1 , 2 ]",
            "{ \"a\" : 1 , \"b\" : [ ] }",
            r#"["0123456789abcdef\n"]"#,
        ] {
            assert_eq!(skip(text.as_bytes()), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn broken_values_are_refused() {
        for (text, reason) in [
            (&b""[..], "end-of-input"),
            (b"not", "Unrecognized token 'not': was expecting (JSON String"),
            (b"nul", "Unrecognized token 'nul'"),
            (b"{", "end-of-input"),
            (b"{\"a\"", "end-of-input: was expecting a colon"),
            (b"{\"a\":}", "Unexpected character ('}' (code 125))"),
            (b"{\"a\":1", "comma to separate Object entries"),
            (b"{\"a\":1]", "comma to separate Object entries"),
            (b"{\"a\":1,}", "double-quote to start a string"),
            (b"{a:1}", "double-quote"),
            (b"[1,]", "JSON String"),
            (b"[1 2]", "comma to separate Array entries"),
            (b"\"abc", "closing quote"),
            (b"\"a\nb\"", "Illegal unquoted character (code 10)"),
            (b"\"\\x\"", "Unrecognized character escape ('x'"),
            (b"\"\\u12g4\"", "hex-digit"),
            (b"\"\\u12\"", "hex-digit"),
            (b"\"\xff\"", "UTF-8"),
            (b"01", "Unexpected character ('1' (code 49))"),
            (b"-", "digit"),
            (b"1.", "digit"),
            (b".5", "Unexpected character"),
            (b"1e", "digit"),
            (b"+1", "Unexpected character"),
        ] {
            let error = skip(text).unwrap_err();
            assert!(error.contains(reason), "{error} for {}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert_eq!(skip(&nested(MAX_DEPTH)), Ok(2 * MAX_DEPTH));
        assert!(skip(&nested(MAX_DEPTH + 1)).unwrap_err().contains("nesting depth"));
    }

    #[test]
    fn texts_borrow_unless_they_have_escapes() {
        for (json, text) in [
            ("\"plain text of some length\"", "plain text of some length"),
            ("\"é\"", "é"),
            (r#""a\"b\\c\/\b\f\n\r\t""#, "a\"b\\c/\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\u0000""#, "é\0"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d!\ude00\ud83d\u0041""#, "\u{fffd}!\u{fffd}\u{fffd}A"),
        ] {
            let read = Scanner::new(json.as_bytes()).text().unwrap_or_default();
            assert_eq!(read, text);
            assert_eq!(matches!(read, Cow::Borrowed(_)), !json.contains('\\'));
        }
    }

    #[test]
    fn names_are_told_apart_at_every_length() {
        for length in 2..40 {
            let text: Vec<u8> = (0..length).map(|i| b'a' + i % 26).collect();
            let name = QuotedName::new(&text);
            for (behind, cut) in [(0, 0), (3, 0), (20, 0), (0, 1)] {
                let mut bytes = [text.clone(), vec![b'x'; behind]].concat();
                bytes.truncate(bytes.len() - cut);
                assert_eq!(name.begins(&bytes), cut == 0);
                for at in 0..text.len().min(bytes.len()) {
                    bytes[at] ^= 1;
                    assert!(!name.begins(&bytes));
                    bytes[at] ^= 1;
                }
            }
        }
    }
}
