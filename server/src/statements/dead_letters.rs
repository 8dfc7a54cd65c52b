//! SHOW DEAD LETTERS and REPLAY DEAD LETTERS.

use tidemill_engine::engine::{FoundLetter, SessionProperties};
use tidemill_parser::ast::Ident;

use super::Session;
use crate::app::App;
use crate::entities::{Common, DeadLetter, DeadLetters, KsqlEntity, WarningEntity};
use crate::error::ApiError;

/// How many are shown where the statement does not say, and at most.
const SHOWN: u64 = 20;
const MAX_SHOWN: u64 = 1_000;
/// Characters of a key or value that are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// The last letters of one query, or of all that write to the session's topic.
pub fn show(app: &App, session: &Session, of: Option<&Ident>, limit: Option<u64>, text: String) -> Result<KsqlEntity, ApiError> {
    let engine = &app.engine;
    let query = of.and_then(|of| engine.queries().persistent().into_iter().find(|query| query.id.eq_ignore_ascii_case(&of.name)));
    // A query that is gone has left its letters behind.
    let properties = query.as_ref().map_or_else(|| session.properties().clone(), |query| SessionProperties(query.properties.clone()));
    let Some(letters) = properties.letter_box() else {
        let message = match &query {
            Some(query) => format!("Query {} writes no dead letters: ksql.dead.letter.topic was not set when it was created.", query.id),
            None => "There is no topic of dead letters: ksql.dead.letter.topic is not set. For a query with one of its own: SHOW DEAD \
                     LETTERS OF query;"
                .to_owned(),
        };
        return Err(super::refused(&message, text));
    };
    let most = usize::try_from(limit.unwrap_or(SHOWN).min(MAX_SHOWN)).unwrap_or_default();
    let found =
        engine.last_letters(&letters.topic, of.map(|of| of.name.as_str()), most).map_err(|error| ApiError::engine(error, text.as_str()))?;
    let letters = found.into_iter().map(shown).collect();
    Ok(KsqlEntity::DeadLetters(DeadLetters { letters, common: Common::new(text) }))
}

fn shown(found: FoundLetter) -> DeadLetter {
    let letter = found.letter;
    DeadLetter {
        query_id: letter.query.to_string(),
        kind: letter.kind.name(),
        topic: letter.place.topic.to_string(),
        partition: letter.place.partition,
        offset: letter.place.offset,
        timestamp: letter.place.timestamp,
        written: found.at_ms,
        attempt: letter.attempt,
        reason: letter.reason,
        key: found.key.as_deref().map(legible),
        value: found.value.as_deref().map(legible),
    }
}

/// The beginning of a text, or of bytes that are none.
fn legible(bytes: &[u8]) -> String {
    let whole = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Cut within a character.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default()).into_owned()
        }
        Err(_) => bytes.iter().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}")),
    };
    match whole.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", whole.get(..end).unwrap_or_default()),
        None => whole,
    }
}

pub fn replay(app: &App, session: &Session, of: &Ident, into: Option<&Ident>, text: String) -> Result<KsqlEntity, ApiError> {
    let replayed = app.engine.replay_letters(of, into, session.properties());
    let message = replayed.map_err(|error| ApiError::engine(error, text.as_str()))?;
    Ok(KsqlEntity::Warning(WarningEntity { message, common: Common::new(text) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_text_where_they_are() {
        assert_eq!(legible("grün".as_bytes()), "grün");
        assert_eq!(legible(&[0, 0xFF, 1]), "0x00ff01");
        assert_eq!(legible(&"ü".as_bytes()[..1]), "");
        assert_eq!(legible("x".repeat(300).as_bytes()).chars().count(), MAX_SHOWN_CHARS + 1);
    }
}
