//! `POST /cluster/scan`: another server of the service scans a table, and asks for what this one has of it. It is never sent on.
//! `POST /cluster/scan/end`: it wants nothing more of a scan, whose name is the body.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use tidemill_engine::engine::{EngineError, NotAnswered};
use tidemill_query::{HOLD, ScanQuestion};

use crate::app::App;
use crate::blocking::{Broken, Kind};
use crate::cluster::{read_scan_question, write_failure, write_scan_page};
use crate::error::ApiError;
use crate::reply::{self, JSON, Reply};

/// What a page is, to whoever else sees one.
const PAGE: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub async fn cluster_scan(app: Arc<App>, body: &[u8]) -> Reply {
    if !app.engine.config().is_shared {
        return reply::not_found();
    }
    let question = match read_scan_question(body) {
        Ok(question) => question,
        Err(reason) => return ApiError::bad_request(format!("The body is no question of another server: {reason}")).bare_reply(),
    };
    let asked = app.clone();
    let answered = app.blocking.run(Kind::Part, move || answer(&asked, &question)).await;
    let broke_off = |error: Broken| Err(NotAnswered::NotNow(format!("the query broke off: {error}")));
    match answered.unwrap_or_else(broke_off) {
        Ok((page, is_last)) => {
            if !is_last {
                forget_in_time(app);
            }
            reply::whole(StatusCode::OK, Some(PAGE), page)
        }
        Err(failure) => reply::whole(StatusCode::CONFLICT, Some(JSON), write_failure(&failure)),
    }
}

/// The page, and whether it is the last one.
fn answer(app: &App, question: &ScanQuestion) -> Result<(Vec<u8>, bool), NotAnswered> {
    let page = app.queries.answer_scan(question)?;
    let written = write_scan_page(&page).map_err(|error| NotAnswered::Failed(EngineError::internal(error.to_string())))?;
    Ok((written, page.left.is_empty()))
}

/// What was kept for the next page goes where nobody asks for that: one task sees to all scans, for as long as there are any.
fn forget_in_time(app: Arc<App>) {
    if app.forgets_scans.swap(true, Ordering::AcqRel) {
        return;
    }
    tokio::spawn(async move {
        let mut kept_for = HOLD;
        loop {
            tokio::time::sleep(kept_for).await;
            kept_for = match app.queries.forget_scans() {
                Some(next) => next,
                None => {
                    app.forgets_scans.store(false, Ordering::Release);
                    // One may have been kept meanwhile, when this seemed to go on.
                    match app.queries.forget_scans() {
                        Some(next) if !app.forgets_scans.swap(true, Ordering::AcqRel) => next,
                        _ => return,
                    }
                }
            };
        }
    });
}

pub async fn cluster_scan_end(app: Arc<App>, body: &[u8]) -> Reply {
    if !app.engine.config().is_shared {
        return reply::not_found();
    }
    let Ok(scan) = std::str::from_utf8(body).map(str::to_owned) else {
        return ApiError::bad_request("The body is no name of a scan").bare_reply();
    };
    // A snapshot may have much to let go of.
    let ending = app.clone();
    let _ = app.blocking.run(Kind::Part, move || ending.queries.end_scan(&scan)).await;
    reply::json(&serde_json::json!({}))
}
