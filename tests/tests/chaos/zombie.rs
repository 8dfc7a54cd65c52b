//! A server that is stopped (SIGSTOP) for longer than its session and its transactions last, whose place another one takes, and
//! that goes on then: it must change nothing any more.

use std::time::{Duration, Instant};

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, seeded};

/// How long the zombie has to do harm, and to notice.
const HARM: Duration = Duration::from_millis(1_500);

fn haunt(test: &'static str, exactly_once: bool, zombies: usize) {
    let Some(mut turn) = turn(test) else { return };
    let mut arena = Arena::new(test, &mut turn, exactly_once);
    let (mut random, seed) = seeded();
    if exactly_once {
        // The shortest that a test can wait for; the broker ends a transaction some time behind it.
        arena.configure("ksql.streams.producer.transaction.timeout.ms=5000");
    }
    let mut server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let (mut hit, mut noticed) = (0, 0);
    for zombie in 0..zombies {
        load.wait_for(random.between(100, 700) as i64);
        server.signal(libc::SIGSTOP);
        let mut old = server;
        arena.data = arena.path(&format!("data-{zombie}"));
        server = arena.start();
        let successor = Instant::now();
        hit += usize::from(!old.has_ended());
        old.signal(libc::SIGCONT);
        while !old.log().contains("another server") && successor.elapsed() < PATIENCE / 4 && !old.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(HARM);
        noticed += usize::from(old.has_ended() || old.log().contains("another server"));
        // It did not take the place back.
        assert!(!server.has_ended(), "the successor ended:\n{}", server.log());
        old.kill();
    }
    let clicks = load.stop();
    let verdict = arena.verdict(&server);
    let note = format!("{clicks} clicks; {noticed} noticed and said so");
    Row { test, planned: zombies, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
#[ignore = "runs with make chaos"]
fn zombies_at_least_once() {
    haunt("zombies_at_least_once", false, count(2, 20));
}
