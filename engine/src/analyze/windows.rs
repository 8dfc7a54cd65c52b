//! The WINDOW clause: lengths in milliseconds, defaults, and what can't be.

use tidemill_parser::ast::{Interval, IntervalUnit, WindowKind, WindowSpec};

use super::error::{ErrorKind, Problem, Problems};
use crate::catalog::WindowType;
use crate::plan::{Windowing, names};

/// Grace where none is given: what is left of this after the window's size. Where results are to be final there is none,
/// or they would come a day late.
const DEFAULT_GRACE_SPAN_MS: i64 = 24 * 60 * 60 * 1000;

/// A window as the plan needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub windowing: Windowing,
    pub window_type: WindowType,
    pub grace_ms: i64,
    pub retention_ms: i64,
}

/// Windows that a record may be in: what a task does for one record has an end that others can wait for.
const MAX_WINDOWS: i64 = 100_000;

/// Reads a WINDOW clause. `is_final`: of a query with EMIT FINAL.
pub(crate) fn read(spec: &WindowSpec, is_final: bool, problems: &mut Problems) -> Option<Window> {
    let mut length = |interval: Interval| problems.take(millis(interval).map_err(|p| p.at(spec.span)));
    let (size_ms, windowing, window_type) = match spec.kind {
        WindowKind::Tumbling { size } => {
            let size_ms = length(size)?;
            (size_ms, Windowing::Time { size_ms, advance_ms: size_ms }, WindowType::Tumbling)
        }
        WindowKind::Hopping { size, advance } => {
            let (size_ms, advance_ms) = (length(size)?, length(advance)?);
            (size_ms, Windowing::Time { size_ms, advance_ms }, WindowType::Hopping)
        }
        WindowKind::Session { gap } => {
            let gap_ms = length(gap)?;
            (gap_ms, Windowing::Session { gap_ms }, WindowType::Session)
        }
    };
    let grace_ms = match spec.grace {
        Some(grace) => length(grace)?,
        None if is_final => 0,
        None => (DEFAULT_GRACE_SPAN_MS - size_ms).max(0),
    };
    let least_retention_ms = size_ms.saturating_add(grace_ms);
    let retention_ms = match spec.retention {
        Some(retention) => length(retention)?,
        None => least_retention_ms,
    };
    let before = problems.count();
    if size_ms <= 0 {
        problems.add(Problem::new("Size must be positive").at(spec.span));
    } else if let Windowing::Time { advance_ms, .. } = windowing
        && !(1..=size_ms).contains(&advance_ms)
    {
        let message = format!(
            "Window advancement interval should be more than zero and less than window duration which is {size_ms} ms, but given \
             advancement interval is: {advance_ms} ms"
        );
        problems.add(Problem::new(message).kind(ErrorKind::Server));
    } else if let Windowing::Time { advance_ms, .. } = windowing
        && size_ms / advance_ms > MAX_WINDOWS
    {
        let message = format!(
            "Each record would be in {} windows: {size_ms} ms, advancing by {advance_ms} ms. At most {MAX_WINDOWS} are possible: use a \
             longer ADVANCE BY.",
            size_ms / advance_ms
        );
        problems.add(Problem::new(message).at(spec.span));
    }
    if retention_ms < least_retention_ms {
        let store = names::AGGREGATE_STORE;
        let message = match windowing {
            Windowing::Time { .. } => format!(
                "The retention period of the window store {store} must be no smaller than its window size plus the grace period. Got \
                 size=[{size_ms}], grace=[{grace_ms}], retention=[{retention_ms}]"
            ),
            Windowing::Session { .. } => format!(
                "The retention period of the session store {store} must be no smaller than the session inactivity gap plus the grace \
                 period. Got gap=[{size_ms}], grace=[{grace_ms}], retention=[{retention_ms}]"
            ),
        };
        problems.add(Problem::new(message).kind(ErrorKind::Server));
    }
    (problems.count() == before).then_some(Window { windowing, window_type, grace_ms, retention_ms })
}

/// An interval in milliseconds. Months and years have no one length.
pub(crate) fn millis(interval: Interval) -> Result<i64, Problem> {
    let unit_ms: u64 = match interval.unit {
        IntervalUnit::Milliseconds => 1,
        IntervalUnit::Seconds => 1_000,
        IntervalUnit::Minutes => 60_000,
        IntervalUnit::Hours => 3_600_000,
        IntervalUnit::Days => 86_400_000,
        IntervalUnit::Weeks | IntervalUnit::Months | IntervalUnit::Years => {
            return Err(Problem::new(format!("Invalid unit of a window: {}. Use DAYS or a shorter unit.", interval.unit)));
        }
    };
    let ms = interval.value.checked_mul(unit_ms).and_then(|ms| i64::try_from(ms).ok());
    ms.ok_or_else(|| Problem::new(format!("The duration {interval} is longer than a timestamp can hold.")))
}
