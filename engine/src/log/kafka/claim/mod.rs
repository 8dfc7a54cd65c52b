//! One server for each service: membership of a consumer group tells whether another runs.
//!
//! Each server is a member of its service's group, which shares the one partition of the command topic. Membership is static
//! (`group.instance.id` is the data folder's own id): a server that starts again on its folder, after a crash too, finds only
//! itself in the group and goes on at once, and takes the place of the member that it was. A server on another folder waits
//! for as long as the session of one that has died may last, and is refused where the member is still there then.
//!
//! Nobody waits for the group to rebalance: brokers take three seconds for the first member. Two servers that start at the
//! same time therefore both begin; the one that gets no partition then ends what it began.
//!
//! A server that was stopped or cut off for longer than its session finds out before it writes again. Since its membership may
//! have ended, another server may have begun, and come back it would be a member like the other, and might even get the partition.
//! So it is *unsure*, and writes nothing, until it has seen itself in the group, alone; where it sees another there, that one has
//! the service, and it leaves. Where its place was taken it is unsure, too, until it knows whether anybody has it (`doubt::Rival`).

mod assignment;
mod crew;
mod doubt;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, ClientContext};

pub(super) use self::crew::KafkaCrew;
use self::doubt::{Doubt, Outcome, Patience, Rival};
use super::ffi::login;
use super::login::{Login, Token};
use super::properties::{ClientProperties, Role};
use crate::log::{Claim, ClaimRequest, LogError, Standing};

/// How long a member that has died stays in the group, milliseconds. The shortest that brokers allow by default.
const SESSION_MS: u64 = 6_000;
const HEARTBEAT_MS: u64 = 2_000;
/// How long another member is waited for, while the members stay the same: its session, and what a broker takes to notice.
const OTHER_PATIENCE: Duration = Duration::from_millis(SESSION_MS + 4_000);
/// Pause between two looks at the group.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// How long one look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Without the partition for so long, the server asks who has it: longer than a server that has left by itself may keep it.
const PARTITION_PATIENCE: Duration = Duration::from_millis(SESSION_MS + 6_000);
/// How long membership is sure behind a look: what is left of a session where the heartbeat before that look was the last one.
const SURE_FOR: Duration = Duration::from_millis(SESSION_MS - HEARTBEAT_MS - 1_000);
/// A server that had left the group has to see itself alone in it for so long: another that found nobody is about to join.
const ALONE_FOR: Duration = Duration::from_secs(1);
/// The group is polled by a thread that may be long at something else; membership does not hang on that.
const POLL_INTERVAL_MS: &str = "86400000";
/// Records of the command topic that are skipped in one look; nobody needs them.
const MAX_SKIPPED: usize = 1_000;

/// A member of the group, as brokers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    /// Begins with the instance's id where membership is static.
    id: String,
    client: String,
    host: String,
    /// What of the topic is its, as the group has agreed.
    partitions: BTreeSet<u16>,
}

/// The members that are not this server.
fn others<'a>(members: &'a [Member], instance: &str) -> Vec<&'a Member> {
    let mine = format!("{instance}-");
    members.iter().filter(|member| !member.id.starts_with(&mine)).collect()
}

/// What is said of another server.
fn taken(request: &ClaimRequest<'_>, other: &Member) -> String {
    format!(
        "another server of service '{}' is at {} (member {} of group '{}')",
        request.service,
        other.host.trim_start_matches('/'),
        other.client,
        request.group
    )
}

/// What to do about it.
const ADVICE: &str = "two servers with one service id would run every query twice: stop the other one, or set ksql.service.id to another \
                      name here, or let them share the service (tidemill.cluster.enabled=true for both)";

/// Says nothing by itself: an outage is told once, by `health`.
#[derive(Default)]
struct Quiet {
    /// The membership ended without this server's doing, and it is about to join anew.
    has_been_out: AtomicBool,
}

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "kafka", "{facility}: {line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "kafka", %error, reason, "the service's group");
    }
}

impl ConsumerContext for Quiet {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, _: &Rebalance<'_>) {
        if consumer.assignment_lost() {
            self.has_been_out.store(true, Ordering::Release);
        }
    }
}

/// A client that is a member of the group.
struct Membership<C: ConsumerContext + 'static = Quiet>(Option<BaseConsumer<C>>);

impl<C: ConsumerContext + 'static> Drop for Membership<C> {
    /// Closing a client that is about to join waits for the group, without end where that stands still: nobody waits for it.
    fn drop(&mut self) {
        let consumer = self.0.take();
        let _ = std::thread::Builder::new().name("kafka-leave".into()).spawn(move || drop(consumer));
    }
}

impl<C: ConsumerContext + 'static> std::ops::Deref for Membership<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }
}

/// A held claim. Dropping it leaves the group to the session's end, so that a quick restart finds its place.
pub(super) struct KafkaClaim {
    /// `None`: given up.
    membership: Mutex<Option<Membership>>,
    config: ClientConfig,
    topic: String,
    group: String,
    instance: String,
    service: String,
    login: Option<Arc<Login>>,
    looks: Mutex<Looks>,
}

/// What earlier looks have found.
#[derive(Default)]
struct Looks {
    last: Option<Instant>,
    without_since: Option<Instant>,
    doubt: Option<Doubt>,
    rival: Option<Rival>,
    lost: Option<String>,
    /// What the client logs in with.
    token: Option<Arc<Token>>,
}

impl KafkaClaim {
    /// Waits for others to go, then joins.
    pub(super) fn new(
        properties: &ClientProperties,
        login: Option<&Arc<Login>>,
        request: &ClaimRequest<'_>,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<KafkaClaim, LogError> {
        let config = member_config(properties, request);
        let claim = KafkaClaim {
            membership: Mutex::new(None),
            config,
            topic: request.topic.to_owned(),
            group: request.group.to_owned(),
            instance: request.instance.to_owned(),
            service: request.service.to_owned(),
            login: login.cloned(),
            looks: Mutex::default(),
        };
        let consumer = claim.consumer()?;
        claim.wait_for_others(&consumer, request, waiting)?;
        *claim.membership.lock() = Some(claim.join(consumer)?);
        Ok(claim)
    }

    /// A client that is not in the group yet.
    fn consumer(&self) -> Result<BaseConsumer<Quiet>, LogError> {
        let created: Result<BaseConsumer<Quiet>, _> = self.config.create_with_context(Quiet::default());
        let consumer = created.map_err(|error| LogError::Fatal(format!("Kafka client for group '{}': {error}", self.group)))?;
        if let Some(token) = self.login.as_ref().and_then(|login| login.token()) {
            login::log_in(consumer.client(), &token);
        }
        Ok(consumer)
    }

    fn join(&self, consumer: BaseConsumer<Quiet>) -> Result<Membership, LogError> {
        consumer.subscribe(&[&self.topic]).map_err(|error| LogError::Fatal(format!("joining group '{}': {error}", self.group)))?;
        Ok(Membership(Some(consumer)))
    }

    fn wait_for_others(
        &self,
        consumer: &BaseConsumer<Quiet>,
        request: &ClaimRequest<'_>,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<(), LogError> {
        let mut patience = Patience::new(Instant::now());
        loop {
            let members = self.members(consumer)?;
            let others = others(&members, &self.instance);
            let Some(other) = others.first().map(|other| taken(request, other)) else { return Ok(()) };
            if !patience.lasts(others.iter().map(|other| other.id.clone()).collect(), Instant::now()) {
                return Err(LogError::Fatal(format!("{other}; {ADVICE}")));
            }
            let seconds = OTHER_PATIENCE.as_secs();
            waiting(&format!("{other}; if it has crashed, the group forgets it within {seconds} s: waiting for that"));
            std::thread::sleep(LOOK_PAUSE);
        }
    }

    fn members(&self, consumer: &BaseConsumer<Quiet>) -> Result<Vec<Member>, LogError> {
        Ok(look_at_group(consumer, &self.group)?.1)
    }
}

/// The client gets a token that has come since the last look.
fn log_in<C: ConsumerContext>(login: Option<&Arc<Login>>, consumer: &BaseConsumer<C>, last: &mut Option<Arc<Token>>) {
    let Some(token) = login.and_then(|login| login.token()) else { return };
    if last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &token)) {
        login::log_in(consumer.client(), &token);
        *last = Some(token);
    }
}

/// How a server becomes a member.
fn member_config(properties: &ClientProperties, request: &ClaimRequest<'_>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in properties.for_role(Role::Admin) {
        config.set(name, value);
    }
    config
        .set("group.id", request.group)
        .set("group.instance.id", request.instance)
        .set("session.timeout.ms", SESSION_MS.to_string())
        .set("heartbeat.interval.ms", HEARTBEAT_MS.to_string())
        .set("max.poll.interval.ms", POLL_INTERVAL_MS)
        .set("auto.offset.reset", "latest")
        .set("enable.auto.commit", "false");
    config
}

/// How a group shares its topics, where it has agreed on that, and its members.
fn look_at_group<C: ConsumerContext>(consumer: &BaseConsumer<C>, group: &str) -> Result<(String, Vec<Member>), LogError> {
    let deadline = Instant::now() + LOOK_TIMEOUT;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.fetch_group_list(Some(group), left.max(LOOK_PAUSE)) {
            Ok(list) => {
                let Some(found) = list.groups().iter().find(|found| found.name() == group) else { return Ok(Default::default()) };
                let member = |member: &rdkafka::groups::GroupMemberInfo| Member {
                    id: member.id().to_owned(),
                    client: member.client_id().to_owned(),
                    host: member.client_host().to_owned(),
                    partitions: member.assignment().and_then(assignment::partitions).unwrap_or_default(),
                };
                return Ok((found.protocol().to_owned(), found.members().iter().map(member).collect()));
            }
            // A cluster without groups is about to make the topic of their offsets.
            Err(_) if Instant::now() + LOOK_PAUSE < deadline => std::thread::sleep(LOOK_PAUSE),
            Err(error) => return Err(LogError::Retriable(format!("asking for the members of group '{group}': {error}"))),
        }
    }
}

impl KafkaClaim {
    fn is_member(&self, members: &[Member]) -> bool {
        members.iter().any(|member| member.id.starts_with(&format!("{}-", self.instance)))
    }

    /// Names another member.
    fn other(&self, members: &[Member]) -> Option<String> {
        let request = ClaimRequest { service: &self.service, group: &self.group, topic: "", instance: &self.instance, is_shared: false };
        others(members, &self.instance).first().map(|other| format!("{}; {ADVICE}", taken(&request, other)))
    }

    /// Looks once; an error says who has the service.
    fn look(&self, consumer: &BaseConsumer<Quiet>, looks: &mut Looks) -> Result<Standing, String> {
        let now = Instant::now();
        if looks.last.replace(now).is_some_and(|last| now.saturating_duration_since(last) > SURE_FOR) {
            // Before the client is polled, which may join again.
            looks.doubt.get_or_insert_default();
        }
        let standing = self.settle(consumer, looks)?;
        for _ in 0..MAX_SKIPPED {
            if consumer.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        if consumer.client().fatal_error().is_some() {
            return Ok(Standing::Unsure);
        }
        if consumer.context().has_been_out.swap(false, Ordering::AcqRel) {
            looks.doubt.get_or_insert_default();
            // Where the brokers were just asked in vain, the next look asks them.
            return if standing == Standing::Unsure { Ok(standing) } else { self.settle(consumer, looks) };
        }
        if standing == Standing::Unsure {
            return Ok(standing);
        }
        if consumer.assignment().is_ok_and(|assignment| assignment.count() > 0) {
            looks.without_since = None;
            return Ok(Standing::Held);
        }
        if looks.without_since.get_or_insert(now).elapsed() >= PARTITION_PATIENCE {
            looks.without_since = None;
            // Not in the group, it may only not have come back to it yet: the other has the partition all the same.
            if let Some(other) = self.members(consumer).ok().and_then(|members| self.other(&members)) {
                return Err(other);
            }
        }
        Ok(Standing::Held)
    }

    /// What becomes of a client that the broker has shut out of the group.
    fn shut_out(&self, membership: &mut Membership, looks: &mut Looks, reason: &str) -> Result<Standing, String> {
        let rival = looks.rival.get_or_insert_default();
        let holds_the_place = self.members(membership).ok().map(|members| self.is_member(&members));
        let outcome = rival.look(holds_the_place, Instant::now());
        tracing::debug!(target: "kafka", reason, ?outcome, "another member took this server's place");
        match outcome {
            Outcome::Wait => {}
            Outcome::Leave => {
                return Err(format!("another server has taken the place of this one in group '{}' ({reason}); {ADVICE}", self.group));
            }
            Outcome::JoinAgain => {
                // Where it can't be made, the next look tries again.
                if let Ok(joined) = self.consumer().and_then(|consumer| self.join(consumer)) {
                    *membership = joined;
                    (looks.rival, looks.doubt, looks.without_since) = (None, Some(Doubt::out()), None);
                }
            }
        }
        Ok(Standing::Unsure)
    }

    /// Settles a doubt, as far as can be.
    fn settle(&self, consumer: &BaseConsumer<Quiet>, looks: &mut Looks) -> Result<Standing, String> {
        let Some(doubt) = &mut looks.doubt else { return Ok(Standing::Held) };
        // The brokers are away.
        let Ok(members) = self.members(consumer) else { return Ok(Standing::Unsure) };
        let is_member = self.is_member(&members);
        let standing = doubt.look(is_member, others(&members, &self.instance).len(), Instant::now());
        tracing::debug!(target: "kafka", is_member, ?standing, "whether the service is still this server's");
        match standing {
            None => Err(self.other(&members).unwrap_or_default()),
            Some(Standing::Held) => {
                looks.doubt = None;
                Ok(Standing::Held)
            }
            Some(standing) => Ok(standing),
        }
    }
}

impl Claim for KafkaClaim {
    fn standing(&self) -> Standing {
        let mut looks = self.looks.lock();
        if let Some(reason) = &looks.lost {
            return Standing::Lost(reason.clone());
        }
        let mut membership = self.membership.lock();
        let found = match &mut *membership {
            None => Ok(Standing::Held),
            Some(member) => {
                log_in(self.login.as_ref(), member, &mut looks.token);
                match member.client().fatal_error() {
                    None => self.look(member, &mut looks),
                    Some((_, reason)) => self.shut_out(member, &mut looks, &reason),
                }
            }
        };
        found.unwrap_or_else(|reason| {
            // Else it stays a member, and may keep the other from the partition.
            *membership = None;
            looks.lost = Some(reason.clone());
            Standing::Lost(reason)
        })
    }

    fn sure_for(&self) -> Option<Duration> {
        Some(SURE_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_itself_in_the_group() {
        let member = |id: &str| Member {
            id: id.to_owned(),
            client: "tidemill".to_owned(),
            host: "/10.0.0.7".to_owned(),
            partitions: BTreeSet::new(),
        };
        let members = [member("aa-1b4e"), member("a-77"), member("b-3")];
        let ids = |instance| others(&members, instance).iter().map(|m| m.id.as_str()).collect::<Vec<_>>().join(" ");
        assert_eq!(ids("a"), "aa-1b4e b-3");
        assert_eq!(ids("aa"), "a-77 b-3");
        let request = ClaimRequest { service: "s_", group: "g", topic: "t", instance: "a", is_shared: false };
        let said = taken(&request, &members[0]);
        assert_eq!(said, "another server of service 's_' is at 10.0.0.7 (member tidemill of group 'g')");
    }
}
