//! The candidates for a place: what can stand there first, else every name and word that begins so.

use std::collections::BTreeSet;

use clap::ValueEnum;
use rustyline::completion::Pair;

use super::known::Facts;
use super::place::Place;
use crate::shell::commands::{CLI_SETTINGS, COMMANDS};
use crate::shell::render::Output;

/// What statements begin with.
const STARTS: &[&str] = &[
    "ALTER",
    "ASSERT",
    "CREATE",
    "DEFINE",
    "DESCRIBE",
    "DROP",
    "EXPLAIN",
    "INSERT INTO",
    "LIST",
    "PAUSE",
    "REPLAY",
    "PRINT",
    "RESUME",
    "SELECT",
    "SET",
    "SHOW",
    "TERMINATE",
    "UNDEFINE",
    "UNSET",
];
/// What can follow SHOW and LIST.
const SHOWN: &[&str] = &[
    "ALL TOPICS",
    "CONNECTORS",
    "DEAD LETTERS",
    "FUNCTIONS",
    "PROPERTIES",
    "QUERIES",
    "SERVERS",
    "STREAMS",
    "TABLES",
    "TOPICS",
    "TYPES",
    "VARIABLES",
];
/// What can follow some words, nearest last.
const AFTER: &[(&[&str], &[&str])] = &[
    (&["CREATE"], &["OR REPLACE", "SOURCE", "STREAM", "TABLE", "TYPE"]),
    (&["OR", "REPLACE"], &["SOURCE", "STREAM", "TABLE"]),
    (&["ALTER"], &["STREAM", "TABLE"]),
    (&["DROP"], &["STREAM", "TABLE", "TYPE"]),
    (&["ASSERT"], &["NOT EXISTS", "SCHEMA", "TOPIC"]),
    (&["EMIT"], &["CHANGES", "FINAL"]),
    (&["GROUP"], &["BY"]),
    (&["PARTITION"], &["BY"]),
    (&["WINDOW"], &["HOPPING", "SESSION", "TUMBLING"]),
    (&["ADVANCE"], &["BY"]),
    (&["GRACE"], &["PERIOD"]),
    (&["PRIMARY"], &["KEY"]),
    (&["INSERT"], &["INTO"]),
    (&["RUN"], &["SCRIPT"]),
    (&["SPOOL"], &["OFF"]),
    (&["SET", "CLI"], &CLI_SETTINGS),
    (&["CLI", "WRAP"], &["OFF", "ON"]),
    (&["CLI", "PAGER"], &["OFF", "ON"]),
    (&["CLI", "VERTICAL"], &["AUTO", "OFF", "ON"]),
];
/// Names of properties in WITH.
const WITH: &[&str] = &[
    "CLEANUP_POLICY",
    "FORMAT",
    "KAFKA_TOPIC",
    "KEY_DELIMITER",
    "KEY_FORMAT",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "KEY_SCHEMA_FULL_NAME",
    "KEY_SCHEMA_ID",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "VALUE_DELIMITER",
    "VALUE_FORMAT",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_ID",
    "WINDOW_SIZE",
    "WINDOW_TYPE",
    "WRAP_SINGLE_VALUE",
];
const TYPES: &[&str] = &[
    "ARRAY<",
    "BIGINT",
    "BOOLEAN",
    "BYTES",
    "DATE",
    "DECIMAL(",
    "DOUBLE",
    "INT",
    "INTEGER",
    "MAP<",
    "STRING",
    "STRUCT<",
    "TIME",
    "TIMESTAMP",
    "VARCHAR",
];
const FORMATS: &[&str] = &["AVRO", "DELIMITED", "JSON", "JSON_SR", "KAFKA", "NONE", "PROTOBUF", "PROTOBUF_NOSR"];

/// Everything that fits, in alphabetical order.
pub fn find(place: &Place, facts: &Facts) -> Vec<Pair> {
    if place.in_comment {
        return Vec::new();
    }
    let mut found = Found { word: &place.word, pairs: Vec::new() };
    if place.in_text {
        texts(place, facts, &mut found);
    } else if !narrow(place, facts, &mut found) {
        anywhere(place, facts, &mut found);
    }
    let mut pairs = found.pairs;
    pairs.sort_by(|a, b| (&a.display, &a.replacement).cmp(&(&b.display, &b.replacement)));
    pairs.dedup_by(|a, b| a.display == b.display);
    pairs
}

/// Candidates in the making.
struct Found<'a> {
    word: &'a str,
    pairs: Vec<Pair>,
}

impl Found<'_> {
    /// Words without a case of their own: they come in the case that is typed.
    fn words<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        let typed = self.word.to_uppercase();
        let lower = !self.word.is_empty() && self.word.chars().all(|c| !c.is_uppercase());
        for word in words.into_iter().filter(|word| word.to_uppercase().starts_with(&typed)) {
            let replacement = if lower { word.to_lowercase() } else { word.to_owned() };
            self.pairs.push(Pair { display: word.to_owned(), replacement });
        }
    }

    /// Names of things: those that only quotes can spell get them.
    fn names<'n>(&mut self, names: impl IntoIterator<Item = &'n String>) {
        let quoted = self.word.starts_with('`');
        let typed = self.word.trim_start_matches('`').to_uppercase();
        let lower = !typed.is_empty() && self.word.chars().all(|c| !c.is_uppercase());
        for name in names.into_iter().filter(|name| name.to_uppercase().starts_with(&typed)) {
            let replacement = match (quoted || needs_quotes(name), lower) {
                (true, _) => format!("`{name}`"),
                (false, true) => name.to_lowercase(),
                (false, false) => name.clone(),
            };
            self.pairs.push(Pair { display: name.clone(), replacement });
        }
    }

    /// Texts as they are.
    fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>, end: &str) {
        for text in texts.into_iter().filter(|text| text.to_uppercase().starts_with(&self.word.to_uppercase())) {
            self.pairs.push(Pair { display: text.to_owned(), replacement: format!("{text}{end}") });
        }
    }

    /// Functions with their signatures: all of them where only one function is left.
    fn functions(&mut self, facts: &Facts) {
        if self.word.is_empty() {
            return;
        }
        let typed = self.word.to_uppercase();
        let lower = self.word.chars().all(|c| !c.is_uppercase());
        let fitting: Vec<_> = facts.functions.iter().filter(|(name, _)| name.starts_with(&typed)).collect();
        let alone = fitting.len() == 1 && self.pairs.is_empty();
        for (name, signatures) in fitting {
            let call = format!("{}(", if lower { name.to_lowercase() } else { name.clone() });
            let shown = signatures.iter().map(|signature| format!("{name}{signature}"));
            let displays: Vec<String> = match signatures.len() {
                0 => vec![format!("{name}(…)")],
                1 => shown.collect(),
                _ if alone => shown.collect(),
                count => shown.take(1).map(|first| format!("{first}  and {} more", count - 1)).collect(),
            };
            self.pairs.extend(displays.into_iter().map(|display| Pair { display, replacement: call.clone() }));
        }
    }
}

/// Whether a name must stand in back-quotes.
fn needs_quotes(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let begins = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    !(plain && begins) || tidemill_parser::parse_expression(name).is_err()
}

/// Within single quotes.
fn texts(place: &Place, facts: &Facts, found: &mut Found<'_>) {
    let setting = matches!(place.nth(0), "SET" | "UNSET") || place.nth(1) == "SYSTEM";
    match place.before.iter().rev().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["=", name, ..] if setting && name.ends_with("auto.offset.reset'") => found.texts(["earliest", "latest"], "'"),
        [_] if setting => found.texts(facts.properties.iter().map(String::as_str), "'"),
        ["=", "KAFKA_TOPIC", ..] | ["PRINT", ..] | ["TOPIC", ..] => found.texts(facts.topics.iter().map(String::as_str), "'"),
        ["=", "FORMAT" | "KEY_FORMAT" | "VALUE_FORMAT", ..] => found.texts(FORMATS.iter().copied(), "'"),
        ["=", name, ..] if name.ends_with("_NULLABLE_REPRESENTATION") => found.texts(["OPTIONAL", "WRAPPER"], "'"),
        ["=", "CLEANUP_POLICY", ..] => found.texts(["compact", "compact,delete", "delete"], "'"),
        ["=", "WINDOW_TYPE", ..] => found.texts(["HOPPING", "SESSION", "TUMBLING"], "'"),
        ["SCRIPT" | "SPOOL", ..] => files(found),
        _ => {}
    }
}

/// Files and folders whose path begins as the word does.
fn files(found: &mut Found<'_>) {
    let (folder, _) = found.word.rsplit_once('/').map_or(("", ""), |(folder, name)| (folder, name));
    let path = if folder.is_empty() && found.word.starts_with('/') {
        "/"
    } else if folder.is_empty() {
        "."
    } else {
        folder
    };
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let whole = if found.word.contains('/') { format!("{folder}/{name}") } else { name.clone() };
        if whole.starts_with(found.word) {
            let end = if entry.path().is_dir() { "/" } else { "'" };
            found.pairs.push(Pair { display: format!("{name}{}", end.trim_end_matches('\'')), replacement: format!("{whole}{end}") });
        }
    }
}

/// Where only some things can stand; false where anything may.
fn narrow(place: &Place, facts: &Facts, found: &mut Found<'_>) -> bool {
    if place.before.is_empty() {
        found.words(STARTS.iter().copied().chain(COMMANDS));
        found.texts(["\\q", "\\x", "\\s", "\\i", "\\?"].into_iter().filter(|_| place.word.starts_with('\\')), "");
        return true;
    }
    if let Some((_, words)) = AFTER.iter().find(|(words, _)| place.follows(words)) {
        found.words(words.iter().copied());
        return true;
    }
    if place.last() == "." {
        let alias = place.before.len().checked_sub(2).map_or("", |at| place.nth(at)).to_owned();
        let source = source_of(place, &alias).and_then(|name| facts.sources.get(&name));
        found.names(source.into_iter().flatten());
        return true;
    }
    let names = |found: &mut Found<'_>| found.names(facts.sources.keys());
    match (place.nth(0), place.last()) {
        ("SHOW" | "LIST", "SHOW" | "LIST") => found.words(SHOWN.iter().copied()),
        ("SHOW" | "LIST", "TOPICS" | "STREAMS" | "TABLES" | "QUERIES") => found.words(["EXTENDED"]),
        ("OUTPUT", "OUTPUT") => {
            let forms: Vec<String> =
                Output::value_variants().iter().filter_map(ValueEnum::to_possible_value).map(|v| v.get_name().to_uppercase()).collect();
            found.words(forms.iter().map(String::as_str));
        }
        ("SET", "SET") => {
            found.words(["CLI"]);
            quoted(facts, found);
        }
        ("UNSET", "UNSET") => {
            found.words(["ALL"]);
            quoted(facts, found);
        }
        ("UNDEFINE", "UNDEFINE") => found.texts(facts.variables.iter().map(String::as_str), ""),
        ("TERMINATE" | "PAUSE" | "RESUME", "TERMINATE" | "PAUSE" | "RESUME") => {
            found.words(["ALL"]);
            found.texts(facts.queries.iter().map(String::as_str), "");
        }
        ("REPLAY", "REPLAY") => found.words(["DEAD LETTERS OF"]),
        ("SHOW" | "LIST", "LETTERS") => found.words(["OF", "LIMIT"]),
        ("REPLAY" | "SHOW" | "LIST", "OF" | "INTO") => found.texts(facts.queries.iter().map(String::as_str), ""),
        ("EXPLAIN", "EXPLAIN") => {
            found.words(["CREATE", "SELECT"]);
            found.texts(facts.queries.iter().map(String::as_str), "");
        }
        ("PRINT", "PRINT") => {
            // Others need quotes.
            let plain = |topic: &&String| topic.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            found.texts(facts.topics.iter().filter(plain).map(String::as_str), "");
            let quoted: Vec<String> = facts.topics.iter().filter(|topic| !plain(topic)).map(|topic| format!("'{topic}'")).collect();
            found.texts(quoted.iter().map(String::as_str), "");
        }
        ("PRINT", _) if place.before.len() == 2 => found.words(["FROM BEGINNING", "INTERVAL", "LIMIT"]),
        ("DESCRIBE", "DESCRIBE") => {
            found.words(["FUNCTION", "STREAMS", "TABLES"]);
            names(found);
        }
        ("DESCRIBE", "FUNCTION") => {
            let known: Vec<&str> = facts.functions.keys().map(String::as_str).collect();
            found.words(known);
        }
        ("DESCRIBE", _) if place.before.len() == 2 => found.words(["EXTENDED"]),
        ("DROP", "TYPE") => found.names(&facts.types),
        ("DROP" | "ALTER", "STREAM" | "TABLE" | "EXISTS") | (_, "FROM" | "JOIN" | "INTO") => names(found),
        ("CREATE", "STREAM" | "TABLE" | "TYPE") => found.words(["IF NOT EXISTS"]),
        _ if place.is_within("WITH") && matches!(place.last(), "(" | ",") => found.words(WITH.iter().copied()),
        _ if wants_type(place) => {
            found.words(TYPES.iter().copied());
            found.names(&facts.types);
        }
        _ => return false,
    }
    true
}

/// Properties where the quote that opens them is not typed yet.
fn quoted(facts: &Facts, found: &mut Found<'_>) {
    let quoted: Vec<String> = facts.properties.iter().map(|name| format!("'{name}'")).collect();
    found.texts(quoted.iter().map(String::as_str), "");
}

/// Whether a type stands here: behind a column's name in a list of columns, or behind AS in CAST or CREATE TYPE.
fn wants_type(place: &Place) -> bool {
    if place.last() == "AS" {
        return place.is_within("CAST") || place.nth(1) == "TYPE";
    }
    let is_list = place.nth(0) == "CREATE" && !place.before.iter().any(|word| matches!(word.as_str(), "AS" | "WITH" | "SELECT"));
    let opened = place.before.iter().any(|word| word == "(");
    let before = place.before.len().checked_sub(2).map_or("", |at| place.nth(at));
    is_list && opened && matches!(before, "(" | ",") && !matches!(place.last(), "(" | "," | ")")
        || (is_list && opened && place.last() == "<")
}

/// The source that a name in front of a dot stands for: an alias, or the source itself.
fn source_of(place: &Place, alias: &str) -> Option<String> {
    sources(place).into_iter().find(|(_, known)| known == &bare(alias)).map(|(source, _)| source)
}

/// A name without its quotes.
fn bare(name: &str) -> String {
    name.trim_matches(['`', '"']).to_owned()
}

/// The sources of the statement, each with the name that it goes by.
fn sources(place: &Place) -> Vec<(String, String)> {
    const NO_ALIAS: &[&str] = &[
        "WINDOW",
        "WHERE",
        "GROUP",
        "PARTITION",
        "HAVING",
        "EMIT",
        "LIMIT",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "WITHIN",
        "ON",
        "VALUES",
        "SELECT",
        ",",
        "(",
        ")",
        ";",
    ];
    let words: Vec<&String> = place.before.iter().chain(&place.after).collect();
    let mut found = Vec::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| matches!(word.as_str(), "FROM" | "JOIN" | "INTO")) {
        let Some(source) = words.get(at + 1) else { continue };
        let next = match words.get(at + 2).map(|w| w.as_str()) {
            Some("AS") => words.get(at + 3),
            Some(word) if !NO_ALIAS.contains(&word) => words.get(at + 2),
            _ => None,
        };
        found.push((bare(source), bare(next.unwrap_or(source))));
    }
    found
}

/// Where an expression or a clause may stand.
fn anywhere(place: &Place, facts: &Facts, found: &mut Found<'_>) {
    let sources = sources(place);
    let known: BTreeSet<&String> = sources.iter().filter_map(|(source, _)| facts.sources.get(source)).flatten().collect();
    let every = || facts.sources.values().flatten().collect::<BTreeSet<_>>();
    // A word that was not begun could be anything: only the columns are worth a list.
    if place.word.is_empty() {
        return found.names(known);
    }
    found.names(if known.is_empty() { every() } else { known });
    found.names(facts.sources.keys());
    found.names(sources.iter().map(|(_, alias)| alias));
    found.words(tidemill_parser::keywords().iter().copied());
    found.functions(facts);
}

#[cfg(test)]
mod tests {
    use super::super::place;
    use super::*;

    fn facts() -> Facts {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        Facts {
            sources: [("SELLERS".to_owned(), texts(&["ID", "NAME"])), ("camelCase".to_owned(), texts(&["order", "TOTAL"]))].into(),
            queries: texts(&["CSAS_S_1", "CTAS_T_3"]).into_iter().collect(),
            topics: texts(&["sellers", "my-topic"]).into_iter().collect(),
            functions: [
                (
                    "SUBSTRING".to_owned(),
                    texts(&["(text STRING, pos INTEGER) → STRING", "(text STRING, pos INTEGER, length INTEGER) → STRING"]),
                ),
                ("SUM".to_owned(), texts(&["(val BIGINT) → BIGINT"])),
            ]
            .into(),
            properties: texts(&["auto.offset.reset", "ksql.query.pull.table.scan.enabled"]).into_iter().collect(),
            types: texts(&["ADDRESS"]).into_iter().collect(),
            variables: texts(&["topic"]).into_iter().collect(),
            typed: String::new(),
        }
    }

    fn at(text: &str) -> Vec<Pair> {
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        find(&place::find(before, after), &facts())
    }

    fn replacements(text: &str) -> Vec<String> {
        at(text).into_iter().map(|pair| pair.replacement).collect()
    }

    #[test]
    fn each_place_has_its_candidates() {
        for (text, expected) in [
            ("SHOW T", &["TABLES", "TOPICS", "TYPES"][..]),
            ("show q", &["queries"]),
            ("TERMINATE ", &["ALL", "CSAS_S_1", "CTAS_T_3"]),
            ("PAUSE CT", &["CTAS_T_3"]),
            ("SET 'auto", &["auto.offset.reset'"]),
            ("SET au", &[]),
            ("UNSET ", &["'auto.offset.reset'", "'ksql.query.pull.table.scan.enabled'", "ALL"]),
            ("SET 'auto.offset.reset' = 'e", &["earliest'"]),
            ("SET CLI W", &["WRAP"]),
            ("SET CLI WRAP ", &["OFF", "ON"]),
            ("output v", &["vertical"]),
            ("hist", &["history"]),
            ("PRINT ", &["'my-topic'", "sellers"]),
            ("DESCRIBE FUNCTION su", &["substring", "sum"]),
            ("SELECT * FROM ", &["SELLERS", "`camelCase`"]),
            ("SELECT * FROM cam", &["`camelCase`"]),
            ("DROP TABLE IF EXISTS s", &["sellers"]),
            ("SELECT x.| FROM sellers x", &["ID", "NAME"]),
            ("SELECT x.n| FROM sellers AS x", &["name"]),
            ("SELECT sellers.N| FROM sellers", &["NAME"]),
            ("SELECT c.| FROM sellers s JOIN `camelCase` c ON s.id = c.total", &["TOTAL", "`order`"]),
            ("SELECT | FROM sellers", &["ID", "NAME"]),
            ("CREATE STREAM s (id BI", &["BIGINT"]),
            ("CREATE STREAM s (id INT, a AD", &["ADDRESS"]),
            ("SELECT CAST(a AS DO", &["DOUBLE"]),
            ("CREATE STREAM s (id INT) WITH (kafka_t", &["kafka_topic"]),
            ("CREATE STREAM s (id INT) WITH (VALUE_FORMAT='J", &["JSON'", "JSON_SR'"]),
            ("CREATE STREAM s (id INT) WITH (VALUE_SC", &["VALUE_SCHEMA_FULL_NAME", "VALUE_SCHEMA_ID"]),
            ("CREATE STREAM s (id INT) WITH (KEY_PROTOBUF_NULLABLE_REPRESENTATION='W", &["WRAPPER'"]),
            ("SELECT a FROM s EMIT ", &["CHANGES", "FINAL"]),
            ("UNDEFINE ", &["topic"]),
            ("SELECT 1 -- sel", &[]),
        ] {
            assert_eq!(replacements(text), expected, "{text}");
        }
    }

    #[test]
    fn functions_come_with_their_signatures() {
        let displays = |text: &str| at(text).into_iter().map(|pair| pair.display).collect::<Vec<_>>();
        assert_eq!(
            displays("SELECT su"),
            ["SUBJECT", "SUBSTRING(text STRING, pos INTEGER) → STRING  and 1 more", "SUM(val BIGINT) → BIGINT"]
        );
        assert_eq!(
            displays("SELECT subs"),
            ["SUBSTRING(text STRING, pos INTEGER) → STRING", "SUBSTRING(text STRING, pos INTEGER, length INTEGER) → STRING"]
        );
        assert_eq!(replacements("SELECT subs"), ["substring(", "substring("]);
    }
}
