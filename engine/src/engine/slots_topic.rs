//! The topic whose partitions are the slots that servers share: made by the first of them, and watched from then on. Without it the group
//! has nothing to share, and nobody does anything; so where somebody deletes it, it is made anew, and the servers agree upon it as on
//! the first day. Whose state is whose does not depend on it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Engine, EngineConfig, EngineError};
use crate::log::{Log, TopicIdentity, ensure_topic};

/// Where each server is reached is written to it, and nothing else: its partitions are what is shared.
const CONFIG: &[(&str, &str)] = &[("cleanup.policy", "compact")];
/// How often it is looked whether it is still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What is known of the topic.
#[derive(Debug, Default)]
pub(super) struct SlotsTopic {
    seen: Mutex<Seen>,
    /// What keeps servers from sharing its slots.
    problem: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    identity: Option<TopicIdentity>,
}

/// The topic, made where it is not there.
///
/// # Errors
/// It has another number of slots than is asked for; the log is away.
pub(super) fn ensure(config: &EngineConfig, log: &dyn Log) -> Result<String, EngineError> {
    let topic = config.slots_topic();
    ensure_topic(log, &topic, u32::from(config.slots), config.replicas, CONFIG)?;
    let (_, slots) = log.topic(&topic)?;
    if slots != u32::from(config.slots) {
        return Err(EngineError::user(format!(
            "tidemill.slots is {}, but the servers of service '{}' share {slots} slots (topic {topic}), and that can't be changed while \
             its state is to be kept: set tidemill.slots={slots}",
            config.slots, config.service_id
        )));
    }
    Ok(topic)
}

impl Engine {
    /// What keeps the servers of the service from sharing its work, and what to do.
    pub fn sharing_problem(&self) -> Option<String> {
        self.slots_topic.problem.lock().clone()
    }

    /// Looks now and then whether the slots' topic is the one that the servers share, and makes it anew where it is gone.
    pub(super) fn keep_slots_topic(&self) {
        if self.share.is_none() {
            return;
        }
        let now = self.clock.instant();
        let mut seen = self.slots_topic.seen.lock();
        if seen.at.is_some_and(|at| now.saturating_duration_since(at) < LOOK_INTERVAL) {
            return;
        }
        seen.at = Some(now);
        match self.look_at_slots_topic(&mut seen) {
            Ok(problem) => {
                let mut said = self.slots_topic.problem.lock();
                if let Some(problem) = problem.as_ref().filter(|problem| said.as_ref() != Some(problem)) {
                    tracing::error!("{problem}");
                }
                *said = problem;
            }
            Err(error) => tracing::warn!(reason = error.message, "the topic of the slots can't be looked at; trying again"),
        }
    }

    /// What is wrong with the topic, and can't be mended.
    fn look_at_slots_topic(&self, seen: &mut Seen) -> Result<Option<String>, EngineError> {
        let topic = self.config.slots_topic();
        let identify = || Ok::<_, EngineError>(self.log.identify(&[&topic])?.into_iter().next().flatten());
        let found = match identify()? {
            Some(found) => found,
            None => {
                tracing::warn!("topic {topic}, whose partitions are what the servers of the service share, was deleted; making it anew");
                ensure(&self.config, &*self.log)?;
                let Some(made) = identify()? else { return Ok(None) };
                made
            }
        };
        let slots = u32::from(self.config.slots);
        if found.partitions != slots {
            return Ok(Some(format!(
                "topic {topic} has {} partitions now, and the servers of service '{}' share {slots} slots: work of slots that it lacks is \
                 done by nobody. Delete the topic, and the servers make it anew",
                found.partitions, self.config.service_id
            )));
        }
        // Of the topic that was there before others may not have read where this server is, nor this one where they are.
        if seen.identity.replace(found).is_some_and(|before| before != found) {
            super::servers::announce(&self.config, &*self.log, &*self.clock, &self.runtime.config().server)?;
            self.servers.forget();
        }
        Ok(None)
    }
}
