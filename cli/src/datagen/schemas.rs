//! What the generator can make: lively records of four well-known shapes.

use clap::ValueEnum;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Event, EventType};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value as Json, json};

const CITIES: [(&str, &str); 6] =
    [("Oslo", "NO"), ("Hamburg", "DE"), ("Porto", "PT"), ("Nagoya", "JP"), ("Boulder", "US"), ("Cusco", "PE")];
const GENDERS: [&str; 3] = ["FEMALE", "MALE", "OTHER"];
const USERS: u32 = 20;
const PAGES: u32 = 50;
const REGIONS: u32 = 9;
const ITEMS: u32 = 40;

/// The shapes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    /// ordertime, orderid, itemid, orderunits, address; keyed by orderid
    Orders,
    /// registertime, userid, regionid, gender; keyed by userid
    Users,
    /// viewtime, userid, pageid; keyed by pageid
    Pageviews,
    /// The bids of the Nexmark benchmark; keyed by auction
    Nexmark,
}

impl Schema {
    /// The statement that declares a stream over what this shape makes.
    pub fn create_stream(self, stream: &str, topic: &str, partitions: u32) -> String {
        let columns = match self {
            Schema::Orders => {
                "orderid INT KEY, ordertime BIGINT, itemid STRING, orderunits DOUBLE, address STRUCT<city STRING, country STRING, zipcode INT>"
            }
            Schema::Users => "userid STRING KEY, registertime BIGINT, regionid STRING, gender STRING",
            Schema::Pageviews => "pageid STRING KEY, viewtime BIGINT, userid STRING",
            Schema::Nexmark => "auction BIGINT KEY, bidder BIGINT, price BIGINT, channel STRING, url STRING, datetime BIGINT, extra STRING",
        };
        format!("CREATE STREAM {stream} ({columns}) WITH (KAFKA_TOPIC='{topic}', PARTITIONS={partitions}, VALUE_FORMAT='JSON');")
    }

    /// The key column's name.
    pub fn key_column(self) -> &'static str {
        match self {
            Schema::Orders => "orderid",
            Schema::Users => "userid",
            Schema::Pageviews => "pageid",
            Schema::Nexmark => "auction",
        }
    }
}

/// A generated record.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// A number or a string.
    pub key: Json,
    /// An object without the key.
    pub value: Json,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl Generated {
    /// The key as the KAFKA format writes it: INT for orders, BIGINT for bids, else text.
    pub fn key_bytes(&self, schema: Schema) -> Vec<u8> {
        match (schema, self.key.as_i64()) {
            (Schema::Orders, Some(id)) => i32::try_from(id).unwrap_or(i32::MAX).to_be_bytes().to_vec(),
            (_, Some(id)) => id.to_be_bytes().to_vec(),
            _ => self.key.as_str().unwrap_or_default().as_bytes().to_vec(),
        }
    }
}

/// Makes records; the same seed makes the same ones (but for their times).
pub struct Generator {
    schema: Schema,
    random: StdRng,
    count: u32,
    bids: EventGenerator,
}

impl Generator {
    pub fn new(schema: Schema, seed: u64) -> Self {
        let bids = EventGenerator::new(NexmarkConfig::default()).with_type_filter(EventType::Bid);
        Generator { schema, random: StdRng::seed_from_u64(seed), count: 0, bids }
    }

    /// The next record, at `now_ms`.
    pub fn next(&mut self, now_ms: i64) -> Generated {
        self.count = self.count.wrapping_add(1);
        let random = &mut self.random;
        let (key, value) = match self.schema {
            Schema::Orders => {
                let (city, country) = CITIES[random.random_range(0..CITIES.len())];
                let units = f64::from(random.random_range(1..1_000)) / 10.0;
                let address = json!({"city": city, "country": country, "zipcode": random.random_range(10_000..99_999)});
                let item = format!("Item_{}", random.random_range(0..ITEMS));
                (json!(self.count), json!({"ordertime": now_ms, "itemid": item, "orderunits": units, "address": address}))
            }
            Schema::Users => {
                let region = format!("Region_{}", random.random_range(1..=REGIONS));
                let gender = GENDERS[random.random_range(0..GENDERS.len())];
                (json!(format!("User_{}", self.count % USERS)), json!({"registertime": now_ms, "regionid": region, "gender": gender}))
            }
            Schema::Pageviews => {
                // A few pages are far more popular than the rest.
                let popular: f64 = random.random();
                let page = (popular.powi(3) * f64::from(PAGES)) as u32;
                let user = format!("User_{}", random.random_range(0..USERS));
                (json!(format!("Page_{page}")), json!({"viewtime": now_ms, "userid": user}))
            }
            Schema::Nexmark => return self.next_bid(now_ms),
        };
        Generated { key, value, timestamp: now_ms }
    }

    /// The crate's own event times run ahead of the clock at high rates: a bid is made now, like everything else.
    fn next_bid(&mut self, now_ms: i64) -> Generated {
        loop {
            if let Some(Event::Bid(bid)) = self.bids.next() {
                let value = json!({
                    "bidder": bid.bidder, "price": bid.price, "channel": bid.channel, "url": bid.url,
                    "datetime": now_ms, "extra": bid.extra,
                });
                return Generated { key: json!(bid.auction), value, timestamp: now_ms };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_records() {
        for schema in [Schema::Orders, Schema::Users, Schema::Pageviews, Schema::Nexmark] {
            let make = || {
                let mut generator = Generator::new(schema, 7);
                (0..50).map(|_| generator.next(1_000)).collect::<Vec<_>>()
            };
            assert_eq!(make(), make());
            assert!(make().iter().any(|r| r.value != make()[0].value), "records differ from each other");
        }
    }
}
