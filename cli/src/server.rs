//! `tidemill server`: the server as a process, with its signals and its exit codes.

use std::path::PathBuf;

use clap::Args;
use tidemill_server::{ConfigBuilder, ConfigError, Server, ServerConfig};

use crate::logging;

/// What is logged where TIDEMILL_LOG says nothing.
const DEFAULT_FILTER: &str = "info";

/// Threads for statements, scans of tables and streams, and whatever else waits for a disk or a broker; more requests queue.
const MAX_BLOCKING_THREADS: usize = 76;

const AFTER_HELP: &str = "\
Environment variables stand over the file, flags over both. KSQL_KSQL_SERVICE_ID and TIDEMILL_KSQL_SERVICE_ID are
ksql.service.id, as in ksqlDB's image; TIDEMILL_DATA_DIR is --data-dir. docs/configuration.md lists every property.
What would promise something that is not there, such as users without a file of them, stops the start.

A queries file is compared with what ran before: statements that were added at its end run at the next start; a file that
differs stops the start and says where.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ServerArgs {
    /// Properties file, with ksqlDB's names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8088]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Address where PostgreSQL's protocol is spoken: psql, drivers, JDBC [default: none]
    #[arg(long, value_name = "HOST:PORT")]
    postgres: Option<String>,
    /// Address where Arrow Flight SQL is spoken: ADBC, pandas, polars [default: none]
    #[arg(long, value_name = "HOST:PORT")]
    flight_sql: Option<String>,
    /// Folder of the state and of the embedded log [default: tidemill-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Kafka brokers; without them the embedded log is used
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// Script of statements: each runs once, in order, and the REST API then only reads
    #[arg(long, value_name = "FILE")]
    queries_file: Option<PathBuf>,
}

impl ServerArgs {
    fn config(&self) -> Result<ServerConfig, ConfigError> {
        let mut builder = ConfigBuilder::new();
        if let Some(file) = &self.config {
            builder = builder.file(file)?;
        }
        builder = builder.env(std::env::vars());
        let path = |path: &PathBuf| path.display().to_string();
        let flags = [
            ("listeners", "--listen", self.listen.clone()),
            ("tidemill.postgres.listen", "--postgres", self.postgres.clone()),
            ("tidemill.flight.sql.listen", "--flight-sql", self.flight_sql.clone()),
            ("tidemill.data.dir", "--data-dir", self.data_dir.as_ref().map(path)),
            ("bootstrap.servers", "--bootstrap-servers", self.bootstrap_servers.clone()),
            ("ksql.queries.file", "--queries-file", self.queries_file.as_ref().map(path)),
        ];
        for (name, flag, value) in flags {
            if let Some(value) = value {
                builder = builder.set(name, &value, flag);
            }
        }
        builder.build()
    }
}

/// Runs until SIGTERM or SIGINT; the exit code.
pub fn run(args: &ServerArgs) -> i32 {
    logging::init(DEFAULT_FILTER);
    match serve(args) {
        Ok(()) => 0,
        Err(reason) => {
            logging::say(&format!("tidemill: {}", reason.replace('\n', " ")));
            1
        }
    }
}

fn serve(args: &ServerArgs) -> Result<(), String> {
    let config = args.config().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("http")
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .build()
        .map_err(|e| format!("the runtime can't start: {e}"))?;
    let result = runtime.block_on(async {
        // Before anything is opened, so that no signal is missed.
        let end = end_signal().map_err(|e| format!("signals can't be watched: {e}"))?;
        let mut end = std::pin::pin!(end);
        let running = tokio::select! {
            running = Server::start(config) => running.map_err(|e| e.to_string())?,
            // The start may be waiting for a broker.
            signal = &mut end => return Err(format!("{signal} came before the start was done")),
        };
        let signal = end.await;
        tracing::info!("{signal}: ending");
        running.shutdown().await;
        tracing::info!("ended");
        Ok(())
    });
    runtime.shutdown_background();
    result
}

/// The name of the signal that ends the server.
fn end_signal() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Once it is listened for it ends nobody: it has files read again, where there are any that are (`tidemill_server::reload`).
    drop(signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
