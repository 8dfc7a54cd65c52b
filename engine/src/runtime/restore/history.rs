//! Which of the ends of commits in a task's changelogs count, and which commit is the newest one that is whole: decided from what
//! was read and what is known of the owners.
//!
//! Behind the place where the last owner began, its own commits count alone. As long as it has none, the task is where it was when
//! that owner began, whatever came late. Where nothing is known of owners (the topic that says it has gone) the ends of commits say
//! whose they are, and the highest epoch has it.

use super::super::ends::{CommitId, CommitNumber, End, EndKind};
use super::super::epoch::{Lives, Owner};
use crate::log::Offset;

/// What is known of a changelog's commits.
#[derive(Default)]
pub(super) struct History {
    /// Its owners.
    pub lives: Lives,
    /// The ends of commits that were read, the last first.
    pub ends: Vec<(Offset, End)>,
}

impl History {
    /// Takes owners of whom only the ends of their commits tell.
    fn complete(&mut self) {
        for (_, end) in self.ends.iter().rev() {
            if let Some(life) = end.life.filter(|_| end.epoch() > 0) {
                let is_new = self.lives.last().is_none_or(|last| last.epoch < life.epoch);
                if is_new {
                    self.lives.begin(life);
                }
            }
        }
    }

    /// Whether what ends at an offset counts.
    fn counts(&self, offset: Offset, end: &End) -> bool {
        self.lives.last().is_none_or(|life| offset < life.since || end.epoch() >= life.epoch)
    }

    fn marks(&self) -> impl Iterator<Item = &End> {
        self.ends.iter().filter(|(offset, end)| end.kind == EndKind::Mark && self.counts(*offset, end)).map(|(_, end)| end)
    }

    /// Where the commit ends in this changelog. Of one number, the last was said last.
    pub fn end_of(&self, commit: CommitId) -> Option<&(Offset, End)> {
        self.ends.iter().find(|(offset, end)| end.commit() == commit && self.counts(*offset, end))
    }

    /// A mark of a commit that counts; where there are several, of the last.
    pub fn mark_of(&self, commit: CommitId) -> Option<&End> {
        self.marks().find(|end| end.commit() == commit)
    }

    /// The highest number that a version has written that knows no epochs, behind the last owner's begin.
    fn newest_without_epoch(&self) -> Option<CommitNumber> {
        let since = self.lives.last().map_or(Offset(0), |life| life.since);
        let marks = self.ends.iter().filter(|(offset, end)| end.kind == EndKind::Mark && end.life.is_none() && *offset >= since);
        marks.map(|(_, end)| end.number).max()
    }
}

/// Whether what was read from an offset on, to the end of a changelog, is enough to choose.
pub(super) fn is_enough(lives: &Lives, owner: Option<&Owner>, from: Offset, ends: &[(Offset, End)]) -> bool {
    let Some(life) = lives.last() else { return ends.iter().any(|(_, end)| end.kind == EndKind::Mark) };
    let has_own = ends.iter().any(|(_, end)| end.kind == EndKind::Mark && end.epoch() >= life.epoch);
    has_own
        || from <= life.since
            && match owner.and_then(|owner| owner.base) {
                Some(base) => ends.iter().any(|(_, end)| end.commit() == base),
                None => true,
            }
}

/// The newest commit that is whole; `None`: none is newer than `known`, which the state includes.
pub(super) fn choose(histories: &mut [History], owner: Option<&Owner>, known: Option<CommitId>) -> Option<CommitId> {
    histories.iter_mut().for_each(History::complete);
    let newest = histories.iter().flat_map(History::marks).map(End::commit).max();
    let epoch = histories.iter().filter_map(|history| history.lives.last()).map(|life| life.epoch).max().unwrap_or_default();
    let base = owner.filter(|owner| owner.epoch == epoch).map(|owner| owner.base);
    let chosen = match (newest, base) {
        (Some(newest), _) if newest.epoch >= epoch => Some(newest),
        // The last owner has made none.
        (_, Some(None)) => None,
        (_, Some(Some(base))) if histories.iter().any(|history| history.mark_of(base).is_some()) => Some(base),
        (_, Some(base)) if known >= base => None,
        (newest, _) => newest,
    };
    // A version that knows no epochs has gone on since: nothing tells its entries from others'.
    let without =
        histories.iter().filter_map(History::newest_without_epoch).chain(known.filter(|known| known.epoch == 0).map(|known| known.number));
    let counted = chosen.max(known).max(base.flatten()).filter(|commit| commit.epoch > 0);
    if let Some(number) = without.max().filter(|number| counted.is_some_and(|counted| *number > counted.number)) {
        histories.iter_mut().for_each(|history| history.lives = Lives::default());
        return Some(CommitId { epoch: 0, number }).filter(|commit| known != Some(*commit));
    }
    chosen.filter(|chosen| known.is_none_or(|known| *chosen >= known))
}
