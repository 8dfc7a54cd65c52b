//! Messages: ours are in our own words, but must carry what the recorded ones do: the names, types and properties that
//! the statement is refused for, and that there is a place where one is given.

/// From here on a recorded message explains, repeats the statement, or tells where in Java it was.
const TAILS: [&str; 9] = [
    ", schema:",
    "For example",
    "\nCaused by",
    "Statement: ",
    "\nStatement",
    " at [Source",
    "See https://",
    "please re-run",
    "(through reference",
];

/// Words of the grammar: a message that leaves one out still names what is wrong.
const GRAMMAR: &[&str] = &[
    "ADD",
    "ALTER",
    "AND",
    "AS",
    "BY",
    "CHANGES",
    "COLUMN",
    "CREATE",
    "DELETE",
    "DESCRIBE",
    "DROP",
    "EMIT",
    "EXISTS",
    "EXPLAIN",
    "FINAL",
    "FROM",
    "GROUP",
    "HAVING",
    "IF",
    "IN",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "KSQL",
    "LIKE",
    "LIMIT",
    "LIST",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "PARTITION",
    "PRIMARY",
    "PRINT",
    "REPLACE",
    "SELECT",
    "SHOW",
    "SOURCE",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TABLES",
    "TOPIC",
    "TYPE",
    "VALUES",
    "WHERE",
    "WINDOW",
    "WITH",
    "IDENTIFIER",
    "QUERY",
];

const TYPES: &[&str] =
    &["ARRAY", "BIGINT", "BOOLEAN", "BYTES", "DATE", "DECIMAL", "DOUBLE", "INTEGER", "MAP", "STRING", "STRUCT", "TIME", "TIMESTAMP"];

/// The facts of a recorded message that ours does not have. `request` is what was asked.
pub fn missing(recorded: &str, ours: &str, request: &str) -> Vec<String> {
    if ours.trim().is_empty() {
        return vec!["any message".to_owned()];
    }
    let end = TAILS.iter().filter_map(|tail| recorded.find(tail)).min().unwrap_or(recorded.len());
    let recorded = &recorded[..end];
    let (asked, said) = (request.to_uppercase(), ours.to_uppercase());
    let (asked, said) = (words(&asked), words(&said));
    let has = |list: &[(bool, &str)], word: &str| list.iter().any(|(_, w)| *w == word);
    let mut missing = Vec::new();
    for (quoted, word) in words(recorded) {
        let upper = word.to_uppercase();
        let is_name = (quoted || word == upper) && has(&asked, &upper) && !GRAMMAR.contains(&upper.as_str());
        let is_fact = is_name || (word == upper && TYPES.contains(&word));
        if is_fact && !has(&said, &upper) && !missing.contains(&upper) {
            missing.push(upper);
        }
    }
    let place = |text: &str| text.to_lowercase().contains("line");
    if place(recorded) && !place(ours) {
        missing.push("a place".to_owned());
    }
    missing
}

/// Words, each with whether a quote stands before it.
fn words(text: &str) -> Vec<(bool, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(start) = rest.find(is_part) {
        before = rest[..start].chars().next_back().unwrap_or(before);
        let tail = &rest[start..];
        let end = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
        found.push((matches!(before, '\'' | '`' | '"'), &tail[..end]));
        before = ' ';
        rest = &tail[end..];
    }
    found
}

#[test]
fn facts_are_looked_for() {
    let request = "CREATE STREAM c17 (k VARCHAR KEY, rowtime BIGINT) WITH (KAFKA_TOPIC='a1');";
    let recorded = "'ROWTIME' is a reserved column name. You cannot use it as a name for a column.";
    assert!(missing(recorded, "line 1, column 34: the column name ROWTIME is reserved", request).is_empty());
    assert_eq!(missing(recorded, "a column name is reserved", request), ["ROWTIME"]);
    assert_eq!(missing("The 'KAFKA' format does not support type 'ARRAY'", "no such type", request), ["ARRAY"]);
    assert_eq!(missing("line 1:42: Syntax Error", "wrong", request), ["a place"]);
    assert_eq!(missing("anything", "", request), ["any message"]);
}
