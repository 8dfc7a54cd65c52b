//! What a network does to the connections between the server and its broker: a proxy, which the broker advertises, does it.

use std::time::{Duration, Instant};

use tidemill_tests::proxy::Fault;

use super::arena::{Arena, PATIENCE, turn};
use super::report::{Row, count, seeded};

/// How long a fault lasts, and how long there is none behind it, milliseconds.
const LASTS_MS: (u64, u64) = (200, 1_500);
const PAUSES_MS: (u64, u64) = (200, 800);
/// Longer than this nothing may hang once the network is whole again.
const HANGS_AT_MOST: Duration = Duration::from_secs(60);

const FAULTS: [Fault; 6] = [Fault::Cut, Fault::Reset, Fault::AnswersHeld, Fault::RequestsHeld, Fault::Slow(2_000), Fault::HalfOpen];

fn disturb(test: &'static str, exactly_once: bool, faults: &[Fault], each: usize) {
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::behind_proxy(test, &mut turn, exactly_once);
    let proxy = &turn.ground().proxy;
    let (mut random, seed) = seeded();
    let server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let planned = faults.len() * each;
    let mut hit = 0;
    let mut order: Vec<Fault> = faults.iter().copied().cycle().take(planned).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random.between(0, last as u64 + 1) as usize);
    }
    for fault in order {
        let before = proxy.hits();
        proxy.set(fault);
        std::thread::sleep(Duration::from_millis(random.between(LASTS_MS.0, LASTS_MS.1)));
        // What asks seldom may not have asked yet; and right behind a cut there may be nothing to reset.
        let began = Instant::now();
        while proxy.hits() == before && began.elapsed() < PATIENCE / 4 {
            if fault == Fault::Reset {
                proxy.set(fault);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        hit += usize::from(proxy.hits() > before);
        proxy.set(Fault::None);
        std::thread::sleep(Duration::from_millis(random.between(PAUSES_MS.0, PAUSES_MS.1)));
    }
    let whole = Instant::now();
    let clicks = load.stop();
    let mut verdict = arena.verdict(&server);
    if whole.elapsed() > HANGS_AT_MOST {
        verdict.wrong.push(format!("it took {:?} until all was done", whole.elapsed()));
    }
    let note = format!("{clicks} clicks; all done {:.1} s after the last fault", whole.elapsed().as_secs_f64());
    Row { test, planned, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn the_network_at_least_once() {
    disturb("the_network_at_least_once", false, &FAULTS, count(1, 20));
}

/// What happens to the ends of transactions, besides.
const TRANSACTION_FAULTS: [Fault; 2] = [Fault::EndTxnSlow(1_500), Fault::EndTxnAnswerLost];

#[test]
fn the_network_exactly_once() {
    let faults: Vec<Fault> = FAULTS.into_iter().chain(TRANSACTION_FAULTS).collect();
    disturb("the_network_exactly_once", true, &faults, count(1, 63));
}
