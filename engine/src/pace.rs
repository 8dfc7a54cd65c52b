//! How much the record at hand has set off: operators count each row that they hand on, so that one record can neither
//! keep its worker for ever nor keep it from being told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
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

/// What the tasks of a query are told while they are busy, together in one place that they look at behind each record.
#[derive(Debug, Default)]
pub struct Signal(AtomicU8);

impl Signal {
    const STOP: u8 = 1;
    const PAUSE: u8 = 2;

    /// They are to leave the record at hand, however much there is to do for it, and do not go on.
    pub fn stop(&self) {
        self.0.fetch_or(Self::STOP, Ordering::AcqRel);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) & Self::STOP != 0
    }

    /// They are to finish the record at hand, and rest until they are to go on.
    pub fn set_paused(&self, is_paused: bool) {
        if is_paused {
            self.0.fetch_or(Self::PAUSE, Ordering::AcqRel);
        } else {
            self.0.fetch_and(!Self::PAUSE, Ordering::AcqRel);
        }
    }

    pub fn is_paused(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::PAUSE != 0
    }

    /// Whether they are to stop or to rest.
    fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
}

/// See the module.
#[derive(Debug)]
pub struct Pace {
    rows: u64,
    look_at: u64,
    limit: u64,
    /// When the record was first looked at.
    since: Option<Instant>,
    signal: Arc<Signal>,
    halt: Option<Halt>,
}

impl Default for Pace {
    fn default() -> Self {
        Pace::new(Arc::default(), MAX_ROWS_PER_RECORD)
    }
}

impl Pace {
    /// `signal`: what the task is told meanwhile.
    pub fn new(signal: Arc<Signal>, limit: u64) -> Self {
        Pace { rows: 0, look_at: ROWS_PER_LOOK, limit, since: None, signal, halt: None }
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
        self.signal.is_stopped()
    }

    /// Whether the task is to stop, or to rest: no further record is begun.
    pub fn is_held(&self) -> bool {
        self.signal.is_given()
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
