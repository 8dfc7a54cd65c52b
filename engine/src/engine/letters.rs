//! Dead letters as the engine's users know them: which queries write them, and the stream over them.

use std::sync::Arc;

use super::topic_name::check_topic_name;
use super::{Engine, EngineError, PersistentQuery, SessionProperties};
use crate::letters::{Kinds, LETTER_STREAM, LetterBox, LetterKind, TOPIC_CONFIG, TOPIC_PARTITIONS, stream_columns};
use crate::log::{LogError, TopicSpec};

impl Engine {
    /// Where a query's letters go. A query that reads the topic of the letters writes none: it would read them again, and fail
    /// again.
    pub(super) fn letters_of(&self, query: &PersistentQuery, session: &SessionProperties) -> Option<LetterBox> {
        let reads = query.source_topics(&self.catalog());
        session.letter_box().filter(|letters| !reads.contains(&letters.topic))
    }

    /// Whether a query of this session may write letters where it says; nothing to check where it writes none.
    ///
    /// # Errors
    /// What is wrong with the topic or the kinds, by the names of the settings.
    pub(super) fn check_letters(&self, session: &SessionProperties) -> Result<Option<String>, EngineError> {
        if let Some(Err(unknown)) = session.get("dead.letter.kinds").map(Kinds::parse) {
            let known: Vec<&str> = LetterKind::ALL.iter().map(|kind| kind.name()).collect();
            let message = format!("ksql.dead.letter.kinds: '{unknown}' is no kind of dead letters. There are: {}.", known.join(", "));
            return Err(EngineError::user(message));
        }
        let Some(letters) = session.letter_box() else { return Ok(None) };
        check_topic_name(&letters.topic).map_err(|reason| EngineError::user(format!("ksql.dead.letter.topic: {reason}")))?;
        self.check_writable(&letters.topic)?;
        Ok(Some(letters.topic))
    }

    fn ensure_letter_topic(&self, name: &str) -> Result<(), EngineError> {
        check_topic_name(name).map_err(|reason| EngineError::user(format!("ksql.dead.letter.topic: {reason}")))?;
        if self.log.describe_topic(name)?.is_some() {
            return Ok(());
        }
        let config = TOPIC_CONFIG.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let spec = TopicSpec { name: name.to_owned(), partitions: TOPIC_PARTITIONS, replicas: self.config.replicas, config };
        match self.log.create_topic(&spec) {
            Ok(()) | Err(LogError::TopicExists(_)) => Ok(()),
            Err(error) => Err(EngineError { message: format!("ksql.dead.letter.topic: {}", error), ..error.into() }),
        }
    }

    /// Declares the stream over the letters of the whole server, where it has a topic for them and nobody has taken the name.
    pub(super) fn declare_letters(self: &Arc<Self>) -> Result<(), EngineError> {
        let mut session = self.session(&Default::default());
        let Some(letters) = session.letter_box() else { return Ok(()) };
        if self.catalog().source(LETTER_STREAM).is_some() {
            return Ok(());
        }
        self.ensure_letter_topic(&letters.topic)?;
        let topic = letters.topic.replace('\'', "''");
        let columns = stream_columns();
        let text = format!("CREATE STREAM `{LETTER_STREAM}` ({columns}) WITH (KAFKA_TOPIC='{topic}', FORMAT='KAFKA');");
        let statement = tidemill_parser::parse_statement(&text)?;
        // Its formats are not the user's to choose, nor whether it has headers.
        session.0.retain(|name, _| !name.starts_with("ksql.persistence.") && name != "ksql.headers.columns.enabled");
        self.execute(&statement, &session)?;
        Ok(())
    }
}
