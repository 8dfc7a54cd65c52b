//! What names a worker's transactions, and what is written down of them.
//!
//! Beside its marks, the service's topic of marks holds two kinds of records of each transactional id. One says who uses the
//! id: it is written before that process fences those before it, so a process that is fenced finds out by whom. The other is
//! part of each transaction and carries its number: whoever did not hear how a transaction ended looks whether it is there.

use std::sync::Arc;

use super::{Offset, TopicHandle, TopicPartition};

/// Names the transactions of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionalId {
    /// Kafka's `transactional.id`.
    pub name: Arc<str>,
    /// Where the two kinds of records go.
    pub topic: TopicHandle,
    pub place: TopicPartition,
    /// Tells this process from others that used the id.
    pub session: u64,
    /// What this process wrote of itself lies before this offset, and what others wrote of themselves before it did.
    pub since: Offset,
}

/// Begin the keys of the two kinds.
const HOLDER: &[u8] = b"holder\0";
const OUTCOME: &[u8] = b"transaction\0";

impl TransactionalId {
    /// The key of the record that says who uses an id.
    pub fn holder_key(name: &str) -> Vec<u8> {
        [HOLDER, name.as_bytes()].concat()
    }

    /// The id that a record speaks of, where it says who uses one.
    pub fn held(key: &[u8]) -> Option<&str> {
        std::str::from_utf8(key.strip_prefix(HOLDER)?).ok()
    }

    /// The key of the record that each transaction carries.
    pub fn outcome_key(&self) -> Vec<u8> {
        [OUTCOME, self.name.as_bytes()].concat()
    }

    /// The value of that record: which process, and which of its transactions.
    pub fn outcome(&self, number: u64) -> [u8; 16] {
        let mut value = [0; 16];
        value[..8].copy_from_slice(&self.session.to_be_bytes());
        value[8..].copy_from_slice(&number.to_be_bytes());
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_who_uses_an_id() {
        let key = TransactionalId::holder_key("a-1");
        assert_eq!(TransactionalId::held(&key), Some("a-1"));
        for other in [&b"transaction\0a-1"[..], b"", b"holder", b"holder\0\xff"] {
            assert_eq!(TransactionalId::held(other), None);
        }
    }
}
