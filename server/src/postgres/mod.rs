//! PostgreSQL's protocol: psql, drivers and what is built on them ask here what is asked by REST elsewhere, with the same users,
//! roles, limits and errors.
//!
//! A connection is one task on the threads that serve HTTP; whatever waits or computes goes where it does for REST ([`crate::blocking`],
//! the threads of queries). A statement's way: bytes ([`wire`]) → messages ([`message`]) → statements with their tokens ([`names`]) →
//! what they are ([`kind`]) → rows ([`rows`]), of which a batch is at hand at a time → bytes ([`output`]).
//!
//! Messages are read here and not by pgwire, whose reader believes what a message says of its own parts, and whose portals gather
//! a result before the first row is sent. From there come the system's catalog and its types ([`catalog`]).

mod catalog;
mod copy;
mod copy_in;
mod copy_kind;
mod copy_lines;
mod copy_values;
mod cursor;
mod error;
mod extended;
mod insert;
mod kind;
mod message;
mod names;
mod numeric;
mod output;
mod params;
mod prepare;
mod rows;
mod sending;
mod session;
mod settings;
mod simple;
mod startup;
mod statement;
mod system;
mod types;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::access::Access;
use crate::app::App;
use crate::net::{Leave, Place, Protocol};
use crate::opening::Opening;
use crate::tls::Listening;
use catalog::SystemCatalog;
use error::{IDLE, NOT_ADMITTED, PgError, SHUTDOWN, STARTING};
use session::Session;
use startup::{Begun, begin};
use wire::Patience;

/// What clients ask, once the engine is open.
#[derive(Clone)]
struct Ready {
    app: Arc<App>,
    catalog: Arc<SystemCatalog>,
}

/// A port where the protocol is spoken.
pub struct Port {
    tls: Option<Arc<Listening>>,
    /// Who may ask; `None`: everybody.
    access: Option<Arc<Access>>,
    patience: Patience,
    ready: Opening<Ready>,
    cancels: Cancels,
}

/// Connections by the number that clients know them by, with the secret that goes with it.
#[derive(Default)]
struct Cancels {
    next: AtomicU32,
    open: Mutex<HashMap<u32, (u32, Arc<Notify>)>>,
}

impl Port {
    pub fn new(tls: Option<Arc<Listening>>, access: Option<Arc<Access>>) -> Arc<Self> {
        Arc::new(Port { tls, access, patience: Patience::default(), ready: Opening::default(), cancels: Cancels::default() })
    }

    /// From now on there is somebody who answers.
    pub fn is_ready(&self, app: Arc<App>) {
        let catalog = SystemCatalog::new(app.engine.clone());
        self.ready.is_ready(Ready { app, catalog });
    }
}

/// A connection's entry, for as long as it is open.
struct Cancelled<'a> {
    cancels: &'a Cancels,
    process: u32,
    secret: u32,
    cancelled: Arc<Notify>,
}

impl Cancels {
    fn enter(&self) -> Cancelled<'_> {
        // Not to be guessed.
        let secret = u32::try_from(uuid::Uuid::new_v4().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
        let cancelled = Arc::new(Notify::new());
        let mut open = self.open.lock();
        loop {
            let process = self.next.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff;
            if process != 0 && !open.contains_key(&process) {
                open.insert(process, (secret, cancelled.clone()));
                return Cancelled { cancels: self, process, secret, cancelled };
            }
        }
    }

    fn cancel(&self, process: u32, secret: u32) {
        let found = self.open.lock().get(&process).filter(|(own, _)| *own == secret).map(|(_, cancelled)| cancelled.clone());
        if let Some(cancelled) = found {
            cancelled.notify_one();
        }
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.cancels.open.lock().remove(&self.process);
    }
}

impl Protocol for Port {
    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut place: Place) {
        let begun = tokio::select! {
            begun = begin(stream, peer, &self) => begun,
            _ = place.has_to_leave() => return,
        };
        let (mut wire, principal, parameters) = match begun {
            Ok(Begun::Session { wire, principal, parameters }) => (wire, principal, parameters),
            Ok(Begun::Cancel { process, secret }) => return self.cancels.cancel(process, secret),
            Ok(Begun::Refused(message)) => {
                tracing::info!(%peer, "a PostgreSQL client is not let in: {message}");
                return;
            }
            Err(wire::Gone::Left) => return,
            Err(gone) => {
                tracing::info!(%peer, "a connection for PostgreSQL did not begin: {gone}");
                return;
            }
        };
        let Some(Ready { app, catalog }) = self.ready.get().await else {
            wire.out.error(&PgError::fatal(STARTING, "the server is starting up; try again"));
            return wire.close().await;
        };
        let entry = self.cancels.enter();
        wire.out.key(entry.process, entry.secret);
        let mut ousted = principal.ousted(principal.role);
        let mut session = Box::new(Session::new(app, catalog, peer, principal, wire, entry.cancelled.clone(), place, parameters));
        let ended = tokio::select! {
            biased;
            why = &mut ousted => session::End::Ousted(why),
            ended = session.run() => ended,
        };
        let Session { mut wire, .. } = *session;
        let last_words = match ended {
            session::End::Left => None,
            session::End::Said => Some(None),
            session::End::Gone(gone) => {
                tracing::info!(%peer, "a PostgreSQL client's connection ends: {gone}");
                matches!(gone, wire::Gone::Malformed(_)).then(|| Some(PgError::fatal(error::PROTOCOL, gone.to_string())))
            }
            session::End::Ousted(why) => Some(Some(PgError::fatal(NOT_ADMITTED, format!("terminating connection: {why}")))),
            session::End::Leave(Leave::Ends) => Some(Some(PgError::fatal(SHUTDOWN, "terminating connection: the server is shutting down"))),
            session::End::Leave(Leave::Room) => {
                Some(Some(PgError::fatal(IDLE, "terminating connection: it was idle, and others wait for a connection")))
            }
        };
        if let Some(error) = last_words {
            if let Some(error) = error {
                wire.out.error(&error);
            }
            wire.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn only_who_knows_the_secret_cancels() {
        let cancels = Cancels::default();
        let entry = cancels.enter();
        let is_cancelled = || async { tokio::time::timeout(Duration::from_millis(20), entry.cancelled.notified()).await.is_ok() };
        cancels.cancel(entry.process, entry.secret.wrapping_add(1));
        cancels.cancel(entry.process.wrapping_add(1), entry.secret);
        assert!(!is_cancelled().await);
        cancels.cancel(entry.process, entry.secret);
        assert!(is_cancelled().await);
        let process = entry.process;
        drop(entry);
        assert!(!cancels.open.lock().contains_key(&process));
    }
}
