//! How much the record at hand has set off: operators count each row that they hand on, so that one record can neither
//! keep its worker for ever nor keep it from being told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock::Clock;

/// Rows that one record may set off, all operators together; beyond it the query ends. A row costs around a microsecond,
/// so that this is also a bound on time.
pub const MAX_ROWS_PER_RECORD: u64 = 10_000_000;
/// The clock, and whether the task is to stop, are looked at once in so many rows.
const ROWS_PER_LOOK: u64 = 1024;
/// A record that takes longer than this is left where the query is told to stop; a shorter one is finished.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why a record is left before it is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The query was told to stop.
    Stopped,
    /// There would be more rows than a record may become.
    TooMuch,
}

/// See the module.
#[derive(Debug)]
pub struct Pace {
    rows: u64,
    look_at: u64,
    limit: u64,
    /// When the record was first looked at.
    since: Option<Instant>,
    stop: Arc<AtomicBool>,
    halt: Option<Halt>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace::new(Arc::default(), MAX_ROWS_PER_RECORD)
    }
}

impl Pace {
    /// `stop` is set when the task is to leave what it does.
    pub fn new(stop: Arc<AtomicBool>, limit: u64) -> Self {
        Pace { rows: 0, look_at: ROWS_PER_LOOK, limit, since: None, stop, halt: None }
    }

    /// The next record begins.
    pub fn begin(&mut self) {
        self.rows = 0;
        self.look_at = ROWS_PER_LOOK;
        self.since = None;
    }

    /// Counts a row; true: look closer.
    #[inline]
    pub fn count(&mut self) -> bool {
        self.rows += 1;
        self.rows >= self.look_at
    }

    /// Whether the record has to be left.
    #[cold]
    pub fn look(&mut self, clock: &dyn Clock) -> Option<Halt> {
        self.look_at = self.rows + ROWS_PER_LOOK;
        let now = clock.instant();
        let since = *self.since.get_or_insert(now);
        if self.rows > self.limit {
            self.halt = Some(Halt::TooMuch);
        } else if self.is_stopped() && now.saturating_duration_since(since) > PATIENCE {
            self.halt = Some(Halt::Stopped);
        }
        self.halt
    }

    /// Whether the record at hand set off so many rows that the clock is worth a look.
    pub fn is_long(&self) -> bool {
        self.since.is_some()
    }

    /// Whether the task is to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Why the record at hand was left, if it was.
    pub fn take_halt(&mut self) -> Option<Halt> {
        self.halt.take()
    }

    /// Whether it was left because it became too many rows.
    pub fn is_exceeded(&self) -> bool {
        self.halt == Some(Halt::TooMuch)
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }
}
