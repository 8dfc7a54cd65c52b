//! What many push queries read of one topic is decoded once.
//!
//! Push queries stay tasks of their own, each with its own position, so one may join, leave, fall behind and pause as if it were
//! alone. They get the same batches of the log, though, and where at least two read a partition in the same way (format, schema,
//! columns, time) the rows of a batch are decoded by whoever comes first, in slabs of a few hundred records, and found by the
//! others. What is anything but a plain row (one that can't be read, a warning, a time that is refused) is not shared: each query
//! reads it by itself, and reports it.
//!
//! Only the newest batches are kept, within one budget of all topics: who is further back, or alone, decodes by itself. The last
//! reader takes what is kept with it.

mod index;
mod pass_over;
mod slab;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

pub use pass_over::{PassOver, Passed};
pub(super) use slab::Slab;
use slab::{SLAB_RECORDS, SlabMaker};

use crate::log::{Batch, RecordRef};
use crate::row::Row;

/// Batches of one partition that are kept, the newest.
const MAX_BATCHES: usize = 4;

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
    bytes: Arc<AtomicUsize>,
}

/// A batch, and its rows as far as somebody has asked for them. `None` within: there was no room.
struct Decoded {
    batch: Arc<dyn Batch>,
    base: i64,
    slabs: Box<[OnceLock<Option<Slab>>]>,
}

impl SharedReadings {
    /// Joins those that read in this way.
    pub(super) fn join(&self, way: String) -> Share {
        let mut ways = self.ways.lock();
        if let Some(way) = ways.get(&way).and_then(Weak::upgrade) {
            return Share { way, at: None };
        }
        ways.retain(|_, way| way.strong_count() > 0);
        let made = Arc::new(Way { batches: Mutex::default(), bytes: self.bytes.clone() });
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
            self.at = Some(At { batch: batch.clone(), decoded: self.way.decoded(batch) });
        }
        let decoded = self.at.as_ref()?.decoded.as_ref()?;
        let (number, place) = (index / SLAB_RECORDS, index % SLAB_RECORDS);
        let make = || SlabMaker { batch: &**batch, number, width, bytes: &self.way.bytes }.make(decode);
        let slab = decoded.slabs.get(number)?.get_or_init(make).as_ref()?;
        Some((slab, place))
    }
}

fn is_same(one: &Arc<dyn Batch>, other: &Arc<dyn Batch>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Way {
    /// The rows of a batch, which is kept from now on if none is newer. Called once for each batch and reader.
    fn decoded(&self, batch: &Arc<dyn Batch>) -> Option<Arc<Decoded>> {
        if batch.is_empty() {
            return None;
        }
        let base = batch.record(0).offset.0;
        let mut batches = self.batches.lock();
        if let Some(known) = batches.iter().rev().find(|known| is_same(&known.batch, batch)) {
            return Some(known.clone());
        }
        if batches.back().is_some_and(|newest| newest.base >= base) {
            return None;
        }
        let slabs = (0..batch.len().div_ceil(SLAB_RECORDS)).map(|_| OnceLock::new()).collect();
        let decoded = Arc::new(Decoded { batch: batch.clone(), base, slabs });
        batches.push_back(decoded.clone());
        let gone = if batches.len() > MAX_BATCHES { batches.pop_front() } else { None };
        drop(batches);
        drop(gone);
        Some(decoded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

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
        let batches: Vec<Arc<dyn Batch>> = (0..10).map(|at| Arc::new(Numbers(at * 10, 10)) as Arc<dyn Batch>).collect();
        for batch in &batches {
            assert!(ahead.slab(batch, 0, 1, &mut row).is_some());
        }
        let shared = batches.iter().filter(|batch| behind.slab(batch, 0, 1, &mut row).is_some()).count();
        assert_eq!(shared, MAX_BATCHES);
        assert_eq!(ahead.way.batches.lock().len(), MAX_BATCHES);
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
