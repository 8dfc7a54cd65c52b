//! What a query leaves behind must be what a batch query says over the same rows.
//!
//! Each seed makes a case of its own: sources of random types in random formats, rows with nulls, extremes and tombstones
//! whose timestamps go back and forth, and a query: a filter or a projection, aggregates with windows or without, a join, or a
//! chain that passes rows on from format to format. The engine runs it record by record; DataFusion answers over all rows at
//! once. The finished table or stream must be the same.
//!
//! `TIDEMILL_PROPERTY_SEEDS=100000` runs so many, `TIDEMILL_PROPERTY_SEED=7` that one alone, with all that it is made of.

mod batch;
mod case;
mod chain;
mod drive;
mod expression;
mod formats;
mod found;
mod grouped;
mod joins;
mod projected;
mod random;
mod rows;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use case::Case;
use drive::Way;
use found::{Found, difference};
use joins::Sides;
use random::Random;
use tidemill_engine::types::Value;

/// Seeds of a usual run.
const SEEDS: u64 = 2_000;

fn case(seed: u64) -> (&'static str, Case, Way) {
    let mut random = Random::new(seed);
    let (kind, case) = match random.below(12) {
        0 | 1 => ("projection of a stream", projected::case(&mut random, false)),
        2 => ("projection of a table", projected::case(&mut random, true)),
        3..=5 => ("aggregate of a stream", grouped::of_stream(&mut random)),
        6 => ("aggregate of a table", grouped::of_table(&mut random)),
        7 => ("stream-table join", joins::case(&mut random, Sides::StreamTable)),
        8 => ("table-table join", joins::case(&mut random, Sides::TableTable)),
        9 => ("stream-stream join", joins::case(&mut random, Sides::StreamStream)),
        _ => ("chain of formats", chain::case(&mut random)),
    };
    let way = Way { chunk: *random.pick(&[1, 3, 1_000]), restore_at: random.percent(30).then(|| random.below(20)) };
    (kind, case, way)
}

/// Runs a seed; an error is the first difference, with all that it takes to see it again.
fn check(seed: u64) -> Result<&'static str, String> {
    let (kind, case, way) = case(seed);
    let (found, wanted) = answers(&case, way).map_err(|error| told(seed, kind, &case, way, &error))?;
    match difference(case.order, &found, &wanted) {
        None => Ok(kind),
        Some(difference) => Err(told(seed, kind, &case, way, &difference)),
    }
}

fn answers(case: &Case, way: Way) -> Result<(Vec<Found>, Vec<Found>), String> {
    let found = drive::run(case, way)?;
    let wanted = batch::compute(case).map_err(|error| format!("the batch side: {error}\n  of {}", case.batch))?;
    Ok((found, wanted))
}

fn told(seed: u64, kind: &str, case: &Case, way: Way, what: &str) -> String {
    let mut text = format!("seed {seed} ({kind}, {way:?}): {what}\n\n{}\n-- batch: {}\n", case.statements.join("\n"), case.batch);
    for (source, row) in &case.arrivals {
        let source = &case.sources[*source];
        text += &format!("-- {} {row}: {:?}\n", source.name, source.rows[*row]);
    }
    text + &format!("again with: TIDEMILL_PROPERTY_SEED={seed} cargo test --release --workspace --test property\n")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn streams_and_batches_agree() {
    let seeds = match number("TIDEMILL_PROPERTY_SEED") {
        Some(only) => only..only + 1,
        None => 0..number("TIDEMILL_PROPERTY_SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    let (failed, kinds) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::<&str, u64>::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !seeds.contains(&seed) || failed.lock().expect("the list").len() >= 20 {
                        return;
                    }
                    match check(seed) {
                        Ok(kind) => *kinds.lock().expect("the kinds").entry(kind).or_default() += 1,
                        Err(told) => failed.lock().expect("the list").push((seed, told)),
                    }
                }
            });
        }
    });
    let (mut failed, kinds) = (failed.into_inner().expect("the list"), kinds.into_inner().expect("the kinds"));
    failed.sort();
    let heads: Vec<&str> = failed.iter().filter_map(|(_, told)| told.split("\n\n").next()).collect();
    assert!(failed.is_empty(), "{} seeds failed:\n{}\n\nThe first in full:\n{}", failed.len(), heads.join("\n"), failed[0].1);
    println!("{kinds:?}");
    // No kind of case is left out by accident.
    assert!(seeds.end - seeds.start < 500 || kinds.len() == 8 && kinds.values().all(|count| *count >= 20), "{kinds:?}");
}

/// A test that can't fail shows nothing: whatever is altered in an answer must be seen.
#[test]
fn planted_faults_are_found() {
    let (mut altered, mut dropped) = (0, 0);
    for seed in 0..150 {
        let (_, case, way) = case(seed);
        let Ok((found, wanted)) = answers(&case, way) else { continue };
        if difference(case.order, &found, &wanted).is_some() {
            continue;
        }
        // Of a table, the last word on a key is what counts.
        let Some(last) = found.iter().rposition(|row| row.value.as_ref().is_some_and(|value| !value.is_empty())) else { continue };
        let mut planted = found.clone();
        if let Some(value) = planted[last].value.as_mut().and_then(|value| value.last_mut()) {
            *value = if value.is_null() { Value::Int(1) } else { Value::Null };
        }
        let is_last = !found[last + 1..].iter().any(|row| row.key == found[last].key && row.window == found[last].window);
        if case.order != case::Order::Table || is_last {
            assert!(difference(case.order, &planted, &wanted).is_some(), "seed {seed}: an altered value is not seen");
            altered += 1;
        }
        if case.order != case::Order::Table {
            let mut planted = found;
            planted.remove(last);
            assert!(difference(case.order, &planted, &wanted).is_some(), "seed {seed}: a lost row is not seen");
            dropped += 1;
        }
    }
    assert!(altered > 50 && dropped > 20, "{altered} altered, {dropped} dropped");
}

#[test]
fn a_seed_makes_the_same_case_again() {
    for seed in 0..50 {
        assert_eq!(format!("{:?}", case(seed)), format!("{:?}", case(seed)));
    }
}
