//! What must come out of the rows that hold windows and rows back: sums over the input, made while it is loaded.

use std::collections::{HashMap, HashSet};

use tidemill_engine::log::partition_for;

use crate::check::{WINDOW_MS, add, mixed};
use crate::input::PARTITIONS;

/// The gap of the sessions, milliseconds.
const GAP_MS: u64 = 10_000;
/// How far a bid and its auction may be apart in the join of both, milliseconds.
const WITHIN_MS: u64 = 100;
/// The join's grace period, milliseconds.
const GRACE_MS: u64 = 1_000;
/// How far a bid and its auction may be apart in the join without those that meet nobody, milliseconds.
const JOIN_WITHIN_MS: u64 = 10_000;

/// Size of the hopping windows, and how far they are apart, milliseconds.
const HOPPING_MS: u64 = 60_000;
const HOP_MS: u64 = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Windowed {
    /// Bids by auction and hop.
    hops: HashMap<(u64, u64), u64>,
    parts: [Part; PARTITIONS as usize],
    /// Each auction's session: its start and end.
    sessions: HashMap<u64, (u64, u64)>,
    /// Records of the sessions: one for each bid, and a deletion for each session that it extends.
    pub session_records: u64,
    pub session_counts: u64,
    /// Bids that met their auction.
    pub met: u64,
    /// Bids that met their auction in the join of wider reach.
    pub joined: u64,
    /// Times of the bids that came before their auction.
    early: HashMap<u64, Vec<u64>>,
    /// Begin of each auction.
    auctions: HashMap<u64, u64>,
    /// Times of the bids that did not, by auction.
    alone: HashMap<u64, Vec<u64>>,
}

/// One partition, in the order of time.
#[derive(Debug, Default)]
struct Part {
    latest: u64,
    latest_bid: u64,
    /// Start of the open window, its keys and its counts.
    open: (u64, HashSet<u64>, u64),
    /// Records and counts of the windows that have closed.
    closed: (u64, u64),
}

impl Windowed {
    fn part(&mut self, auction: u64) -> &mut Part {
        &mut self.parts[partition(auction)]
    }

    pub fn bid(&mut self, auction: u64, time: u64) {
        let window = time / WINDOW_MS * WINDOW_MS;
        let part = self.part(auction);
        part.latest = part.latest.max(time);
        part.latest_bid = part.latest_bid.max(time);
        if part.open.0 != window {
            let (_, keys, counts) = std::mem::replace(&mut part.open, (window, HashSet::new(), 0));
            part.closed.0 += keys.len() as u64;
            add(&mut part.closed.1, counts);
        }
        part.open.1.insert(auction);
        add(&mut part.open.2, mixed(&[auction, window]));
        *self.hops.entry((auction, time / HOP_MS * HOP_MS)).or_default() += 1;
        let session = self.sessions.entry(auction).or_insert((time, time));
        self.session_records += 1;
        if time > session.1 + GAP_MS {
            *session = (time, time);
        } else if (time, time) != *session {
            self.session_records += 1;
            session.1 = time;
        }
        add(&mut self.session_counts, mixed(&[auction, session.0]));
        match self.auctions.get(&auction) {
            Some(began) => self.joined += u64::from(began.abs_diff(time) <= JOIN_WITHIN_MS),
            None => self.early.entry(auction).or_default().push(time),
        }
        match self.auctions.get(&auction) {
            Some(began) if began.abs_diff(time) <= WITHIN_MS => self.met += 1,
            _ => self.alone.entry(auction).or_default().push(time),
        }
    }

    pub fn auction(&mut self, auction: u64, time: u64) {
        let part = self.part(auction);
        part.latest = part.latest.max(time);
        self.auctions.insert(auction, time);
        let early = self.early.remove(&auction).unwrap_or_default();
        self.joined += early.iter().filter(|bid| bid.abs_diff(time) <= JOIN_WITHIN_MS).count() as u64;
        if let Some(alone) = self.alone.get_mut(&auction) {
            let before = alone.len();
            alone.retain(|bid| bid.abs_diff(time) > WITHIN_MS);
            self.met += (before - alone.len()) as u64;
        }
    }

    /// Records and counts of the windows that have closed: those before the last one of each partition.
    pub fn closed(&self) -> (u64, u64) {
        self.parts.iter().fold((0, 0), |(records, counts), part| (records + part.closed.0, counts.wrapping_add(part.closed.1)))
    }

    /// Records and counts of the hopping windows that have closed: those that end by the last bid of their partition.
    pub fn hopped(&self) -> (u64, u64) {
        let mut windows: HashMap<(u64, u64), u64> = HashMap::new();
        for ((auction, hop), bids) in &self.hops {
            let latest = self.parts[partition(*auction)].latest_bid;
            let starts = (0..HOPPING_MS / HOP_MS).filter_map(|back| hop.checked_sub(back * HOP_MS));
            for start in starts.filter(|start| start + HOPPING_MS <= latest) {
                *windows.entry((*auction, start)).or_default() += bids;
            }
        }
        let mut counts = 0;
        windows.iter().for_each(|((auction, start), bids)| add(&mut counts, mixed(&[*auction, *start]).wrapping_mul(*bids)));
        (windows.len() as u64, counts)
    }

    /// Bids that did not meet their auction, and for which that is certain by the end of the input.
    pub fn alone(&self) -> u64 {
        let is_over = |auction: u64, time: &u64| time + WITHIN_MS + GRACE_MS < self.parts[partition(auction)].latest;
        self.alone.iter().map(|(auction, times)| times.iter().filter(|time| is_over(*auction, time)).count() as u64).sum()
    }
}

fn partition(auction: u64) -> usize {
    partition_for(Some(&auction.to_be_bytes()), PARTITIONS, &mut 0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_windows_and_joins_of_a_small_input() {
        let mut windowed = Windowed::default();
        windowed.auction(1, 1_950);
        for time in [2_000, 2_000, 3_000, 20_000, 45_000] {
            windowed.bid(1, time);
        }
        // Bids at 3,000 extend a session; so does the second at 2,000 not, whose session is its own instant.
        assert_eq!(windowed.session_records, 5 + 1);
        assert_eq!(windowed.closed().0, 2);
        // None is 60 s old.
        assert_eq!(windowed.hopped().0, 0);
        assert_eq!((windowed.met, windowed.alone()), (2, 2));
        windowed.auction(1, 45_050);
        assert_eq!((windowed.met, windowed.alone()), (3, 2));
        // An auction has one event; a second stands for that of another here.
        assert_eq!(windowed.joined, 3);
        // Of the windows that hold the bid at 60 s, or one before it, those that end by 61 s.
        let mut windowed = Windowed::default();
        [60_000, 61_000].into_iter().for_each(|time| windowed.bid(1, time));
        assert_eq!(windowed.hopped(), (1, mixed(&[1, 1_000])));
    }
}
