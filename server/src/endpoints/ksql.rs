//! `POST /ksql`: statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::blocking::Kind;
use crate::consistency;
use crate::error::{ApiError, ErrorCode};
use crate::reply::{self, Reply};
use crate::request::KsqlRequest;
use crate::statements::{self, Caller};

/// How long a command that the client knows of may take to be known here.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked for.
const COMMAND_POLL: Duration = Duration::from_millis(20);

pub async fn ksql(app: Arc<App>, body: &[u8], caller: Caller, token: Option<String>) -> Reply {
    let mut request = match KsqlRequest::read(body) {
        Ok(request) => request,
        Err(error) => return error.bare_reply(),
    };
    if let Some(number) = request.command_sequence_number
        && let Err(error) = wait_for_command(&app, number).await
    {
        return error.reply();
    }
    consistency::put(&mut request.properties, token);
    let asked = app.clone();
    let run = move || {
        let entities = statements::run(&asked, &request, &caller)?;
        let written = caller.written.into_inner();
        let token = (!written.is_empty()).then(|| asked.engine.token_after(&written)).transpose();
        // The rows are there, and an error would have them written again.
        let token = token.unwrap_or_else(|error| {
            tracing::warn!(reason = error.message, "rows were written, and where they are can't be told");
            None
        });
        Ok::<_, ApiError>((entities, token))
    };
    match app.blocking.run(Kind::Statement, run).await {
        Ok(Ok((entities, token))) => {
            let mut reply = reply::json(&entities);
            if let Some(token) = token {
                consistency::tell(&mut reply, &token);
            }
            reply
        }
        Ok(Err(error)) => error.reply(),
        Err(error) => {
            tracing::error!(%error, "a statement broke off");
            ApiError::generic(ErrorCode::SERVER_ERROR, format!("the statement broke off: {error}")).reply()
        }
    }
}

async fn wait_for_command(app: &App, number: i64) -> Result<(), ApiError> {
    let started = Instant::now();
    while app.engine.last_sequence_number() < number {
        if started.elapsed() > COMMAND_TIMEOUT {
            return Err(ApiError::generic(
                ErrorCode::COMMAND_TIMEOUT,
                format!("Timed out while waiting for a previous command to execute. command sequence number: {number}"),
            ));
        }
        tokio::time::sleep(COMMAND_POLL).await;
    }
    Ok(())
}
