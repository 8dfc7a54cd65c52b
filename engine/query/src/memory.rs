//! The memory that one query has: of what all of them share, and in batches that its client has not taken.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, RecordBatch};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Counts it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct QueryMemory(Arc<AtomicUsize>);

impl QueryMemory {
    /// What its sorts, groups and joins hold now, the batches that wait, and the one that was taken last, bytes.
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// A batch waits; its bytes.
    pub(crate) fn waits(&self, batch: &RecordBatch) {
        self.0.fetch_add(bytes_of(batch), Ordering::Relaxed);
    }

    /// So many bytes of batches are gone.
    pub(crate) fn gone(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// From now on counts what is run with this.
    pub(crate) fn counting(&self, context: TaskContext) -> TaskContext {
        let mut environment = context.runtime_env().as_ref().clone();
        environment.memory_pool = Arc::new(Counting { all: environment.memory_pool.clone(), query: self.clone() });
        context.with_runtime(Arc::new(environment))
    }
}

/// What a batch holds, bytes; of what it shares with others only its part.
pub(crate) fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())).sum()
}

/// The pool of all queries, as one of them sees it.
#[derive(Debug)]
struct Counting {
    all: Arc<dyn MemoryPool>,
    query: QueryMemory,
}

impl Display for Counting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.all, f)
    }
}

impl MemoryPool for Counting {
    fn name(&self) -> &str {
        self.all.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.all.grow(reservation, additional);
        self.query.0.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.all.shrink(reservation, shrink);
        self.query.0.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.all.try_grow(reservation, additional)?;
        self.query.0.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.all.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.all.memory_limit()
    }
}
