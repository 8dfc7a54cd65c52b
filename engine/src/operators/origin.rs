//! Where the records of a repartition topic come from, so that what is sent again is taken once.
//!
//! Where the log is not atomic, a task that goes back reads input again, and what it then writes for the next sub-topology is in
//! the topic twice. Each record therefore says behind its value which task wrote it, of which record of its input, and which of
//! the outputs of that record it is. What one task writes of one topic comes in this order, so whoever reads it keeps the
//! highest of each (with the state, by its marks) and passes over what is not higher.
//!
//! A topic that was made anew begins with low offsets again. The task that reads it notices and says so: its records are then
//! *fresh*, and the first of them forgets what was the highest.
//!
//! Two things must hold for that: of what a task sends to a partition, the beginning arrives (a log tells where that was not so,
//! see [`crate::log::Log::gaps`]; what comes again is fresh then, too), and a task that reads the same again writes the same, by
//! what it reads ([`super::repeatable`]) or because it keeps to an order (`runtime/order.rs`). What else it writes has no origin,
//! and is taken as often as it comes.

use std::sync::Arc;

use crate::formats::varint;
use crate::log::{Offset, TopicPartition};

/// Stands at the end of a value that has an origin. No text in UTF-8 ends so.
const MAGIC: [u8; 3] = [0xFF, 0x7D, 0xFD];
/// As earlier versions ended it, whose numbers were as long as they could be.
const WIDE_MAGIC: [u8; 3] = [0xFF, 0x7D, 0xFE];
/// Bits of a place that number the outputs of one record.
const ORDINAL_BITS: u32 = 20;
/// Outputs beyond so many are not told apart, and never passed over.
const MAX_ORDINAL: u32 = (1 << ORDINAL_BITS) - 1;
const IS_FRESH: u8 = 1;
const IS_NULL: u8 = 2;

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// The partition of the task that wrote it.
    pub task: i32,
    /// Which of the topics that the task reads.
    pub lane: u8,
    pub offset: i64,
    /// Which of the outputs of that record, from 0.
    pub ordinal: u32,
    /// Not 0: the task began with a topic that was made anew; the number tells one such beginning from another.
    pub fresh: u32,
}

impl Origin {
    /// Appends the origin to a value; `None` becomes a value that says so.
    pub fn append(&self, is_null: bool, out: &mut Vec<u8>) {
        let start = out.len();
        let flags = if self.fresh > 0 { IS_FRESH } else { 0 } | if is_null { IS_NULL } else { 0 };
        out.push(flags);
        out.push(self.lane);
        for number in [u64::from(self.task.unsigned_abs()), self.offset.unsigned_abs(), u64::from(self.ordinal)] {
            varint::write(number, out);
        }
        if self.fresh > 0 {
            varint::write(u64::from(self.fresh), out);
        }
        out.push(u8::try_from(out.len() - start).unwrap_or(u8::MAX));
        out.extend_from_slice(&MAGIC);
    }

    /// Parts a value from its origin; without one, it is as it was.
    pub fn split(value: Option<&[u8]>) -> (Option<&[u8]>, Option<Origin>) {
        match value.and_then(Origin::read) {
            Some((own, origin)) => (own, Some(origin)),
            None => (value, None),
        }
    }

    fn read(value: &[u8]) -> Option<(Option<&[u8]>, Origin)> {
        let (rest, magic) = value.split_last_chunk::<3>()?;
        if *magic != MAGIC && *magic != WIDE_MAGIC {
            return None;
        }
        let (length, rest) = rest.split_last()?;
        let (own, tag) = rest.split_at_checked(rest.len().checked_sub(usize::from(*length))?)?;
        let origin = if *magic == MAGIC { Origin::read_tag(tag)? } else { Origin::read_wide(tag)? };
        let is_null = tag.first().is_some_and(|flags| flags & IS_NULL != 0);
        Some(((!is_null).then_some(own), origin))
    }

    fn read_tag(tag: &[u8]) -> Option<Origin> {
        let (&[flags, lane], mut tag) = tag.split_first_chunk::<2>()?;
        let task = i32::try_from(take_number(&mut tag)?).ok()?;
        let offset = i64::try_from(take_number(&mut tag)?).ok()?;
        let ordinal = u32::try_from(take_number(&mut tag)?).ok()?;
        let fresh = if flags & IS_FRESH == 0 { 0 } else { u32::try_from(take_number(&mut tag)?).ok()? };
        tag.is_empty().then_some(Origin { task, lane, offset, ordinal, fresh })
    }

    /// What an earlier version wrote.
    fn read_wide(tag: &[u8]) -> Option<Origin> {
        let (&[flags, lane], tag) = tag.split_first_chunk::<2>()?;
        let (task, tag) = tag.split_first_chunk::<4>()?;
        let (offset, tag) = tag.split_first_chunk::<8>()?;
        let (ordinal, tag) = tag.split_first_chunk::<4>()?;
        let fresh = if flags & IS_FRESH == 0 { 0 } else { u32::from_be_bytes(*tag.first_chunk::<4>()?) };
        Some(Origin {
            task: i32::from_be_bytes(*task),
            lane,
            offset: i64::from_be_bytes(*offset),
            ordinal: u32::from_be_bytes(*ordinal),
            fresh,
        })
    }

    /// A number that spreads the outputs.
    pub fn spread(&self) -> u32 {
        u32::try_from(self.offset & i64::from(u32::MAX)).unwrap_or_default().wrapping_add(self.ordinal)
    }

    /// Grows with each record of a source.
    fn place(&self) -> i64 {
        self.offset.saturating_mul(1 << ORDINAL_BITS).saturating_add(i64::from(self.ordinal.min(MAX_ORDINAL)))
    }
}

/// Takes a number off the front; `None`: there is none.
fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (number, length) = varint::read(bytes).ok()?;
    *bytes = bytes.get(length..)?;
    Some(number)
}

/// A value of a repartition topic as its writer meant it.
pub fn without_origin(value: Option<&[u8]>) -> Option<&[u8]> {
    Origin::split(value).0
}

/// What a task knows of origins: that of the record at hand, for what it writes, and the highest of what it has read.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    /// Whether records of repartition topics have origins at all.
    is_on: bool,
    /// Whether what the task writes has one.
    writes: bool,
    /// The partition of the task.
    task: i32,
    /// Numbers the task's fresh beginnings; not 0.
    session: u32,
    /// The lanes whose topics were made anew.
    fresh: Vec<u8>,
    /// The record at hand: its lane and offset, and how many outputs it has had.
    at_hand: Option<(u8, i64)>,
    outputs: u32,
    highest: Highest,
    /// As of the commit that is being made.
    frozen: Highest,
    /// As of the last commit.
    committed: Highest,
}

/// By repartition topic, task and lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Highest {
    /// As many as tasks write to the topics, times the topics that these read: few.
    sources: Vec<(Source, Seen)>,
    /// The one that was asked for last: records of one source come in a row.
    last: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    topic: Arc<str>,
    task: i32,
    lane: u8,
}

impl Highest {
    /// What is known of a source; `None`: nothing yet.
    fn find(&mut self, topic: &Arc<str>, task: i32, lane: u8) -> Option<&mut Seen> {
        let is_it = |(source, _): &(Source, Seen)| {
            source.task == task && source.lane == lane && (Arc::ptr_eq(&source.topic, topic) || source.topic == *topic)
        };
        if !self.sources.get(self.last).is_some_and(is_it) {
            self.last = self.sources.iter().position(is_it)?;
        }
        self.sources.get_mut(self.last).map(|(_, seen)| seen)
    }

    fn add(&mut self, topic: Arc<str>, task: i32, lane: u8, seen: Seen) {
        self.last = self.sources.len();
        self.sources.push((Source { topic, task, lane }, seen));
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    place: i64,
    fresh: u32,
}

/// Begin the names under which highest places, and fresh beginnings, are kept among the positions of a query: behind them the
/// partition of the task that reads, the lane and the topic. No topic has such a name.
const PLACE: &str = "\0from\0";
const FRESH: &str = "\0fresh\0";
/// As these, of a task that has not committed since topics that it reads were made anew: the number of the commit before, the lane.
const ANEW: &str = "\0anew\0";

impl Origins {
    /// For the task of a partition, where records of repartition topics have origins. `session` tells its life from earlier
    /// ones; `known` is what the last commit kept.
    pub fn new<'p>(task: i32, session: u32, known: impl Iterator<Item = (&'p TopicPartition, &'p Offset)>) -> Self {
        let mut highest = Highest::default();
        for (partition, value) in known {
            let (is_place, rest) = match (partition.topic.strip_prefix(PLACE), partition.topic.strip_prefix(FRESH)) {
                (Some(rest), _) => (true, rest),
                (None, Some(rest)) => (false, rest),
                (None, None) => continue,
            };
            let mut parts = rest.splitn(3, '\0');
            let (Some(reader), Some(lane), Some(topic)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let (Ok(reader), Ok(lane)) = (reader.parse::<i32>(), lane.parse()) else { continue };
            if reader != task {
                continue;
            }
            let topic: Arc<str> = topic.into();
            if highest.find(&topic, partition.partition, lane).is_none() {
                highest.add(topic.clone(), partition.partition, lane, Seen::default());
            }
            let Some(seen) = highest.find(&topic, partition.partition, lane) else { continue };
            if is_place {
                seen.place = value.0;
            } else {
                seen.fresh = u32::try_from(value.0).unwrap_or_default();
            }
        }
        Origins {
            is_on: true,
            writes: true,
            task,
            session: session.max(1),
            committed: highest.clone(),
            frozen: highest.clone(),
            highest,
            ..Origins::default()
        }
    }

    /// Nothing that the task writes is ever written twice: only others' records may have origins.
    pub fn reads_only(self) -> Self {
        Origins { writes: false, ..self }
    }

    /// Forgets what was read of other topics than these: what a query remembers, it remembers of all its sub-topologies, and what
    /// this task says of another's would be old.
    pub fn keep_topics(&mut self, is_read: impl Fn(&str) -> bool) {
        self.highest.sources.retain(|(source, _)| is_read(&source.topic));
        self.highest.last = 0;
        self.committed = self.highest.clone();
        self.frozen = self.highest.clone();
    }

    /// A record is about to be processed. `expected`: the lowest offset that can follow what came before it.
    #[inline]
    pub fn begin_record(&mut self, lane: usize, offset: Offset, expected: Offset) {
        if self.writes {
            self.outputs = 0;
            self.at_hand = u8::try_from(lane).ok().map(|lane| (lane, offset.0));
            if offset < expected {
                self.begin_anew(lane);
            }
        }
    }

    /// What the task has written lately may have gaps: what it writes again must be taken again.
    pub fn begin_all_anew(&mut self, lanes: usize) {
        if self.is_on {
            (0..lanes).for_each(|lane| self.begin_anew(lane));
        }
    }

    /// The topic of a lane was made anew.
    #[cold]
    pub fn begin_anew(&mut self, lane: usize) {
        if let Ok(lane) = u8::try_from(lane) {
            self.session = self.session.wrapping_add(1).max(1);
            if !self.fresh.contains(&lane) {
                self.fresh.push(lane);
            }
        }
    }

    /// What a start remembers of lanes whose topics were made anew, as positions that hold until the task commits again.
    /// `number`: that of its last commit.
    pub fn beginnings(&self, number: i64) -> Vec<(TopicPartition, Offset)> {
        let begins = |lane: &u8| {
            let topic = format!("{ANEW}{number}\0{lane}").into();
            (TopicPartition { topic, partition: self.task }, Offset(i64::from(self.session)))
        };
        self.fresh.iter().filter(|_| self.is_on && self.writes).map(begins).collect()
    }

    /// An earlier life of the task began anew and died before it had committed. What it wrote may have arrived: this life bears the
    /// same number, so that nothing of it is taken twice.
    pub fn begin_again<'p>(&mut self, number: i64, known: impl Iterator<Item = (&'p TopicPartition, &'p Offset)>) {
        for (partition, session) in known.filter(|(partition, _)| partition.partition == self.task) {
            let Some((of, lane)) = partition.topic.strip_prefix(ANEW).and_then(|rest| rest.split_once('\0')) else { continue };
            let (Ok(lane), Ok(session)) = (lane.parse::<u8>(), u32::try_from(session.0)) else { continue };
            if of.parse() == Ok(number) && !self.fresh.contains(&lane) {
                self.session = session.max(1);
                self.fresh.push(lane);
            }
        }
    }

    /// No record is at hand any more.
    pub fn end_record(&mut self) {
        self.at_hand = None;
    }

    /// The origin of what is written next, if it has one.
    pub(super) fn next(&mut self) -> Option<Origin> {
        let (lane, offset) = self.at_hand?;
        let ordinal = self.outputs;
        self.outputs = ordinal.saturating_add(1);
        let fresh = if self.fresh.contains(&lane) { self.session } else { 0 };
        Some(Origin { task: self.task, lane, offset, ordinal, fresh })
    }

    /// Whether a value of a repartition topic may have an origin.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether a record was not read before.
    pub(super) fn is_new(&mut self, topic: &Arc<str>, origin: &Origin) -> bool {
        let place = origin.place();
        let Some(seen) = self.highest.find(topic, origin.task, origin.lane) else {
            self.highest.add(topic.clone(), origin.task, origin.lane, Seen { place, fresh: origin.fresh });
            return true;
        };
        if origin.fresh > 0 && origin.fresh != seen.fresh {
            *seen = Seen { place, fresh: origin.fresh };
            return true;
        }
        let is_new = place > seen.place || place == seen.place && origin.ordinal >= MAX_ORDINAL;
        seen.place = seen.place.max(place);
        is_new
    }

    /// What a commit keeps, as positions.
    pub fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        let mut positions = Vec::with_capacity(self.highest.sources.len());
        for (Source { topic, task, lane }, seen) in &self.highest.sources {
            let mut keep = |prefix: &str, value: i64| {
                let topic = format!("{prefix}{}\0{lane}\0{topic}", self.task).into();
                positions.push((TopicPartition { topic, partition: *task }, Offset(value)));
            };
            keep(PLACE, seen.place);
            if seen.fresh > 0 {
                keep(FRESH, i64::from(seen.fresh));
            }
        }
        positions
    }

    /// A commit takes what is known now.
    pub fn freeze(&mut self) {
        if self.highest != self.frozen {
            self.frozen.clone_from(&self.highest);
        }
    }

    /// The commit that took what was known then has succeeded.
    pub fn commit_succeeded(&mut self) {
        if self.frozen != self.committed {
            self.committed.clone_from(&self.frozen);
        }
    }

    pub fn roll_back(&mut self) {
        self.at_hand = None;
        self.highest.clone_from(&self.committed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(offset: i64, ordinal: u32, fresh: u32) -> Origin {
        Origin { task: 3, lane: 1, offset, ordinal, fresh }
    }

    #[test]
    fn origins_go_there_and_back() {
        for fresh in [0, 7] {
            let origin = origin(i64::from(u32::MAX) * 8, 2, fresh);
            for value in [Some(&b"{}"[..]), Some(b""), None] {
                let mut bytes = value.unwrap_or_default().to_vec();
                origin.append(value.is_none(), &mut bytes);
                assert_eq!(Origin::split(Some(&bytes)), (value, Some(origin)));
                assert_eq!(Origin::split(Some(&bytes[..bytes.len() - 1])).1, None);
            }
        }
        for value in [Some(&b"plain"[..]), Some(b""), None, Some(&[9, 0xFF, 0x7D, 0xFE]), Some(&[9, 0xFF, 0x7D, 0xFD])] {
            assert_eq!(Origin::split(value), (value, None));
        }
    }

    #[test]
    fn origins_are_short_and_those_of_earlier_versions_are_read() {
        let own = Origin { task: 3, lane: 0, offset: 1_000_000, ordinal: 0, fresh: 0 };
        let mut bytes = b"{}".to_vec();
        own.append(false, &mut bytes);
        assert!(bytes.len() <= 2 + 12, "{} bytes", bytes.len());
        for (flags, value) in [(0, Some(&b"{}"[..])), (IS_NULL, None)] {
            let mut wide = b"{}".to_vec();
            wide.extend_from_slice(&[flags, 0, 0, 0, 0, 3]);
            wide.extend_from_slice(&1_000_000_i64.to_be_bytes());
            wide.extend_from_slice(&[0, 0, 0, 0, 18]);
            wide.extend_from_slice(&WIDE_MAGIC);
            assert_eq!(Origin::split(Some(&wide)), (value, Some(own)));
        }
        // Numbers that are none.
        for tag in
            [&[0xFF; 16][..], &[0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0], &[0, 0, 1, 1], &[0, 0, 1, 1, 0, 9]]
        {
            let bytes = [tag, &[u8::try_from(tag.len()).unwrap()], &MAGIC].concat();
            assert_eq!(Origin::split(Some(&bytes)).1, None, "{tag:?}");
        }
    }

    #[test]
    fn what_comes_again_is_passed_over() {
        let topic: Arc<str> = "t".into();
        let mut origins = Origins::new(0, 1, std::iter::empty());
        assert!([(5, 0), (5, 1), (6, 0)].iter().all(|(offset, ordinal)| origins.is_new(&topic, &origin(*offset, *ordinal, 0))));
        assert!(![(5, 0), (5, 1), (6, 0)].iter().any(|(offset, ordinal)| origins.is_new(&topic, &origin(*offset, *ordinal, 0))));
        origins.freeze();
        assert!(origins.is_new(&topic, &origin(6, 1, 0)));
        origins.commit_succeeded();
        origins.roll_back();
        assert!(origins.is_new(&topic, &origin(6, 1, 0)), "it was taken back");
        // Over a restart.
        let kept = origins.positions();
        let mut origins = Origins::new(0, 2, kept.iter().map(|(partition, offset)| (partition, offset)));
        assert!(!origins.is_new(&topic, &origin(6, 1, 0)));
        assert!(origins.is_new(&topic, &origin(7, 0, 0)));
        // Another sub-topology of the query says nothing of it.
        let mut others = Origins::new(0, 2, kept.iter().map(|(partition, offset)| (partition, offset)));
        others.keep_topics(|topic| topic == "another");
        assert_eq!(others.positions(), []);
    }

    #[test]
    fn who_died_before_it_committed_begins_as_it_did() {
        let fresh = |origins: &mut Origins, offset| {
            origins.begin_record(1, Offset(offset), Offset(offset));
            origins.next().map(|origin| origin.fresh)
        };
        let mut first = Origins::new(2, 70, std::iter::empty());
        first.begin_anew(1);
        let remembered = first.beginnings(5);
        let life = |number: i64, task: i32| {
            let mut origins = Origins::new(task, 900, std::iter::empty());
            origins.begin_again(number, remembered.iter().map(|(place, value)| (place, value)));
            origins
        };
        assert_eq!(fresh(&mut life(5, 2), 0), fresh(&mut first, 0));
        assert_eq!(fresh(&mut life(6, 2), 9), Some(0), "it has committed since");
        assert_eq!(fresh(&mut life(5, 3), 0), Some(0), "another task");
        let mut again = life(5, 2);
        again.begin_anew(1);
        assert_ne!(fresh(&mut again, 0), fresh(&mut first, 0), "another topic came in between");
        assert!(first.clone().reads_only().beginnings(5).is_empty());
    }

    #[test]
    fn a_topic_made_anew_begins_anew() {
        let topic: Arc<str> = "t".into();
        let mut writer = Origins::new(3, 8, std::iter::empty());
        writer.begin_record(1, Offset(100), Offset(0));
        let before = writer.next().unwrap();
        writer.begin_record(1, Offset(0), Offset(101));
        let after = writer.next().unwrap();
        assert!(before.fresh == 0 && after.fresh > 0);
        let mut origins = Origins::new(0, 1, std::iter::empty());
        assert!(origins.is_new(&topic, &before) && origins.is_new(&topic, &after));
        assert!(!origins.is_new(&topic, &after));
        let kept = origins.positions();
        let mut origins = Origins::new(0, 2, kept.iter().map(|(partition, offset)| (partition, offset)));
        assert!(!origins.is_new(&topic, &after), "the beginning is known");
        writer.end_record();
        assert_eq!(writer.next(), None);
    }
}
