//! Ctrl-C while a request is under way: it cancels the request, not the shell.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for SIGINT from its making on, so that none is missed between two requests.
pub struct Interrupts(Option<Signal>);

impl Interrupts {
    /// Needs a runtime that is entered. Where signals can't be watched, Ctrl-C ends the process as ever.
    pub fn new() -> Self {
        Interrupts(signal(SignalKind::interrupt()).ok())
    }

    /// The next one.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Forgets those that came before now.
    pub async fn forget(&mut self) {
        tokio::select! {
            biased;
            () = self.next() => {}
            () = std::future::ready(()) => {}
        }
    }
}
