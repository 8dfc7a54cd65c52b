//! Where a subscriber of a partition is served from: pure decisions over positions.
//!
//! A partition is fetched once for all its subscribers, by a cursor. A subscriber that stands far from every cursor gets
//! one of its own on another client (a lane), so that nobody waits for it to catch up; when two cursors meet they become
//! one. Lanes are few, so the number of clients and threads does not grow with the number of queries.

/// A subscriber shares a cursor that is at most this many records away: to skip or fetch again so many costs less than
/// to read the partition twice.
pub(super) const SHARE_RECORDS: u64 = 20_000;

/// The first lane, which follows the end of the partition; the others catch up.
pub(super) const MAIN_LANE: usize = 0;

/// Clients that read, at most: the main one and those that catch up.
pub(super) const LANES: usize = 3;

/// A cursor as the decisions see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: usize,
    /// The next offset that the cursor will hand out.
    pub(super) next: i64,
    /// Whether it has subscribers.
    pub(super) is_used: bool,
}

/// What to do for a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placement {
    /// Join the cursor of this lane as it is; earlier records are skipped.
    Join(usize),
    /// Join it after seeking it to the subscriber's offset; its other subscribers skip what they have seen.
    Rewind(usize),
    /// Open a cursor on this lane.
    Open(usize),
}

/// Places a subscriber that wants `offset` next among the partition's cursors.
pub(super) fn place(offset: i64, cursors: &[Place]) -> Placement {
    let near = |place: &&Place| place.is_used && place.next.abs_diff(offset) <= SHARE_RECORDS;
    if let Some(place) = cursors.iter().filter(near).min_by_key(|place| place.next.abs_diff(offset)) {
        return if place.next <= offset { Placement::Join(place.lane) } else { Placement::Rewind(place.lane) };
    }
    if let Some(idle) = cursors.iter().find(|place| !place.is_used) {
        return Placement::Rewind(idle.lane);
    }
    if let Some(free) = (0..LANES).find(|lane| cursors.iter().all(|place| place.lane != *lane)) {
        return Placement::Open(free);
    }
    // All lanes are busy elsewhere: one that is behind will come by; else the lowest that catches up goes back. The main
    // one never does.
    let behind = cursors.iter().filter(|place| place.next <= offset).max_by_key(|place| place.next);
    let catching_up = cursors.iter().filter(|place| place.lane != MAIN_LANE).min_by_key(|place| place.next);
    match (behind, catching_up) {
        (Some(place), _) => Placement::Join(place.lane),
        (None, Some(place)) => Placement::Rewind(place.lane),
        (None, None) => Placement::Rewind(MAIN_LANE),
    }
}

/// Two cursors that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) keep: usize,
    pub(super) close: usize,
    /// Where the kept one goes on.
    pub(super) next: i64,
}

/// The first two used cursors that are near enough to be one, if any.
pub(super) fn merge(cursors: &[Place]) -> Option<Merge> {
    for (at, one) in cursors.iter().enumerate() {
        for other in cursors.iter().skip(at + 1) {
            if one.is_used && other.is_used && one.next.abs_diff(other.next) <= SHARE_RECORDS {
                let (keep, close) = if one.lane < other.lane { (one, other) } else { (other, one) };
                return Some(Merge { keep: keep.lane, close: close.lane, next: one.next.min(other.next) });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: i64 = 10 * SHARE_RECORDS as i64;

    fn used(lane: usize, next: i64) -> Place {
        Place { lane, next, is_used: true }
    }

    #[test]
    fn a_subscriber_is_placed_where_it_costs_least() {
        let idle = Place { lane: 1, next: 7, is_used: false };
        for (offset, cursors, expected) in [
            (0, vec![], Placement::Open(0)),
            (10, vec![used(0, 10)], Placement::Join(0)),
            (10, vec![used(0, 5)], Placement::Join(0)),
            (5, vec![used(0, 10)], Placement::Rewind(0)),
            (0, vec![used(0, FAR)], Placement::Open(1)),
            (FAR, vec![used(0, 0)], Placement::Open(1)),
            (3 * FAR, vec![used(0, 0), idle], Placement::Rewind(1)),
            (5, vec![used(0, FAR), used(1, 3)], Placement::Join(1)),
            (0, vec![used(0, FAR), used(1, 2 * FAR)], Placement::Open(2)),
            (0, vec![used(0, FAR), used(1, 2 * FAR), used(2, 3 * FAR)], Placement::Rewind(1)),
            (4 * FAR, vec![used(0, FAR), used(1, 2 * FAR), used(2, 3 * FAR)], Placement::Join(2)),
        ] {
            assert_eq!(place(offset, &cursors), expected, "{offset} among {cursors:?}");
        }
    }

    #[test]
    fn cursors_that_meet_become_one() {
        assert_eq!(merge(&[used(0, FAR), used(1, 0)]), None);
        assert_eq!(merge(&[used(0, FAR), used(1, FAR - 5)]), Some(Merge { keep: 0, close: 1, next: FAR - 5 }));
        assert_eq!(merge(&[used(2, 7), used(0, 5 * FAR), used(1, 9)]), Some(Merge { keep: 1, close: 2, next: 7 }));
        assert_eq!(merge(&[used(0, 5), Place { lane: 1, next: 5, is_used: false }]), None);
    }
}
