//! Several servers for one service: the slots' topic is shared by the members of a consumer group, so that who is there, who has died
//! and who has which slots is Kafka's own.
//!
//! Slots move one by one (cooperative-sticky), and membership is static: a server that starts again within its session finds the slots
//! that it had. What others want is given to the group when it was really let go of, so nobody has it before.
//!
//! A server that was stopped or cut off for longer than its session hears that its slots are lost before the client joins anew, for
//! that waits for the look in which it hears so. Until it has looked it is *unsure*, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use super::{
    ADVICE, LOOK_PAUSE, LOOK_TIMEOUT, MAX_SKIPPED, Member, Membership, OTHER_PATIENCE, SURE_FOR, log_in, look_at_group, member_config,
    others, taken,
};
use crate::log::kafka::login::{Login, Token};
use crate::log::kafka::properties::ClientProperties;
use crate::log::{Claim, ClaimRequest, LogError, SharedClaim, Shift, Standing};

/// How the group shares its slots.
const PROTOCOL: &str = "cooperative-sticky";
/// How often a member is heard of, and hears that the group agrees anew: what it gave away, or what another left, waits for that.
const HEARTBEAT_MS: &str = "1000";
/// A topic that was made anew is seen after so long.
const REFRESH_MS: &str = "5000";

/// One step of waiting until the group has let go of who leaves it.
const LEAVE_STEP: Duration = Duration::from_millis(20);

/// What the group has said.
#[derive(Default)]
struct News {
    shifts: Mutex<Vec<Shift>>,
    /// What it wants back or has taken, until that was let go.
    wanted: Mutex<Option<TopicPartitionList>>,
    /// Nothing that is wanted is waited for any more.
    is_leaving: AtomicBool,
}

/// A share of the slots. Dropping it leaves the group to the session's end, so that a quick restart finds its place.
pub(in crate::log::kafka) struct KafkaCrew {
    membership: Membership<News>,
    group: String,
    instance: String,
    login: Option<Arc<Login>>,
    looks: Mutex<Looks>,
}

/// What earlier looks have found.
struct Looks {
    last: Instant,
    /// The session may have ended.
    is_in_doubt: bool,
    token: Option<Arc<Token>>,
}

fn slots(partitions: &TopicPartitionList) -> BTreeSet<u16> {
    partitions.elements().iter().filter_map(|element| u16::try_from(element.partition()).ok()).collect()
}

impl ClientContext for News {
    fn log(&self, _level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "kafka", "{facility}: {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "the service's group");
    }
}

impl ConsumerContext for News {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let slots = slots(partitions);
        let (shift, answered) = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => (Shift::Given(slots), consumer.incremental_assign(partitions)),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                let is_leaving = self.is_leaving.load(Ordering::Acquire);
                if !is_leaving && !slots.is_empty() {
                    // The group waits, or the client before it joins again, until they are let go.
                    *self.wanted.lock() = Some(partitions.clone());
                    let shift = if consumer.assignment_lost() { Shift::Lost(slots) } else { Shift::Wanted(slots) };
                    self.shifts.lock().push(shift);
                    return;
                }
                (Shift::Lost(slots), consumer.incremental_unassign(partitions))
            }
            // Everything goes, whatever is named.
            _ => (Shift::Lost(consumer.assignment().map_or(slots, |all| self::slots(&all))), consumer.unassign()),
        };
        if let Err(error) = answered {
            tracing::warn!(target: "kafka", %error, ?shift, "the service's group was not answered");
        }
        self.shifts.lock().push(shift);
    }
}

/// A server that takes its own place again sets off no rebalance. Where slots were wanted of it when it went, they would be nobody's
/// until the group has a reason to meet: so it waits until its place is forgotten.
fn wait_until_forgotten(
    consumer: &BaseConsumer<News>,
    request: &ClaimRequest<'_>,
    slots: usize,
    waiting: &mut dyn FnMut(&str),
) -> Result<(), LogError> {
    let began = Instant::now();
    while lacks_slots(&look_at_group(consumer, request.group)?.1, request.instance, slots) && began.elapsed() < OTHER_PATIENCE {
        waiting("this server went while it was giving slots to another: waiting until the group has forgotten its place");
        std::thread::sleep(LOOK_PAUSE);
    }
    Ok(())
}

/// Whether a group that has agreed on something, with this server in it, has slots that are nobody's.
fn lacks_slots(members: &[Member], instance: &str, slots: usize) -> bool {
    let is_there = others(members, instance).len() < members.len();
    // None at all: it agrees anew, and who joins has a part in that.
    let assigned: usize = members.iter().map(|member| member.partitions.len()).sum();
    is_there && assigned > 0 && assigned < slots
}

impl KafkaCrew {
    /// Joins the servers that are there.
    pub fn new(
        properties: &ClientProperties,
        login: Option<&Arc<Login>>,
        request: &ClaimRequest<'_>,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<KafkaCrew, LogError> {
        let mut config: ClientConfig = member_config(properties, request);
        config.set("heartbeat.interval.ms", HEARTBEAT_MS);
        config.set("partition.assignment.strategy", PROTOCOL).set("topic.metadata.refresh.interval.ms", REFRESH_MS);
        let created: Result<BaseConsumer<News>, _> = config.create_with_context(News::default());
        let consumer = created.map_err(|error| LogError::Fatal(format!("Kafka client for group '{}': {error}", request.group)))?;
        let mut token = None;
        log_in(login, &consumer, &mut token);
        let (protocol, members) = look_at_group(&consumer, request.group)?;
        let others = others(&members, request.instance);
        if let Some(other) = others.first().filter(|_| !protocol.is_empty() && protocol != PROTOCOL) {
            return Err(LogError::Fatal(format!("{}, and does not share it: {ADVICE}", taken(request, other))));
        }
        let is_alone = others.is_empty();
        let failed = |error: KafkaError| LogError::Retriable(format!("joining group '{}': {error}", request.group));
        if !is_alone {
            let metadata = consumer.fetch_metadata(Some(request.topic), LOOK_TIMEOUT).map_err(failed)?;
            let slots = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
            wait_until_forgotten(&consumer, request, slots, waiting)?;
        }
        consumer.subscribe(&[request.topic]).map_err(failed)?;
        let looks = Looks { last: Instant::now(), is_in_doubt: false, token };
        Ok(KafkaCrew {
            membership: Membership(Some(consumer)),
            group: request.group.to_owned(),
            instance: request.instance.to_owned(),
            login: login.cloned(),
            looks: Mutex::new(looks),
        })
    }

    fn members(&self) -> Result<Vec<Member>, LogError> {
        Ok(look_at_group(&self.membership, &self.group)?.1)
    }

    /// Hears what the group says; an error: it will not have this server.
    fn listen(&self) -> Result<(), String> {
        for _ in 0..MAX_SKIPPED {
            match self.membership.poll(Duration::ZERO) {
                None => break,
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::InconsistentGroupProtocol))) => {
                    return Err(format!(
                        "a server of group '{}' does not share its service: set tidemill.cluster.enabled=true for all of them",
                        self.group
                    ));
                }
                Some(_) => {}
            }
        }
        match self.membership.client().fatal_error() {
            Some((_, reason)) => {
                Err(format!("another server has taken the place of this one in group '{}' ({reason}); {ADVICE}", self.group))
            }
            None => Ok(()),
        }
    }
}

impl Claim for KafkaCrew {
    fn standing(&self) -> Standing {
        let mut looks = self.looks.lock();
        let now = Instant::now();
        // Before the client is polled, which may join again.
        looks.is_in_doubt |= now.saturating_duration_since(looks.last) > SURE_FOR;
        looks.last = now;
        log_in(self.login.as_ref(), &self.membership, &mut looks.token);
        if let Err(reason) = self.listen() {
            return Standing::Lost(reason);
        }
        if looks.is_in_doubt {
            let mine = format!("{}-", self.instance);
            // What was lost by then was heard of: a client that is a member again has joined behind that.
            let is_member = self.members().is_ok_and(|members| members.iter().any(|member| member.id.starts_with(&mine)));
            if !is_member {
                return Standing::Unsure;
            }
            looks.is_in_doubt = false;
        }
        Standing::Held
    }

    fn sure_for(&self) -> Option<Duration> {
        Some(SURE_FOR)
    }

    fn shared(&self) -> Option<&dyn SharedClaim> {
        Some(self)
    }
}

impl SharedClaim for KafkaCrew {
    fn shifts(&self) -> Vec<Shift> {
        std::mem::take(&mut *self.membership.context().shifts.lock())
    }

    fn has_let_go(&self) {
        let Some(partitions) = self.membership.context().wanted.lock().take() else { return };
        if let Err(error) = self.membership.incremental_unassign(&partitions) {
            tracing::warn!(target: "kafka", %error, "what was let go of could not be given to the service's group");
        }
    }

    /// A client that closes as a static member says nothing; one that unsubscribes leaves.
    fn leave(&self, patience: Duration) -> bool {
        let began = Instant::now();
        let mine = format!("{}-", self.instance);
        match self.members() {
            Ok(members) if others(&members, &self.instance).is_empty() => return false,
            Ok(members) if members.iter().any(|member| member.id.starts_with(&mine)) => {}
            _ => return false,
        }
        self.membership.context().is_leaving.store(true, Ordering::Release);
        self.has_let_go();
        self.membership.unsubscribe();
        while began.elapsed() < patience {
            // What it had is to be answered before the client leaves.
            let _ = self.membership.poll(LEAVE_STEP);
            if self.members().is_ok_and(|members| !members.iter().any(|member| member.id.starts_with(&mine))) {
                return true;
            }
        }
        false
    }

    fn assigned(&self) -> BTreeSet<u16> {
        self.membership.assignment().map(|assignment| slots(&assignment)).unwrap_or_default()
    }

    fn shares(&self) -> Result<BTreeMap<String, BTreeSet<u16>>, LogError> {
        let instance = |id: &str| id.split_once('-').map_or(id, |(instance, _)| instance).to_owned();
        let mut shares = BTreeMap::from([(self.instance.clone(), BTreeSet::new())]);
        shares.extend(self.members()?.into_iter().map(|member| (instance(&member.id), member.partitions)));
        Ok(shares)
    }
}

impl Drop for KafkaCrew {
    /// A group whose wish is not answered keeps a client from closing.
    fn drop(&mut self) {
        self.membership.context().is_leaving.store(true, Ordering::Release);
        self.has_let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_that_a_server_was_giving_away_when_it_went_are_nobodys() {
        let member = |id: &str, slots: std::ops::Range<u16>| Member {
            id: id.to_owned(),
            client: "tidemill".to_owned(),
            host: "/10.0.0.7".to_owned(),
            partitions: slots.collect(),
        };
        let lacks = |members: &[Member]| lacks_slots(members, "a", 8);
        assert!(lacks(&[member("a-1", 0..4), member("b-1", 0..0)]));
        assert!(!lacks(&[member("a-1", 0..4), member("b-1", 4..8)]));
        assert!(!lacks(&[member("a-1", 0..0), member("b-1", 0..0)]), "it agrees anew");
        assert!(!lacks(&[member("b-1", 0..4), member("c-1", 0..0)]), "who is new sets off a rebalance");
    }
}
