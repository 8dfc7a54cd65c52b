//! Defects that tests plant, to see that whoever checks finds them. They hold on the thread that plants them.

use std::cell::Cell;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    /// Who takes tasks over does not end the transactions of who had them.
    UnfencedTakeover,
    /// Slots are given back, and their tasks go on.
    KeptTasks,
    /// A standby keeps up to where it has read changelogs, and not what it has read.
    HollowStandby,
}

thread_local! {
    static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// The defect is there while `f` runs.
pub(super) fn with<R>(defect: Defect, f: impl FnOnce() -> R) -> R {
    PLANTED.set(Some(defect));
    let result = f();
    PLANTED.set(None);
    result
}

pub(super) fn is(defect: Defect) -> bool {
    PLANTED.get() == Some(defect)
}
