//! The Nexmark queries on a real server process: statements over HTTP, results counted in the sink topic.

use std::time::{Duration, Instant};

use crate::check::{Check, CountKey};
use crate::cpu::Used;
use crate::encoding::Encoding;
use crate::host::{self, Host};
use crate::input::{Input, text};
use crate::scraping::Scraper;
use crate::workload::{Goal, Measurement, Workload};

/// A query may take this long, seconds.
const PATIENCE_S: u64 = 300;
/// How often the sink is looked at, milliseconds.
const LOOK_MS: u64 = 15;
/// The output is complete when it has not changed for this long, milliseconds, where its exact size is not known: more
/// than the 2 seconds between commits.
const QUIET_MS: u64 = 2_500;

/// The bids as a stream keyed by auction, the auctions as a table.
const SOURCES: &str = "
    CREATE STREAM IF NOT EXISTS bids (auction_key BIGINT KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR,
        date_time BIGINT, extra VARCHAR) WITH (KAFKA_TOPIC='bids', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE TABLE IF NOT EXISTS auctions (id BIGINT PRIMARY KEY, item_name VARCHAR, description VARCHAR, initial_bid BIGINT, reserve BIGINT,
        date_time BIGINT, expires BIGINT, seller BIGINT, category BIGINT, extra VARCHAR)
        WITH (KAFKA_TOPIC='auctions', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');
    CREATE STREAM IF NOT EXISTS auction_events (id BIGINT KEY, seller BIGINT)
        WITH (KAFKA_TOPIC='auctions', KEY_FORMAT='KAFKA', VALUE_FORMAT='JSON');";

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
    /// Of the bids and of the results; both are encoded anew once where they are not JSON.
    encoding: Encoding,
    check: Check,
    goal: Option<Goal>,
    /// How often `/metrics` is asked for meanwhile, milliseconds.
    scraped_ms: Option<u64>,
}

const EACH: &[(&str, &str)] = &[("auto.offset.reset", "earliest")];
/// By transactions, and a commit each 100 ms.
const ONCE: &[(&str, &str)] = &[("auto.offset.reset", "earliest"), ("processing.guarantee", "exactly_once_v2")];
const ONCE_COMMIT_MS: u64 = 100;
/// The queries that run so as well, and what they are called then.
const ALSO_ONCE: &[(&str, &str)] =
    &[("q1", "q1-once"), ("count", "count-once"), ("wcount", "wcount-once"), ("q12", "q12-once"), ("join", "join-once")];
/// The query that is also run while `/metrics` is asked for: as often as Prometheus may, and far more often.
const ALSO_SCRAPED: &str = "q2";
const SCRAPED: Goal = Goal { limit: ALSO_SCRAPED, throughput: 0.98, cpu: Some(1.02) };
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
        encoding: Encoding::Json,
        check: Check::Converted,
        goal: Some(Goal { limit: "L1", throughput: 0.75, cpu: Some(1.4) }),
        scraped_ms: None,
    },
    Query {
        name: "q2",
        describe: "selective filter",
        drop: "DROP STREAM q2 DELETE TOPIC;",
        sql: "CREATE STREAM q2 WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, price FROM bids
              WHERE auction % 123 = 0 EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Filtered,
        goal: goal("L3", 0.8),
        scraped_ms: None,
    },
    Query {
        name: "q1-avro",
        describe: "q1 from AVRO to AVRO",
        drop: "DROP STREAM q1_avro DELETE TOPIC;",
        sql: "CREATE STREAM q1_avro WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, bidder, 0.908 * price AS price,
              channel, url, date_time, extra FROM bids_avro EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Avro,
        check: Check::Converted,
        goal: Some(Goal { limit: "q1", throughput: 1.2, cpu: Some(1.0) }),
        scraped_ms: None,
    },
    Query {
        name: "q2-avro",
        describe: "q2 from AVRO to AVRO",
        drop: "DROP STREAM q2_avro DELETE TOPIC;",
        sql: "CREATE STREAM q2_avro WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, price FROM bids_avro
              WHERE auction % 123 = 0 EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Avro,
        check: Check::Filtered,
        goal: Some(Goal { limit: "q2", throughput: 1.2, cpu: Some(1.0) }),
        scraped_ms: None,
    },
    Query {
        name: "q1-protobuf",
        describe: "q1 from PROTOBUF to PROTOBUF",
        drop: "DROP STREAM q1_protobuf DELETE TOPIC;",
        sql: "CREATE STREAM q1_protobuf WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, bidder, 0.908 * price AS price,
              channel, url, date_time, extra FROM bids_protobuf EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Protobuf,
        check: Check::Converted,
        goal: Some(Goal { limit: "q1", throughput: 1.2, cpu: Some(1.0) }),
        scraped_ms: None,
    },
    Query {
        name: "q2-protobuf",
        describe: "q2 from PROTOBUF to PROTOBUF",
        drop: "DROP STREAM q2_protobuf DELETE TOPIC;",
        sql: "CREATE STREAM q2_protobuf WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, auction, price FROM bids_protobuf
              WHERE auction % 123 = 0 EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Protobuf,
        check: Check::Filtered,
        goal: Some(Goal { limit: "q2", throughput: 1.2, cpu: Some(1.0) }),
        scraped_ms: None,
    },
    Query {
        name: "count",
        describe: "count by key, each change",
        drop: "DROP TABLE counted DELETE TOPIC;",
        sql: "CREATE TABLE counted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              GROUP BY auction_key EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Counts { by: CountKey::Auction, each: true },
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "count-c",
        describe: "count by key, coalesced",
        drop: "DROP TABLE counted DELETE TOPIC;",
        sql: "CREATE TABLE counted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              GROUP BY auction_key EMIT CHANGES;",
        properties: COALESCED,
        encoding: Encoding::Json,
        check: Check::Counts { by: CountKey::Auction, each: false },
        goal: goal("L3", 0.8),
        scraped_ms: None,
    },
    Query {
        name: "wcount",
        describe: "10-second tumbling count by key, each change, with changelog",
        drop: "DROP TABLE wcounted DELETE TOPIC;",
        sql: "CREATE TABLE wcounted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY auction_key EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Counts { by: CountKey::AuctionWindow, each: true },
        goal: goal("L1", 0.4),
        scraped_ms: None,
    },
    Query {
        name: "wcount-c",
        describe: "10-second tumbling count by key, coalesced",
        drop: "DROP TABLE wcounted DELETE TOPIC;",
        sql: "CREATE TABLE wcounted WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY auction_key EMIT CHANGES;",
        properties: COALESCED,
        encoding: Encoding::Json,
        check: Check::Counts { by: CountKey::AuctionWindow, each: false },
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "q12",
        describe: "10-second tumbling count by bidder, each change, with its repartition",
        drop: "DROP TABLE q12 DELETE TOPIC;",
        sql: "CREATE TABLE q12 WITH (KAFKA_TOPIC='{sink}') AS SELECT bidder, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 DAY) GROUP BY bidder EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Counts { by: CountKey::BidderWindow, each: true },
        goal: goal("L1", 0.4),
        scraped_ms: None,
    },
    Query {
        name: "q20",
        describe: "bids joined with the auctions table, those of one category in five",
        drop: "DROP STREAM q20 DELETE TOPIC;",
        sql: "CREATE STREAM q20 WITH (KAFKA_TOPIC='{sink}') AS SELECT b.auction_key, b.bidder, b.price, b.channel, b.url,
              a.item_name, a.description, a.initial_bid, a.reserve, a.seller, a.category
              FROM bids b JOIN auctions a ON b.auction_key = a.id WHERE a.category = 10 EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Joined,
        goal: goal("L3", 0.5),
        scraped_ms: None,
    },
    Query {
        name: "final",
        describe: "10-second tumbling count by key, final results alone",
        drop: "DROP TABLE final DELETE TOPIC;",
        sql: "CREATE TABLE final WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY auction_key EMIT FINAL;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Final,
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "hop",
        describe: "count by key in windows of 60 seconds that begin each second, final results alone",
        drop: "DROP TABLE hopped DELETE TOPIC;",
        sql: "CREATE TABLE hopped WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW HOPPING (SIZE 60 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY auction_key EMIT FINAL;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Hopped,
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "session",
        describe: "count by key in sessions with a gap of 10 seconds, each change",
        drop: "DROP TABLE sessions DELETE TOPIC;",
        sql: "CREATE TABLE sessions WITH (KAFKA_TOPIC='{sink}') AS SELECT auction_key, COUNT(*) AS n FROM bids
              WINDOW SESSION (10 SECONDS, GRACE PERIOD 1 MINUTE) GROUP BY auction_key EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Sessions,
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "join",
        describe: "bids joined with their auctions within 10 seconds",
        drop: "DROP STREAM joined DELETE TOPIC;",
        sql: "CREATE STREAM joined WITH (KAFKA_TOPIC='{sink}') AS SELECT b.auction_key, b.price AS price, a.seller AS seller
              FROM bids b JOIN auction_events a WITHIN 10 SECONDS GRACE PERIOD 10 SECONDS ON b.auction_key = a.id EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::Met,
        goal: None,
        scraped_ms: None,
    },
    Query {
        name: "left",
        describe: "bids joined with their auctions in time, those without a match once that is certain",
        drop: "DROP STREAM left_joined DELETE TOPIC;",
        sql: "CREATE STREAM left_joined WITH (KAFKA_TOPIC='{sink}') AS SELECT b.auction_key, b.price AS price, a.seller AS seller
              FROM bids b LEFT JOIN auction_events a WITHIN 100 MILLISECONDS GRACE PERIOD 1 SECOND ON b.auction_key = a.id EMIT CHANGES;",
        properties: EACH,
        encoding: Encoding::Json,
        check: Check::LeftJoined { exact: true },
        goal: None,
        scraped_ms: None,
    },
];

/// The queries of the table, and directly beside some of them the same with exactly once, and the same while `/metrics` is asked for:
/// that needs a server.
pub fn on_servers(in_process: bool) -> Vec<Query> {
    let once = |query: &Query| {
        let (name, called) = ALSO_ONCE.iter().find(|(name, _)| *name == query.name)?;
        Some(Query {
            name: called,
            describe: "the same with exactly once, committed each 100 ms",
            properties: ONCE,
            goal: goal(name, 0.95),
            ..*query
        })
    };
    let scraped = |query: &Query, name, describe, ms| {
        let is_meant = query.name == ALSO_SCRAPED && !in_process;
        is_meant.then_some(Query { name, describe, goal: Some(SCRAPED), scraped_ms: Some(ms), ..*query })
    };
    let beside = |query: &Query| {
        [
            scraped(query, "q2-scraped-often", "q2 with /metrics asked for each 50 ms", 50),
            Some(*query),
            scraped(query, "q2-scraped", "q2 with /metrics asked for each second", 1_000),
            once(query),
        ]
    };
    QUERIES.iter().flat_map(beside).flatten().collect()
}

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

    fn is_transactional(&self) -> bool {
        self.is_once()
    }

    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String> {
        let process = std::process::id();
        let (service, sink) = (format!("bench_{process}_{run}_"), format!("{}-{process}-{run}", self.name));
        let host = host::start(input, &service, self.is_once().then_some(ONCE_COMMIT_MS))?;
        input.create(&sink)?;
        let scraper = match (self.scraped_ms, host.address()) {
            (None, _) => None,
            (Some(ms), Some(address)) => Some(Scraper::start(address, Duration::from_millis(ms))),
            (Some(_), None) => return Err("no server answers with /metrics".to_owned()),
        };
        let measured = self.measure(input, &*host, &sink);
        let scraped = scraper.map_or(Ok(()), Scraper::end);
        let dropped = host.execute(self.drop, &[]);
        drop(host);
        // What else it made on a broker: commands, processing log, and everything where the run failed.
        let own = |name: &str| name == sink || name.contains(&service);
        for topic in input.log.list_topics().map_err(text)?.into_iter().filter(|topic| own(&topic.name)) {
            input.delete(&topic.name)?;
        }
        dropped.and(scraped).and(measured)
    }
}

impl Query {
    fn is_once(&self) -> bool {
        self.properties.iter().any(|(name, _)| *name == "processing.guarantee")
    }

    fn measure(&self, input: &Input, host: &dyn Host, sink: &str) -> Result<Measurement, String> {
        host.execute(SOURCES, &[])?;
        if self.encoding != Encoding::Json {
            declare(input, host, self.encoding)?;
        }
        let meters = input.meters(host.process());
        let (before, began) = (meters.used(), Instant::now());
        host.execute(&self.sql.replace("{sink}", sink), self.properties)?;
        let (least, most) = input.expected.records(self.check);
        // What ends a transaction counts as a record in a partition's end: there, the output is complete when no more comes.
        let awaited = if self.is_once() && input.log.kind() == "kafka" { None } else { most };
        let mut done = wait_for(input, sink, least, awaited, || meters.used())?;
        if awaited.is_none()
            && let Some(most) = most
        {
            done.records = most;
        }
        let measured =
            Measurement { records: input.bids, output: done.records, wall: done.at.duration_since(began), cpu: done.cpu.since(before) };
        self.check.verify(self.encoding, input, sink, done.records)?;
        Ok(measured)
    }
}

/// Declares the bids in another format; where their topic is not there yet, the engine itself fills it from the JSON.
fn declare(input: &Input, host: &dyn Host, encoding: Encoding) -> Result<(), String> {
    let (bids, format) = (encoding.bids(), encoding.format());
    if input.log.describe_topic(bids).map_err(text)?.is_some() {
        input.expect(bids, input.bids)?;
        return host.execute(
            &format!(
                "CREATE STREAM IF NOT EXISTS {bids} (auction_key BIGINT KEY, auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR,
                     url VARCHAR, date_time BIGINT, extra VARCHAR) WITH (KAFKA_TOPIC='{bids}', KEY_FORMAT='KAFKA', VALUE_FORMAT='{format}');"
            ),
            &[],
        );
    }
    input.create(bids)?;
    let copy = format!("CREATE STREAM {bids} WITH (KAFKA_TOPIC='{bids}', VALUE_FORMAT='{format}') AS SELECT * FROM bids EMIT CHANGES;");
    host.execute(&copy, EACH)?;
    wait_for(input, bids, input.bids, Some(input.bids), Used::default)?;
    host.execute("TERMINATE ALL;", &[])
}

/// The moment of the last output.
pub struct Done {
    pub at: Instant,
    pub cpu: Used,
    pub records: u64,
}

/// Waits until the sink holds exactly `most` records, or, where that is not known, at least so many and no more come.
///
/// # Errors
/// Where they do not come, or too many do.
pub fn wait_for(input: &Input, sink: &str, least: u64, most: Option<u64>, cpu: impl Fn() -> Used) -> Result<Done, String> {
    let deadline = Instant::now() + Duration::from_secs(PATIENCE_S);
    let mut last = Done { at: Instant::now(), cpu: Used::default(), records: 0 };
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
