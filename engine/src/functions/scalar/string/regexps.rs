//! What the REGEXP functions share.

use super::prelude::*;
use crate::functions::java::JavaRegex;

pub(super) const PATTERN: Param = param("pattern", ParamType::String, "A regular expression as Java writes them.");
pub(super) const INPUT: Param = param("input", ParamType::String, "The string.");
pub(super) const GROUP: Param = param("group", ParamType::Int, "Which group of the pattern, from 1; 0 is all of it.");

/// Compiled patterns for a call whose argument `index` is the pattern.
pub(super) fn patterns(call: &ConstArgs<'_>, index: usize) -> Memo<JavaRegex> {
    Memo::new(call.constant(index), |pattern| JavaRegex::compile(pattern).map_err(EvalError::new))
}

/// The group in argument 2, or the whole where it is not given; `None` where the pattern has no such group.
pub(super) fn group(args: &Args<'_>, regex: &JavaRegex) -> Result<Option<usize>, EvalError> {
    let group: i32 = args.opt(2)?.unwrap_or(0);
    let group = usize::try_from(group).map_err(|_| EvalError::new(format!("No group {group}")))?;
    Ok((group <= regex.groups()).then_some(group))
}
