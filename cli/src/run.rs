//! `tidemill run`: scripts, one after the other, on a server or on one of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tidemill_engine::Engine;
use tidemill_engine::runtime::QueryState;
use tidemill_server::{ConfigBuilder, Server};

use crate::client::Client;
use crate::logging;
use crate::shell::{ConnectArgs, Ending, Output, Screen, Session};

/// What is logged of the in-process server where TIDEMILL_LOG says nothing: a script's own output comes first.
const DEFAULT_FILTER: &str = "warn";
/// How long a pull query waits for the queries to catch up with what the script inserted.
const SETTLE_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Scripts, run in this order (-: standard input); the first error ends the run with exit code 1
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run on this server; without it, in this process on the embedded log
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Folder of the in-process server's state and log [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data_dir: Option<PathBuf>,
    /// How results are shown
    #[arg(long, value_enum, ignore_case = true, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Runs the scripts; the exit code is 1 if a statement failed or no server could be had.
pub fn run(args: &RunArgs) -> i32 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Screen::new(false).complain(&format!("tidemill: the runtime can't start: {error}"));
            return 1;
        }
    };
    let result = runtime.block_on(async {
        match &args.server {
            Some(url) => {
                let client = args.connect.client(url).map_err(|error| error.to_string())?;
                run_files(args, session(args, client)).await
            }
            None => run_in_process(args).await,
        }
    });
    match result {
        Ok(ending) => ending.code(),
        Err(reason) => {
            Screen::new(false).complain(&format!("tidemill: {}", reason.replace('\n', " ")));
            1
        }
    }
}

fn session(args: &RunArgs, client: Client) -> Session {
    Session::new(client, Screen::new(false), args.output, args.connect.limits())
}

async fn run_files(args: &RunArgs, mut session: Session) -> Result<Ending, String> {
    args.connect.prepare(&mut session).await?;
    for file in &args.files {
        let ending = session.run_file(file).await;
        if ending != Ending::Done {
            return Ok(ending);
        }
    }
    Ok(Ending::Done)
}

async fn run_in_process(args: &RunArgs) -> Result<Ending, String> {
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
    let of_registry = std::env::vars().filter(|(name, _)| name.contains("SCHEMA_REGISTRY"));
    let config = ConfigBuilder::new()
        .env(of_registry)
        .set("listeners", "http://127.0.0.1:0", "tidemill run")
        .set("tidemill.data.dir", &data_dir.display().to_string(), "--data-dir")
        .build()
        .map_err(|e| e.to_string())?;
    let running = Server::start(config).await.map_err(|e| e.to_string())?;
    let engine = running.engine.clone();
    let client = args.connect.client(&format!("http://{}", running.addr)).map_err(|error| error.to_string());
    let ended = match client {
        Ok(client) => {
            // A script means what it says: what it inserted before a question counts in the answer.
            let session = session(args, client).before_pull(move || match engine.settle(SETTLE_PATIENCE) {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("the queries have not caught up after {SETTLE_PATIENCE:?}; the answer is what they know so far");
                }
                Err(error) => tracing::warn!(%error, "whether the queries have caught up is unknown"),
            });
            run_files(args, session).await
        }
        Err(reason) => Err(reason),
    };
    let ended = match ended {
        Ok(Ending::Done) => tokio::task::block_in_place(|| check_queries(&running.engine)).map(|()| Ending::Done),
        other => other,
    };
    running.shutdown().await;
    drop(scratch);
    ended
}

/// Whether the script's queries have got through what it inserted: one that has failed would otherwise go with the server, unseen.
fn check_queries(engine: &Engine) -> Result<(), String> {
    // One that is not done yet is no failure.
    let _ = engine.settle(SETTLE_PATIENCE);
    let failed = engine.queries().persistent().into_iter().filter_map(|query| match query.state() {
        QueryState::Failed(failure) => Some(format!("query {} has failed: {}", query.id, failure.reason)),
        _ => None,
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}
