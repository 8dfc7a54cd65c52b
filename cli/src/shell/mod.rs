//! `tidemill shell`: type SQL, see tables. Statements go to the server over HTTP; only what belongs to the session
//! (SET, DEFINE, the output's form) stays here.

mod complete;
mod entities;
mod place;
mod render;
mod run;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::client::{Client, ClientError};
use complete::{Names, ShellHelper};
pub use run::Session;

/// How long the start waits for a server that is just starting.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// Statements that the history keeps.
const HISTORY_LENGTH: usize = 1_000;

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The server
    #[arg(default_value = "http://127.0.0.1:8088", env = "TIDEMILL_SERVER")]
    url: String,
    /// Run this SQL and leave
    #[arg(short = 'e', long = "execute", value_name = "SQL")]
    execute: Vec<String>,
    /// Run this file and leave
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<std::path::PathBuf>,
    /// How results are shown
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables drawn to the terminal's width
    Table,
    /// One JSON document a line
    Json,
}

/// Runs the shell; the exit code says whether all went well (1: a one-shot failed).
pub async fn run(args: ShellArgs) -> i32 {
    let client = Client::new(&args.url);
    let mut session = Session::new(client.clone(), args.output);
    let version = match greet(&client).await {
        Ok(version) => version,
        Err(error) => {
            eprintln!("{error}");
            return 1;
        }
    };
    if !args.execute.is_empty() || !args.file.is_empty() {
        for sql in &args.execute {
            if !session.run_text(sql, None).await {
                return 1;
            }
        }
        for file in &args.file {
            if !session.run_file(file).await {
                return 1;
            }
        }
        return 0;
    }
    println!("Tidemill {version} at {}. Statements end with `;`. Type `help` for help, `exit` to leave.\n", client.url());
    interact(session).await
}

async fn greet(client: &Client) -> Result<String, ClientError> {
    let started = tokio::time::Instant::now();
    loop {
        match client.info().await {
            Ok(info) => {
                let server = info.get("KsqlServerInfo").unwrap_or(&info);
                return Ok(server.get("version").and_then(|v| v.as_str()).unwrap_or("").to_owned());
            }
            Err(ClientError::Unreachable { .. }) if started.elapsed() < CONNECT_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn interact(mut session: Session) -> i32 {
    let names = Arc::new(Names::default());
    let config = Config::builder().max_history_size(HISTORY_LENGTH).map(|c| c.auto_add_history(false).build());
    let editor = config.and_then(Editor::<ShellHelper, FileHistory>::with_config);
    let mut editor = match editor {
        Ok(editor) => editor,
        Err(error) => {
            eprintln!("the terminal can't be used: {error}");
            return 1;
        }
    };
    editor.set_helper(Some(ShellHelper::new(names.clone())));
    let history = history_file();
    if let Some(file) = &history {
        // The first start has none.
        let _ = editor.load_history(file);
    }
    session.learn_names(&names).await;
    loop {
        match editor.readline("tidemill> ") {
            Ok(line) => {
                let text = line.trim();
                if text.is_empty() {
                    continue;
                }
                let _ = editor.add_history_entry(text);
                if matches!(text.trim_end_matches(';').to_ascii_lowercase().as_str(), "exit" | "quit") {
                    break;
                }
                session.run_interactive(text).await;
                session.learn_names(&names).await;
            }
            // Ctrl-C drops the line, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) => println!("(`exit` or Ctrl-D leaves)"),
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                eprintln!("{error}");
                break;
            }
        }
    }
    if let Some(file) = &history {
        if let Some(folder) = file.parent() {
            let _ = std::fs::create_dir_all(folder);
        }
        if let Err(error) = editor.save_history(file) {
            eprintln!("the history can't be saved in {}: {error}", file.display());
        }
    }
    0
}

fn history_file() -> Option<std::path::PathBuf> {
    std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".tidemill").join("history"))
}
