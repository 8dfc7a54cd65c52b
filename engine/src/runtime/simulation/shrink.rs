//! The smallest setup that still fails: fewer records, fewer partitions, fewer kinds of faults, one after the other as long as the
//! check still finds something wrong.

use super::setup::Setup;

/// Runs that a failure is worth.
const MAX_RUNS: usize = 300;

/// A number of a setup that may become smaller.
pub(super) struct Knob<S: 'static> {
    pub name: &'static str,
    pub get: fn(&S) -> f64,
    pub set: fn(&mut S, f64),
    pub least: f64,
}

/// Knobs of numbers: a name, the least value, and where in the setup it is.
macro_rules! knobs {
    ($($name:literal $least:literal $($field:ident).+ as $as:ty),* $(,)?) => {
        [$($crate::runtime::simulation::shrink::Knob {
            name: $name,
            get: |setup| setup.$($field).+ as f64,
            set: |setup, value| setup.$($field).+ = value as $as,
            least: $least,
        }),*]
    };
}
pub(super) use knobs;

pub(super) const KNOBS: [Knob<Setup>; 19] = knobs![
    "records" 1.0 records as i64,
    "partitions" 1.0 partitions as u32,
    "workers" 1.0 workers as usize,
    "poll" 0.0 faults.poll as f64,
    "ask" 0.0 faults.ask as f64,
    "send" 0.0 faults.send as f64,
    "flush" 0.0 faults.flush as f64,
    "commit" 0.0 faults.commit as f64,
    "commit_unknown" 0.0 faults.commit_unknown as f64,
    "refuse_offsets" 0.0 faults.refuse_offsets as f64,
    "crash_in_commit" 0.0 faults.crash as f64,
    "reorder" 0.0 faults.reorder as f64,
    "late" 0.0 faults.late as f64,
    "expire" 0.0 faults.expire as f64,
    "fence" 0.0 faults.fence as f64,
    "disk" 0.0 disk as f64,
    "crash" 0.0 crash as f64,
    "wipe" 0.0 wipe as f64,
    "poll_records" 1.0 poll_records as usize,
];

/// Makes a setup smaller as long as `fails` says that it still fails. What was changed, as [`reduced`] takes it.
pub(super) fn shrink<S: Clone>(knobs: &[Knob<S>], setup: &S, fails: &dyn Fn(&S) -> bool) -> (S, String) {
    let mut smallest = setup.clone();
    let mut runs = 0;
    let mut is_smaller = true;
    while is_smaller {
        is_smaller = false;
        for knob in knobs {
            let now = (knob.get)(&smallest);
            // All of it, half of it, one of it.
            let steps = [knob.least, (now / 2.0).floor(), now - 1.0];
            for value in steps.into_iter().filter(|value| *value >= knob.least && *value < now) {
                if runs >= MAX_RUNS {
                    return described(knobs, setup, smallest);
                }
                runs += 1;
                let mut tried = smallest.clone();
                (knob.set)(&mut tried, value);
                if fails(&tried) {
                    smallest = tried;
                    is_smaller = true;
                    break;
                }
            }
        }
    }
    described(knobs, setup, smallest)
}

fn described<S>(knobs: &[Knob<S>], setup: &S, smallest: S) -> (S, String) {
    let changed = knobs.iter().filter(|knob| (knob.get)(setup) != (knob.get)(&smallest));
    let text: Vec<String> = changed.map(|knob| format!("{}={}", knob.name, (knob.get)(&smallest))).collect();
    (smallest, text.join(","))
}

/// A setup with some of its numbers changed: `records=12,workers=1`.
///
/// # Errors
/// What is not understood.
pub(super) fn reduced<S>(knobs: &[Knob<S>], mut setup: S, changes: &str) -> Result<S, String> {
    for change in changes.split(',').filter(|change| !change.is_empty()) {
        let known =
            change.split_once('=').and_then(|(name, value)| Some((knobs.iter().find(|knob| knob.name == name)?, value.parse().ok()?)));
        let (knob, value) =
            known.ok_or_else(|| format!("'{change}' is not one of {:?}", knobs.iter().map(|knob| knob.name).collect::<Vec<_>>()))?;
        (knob.set)(&mut setup, value);
    }
    Ok(setup)
}

#[test]
fn a_failure_becomes_as_small_as_it_can() {
    let setup = Setup { records: 150, partitions: 3, workers: 2, ..Setup::of(1) };
    let (smallest, changed) = shrink(&KNOBS, &setup, &|tried| tried.records >= 37 && tried.workers == 2);
    assert_eq!((smallest.records, smallest.partitions, smallest.workers, smallest.crash), (37, 1, 2, 0.0));
    let again = reduced(&KNOBS, setup, &changed).unwrap();
    assert_eq!(format!("{again:?}"), format!("{smallest:?}"), "{changed}");
    assert!(reduced(&KNOBS, again, "nonsense=1").is_err());
}
