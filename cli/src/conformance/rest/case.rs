//! What a REST case says beyond a query case.

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::conformance::case::{self, Case};
use crate::conformance::differences::Difference;

/// A case, after `format` and `config` are expanded.
#[derive(Debug, Clone)]
pub(crate) struct RestCase {
    /// Statements, records and whatever else it shares with query cases.
    pub plain: Case,
    pub responses: Vec<Expected>,
    /// Set where a request must be refused.
    pub expected_error: Option<ExpectedError>,
    /// The records come once the first query runs.
    pub waits_for_push: bool,
    /// Rows come in the order given.
    pub verifies_order: bool,
    /// Each query is asked again for messages of Protocol Buffers.
    pub asks_for_messages: bool,
}

/// An answer, as far as the case knows it.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// To a statement.
    Admin(Json),
    /// To a query: `header`, `row` and `finalMessage` objects.
    Query(Vec<Json>),
    /// The same with rows as messages.
    Messages(Vec<Json>),
}

/// How a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct ExpectedError {
    /// As `@type` says it.
    pub kind: Option<&'static str>,
    pub status: Option<u64>,
    /// Is in the message.
    pub message: String,
}

/// Reads a file of cases and expands them.
///
/// # Errors
/// The file can't be read or does not have the shape of a case file.
pub(crate) fn load(path: &Path) -> Result<Vec<RestCase>, String> {
    case::load_as(path, parse)
}

fn parse(file: &str, test: &Json) -> Result<RestCase, String> {
    let plain = case::parse(file, test)?;
    let wrong = |what: String| format!("{}: {what}", plain.name);
    let expected_error = match &test["expectedError"] {
        Json::Null => None,
        error => Some(ExpectedError {
            kind: error["type"].as_str().map(kind_of).transpose().map_err(wrong)?,
            status: error["status"].as_u64(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
        }),
    };
    Ok(RestCase {
        responses: responses(&test["responses"]).map_err(wrong)?,
        expected_error,
        waits_for_push: test["inputConditions"]["waitForActivePushQuery"] == json!(true),
        verifies_order: test["outputConditions"]["verifyOrder"] == json!(true),
        asks_for_messages: test["testPullWithProtoFormat"] == json!(true),
        plain,
    })
}

fn responses(list: &Json) -> Result<Vec<Expected>, String> {
    let response = |response: &Json| {
        let entries = |name: &str| response[name].as_array().cloned();
        match (response.get("admin"), entries("query"), entries("queryProto")) {
            (Some(admin), ..) => Ok(Expected::Admin(admin.clone())),
            (_, Some(query), _) => Ok(Expected::Query(query)),
            (.., Some(messages)) => Ok(Expected::Messages(messages)),
            _ => Err(format!("a response is \"admin\", \"query\" or \"queryProto\", not {response}")),
        }
    };
    list.as_array().into_iter().flatten().map(response).collect()
}

/// What ksqlDB's class of an error is called in its JSON.
fn kind_of(class: &str) -> Result<&'static str, String> {
    match class.rsplit('.').next().unwrap_or_default() {
        "KsqlStatementErrorMessage" => Ok("statement_error"),
        "KsqlErrorMessage" => Ok("generic_error"),
        other => Err(format!("{other} is no class of errors")),
    }
}

impl RestCase {
    /// The case with our answer.
    pub(super) fn differing(&self, difference: &Difference) -> RestCase {
        let plain = difference.apply(&self.plain);
        let expected_error = plain.expected_error.clone().map(|message| ExpectedError { kind: None, status: None, message });
        let listed = difference.responses().and_then(|listed| responses(listed).ok());
        RestCase { plain, expected_error, responses: listed.unwrap_or_else(|| self.responses.clone()), ..self.clone() }
    }
}
