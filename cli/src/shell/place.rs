//! Where an error stands for its reader. Statements are sent one by one, so the places in a server's messages count from
//! the statement's start; here they become places of the file, with the line quoted.

use std::sync::LazyLock;

use regex::Regex;
use tidemill_parser::ast::Location;

/// How long a quoted line may be, in characters, before it is left out.
const MAX_QUOTED: usize = 160;

/// The two ways in which messages name a place. The pattern is a constant: the tests below would not get past a bad one.
static PLACE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bline (\d+):(\d+): |\bLine: (\d+), Col: (\d+): ").expect("a valid pattern"));

/// A message about a statement, made into one about the file or the typed text that the statement stands in.
///
/// `start` is where the statement `text` begins. With a `file` the result begins with `file:line:column: `, without one
/// the message keeps its place.
pub fn located(message: &str, text: &str, start: Location, file: Option<&str>) -> String {
    let place = PLACE.captures(message).and_then(|found| {
        let number = |i: usize| found.get(i).and_then(|m| m.as_str().parse::<u32>().ok());
        let line = number(1).or_else(|| number(3))?;
        let column = number(2).or_else(|| number(4))?;
        Some((found.get(0)?.range(), line, column))
    });
    let Some((range, line, column)) = place else {
        return match file {
            Some(file) => format!("{file}:{}: {message}", start.line),
            None => message.to_owned(),
        };
    };
    let mut shown = match file {
        Some(file) => {
            let file_line = start.line.saturating_add(line).saturating_sub(1);
            let file_column = if line == 1 { start.column.saturating_add(column).saturating_sub(1) } else { column };
            let rest = format!("{}{}", &message[..range.start], &message[range.end..]);
            format!("{file}:{file_line}:{file_column}: {rest}")
        }
        None => message.to_owned(),
    };
    // The parser quotes the line itself; what analysis says has the place only.
    if !message.contains("\nStatement: ")
        && let Some(quoted) = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?))
        && quoted.chars().count() <= MAX_QUOTED
    {
        let before = usize::try_from(column).map_or(0, |column| column.saturating_sub(1));
        let indent: String = quoted.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        shown.push_str(&format!("\n  {quoted}\n  {indent}^"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_file() {
        let start = Location { line: 10, column: 5 };
        let text = "SELECT a,\n  bb FROM s";
        let cases = [
            ("Line: 2, Col: 3: no 'bb'", "f.sql:11:3: no 'bb'\n    bb FROM s\n    ^"),
            ("Line: 1, Col: 8: no 'a'", "f.sql:10:12: no 'a'\n  SELECT a,\n         ^"),
            ("line 1:8: Syntax Error\nStatement: …", "f.sql:10:12: Syntax Error\nStatement: …"),
            ("nothing of places", "f.sql:10: nothing of places"),
        ];
        for (message, expected) in cases {
            assert_eq!(located(message, text, start, Some("f.sql")), expected);
        }
    }

    #[test]
    fn typed_statements_keep_the_place_and_get_a_caret() {
        let start = Location { line: 1, column: 1 };
        let shown = located("Line: 1, Col: 8: no 'a'", "SELECT a", start, None);
        assert_eq!(shown, "Line: 1, Col: 8: no 'a'\n  SELECT a\n         ^");
    }
}
