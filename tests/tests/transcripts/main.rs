//! What a running ksqlDB answered, request by request, held against ours: `../shared/reference/transcripts`, each file on
//! a fresh server with the embedded log.
//!
//! `TIDEMILL_TRANSCRIPTS=1` prints why answers do not match; a part of a file's name (`TIDEMILL_TRANSCRIPTS=02`) replays
//! that file alone and prints them. `TIDEMILL_TRANSCRIPTS_DIR` names another folder.

mod client;
mod compare;
mod differences;
mod exact;
mod facts;
mod h2;
mod replay;
mod script;
mod text;
mod ws;

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use replay::{Replayed, replay};
use script::Protocol;

/// Exchanges that match neither what was recorded nor the list of differences, at most: a machine under load may be late with a few.
const LATE: usize = 2;
/// Files replayed at a time.
const PARALLEL: usize = 2;

#[test]
fn exchanges_match_those_recorded() {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/transcripts");
    let folder = std::env::var_os("TIDEMILL_TRANSCRIPTS_DIR").map_or(default, PathBuf::from);
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|e| Some(e.ok()?.path())).filter(|p| p.extension().is_some_and(|e| e == "jsonl")).collect(),
        Err(_) => return say(&format!("\nSKIPPED: exchanges_match_those_recorded: there is no folder {}", folder.display())),
    };
    files.sort();
    let wanted = std::env::var("TIDEMILL_TRANSCRIPTS").ok();
    let one = wanted.as_deref().filter(|w| *w != "1");
    files.retain(|f| one.is_none_or(|part| name(f).contains(part)));
    let replayed = replay_all(&files);
    let (mut matched, mut all, mut on_purpose) = (0, 0, 0);
    let (mut in_vain, mut unexplained) = (Vec::new(), Vec::new());
    say("transcripts: file, exchanges that match over HTTP/1.1, over HTTP/2, WebSockets and HTTP/1.0");
    for (file, replayed) in &replayed {
        let count = |h1: bool, good: bool| {
            replayed.outcomes.iter().filter(|o| (o.protocol == Protocol::Http11) == h1 && (!good || o.reasons.is_empty())).count()
        };
        for outcome in &replayed.outcomes {
            match (differences::difference(&name(file), &outcome.name), outcome.reasons.first()) {
                (Some(difference), None) if !difference.may_match() => in_vain.push(format!("{}: {}", name(file), outcome.name)),
                (None, Some(reason)) => unexplained.push(format!("{}: {}: {reason}", name(file), outcome.name)),
                _ => {}
            }
            on_purpose += usize::from(differences::difference(&name(file), &outcome.name).is_some());
        }
        let (good, of, other, of_other) = (count(true, true), count(true, false), count(false, true), count(false, false));
        matched += good + other;
        all += of + of_other;
        say(&format!("  {:<28} {good:>3} of {of:>3}   {other:>3} of {of_other:>3}", name(file)));
        if wanted.is_some() {
            explain(&name(file), replayed);
        }
    }
    say(&format!("transcripts: {matched} of {all} exchanges match, {on_purpose} are different on purpose"));
    assert_eq!(in_vain, Vec::<String>::new(), "listed as different on purpose, but the same");
    let names: Vec<String> = replayed.iter().map(|(file, _)| name(file)).collect();
    assert_eq!(on_purpose, differences::count(names.iter().map(String::as_str)), "a difference is listed that no file has");
    for difference in &unexplained {
        say(&format!("transcripts: differs: {difference}"));
    }
    assert!(unexplained.len() <= LATE, "{unexplained:#?}");
}

fn name(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn replay_all(files: &[PathBuf]) -> Vec<(PathBuf, Replayed)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(PARALLEL).enable_all().build().expect("a runtime");
    let (queue, done) = (Mutex::new(files.iter().collect::<VecDeque<_>>()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let Some(file) = queue.lock().expect("a queue").pop_front() else { return };
                    let replayed = replay(file, runtime.handle());
                    done.lock().expect("a list").push((file.clone(), replayed));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("a list");
    done.sort_by(|a, b| a.0.cmp(&b.0));
    done
}

fn explain(file: &str, replayed: &Replayed) {
    for remark in &replayed.remarks {
        say(&format!("    ! {remark}"));
    }
    for outcome in replayed.outcomes.iter().filter(|o| !o.reasons.is_empty()) {
        let on_purpose = differences::difference(file, &outcome.name).map(|d| format!(" (on purpose: {})", d.reason));
        say(&format!("    - [{:?}] {}{}", outcome.protocol, outcome.name, on_purpose.unwrap_or_default()));
        for reason in &outcome.reasons {
            say(&format!("        {}", reason.replace('\n', "\\n")));
        }
    }
}

/// Past the test harness's capture.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
