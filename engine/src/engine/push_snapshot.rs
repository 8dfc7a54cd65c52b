//! What a push query over a table begins with, where that is asked for (`tidemill.push.snapshot`): the rows that the table holds. Its
//! topic is read up to where it ends now, and the last row of each key kept; the query then goes on from there. So every change
//! before that end is in the rows, every one behind it comes after them, and none is lost or comes twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Engine, EngineError, SessionProperties};
use crate::analyze::PlannedQuery;
use crate::catalog::SourceKind;
use crate::log::{Offset, OffsetSpec, TopicPartition};
use crate::operators::{self, Collector};
use crate::plan::{Step, StepKind};
use crate::row::Row;
use crate::types::{Value, codec};

/// The property that asks for it.
const PROPERTY: &str = "tidemill.push.snapshot";
/// Bytes of the rows that a query may begin with.
const MAX_BYTES: usize = 256 << 20;
/// What an entry takes besides its values.
const ENTRY_BYTES: usize = 64;

/// See the module.
#[derive(Default)]
pub(super) struct Content {
    pub rows: Vec<Vec<Value>>,
    /// Where the changes begin that are not in the rows.
    pub ends: BTreeMap<TopicPartition, Offset>,
}

impl Engine {
    /// What the query begins with; nothing where that is not asked for, or it reads a stream. Blocks for as long as the topic is
    /// read.
    ///
    /// # Errors
    /// The query is more than one table can answer, the rows are too many, or the log is away.
    pub(super) fn push_content(
        &self,
        planned: &mut PlannedQuery,
        slots: &[usize],
        session: &SessionProperties,
    ) -> Result<Content, EngineError> {
        let is_wanted = session.get(PROPERTY).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        if !is_wanted || planned.kind != SourceKind::Table {
            return Ok(Content::default());
        }
        if !forgets_old_rows(&mut planned.plan.root) {
            return Err(EngineError::user(format!(
                "With {PROPERTY}=true a push query over tables reads one table, with WHERE and nothing that joins or groups. Make a table of \
                 this first (CREATE TABLE … AS SELECT), or UNSET '{PROPERTY}'."
            )));
        }
        let mut specs = operators::split(&planned.plan).map_err(|error| EngineError::internal(error.0))?;
        let (Some(spec), true) = (specs.pop(), specs.is_empty()) else {
            return Err(EngineError::internal("a table that is read has one part"));
        };
        let topic = spec.sources.first().map(|source| source.topic.clone()).unwrap_or_default();
        let partitions = self.log.describe_topic(&topic)?.map(|info| info.all_partitions()).unwrap_or_default();
        let begins = self.log.offsets(&partitions, OffsetSpec::Earliest)?;
        let ends = self.log.offsets(&partitions, OffsetSpec::Latest)?;
        let folded = Arc::new(Folded {
            key_width: key_width(&planned.plan.root),
            slots: slots.to_vec(),
            rows: Mutex::default(),
            is_too_much: AtomicBool::new(false),
        });
        let parts = self.scan_parts(planned.plan.clone(), spec);
        for (partition, (begin, end)) in partitions.iter().zip(begins.into_iter().zip(ends.iter().copied())) {
            if begin >= end {
                continue;
            }
            let mut scan = parts.open(partition.clone(), begin, end, folded.clone())?;
            while scan.read()? {
                if folded.is_too_much.load(Ordering::Acquire) {
                    break;
                }
            }
        }
        if folded.is_too_much.load(Ordering::Acquire) {
            return Err(EngineError::user(format!(
                "What the query begins with is more than {MAX_BYTES} bytes, which is the most that {PROPERTY}=true allows. Ask for fewer rows \
                 (WHERE) or columns, or for what the table holds without EMIT CHANGES."
            )));
        }
        let rows = std::mem::take(&mut folded.rows.lock().by_key);
        Ok(Content { rows: rows.into_values().collect(), ends: partitions.into_iter().zip(ends).collect() })
    }
}

/// Has a query over one table do without the rows that changes replace: what begins in the middle does not know them. A change that
/// does not match WHERE is then a deletion, whether its row matched before or not. False: it is more than such a query.
fn forgets_old_rows(step: &mut Step) -> bool {
    match &mut step.kind {
        StepKind::TableSource(source) => {
            source.store = None;
            true
        }
        StepKind::Filter { input, deletes_unmatched, .. } => {
            *deletes_unmatched = true;
            forgets_old_rows(input)
        }
        StepKind::Select { input, .. } | StepKind::Collect { input, .. } => forgets_old_rows(input),
        _ => false,
    }
}

/// Columns of the key of the rows that come to the end.
fn key_width(root: &Step) -> usize {
    root.inputs().into_iter().next().unwrap_or(root).schema.key.len()
}

#[derive(Default)]
struct Rows {
    by_key: BTreeMap<Vec<u8>, Vec<Value>>,
    /// That all of them take.
    bytes: usize,
}

/// The last row of each key.
struct Folded {
    key_width: usize,
    slots: Vec<usize>,
    rows: Mutex<Rows>,
    is_too_much: AtomicBool,
}

impl Collector for Folded {
    fn collect(&self, row: &Row) -> bool {
        let mut key = Vec::new();
        codec::encode_key(row.values.get(..self.key_width).unwrap_or_default(), &mut key);
        if let Some(window) = row.meta.window {
            codec::encode_window(window, &mut key);
        }
        let weight = |key: usize, values: &[Value]| {
            ENTRY_BYTES + key + values.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum::<usize>()
        };
        let Rows { by_key: rows, bytes } = &mut *self.rows.lock();
        let width = key.len();
        let old = if row.meta.has_value {
            let values: Vec<Value> = self.slots.iter().map(|slot| row.values.get(*slot).cloned().unwrap_or_default()).collect();
            *bytes += weight(width, &values);
            rows.insert(key, values)
        } else {
            rows.remove(&key)
        };
        if let Some(old) = old {
            *bytes = bytes.saturating_sub(weight(width, &old));
        }
        if *bytes > MAX_BYTES {
            self.is_too_much.store(true, Ordering::Release);
            rows.clear();
            return false;
        }
        true
    }
}
