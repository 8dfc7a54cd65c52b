//! Where a subscriber of a partition is served from: pure decisions over positions.
//!
//! A partition is fetched once for all its subscribers, by a cursor. A subscriber that stands far from every cursor gets
//! one of its own on another client (a lane), so that nobody waits for it to catch up; when two cursors meet they become
//! one. Lanes are few, so the number of clients and threads does not grow with the number of queries.
//!
//! Whoever comes back, because it was slow or went back to its last commit, does not send others back: a reader that is
//! slower than its topic would do so again and again, and hold up everybody. Nor do two cursors that become one: the one
//! behind first comes up to the other.

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
    pub(super) usage: Usage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// It has subscribers.
    Used,
    /// It lost its last one just now.
    Idle,
    /// It is being closed, and its lane is not free yet.
    Closing,
}

/// What brings a subscriber to be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// It was served before.
    Back,
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
    /// Try again once a lane is closed.
    Later,
}

/// Places a subscriber that wants `offset` next among the partition's cursors.
pub(super) fn place(offset: i64, cursors: &[Place], arrival: Arrival) -> Placement {
    let used = || cursors.iter().filter(|place| place.usage == Usage::Used);
    let is_ahead = |place: &Place| place.next > offset;
    let near = |place: &&Place| place.next.abs_diff(offset) <= SHARE_RECORDS && (arrival == Arrival::New || !is_ahead(place));
    if let Some(place) = used().filter(near).min_by_key(|place| place.next.abs_diff(offset)) {
        return if is_ahead(place) { Placement::Rewind(place.lane) } else { Placement::Join(place.lane) };
    }
    if let Some(idle) = cursors.iter().find(|place| place.usage == Usage::Idle) {
        return Placement::Rewind(idle.lane);
    }
    if let Some(free) = (0..LANES).find(|lane| cursors.iter().all(|place| place.lane != *lane)) {
        return Placement::Open(free);
    }
    // All lanes are busy elsewhere: one that is behind will come by; else the lowest that catches up goes back. The main
    // one never does.
    if let Some(behind) = used().filter(|place| !is_ahead(place)).max_by_key(|place| place.next) {
        return Placement::Join(behind.lane);
    }
    if cursors.iter().any(|place| place.usage == Usage::Closing) {
        return Placement::Later;
    }
    let catching_up = used().filter(|place| place.lane != MAIN_LANE).min_by_key(|place| place.next);
    catching_up.map_or(Placement::Rewind(MAIN_LANE), |place| Placement::Rewind(place.lane))
}

/// Two cursors that become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Merge {
    pub(super) keep: usize,
    pub(super) close: usize,
}

/// The first two used cursors that can be one, if any: near each other, and the one that stays not ahead, so that it need
/// not go back. What the others have seen meanwhile they skip.
pub(super) fn merge(cursors: &[Place]) -> Option<Merge> {
    let used = || cursors.iter().filter(|place| place.usage == Usage::Used);
    used().find_map(|keep| {
        let close =
            used().find(|close| keep.lane < close.lane && keep.next <= close.next && keep.next.abs_diff(close.next) <= SHARE_RECORDS)?;
        Some(Merge { keep: keep.lane, close: close.lane })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: i64 = SHARE_RECORDS as i64;
    const FAR: i64 = 10 * NEAR;

    fn used(lane: usize, next: i64) -> Place {
        Place { lane, next, usage: Usage::Used }
    }

    #[test]
    fn a_subscriber_is_placed_where_it_costs_least() {
        let idle = Place { lane: 1, next: 7, usage: Usage::Idle };
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
            assert_eq!(place(offset, &cursors, Arrival::New), expected, "{offset} among {cursors:?}");
        }
    }

    #[test]
    fn whoever_comes_back_sends_nobody_back() {
        for behind in [1, 1_000, NEAR, FAR] {
            assert_eq!(place(0, &[used(0, behind)], Arrival::Back), Placement::Open(1), "{behind} behind");
            // The others are far ahead by then, or others that came back catch up with them.
            assert_eq!(place(5, &[used(0, FAR), used(1, 5 + behind)], Arrival::Back), Placement::Open(2), "{behind} behind");
            assert_eq!(place(5, &[used(0, FAR), used(1, 3)], Arrival::Back), Placement::Join(1));
        }
        assert_eq!(place(10, &[used(0, 10)], Arrival::Back), Placement::Join(0));
        // Where no lane is free the main one stays where it is.
        assert_eq!(place(0, &[used(0, 5), used(1, 9), used(2, FAR)], Arrival::Back), Placement::Rewind(1));
        assert_eq!(place(6, &[used(0, 5), used(1, 9), used(2, FAR)], Arrival::Back), Placement::Join(0));
    }

    #[test]
    fn a_lane_that_is_being_closed_is_not_free() {
        let closing = |lane| Place { lane, next: 0, usage: Usage::Closing };
        assert_eq!(place(0, &[closing(0)], Arrival::New), Placement::Open(1));
        assert_eq!(place(0, &[closing(0), closing(1), closing(2)], Arrival::New), Placement::Later);
        assert_eq!(place(FAR, &[used(0, 0), closing(1), closing(2)], Arrival::Back), Placement::Join(0));
        assert_eq!(place(0, &[used(0, FAR), closing(1), closing(2)], Arrival::Back), Placement::Later);
        assert_eq!(merge(&[closing(0), used(1, 0)]), None);
    }

    #[test]
    fn cursors_that_meet_become_one() {
        assert_eq!(merge(&[used(0, FAR), used(1, 0)]), None);
        assert_eq!(merge(&[used(0, FAR), used(1, FAR)]), Some(Merge { keep: 0, close: 1 }));
        assert_eq!(merge(&[used(0, FAR), used(1, FAR + NEAR)]), Some(Merge { keep: 0, close: 1 }));
        assert_eq!(merge(&[used(0, FAR), used(1, FAR + NEAR + 1)]), None);
        assert_eq!(merge(&[used(2, 9), used(0, 5 * FAR), used(1, 7)]), Some(Merge { keep: 1, close: 2 }));
        assert_eq!(merge(&[used(0, 5), Place { lane: 1, next: 5, usage: Usage::Idle }]), None);
        // The one that stays would have to go back: the other comes up first.
        assert_eq!(merge(&[used(0, FAR), used(1, FAR - 1)]), None);
    }

    /// A reader that is half as fast as another, over a topic that both read from the beginning: the records that the fast
    /// one's cursor hands out twice, which is time that the fast one waits.
    fn rewound_by_a_slow_reader(arrival: Arrival) -> i64 {
        const BATCH: i64 = 1_000;
        const BUFFER: i64 = 4 * BATCH;
        let mut cursors = vec![used(0, 0)];
        // The slow reader: what it wants next, its buffer's records, its lane.
        let (mut next, mut buffered, mut lane) = (0, 0, Some(0));
        let mut rewound = 0;
        for step in 0..2_000 {
            // The fast one takes a batch of lane 0; the slow one finds it in its buffer, or leaves where that is full.
            let main = cursors.iter_mut().find(|cursor| cursor.lane == 0).unwrap();
            main.next += BATCH;
            if lane == Some(0) {
                if buffered >= BUFFER {
                    lane = None;
                } else if main.next > next {
                    buffered += main.next - next;
                    next = main.next;
                }
            }
            if step % 2 == 0 {
                continue;
            }
            // The slow one's turn.
            if buffered > 0 {
                buffered -= BATCH.min(buffered);
                continue;
            }
            let own = *lane.get_or_insert_with(|| match place(next, &cursors, arrival) {
                Placement::Join(lane) => lane,
                Placement::Rewind(lane) => {
                    let cursor = cursors.iter_mut().find(|cursor| cursor.lane == lane).unwrap();
                    if lane == 0 {
                        rewound += cursor.next - next;
                    }
                    cursor.next = next;
                    lane
                }
                Placement::Open(lane) => {
                    cursors.push(used(lane, next));
                    lane
                }
                Placement::Later => panic!("nothing is being closed"),
            });
            if own != 0 {
                let cursor = cursors.iter_mut().find(|cursor| cursor.lane == own).unwrap();
                cursor.next += BATCH;
                next = cursor.next;
                if let Some(Merge { keep, close }) = merge(&cursors) {
                    lane = Some(keep);
                    cursors.retain(|cursor| cursor.lane != close);
                }
            }
        }
        rewound
    }

    #[test]
    fn a_slow_reader_costs_a_fast_one_nothing() {
        assert_eq!(rewound_by_a_slow_reader(Arrival::Back), 0);
        // It would, were it placed as one that is new.
        assert!(rewound_by_a_slow_reader(Arrival::New) > 100_000);
    }
}
