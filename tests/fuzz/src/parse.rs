//! The parser: any text, and runs of the dialect's own words.

use std::collections::BTreeMap;

use arbitrary::{Result, Unstructured};
use tidemill_parser::{
    Statements, hide_values, keywords, open, parse_columns, parse_data_type, parse_expression, split_script, substitute,
};

/// Bytes of a text at most: what the parser takes is linear, and so it is quick.
const MAX_BYTES: usize = 4096;

/// What words of the dialect stand between.
const PIECES: &[&str] = &[
    "a",
    "`b c`",
    "\"d\"",
    "'text'",
    "'it''s'",
    "1",
    "-1",
    "1.5",
    "1e5",
    "9223372036854775808",
    "(",
    ")",
    ",",
    ";",
    "=",
    "<",
    "<=",
    ">",
    "<>",
    "!=",
    "*",
    "/",
    "%",
    "+",
    "-",
    "||",
    ".",
    "->",
    "=>",
    "[",
    "]",
    ":=",
    ":",
    "${v}",
    "$${v}",
    "${w}",
    "--x\n",
    "/*x*/",
    "/*",
    "'",
    "`",
    "STRUCT<",
    "MAP<",
    "ARRAY<",
    "DECIMAL(4,2)",
    "a.b",
    "a->b",
    "x => x + 1",
    "(x, y) => x",
    "CASE WHEN a THEN b END",
    "KAFKA_TOPIC='t'",
    "\u{feff}",
    "é",
    "😀",
    "\0",
    "@",
    "#",
    "{",
    "}",
    "?",
    "&&",
    "10 SECONDS",
    "SELECT * FROM s EMIT CHANGES;",
];

/// Any bytes.
pub fn parser(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let text = if u.arbitrary().unwrap_or(true) { Ok(String::from_utf8_lossy(u.take_rest()).into_owned()) } else { words(&mut u) };
    if let Ok(text) = text {
        let end = (0..=text.len().min(MAX_BYTES)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        one(&text[..end]);
    }
}

/// Words of the dialect in any order.
fn words(u: &mut Unstructured<'_>) -> Result<String> {
    let keywords = keywords();
    let mut text = String::new();
    while !u.is_empty() && text.len() < MAX_BYTES {
        text += if u.ratio(1, 2)? { u.choose(keywords)? } else { u.choose(PIECES)? };
        if u.ratio(7, 8)? {
            text.push(' ');
        }
    }
    Ok(text)
}

/// One text through everything that reads texts.
pub fn one(text: &str) {
    let variables: BTreeMap<String, String> = [("v", "a"), ("n", "5")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let _ = (substitute(text, &variables), hide_values(text), open(text));
    let _ = (parse_data_type(text), parse_columns(text));
    if let Ok(expression) = parse_expression(text) {
        let printed = expression.to_string();
        assert_eq!(parse_expression(&printed).as_ref(), Ok(&expression), "{text:?} is printed as {printed:?}");
    }
    for raw in split_script(text) {
        let Ok(parsed) = raw.parse_as(Statements::Test) else { continue };
        let printed = parsed.statement.to_string();
        let again = split_script(&printed);
        let again = again.first().map(|raw| raw.parse_as(Statements::Test).map(|parsed| parsed.statement));
        // What an EXPLAIN explains keeps its text, which printing changes.
        if !printed.starts_with("EXPLAIN") {
            assert_eq!(again, Some(Ok(parsed.statement.clone())), "{text:?} is printed as {printed:?}");
        }
        let _ = parsed.statement.masked();
    }
}
