//! Which records at the beginning of a windowed store's changelog nobody needs any more.
//!
//! Windows are written about in the order of time, so the beginning of their changelog soon holds nothing but windows that have
//! expired. Compaction would keep the last record of each for ever; a topic's retention goes by the wall clock, and takes windows
//! that are still open where no input comes. So the task itself says up to where all is dead by its stream time, and the records
//! before go ([`crate::log::Log::delete_before`]).

use std::collections::VecDeque;

use crate::log::Offset;

/// Stretches that are told apart at most; beyond, neighbours are joined.
const MAX_STRETCHES: usize = 1024;

/// What a changelog holds, from its first record on.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where a stretch of records begins, and the latest end of a window in it.
    stretches: VecDeque<(Offset, i64)>,
    /// Records that a stretch has at least; so all are about as long.
    length: i64,
    /// The first record that is needed, as of the last commit.
    needed: Option<Offset>,
    /// What the log was told.
    told: Option<Offset>,
}

impl Head {
    /// A changelog that holds these stretches.
    pub(super) fn new(stretches: impl IntoIterator<Item = (Offset, i64)>) -> Self {
        let mut head = Head::default();
        stretches.into_iter().for_each(|(begin, latest)| head.add(begin, latest));
        head
    }

    /// A commit's records begin here, and the latest window among them ends then.
    pub(super) fn add(&mut self, begin: Offset, latest: i64) {
        // What came before it failed, and is written over.
        let length = self.length;
        if let Some((last, end)) = self.stretches.back_mut().filter(|(last, _)| begin.0 - last.0 < length.max(1)) {
            *last = begin.min(*last);
            *end = latest.max(*end);
        } else {
            self.stretches.push_back((begin, latest));
        }
        if self.stretches.len() > MAX_STRETCHES {
            let (first, last) = (self.stretches.front(), self.stretches.back());
            let all = last.zip(first).map_or(0, |(last, first)| last.0.0 - first.0.0);
            self.length = all * 2 / i64::try_from(MAX_STRETCHES).unwrap_or(i64::MAX);
            let all = std::mem::take(&mut self.stretches);
            let mut all = all.into_iter();
            while let Some((begin, latest)) = all.next() {
                let latest = all.next().map_or(latest, |(_, other)| other.max(latest));
                self.stretches.push_back((begin, latest));
            }
        }
    }

    /// A commit has succeeded, whose marks end at `end`: windows that end before `bound` are dead.
    pub(super) fn commit_succeeded(&mut self, bound: i64, end: Offset) {
        let mut has_dead = false;
        while self.stretches.front().is_some_and(|(_, latest)| *latest < bound) {
            self.stretches.pop_front();
            has_dead = true;
        }
        if has_dead {
            self.needed = Some(self.stretches.front().map_or(end, |(begin, _)| *begin));
        }
    }

    /// The records before this may go; told once.
    pub(super) fn take_dead(&mut self) -> Option<Offset> {
        let dead = self.needed.filter(|needed| self.told.is_none_or(|told| told < *needed))?;
        self.told = Some(dead);
        Some(dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dead_goes_from_the_beginning() {
        let mut head = Head::new([(Offset(0), 30)]);
        head.add(Offset(10), 20);
        head.add(Offset(20), 50);
        head.commit_succeeded(25, Offset(30));
        assert_eq!(head.take_dead(), None, "the first stretch holds a window that is not dead");
        head.commit_succeeded(31, Offset(30));
        assert_eq!(head.take_dead(), Some(Offset(20)));
        assert_eq!(head.take_dead(), None, "told once");
        head.commit_succeeded(51, Offset(40));
        assert_eq!(head.take_dead(), Some(Offset(40)));
    }

    #[test]
    fn what_a_failed_commit_has_left_counts_with_the_next() {
        let mut head = Head::default();
        head.add(Offset(0), 10);
        head.add(Offset(5), 90);
        head.add(Offset(5), 20);
        head.commit_succeeded(30, Offset(12));
        assert_eq!(head.take_dead(), Some(Offset(5)));
    }

    #[test]
    fn many_commits_take_little() {
        let mut head = Head::default();
        (0..100_000).for_each(|number| head.add(Offset(number * 10), number));
        assert!(head.stretches.len() <= MAX_STRETCHES);
        head.commit_succeeded(50_000, Offset(1_000_000));
        let dead = head.take_dead().map_or(0, |offset| offset.0);
        assert!((490_000..=500_000).contains(&dead), "{dead}");
    }
}
