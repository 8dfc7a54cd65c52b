//! What the functions that make numbers of bytes share.

use super::prelude::*;

pub(super) const VALUE: Param = param("value", ParamType::Bytes, "The bytes, exactly as many as the number has.");
pub(super) const ORDER: Param = param("byteOrder", ParamType::String, "BIG_ENDIAN or LITTLE_ENDIAN, in any case.");

/// The `N` bytes of argument 0, the most significant first.
pub(super) fn big_endian<const N: usize>(args: &Args<'_>) -> Result<[u8; N], EvalError> {
    let bytes: &[u8] = args.get(0)?;
    let mut bytes: [u8; N] =
        bytes.try_into().map_err(|_| EvalError::new(format!("Number of bytes must be equal to {N}, but found {}", bytes.len())))?;
    match args.opt::<&str>(1)? {
        None => {}
        Some(order) if order.eq_ignore_ascii_case("BIG_ENDIAN") => {}
        Some(order) if order.eq_ignore_ascii_case("LITTLE_ENDIAN") => bytes.reverse(),
        Some(other) => {
            return Err(EvalError::new(format!("Byte order must be BIG_ENDIAN or LITTLE_ENDIAN. Unknown byte order '{other}'.")));
        }
    }
    Ok(bytes)
}
