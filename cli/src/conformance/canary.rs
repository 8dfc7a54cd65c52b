//! Canaries: expectations that were altered on purpose. A runner that lets one pass would let a defect pass.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::case::{self, Case, RecordSpec};
use super::differences::Differences;
use super::run_one;
use super::world::RunOptions;
use crate::testing::find::{Format, find};
use crate::testing::parallel;
use crate::testing::report::{CaseResult, Verdict};

const STRAIGHT: RunOptions = RunOptions { chunk: 1, restore_at: None };

fn run_parallel(cases: &[Case], options: RunOptions, differences: &Differences) -> Vec<CaseResult> {
    parallel::run(cases, |case| run_one(case, options, differences), |_, _| {})
}

/// All cases of some folders.
fn load(folders: &[PathBuf]) -> Vec<Case> {
    find(folders, Format::Query).unwrap().query.iter().flat_map(|file| case::load(file).unwrap()).collect()
}

/// A value that no comparison may take for the given one.
fn altered(value: &Json) -> Json {
    match value {
        Json::Null => json!({"PLANTED": 1}),
        Json::Bool(b) => json!(!b),
        // Beyond the precision of doubles the next number may be the same one.
        Json::Number(n) => match n.as_i64() {
            Some(n) if n.unsigned_abs() < 1 << 53 => json!(n ^ 1),
            Some(n) => json!(n / 2),
            None => json!(n.as_f64().map_or(0.5, |n| if n.abs() < 1e9 { n + 1.0 } else { n / 2.0 })),
        },
        Json::String(text) => json!(format!("{text}?")),
        Json::Array(items) => match items.split_first() {
            None => json!(["planted"]),
            Some((first, rest)) => std::iter::once(altered(first)).chain(rest.iter().cloned()).collect(),
        },
        Json::Object(fields) => {
            let mut fields = fields.clone();
            match fields.iter_mut().next() {
                Some((_, field)) => *field = altered(field),
                None => {
                    fields.insert("PLANTED".to_owned(), json!(1));
                }
            }
            Json::Object(fields)
        }
    }
}

/// Changes an expected record; false where it has nothing of the kind to change.
type Alteration = fn(&mut RecordSpec) -> bool;

const ALTERATIONS: [(&str, Alteration); 6] = [
    ("another key", |r| {
        r.key = altered(&r.key);
        true
    }),
    ("another value", |r| {
        r.value = altered(&r.value);
        true
    }),
    ("another time", |r| {
        r.timestamp = r.timestamp.map(|t| t + 1);
        r.timestamp.is_some()
    }),
    ("a window that begins elsewhere", |r| r.window.as_mut().map(|w| w.start += 1).is_some()),
    ("a window that ends elsewhere", |r| r.window.as_mut().map(|w| w.end += 1).is_some()),
    ("a header too many", |r| {
        r.headers.push(("planted".to_owned(), None));
        true
    }),
];

/// Every altered form of a case that passes.
fn plant(case: &Case) -> Vec<Case> {
    let mut planted = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut Case)| {
        let mut altered = case.clone();
        change(&mut altered);
        altered.name = format!("{}: {what}", case.name);
        planted.push(altered);
    };
    if let Some(message) = &case.expected_error {
        add("another error".into(), &|c| c.expected_error = Some(format!("{message} (planted)")));
        add("no error".into(), &|c| c.expected_error = None);
    }
    for index in [0, case.outputs.len().saturating_sub(1)] {
        let Some(record) = case.outputs.get(index) else { break };
        for (what, alter) in ALTERATIONS {
            let mut record = record.clone();
            if alter(&mut record) {
                add(format!("record {index} with {what}"), &|c| c.outputs[index] = record.clone());
            }
        }
        add(format!("record {index} twice"), &|c| c.outputs.insert(index, record.clone()));
        if case.outputs.iter().filter(|o| o.topic == record.topic).count() > 1 {
            add(format!("record {index} missing"), &|c| {
                c.outputs.remove(index);
            });
        }
    }
    if let Some(source) = case.post["sources"].get(0) {
        for field in ["name", "type"].into_iter().filter(|f| source[f].is_string()) {
            add(format!("another {field} of a source"), &|c| c.post["sources"][0][field] = json!("planted"));
        }
        if let Some(schema) = source["schema"].as_str() {
            add("another schema".into(), &|c| c.post["sources"][0]["schema"] = json!(format!("{schema}, PLANTED INT")));
        }
    }
    planted
}

/// Runs the cases as they are, which must pass, and altered, which must fail. Returns how many alterations there were.
fn check(cases: &[Case]) -> usize {
    let verdicts = run_parallel(cases, STRAIGHT, &Differences::default());
    let passing = cases.iter().zip(&verdicts).filter(|(_, result)| result.verdict == Verdict::Passed);
    let planted: Vec<Case> = passing.flat_map(|(case, _)| plant(case)).collect();
    let survivors: Vec<String> = run_parallel(&planted, STRAIGHT, &Differences::default())
        .into_iter()
        .filter(|result| !matches!(result.verdict, Verdict::Failed(_)))
        .map(|result| format!("{}: {}", result.file, result.name))
        .collect();
    assert!(survivors.is_empty(), "{} altered cases passed:\n{}", survivors.len(), survivors.join("\n"));
    planted.len()
}

/// The project's own cases: they need no folder beside it.
fn own_cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/cases");
    load(&[folder])
}

#[test]
fn own_cases_pass_in_chunks_and_across_restarts() {
    for options in [STRAIGHT, RunOptions { chunk: 1000, restore_at: None }, RunOptions { chunk: 2, restore_at: Some(2) }] {
        for result in run_parallel(&own_cases(), options, &Differences::default()) {
            assert_eq!(result.verdict, Verdict::Passed, "{}: {} ({options:?})", result.file, result.name);
        }
    }
}

#[test]
fn altered_expectations_fail() {
    assert!(check(&own_cases()) > 200);
}

/// The same with every fifth of the conformance cases, where they are; where they are not, that is said past the harness's
/// capture. A folder that is there and holds too few is a failure.
#[test]
fn altered_conformance_cases_fail() {
    let folder = std::env::var_os("TIDEMILL_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"), PathBuf::from);
    let folders: Vec<PathBuf> = ["query", "recorded"].iter().map(|f| folder.join(f)).filter(|f| f.is_dir()).collect();
    if folders.is_empty() {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: altered_conformance_cases_fail: no conformance cases in {}", folder.display());
        return;
    }
    let cases = load(&folders);
    let sample: Vec<Case> = cases.iter().step_by(5).cloned().collect();
    let altered = check(&sample);
    assert!(altered > 3_000, "{altered} alterations of {} cases", sample.len());
}

/// A difference is held to what it lists, and ends as soon as the case passes.
#[test]
fn differences_are_no_excuse() {
    let case = own_cases().into_iter().find(|c| c.outputs.len() == 1).unwrap();
    let mut wrong = case.clone();
    assert!(ALTERATIONS.iter().any(|(what, alter)| *what == "another value" && alter(&mut wrong.outputs[0])));
    let record = |spec: &RecordSpec| {
        let mut record = json!({"topic": spec.topic, "key": spec.key, "value": spec.value});
        if let Some(window) = &spec.window {
            record["window"] =
                json!({"start": window.start, "end": window.end, "type": if window.is_session { "session" } else { "time" }});
        }
        record
    };
    let listed = |outputs: Json| {
        let path = std::env::temp_dir().join(format!("tidemill-differences-{}.json", std::process::id()));
        std::fs::write(&path, json!([{"file": case.file, "name": case.name, "reason": "why", "outputs": outputs}]).to_string()).unwrap();
        let differences = Differences::load(&path);
        std::fs::remove_file(&path).unwrap();
        differences
    };
    let verdict =
        |case: &Case, differences: &Differences| run_parallel(std::slice::from_ref(case), STRAIGHT, differences)[0].verdict.clone();
    let (right_list, wrong_list) =
        (listed(json!([record(&case.outputs[0])])).unwrap(), listed(json!([record(&wrong.outputs[0])])).unwrap());
    assert_eq!(verdict(&wrong, &right_list), Verdict::Different("why".into()));
    assert!(matches!(verdict(&wrong, &wrong_list), Verdict::Failed(reason) if reason.starts_with("differs on purpose, but not as listed")));
    assert!(matches!(verdict(&case, &right_list), Verdict::Failed(reason) if reason.contains("but passes")));
    assert!(listed(json!([])).is_err(), "a difference says what comes out instead");
}
