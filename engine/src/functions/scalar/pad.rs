//! The common part of LPAD and RPAD.

use crate::functions::EvalError;

/// The longest result, in bytes or UTF-16 units.
const MAX_LENGTH: usize = 1 << 24;

/// Where the padding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The input, cut or padded to a length; `None` where the length is negative or there is nothing to pad with.
pub(super) fn pad<T: Copy>(input: &[T], length: i32, padding: &[T], side: Side) -> Result<Option<Vec<T>>, EvalError> {
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    if padding.is_empty() {
        return Ok(None);
    }
    if length > MAX_LENGTH {
        return Err(EvalError::new(format!("the length {length} is above {MAX_LENGTH}")));
    }
    let kept = input.iter().copied().take(length);
    let filler = padding.iter().copied().cycle().take(length.saturating_sub(input.len()));
    Ok(Some(if side == Side::Left { filler.chain(kept).collect() } else { kept.chain(filler).collect() }))
}
