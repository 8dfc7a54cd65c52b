//! The log of a process: to standard error, filtered by TIDEMILL_LOG.

use tracing_subscriber::EnvFilter;

/// Starts logging; `default` is the filter where TIDEMILL_LOG is unset or not understood.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_env("TIDEMILL_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}
