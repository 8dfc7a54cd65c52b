//! `tidemill shell`: type SQL, see tables. Statements go to the server over HTTP; only what belongs to the session
//! (SET, DEFINE, the output's form) stays here.

mod commands;
mod complete;
mod entities;
mod lines;
mod login;
mod options;
mod pager;
pub mod place;
mod prompt;
mod render;
mod screen;
mod secret;
mod session;

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use crate::client::{Client, ClientError};
pub use login::{LoginArgs, client_with, token_of_environment};
pub use options::{ConnectArgs, ShellArgs, definition};
pub use render::Output;
pub use screen::Screen;
pub use secret::ask_password;
use session::STANDARD_INPUT;
pub use session::{Ending, Session, bare};

/// How long the start waits for a server that is just starting.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Runs the shell; the exit code says whether all went well (1: something of a script failed).
pub async fn run(args: ShellArgs) -> i32 {
    let scripts = args.scripts();
    // Nobody types where there are scripts or the input is a pipe.
    let interactive = scripts.is_empty() && std::io::stdin().is_terminal();
    let mut screen = Screen::new(interactive);
    let mut session = match args.connect.client(&args.url) {
        Ok(client) => Session::new(client, screen, args.output, args.connect.limits()),
        Err(error) => {
            screen.complain(&error.to_string());
            return 1;
        }
    };
    let client = session.client().clone();
    let version = match session.limited(greet(&client)).await {
        Ok(version) => version,
        Err(failure) => {
            session.screen.complain(&failure.to_string());
            return 1;
        }
    };
    if let Err(reason) = args.connect.prepare(&mut session).await {
        session.screen.complain(&reason);
        return 1;
    }
    if interactive {
        return prompt::interact(session, &version).await;
    }
    let mut ending = Ending::Done;
    for script in &scripts {
        ending = match script {
            options::Script::Text(sql) => session.run_text(sql, None).await,
            options::Script::File(file) => session.run_file(file).await,
        };
        if ending != Ending::Done {
            return ending.code();
        }
    }
    if scripts.is_empty() {
        ending = session.run_file(Path::new(STANDARD_INPUT)).await;
    }
    ending.code()
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
