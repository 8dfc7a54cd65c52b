//! What JSON costs for each record, beside serde_json on the same bytes.
//!
//! ```text
//! cargo run --release --workspace --example json_floor [-- WORDS]
//! ```
//! Prints nanoseconds for each record, the best of several rounds on one core: decoding columns of a nexmark bid of about
//! 245 bytes into the slots of a row, and encoding five columns of it. WORDS: only measurements whose name has them.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tidemill_engine::formats::{Field, Layout, by_name};
use tidemill_engine::types::{Column, SqlType, Value};

/// Records in one round, and rounds of which the best counts.
const RECORDS: usize = 20_000;
const ROUNDS: usize = 15;

#[derive(Deserialize)]
#[allow(dead_code, reason = "read to make serde_json do the work")]
#[serde(rename_all = "camelCase")]
struct FourNumbers {
    auction: i64,
    bidder: i64,
    price: i64,
    date_time: i64,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read to make serde_json do the work")]
#[serde(rename_all = "camelCase")]
struct All {
    auction: i64,
    bidder: i64,
    price: i64,
    channel: String,
    url: String,
    date_time: i64,
    extra: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'a> {
    auction: i64,
    bidder: i64,
    price: f64,
    channel: &'a str,
    date_time: i64,
}

/// Bids as the nexmark generators write them.
fn bids() -> Vec<Vec<u8>> {
    let bid = |i: usize| {
        let (auction, bidder, price, time) = (1000 + i % 97, 1001 + i % 991, 100 + i * 7919 % 99_000_000, 1_582_971_072_345 + i);
        format!(
            "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"channel-{:04}\",\
             \"url\":\"https://www.nexmark.com/abo/xcd/_dq/item.htm?query=1&channel_id={i:09}\",\"dateTime\":{time},\
             \"extra\":\"{}\"}}",
            i % 9999,
            "abcdefghij klmnopqrst uvwxyz".repeat(2),
        )
        .into_bytes()
    };
    (0..RECORDS).map(bid).collect()
}

fn columns() -> [(&'static str, SqlType); 7] {
    use SqlType::{BigInt, String};
    [
        ("auction", BigInt),
        ("bidder", BigInt),
        ("price", BigInt),
        ("channel", String),
        ("url", String),
        ("dateTime", BigInt),
        ("extra", String),
    ]
}

/// The layout of a bid of which the named columns are read; names as ksqlDB has them (upper case) or as they are written.
fn layout(wanted: &[&str], upper: bool) -> Layout {
    let mut slots = 0..;
    let fields = columns().into_iter().map(|(name, sql_type)| {
        let slot = if wanted.contains(&name) { slots.next() } else { None };
        Field::new(Column::new(if upper { name.to_uppercase() } else { name.to_string() }, sql_type), slot)
    });
    Layout { fields: fields.collect(), unwrapped: false, is_key: false, delimiter: None, schemas: None }
}

/// Nanoseconds for each record; 0 for a measurement that was not asked for.
fn measure(what: &str, mut round: impl FnMut()) -> f64 {
    if std::env::args().nth(1).is_some_and(|words| !what.contains(&words)) {
        return 0.0;
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best * 1e9 / RECORDS as f64
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bids = bids();
    let bytes: usize = bids.iter().map(Vec::len).sum();
    let json = by_name("JSON").ok_or("no JSON")?;
    let mut report = std::io::stdout().lock();
    writeln!(report, "records of {} bytes", bytes / RECORDS)?;
    let mut say = |what: &str, ns: f64| if ns > 0.0 { writeln!(report, "{what:<58}{ns:>8.0} ns") } else { Ok(()) };

    let numbers = ["auction", "bidder", "price", "dateTime"];
    let texts = ["auction", "bidder", "price", "channel", "url", "dateTime", "extra"];
    let mut row = vec![Value::Null; 7];
    for (what, wanted, upper) in [
        ("decode 4 numbers of 7 columns", &numbers[..], true),
        ("decode 4 numbers of 7 columns, names as written", &numbers[..], false),
        ("decode 1 number of 7 columns", &numbers[..1], true),
        ("decode 3 numbers and a short text", &["auction", "price", "channel", "dateTime"], true),
        ("decode all 7 columns", &texts[..], true),
        ("check only", &[], true),
    ] {
        let mut decoder = json.decoder(&layout(wanted, upper))?;
        let mut failed = 0;
        let ns = measure(what, || {
            for bid in &bids {
                failed += usize::from(decoder.decode(black_box(bid), &mut row).is_err());
            }
            black_box(&row);
        });
        if failed > 0 {
            return Err(format!("{failed} bids could not be decoded").into());
        }
        say(what, ns)?;
    }
    let what = "serde_json: decode 4 numbers of 7 columns";
    let ns = measure(what, || bids.iter().for_each(|bid| drop(black_box(serde_json::from_slice::<FourNumbers>(black_box(bid))))));
    say(what, ns)?;
    let what = "serde_json: decode all 7 columns";
    let ns = measure(what, || bids.iter().for_each(|bid| drop(black_box(serde_json::from_slice::<All>(black_box(bid))))));
    say(what, ns)?;

    let row = [
        Value::BigInt(1007),
        Value::BigInt(2001),
        Value::Double(12_345.678),
        Value::string("channel-0042"),
        Value::BigInt(1_582_971_072_345),
    ];
    let types = [SqlType::BigInt, SqlType::BigInt, SqlType::Double, SqlType::String, SqlType::BigInt];
    let names = ["AUCTION", "BIDDER", "PRICE", "CHANNEL", "DATETIME"];
    let fields = names.into_iter().zip(types).enumerate().map(|(i, (name, sql_type))| Field::new(Column::new(name, sql_type), Some(i)));
    let mut encoder =
        json.encoder(&Layout { fields: fields.collect(), unwrapped: false, is_key: false, delimiter: None, schemas: None })?;
    let mut out = Vec::new();
    let what = "encode 5 columns";
    let ns = measure(what, || {
        for _ in 0..RECORDS {
            out.clear();
            let _ = black_box(encoder.encode(black_box(&row), &mut out));
        }
    });
    say(what, ns)?;
    let typed = Out { auction: 1007, bidder: 2001, price: 12_345.678, channel: "channel-0042", date_time: 1_582_971_072_345 };
    let what = "serde_json: encode 5 columns";
    let ns = measure(what, || {
        for _ in 0..RECORDS {
            out.clear();
            let _ = black_box(serde_json::to_writer(&mut out, black_box(&typed)));
        }
    });
    say(what, ns)?;
    Ok(())
}
