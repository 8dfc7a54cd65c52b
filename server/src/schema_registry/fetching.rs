//! Schemas that workers want to know: asked for in the background, each id once at a time, again and again while the registry
//! is away and somebody still wants to know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidemill_engine::registry::{RegistryError, Schema, SchemaId};

use super::answers::{Failure, SCHEMA_NOT_FOUND};
use super::cache::Known;
use super::resolve::resolve;
use super::transport::Request;
use super::{RegistryClient, Shared};

/// Pauses between two questions for the same id while the registry is away; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Ids that are asked for at a time; others wait.
const MAX_ON_THEIR_WAY: usize = 16;
/// How long an id is asked for after somebody last wanted to know it.
const INTEREST: Duration = Duration::from_secs(60);
/// How long the answer to one id, with what it refers to, may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl RegistryClient {
    /// What is known of an id now; sees to it that it is asked for.
    pub(super) fn poll(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        let now = Instant::now();
        let mut cache = self.shared.cache.lock();
        match cache.wanted(id, now) {
            Known::Schema(schema) => return Ok(Some(schema)),
            Known::Not(error) => return Err(error),
            Known::OnItsWay => return Ok(None),
            Known::Nothing if cache.on_their_way() >= MAX_ON_THEIR_WAY => return Ok(None),
            Known::Nothing => cache.ask(id, now),
        }
        drop(cache);
        if self.spawn(fetch(self.shared.clone(), id)).is_err() {
            self.shared.cache.lock().give_up(id);
        }
        Ok(None)
    }
}

/// The schema of an id. `patiently`: waits for a registry that is away.
pub(super) async fn by_id(shared: &Shared, id: SchemaId, patiently: bool) -> Result<Arc<Schema>, Failure> {
    let request = Request::by_id(id.0);
    let answer = if patiently { shared.transport.ask_patiently(&request).await } else { shared.transport.ask(&request).await };
    match answer {
        Ok(answer) => resolve(shared, shared.transport.understood(answer)?).await,
        Err(failure) => Err(failure),
    }
}

/// A failure about an id, as the engine is told.
pub(super) fn about(id: SchemaId, failure: Failure) -> RegistryError {
    match failure {
        Failure::Refused { code: SCHEMA_NOT_FOUND, .. } => RegistryError::UnknownId(id),
        other => other.into_error(),
    }
}

/// Asks until there is an answer, or nobody wants to know it any more.
async fn fetch(shared: Arc<Shared>, id: SchemaId) {
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, by_id(&shared, id, false)).await;
        match answer.unwrap_or_else(|_| Err(shared.transport.late(ANSWER_TIMEOUT))) {
            Ok(schema) => return shared.cache.lock().keep(id, schema),
            Err(failure @ Failure::Refused { .. }) => {
                return shared.cache.lock().keep_unknown(id, about(id, failure), Instant::now());
            }
            Err(Failure::Away(_) | Failure::Wrong(_)) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let mut cache = shared.cache.lock();
        if cache.last_wanted(id).is_none_or(|wanted| wanted.elapsed() > INTEREST) {
            return cache.give_up(id);
        }
    }
}
