//! Where an error stands for its reader. Statements are sent one by one, so the places in a server's messages count from
//! the statement's start; here they become places of what was typed or of the file, with the line quoted.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use tidemill_parser::ParseError;
use tidemill_parser::ast::Location;

/// How long a quoted line may be, in characters, before it is left out.
const MAX_QUOTED: usize = 160;

/// The ways in which messages name a place. The patterns are constants: the tests below would not get past a bad one.
static LEADING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bline (\d+):(\d+): |\bLine: (\d+), Col: (\d+): ").expect("a valid pattern"));
static ANY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(line )(\d+)(:)(\d+)\b|\b(Line: )(\d+)(, Col: )(\d+)\b").expect("a valid pattern"));

/// The text that a statement stands in.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub text: &'a str,
    /// The line of the file that the text begins in, from 1.
    pub first_line: u32,
    pub file: Option<&'a str>,
}

impl Source<'_> {
    /// What the parser says of a statement of this text. Its places are the text's, and the line is quoted.
    pub fn parser_says(&self, error: &ParseError) -> String {
        let message = shifted(&error.to_string(), |line, column| (line.saturating_add(self.first_line).saturating_sub(1), column));
        self.named(&message, Location { line: self.line(error.span.start.line), column: error.span.start.column })
    }

    /// What is said of the statement that begins at `start` of this text, with places that count from there.
    pub fn server_says(&self, message: &str, start: Location) -> String {
        let in_text = |line: u32, column: u32| {
            let column = if line == 1 { start.column.saturating_add(column).saturating_sub(1) } else { column };
            (start.line.saturating_add(line).saturating_sub(1), column)
        };
        let place = LEADING.captures(message).and_then(|found| {
            let number = |i: usize| found.get(i).and_then(|m| m.as_str().parse::<u32>().ok());
            Some(in_text(number(1).or_else(|| number(3))?, number(2).or_else(|| number(4))?))
        });
        let Some((line, column)) = place else {
            return match self.file {
                Some(file) => format!("{file}:{}: {message}", self.line(start.line)),
                None => message.to_owned(),
            };
        };
        let moved = shifted(message, |line, column| {
            let (line, column) = in_text(line, column);
            (self.line(line), column)
        });
        let mut shown = self.named(&moved, Location { line: self.line(line), column });
        // The parser quotes the line itself; what analysis says has the place only.
        if !message.contains("\nStatement: ")
            && let Some(quoted) = usize::try_from(line).ok().and_then(|line| self.text.lines().nth(line.checked_sub(1)?))
            && quoted.chars().count() <= MAX_QUOTED
        {
            let before = usize::try_from(column).map_or(0, |column| column.saturating_sub(1));
            let indent: String = quoted.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            shown.push_str(&format!("\n  {quoted}\n  {indent}^"));
        }
        shown
    }

    /// What is said of the statement that begins at `start` of this text, with places that are the text's own.
    pub fn says(&self, message: &str, start: Location) -> String {
        if LEADING.is_match(message) {
            return self.server_says(message, Location { line: 1, column: 1 });
        }
        self.server_says(message, start)
    }

    /// What is said of this text, behind the place that it names; as it stands where it names none.
    pub fn says_if_placed(&self, message: &str) -> String {
        if LEADING.is_match(message) { self.server_says(message, Location { line: 1, column: 1 }) } else { message.to_owned() }
    }

    /// A line of the text as one of the file.
    fn line(&self, line: u32) -> u32 {
        line.saturating_add(self.first_line).saturating_sub(1)
    }

    /// The message behind the file's name and the place, which it then need not repeat.
    fn named(&self, message: &str, at: Location) -> String {
        match self.file {
            Some(file) => format!("{file}:{}:{}: {}", at.line, at.column, LEADING.replace(message, "")),
            None => message.to_owned(),
        }
    }
}

/// The message with each place in front of its quoted line changed.
fn shifted(message: &str, change: impl Fn(u32, u32) -> (u32, u32)) -> String {
    let (said, quoted) = message.find("\nStatement: ").map_or((message, ""), |at| message.split_at(at));
    let said = ANY.replace_all(said, |found: &Captures<'_>| {
        let part = |i: usize| found.get(i).or_else(|| found.get(i + 4)).map_or("", |m| m.as_str());
        match (part(2).parse(), part(4).parse()) {
            (Ok(line), Ok(column)) => {
                let (line, column) = change(line, column);
                format!("{}{line}{}{column}", part(1), part(3))
            }
            _ => part(0).to_owned(),
        }
    });
    format!("{said}{quoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SHOW X; SELECT a,\n  bb FROM s";

    #[test]
    fn places_are_those_of_the_file() {
        let source = Source { text: TEXT, first_line: 10, file: Some("f.sql") };
        let start = Location { line: 1, column: 9 };
        for (message, expected) in [
            ("Line: 2, Col: 3: no 'bb'", "f.sql:11:3: no 'bb'\n    bb FROM s\n    ^"),
            ("Line: 1, Col: 8: no 'a'", "f.sql:10:16: no 'a'\n  SHOW X; SELECT a,\n                 ^"),
            ("line 1:8: Syntax Error\nat line 1:8\nStatement: line 1:8", "f.sql:10:16: Syntax Error\nat line 10:16\nStatement: line 1:8"),
            ("nothing of places", "f.sql:10: nothing of places"),
        ] {
            assert_eq!(source.server_says(message, start), expected);
        }
    }

    #[test]
    fn typed_statements_get_a_caret_under_what_was_typed() {
        let source = Source { text: TEXT, first_line: 1, file: None };
        let shown = source.server_says("Line: 1, Col: 8: no 'a'", Location { line: 1, column: 9 });
        assert_eq!(shown, "Line: 1, Col: 16: no 'a'\n  SHOW X; SELECT a,\n                 ^");
    }

    #[test]
    fn the_parsers_places_are_the_texts_own() {
        let text = "SHOW STREAMS; SELECT a FORM s;";
        let error = tidemill_parser::split_script(text)[1].parse().expect_err("FORM");
        let said = Source { text, first_line: 4, file: Some("f") }.parser_says(&error);
        assert!(said.starts_with("f:4:29: Syntax Error\n") && said.contains(&format!("Statement: {text}\n")), "{said}");
        let said = Source { text, first_line: 1, file: None }.parser_says(&error);
        assert!(said.starts_with("line 1:29: Syntax Error\n"), "{said}");
    }
}
