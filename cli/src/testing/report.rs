//! What a run says: a line for each failing case, totals for each file, counts of reasons, a JSON report.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::teller::say;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// With the first difference.
    Failed(String),
    /// Fails on purpose; with the reason.
    Different(String),
}

#[derive(Debug, Clone)]
pub struct CaseResult {
    pub file: String,
    /// Where the test begins; query cases have no lines.
    pub line: Option<u32>,
    /// Empty where the file is one test.
    pub name: String,
    /// Whether the case expects its last statement to be refused.
    pub is_rejection: bool,
    pub seconds: f64,
    pub verdict: Verdict,
}

/// Longest difference that a line shows, characters.
const MAX_REASON: usize = 300;

/// Prints the query cases that fail, a line for each, then the totals of their files.
pub fn print_cases(results: &[CaseResult]) {
    let mut files: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for result in results {
        let counts = files.entry(&result.file).or_default();
        match &result.verdict {
            Verdict::Passed => counts.0 += 1,
            Verdict::Different(_) => {}
            Verdict::Failed(reason) => {
                counts.1 += 1;
                let line: String = reason.replace('\n', " ").chars().take(MAX_REASON).collect();
                say(&format!("FAILED {}: {}: {line}", result.file, result.name));
            }
        }
    }
    for (file, (passed, failed)) in &files {
        say(&format!("{file}: {passed} of {}", passed + failed));
    }
}

/// Prints how many of which kind failed, where that is asked for, and how many refusals there were.
pub fn print_totals(results: &[CaseResult], reasons: bool) {
    if reasons {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for result in results {
            if let Verdict::Failed(reason) = &result.verdict {
                *kinds.entry(kind(reason)).or_default() += 1;
            }
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(kind, count)| (std::cmp::Reverse(*count), kind.clone()));
        for (kind, count) in kinds {
            say(&format!("{count:5} × {kind}"));
        }
    }
    let rejections = results.iter().filter(|r| r.is_rejection);
    let (mut refused, mut with_message, mut all) = (0, 0, 0);
    for result in rejections {
        all += 1;
        match &result.verdict {
            Verdict::Passed => {
                refused += 1;
                with_message += 1;
            }
            Verdict::Failed(reason) if reason.starts_with("refused, ") => refused += 1,
            _ => {}
        }
    }
    if all > 0 {
        say(&format!("refusals: {refused} of {all} refused, {with_message} with the message"));
    }
}

/// A reason without what differs from case to case, for counting.
fn kind(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let mut kind = String::new();
    let mut quoted = false;
    for c in line.chars().take(MAX_REASON) {
        match c {
            '\'' | '`' | '"' => {
                quoted = !quoted;
                if quoted {
                    kind.push('…');
                }
            }
            _ if quoted => {}
            '0'..='9' => {
                if !kind.ends_with('#') {
                    kind.push('#');
                }
            }
            c => kind.push(c),
        }
    }
    kind
}

/// Writes all results as JSON.
pub fn write(path: &Path, results: &[CaseResult]) -> Result<(), String> {
    let cases: Vec<_> = results
        .iter()
        .map(|r| {
            let (verdict, reason) = match &r.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(reason) => ("failed", Some(reason)),
                Verdict::Different(reason) => ("different", Some(reason)),
            };
            json!({"file": r.file, "line": r.line, "name": r.name, "verdict": verdict, "reason": reason, "seconds": r.seconds})
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({"cases": cases})).unwrap_or_default();
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
