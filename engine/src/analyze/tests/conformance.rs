//! The conformance cases, as far as analysis goes: which statements are taken, what the sources look like, what is said
//! of statements that are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use tidemill_parser::split_script;

use super::world::World;
use crate::catalog::{Catalog, Source, SourceKind};
use crate::types::Schema;

/// Least number of cases that come out right; goes up as the dialect grows.
const LEAST_RIGHT: usize = 0;

/// Partitions of topics in the driver that the recorded cases come from.
const RECORDED_PARTITIONS: u32 = 4;

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("TIDEMILL_CONFORMANCE").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    named.or(Some(beside)).filter(|p| p.join("query").is_dir())
}

/// How a case came out.
enum Verdict {
    Right,
    Wrong(String),
}

#[derive(Default)]
struct Totals {
    right: usize,
    wrong: usize,
    rejected: usize,
    rejections: usize,
    rejected_with_message: usize,
    reasons: BTreeMap<String, Vec<String>>,
}

#[test]
fn conformance_statements_are_taken_and_refused_as_recorded() {
    let Some(folder) = folder() else {
        say("SKIPPED: no conformance cases in $TIDEMILL_CONFORMANCE or ../shared/conformance");
        return;
    };
    let mut totals = Totals::default();
    for (part, partitions) in [("query", 1), ("recorded", RECORDED_PARTITIONS)] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else { continue };
        let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
        files.sort();
        for file in files {
            run_file(&file, partitions, &mut totals);
        }
    }
    say(&format!(
        "analysis of conformance cases: {} right, {} wrong; of {} rejections {} rejected, {} with the message",
        totals.right, totals.wrong, totals.rejections, totals.rejected, totals.rejected_with_message
    ));
    if std::env::var_os("TIDEMILL_CONFORMANCE_REASONS").is_some() {
        let mut reasons: Vec<_> = totals.reasons.iter().collect();
        reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
        for (reason, cases) in reasons {
            say(&format!("{:5} {reason}", cases.len()));
            for case in cases.iter().take(6) {
                say(&format!("            {case}"));
            }
        }
    }
    assert!(totals.right >= LEAST_RIGHT, "{} cases came out right, {LEAST_RIGHT} before", totals.right);
}

/// Writes to the test's output.
fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn run_file(file: &Path, partitions: u32, totals: &mut Totals) {
    let text = std::fs::read_to_string(file).expect("readable");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    for case in json.get("tests").and_then(Json::as_array).into_iter().flatten() {
        for case in expanded(case) {
            let name = format!("{}: {}", file.file_stem().unwrap_or_default().to_string_lossy(), text_of(&case, "name"));
            let expects_rejection = case.get("expectedException").is_some();
            match run_case(&case, partitions, totals) {
                Verdict::Right => totals.right += 1,
                Verdict::Wrong(reason) => {
                    totals.wrong += 1;
                    let reason: String = reason.lines().next().unwrap_or_default().chars().take(240).collect();
                    let kind = if expects_rejection { "rejection: " } else { "" };
                    totals.reasons.entry(format!("{kind}{}", generic(&reason))).or_default().push(format!("{name} || {reason}"));
                }
            }
        }
    }
}

/// A reason without its place, so that equal ones are counted together.
fn generic(reason: &str) -> String {
    reason.split_whitespace().take(7).filter(|w| !w.chars().any(|c| c.is_ascii_digit())).collect::<Vec<_>>().join(" ")
}

fn text_of(json: &Json, field: &str) -> String {
    json.get(field).and_then(Json::as_str).unwrap_or_default().to_string()
}

/// The case once for each of its formats and configurations.
fn expanded(case: &Json) -> Vec<Json> {
    let mut cases = vec![case.clone()];
    for (field, mark) in [("format", "{FORMAT}"), ("config", "{CONFIG}")] {
        let Some(values) = case.get(field).and_then(Json::as_array) else { continue };
        let once_each = |case: &Json| {
            let text = case.to_string();
            let texts: Vec<String> = values.iter().filter_map(Json::as_str).map(|v| text.replace(mark, v)).collect();
            texts.iter().map(|t| serde_json::from_str(t).expect("JSON")).collect::<Vec<Json>>()
        };
        cases = cases.iter().flat_map(once_each).collect();
    }
    cases
}

fn world_of(case: &Json, partitions: u32) -> World {
    let mut world = World::new();
    world.default_partitions = Some(partitions);
    for topic in case.get("topics").and_then(Json::as_array).into_iter().flatten() {
        if let (name, Some(n)) = (text_of(topic, "name"), topic.get("partitions").and_then(Json::as_u64)) {
            world.topics.borrow_mut().insert(name, u32::try_from(n).expect("few"));
        }
    }
    for (name, value) in case.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        world.properties.insert(name.clone(), value);
    }
    world
}

fn run_case(case: &Json, partitions: u32, totals: &mut Totals) -> Verdict {
    let mut world = world_of(case, partitions);
    let statements: Vec<&str> = case.get("statements").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let script = statements.join("\n");
    let mut statements = split_script(&script).into_iter().peekable();
    let expected = case.get("expectedException");
    while let Some(raw) = statements.next() {
        let result = raw.parse_as(tidemill_parser::Statements::Test).map_err(|e| e.to_string()).and_then(|s| match &s.statement {
            tidemill_parser::ast::Statement::AssertValues(_)
            | tidemill_parser::ast::Statement::AssertTombstone(_)
            | tidemill_parser::ast::Statement::AssertSource(_)
            | tidemill_parser::ast::Statement::SetProperty { .. } => Ok(()),
            _ => world.statement(&s).map(|_| ()),
        });
        let is_last = statements.peek().is_none();
        match (result, expected) {
            (Ok(()), _) => {}
            (Err(error), Some(expected)) if is_last => {
                totals.rejections += 1;
                totals.rejected += 1;
                let message = text_of(expected, "message");
                if error.contains(&message) {
                    totals.rejected_with_message += 1;
                    return Verdict::Right;
                }
                return Verdict::Wrong(format!("WANTED {} GOT {}", message.replace('\n', " "), error.replace('\n', " ")));
            }
            (Err(error), _) => return Verdict::Wrong(error),
        }
    }
    if let Some(expected) = expected {
        totals.rejections += 1;
        return Verdict::Wrong(format!("TAKEN, should be refused: {}", text_of(expected, "message")));
    }
    for wanted in case.pointer("/post/sources").and_then(Json::as_array).into_iter().flatten() {
        if let Err(reason) = check_source(wanted, &world.catalog) {
            return Verdict::Wrong(reason);
        }
    }
    Verdict::Right
}

/// Compares a source with what `post.sources` says of it.
fn check_source(wanted: &Json, catalog: &Catalog) -> Result<(), String> {
    let name = text_of(wanted, "name");
    let source = catalog.source(&name).ok_or_else(|| format!("SOURCE {name} is not there"))?;
    let differs = |what: &str, got: String, wanted: String| Err(format!("POST {what} of {name}: {got} instead of {wanted}"));
    let kind = if text_of(wanted, "type").eq_ignore_ascii_case("stream") { SourceKind::Stream } else { SourceKind::Table };
    if source.kind != kind {
        return differs("kind", source.kind.lower().to_string(), kind.lower().to_string());
    }
    if let Some(text) = wanted.get("schema").and_then(Json::as_str) {
        let schema = schema_of(text, catalog)?;
        if schema != source.schema {
            return differs("schema", source.schema.to_string(), schema.to_string());
        }
    }
    if let Some(key_format) = wanted.get("keyFormat") {
        check_key_format(source, key_format)?;
    }
    if let Some(format) = wanted.get("valueFormat") {
        let format = format.as_str().map_or_else(|| text_of(format, "format"), str::to_string);
        if source.format.value.name != format {
            return differs("value format", source.format.value.name.clone(), format);
        }
    }
    for (field, features) in [("keyFeatures", source.key_features()), ("valueFeatures", source.value_features())] {
        if let Some(wanted) = wanted.get(field).and_then(Json::as_array) {
            let wanted: Vec<&str> = wanted.iter().filter_map(Json::as_str).collect();
            if wanted != features {
                return differs(field, format!("{features:?}"), format!("{wanted:?}"));
            }
        }
    }
    match wanted.get("isSource").and_then(Json::as_bool) {
        Some(read_only) if read_only != source.read_only => differs("isSource", source.read_only.to_string(), read_only.to_string()),
        _ => Ok(()),
    }
}

fn check_key_format(source: &Source, wanted: &Json) -> Result<(), String> {
    let format = text_of(wanted, "format");
    let window = text_of(wanted, "windowType");
    let found = source.window.map(|w| w.name()).unwrap_or_default();
    let size = match source.format.windowed_key {
        Some(crate::plan::WindowedKey::Time { size_ms }) => Some(size_ms),
        _ => None,
    };
    let wanted_size = wanted.get("windowSize").and_then(Json::as_i64);
    if source.format.key.name != format || found != window || (wanted_size.is_some() && size != wanted_size) {
        return Err(format!(
            "POST key format of {}: {} {found} {size:?} instead of {format} {window} {wanted_size:?}",
            source.name, source.format.key.name
        ));
    }
    Ok(())
}

fn schema_of(text: &str, catalog: &Catalog) -> Result<Schema, String> {
    use tidemill_parser::ast::ColumnRole;
    let mut schema = Schema::default();
    for column in tidemill_parser::parse_columns(text).map_err(|e| e.to_string())? {
        let sql_type = catalog.resolve_type(&column.data_type).map_err(|e| e.to_string())?;
        let resolved = crate::types::Column::new(column.name.name, sql_type);
        match column.role {
            ColumnRole::Key | ColumnRole::PrimaryKey => schema.key.push(resolved),
            _ => schema.value.push(resolved),
        }
    }
    Ok(schema)
}
