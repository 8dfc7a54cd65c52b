//! The common part of LPAD and RPAD.

use super::prelude::*;

/// The longest result, in bytes or UTF-16 units.
const MAX_LENGTH: usize = 1 << 24;

pub(super) const LENGTH: Param = param("targetLen", ParamType::Int, "The length that comes out, at most 2^24.");

/// Where the padding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// The input, cut or padded to a length; `None` where the length is negative or there is nothing to pad with.
fn pad<T: Copy>(input: &[T], length: i32, padding: &[T], side: Side) -> Result<Option<Vec<T>>, EvalError> {
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

/// A string padded to a length in UTF-16 units.
pub(super) fn string(args: &mut Args<'_>, side: Side) -> Outcome {
    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
    let padded = pad(&units(args.get(0)?), args.get(1)?, &units(args.get(2)?), side)?;
    Ok(padded.map_or(Value::Null, |units| Value::string(String::from_utf16_lossy(&units))))
}

/// Bytes padded to a length.
pub(super) fn bytes(args: &mut Args<'_>, side: Side) -> Outcome {
    let padded = pad(args.get::<&[u8]>(0)?, args.get(1)?, args.get(2)?, side)?;
    Ok(padded.map_or(Value::Null, Value::bytes))
}
