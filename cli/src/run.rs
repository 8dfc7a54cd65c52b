//! `tidemill run`: scripts, one after the other, on a server or on one of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemill_server::{ConfigBuilder, Server};

use crate::client::Client;
use crate::logging;
use crate::shell::{Output, Session};

/// What is logged of the in-process server where TIDEMILL_LOG says nothing: a script's own output comes first.
const DEFAULT_FILTER: &str = "warn";
/// How long a pull query waits for the queries to catch up with what the script inserted.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scripts, run in this order; the first error ends the run with exit code 1
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run on this server; without it, in this process on the embedded log
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Folder of the in-process server's state and log [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data_dir: Option<PathBuf>,
    /// How results are shown
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Runs the scripts; the exit code is 1 if a statement failed or no server could be had.
pub fn run(args: &RunArgs) -> i32 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidemill: the runtime can't start: {error}");
            return 1;
        }
    };
    let result = match &args.server {
        Some(url) => Ok(runtime.block_on(run_files(args, Session::new(Client::new(url), args.output)))),
        None => runtime.block_on(run_in_process(args)),
    };
    match result {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(reason) => {
            eprintln!("tidemill: {}", reason.replace('\n', " "));
            1
        }
    }
}

/// False: a statement failed, and said so.
async fn run_files(args: &RunArgs, mut session: Session) -> bool {
    for file in &args.files {
        if !session.run_file(file).await {
            return false;
        }
    }
    true
}

async fn run_in_process(args: &RunArgs) -> Result<bool, String> {
    logging::init(DEFAULT_FILTER);
    // Lives until the server has ended.
    let mut scratch = None;
    let data_dir = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => {
            let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
            scratch.insert(folder).path().to_owned()
        }
    };
    let config = ConfigBuilder::new()
        .set("listeners", "http://127.0.0.1:0", "tidemill run")
        .set("tidemill.data.dir", &data_dir.display().to_string(), "--data-dir")
        .build()
        .map_err(|e| e.to_string())?;
    let running = Server::start(config).await.map_err(|e| e.to_string())?;
    let engine = running.engine.clone();
    // A script means what it says: what it inserted before a question counts in the answer.
    let session = Session::new(Client::new(&format!("http://{}", running.addr)), args.output).before_pull(move || {
        match engine.settle(SETTLE_PATIENCE) {
            Ok(true) => {}
            Ok(false) => tracing::warn!("the queries have not caught up after {SETTLE_PATIENCE:?}; the answer is what they know so far"),
            Err(error) => tracing::warn!(%error, "whether the queries have caught up is unknown"),
        }
    });
    let succeeded = tokio::select! {
        succeeded = run_files(args, session) => succeeded,
        _ = tokio::signal::ctrl_c() => false,
    };
    running.shutdown().await;
    drop(scratch);
    Ok(succeeded)
}
