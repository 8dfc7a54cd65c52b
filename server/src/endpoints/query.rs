//! `POST /query`: one query or PRINT; without an Accept header the older form.

use std::sync::Arc;

use crate::access::Asker;
use crate::app::App;
use crate::consistency;
use crate::error::ApiError;
use crate::query::{self, Prepared, PrintOptions, QueryRequest};
use crate::reply::Reply;
use crate::request::KsqlRequest;
use crate::rows::RowFormat;

/// What can be answered, by media type; the first is taken where the client does not care.
pub const OFFERED: [(&str, RowFormat); 4] = [
    ("application/vnd.ksqlapi.delimited.v1", RowFormat::Delimited),
    ("application/json", RowFormat::KsqlV1),
    ("application/vnd.ksql.v1+json", RowFormat::KsqlV1),
    ("application/vnd.ksql.v1+protobuf", RowFormat::KsqlV1Protobuf),
];

/// Without an Accept header.
pub const DEFAULT: RowFormat = RowFormat::KsqlV1;

pub async fn query(app: Arc<App>, body: &[u8], format: RowFormat, asker: Asker, token: Option<String>) -> Reply {
    let mut request = match KsqlRequest::read(body) {
        Ok(request) => request,
        Err(error) => return error.bare_reply(),
    };
    if request.ksql.is_empty() {
        return ApiError::bad_request("\"ksql\" field must be populated").reply();
    }
    consistency::put(&mut request.properties, token);
    let request = Arc::new(QueryRequest { sql: request.ksql, properties: request.properties, variables: request.variables });
    let prepared = match query::prepare(&app, &request).await {
        Ok(prepared) => prepared,
        Err(error) => return error.reply(),
    };
    let text = prepared.text;
    let (known, answered) = match prepared.statement {
        Prepared::Pull(pull) => {
            (query::knows_sources(&app, &pull), query::pull(app, pull, text, prepared.known_as, &request.properties, format).await)
        }
        Prepared::Known(known) => (true, query::known_look_up(app, known, format).await),
        Prepared::Ask => (true, query::ask(app, text, &request.properties, format).await),
        Prepared::Analyze(id) => (true, query::analyze(app, &id, &text, format).await),
        Prepared::Push(push) => (query::knows_sources(&app, &push), query::push(app, push, text, &request.properties, format, asker).await),
        Prepared::Print(print) => (false, query::print(app, print, text, PrintOptions::query(), &asker).await),
        Prepared::Other => {
            let message = "Statement type not supported for this resource: /query takes SELECT and PRINT, /ksql all others";
            return ApiError::bad_request(message).reply();
        }
    };
    answered.unwrap_or_else(|error| if known { error.chunked_reply() } else { error.reply() })
}
