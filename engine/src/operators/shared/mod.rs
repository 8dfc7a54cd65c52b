//! What many push queries read of one topic is decoded once.
//!
//! Push queries stay tasks of their own, each with its own position, so one may join, leave, fall behind and pause as if it were
//! alone. They get the same batches of the log, though, and where at least two read a partition in the same way (format, schema,
//! columns, time) the rows of a batch are decoded by whoever comes first, in slabs of a few hundred records, and found by the
//! others. What is anything but a plain row (one that can't be read, a warning, a time that is refused) is not shared: each query
//! reads it by itself, and reports it.
//!
//! A batch is kept until all have come to it, as long as it is one of the newest and within one budget of all topics: who is further
//! back, or alone, decodes by itself. A burst of records is many batches, and one reader goes through most of them before the next has
//! its turn, so the newest are not few. The last reader takes what is kept with it.

mod index;
mod pass_over;
mod slab;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

pub use pass_over::{PassOver, Passed};
pub(super) use slab::Slab;
use slab::{SLAB_RECORDS, SlabMaker};

use crate::log::{Batch, RecordRef};
use crate::row::Row;

/// Batches of one partition that are kept at most, the newest.
const MAX_BATCHES: usize = 256;

/// All that is shared by the queries of a runtime.
#[derive(Default)]
pub struct SharedReadings {
    /// By what tells a way of reading from the others.
    ways: Mutex<HashMap<String, Weak<Way>>>,
    /// That all decoded rows take, about.
    bytes: Arc<AtomicUsize>,
}

/// What the readers of one task share with those of others.
pub struct Sharing {
    pub readings: Arc<SharedReadings>,
    pub partition: i32,
}

/// One way of reading one partition.
struct Way {
    batches: Mutex<VecDeque<Arc<Decoded>>>,
    /// The first offset of the newest batch that was ever kept.
    newest: AtomicI64,
    bytes: Arc<AtomicUsize>,
}

/// A batch, and its rows as far as somebody has asked for them. `None` within: there was no room.
struct Decoded {
    batch: Arc<dyn Batch>,
    base: i64,
    slabs: Box<[OnceLock<Option<Slab>>]>,
    /// How many readers have come to it.
    readers: AtomicUsize,
}

impl SharedReadings {
    /// Joins those that read in this way.
    pub(super) fn join(&self, way: String) -> Share {
        let mut ways = self.ways.lock();
        if let Some(way) = ways.get(&way).and_then(Weak::upgrade) {
            return Share { way, at: None };
        }
        ways.retain(|_, way| way.strong_count() > 0);
        let made = Arc::new(Way { batches: Mutex::default(), newest: AtomicI64::new(i64::MIN), bytes: self.bytes.clone() });
        ways.insert(way, Arc::downgrade(&made));
        Share { way: made, at: None }
    }
}

/// One reader's part in a way.
pub(super) struct Share {
    way: Arc<Way>,
    /// The batch that was asked for last.
    at: Option<At>,
}

struct At {
    batch: Arc<dyn Batch>,
    /// `None`: its rows are not shared.
    decoded: Option<Arc<Decoded>>,
}

impl Share {
    /// Nobody else reads like this.
    pub fn is_alone(&self) -> bool {
        Arc::strong_count(&self.way) == 1
    }

    /// The slab that has a record of a batch, and the record's place there. `None`: read it by yourself.
    pub fn slab(
        &mut self,
        batch: &Arc<dyn Batch>,
        index: usize,
        width: usize,
        decode: &mut dyn FnMut(RecordRef<'_>) -> Option<Row>,
    ) -> Option<(&Slab, usize)> {
        if !self.at.as_ref().is_some_and(|at| is_same(&at.batch, batch)) {
            let readers = Arc::strong_count(&self.way);
            self.at = Some(At { batch: batch.clone(), decoded: self.way.decoded(batch, readers) });
        }
        let decoded = self.at.as_ref()?.decoded.as_ref()?;
        let (number, place) = (index / SLAB_RECORDS, index % SLAB_RECORDS);
        let make = || {
            self.way.make_room();
            SlabMaker { batch: &**batch, number, width, bytes: &self.way.bytes }.make(decode)
        };
        let slab = decoded.slabs.get(number)?.get_or_init(make).as_ref()?;
        Some((slab, place))
    }
}

fn is_same(one: &Arc<dyn Batch>, other: &Arc<dyn Batch>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Way {
    /// The rows of a batch, which is kept from now on if none is newer, until as many have asked as there are readers. Called once for
    /// each batch and reader.
    fn decoded(&self, batch: &Arc<dyn Batch>, readers: usize) -> Option<Arc<Decoded>> {
        if batch.is_empty() {
            return None;
        }
        let base = batch.record(0).offset.0;
        let mut batches = self.batches.lock();
        // In ascending order.
        let at = batches.partition_point(|known| known.base < base);
        if let Some(known) = batches.get(at).filter(|known| is_same(&known.batch, batch)).cloned() {
            if known.readers.fetch_add(1, Ordering::Relaxed) + 1 >= readers {
                batches.remove(at);
            }
            return Some(known);
        }
        if at < batches.len() || self.newest.load(Ordering::Relaxed) >= base {
            return None;
        }
        self.newest.store(base, Ordering::Relaxed);
        let slabs = (0..batch.len().div_ceil(SLAB_RECORDS)).map(|_| OnceLock::new()).collect();
        let decoded = Arc::new(Decoded { batch: batch.clone(), base, slabs, readers: AtomicUsize::new(1) });
        batches.push_back(decoded.clone());
        let gone = if batches.len() > MAX_BATCHES { batches.pop_front() } else { None };
        drop(batches);
        drop(gone);
        Some(decoded)
    }

    /// Where decoded rows take too much, the oldest go.
    fn make_room(&self) {
        while slab::is_full(&self.bytes) {
            let mut batches = self.batches.lock();
            let gone = if batches.len() > 1 { batches.pop_front() } else { None };
            drop(batches);
            if gone.is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Offset;
    use crate::row::Header;
    use crate::types::Value;

    struct Numbers(i64, usize);

    impl Batch for Numbers {
        fn len(&self) -> usize {
            self.1
        }

        fn record(&self, index: usize) -> RecordRef<'_> {
            let offset = Offset(self.0 + i64::try_from(index).unwrap());
            RecordRef { offset, timestamp: 0, key: None, value: Some(b"1234") }
        }

        fn headers(&self, _index: usize) -> Vec<Header> {
            Vec::new()
        }
    }

    fn row(record: RecordRef<'_>) -> Option<Row> {
        // Each hundredth is for each to read by itself.
        (record.offset.0 % 100 != 99).then(|| Row { values: vec![Value::BigInt(record.offset.0)], ..Row::default() })
    }

    #[test]
    fn a_batch_is_decoded_once_and_goes_with_its_readers() {
        let readings = SharedReadings::default();
        let (mut one, mut two, other) = (readings.join("a".into()), readings.join("a".into()), readings.join("b".into()));
        assert!(!one.is_alone() && other.is_alone());
        let batch: Arc<dyn Batch> = Arc::new(Numbers(0, 600));
        let mut decoded = 0;
        for share in [&mut one, &mut two] {
            for index in 0..600 {
                let mut decode = |record: RecordRef<'_>| {
                    decoded += 1;
                    row(record)
                };
                let (slab, place) = share.slab(&batch, index, 1, &mut decode).unwrap();
                let found = slab.row(place).map(|row| row.values[0].clone());
                let index = i64::try_from(index).unwrap();
                assert_eq!(found, (index % 100 != 99).then_some(Value::BigInt(index)));
            }
        }
        assert_eq!(decoded, 600);
        assert!(readings.bytes.load(Ordering::SeqCst) > 0);
        drop((one, two, other));
        assert_eq!(readings.bytes.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn who_is_further_back_decodes_alone() {
        let readings = SharedReadings::default();
        let (mut ahead, mut behind) = (readings.join("a".into()), readings.join("a".into()));
        let batches: Vec<Arc<dyn Batch>> =
            (0..MAX_BATCHES + 10).zip(0..).map(|(_, at)| Arc::new(Numbers(at * 10, 10)) as Arc<dyn Batch>).collect();
        for batch in &batches {
            assert!(ahead.slab(batch, 0, 1, &mut row).is_some());
        }
        let shared = batches.iter().filter(|batch| behind.slab(batch, 0, 1, &mut row).is_some()).count();
        assert_eq!(shared, MAX_BATCHES);
        assert!(ahead.way.batches.lock().is_empty(), "what both have read is kept");
        // A third that is further back, and batches that nobody else has.
        let mut third = readings.join("a".into());
        assert!(batches.iter().all(|batch| third.slab(batch, 0, 1, &mut row).is_none()));
    }

    #[test]
    fn what_all_have_come_to_is_not_kept() {
        let readings = SharedReadings::default();
        let mut readers: Vec<Share> = (0..3).map(|_| readings.join("a".into())).collect();
        let batches: Vec<Arc<dyn Batch>> = (0..50).map(|at| Arc::new(Numbers(at * 10, 10)) as Arc<dyn Batch>).collect();
        let mut decoded = 0;
        // Each goes through all of a burst before the next has its turn.
        for (number, reader) in readers.iter_mut().enumerate() {
            for batch in &batches {
                for index in 0..10 {
                    let mut decode = |record: RecordRef<'_>| {
                        decoded += 1;
                        row(record)
                    };
                    assert!(reader.slab(batch, index, 1, &mut decode).is_some());
                }
            }
            let kept = reader.way.batches.lock().len();
            assert_eq!(kept, if number == 2 { 0 } else { 50 });
        }
        assert_eq!(decoded, 500);
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let readings = SharedReadings::default();
        let (mut one, _two) = (readings.join("a".into()), readings.join("a".into()));
        let batches: Vec<Arc<dyn Batch>> = (0..5).map(|at| Arc::new(Numbers(at * 10, 10)) as Arc<dyn Batch>).collect();
        for batch in &batches {
            assert!(one.slab(batch, 0, 1, &mut row).is_some());
        }
        // Others take all of the budget.
        readings.bytes.fetch_add(usize::MAX / 4, Ordering::SeqCst);
        let late: Arc<dyn Batch> = Arc::new(Numbers(1_000, 10));
        assert!(one.slab(&late, 0, 1, &mut row).is_none());
        assert_eq!(one.way.batches.lock().len(), 1);
        readings.bytes.fetch_sub(usize::MAX / 4, Ordering::SeqCst);
    }

    #[test]
    fn without_room_each_decodes_by_itself() {
        let readings = SharedReadings::default();
        readings.bytes.store(usize::MAX / 2, Ordering::SeqCst);
        let mut share = readings.join("a".into());
        let batch: Arc<dyn Batch> = Arc::new(Numbers(0, 10));
        assert!(share.slab(&batch, 0, 1, &mut |_| panic!("decoded")).is_none());
    }
}
