//! INSERT … VALUES with several rows, which the dialect writes one by one; and the types of an INSERT's parameters.

use sqlparser::tokenizer::Token;
use tidemill_engine::catalog::Catalog;
use tidemill_engine::types::SqlType;

use super::error::{PgError, TOO_MANY};
use super::names::{Piece, Translated, parameter, pieces};

/// Rows of one statement at most.
const MAX_ROWS: usize = 10_000;

/// Where the rows of an INSERT stand: from the token of each one's opening parenthesis to that of its closing one.
fn tuples(piece: &Piece) -> Option<(usize, Vec<(usize, usize)>)> {
    if !piece.is(0, "INSERT") {
        return None;
    }
    let values = (1..piece.tokens.len()).find(|index| piece.is(*index, "VALUES"))?;
    let mut rows = Vec::new();
    let (mut depth, mut open) = (0_usize, 0);
    for (index, token) in piece.tokens.iter().enumerate().skip(values + 1) {
        match token.token {
            Token::LParen => {
                if depth == 0 {
                    open = index;
                }
                depth += 1;
            }
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    rows.push((open, index));
                }
            }
            Token::Comma if depth == 0 => {}
            // Something else behind the rows.
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    (depth == 0).then_some((values, rows))
}

/// The statements that an INSERT of several rows is; `None`: it is none.
///
/// # Errors
/// It has too many rows.
pub fn rows(piece: &Piece, translated: &Translated) -> Result<Option<Vec<String>>, PgError> {
    if !piece.is(0, "INSERT") {
        return Ok(None);
    }
    let all = pieces(&translated.text)?;
    let Some(own) = all.first() else { return Ok(None) };
    let Some((values, rows)) = tuples(own) else { return Ok(None) };
    if rows.len() > MAX_ROWS {
        return Err(PgError::new(TOO_MANY, format!("an INSERT has up to {MAX_ROWS} rows; this one has {}", rows.len())));
    }
    let part = |first: usize, behind: usize| {
        let (from, to) = (own.rest(first), own.rest(behind));
        from.get(..from.len() - to.len()).unwrap_or_default().trim_end()
    };
    let before = part(0, values + 1);
    // One walk through the text for all rows.
    let mut statements = Vec::with_capacity(rows.len());
    for (open, close) in rows {
        statements.push(format!("{before} {}", part(open, close + 1)));
    }
    Ok(Some(statements))
}

/// The types of an INSERT's parameters, by the columns that they are for.
pub fn parameter_types(piece: &Piece, catalog: &Catalog, count: usize) -> Vec<Option<SqlType>> {
    let mut types = vec![None; count];
    let Some((values, rows)) = tuples(piece) else { return types };
    let name = |index: usize| match piece.tokens.get(index).map(|token| &token.token) {
        Some(Token::Word(word)) => Some(word.value.clone()),
        _ => None,
    };
    // The target is the last word before the columns or VALUES.
    let open = (1..values).find(|index| piece.tokens.get(*index).is_some_and(|token| token.token == Token::LParen));
    let Some(target) = name(open.unwrap_or(values) - 1) else { return types };
    let Some(source) = catalog.sources().find(|source| source.name.eq_ignore_ascii_case(&target)) else { return types };
    let columns: Vec<SqlType> = match open {
        Some(open) => {
            let named = (open + 1..values).filter_map(name);
            let find = |name: String| source.schema.columns().find(|column| column.name.eq_ignore_ascii_case(&name)).cloned();
            named.map(|name| find(name).map_or(SqlType::BigInt, |column| column.sql_type)).collect()
        }
        None => source.schema.columns().map(|column| column.sql_type.clone()).collect(),
    };
    for (open, close) in rows {
        let (mut depth, mut column) = (0_usize, 0);
        for token in piece.tokens.get(open + 1..close).unwrap_or_default() {
            match &token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => column += 1,
                Token::Placeholder(name) if depth == 0 => {
                    if let Some(place) = parameter(name).and_then(|number| types.get_mut(number - 1)) {
                        *place = columns.get(column).cloned();
                    }
                }
                _ => {}
            }
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::names::translate;

    #[test]
    fn rows_become_statements() {
        let split = |sql: &str| {
            let piece = &pieces(sql).expect("read")[0];
            let translated = translate(piece, &Catalog::default(), None).expect("no parameters");
            rows(piece, &translated).expect("few rows")
        };
        assert_eq!(
            split("INSERT INTO s (a, b) VALUES (1, 'x)'), (ABS(2), 'y') ,\n(3, '')").expect("rows"),
            ["INSERT INTO s (a, b) VALUES (1, 'x)')", "INSERT INTO s (a, b) VALUES (ABS(2), 'y')", "INSERT INTO s (a, b) VALUES (3, '')"]
        );
        assert_eq!(split("INSERT INTO s SELECT * FROM t"), None);
        assert_eq!(split("INSERT INTO s VALUES (1) ON CONFLICT DO NOTHING"), None);
        assert_eq!(split("SELECT 1"), None);
    }
}
