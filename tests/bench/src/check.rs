//! What must come out of the queries, and whether it did: a run with another output does not count.
//!
//! Outputs hold millions of records in any order, so both sides are summed up: keys and numbers of each record, mixed so
//! that a count under the wrong key is noticed. What is expected is summed while the input is made.

use std::collections::HashMap;
use std::time::Duration;

use nexmark::event::{Auction, Bid};

use crate::encoding::Encoding;
use crate::input::Input;
use crate::limits::Waiting;
use crate::windowed::Windowed;

/// How long the log may be silent while an output is read, seconds.
const PATIENCE_S: u64 = 10;
/// Size of the windows of `wcount` and `q12`, milliseconds.
pub const WINDOW_MS: u64 = 10_000;
/// The auctions that q2 lets pass are multiples of this.
const Q2_DIVISOR: u64 = 123;
/// The category of the auctions whose bids q20 lets pass.
const Q20_CATEGORY: u64 = 10;

/// How an output is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// q1: every bid with its price in another currency.
    Converted,
    /// q2: the bids of some auctions.
    Filtered,
    /// The last count of each key (and window) is right; one record for each bid where `each`.
    Counts { by: CountKey, each: bool },
    /// q20: bids of one category, with the auction that was there before them.
    Joined,
    /// The count of each window that has closed, once.
    Final,
    /// The count of each hopping window that has closed, once.
    Hopped,
    /// The last count of each session is right; one record for each bid, and a deletion for each session that it extends.
    Sessions,
    /// Bids that met their auction within 10 seconds.
    Met,
    /// Bids that met their auction, and those that did not once that is certain. `exact`: all of them have come by the end
    /// of the input.
    LeftJoined { exact: bool },
}

/// What is counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountKey {
    Auction,
    AuctionWindow,
    BidderWindow,
}

/// Sums over the input, made while it is loaded.
#[derive(Debug, Default)]
pub struct Expected {
    bids: u64,
    converted: u64,
    filtered: (u64, u64),
    by_auction: u64,
    by_auction_window: u64,
    by_bidder_window: u64,
    /// Bids whose auction was there before them: strictly, and at the same time or before.
    joined: (u64, u64),
    /// Each auction's begin, seller and category.
    auctions: HashMap<u64, (u64, u64, u64)>,
    windowed: Windowed,
    /// Times of bids that came before their auction, which may have the same millisecond.
    waiting: HashMap<u64, Vec<u64>>,
}

impl Expected {
    pub fn bid(&mut self, bid: &Bid) {
        let (auction, bidder, price) = (bid.auction as u64, bid.bidder as u64, bid.price as u64);
        let window = bid.date_time / WINDOW_MS * WINDOW_MS;
        add(&mut self.bids, 1);
        add(&mut self.converted, mixed(&[auction, auction, bidder, price * 908, bid.date_time]));
        if auction % Q2_DIVISOR == 0 {
            self.filtered.0 += 1;
            add(&mut self.filtered.1, mixed(&[auction, auction, price]));
        }
        add(&mut self.by_auction, mixed(&[auction]));
        add(&mut self.by_auction_window, mixed(&[auction, window]));
        add(&mut self.by_bidder_window, mixed(&[bidder, window]));
        self.windowed.bid(auction, bid.date_time);
        match self.auctions.get(&auction) {
            Some((_, _, category)) if *category != Q20_CATEGORY => {}
            Some((began, ..)) => {
                self.joined.0 += u64::from(*began < bid.date_time);
                self.joined.1 += 1;
            }
            None => self.waiting.entry(auction).or_default().push(bid.date_time),
        }
    }

    pub fn auction(&mut self, auction: &Auction) {
        let id = auction.id as u64;
        let category = auction.category as u64;
        self.windowed.auction(id, auction.date_time);
        self.auctions.insert(id, (auction.date_time, auction.seller as u64, category));
        let early = self.waiting.remove(&id).unwrap_or_default();
        if category != Q20_CATEGORY {
            return;
        }
        self.joined.1 += early.iter().filter(|time| **time >= auction.date_time).count() as u64;
    }

    /// The least number of records that must come out, and the exact one where it is known.
    pub fn records(&self, check: Check) -> (u64, Option<u64>) {
        match check {
            Check::Converted | Check::Counts { each: true, .. } => (self.bids, Some(self.bids)),
            Check::Filtered => (self.filtered.0, Some(self.filtered.0)),
            Check::Counts { each: false, .. } => (1, None),
            Check::Joined => (self.joined.0, None),
            Check::Final => (self.windowed.closed().0, Some(self.windowed.closed().0)),
            Check::Hopped => (self.windowed.hopped().0, Some(self.windowed.hopped().0)),
            Check::Sessions => (self.windowed.session_records, Some(self.windowed.session_records)),
            Check::Met => (self.windowed.joined, Some(self.windowed.joined)),
            Check::LeftJoined { exact } => {
                let all = self.windowed.met + self.windowed.alone();
                (if exact { all } else { self.windowed.met }, exact.then_some(all))
            }
        }
    }
}

impl Check {
    /// Reads an output of so many records and compares it with what is expected.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(self, encoding: Encoding, input: &Input, sink: &str, records: u64) -> Result<(), String> {
        let expected = &input.expected;
        let (mut sum, mut last) = (0, HashMap::<[u64; 2], u64>::new());
        let mut met = 0;
        read(input, sink, records, |key, value| {
            let id = key.get(..8).map_or(0, big_endian);
            let field = |name| encoding.number(self, value, name);
            match self {
                Check::Converted => {
                    add(&mut sum, mixed(&[id, field("AUCTION")?, field("BIDDER")?, field("PRICE")?, field("DATE_TIME")?]));
                }
                Check::Filtered => add(&mut sum, mixed(&[id, field("AUCTION")?, field("PRICE")?])),
                Check::Counts { .. } => drop(last.insert([id, key.get(8..16).map_or(0, big_endian)], field("N")?)),
                Check::Final | Check::Hopped => add(&mut sum, mixed(&[id, key.get(8..16).map_or(0, big_endian)]).wrapping_mul(field("N")?)),
                // Deletions have no value; the start is the earlier bound.
                Check::Sessions if value.is_empty() => {}
                Check::Sessions => {
                    let bound = |at: usize| key.get(at..at + 8).map_or(0, big_endian);
                    last.insert([id, bound(8).min(bound(16))], field("N")?);
                }
                Check::Met | Check::LeftJoined { .. } => match field("SELLER") {
                    Ok(seller) if expected.auctions.get(&id).is_some_and(|(_, of, _)| *of == seller) => met += 1,
                    Ok(_) => return Err(format!("auction {id} has another seller")),
                    Err(_) => {}
                },
                Check::Joined => {
                    let found = expected.auctions.get(&id).map(|(_, seller, category)| (*seller, *category));
                    if found != Some((field("SELLER")?, field("CATEGORY")?)) {
                        return Err(format!("auction {id} has another seller or category"));
                    }
                }
            }
            Ok(())
        })?;
        let expected = match self {
            Check::Converted => expected.converted,
            Check::Filtered => expected.filtered.1,
            Check::Counts { by, .. } => {
                for ([id, window], count) in last {
                    let key = if by == CountKey::Auction { mixed(&[id]) } else { mixed(&[id, window]) };
                    add(&mut sum, key.wrapping_mul(count));
                }
                match by {
                    CountKey::Auction => expected.by_auction,
                    CountKey::AuctionWindow => expected.by_auction_window,
                    CountKey::BidderWindow => expected.by_bidder_window,
                }
            }
            Check::Final => expected.windowed.closed().1,
            Check::Hopped => expected.windowed.hopped().1,
            Check::Sessions => {
                for ([id, start], count) in last {
                    add(&mut sum, mixed(&[id, start]).wrapping_mul(count));
                }
                expected.windowed.session_counts
            }
            Check::Met if met == expected.windowed.joined => 0,
            Check::Met => return Err(format!("{met} bids with their auction instead of {}", expected.windowed.joined)),
            Check::LeftJoined { .. } if met == expected.windowed.met => 0,
            Check::LeftJoined { .. } => return Err(format!("{met} bids with their auction instead of {}", expected.windowed.met)),
            // The join at equal times may go either way.
            Check::Joined if (expected.joined.0..=expected.joined.1).contains(&records) => 0,
            Check::Joined => return Err(format!("{records} records instead of {:?}", expected.joined)),
        };
        if sum == expected { Ok(()) } else { Err("the output's content is not what it must be".into()) }
    }
}

/// Shows each record's key and value of a topic that holds so many.
fn read(input: &Input, topic: &str, records: u64, mut see: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut waiting = Waiting::new(&*input.log, topic)?;
    let mut seen = 0;
    while seen < records {
        let Some(arrived) = waiting.poll()? else {
            waiting.sleep(Duration::from_secs(PATIENCE_S))?;
            continue;
        };
        for index in arrived.first..arrived.batch.len() {
            let record = arrived.batch.record(index);
            see(record.key.unwrap_or_default(), record.value.unwrap_or_default())?;
            seen += 1;
        }
    }
    Ok(())
}

/// The number behind a member's name in a flat JSON object; a decimal point is left out, so `1.250` is 1250.
pub fn number(json: &[u8], name: &str) -> Result<u64, String> {
    let missing = || format!("no number {name} in {}", String::from_utf8_lossy(json));
    let named = |at: &usize| {
        let rest = json.get(at + 1..).unwrap_or_default();
        rest.starts_with(name.as_bytes()) && rest.get(name.len()..name.len() + 2) == Some(b"\":")
    };
    let at = json.iter().enumerate().filter(|(_, byte)| **byte == b'"').map(|(at, _)| at).find(named).ok_or_else(missing)?;
    let digits = json.get(at + name.len() + 3..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let (mut value, mut any) = (0u64, false);
    for digit in digits.filter(|byte| **byte != b'.') {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        any = true;
    }
    if any { Ok(value) } else { Err(missing()) }
}

pub fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub fn add(sum: &mut u64, value: u64) {
    *sum = sum.wrapping_add(value);
}

/// A number in which each part has its own weight.
pub fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, part| {
        let hash = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^ hash >> 32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        let json = br#"{"SOLD_N":7,"N":12,"PRICE":1.250,"X":"\"N\":5"}"#;
        assert_eq!(number(json, "N"), Ok(12));
        assert_eq!(number(json, "PRICE"), Ok(1250));
        assert!(number(json, "X").is_err());
        assert!(number(json, "Y").is_err());
    }

    #[test]
    fn a_count_under_another_key_is_noticed() {
        assert_ne!(mixed(&[1, 2]), mixed(&[2, 1]));
        assert_ne!(mixed(&[1]).wrapping_add(mixed(&[2]).wrapping_mul(2)), mixed(&[2]).wrapping_add(mixed(&[1]).wrapping_mul(2)));
        assert_eq!(big_endian(&7u64.to_be_bytes()), 7);
    }
}
