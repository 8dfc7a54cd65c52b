//! What waits for stream time: entries of an ordered store that are taken out once their time has come.
//!
//! Every entry is looked at once on its way out, however many have gone before it: the queue knows the time before which
//! the store holds none, and does not look there. After a restart or a rollback it finds that time again.
//!
//! Store (ordered): time (8 bytes), then what the operator adds → what it keeps.

use super::FatalError;
use crate::state::Store;
use crate::task::StoreIndex;
use crate::types::codec;

/// See the module.
pub(super) struct TimeQueue {
    store: StoreIndex,
    /// No entry has an earlier time; `None`: not known.
    first: Option<i64>,
}

/// An entry that was taken out.
pub(super) struct Due {
    pub time: i64,
    /// What follows the time in its key.
    pub rest: Vec<u8>,
    pub value: Vec<u8>,
}

impl TimeQueue {
    pub fn new(store: StoreIndex) -> Self {
        TimeQueue { store, first: None }
    }

    /// Sets an entry, or deletes it.
    pub fn put(&mut self, time: i64, rest: &[u8], value: Option<&[u8]>, stores: &mut [Store]) {
        if value.is_some() {
            self.expect(time);
        }
        stores[self.store.0].put(&key(time, rest), value);
    }

    /// Sets an entry to what `f` writes behind its old value.
    pub fn append(
        &mut self,
        time: i64,
        rest: &[u8],
        stores: &mut [Store],
        buffer: &mut Vec<u8>,
        f: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), FatalError> {
        self.expect(time);
        let appended = stores[self.store.0].update(&key(time, rest), buffer, |old, entry| {
            entry.extend_from_slice(old.unwrap_or_default());
            f(entry);
            true
        });
        appended.map_err(|e| FatalError(e.to_string()))
    }

    /// Deletes an entry that may not be there; then nothing is written.
    pub fn remove(&mut self, time: i64, rest: &[u8], stores: &mut [Store]) -> Result<(), FatalError> {
        let (store, key) = (&mut stores[self.store.0], key(time, rest));
        if store.get(&key, |value| value.is_some()).map_err(|e| FatalError(e.to_string()))? {
            store.put(&key, None);
        }
        Ok(())
    }

    /// Takes out all entries before a time, in order.
    pub fn take_before(&mut self, time: i64, stores: &mut [Store]) -> Result<Vec<Due>, FatalError> {
        let from = self.first.unwrap_or(i64::MIN);
        if from >= time {
            return Ok(Vec::new());
        }
        let store = &mut stores[self.store.0];
        let mut due = Vec::new();
        let mut first = Some(i64::MAX);
        let scanned = store.range(&codec::to_ordered(from), None, &mut |key, value| {
            let Some((at, rest)) = key.split_first_chunk() else {
                first = None;
                return false;
            };
            let at = codec::from_ordered(*at);
            if at >= time {
                first = Some(at);
                return false;
            }
            due.push(Due { time: at, rest: rest.to_vec(), value: value.to_vec() });
            true
        });
        scanned.map_err(|e| FatalError(e.to_string()))?;
        self.first = Some(first.ok_or_else(|| FatalError("an entry that waits for its time has none".into()))?);
        for entry in &due {
            store.put(&key(entry.time, &entry.rest), None);
        }
        Ok(due)
    }

    /// The store went back to what it was: what is known of it holds no longer.
    pub fn roll_back(&mut self) {
        self.first = None;
    }

    fn expect(&mut self, time: i64) {
        self.first = self.first.map(|first| first.min(time));
    }
}

fn key(time: i64, rest: &[u8]) -> Vec<u8> {
    [&codec::to_ordered(time), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{StoreKind, visits};

    fn take(queue: &mut TimeQueue, time: i64, stores: &mut [Store]) -> Vec<(i64, Vec<u8>)> {
        queue.take_before(time, stores).unwrap().into_iter().map(|due| (due.time, due.rest)).collect()
    }

    #[test]
    fn entries_come_out_once_in_order_whatever_their_time() {
        let mut stores = [Store::in_memory(StoreKind::Ordered)];
        let mut queue = TimeQueue::new(StoreIndex(0));
        for time in [7, i64::MAX, -3, i64::MIN, 0] {
            queue.put(time, b"a", Some(b"x"), &mut stores);
        }
        assert_eq!(take(&mut queue, 7, &mut stores), [i64::MIN, -3, 0].map(|time| (time, b"a".to_vec())));
        queue.put(5, b"late", Some(b"x"), &mut stores);
        queue.put(5, b"gone", Some(b"x"), &mut stores);
        queue.put(5, b"gone", None, &mut stores);
        assert_eq!(take(&mut queue, i64::MAX, &mut stores), [(5, b"late".to_vec()), (7, b"a".to_vec())]);
        assert_eq!(take(&mut queue, i64::MAX, &mut stores), [], "what is at the end of time never comes");
        // As a restart finds them.
        queue.put(-9, b"b", Some(b"x"), &mut stores);
        assert_eq!(take(&mut TimeQueue::new(StoreIndex(0)), 0, &mut stores), [(-9, b"b".to_vec())]);
    }

    #[test]
    fn what_has_gone_is_not_looked_at_again() {
        let mut stores = [Store::in_memory(StoreKind::Ordered)];
        let mut queue = TimeQueue::new(StoreIndex(0));
        let mut most = 0;
        for time in 0..5_000 {
            queue.put(time, b"a", Some(b"x"), &mut stores);
            visits::take();
            queue.take_before(time - 10, &mut stores).unwrap();
            most = most.max(visits::take());
        }
        assert!(most < 10, "{most} entries looked at");
    }
}
