//! Somebody who asks for `/metrics` again and again while a query runs, as Prometheus does.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::Connection;

/// What a page must tell: a page that says nothing of the query would cost nothing.
const TOLD: &str = "tidemill_query_records_read_total{";

/// Asks until it is ended.
pub struct Scraper {
    end: Sender<()>,
    asking: JoinHandle<Result<(), String>>,
}

impl Scraper {
    /// Asks at once, and then so often.
    pub fn start(address: SocketAddr, every: Duration) -> Scraper {
        let (end, ended) = channel();
        let asking = std::thread::spawn(move || {
            let mut connection = Connection::open(address)?;
            let (mut next, mut has_told) = (Instant::now(), false);
            loop {
                let page = connection.get("/metrics")?;
                if page.status != 200 {
                    return Err(format!("/metrics answers with {}", page.status));
                }
                has_told |= String::from_utf8_lossy(&page.body).contains(TOLD);
                next += every;
                match ended.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ if has_told => return Ok(()),
                    _ => return Err(format!("no page of /metrics told {TOLD}")),
                }
            }
        });
        Scraper { end, asking }
    }

    /// # Errors
    /// A page was not what it must be.
    pub fn end(self) -> Result<(), String> {
        // Where it has failed it hears nothing.
        let _ = self.end.send(());
        self.asking.join().map_err(|_| "the scraper panicked".to_owned())?
    }
}
