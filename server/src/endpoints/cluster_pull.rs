//! `POST /cluster/pull`: another server of the service asks for its part of a pull query. It is never sent on.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use tidemill_engine::engine::{EngineError, NotAnswered, Question};
use tidemill_parser::ast::Statement;

use crate::app::App;
use crate::blocking::Kind;
use crate::cluster::{read_question, write_failure, write_page};
use crate::error::ApiError;
use crate::reply::{self, JSON, Reply};
use crate::statements::guard;

/// What a page is, to whoever else sees one.
const PAGE: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub async fn cluster_pull(app: Arc<App>, body: &[u8]) -> Reply {
    if !app.engine.config().is_shared {
        return reply::not_found();
    }
    let question = match read_question(body) {
        Ok(question) => question,
        Err(reason) => return ApiError::bad_request(format!("The body is no question of another server: {reason}")).bare_reply(),
    };
    let asked = app.clone();
    let answered = app.blocking.run(Kind::Part, move || answer(&asked, &question)).await;
    let broke_off = |error: crate::blocking::Broken| Err(NotAnswered::NotNow(format!("the query broke off: {error}")));
    match answered.unwrap_or_else(broke_off) {
        Ok(page) => reply::whole(StatusCode::OK, Some(PAGE), page),
        Err(failure) => reply::whole(StatusCode::CONFLICT, Some(JSON), write_failure(&failure)),
    }
}

fn answer(app: &App, question: &Question) -> Result<Vec<u8>, NotAnswered> {
    let failed = |message: String| NotAnswered::Failed(EngineError::user(message));
    let parsed = tidemill_parser::parse_statement(&question.statement).map_err(|error| failed(error.to_string()))?;
    let Statement::Select(query) = parsed.statement else { return Err(failed("Only queries are asked for in parts".to_owned())) };
    guard::check_query(app, &query, &question.statement).map_err(|error| failed(error.message().to_owned()))?;
    let page = app.engine.answer_part(&query, question)?;
    write_page(&page).map_err(|error| NotAnswered::Failed(EngineError::internal(error)))
}
