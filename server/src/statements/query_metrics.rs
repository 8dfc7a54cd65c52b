//! The numbers of a query, as `/metrics` has them, for SHOW QUERIES EXTENDED.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tidemill_engine::engine::PersistentQuery;
use tidemill_engine::letters::LetterKind;
use tidemill_engine::processing_log::ProcessingErrorKind;

use crate::entities::QueryMetrics;

/// `disk_bytes`: what its stores take. A query that could not start has counted nothing but that.
pub fn of(query: &PersistentQuery, disk_bytes: u64) -> QueryMetrics {
    let mut numbers = QueryMetrics {
        records_read: 0,
        bytes_read: 0,
        records_written: 0,
        bytes_written: 0,
        errors: BTreeMap::new(),
        left_out: BTreeMap::new(),
        dead_letters: 0,
        commits: 0,
        commit_ms: 0,
        state_disk_bytes: disk_bytes,
        restored: None,
    };
    let errors = ProcessingErrorKind::ALL.map(|kind| (kind.name(), query.errors_of(kind)));
    numbers.errors = errors.into_iter().filter(|(_, count)| *count > 0).collect();
    let Ok(handle) = query.handle.read().clone() else { return numbers };
    let metrics = &handle.metrics;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    for (_, reads) in metrics.all_reads() {
        numbers.records_read = numbers.records_read.saturating_add(count(&reads.records));
        numbers.bytes_read = numbers.bytes_read.saturating_add(count(&reads.bytes));
    }
    numbers.records_written = count(&metrics.records_out);
    numbers.bytes_written = count(&metrics.bytes_out);
    let left_out = LetterKind::ALL.map(|kind| (kind.name(), metrics.left_out(kind)));
    numbers.left_out = left_out.into_iter().filter(|(_, count)| *count > 0).collect();
    numbers.dead_letters = count(&metrics.letters);
    numbers.commits = count(&metrics.commits);
    numbers.commit_ms = count(&metrics.commit_us) / 1_000;
    numbers.restored = handle.restoring().map(|state| (state.done, state.total));
    numbers
}
