//! The checker finds what is planted; before that nobody should believe it.

use super::check::{Guarantee, Haunt, History, Seen, check, missing};
use super::model::{Click, Expected, Inputs, Sink, Steps, expected, step_of};
use super::random::Random;

/// When a zombie went on: behind all that is seen.
const HAUNT: Haunt = 9_000_000..=9_000_500;
const AT_LEAST_ONCE: Guarantee<'static> = Guarantee::AtLeastOnce { interval_ms: 100 };

fn inputs() -> Inputs {
    let mut inputs = Inputs::default();
    for id in 0..400 {
        inputs.clicks.push(Click { key: format!("k{}", id % 7), id, group: format!("g{}", id % 5), time_ms: 1_000_000 + id * 40 });
        if id % 4 == 0 {
            inputs.replies.push(id);
        }
        let key = format!("t{}", id % 3);
        inputs.lefts.push((key.clone(), id / 3 + 1));
        inputs.rights.push((key, id / 3 + 1));
    }
    inputs
}

/// What a server without fault writes, each record taken 10 ms after the one before it.
fn in_order(expected: &Expected) -> History {
    let mut history = History::new();
    for (sink, keys) in expected {
        let seen = history.entry(*sink).or_default();
        for (key, steps) in keys {
            let steps = match steps {
                Steps::Exactly(steps) => steps.clone(),
                Steps::Rising(left, right) => {
                    let path = (1..=*left).flat_map(|l| [step_of(l, l.max(2) - 1), step_of(l, l)]).skip(1);
                    path.filter(|step| *step <= step_of(*left, *right)).collect()
                }
            };
            let taken = |index: usize| 1_000_000 + 10 * index as i64;
            seen.extend(steps.into_iter().enumerate().map(|(index, step)| Seen { key: key.clone(), step, taken_ms: taken(index) }));
        }
    }
    history
}

/// Two neighbours of the same key, somewhere behind the first.
fn neighbours(seen: &[Seen], random: &mut Random) -> usize {
    loop {
        let at = random.between(1, seen.len() as u64 - 1) as usize;
        if seen[at].key == seen[at + 1].key && seen[at].key == seen[at - 1].key {
            return at;
        }
    }
}

#[test]
fn a_history_without_fault_passes() {
    let expected = expected(&inputs());
    let history = in_order(&expected);
    for guarantee in [Guarantee::ExactlyOnce, AT_LEAST_ONCE] {
        let verdict = check(&expected, &history, guarantee);
        assert_eq!((verdict.wrong, verdict.repeats), (Vec::new(), 0));
    }
    assert_eq!(missing(&expected, &history), None);
}

#[test]
fn planted_faults_are_found() {
    let expected = expected(&inputs());
    // A sink with one record for each key has no order and no neighbours.
    let sinks = Sink::ALL.into_iter().filter(|sink| *sink != Sink::Pairs);
    for sink in sinks {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let whole = in_order(&expected);
            let at = neighbours(&whole[&sink], &mut random);
            let plant = |change: &dyn Fn(&mut Vec<Seen>)| {
                let mut history = whole.clone();
                change(history.get_mut(&sink).expect("a sink"));
                history
            };
            let found = |history: &History, guarantee| !check(&expected, history, guarantee).wrong.is_empty();

            let lost = plant(&|seen| drop(seen.remove(at)));
            assert!(found(&lost, Guarantee::ExactlyOnce) && found(&lost, AT_LEAST_ONCE), "{sink:?}: a loss");
            let repeated = plant(&|seen| seen.insert(at, seen[at].clone()));
            assert!(found(&repeated, Guarantee::ExactlyOnce), "{sink:?}: a repeat");
            assert!(!found(&repeated, AT_LEAST_ONCE), "{sink:?}: a repeat may be");
            let reordered = plant(&|seen| seen.swap(at, at + 1));
            assert!(found(&reordered, Guarantee::ExactlyOnce) && found(&reordered, AT_LEAST_ONCE), "{sink:?}: a reorder");
            // State went on, and what it wrote did not arrive; and the other way round.
            let torn = plant(&|seen| drop(seen.drain(at..=at + 1)));
            assert!(found(&torn, Guarantee::ExactlyOnce) && found(&torn, AT_LEAST_ONCE), "{sink:?}: a torn commit");
        }
    }
}

#[test]
fn what_a_zombie_sends_late_is_told_from_losses() {
    let expected = expected(&inputs());
    for sink in Sink::ALL.into_iter().filter(|sink| *sink != Sink::Pairs) {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let whole = in_order(&expected);
            let at = neighbours(&whole[&sink], &mut random);
            let found = |change: &dyn Fn(&mut Vec<Seen>)| {
                let mut history = whole.clone();
                change(history.get_mut(&sink).expect("a sink"));
                !check(&expected, &history, Guarantee::BesideZombies { haunts: &[HAUNT] }).wrong.is_empty()
            };
            assert!(!found(&|seen| seen.insert(at + 1, seen[at - 1].clone())), "{sink:?}: an older row behind a newer one");
            assert!(found(&|seen| drop(seen.remove(at))), "{sink:?}: a loss");
            assert!(found(&|seen| seen.swap(at, at + 1)), "{sink:?}: a reorder");
            let last = |seen: &[Seen]| seen.iter().rposition(|row| row.key == seen[at].key).expect("its last row");
            assert!(found(&|seen| seen.insert(last(seen) + 1, seen[at - 1].clone())), "{sink:?}: an older row at the end");
            let behind = |seen: &mut Vec<Seen>, step: i64, taken_ms: i64| {
                let key = seen[at].key.clone();
                seen.insert(last(seen) + 1, Seen { key, step, taken_ms });
            };
            let (older, during) = (whole[&sink][at - 1].step, *HAUNT.start());
            assert!(!found(&|seen| behind(seen, older, during)), "{sink:?}: an older row that a zombie sends last");
            assert!(found(&|seen| behind(seen, older, during - 1)), "{sink:?}: an older row at the end before there was a zombie");
            assert!(found(&|seen| behind(seen, 999_999, during)), "{sink:?}: a row of nothing");
            let cut = |seen: &mut Vec<Seen>| {
                let last = last(seen);
                seen[last].step = older;
                seen[last].taken_ms = during;
            };
            assert!(found(&cut), "{sink:?}: an older row in the place of the last one");
        }
    }
}

#[test]
fn a_join_may_take_its_sides_in_another_order_the_second_time() {
    let joined = |steps: &[(i64, i64)]| {
        let seen = steps.iter().map(|(l, r)| Seen { key: "k".into(), step: step_of(*l, *r), taken_ms: 0 }).collect();
        History::from([(Sink::Joined, seen)])
    };
    let expected = Expected::from([(Sink::Joined, [("k".to_owned(), Steps::Rising(3, 3))].into())]);
    let wrong = |steps: &[(i64, i64)], guarantee| !check(&expected, &joined(steps), guarantee).wrong.is_empty();
    let other_order = [(1, 1), (2, 2), (2, 3), (3, 2), (3, 3)];
    assert!(!wrong(&[(1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)], AT_LEAST_ONCE));
    assert!(wrong(&other_order, AT_LEAST_ONCE), "(2, 2) behind (1, 1)");
    assert!(wrong(&[(1, 1), (1, 2), (2, 2), (2, 3), (3, 2), (3, 3)], Guarantee::ExactlyOnce));
}

#[test]
fn the_ends_and_strangers_are_found() {
    let expected = expected(&inputs());
    for sink in Sink::ALL {
        let whole = in_order(&expected);
        let mut cut = whole.clone();
        let last = cut.get_mut(&sink).and_then(Vec::pop).expect("a record");
        assert!(!check(&expected, &cut, AT_LEAST_ONCE).wrong.is_empty(), "{sink:?}: the last one is lost");
        assert!(missing(&expected, &cut).is_some(), "{sink:?}");
        let mut doubled = whole.clone();
        doubled.get_mut(&sink).expect("a sink").push(last.clone());
        assert!(!check(&expected, &doubled, Guarantee::ExactlyOnce).wrong.is_empty(), "{sink:?}: the last one twice");
        let mut strange = whole;
        strange.get_mut(&sink).expect("a sink").push(Seen { key: "stranger".into(), ..last });
        assert!(!check(&expected, &strange, AT_LEAST_ONCE).wrong.is_empty(), "{sink:?}: a key that is in no input");
    }
}

#[test]
fn repeats_of_more_than_a_commit_interval_are_found() {
    let steps: Vec<i64> = (1..=1_000).collect();
    let expected = Expected::from([(Sink::Counts, [("k".to_owned(), Steps::Exactly(steps.clone()))].into())]);
    let seen = |step: &i64| Seen { key: "k".into(), step: *step, taken_ms: step * 10 };
    for (back, is_wrong) in [(20, false), (600, true)] {
        let mut all: Vec<Seen> = steps.iter().map(seen).collect();
        let again: Vec<Seen> = all[1_000 - back..].iter().map(|seen| Seen { taken_ms: 20_000, ..seen.clone() }).collect();
        all.extend(again);
        let verdict = check(&expected, &History::from([(Sink::Counts, all)]), AT_LEAST_ONCE);
        assert_eq!(!verdict.wrong.is_empty(), is_wrong, "{back}: {:?}", verdict.wrong);
        assert!(is_wrong || verdict.repeats == back);
    }
}
