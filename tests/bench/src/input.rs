//! The input: Nexmark bids and auctions as JSON in topics of a real broker, loaded once.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event};
use tidemill_engine::engine::Engine;
use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::log::{Commit, Log, LogWriter, OffsetSpec, OutRecord, TopicHandle, TopicPartition, TopicSpec, partition_for};
use tidemill_engine::state::StateBatch;

use crate::check::Expected;
use crate::cpu::{Meters, Process};

/// Partitions of every topic.
pub const PARTITIONS: u32 = 4;
/// Bids, keyed by auction.
pub const BIDS: &str = "bids";
/// Auctions, keyed by their id.
pub const AUCTIONS: &str = "auctions";
/// The time of the first event, milliseconds: always the same, so that topics that were loaded before can be used again.
const BASE_TIME_MS: u64 = 1_735_689_600_000;
/// Records of one commit while loading.
const COMMIT_RECORDS: u64 = 50_000;

/// What was loaded, and where.
pub struct Input {
    pub place: Place,
    pub log: Arc<dyn Log>,
    pub bids: u64,
    pub auctions: u64,
    /// Client properties for everybody.
    pub properties: BTreeMap<String, String>,
    /// Mean size of a bid's JSON, bytes.
    pub bid_bytes: u64,
    /// What must come out of the queries.
    pub expected: Expected,
    /// The broker's process, where it is known.
    pub broker: Option<Process>,
}

/// Which log holds the input.
pub enum Place {
    /// A broker; the engine runs in a server process, or in this one.
    Kafka { bootstrap: String, in_process: bool },
    /// The embedded log of this engine.
    Embedded(Arc<Engine>),
}

impl Place {
    /// Names of both for the command line.
    pub const KAFKA: &str = "kafka";
    pub const EMBEDDED: &str = "embedded";
}

impl Input {
    /// Creates the topics and writes so many bids with the auctions that belong to them; topics that hold so many bids
    /// already are used as they are.
    ///
    /// # Errors
    /// What the broker says.
    pub fn load(place: Place, bids: u64, properties: BTreeMap<String, String>) -> Result<Input, String> {
        let log: Arc<dyn Log> = match &place {
            Place::Kafka { bootstrap, .. } => {
                Arc::new(KafkaLog::connect(bootstrap, &properties, Arc::new(|state| state.write())).map_err(text)?)
            }
            Place::Embedded(engine) => Arc::clone(engine.log()),
        };
        let mut input = Input { place, log, bids, auctions: 0, properties, bid_bytes: 0, expected: Expected::default(), broker: None };
        let is_new = input.log.describe_topic(BIDS).map_err(text)?.is_none();
        if is_new {
            input.create(BIDS)?;
            input.create(AUCTIONS)?;
        }
        let mut loader = Loader::new(&*input.log)?;
        let (mut json, mut written, mut bytes) = (String::new(), 0, 0);
        for event in EventGenerator::new(NexmarkConfig { base_time: BASE_TIME_MS, ..NexmarkConfig::default() }) {
            json.clear();
            match &event {
                Event::Bid(_) if written == bids => break,
                Event::Bid(bid) => {
                    written += 1;
                    write_bid(bid, &mut json);
                    bytes += json.len() as u64;
                    input.expected.bid(bid);
                    if is_new {
                        loader.send(Loader::bids, bid.auction, bid.date_time, json.as_bytes())?;
                    }
                }
                Event::Auction(auction) => {
                    input.auctions += 1;
                    input.expected.auction(auction);
                    write_auction(auction, &mut json);
                    if is_new {
                        loader.send(Loader::auctions, auction.id, auction.date_time, json.as_bytes())?;
                    }
                }
                Event::Person(_) => {}
            }
        }
        loader.commit()?;
        input.bid_bytes = bytes / bids.max(1);
        input.expect(BIDS, bids)?;
        input.expect(AUCTIONS, input.auctions)?;
        Ok(input)
    }

    /// What takes the CPU time of a process and of the broker.
    pub fn meters(&self, own: Process) -> Meters {
        Meters { own, broker: self.broker.clone() }
    }

    /// The broker's address.
    ///
    /// # Errors
    /// On the embedded log.
    pub fn bootstrap(&self) -> Result<&str, String> {
        match &self.place {
            Place::Kafka { bootstrap, .. } => Ok(bootstrap),
            Place::Embedded(_) => Err("only on Kafka".into()),
        }
    }

    /// Creates a topic that keeps everything: the events' times lie in the past.
    ///
    /// # Errors
    /// What the broker says.
    pub fn create(&self, topic: &str) -> Result<(), String> {
        let config = BTreeMap::from([("retention.ms".to_owned(), "-1".to_owned())]);
        self.log.create_topic(&TopicSpec { name: topic.to_owned(), partitions: PARTITIONS, replicas: 1, config }).map_err(text)
    }

    /// Deletes a topic, to give back its disk.
    ///
    /// # Errors
    /// What the broker says.
    pub fn delete(&self, topic: &str) -> Result<(), String> {
        self.log.delete_topic(topic).map_err(text)
    }

    /// How many records a topic holds, none of which was ever deleted.
    ///
    /// # Errors
    /// What the broker says.
    pub fn count(&self, topic: &str) -> Result<u64, String> {
        let partitions: Vec<TopicPartition> =
            (0..PARTITIONS as i32).map(|partition| TopicPartition { topic: topic.into(), partition }).collect();
        let ends = self.log.offsets(&partitions, OffsetSpec::Latest).map_err(text)?;
        Ok(ends.iter().map(|end| end.0.unsigned_abs()).sum())
    }

    /// Fails unless a topic holds exactly so many records: a run with another output does not count.
    ///
    /// # Errors
    /// The difference.
    pub fn expect(&self, topic: &str, records: u64) -> Result<(), String> {
        let found = self.count(topic)?;
        if found == records { Ok(()) } else { Err(format!("topic '{topic}' holds {found} records instead of {records}")) }
    }
}

/// Writes the input.
struct Loader {
    writer: Box<dyn LogWriter>,
    topics: [TopicHandle; 2],
    uncommitted: u64,
}

impl Loader {
    fn new(log: &dyn Log) -> Result<Loader, String> {
        let handle = |topic| log.topic(topic).map(|(handle, _)| handle).map_err(text);
        Ok(Loader { writer: log.writer().map_err(text)?, topics: [handle(BIDS)?, handle(AUCTIONS)?], uncommitted: 0 })
    }

    fn bids(&self) -> TopicHandle {
        self.topics[0]
    }

    fn auctions(&self) -> TopicHandle {
        self.topics[1]
    }

    fn send(&mut self, topic: fn(&Loader) -> TopicHandle, id: usize, time: u64, value: &[u8]) -> Result<(), String> {
        // As the format KAFKA writes a BIGINT, and Java's LongSerializer.
        let key = (id as u64).to_be_bytes();
        let timestamp = i64::try_from(time).map_err(text)?;
        let partition = partition_for(Some(&key), PARTITIONS, &mut 0);
        let topic = topic(self);
        self.writer.send(topic, OutRecord { partition, timestamp, key: Some(&key), value: Some(value), headers: &[] }).map_err(text)?;
        self.uncommitted += 1;
        if self.uncommitted == COMMIT_RECORDS { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), String> {
        self.uncommitted = 0;
        self.writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() }).map_err(text)
    }
}

/// Nexmark's texts hold nothing that JSON must escape.
pub fn write_bid(bid: &Bid, out: &mut String) {
    let Bid { auction, bidder, price, channel, url, date_time, extra } = bid;
    let _ = write!(
        out,
        r#"{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"{url}","date_time":{date_time},"extra":"{extra}"}}"#
    );
}

fn write_auction(auction: &Auction, out: &mut String) {
    let Auction { id, item_name, description, initial_bid, reserve, date_time, expires, seller, category, extra } = auction;
    let _ = write!(
        out,
        r#"{{"id":{id},"item_name":"{item_name}","description":"{description}","initial_bid":{initial_bid},"reserve":{reserve},"date_time":{date_time},"expires":{expires},"seller":{seller},"category":{category},"extra":"{extra}"}}"#
    );
}

/// An error's words.
pub fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
