//! `POST /query-stream`: one query or PRINT; without an Accept header, lines.

use std::sync::Arc;

use crate::access::Asker;
use crate::app::App;
use crate::consistency;
use crate::error::{ApiError, ErrorCode};
use crate::query::{self, Prepared, PrintOptions, QueryRequest};
use crate::reply::Reply;
use crate::request::QueryStreamRequest;
use crate::rows::RowFormat;

/// What can be answered, by media type; the first is taken where the client does not care.
pub const OFFERED: [(&str, RowFormat); 4] = [
    ("application/vnd.ksqlapi.delimited.v1", RowFormat::Delimited),
    ("application/json", RowFormat::JsonArray),
    ("application/vnd.ksql.v1+json", RowFormat::KsqlV1),
    ("application/vnd.ksql.v1+protobuf", RowFormat::KsqlV1Protobuf),
];

pub async fn query_stream(app: Arc<App>, body: &[u8], format: RowFormat, asker: Asker, token: Option<String>) -> Reply {
    let mut request = match QueryStreamRequest::read(body) {
        Ok(request) => request,
        Err(error) => return error.chunked_reply(),
    };
    consistency::put(&mut request.properties, token);
    let request = Arc::new(QueryRequest { sql: request.sql, properties: request.properties, variables: request.variables });
    let prepared = match query::prepare(&app, &request).await {
        Ok(prepared) => prepared,
        Err(error) => return error.chunked_reply(),
    };
    let text = prepared.text;
    let answered = match prepared.statement {
        Prepared::Pull(pull) => query::pull(app, pull, text, prepared.known_as, &request.properties, format).await,
        Prepared::Known(known) => query::known_look_up(app, known, format).await,
        Prepared::Ask => query::ask(app, text, &request.properties, format).await,
        Prepared::Analyze(id) => query::analyze(app, &id, &text, format).await,
        Prepared::Push(push) => query::push(app, push, text, &request.properties, format, asker).await,
        Prepared::Print(print) => query::print(app, print, text, PrintOptions::query_stream(), &asker).await,
        Prepared::Other => Err(ApiError::statement(
            ErrorCode::BAD_STATEMENT,
            "Neither a query nor a print statement: /query-stream takes SELECT and PRINT, /ksql all others",
            text,
        )),
    };
    answered.unwrap_or_else(|error| error.chunked_reply())
}
