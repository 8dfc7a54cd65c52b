//! Queries of the system's catalog, as tools ask them, without what DataFusion can't do and what never holds anything here: defaults,
//! collations, sequences, indexes, options of storage. Each such part becomes NULL, which is what it would give.

use sqlparser::tokenizer::Token;

use super::names::Piece;

/// Columns and functions that a subquery within an expression only tells such things by.
const EMPTY_SUBQUERIES: [&str; 3] = ["json_build_object", "pg_get_expr", "typcollation"];
/// Columns whose items nobody has.
const EMPTY_LISTS: [&str; 5] = ["indkey", "indclass", "indoption", "conkey", "confkey"];

/// An item of such a list, of which there is none. A constant would make DataFusion plan an order that it then finds wrong.
const NO_ITEM: &str = "CAST(random() AS INTEGER)";

/// The text of a query that can be asked.
pub fn askable(piece: &Piece) -> String {
    let mut out = String::with_capacity(piece.text.len());
    let mut index = 0;
    let mut copied = 0;
    while index < piece.tokens.len() {
        match part(piece, index) {
            Some((last, new)) => {
                let start = piece.starts.get(index).copied().unwrap_or(copied);
                out.push_str(piece.text.get(copied..start).unwrap_or_default());
                out.push_str(new);
                let length = match piece.tokens.get(last).map(|token| &token.token) {
                    Some(Token::Word(word)) => word.value.len(),
                    // A parenthesis.
                    _ => 1,
                };
                copied = piece.starts.get(last).map_or(piece.text.len(), |start| start + length);
                index = last + 1;
            }
            None => index += 1,
        }
    }
    out.push_str(piece.text.get(copied..).unwrap_or_default());
    out
}

/// Whether such a part begins here: its last token, and what stands in its place.
fn part(piece: &Piece, index: usize) -> Option<(usize, &'static str)> {
    let token = |index: usize| piece.tokens.get(index).map(|token| &token.token);
    // What stands behind FROM or JOIN is a table.
    let is_table = index.checked_sub(1).is_some_and(|before| piece.is(before, "FROM") || piece.is(before, "JOIN"));
    if !is_table && token(index) == Some(&Token::LParen) && piece.is(index + 1, "SELECT") {
        let last = piece.closing(index)?;
        let end = (index + 2..last).find(|at| piece.is(*at, "FROM")).unwrap_or(last);
        return names(piece, index + 2, end, &EMPTY_SUBQUERIES).then_some((last, "NULL"));
    }
    // Nobody has options of storage, and there is no column for them.
    let is_column = |at: usize, name: &str| piece.is(at, name) && token(at + 1) == Some(&Token::Period);
    if is_column(index, "PG_CATALOG") && is_column(index + 2, "PG_CLASS") && piece.is(index + 4, "RELOPTIONS") {
        return Some((index + 4, "NULL AS reloptions"));
    }
    // Functions may be named with their schema.
    let name = if piece.is(index, "PG_CATALOG") && token(index + 1) == Some(&Token::Period) { index + 2 } else { index };
    if token(name + 1) != Some(&Token::LParen) {
        return None;
    }
    let word = piece.word(name)?;
    let last = piece.closing(name + 1)?;
    match word.as_str() {
        "ARRAY" if piece.is(name + 2, "SELECT") => Some((last, "NULL")),
        "ARRAY_TO_STRING" if names(piece, name + 2, last, &["reloptions"]) => Some((last, "NULL")),
        "UNNEST" if names(piece, name + 2, last, &EMPTY_LISTS) => Some((last, NO_ITEM)),
        "GENERATE_SUBSCRIPTS" => Some((last, NO_ITEM)),
        _ => None,
    }
}

fn names(piece: &Piece, first: usize, last: usize, wanted: &[&str]) -> bool {
    (first..last).filter_map(|index| piece.word(index)).any(|word| wanted.iter().any(|name| word.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::names::pieces;

    #[test]
    fn parts_that_hold_nothing_are_null() {
        for (sql, expected) in [
            ("SELECT a, (SELECT pg_get_expr(d.b, 1) FROM pg_attrdef d WHERE (d.c)) AS d FROM x", "SELECT a, NULL AS d FROM x"),
            ("SELECT pg_catalog.array_to_string(c.reloptions || array(select 'ä' || x from y), ', ')\n, b", "SELECT NULL\n, b"),
            ("SELECT ARRAY(SELECT 1) AS m, unnest(i.indkey), unnest(other)", "SELECT NULL AS m, CAST(random() AS INTEGER), unnest(other)"),
            ("SELECT pg_catalog.pg_class.reloptions, 1", "SELECT NULL AS reloptions, 1"),
            ("SELECT (SELECT relname FROM pg_class LIMIT 1)", "SELECT (SELECT relname FROM pg_class LIMIT 1)"),
            ("SELECT * FROM (SELECT pg_get_expr(b, 1) AS d FROM x) c", "SELECT * FROM (SELECT pg_get_expr(b, 1) AS d FROM x) c"),
            ("SELECT ((1", "SELECT ((1"),
        ] {
            assert_eq!(askable(&pieces(sql).expect("read")[0]), expected);
        }
    }
}
