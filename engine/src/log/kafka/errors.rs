//! librdkafka's error codes in the words of [`LogError`].

use rdkafka::bindings::rd_kafka_resp_err_t as Code;

use crate::log::LogError;

/// What librdkafka or a broker answered instead of a result.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Kafka's error code, negative ones are librdkafka's own.
    pub code: i32,
    pub text: String,
    /// The topic that was looked up on the way to what was asked for, where it failed there.
    pub looked_up: Option<&'static str>,
}

/// Codes after which the same request may succeed: brokers or coordinators that are away, move, load or are busy.
const RETRIABLE: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR__TRANSPORT,
    Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
    Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR__RESOLVE,
    Code::RD_KAFKA_RESP_ERR__WAIT_COORD,
    Code::RD_KAFKA_RESP_ERR__WAIT_CACHE,
    Code::RD_KAFKA_RESP_ERR__RETRY,
    Code::RD_KAFKA_RESP_ERR__QUEUE_FULL,
    Code::RD_KAFKA_RESP_ERR__IN_PROGRESS,
    Code::RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
    Code::RD_KAFKA_RESP_ERR__INTR,
    Code::RD_KAFKA_RESP_ERR__PURGE_QUEUE,
    Code::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT,
    Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    Code::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    Code::RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    Code::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    Code::RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
    Code::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    Code::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
    Code::RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
    Code::RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
    Code::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
    Code::RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
];

/// Codes that say that a topic or partition does not exist.
const UNKNOWN_TOPIC: &[Code] = &[
    Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    Code::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
];

impl Failure {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure::raw(code as i32, text)
    }

    /// A code and a text as they came.
    pub fn raw(code: i32, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into(), looked_up: None }
    }

    /// The failure came while a topic of the broker's own was looked up, whoever asked for what.
    pub(super) fn looking_up(self, topic: &'static str) -> Failure {
        Failure { looked_up: Some(topic), ..self }
    }

    /// The failure of a bare code, in librdkafka's words; none for 0.
    pub(super) fn of_code(code: i32) -> Option<Failure> {
        (code != 0).then(|| super::ffi::failure(code))
    }

    /// Nobody answered in time.
    pub(super) fn late(text: impl Into<String>) -> Failure {
        Failure::new(Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, text)
    }

    pub(super) fn is_late(&self) -> bool {
        self.is(Code::RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
    }

    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code as i32
    }

    pub(super) fn is_retriable(&self) -> bool {
        RETRIABLE.iter().any(|code| self.is(*code))
    }

    pub(super) fn is_unknown_topic(&self) -> bool {
        UNKNOWN_TOPIC.iter().any(|code| self.is(*code))
    }

    /// The partition holds no record at the offset that is read from, nor will it get one there soon.
    pub(super) fn is_out_of_range(&self) -> bool {
        self.is(Code::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) || self.is(Code::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
    }

    /// An ACL forbids it.
    pub(super) fn is_denied(&self) -> bool {
        [
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
        ]
        .iter()
        .any(|code| self.is(*code))
    }

    /// What was asked for can't be done now: a transaction has failed.
    pub(super) fn is_in_wrong_state(&self) -> bool {
        self.is(Code::RD_KAFKA_RESP_ERR__STATE) || self.is(Code::RD_KAFKA_RESP_ERR__FATAL)
    }

    /// Whoever tries again will be told the same.
    pub(super) fn is_lasting(&self) -> bool {
        [
            Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            Code::RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
        ]
        .iter()
        .any(|code| self.is(*code))
    }

    pub(super) fn is_queue_full(&self) -> bool {
        self.is(Code::RD_KAFKA_RESP_ERR__QUEUE_FULL)
    }

    /// What happened, also where librdkafka has no text for it.
    pub(super) fn in_words(&self) -> String {
        match self {
            failure if !failure.text.is_empty() => failure.text.clone(),
            failure if failure.is_unknown_topic() => "the topic or its partition does not exist".to_owned(),
            failure => format!("Kafka error {}", failure.code),
        }
    }

    /// Whether another broker should be asked: the one asked does not keep the group, or cannot be reached.
    pub(super) fn is_about_coordinator(&self) -> bool {
        [
            Code::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Code::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            Code::RD_KAFKA_RESP_ERR__TRANSPORT,
            Code::RD_KAFKA_RESP_ERR__TIMED_OUT,
        ]
        .iter()
        .any(|code| self.is(*code))
    }

    /// In the words of the log: `what` was tried, on this topic if on one.
    pub(super) fn about(self, what: &str, topic: Option<&str>) -> LogError {
        // What is missing is a right on the topic that was looked up, not on what was asked for.
        if let Some(looked_up) = self.looked_up.filter(|_| self.is_denied()) {
            return LogError::Denied { operation: "Describe", resource: format!("topic(s): [{looked_up}]") };
        }
        match topic {
            Some(topic) if self.is_unknown_topic() => LogError::UnknownTopic(topic.to_owned()),
            Some(topic) if self.is(Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) => LogError::TopicExists(topic.to_owned()),
            _ if self.is_denied() => {
                let operation = operation_of(what);
                let resource = match topic {
                    Some(topic) => format!("topic(s): [{topic}]"),
                    None => what.rsplit_once(" of ").map_or_else(|| "the cluster".to_owned(), |(_, resource)| resource.to_owned()),
                };
                LogError::Denied { operation, resource }
            }
            _ => {
                let on = topic.map(|topic| format!(" '{topic}'")).unwrap_or_default();
                let text = format!("Kafka: {what}{on}: {}", self.text);
                if self.is_retriable() { LogError::Retriable(text) } else { LogError::Fatal(text) }
            }
        }
    }
}

/// The right that something needs, as ACLs name it.
fn operation_of(what: &str) -> &'static str {
    const BY_BEGINNING: [(&str, &str); 7] = [
        ("creating", "Create"),
        ("deleting", "Delete"),
        ("writing", "Write"),
        ("reading the configuration", "DescribeConfigs"),
        ("reading", "Read"),
        ("seeking", "Read"),
        ("committing", "Read"),
    ];
    BY_BEGINNING.iter().find(|(beginning, _)| what.starts_with(beginning)).map_or("Describe", |(_, operation)| operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_the_right_kind() {
        let kind = |code: Code, topic| match Failure::new(code, "x").about("creating topic", topic) {
            LogError::UnknownTopic(_) => "unknown",
            LogError::TopicExists(_) => "exists",
            LogError::Undeliverable { .. } => "undeliverable",
            LogError::Denied { .. } => "denied",
            LogError::Retriable(_) => "retriable",
            LogError::Fatal(_) => "fatal",
            LogError::Fenced(_) => "fenced",
        };
        assert_eq!(kind(Code::RD_KAFKA_RESP_ERR__TRANSPORT, None), "retriable");
        assert_eq!(kind(Code::RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, Some("t")), "exists");
        assert_eq!(kind(Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, Some("t")), "unknown");
        assert_eq!(kind(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, Some("t")), "denied");
        let denied = Failure::new(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "x").about("creating topic", Some("t")).to_string();
        assert!(denied.starts_with("Authorization denied to Create on topic(s): [t]"), "{denied}");
        let denied = Failure::new(Code::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, "x");
        let denied = denied.about("committing the offsets of group 'g'", None).to_string();
        assert!(denied.starts_with("Authorization denied to Read on group 'g'"), "{denied}");
    }
}
