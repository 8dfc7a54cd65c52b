//! Texts with what differs from run to run taken out.

use std::collections::BTreeSet;

use crate::compare::WALL_CLOCK_MS;

/// Ids of queries without their numbers, UUIDs and object hashes as such.
pub fn normal_id(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '@');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let end = tail.find(|c| !is_part(c)).unwrap_or(tail.len());
        out.push_str(&normal_word(&tail[..end]));
        rest = &tail[end..];
    }
    out + rest
}

fn normal_word(word: &str) -> String {
    if let Some((class, hash)) = word.split_once('@')
        && (6..=8).contains(&hash.len())
        && hash.chars().all(|c| c.is_ascii_hexdigit())
    {
        return class.to_owned();
    }
    let uuid = word.len() == 36 && word.split('-').count() == 5 && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if uuid {
        return "<uuid>".to_owned();
    }
    for known in ["transient_", "query_", "CSAS_", "CTAS_", "CST_", "INSERTQUERY_"] {
        // Names of consumer groups hold the id behind a prefix.
        let Some(at) = word.find(known) else { continue };
        let mut stem = &word[at..];
        while let Some((rest, number)) = stem.rsplit_once('_')
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
        {
            stem = rest;
        }
        if at + stem.len() < word.len() {
            return format!("{}{stem}_<n>", &word[..at]);
        }
    }
    word.to_owned()
}

/// Lines of PRINT with the times of this run taken out.
pub fn normal_text(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("rowtime: ").and_then(|rest| rest.split_once(" Z, ")) {
        Some((time, rest)) if time > "2025" => format!("rowtime: <now>, {rest}\n"),
        _ => format!("{line}\n"),
    };
    normal_id(&text.lines().map(line).collect::<String>())
}

/// A row in a text, without the time of this run.
pub fn without_clock(text: &str) -> String {
    let clock = |part: &str| part.parse::<i64>().is_ok_and(|n| n > WALL_CLOCK_MS);
    text.split(',').map(|part| if clock(part) { "<now>" } else { part }).collect::<Vec<_>>().join(",")
}

/// Names of counters in a text of statistics.
pub fn words_before_colons(text: &str) -> BTreeSet<String> {
    text.split_whitespace().filter_map(|w| w.strip_suffix(':')).map(str::to_owned).collect()
}

/// Topics and kinds of steps of a topology, or of our plan in its place.
pub fn topology_facts(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let kinds = ["source", "sink", "filter", "project", "aggregate", "join"];
    let mut found: BTreeSet<String> = kinds.iter().filter(|k| lower.contains(**k)).map(|k| (*k).to_owned()).collect();
    for start in ["topics: [", "topic: "] {
        for part in text.split(start).skip(1) {
            let end = part.find([')', ']', '\n']).unwrap_or(part.len());
            found.extend(part[..end].split(", ").map(|topic| format!("topic {topic}")));
        }
    }
    found
}

#[test]
fn numbers_of_a_run_are_taken_out() {
    assert_eq!(normal_id("CSAS_Q1_9.Project"), "CSAS_Q1_<n>.Project");
    assert_eq!(normal_id("_confluent-ksql-rec_query_CTAS_CT_13"), normal_id("_confluent-ksql-rec_query_CTAS_CT_7"));
    assert_eq!(normal_id("query_1795230607573"), "query_<n>");
    assert_eq!(normal_id("_x-transient_transient_S_23_17"), "_x-transient_transient_S_<n>");
    assert_eq!(normal_id("KsqlConfig@7f902dd5 b"), "KsqlConfig b");
    assert_eq!(normal_id("[k2@1599998400000/-]"), "[k2@1599998400000/-]");
    assert_eq!(normal_text("rowtime: 2026/11/21 02:58:12.625 Z, key: k1"), "rowtime: <now>, key: k1\n");
    assert_ne!(normal_text("rowtime: 2020/11/21 02:58:12.625 Z, key: k1"), normal_text("rowtime: 2020/11/21 02:58:12.626 Z, key: k1"));
}
