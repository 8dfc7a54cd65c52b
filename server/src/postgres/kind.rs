//! What a statement is, by its first words: PostgreSQL's own (transactions, settings, cursors, COPY), a query, or a statement of
//! the dialect.

use sqlparser::tokenizer::Token;
use tidemill_engine::catalog::Catalog;

use super::copy::CopyFormat;
use super::copy_kind::{CopyInto, CopyOf, copy};
use super::error::{NOT_SUPPORTED, PgError, SYNTAX_ERROR};
use super::names::Piece;
use super::prepare::{Executing, Preparing};

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    Begin,
    /// With the words that complete it.
    Commit,
    Rollback,
    /// Taken and without an effect; the words that complete it.
    Nothing(&'static str),
    Set {
        name: String,
        value: Option<String>,
    },
    ResetAll,
    DiscardAll,
    ShowSetting(String),
    ShowAll,
    /// The query begins at this token.
    Declare {
        name: String,
        query: usize,
    },
    Fetch {
        name: String,
        count: Count,
    },
    /// `None`: all.
    CloseCursor(Option<String>),
    /// As of [`Kind::CloseCursor`].
    Deallocate(Option<String>),
    Copy {
        query: CopyOf,
        format: CopyFormat,
    },
    CopyIn(CopyInto),
    Prepare(Preparing),
    Execute(Executing),
    /// Of the system's catalog.
    Catalog,
    /// A query, once or for ever.
    Query,
    /// Of the dialect.
    Statement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Rows(u64),
    All,
}

/// What follows SHOW in the dialect.
const SHOWN: [&str; 12] = [
    "STREAMS",
    "TABLES",
    "TOPICS",
    "QUERIES",
    "FUNCTIONS",
    "TYPES",
    "VARIABLES",
    "PROPERTIES",
    "CONNECTORS",
    "CONNECTOR",
    "SOURCE",
    "SINK",
];

/// Functions that only the system's catalog knows, beside those that begin with `pg_`.
const CATALOG_FUNCTIONS: [&str; 22] = [
    "array_lower",
    "array_upper",
    "col_description",
    "current_catalog",
    "current_database",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_user",
    "format_type",
    "has_any_column_privilege",
    "has_database_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "obj_description",
    "quote_ident",
    "session_user",
    "set_config",
    "to_regclass",
    "to_regtype",
    "version",
];

/// # Errors
/// It begins as one of PostgreSQL's statements, and does not go on as one.
pub fn kind(piece: &Piece, catalog: &Catalog) -> Result<Kind, PgError> {
    let Some(first) = piece.word(0) else { return Ok(if is_catalog(piece, catalog) { Kind::Catalog } else { Kind::Query }) };
    let is = |index, word| piece.is(index, word);
    let kind = match first.as_str() {
        "BEGIN" => Kind::Begin,
        "START" if is(1, "TRANSACTION") => Kind::Begin,
        "COMMIT" | "END" => Kind::Commit,
        "ROLLBACK" if is(1, "TO") || is(2, "TO") => Kind::Nothing("ROLLBACK"),
        "ROLLBACK" | "ABORT" => Kind::Rollback,
        "SAVEPOINT" => Kind::Nothing("SAVEPOINT"),
        "RELEASE" => Kind::Nothing("RELEASE"),
        "UNLISTEN" => Kind::Nothing("UNLISTEN"),
        "DISCARD" => Kind::DiscardAll,
        "SET" if !matches!(piece.tokens.get(1).map(|token| &token.token), Some(Token::SingleQuotedString(_))) => set(piece)?,
        "RESET" => match name(piece, 1) {
            Some(all) if all.eq_ignore_ascii_case("all") && piece.tokens.len() == 2 => Kind::ResetAll,
            Some(_) => Kind::Set { name: setting(piece, 1).0, value: None },
            None => return Err(expected(piece, 1, "the name of a setting")),
        },
        "SHOW" => match piece.word(1) {
            Some(word) if SHOWN.contains(&word.as_str()) => Kind::Statement,
            Some(all) if all == "ALL" && piece.is(2, "TOPICS") => Kind::Statement,
            Some(all) if all == "ALL" => Kind::ShowAll,
            Some(_) => Kind::ShowSetting(setting(piece, 1).0),
            None => Kind::Statement,
        },
        "DECLARE" => declare(piece)?,
        "FETCH" => fetch(piece)?,
        "MOVE" => return Err(PgError::new(NOT_SUPPORTED, "MOVE is not built: cursors go forward only, by FETCH")),
        "CLOSE" => match name(piece, 1) {
            Some(_) if piece.is(1, "ALL") => Kind::CloseCursor(None),
            Some(cursor) => Kind::CloseCursor(Some(cursor)),
            None => return Err(expected(piece, 1, "the name of a cursor, or ALL")),
        },
        "DEALLOCATE" => {
            let at = if piece.is(1, "PREPARE") { 2 } else { 1 };
            match name(piece, at) {
                Some(_) if piece.is(at, "ALL") => Kind::Deallocate(None),
                Some(statement) => Kind::Deallocate(Some(statement)),
                None => return Err(expected(piece, at, "the name of a prepared statement, or ALL")),
            }
        }
        "COPY" => copy(piece)?,
        "PREPARE" if piece.is(1, "TRANSACTION") => {
            return Err(PgError::new(NOT_SUPPORTED, "PREPARE TRANSACTION is not built: there are no transactions here"));
        }
        "PREPARE" => Kind::Prepare(Preparing::of(piece)?),
        "EXECUTE" => Kind::Execute(Executing::of(piece)?),
        "LISTEN" | "NOTIFY" | "LOCK" | "VACUUM" | "GRANT" | "REVOKE" | "CALL" | "DO" => {
            return Err(PgError::new(NOT_SUPPORTED, format!("{first} is not built")));
        }
        "UPDATE" | "DELETE" | "TRUNCATE" | "MERGE" => {
            let message = format!("{first} is not built: a stream's rows stay, a table's follow from its topic or its query");
            return Err(PgError::new(NOT_SUPPORTED, message).hint("INSERT INTO a table with the same key replaces its row."));
        }
        "PRINT" => {
            let message = "PRINT is for the shell";
            return Err(
                PgError::new(NOT_SUPPORTED, message).hint("SELECT * FROM a stream shows a topic's rows; with EMIT CHANGES it follows.")
            );
        }
        "SELECT" | "WITH" | "VALUES" | "TABLE" => {
            if is_catalog(piece, catalog) {
                Kind::Catalog
            } else {
                Kind::Query
            }
        }
        _ => Kind::Statement,
    };
    Ok(kind)
}

pub fn expected(piece: &Piece, index: usize, what: &str) -> PgError {
    let before = piece.before + piece.characters_before(index);
    PgError::new(SYNTAX_ERROR, format!("{what} is expected here")).at_char(before + 1)
}

/// `(item, …)` that begins at a place: the items, and the token behind them. `one` reads an item, and says which token is behind it;
/// `otherwise` is said of a token that neither parts two items nor ends them.
pub fn listed<T>(
    piece: &Piece,
    begin: usize,
    one: impl Fn(&Piece, usize) -> Result<(T, usize), PgError>,
    otherwise: impl Fn(&Piece, usize) -> PgError,
) -> Result<(Vec<T>, usize), PgError> {
    let (mut items, mut at) = (Vec::new(), begin);
    loop {
        let (item, next) = one(piece, at + 1)?;
        items.push(item);
        at = next;
        match piece.tokens.get(at).map(|token| &token.token) {
            Some(Token::Comma) => {}
            Some(Token::RParen) => return Ok((items, at + 1)),
            _ => return Err(otherwise(piece, at)),
        }
    }
}

/// What is said where a list neither goes on nor ends.
pub fn no_list(piece: &Piece, index: usize) -> PgError {
    expected(piece, index, "a comma or a closing parenthesis")
}

/// A name at a place, in small letters unless it is quoted.
pub fn name(piece: &Piece, index: usize) -> Option<String> {
    match piece.tokens.get(index).map(|token| &token.token) {
        Some(Token::Word(word)) if word.quote_style.is_none() => Some(word.value.to_lowercase()),
        Some(Token::Word(word)) => Some(word.value.clone()),
        _ => None,
    }
}

/// The name of a setting, which may have several words or parts, and the token behind it.
fn setting(piece: &Piece, index: usize) -> (String, usize) {
    if piece.is(index, "TIME") && piece.is(index + 1, "ZONE") {
        return ("TimeZone".to_owned(), index + 2);
    }
    if piece.is(index, "TRANSACTION") && piece.is(index + 1, "ISOLATION") && piece.is(index + 2, "LEVEL") {
        return ("transaction_isolation".to_owned(), index + 3);
    }
    let mut found = name(piece, index).unwrap_or_default();
    let mut next = index + 1;
    while matches!(piece.tokens.get(next).map(|token| &token.token), Some(Token::Period)) {
        let Some(part) = name(piece, next + 1) else { break };
        found = format!("{found}.{part}");
        next += 2;
    }
    (found, next)
}

/// `SET [SESSION | LOCAL] name = value`, `SET TIME ZONE …`, `SET NAMES …`, `SET TRANSACTION …`.
fn set(piece: &Piece) -> Result<Kind, PgError> {
    let at = if piece.is(1, "SESSION") || piece.is(1, "LOCAL") { 2 } else { 1 };
    if piece.is(at, "TRANSACTION") || piece.is(at, "CHARACTERISTICS") || piece.is(at, "CONSTRAINTS") {
        return Ok(Kind::Nothing("SET"));
    }
    if piece.is(at, "AUTHORIZATION") || piece.is(at, "ROLE") {
        return Err(PgError::new(NOT_SUPPORTED, "who asks is said when the connection is made, and stays"));
    }
    let (name, mut next) = if piece.is(at, "NAMES") { ("client_encoding".to_owned(), at + 1) } else { setting(piece, at) };
    if name.is_empty() {
        return Err(expected(piece, at, "the name of a setting"));
    }
    if matches!(piece.tokens.get(next).map(|token| &token.token), Some(Token::Eq)) || piece.is(next, "TO") {
        next += 1;
    }
    if piece.is(next, "DEFAULT") {
        return Ok(Kind::Set { name, value: None });
    }
    let mut values = Vec::new();
    let mut sign = "";
    for token in piece.tokens.get(next..).unwrap_or_default() {
        match &token.token {
            Token::SingleQuotedString(text) => values.push(text.clone()),
            Token::Word(word) => values.push(word.value.clone()),
            Token::Number(number, _) => values.push(format!("{sign}{number}")),
            Token::Minus => sign = "-",
            Token::Comma => {}
            other => return Err(expected(piece, next, &format!("a value, not {other},"))),
        }
    }
    if values.is_empty() {
        return Err(expected(piece, next, "a value"));
    }
    Ok(Kind::Set { name, value: Some(values.join(", ")) })
}

/// `DECLARE name [BINARY] [ASENSITIVE | INSENSITIVE] [[NO] SCROLL] CURSOR [{WITH | WITHOUT} HOLD] FOR query`.
fn declare(piece: &Piece) -> Result<Kind, PgError> {
    let cursor = name(piece, 1).ok_or_else(|| expected(piece, 1, "the name of a cursor"))?;
    let mut at = 2;
    while let Some(word) = piece.word(at) {
        match word.as_str() {
            "FOR" => {
                return if piece.tokens.len() > at + 1 {
                    Ok(Kind::Declare { name: cursor, query: at + 1 })
                } else {
                    Err(expected(piece, at + 1, "a query"))
                };
            }
            "BINARY" => {
                return Err(PgError::new(NOT_SUPPORTED, "BINARY cursors are not built; drivers ask for binary values by the protocol"));
            }
            "SCROLL" if !piece.is(at - 1, "NO") => return Err(PgError::new(NOT_SUPPORTED, "SCROLL is not built: cursors go forward only")),
            "ASENSITIVE" | "INSENSITIVE" | "NO" | "SCROLL" | "CURSOR" | "WITH" | "WITHOUT" | "HOLD" => at += 1,
            _ => break,
        }
    }
    Err(expected(piece, at, "CURSOR FOR and a query"))
}

/// `FETCH [FORWARD] [n | ALL | NEXT] [FROM | IN] name`.
fn fetch(piece: &Piece) -> Result<Kind, PgError> {
    let mut at = 1;
    let mut count = Count::Rows(1);
    if piece.is(at, "FORWARD") {
        at += 1;
    }
    match (piece.word(at).as_deref(), piece.tokens.get(at).map(|token| &token.token)) {
        (Some("NEXT"), _) => at += 1,
        (Some("ALL"), _) => {
            count = Count::All;
            at += 1;
        }
        (Some("PRIOR" | "FIRST" | "LAST" | "ABSOLUTE" | "RELATIVE" | "BACKWARD"), _) | (_, Some(Token::Minus)) => {
            return Err(PgError::new(NOT_SUPPORTED, "cursors go forward only"));
        }
        (_, Some(Token::Number(number, _))) => {
            count = Count::Rows(number.parse().map_err(|_| expected(piece, at, "a number of rows"))?);
            at += 1;
        }
        _ => {}
    }
    if piece.is(at, "FROM") || piece.is(at, "IN") {
        at += 1;
    }
    match name(piece, at) {
        Some(name) if piece.tokens.len() == at + 1 => Ok(Kind::Fetch { name, count }),
        _ => Err(expected(piece, at, "the name of a cursor")),
    }
}

/// Whether a statement asks for what only the system's catalog has.
pub fn is_catalog(piece: &Piece, catalog: &Catalog) -> bool {
    let is_own = |word: &str| {
        catalog
            .sources()
            .any(|source| source.name.eq_ignore_ascii_case(word) || source.schema.columns().any(|c| c.name.eq_ignore_ascii_case(word)))
    };
    piece.tokens.iter().enumerate().any(|(index, token)| {
        let Token::Word(word) = &token.token else { return false };
        let lower = word.value.to_ascii_lowercase();
        let is_call = matches!(piece.tokens.get(index + 1).map(|token| &token.token), Some(Token::LParen));
        let is_bare = matches!(lower.as_str(), "current_user" | "session_user" | "current_catalog" | "current_role" | "current_schema");
        let names_catalog = lower == "information_schema"
            || lower.starts_with("pg_")
            || matches!(lower.as_str(), "regclass" | "regtype" | "regproc" | "regnamespace")
            || ((is_call || is_bare) && CATALOG_FUNCTIONS.contains(&lower.as_str()));
        names_catalog && (is_call || !is_own(&lower))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::names::pieces;

    fn of(sql: &str) -> Result<Kind, PgError> {
        kind(&pieces(sql).expect("read")[0], &Catalog::default())
    }

    #[test]
    fn statements_are_told_apart() {
        let set = |name: &str, value: &str| Kind::Set { name: name.to_owned(), value: Some(value.to_owned()) };
        for (sql, expected) in [
            ("begin isolation level serializable", Kind::Begin),
            ("START TRANSACTION READ ONLY", Kind::Begin),
            ("END", Kind::Commit),
            ("ROLLBACK TO SAVEPOINT a", Kind::Nothing("ROLLBACK")),
            ("SET extra_float_digits = 3", set("extra_float_digits", "3")),
            ("set session search_path to public, \"x\"", set("search_path", "public, x")),
            ("SET TIME ZONE 'UTC'", set("TimeZone", "UTC")),
            ("SET NAMES 'utf8'", set("client_encoding", "utf8")),
            ("SET my.own = -1", set("my.own", "-1")),
            ("SET 'auto.offset.reset' = 'earliest'", Kind::Statement),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", Kind::Nothing("SET")),
            ("RESET ALL", Kind::ResetAll),
            ("SHOW transaction isolation level", Kind::ShowSetting("transaction_isolation".to_owned())),
            ("SHOW QUERIES EXTENDED", Kind::Statement),
            ("show all topics", Kind::Statement),
            ("SHOW ALL", Kind::ShowAll),
            ("DECLARE \"C\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Kind::Declare { name: "C".to_owned(), query: 8 }),
            ("FETCH FORWARD 10 FROM c", Kind::Fetch { name: "c".to_owned(), count: Count::Rows(10) }),
            ("FETCH all in c", Kind::Fetch { name: "c".to_owned(), count: Count::All }),
            ("FETCH c", Kind::Fetch { name: "c".to_owned(), count: Count::Rows(1) }),
            ("CLOSE ALL", Kind::CloseCursor(None)),
            ("DEALLOCATE PREPARE p", Kind::Deallocate(Some("p".to_owned()))),
            ("SELECT pg_catalog.version()", Kind::Catalog),
            ("SELECT CURRENT_USER", Kind::Catalog),
            ("(SELECT 1)", Kind::Query),
            ("VALUES (1)", Kind::Query),
            ("EXPLAIN SELECT 1", Kind::Statement),
            ("CREATE STREAM s (a INT) WITH (kafka_topic = 's')", Kind::Statement),
        ] {
            assert_eq!(of(sql).unwrap_or_else(|error| panic!("{sql}: {}", error.message)), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_not_built_says_so() {
        for (sql, code) in [
            ("UPDATE t SET a = 1", NOT_SUPPORTED),
            ("FETCH PRIOR FROM c", NOT_SUPPORTED),
            ("FETCH -1 FROM c", NOT_SUPPORTED),
            ("DECLARE c SCROLL CURSOR FOR SELECT 1", NOT_SUPPORTED),
            ("DECLARE c CURSOR", SYNTAX_ERROR),
            ("PREPARE TRANSACTION 'x'", NOT_SUPPORTED),
            ("SET", SYNTAX_ERROR),
            ("CLOSE", SYNTAX_ERROR),
        ] {
            assert_eq!(of(sql).expect_err(sql).code, code, "{sql}");
        }
    }
}
