//! What the parser says of text that it cannot read.

use std::fmt;

use crate::ast::{Location, Span};
use crate::print::{Secrets, blot_values};

/// What is wrong with the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// It does not follow the grammar.
    Syntax,
    /// It follows the grammar, but a part of it means nothing (a number that no type holds, say).
    Invalid,
    /// A clause takes a value of another kind. Printed with the place last, as ksqlDB names none here.
    Value,
}

/// An error in the text: where, what is wrong and what would be right. `Display` gives `line L:C: message`, the line
/// quoted with a caret under the place, and the suggestion if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub kind: ParseErrorKind,
    /// What was found or expected, without the place. May be empty where the suggestion says it all.
    pub message: String,
    pub span: Span,
    /// The line that the error stands in, cut on both sides if it is very long.
    pub line_text: String,
    /// How many characters of `line_text` stand before the error.
    pub caret: usize,
    /// What would be right, as a sentence («Did you mean 'SELECT'?»).
    pub suggestion: Option<String>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { line, column } = self.span.start;
        match self.kind {
            ParseErrorKind::Syntax => writeln!(f, "line {line}:{column}: Syntax Error\n{}", self.message)?,
            // ksqlDB counts one column further here, and scripts may look for its place. The caret stands right.
            ParseErrorKind::Invalid => {
                writeln!(f, "Failed to prepare statement: line {line}:{}: {}", column.saturating_add(1), self.message)?;
            }
            ParseErrorKind::Value => writeln!(f, "Failed to prepare statement: {} (line {line}:{column})", self.message)?,
        }
        const LABEL: &str = "Statement: ";
        writeln!(f, "{LABEL}{}", self.line_text)?;
        // Tabs keep their width if the caret's line has them too.
        let indent: String = self.line_text.chars().take(self.caret).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "{:width$}{indent}^", "", width = LABEL.len())?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n{suggestion}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

/// An error inside the parser, before its line is known. Passes through sqlparser, whose errors are texts, encoded.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub kind: ParseErrorKind,
    pub message: String,
    pub span: Span,
    pub hint: Option<String>,
}

/// Starts an encoded fault and parts its fields; never part of a message of sqlparser's own.
const MARK: char = '\u{1}';

impl Fault {
    pub fn syntax(span: Span, message: impl Into<String>) -> Self {
        Fault { kind: ParseErrorKind::Syntax, message: message.into(), span, hint: None }
    }

    pub fn invalid(span: Span, message: impl Into<String>) -> Self {
        Fault { kind: ParseErrorKind::Invalid, message: message.into(), span, hint: None }
    }

    pub fn value(span: Span, message: impl Into<String>) -> Self {
        Fault { kind: ParseErrorKind::Value, message: message.into(), span, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With this hint if it has none.
    pub fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The error as sqlparser's parser can carry it.
    pub fn encode(self) -> sqlparser::parser::ParserError {
        let kind = match self.kind {
            ParseErrorKind::Syntax => "syntax",
            ParseErrorKind::Invalid => "invalid",
            ParseErrorKind::Value => "value",
        };
        let Span { start, end } = self.span;
        let plain = |s: &str| s.replace(MARK, " ");
        let hint = self.hint.as_deref().map(plain).unwrap_or_default();
        let message = plain(&self.message);
        let place = format!("{} {} {} {}", start.line, start.column, end.line, end.column);
        sqlparser::parser::ParserError::ParserError(format!("{MARK}{kind}{MARK}{place}{MARK}{message}{MARK}{hint}"))
    }

    /// The reverse of `encode`; none for an error of sqlparser's own.
    pub fn decode(text: &str) -> Option<Self> {
        let mut fields = text.strip_prefix(MARK)?.split(MARK);
        let kind = match fields.next()? {
            "syntax" => ParseErrorKind::Syntax,
            "invalid" => ParseErrorKind::Invalid,
            _ => ParseErrorKind::Value,
        };
        let mut place = fields.next()?.split(' ').map_while(|n| n.parse().ok());
        let mut location = || Some(Location { line: place.next()?, column: place.next()? });
        let span = Span { start: location()?, end: location()? };
        let message = fields.next()?.to_string();
        let hint = fields.next().filter(|h| !h.is_empty()).map(str::to_string);
        Some(Fault { kind, message, span, hint })
    }

    /// The error with the line of `source` that it stands in. What may be a password of a connector is not repeated.
    pub fn locate(self, source: &str) -> ParseError {
        let secrets = Secrets::of(source);
        let source = &*blot_values(source);
        let line = usize::try_from(self.span.start.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let before = usize::try_from(self.span.start.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let (line_text, caret) = quote(source.split('\n').nth(line).unwrap_or("").trim_end_matches('\r'), before);
        let (message, suggestion) = (secrets.without(self.message), self.hint.map(|hint| secrets.without(hint)));
        ParseError { kind: self.kind, message, span: self.span, line_text, caret, suggestion }
    }
}

/// Characters of a line that an error quotes at most, and how many of them stand before the caret.
const MAX_QUOTED_CHARS: usize = 400;
const QUOTED_BEFORE: usize = 120;

/// The line, cut around the place if it is long, and the place in what is left.
fn quote(line: &str, before: usize) -> (String, usize) {
    if line.len() <= MAX_QUOTED_CHARS || line.chars().count() <= MAX_QUOTED_CHARS {
        return (line.to_string(), before);
    }
    let skipped = before.saturating_sub(QUOTED_BEFORE);
    let mut part: String = line.chars().skip(skipped).take(MAX_QUOTED_CHARS).collect();
    if line.chars().nth(skipped + MAX_QUOTED_CHARS).is_some() {
        part.push('…');
    }
    match skipped {
        0 => (part, before),
        _ => (format!("…{part}"), before - skipped + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32) -> Span {
        let start = Location { line, column };
        Span { start, end: start }
    }

    #[test]
    fn an_error_shows_its_line_and_place() {
        let error = Fault::syntax(at(2, 5), "Expecting {',', ')'}").hint("Did you mean 'FROM'?").locate("a\n\tb  cd\n");
        let text = error.to_string();
        assert_eq!(text, "line 2:5: Syntax Error\nExpecting {',', ')'}\nStatement: \tb  cd\n           \t   ^\nDid you mean 'FROM'?");
    }

    #[test]
    fn a_fault_survives_the_way_through_sqlparser() {
        let fault = Fault::invalid(at(3, 7), "no 'x'").hint("try y");
        let sqlparser::parser::ParserError::ParserError(text) = fault.encode() else { panic!("encoded") };
        let back = Fault::decode(&text).expect("decodes");
        assert_eq!((back.kind, back.message.as_str(), back.hint.as_deref()), (ParseErrorKind::Invalid, "no 'x'", Some("try y")));
        assert_eq!((back.span.start.line, back.span.start.column), (3, 7));
        assert!(Fault::decode("Expected: x, found: y").is_none());
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = "x".repeat(5_000);
        let error = Fault::syntax(at(1, 3_000), "").locate(&line);
        assert!(error.line_text.chars().count() <= MAX_QUOTED_CHARS + 2);
        assert_eq!(error.caret, QUOTED_BEFORE + 1);
    }
}
