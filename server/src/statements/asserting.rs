//! What ASSERT TOPIC and ASSERT SCHEMA share: something is looked at until it holds, for a bounded time.

use std::time::{Duration, Instant};

use tidemill_parser::ast::{Interval, IntervalUnit};

use crate::app::App;
use crate::error::{ApiError, ErrorCode};

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The longest that a statement may wait.
const MAX_WAIT: Duration = Duration::from_secs(300);

/// How long a statement waits: as it says, else as the property does.
pub(super) fn patience(app: &App, timeout: Option<Interval>, property: &str) -> Duration {
    let default = app.config.value(property).and_then(|v| v.trim().parse().ok()).unwrap_or(1_000);
    timeout.map_or(Duration::from_millis(default), duration).min(MAX_WAIT)
}

/// Asks until nothing fails any more.
///
/// # Errors
/// What failed last.
pub(super) fn wait(patience: Duration, mut failure: impl FnMut() -> Result<Option<String>, ApiError>) -> Result<(), ApiError> {
    let started = Instant::now();
    loop {
        match failure()? {
            None => return Ok(()),
            Some(message) if started.elapsed() >= patience => return Err(ApiError::generic(ErrorCode::ASSERTION_FAILED, message)),
            Some(_) => std::thread::sleep(POLL),
        }
    }
}

fn duration(interval: Interval) -> Duration {
    let seconds = match interval.unit {
        IntervalUnit::Milliseconds => return Duration::from_millis(interval.value),
        IntervalUnit::Seconds => 1,
        IntervalUnit::Minutes => 60,
        IntervalUnit::Hours => 3_600,
        _ => 86_400,
    };
    Duration::from_secs(interval.value.saturating_mul(seconds))
}
