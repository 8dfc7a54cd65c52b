//! The Nexmark queries on a real server process: statements over HTTP, results counted in the sink topic.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::host::{self, Host};
use crate::input::{Input, text};
use crate::limits::Waiting;

use crate::workload::{Goal, Measurement, Workload};

/// A query may take this long, seconds.
const PATIENCE_S: u64 = 300;
/// How often the sink is looked at, milliseconds.
const LOOK_MS: u64 = 10;
/// The output is complete when it has not changed for this long, milliseconds, where its exact size is not known.
const QUIET_MS: u64 = 1_500;

/// The bids as a stream keyed by auction, the auctions as a table.
const SOURCES: &str = "
    CREATE STREAM IF NOT EXISTS bids (auction_key BIGINT KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR,
        date_time BIGINT, extra VARCHAR) WITH (KAFKA_TOPIC='bids', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE IF NOT EXISTS auctions (id BIGINT PRIMARY KEY, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT,
        date_time BIGINT, expires BIGINT, seller BIGINT, category BIGINT, extra VARCHAR)
        WITH (KAFKA_TOPIC='auctions', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');";

/// How the output is checked.
#[derive(Debug, Clone, Copy)]
enum Check {
    /// So many records.
    Records(fn(&Input) -> u64),
    /// Between so many records: the join at equal times may go either way.
    Between(fn(&Input) -> (u64, u64)),
    /// One record for each bid, and the last count of each key adds up to the bids.
    EachCount,
    /// As many records as there happen to be; the last count of each key adds up to the bids.
    LastCounts,
}

/// One query.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    name: &'static str,
    describe: &'static str,
    /// Ends it, with its topics.
    drop: &'static str,
    /// `{sink}` stands for the topic of the results.
    sql: &'static str,
    properties: &'static [(&'static str, &'static str)],
    check: Check,
    goal: Option<Goal>,
}

const EACH: &[(&str, &str)] = &[("auto.offset.reset", "earliest")];
const COALESCED: &[(&str, &str)] = &[("auto.offset.reset", "earliest"), ("cache.max.bytes.buffering", "10000000")];

const fn goal(limit: &'static str, throughput: f64) -> Option<Goal> {
    Some(Goal { limit, throughput, cpu: None })
}

/// All of them, in the order of the table.
pub const QUERIES: &[Query] = &[
    Query {
        name: "q1",
        describe: "currency conversion",
        drop: "DROP STREAM q1 DELETE TOPIC;",
        sql: "CREATE STREAM q1 WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, bidder, 0.908 * price AS price,
              channel, url, date_time, extra FROM bids EMIT CHANGES;",
        properties: EACH,
        check: Check::Records(|input| input.bids),
        goal: Some(Goal { limit: "L1", throughput: 0.75, cpu: Some(1.4) }),
    },
    Query {
        name: "q2",
        describe: "selective filter",
        drop: "DROP STREAM q2 DELETE TOPIC;",
        sql: "CREATE STREAM q2 WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, price FROM bids
              WHERE auction % 123 = 0 EMIT CHANGES;",
        properties: EACH,
        check: Check::Records(|input| input.expected.q2),
        goal: goal("L3", 0.8),
    },
    Query {
        name: "count",
        describe: "count by key, each change",
        drop: "DROP TABLE counted DELETE TOPIC;",
        sql: "CREATE TABLE counted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              GROUP BY auction_key EMIT CHANGES;",
        properties: EACH,
        check: Check::EachCount,
        goal: None,
    },
    Query {
        name: "count-c",
        describe: "count by key, coalesced",
        drop: "DROP TABLE counted DELETE TOPIC;",
        sql: "CREATE TABLE counted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              GROUP BY auction_key EMIT CHANGES;",
        properties: COALESCED,
        check: Check::LastCounts,
        goal: goal("L3", 0.8),
    },
    Query {
        name: "wcount",
        describe: "10-second tumbling count by key, each change, with changelog",
        drop: "DROP TABLE wcounted DELETE TOPIC;",
        sql: "CREATE TABLE wcounted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY auction_key EMIT CHANGES;",
        properties: EACH,
        check: Check::EachCount,
        goal: goal("L1", 0.4),
    },
    Query {
        name: "wcount-c",
        describe: "10-second tumbling count by key, coalesced",
        drop: "DROP TABLE wcounted DELETE TOPIC;",
        sql: "CREATE TABLE wcounted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY auction_key EMIT CHANGES;",
        properties: COALESCED,
        check: Check::LastCounts,
        goal: None,
    },
    Query {
        name: "q12",
        describe: "10-second tumbling count by bidder, each change, with its repartition",
        drop: "DROP TABLE q12 DELETE TOPIC;",
        sql: "CREATE TABLE q12 WITH (KAFKA_TOPIC='{sink}') AS SELECT bidder, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY bidder EMIT CHANGES;",
        properties: EACH,
        check: Check::EachCount,
        goal: goal("L1", 0.4),
    },
    Query {
        name: "q20",
        describe: "bids joined with the auctions table",
        drop: "DROP STREAM q20 DELETE TOPIC;",
        sql: "CREATE STREAM q20 WITH (KAFKA_TOPIC='{sink}') AS SELECT b.auction_key, b.bidder, b.price, b.channel, b.url,
              a.item_name, a.description, a.initial_bid, a.reserve, a.seller, a.category
              FROM bids b JOIN auctions a ON b.auction_key = a.id EMIT CHANGES;",
        properties: EACH,
        check: Check::Between(|input| input.expected.q20),
        goal: goal("L3", 0.5),
    },
];

impl Workload for Query {
    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self) -> &'static str {
        self.describe
    }

    fn goal(&self) -> Option<Goal> {
        self.goal
    }

    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String> {
        let process = std::process::id();
        let (service, sink) = (format!("bench_{process}_{run}_"), format!("{}-{process}-{run}", self.name));
        let host = host::start(input, &service)?;
        input.create(&sink)?;
        let measured = self.measure(input, &*host, &sink);
        let dropped = host.execute(self.drop, &[]);
        drop(host);
        // What else it made on a broker: commands, processing log, and everything where the run failed.
        let own = |name: &str| name == sink || name.contains(&service);
        for topic in input.log.list_topics().map_err(text)?.into_iter().filter(|topic| own(&topic.name)) {
            input.delete(&topic.name)?;
        }
        dropped.and(measured)
    }
}

impl Query {
    fn measure(&self, input: &Input, host: &dyn Host, sink: &str) -> Result<Measurement, String> {
        host.execute(SOURCES, &[])?;
        let process = host.process();
        let (cpu, began) = (process.cpu(), Instant::now());
        host.execute(&self.sql.replace("{sink}", sink), self.properties)?;
        let (least, most) = match self.check {
            Check::Records(count) => (count(input), Some(count(input))),
            Check::EachCount => (input.bids, Some(input.bids)),
            Check::Between(range) => (range(input).0, None),
            Check::LastCounts => (1, None),
        };
        let done = wait_for(input, sink, least, most, || process.cpu())?;
        let measured = Measurement {
            records: input.bids,
            output: done.records,
            wall: done.at.duration_since(began),
            cpu: done.cpu.saturating_sub(cpu),
        };
        match self.check {
            Check::Records(_) => {}
            Check::Between(range) if (range(input).0..=range(input).1).contains(&done.records) => {}
            Check::Between(range) => return Err(format!("{} records instead of {:?}", done.records, range(input))),
            Check::EachCount | Check::LastCounts => check_counts(input, sink, done.records)?,
        }
        Ok(measured)
    }
}

/// The moment of the last output.
struct Done {
    at: Instant,
    cpu: Duration,
    records: u64,
}

/// Waits until the sink holds exactly `most` records, or, where that is not known, at least so many and no more come.
fn wait_for(input: &Input, sink: &str, least: u64, most: Option<u64>, cpu: impl Fn() -> Duration) -> Result<Done, String> {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE_S);
    let mut last = Done { at: Instant::now(), cpu: Duration::ZERO, records: 0 };
    loop {
        let records = input.count(sink)?;
        if records != last.records {
            last = Done { at: Instant::now(), cpu: cpu(), records };
        }
        match most {
            Some(most) if records > most => return Err(format!("{records} records, {} too many", records - most)),
            Some(most) if records == most => return Ok(last),
            None if records >= least && last.at.elapsed() > Duration::from_millis(QUIET_MS) => return Ok(last),
            _ if Instant::now() > deadline => return Err(format!("{records} of {least} records came")),
            _ => std::thread::sleep(Duration::from_millis(LOOK_MS)),
        }
    }
}

/// The last count of each key (and window) adds up to the bids.
fn check_counts(input: &Input, sink: &str, records: u64) -> Result<(), String> {
    let mut waiting = Waiting::new(&*input.log, sink)?;
    let mut last: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut read = 0;
    while read < records {
        let Some(arrived) = waiting.poll()? else {
            waiting.sleep(Duration::from_secs(10))?;
            continue;
        };
        for index in arrived.first..arrived.batch.len() {
            let record = arrived.batch.record(index);
            let value: Value = serde_json::from_slice(record.value.unwrap_or_default()).map_err(text)?;
            let count = value.get("N").and_then(Value::as_u64).ok_or("a result without its count")?;
            last.insert(record.key.unwrap_or_default().to_vec(), count);
            read += 1;
        }
    }
    let sum: u64 = last.values().sum();
    if sum == input.bids { Ok(()) } else { Err(format!("the counts add up to {sum} instead of {}", input.bids)) }
}
