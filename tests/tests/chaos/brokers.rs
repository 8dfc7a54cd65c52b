//! The broker is stopped or killed under load, and comes back.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::ServerProcess;

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, seeded};

/// How long the broker is away, milliseconds, beside what its start takes.
const AWAY_MS: (u64, u64) = (100, 3_000);
/// How long the queries may take to go on.
const RESUMES_WITHIN: Duration = Duration::from_secs(30);

/// How many clicks the table counts; `None`: it does not answer for now.
fn counted(server: &ServerProcess) -> Option<i64> {
    let question = json!({"sql": "SELECT n FROM counts;"});
    let (_, text) = server.request("POST", "/query-stream", Some(&question)).ok().filter(|(status, _)| *status == 200)?;
    let rows = text.lines().skip(1).filter_map(|line| serde_json::from_str::<Json>(line).ok());
    Some(rows.filter_map(|row| row.as_array()?.first().and_then(Json::as_i64)).sum())
}

fn bounce(test: &'static str, exactly_once: bool, bounces: usize) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, exactly_once);
    let broker = &mut turn.ground().broker;
    let (mut random, seed) = seeded();
    let server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let mut resumed: Vec<Duration> = Vec::new();
    let mut hit = 0;
    for _ in 0..bounces {
        load.wait_for(random.between(200, 1_000) as i64);
        let pid = broker.pid();
        if random.percent(50) {
            broker.kill()
        } else {
            broker.stop()
        }
        hit += usize::from(pid.is_some() && broker.pid().is_none());
        std::thread::sleep(Duration::from_millis(random.between(AWAY_MS.0, AWAY_MS.1)));
        broker.start_again().expect("the broker comes back");
        let (back, mut before) = (Instant::now(), None);
        loop {
            let now = counted(&server);
            if now.is_some() && before.is_some() && now != before {
                break;
            }
            before = before.or(now);
            assert!(back.elapsed() < PATIENCE, "the queries do not go on:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        resumed.push(back.elapsed());
    }
    let clicks = load.stop();
    let mut verdict = arena.verdict(&server);
    resumed.sort();
    let slowest = resumed.last().copied().unwrap_or_default();
    // A share of one in a hundred may take longer; a few say nothing of that.
    let late = resumed.iter().filter(|took| **took > RESUMES_WITHIN).count();
    if late > bounces.div_ceil(100) {
        verdict.wrong.push(format!("{late} times the queries took more than {RESUMES_WITHIN:?} to go on"));
    }
    let note = format!("{clicks} clicks; slowest to go on {:.1} s", slowest.as_secs_f64());
    Row { test, planned: bounces, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn the_broker_goes_and_comes_at_least_once() {
    bounce("the_broker_goes_and_comes_at_least_once", false, count(2, 20));
}

#[test]
fn the_broker_goes_and_comes_exactly_once() {
    bounce("the_broker_goes_and_comes_exactly_once", true, count(3, 100));
}
