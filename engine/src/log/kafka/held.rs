//! Records that are kept back until another writer's are delivered, so that they come behind these in each partition.

use crate::log::{Delivery, LogError, LogWriter, OutRecord, TopicHandle};
use crate::row::Header;

/// Beyond so many bytes, or records, whoever writes should wait.
const MAX_BYTES: usize = 16 << 20;
const MAX_RECORDS: usize = 65_536;

/// See the module.
pub(super) struct Held {
    until: Delivery,
    room: Room,
}

/// Memory for records, which is used again by the next transaction: to be given fresh pages for megabytes at each of them costs as
/// much as the copying. Keys and values lie one behind the other.
#[derive(Default)]
pub(super) struct Room {
    records: Vec<HeldRecord>,
    bytes: Vec<u8>,
}

struct HeldRecord {
    topic: TopicHandle,
    partition: i32,
    timestamp: i64,
    /// `None`: null.
    key: Option<usize>,
    value: Option<usize>,
    headers: Box<[Header]>,
}

impl Held {
    pub fn new(until: Delivery, room: Room) -> Self {
        Held { until, room }
    }

    pub fn is_awaited(&self) -> bool {
        self.until.is_awaited()
    }

    /// What they should come behind will never be there.
    pub fn is_in_vain(&self) -> bool {
        self.until.has_failed()
    }

    pub fn has_room(&self) -> bool {
        self.room.bytes.len() < MAX_BYTES && self.room.records.len() < MAX_RECORDS
    }

    pub fn push(&mut self, topic: TopicHandle, record: &OutRecord<'_>) {
        let OutRecord { partition, timestamp, key, value, headers } = *record;
        self.room.bytes.extend_from_slice(key.unwrap_or_default());
        self.room.bytes.extend_from_slice(value.unwrap_or_default());
        let (key, value) = (key.map(<[u8]>::len), value.map(<[u8]>::len));
        self.room.records.push(HeldRecord { topic, partition, timestamp, key, value, headers: headers.into() });
    }

    /// Sends all of them; gives the room back, empty.
    ///
    /// # Errors
    /// As for the writer.
    pub fn send(self, writer: &mut impl LogWriter) -> Result<Room, LogError> {
        let mut room = self.room;
        let mut rest = &room.bytes[..];
        let mut take = |length: Option<usize>| {
            let (part, behind) = rest.split_at_checked(length?)?;
            rest = behind;
            Some(part)
        };
        for HeldRecord { topic, partition, timestamp, key, value, headers } in &room.records {
            let (key, value) = (take(*key), take(*value));
            writer.send(*topic, OutRecord { partition: *partition, timestamp: *timestamp, key, value, headers })?;
        }
        room.records.clear();
        room.bytes.clear();
        Ok(room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::simulated::SimulatedLog;
    use crate::log::{Commit, Log, TopicSpec};
    use crate::state::StateBatch;

    #[test]
    fn what_is_kept_back_comes_as_it_was() {
        let log = SimulatedLog::default();
        log.create_topic(&TopicSpec { name: "t".into(), partitions: 2, replicas: 1, config: Default::default() }).unwrap();
        let (topic, _) = log.topic("t").unwrap();
        let headers = [Header { key: "h".into(), value: Some(b"x".to_vec()) }];
        let until = Delivery::default();
        let mut held = Held::new(until.clone(), Room::default());
        let record = |timestamp, key, value| OutRecord { partition: 1, timestamp, key, value, headers: &headers };
        for record in [record(1, Some(&b"a"[..]), Some(&b"1"[..])), record(2, None, Some(b"")), record(3, Some(b"c"), None)] {
            held.push(topic, &record);
        }
        assert!(held.is_awaited() && held.has_room());
        until.tell(true);
        assert!(!held.is_awaited() && !held.is_in_vain());
        let mut writer = log.writer().unwrap();
        let room = held.send(&mut Through(&mut *writer)).unwrap();
        assert!(room.records.is_empty() && room.bytes.is_empty() && room.bytes.capacity() > 0, "the next ones find it empty");
        writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).unwrap();
        let found: Vec<_> =
            log.records("t").unwrap()[1].iter().map(|r| (r.timestamp, r.key.clone(), r.value.clone(), r.headers.len())).collect();
        let expected = [(1, Some(b"a".to_vec()), Some(b"1".to_vec()), 1), (2, None, Some(vec![]), 1), (3, Some(b"c".to_vec()), None, 1)];
        assert_eq!(found, expected);
    }

    struct Through<'w>(&'w mut dyn LogWriter);

    impl LogWriter for Through<'_> {
        fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
            self.0.send(topic, record)
        }
        fn hint_idle(&mut self) {}
        fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
            self.0.commit(commit)
        }
    }
}
