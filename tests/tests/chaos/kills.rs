//! kill -9 at random moments, some of them while the server is still recovering from the last one.

use std::time::{Duration, Instant};

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, seeded};

/// How long a server runs before it is killed, milliseconds; and how long after its start, where it is killed in recovery.
const RUNS_MS: (u64, u64) = (20, 1_000);
const RECOVERS_MS: (u64, u64) = (1, 500);
/// Shares of kills in recovery, and of those after which the data folder is gone as well, per cent.
const IN_RECOVERY: u64 = 20;
const WIPED: u64 = 3;

fn kill_at_random(test: &'static str, exactly_once: bool, kills: usize) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    let mut first = Some(arena.start());
    first.iter().for_each(|server| arena.create_queries(server));
    let load = arena.load();
    let (mut hit, mut in_recovery, mut wiped) = (0, 0, 0);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let recovering = first.is_none() && random.percent(IN_RECOVERY);
        let mut server = first.take().unwrap_or_else(|| arena.begin());
        if recovering {
            std::thread::sleep(Duration::from_millis(random.between(RECOVERS_MS.0, RECOVERS_MS.1)));
            in_recovery += 1;
        } else {
            assert!(server.is_up(PATIENCE), "the server ended by itself:\n{}", server.log());
            slowest = slowest.max(server.started_in);
            std::thread::sleep(Duration::from_millis(random.between(RUNS_MS.0, RUNS_MS.1)));
        }
        hit += usize::from(!server.has_ended());
        server.kill();
        // Once at least.
        if random.percent(WIPED) || kill == kills / 2 {
            std::fs::remove_dir_all(&arena.data).expect("the data folder can be removed");
            wiped += 1;
        }
    }
    let began = Instant::now();
    let server = arena.start();
    let clicks = load.stop();
    let verdict = arena.verdict(&server);
    let note = format!(
        "{in_recovery} of them in recovery, {wiped} with the data folder gone; {clicks} clicks; slowest start {:.1} s, the last one and all \
         that was left {:.1} s",
        slowest.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
    Row { test, planned: kills, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn kill_9_at_least_once() {
    kill_at_random("kill_9_at_least_once", false, count(10, 300));
}

#[test]
fn kill_9_exactly_once() {
    kill_at_random("kill_9_exactly_once", true, count(20, 1_000));
}
