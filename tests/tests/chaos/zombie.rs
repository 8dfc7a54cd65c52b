//! A server that is stopped (SIGSTOP) for longer than its session and its transactions last, whose place another one takes, and
//! that goes on then: it must change nothing any more.

use std::time::{Duration, Instant};

use tidemill_engine::clock::{Clock, SystemClock};

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, seeded, tail};

/// What a server says that has found another in its place.
const SAID: &str = "All queries are stopped here";
/// How long the zombie has to do harm once it has said so.
const HARM: Duration = Duration::from_millis(500);

fn haunt(test: &'static str, exactly_once: bool, zombies: usize) {
    let Some(mut turn) = turn(test) else { return };
    let mut arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    if exactly_once {
        // Shorter than what the zombie is stopped for: a session of its group.
        arena.configure("ksql.streams.producer.transaction.timeout.ms=5000");
    }
    let mut server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let (mut hit, mut slowest) = (0, Duration::ZERO);
    for zombie in 0..zombies {
        load.wait_for(random.between(100, 700) as i64);
        server.signal(libc::SIGSTOP);
        let mut old = server;
        arena.data = arena.path(&format!("data-{zombie}"));
        server = arena.start();
        hit += usize::from(!old.has_ended());
        let (continued, continued_ms) = (Instant::now(), SystemClock.now_ms());
        old.signal(libc::SIGCONT);
        while !old.log().contains(SAID) {
            assert!(!old.has_ended(), "the zombie ended:\n{}", tail(&old.log()));
            assert!(continued.elapsed() < PATIENCE, "the zombie does not notice:\n{}", tail(&old.log()));
            std::thread::sleep(Duration::from_millis(20));
        }
        slowest = slowest.max(continued.elapsed());
        std::thread::sleep(HARM);
        old.kill();
        arena.haunted(continued_ms);
    }
    let clicks = load.stop();
    let mut verdict = arena.verdict(&server);
    // It did not take the place back.
    if server.log().contains(SAID) {
        verdict.wrong.push("a successor has given way to a zombie".to_owned());
    }
    let note = format!("{clicks} clicks; noticed after {:.1} s at most", slowest.as_secs_f64());
    Row { test, planned: zombies, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn zombies_at_least_once() {
    haunt("zombies_at_least_once", false, count(1, 20));
}

#[test]
fn zombies_exactly_once() {
    haunt("zombies_exactly_once", true, count(1, 100));
}
