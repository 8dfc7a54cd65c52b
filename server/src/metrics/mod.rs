//! Numbers for Prometheus (`GET /metrics`): what the counters that exist say at the moment when they are asked for. Nothing is
//! gathered here by the record or by the row; SHOW QUERIES EXTENDED and DESCRIBE EXTENDED read the same counters.
//!
//! Labels hold names of queries, topics and endpoints only, never what a client or a record brought.

mod lags;
mod page;
mod process;
mod queries;
mod requests;
mod standbys;

use std::sync::Arc;

use crate::app::App;
pub use lags::{Lag, Lags};
use page::{Kind, Page};
pub use requests::Requests;

/// Everything, as Prometheus's text.
pub async fn text(app: &Arc<App>) -> String {
    let lags = app.lags.look(app).await;
    let mut page = Page::default();
    about(app, &mut page);
    queries::write(app, &lags, &mut page);
    log(app, &mut page);
    standbys::write(app, &mut page);
    app.requests.write(&mut page);
    let name = "tidemill_http_denied_total";
    page.family(name, Kind::Counter, "Requests that were not let in (401, 403), or whose password could not be looked at (429).");
    for (status, count) in app.config.access.iter().flat_map(|access| access.denied()) {
        page.sample(name, &[("status", status)], count);
    }
    page.one("tidemill_http_connections", Kind::Gauge, "Connections that are open.", app.connections.open());
    page.one("tidemill_http_connections_max", Kind::Gauge, "Connections that may be open at a time.", app.connections.max());
    process::write(&mut page);
    page.into_text()
}

fn about(app: &App, page: &mut Page) {
    page.family("tidemill_info", Kind::Gauge, "Which server this is; always 1.");
    let (service, log) = (app.engine.config().service_id.as_str(), app.engine.log().kind());
    page.sample("tidemill_info", &[("version", env!("CARGO_PKG_VERSION")), ("service_id", service), ("log", log)], 1);
    page.one("tidemill_uptime_seconds", Kind::Gauge, "Since the server was opened.", app.started.elapsed().as_secs_f64());
}

fn log(app: &App, page: &mut Page) {
    let log = app.engine.log();
    page.one(
        "tidemill_log_up",
        Kind::Gauge,
        "Whether the log answers, as far as is known without asking.",
        u8::from(log.outage().is_none()),
    );
    let help = "How often records that were sent may have been lost while later ones arrived; what is sent again is counted again.";
    page.one("tidemill_log_gaps_total", Kind::Counter, help, log.gaps());
}
