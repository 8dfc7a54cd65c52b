//! Carries a case out: its requests one after another, each judged by what the case expects of it.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tidemill_parser::split_script;

use super::answers::{admin_difference, query_difference};
use super::case::{Expected, ExpectedError, RestCase};
use super::http::{Entries, Failure, Http, MESSAGES, ROWS, Refusal};
use super::messages;
use super::stage::Stage;
use crate::conformance::case::RecordSpec;
use crate::conformance::world::check::check_topic;

/// Long enough for a slow machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(30);
/// Threads of a case's server.
const THREADS: usize = 2;
const BLOCKING_THREADS: usize = 16;

/// Runs a case; an error is the first difference. `patience`: how long something is waited for that should come.
pub(super) fn run(case: &RestCase, patience: Duration) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|e| format!("the runtime can't start: {e}"))?;
    let outcome = runtime.block_on(async {
        let mut stage = Stage::set(&case.plain).await?;
        let outcome = carry_out(case, &mut stage, patience).await;
        stage.strike().await;
        outcome
    });
    runtime.shutdown_background();
    outcome
}

async fn carry_out(case: &RestCase, stage: &mut Stage, patience: Duration) -> Result<(), String> {
    let http = Http::new(stage.url(), case.plain.properties.iter().cloned().collect());
    match ask(case, stage, &http, patience).await {
        Ok(()) if case.expected_error.is_some() => {
            let message = case.expected_error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
            Err(format!("accepted, but expected the error «{message}»"))
        }
        Ok(()) => check_outputs(case, stage, patience).await,
        Err(Failure::Broken(reason)) => Err(reason),
        Err(Failure::Refused(refusal)) => match &case.expected_error {
            Some(expected) => check_refusal(expected, &refusal),
            None => Err(format!("refused with status {}: {}", refusal.status, refusal.body)),
        },
    }
}

/// Statements with what kind of answer they have.
struct Split {
    admin: Vec<String>,
    queries: Vec<String>,
}

fn split(statements: &[String]) -> Split {
    let mut split = Split { admin: Vec::new(), queries: Vec::new() };
    for raw in split_script(&statements.join("\n")) {
        let text = format!("{};", raw.text);
        let is_query = text.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("SELECT"));
        if is_query { split.queries.push(text) } else { split.admin.push(text) }
    }
    split
}

async fn ask(case: &RestCase, stage: &mut Stage, http: &Http, patience: Duration) -> Result<(), Failure> {
    let Split { admin, queries } = split(&case.plain.statements);
    let broken = Failure::Broken;
    let answers = if admin.is_empty() { Vec::new() } else { http.statements(&admin.join("\n")).await? };
    let expected = case.responses.iter().filter_map(|response| match response {
        Expected::Admin(expected) => Some(expected),
        _ => None,
    });
    for (index, expected) in expected.enumerate() {
        let answer = answers.get(index).ok_or_else(|| broken(format!("statement {index}: no answer, expected {expected}")))?;
        if let Some(difference) = admin_difference(expected, answer, admin.get(index).map_or("", String::as_str)) {
            return Err(broken(format!("statement {index}: {difference}")));
        }
    }
    let mut begun = None;
    if case.waits_for_push
        && let Some(first) = queries.first()
    {
        let mut entries = http.query(first, ROWS).await?;
        entries.begun(PATIENCE).await?;
        begun = Some(entries);
    }
    let settled = tokio::task::block_in_place(|| {
        stage.feed(&case.plain)?;
        stage.engine().settle(PATIENCE).map_err(|e| e.to_string())
    });
    settled.map_err(broken)?;

    let wanted = |of: fn(&Expected) -> Option<&[Json]>| case.responses.iter().filter_map(of).map(Some).chain(std::iter::repeat(None));
    let rows = wanted(|response| if let Expected::Query(entries) = response { Some(entries) } else { None });
    for (sql, expected) in queries.iter().zip(rows) {
        check_query(case, http, sql, (expected, ROWS), begun.take(), patience).await?;
    }
    let rows = wanted(|response| if let Expected::Messages(entries) = response { Some(entries) } else { None });
    for (sql, expected) in queries.iter().zip(rows).filter(|_| case.asks_for_messages) {
        check_query(case, http, sql, (expected, MESSAGES), None, patience).await?;
    }
    Ok(())
}

/// Asks a query, again and again where that may change what comes, until it is answered as expected.
async fn check_query(
    case: &RestCase,
    http: &Http,
    sql: &str,
    (expected, form): (Option<&[Json]>, &str),
    mut begun: Option<Entries>,
    patience: Duration,
) -> Result<(), Failure> {
    let is_push = is_push(sql);
    let started = Instant::now();
    loop {
        // Where nothing is said of an answer, its first entry is enough.
        let count = expected.map_or(1, <[Json]>::len);
        let answered = match begun.take() {
            Some(entries) => entries.all(count, patience).await,
            None => match http.query(sql, form).await {
                Ok(entries) => entries.all(count, patience).await,
                Err(failure) => Err(failure),
            },
        };
        let difference = match answered.and_then(without_error) {
            Err(Failure::Refused(refusal)) if case.expected_error.is_some() => return Err(Failure::Refused(refusal)),
            Err(Failure::Refused(refusal)) => format!("refused with status {}: {}", refusal.status, refusal.body),
            Err(broken) => return Err(broken),
            Ok(entries) => {
                let Some(expected) = expected else { return Ok(()) };
                let told = if form == MESSAGES { messages::told(expected, &entries) } else { Ok((expected.to_vec(), entries)) };
                let compared = told.map(|(expected, actual)| query_difference(&expected, &actual, sql, case.verifies_order));
                match compared {
                    Ok(None) => return Ok(()),
                    Ok(Some(difference)) => difference,
                    Err(reason) => reason,
                }
            }
        };
        if is_push || started.elapsed() > patience {
            return Err(Failure::Broken(format!("{sql}: {difference}")));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// An error behind rows is an error like any other; the answer's status was that of success before.
fn without_error(entries: Vec<Json>) -> Result<Vec<Json>, Failure> {
    match entries.iter().find_map(|entry| entry.get("errorMessage")) {
        Some(error) => Err(Failure::Refused(Refusal { status: 200, body: error.clone() })),
        None => Ok(entries),
    }
}

/// What has `EMIT` is told of changes.
fn is_push(sql: &str) -> bool {
    sql.split_whitespace().any(|word| word.eq_ignore_ascii_case("EMIT"))
}

fn check_refusal(expected: &ExpectedError, refusal: &Refusal) -> Result<(), String> {
    let message = refusal.body["message"].as_str().unwrap_or_default();
    if !message.contains(&expected.message) {
        return Err(format!("refused, but expected «{}», got «{message}»", expected.message));
    }
    if let Some(kind) = expected.kind
        && refusal.body["@type"] != kind
    {
        return Err(format!("refused, but expected a {kind}, got {}", refusal.body));
    }
    match expected.status {
        Some(status) if status != u64::from(refusal.status) => {
            Err(format!("refused, but expected status {status}, got {}: {message}", refusal.status))
        }
        _ => Ok(()),
    }
}

/// Looks until the topics hold what they should.
async fn check_outputs(case: &RestCase, stage: &Stage, patience: Duration) -> Result<(), String> {
    let started = Instant::now();
    loop {
        match tokio::task::block_in_place(|| look_at_outputs(case, stage)) {
            Err(reason) if started.elapsed() > patience => return Err(reason),
            Err(_) => tokio::time::sleep(PAUSE).await,
            Ok(()) => return Ok(()),
        }
    }
}

fn look_at_outputs(case: &RestCase, stage: &Stage) -> Result<(), String> {
    let mut topics: Vec<&str> = case.plain.outputs.iter().map(|output| output.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        let expected: Vec<&RecordSpec> = case.plain.outputs.iter().filter(|output| output.topic == topic).collect();
        let (written, sides) = stage.written(topic)?;
        check_topic(topic, &expected, written, &sides, case.plain.inputs.is_empty())?;
    }
    Ok(())
}
