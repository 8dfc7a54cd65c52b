//! `POST /inserts-stream`: rows for one stream or table, a line each, acknowledged one by one while more may come. The first line
//! says where they go. The first row that can't be written ends the answer.
//!
//! A client that does not read its acknowledgements is not read from either.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream;
use http_body_util::BodyExt;
use hyper::StatusCode;
use serde_json::{Map, Value as Json, json};
use tidemill_engine::engine::{EngineError, Inserting, TOKEN, Unwritten};

use crate::access::{Asker, Ousted, Role};
use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::net::{ReplyBody, RequestBody};
use crate::reply::{self, Reply};
use crate::request::settings;
use crate::statements::guard;

/// How long a client may take for the first line.
const FIRST_LINE_TIMEOUT: Duration = Duration::from_secs(30);
/// Rows that are written before their acknowledgements are sent, at most.
const MAX_ROWS_AT_A_TIME: usize = 500;

/// How acknowledgements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckForm {
    Lines,
    Array,
}

/// What can be answered, by media type; the first is taken where the client does not care.
pub const OFFERED: [(&str, AckForm); 2] = [("application/vnd.ksqlapi.delimited.v1", AckForm::Lines), ("application/json", AckForm::Array)];

pub async fn inserts_stream(app: Arc<App>, body: RequestBody, form: AckForm, asker: &Asker) -> Reply {
    if app.reads_only() {
        return guard::reads_only(&app, "").bare_reply();
    }
    let mut rows = Rows { body, buffer: BytesMut::new(), most: app.config.max_body_bytes, is_over: false };
    let first = match tokio::time::timeout(FIRST_LINE_TIMEOUT, rows.lines(1)).await {
        Ok(Ok(mut lines)) => lines.pop_front().unwrap_or_default(),
        Ok(Err(message)) => return ApiError::bad_request(message).bare_reply(),
        Err(_) => return ApiError::generic(ErrorCode::REQUEST_TIMEOUT, "The first line did not come in time").bare_reply(),
    };
    let (target, wants_token) = match target(&app, &first) {
        Ok(target) => target,
        Err(error) => return error.bare_reply(),
    };
    let asked = app.clone();
    let prepared = app.blocking.run(Kind::Statement, move || asked.engine.inserting(&target)).await;
    let inserting = match prepared {
        Ok(Ok(inserting)) => inserting,
        Ok(Err(error)) => return ApiError::generic(ErrorCode::BAD_STATEMENT, error.message).bare_reply(),
        Err(broken) => return ApiError::generic(ErrorCode::SERVER_ERROR, broken.to_string()).bare_reply(),
    };
    let ousted = asker.principal.ousted(Role::Write);
    let acknowledging = Acknowledging { app, rows, inserting: Some(inserting), form, wants_token, next: 0, is_over: false, ousted };
    let mut answer = reply::stream(None, ReplyBody::stream(stream::unfold(acknowledging, Acknowledging::next)));
    *answer.status_mut() = StatusCode::OK;
    answer
}

/// Where rows go, by the first line, and whether acknowledgements are to bear tokens.
fn target(app: &App, line: &[u8]) -> Result<(String, bool), ApiError> {
    let wrong = |what: String| ApiError::bad_request(format!("Invalid JSON in request: {what}"));
    let mut object = match serde_json::from_slice(line) {
        Ok(Json::Object(object)) => object,
        Ok(_) => return Err(wrong("the first line is to be an object with 'target'".to_owned())),
        Err(error) => return Err(wrong(format!("{error}: {}", beginning(line)))),
    };
    let properties = settings(&mut object, "properties")?;
    if !properties.is_empty() {
        app.config.overrides.resolve(&properties).map_err(|error| ApiError::overrides(&error, ""))?;
    }
    let target = match object.remove("target") {
        Some(Json::String(target)) if !target.trim().is_empty() => target,
        Some(Json::String(_)) => return Err(wrong("'target' is empty; it names a stream or a table".to_owned())),
        _ => return Err(wrong("Missing required property 'target', the name of a stream or a table".to_owned())),
    };
    if !app.config.flag("ksql.insert.into.values.enabled") {
        return Err(ApiError::bad_request("Inserting rows is switched off by ksql.insert.into.values.enabled=false"));
    }
    Ok((target, properties.contains_key(TOKEN)))
}

/// What a line begins with, quoted.
fn beginning(line: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(line);
    format!("'{}'", text.chars().take(SHOWN).collect::<String>().escape_debug())
}

/// Lines of a body, as they come.
struct Rows {
    body: RequestBody,
    buffer: BytesMut,
    /// Bytes of a line at most.
    most: usize,
    is_over: bool,
}

impl Rows {
    /// The next lines that are there, `most` at most; waits where there is none. Empty: the body is over.
    async fn lines(&mut self, most: usize) -> Result<VecDeque<Bytes>, String> {
        loop {
            let mut lines = VecDeque::new();
            while lines.len() < most
                && let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n')
            {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                if !line.trim_ascii().is_empty() {
                    lines.push_back(line);
                }
            }
            if lines.is_empty() && self.is_over {
                let rest = self.buffer.split().freeze();
                if !rest.trim_ascii().is_empty() {
                    lines.push_back(rest);
                }
                return Ok(lines);
            }
            if !lines.is_empty() {
                return Ok(lines);
            }
            if self.buffer.len() > self.most {
                return Err(format!("a line is longer than {} bytes, the limit set by tidemill.http.max.body.bytes", self.most));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(format!("the rows could not be read: {error}")),
                None => self.is_over = true,
            }
        }
    }
}

/// An answer under way.
struct Acknowledging {
    app: Arc<App>,
    rows: Rows,
    /// Lent to whoever writes.
    inserting: Option<Inserting>,
    form: AckForm,
    /// Acknowledgements say up to where topics then hold the rows.
    wants_token: bool,
    /// The number of the next row.
    next: u64,
    is_over: bool,
    /// Whoever may not write any more is not read from any more.
    ousted: Ousted,
}

impl Acknowledging {
    /// The next chunk: acknowledgements of the rows that came, or what ends the answer.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.is_over {
            return None;
        }
        let came = tokio::select! {
            biased;
            why = &mut self.ousted => {
                let mut out = Vec::new();
                self.refused(&mut out, ErrorCode::UNAUTHORIZED, &why);
                return self.ended(out);
            }
            came = self.rows.lines(MAX_ROWS_AT_A_TIME) => came,
        };
        let lines = match came {
            Ok(lines) if lines.is_empty() => return self.ended(Vec::new()),
            Ok(lines) => lines,
            Err(message) => {
                let mut out = Vec::new();
                self.refused(&mut out, ErrorCode::BAD_REQUEST, &message);
                return self.ended(out);
            }
        };
        let mut inserting = self.inserting.take()?;
        let wants_token = self.wants_token;
        let work = move || {
            let (written, failure) = write(&mut inserting, &lines);
            if !wants_token || written == 0 {
                return ((written, failure), None, inserting);
            }
            match inserting.token() {
                Ok(token) => ((written, failure), Some(token.to_string()), inserting),
                // The rows are there, and that is acknowledged.
                Err(error) => ((written, failure.or(Some((code_of(&error), error.message)))), None, inserting),
            }
        };
        let ((written, failure), token) = match self.app.blocking.run(Kind::Statement, work).await {
            Ok((wrote, token, inserting)) => {
                self.inserting = Some(inserting);
                (wrote, token)
            }
            Err(broken) => ((0, Some((ErrorCode::SERVER_ERROR, broken.to_string()))), None),
        };
        let mut out = Vec::new();
        for _ in 0..written {
            let mut acknowledged = json!({"status": "ok", "seq": self.next});
            if let (Some(token), Some(entry)) = (&token, acknowledged.as_object_mut()) {
                entry.insert("consistencyToken".to_owned(), token.as_str().into());
            }
            self.push(&mut out, &acknowledged);
            self.next += 1;
        }
        match failure {
            None => Some((out.into(), self)),
            Some((code, message)) => {
                self.refused(&mut out, code, &message);
                self.ended(out)
            }
        }
    }

    fn refused(&mut self, out: &mut Vec<u8>, code: ErrorCode, message: &str) {
        let refused = json!({"@type": "InsertError", "status": "error", "seq": self.next, "message": message, "error_code": code.0});
        self.push(out, &refused);
    }

    fn push(&self, out: &mut Vec<u8>, entry: &Json) {
        let is_first = self.next == 0 && out.is_empty();
        if self.form == AckForm::Array {
            out.push(if is_first { b'[' } else { b',' });
        }
        out.extend_from_slice(entry.to_string().as_bytes());
        if self.form == AckForm::Lines {
            out.push(b'\n');
        }
    }

    fn ended(mut self, mut out: Vec<u8>) -> Option<(Bytes, Self)> {
        if self.form == AckForm::Array {
            out.extend_from_slice(if self.next == 0 && out.is_empty() { b"[]" } else { b"]" });
        }
        self.is_over = true;
        (!out.is_empty()).then(|| (out.into(), self))
    }
}

/// Writes rows up to the first that can't be written: how many were, and what is wrong with that one.
fn write(inserting: &mut Inserting, lines: &VecDeque<Bytes>) -> (usize, Option<(ErrorCode, String)>) {
    let mut written = 0;
    let mut flush = |inserting: &mut Inserting| match inserting.write() {
        Ok(count) => {
            written += count;
            (written, None)
        }
        Err(Unwritten { written: count, error }) => {
            written += count;
            (written, Some((code_of(&error), error.message)))
        }
    };
    for line in lines {
        let object = match serde_json::from_slice(line) {
            Ok(Json::Object(object)) => Ok(object),
            _ => Err((ErrorCode::BAD_REQUEST, "Invalid JSON in inserts stream: each line is an object".to_owned())),
        };
        let pushed =
            object.and_then(|object: Map<String, Json>| inserting.push_object(&object).map_err(|error| (code_of(&error), error.message)));
        if let Err(refused) = pushed {
            // Those before it are written first, which may fail as well.
            let (written, failure) = flush(inserting);
            return (written, failure.or(Some(refused)));
        }
        if inserting.is_full()
            && let (written, Some(failure)) = flush(inserting)
        {
            return (written, Some(failure));
        }
    }
    flush(inserting)
}

fn code_of(error: &EngineError) -> ErrorCode {
    use tidemill_engine::engine::Blame;
    match error.blame {
        Blame::User => ErrorCode::BAD_REQUEST,
        Blame::External | Blame::Internal => ErrorCode::SERVER_ERROR,
    }
}
