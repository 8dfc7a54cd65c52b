//! What a running ksqlDB said, from the recorded transcripts of its answers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidemill_parser::{parse_script, parse_statement, split_script};

/// All exchanges, or none (said aloud) where the transcripts are missing.
fn exchanges(test: &str) -> Option<Vec<Value>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/transcripts");
    let folder = std::env::var_os("TIDEMILL_TRANSCRIPTS_DIR").map_or(beside, PathBuf::from);
    let Ok(files) = std::fs::read_dir(&folder) else {
        crate::skipped(test, "no transcripts here (set TIDEMILL_TRANSCRIPTS_DIR to their folder)");
        return None;
    };
    let files = files.filter_map(Result::ok).filter(|f| f.path().extension().is_some_and(|e| e == "jsonl"));
    let lines = files.flat_map(|f| std::fs::read_to_string(f.path()).expect("readable").lines().map(str::to_string).collect::<Vec<_>>());
    Some(lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect())
}

#[test]
fn what_ksqldb_printed_is_printed_the_same() {
    let Some(exchanges) = exchanges("what_ksqldb_printed_is_printed_the_same") else { return };
    let mut printed = BTreeSet::new();
    for exchange in &exchanges {
        collect_texts(exchange.pointer("/response/body").unwrap_or(&Value::Null), &mut printed);
    }
    for text in &printed {
        let sql = text.strip_suffix(';').unwrap_or(text);
        let statement = parse_statement(sql).unwrap_or_else(|e| panic!("{sql}\n{e}"));
        assert_eq!(statement.statement.to_string(), sql);
    }
    assert!(printed.len() > 80, "{} statements", printed.len());
}

/// The texts that ksqlDB printed, and did not just repeat: only those name the clean-up policy of the sink.
fn collect_texts(json: &Value, texts: &mut BTreeSet<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if (name == "statementText" || name == "queryString") && text.contains("(CLEANUP_POLICY=") => {
                        texts.insert(text.to_string());
                    }
                    _ => collect_texts(value, texts),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        _ => {}
    }
}

/// Where an answer puts its syntax error: `line L:C`.
fn refused_at(response: &str) -> Option<&str> {
    let before = response.split_once(": Syntax Error")?.0;
    Some(&before[before.rfind("line ")?..])
}

#[test]
fn what_ksqldb_refused_is_refused_at_the_same_place() {
    let Some(exchanges) = exchanges("what_ksqldb_refused_is_refused_at_the_same_place") else { return };
    let (mut refused, mut accepted, mut differences) = (0, 0, Vec::new());
    for exchange in &exchanges {
        let request = exchange.get("request").or(exchange.get("do"));
        let body = request.and_then(|r| r.get("body"));
        let Some(sql) = body.and_then(|b| b.get("ksql").or(b.get("sql"))).and_then(Value::as_str).filter(|s| !s.contains("${")) else {
            continue;
        };
        let response = exchange.get("response").map(Value::to_string).unwrap_or_default();
        // The REST API insists on the last semicolon, which scripts may leave out.
        let terminated = |sql| split_script(sql).iter().try_for_each(|s| s.check_terminated());
        match (refused_at(&response), parse_script(sql).and_then(|_| terminated(sql))) {
            (Some(place), Err(error)) if error.to_string().starts_with(&format!("{place}: Syntax Error")) => refused += 1,
            (None, Ok(())) => accepted += 1,
            (None, Err(_)) if response.contains("Failed to prepare statement: line") => refused += 1,
            (place, result) => differences.push(format!("{sql}\n{place:?} {:?}", result.err().map(|e| e.to_string()))),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    assert!(refused > 30 && accepted > 300, "{refused} refused, {accepted} accepted");
}
