//! `tidemill server` as it is, with the engine's named points armed: `FAILPOINTS="commit.marked=3*off->return(kill)"` makes the
//! process die when it comes there for the fourth time. For tests; the binary that users get has no such thing in it.
//!
//! What a point does is said in the words of crate `fail`: `off`, `sleep(ms)`, `panic`, `return(…)`, with counts (`3*off`) and
//! shares (`10%return(…)`) before them. `return(kill)` ends the process as kill -9 does, `return(abort)` by abort, `return(exit)`
//! with code 86, `return(stop)` stops it (SIGSTOP) until it is told to go on, and `return(text)` is the error that the point's function gives back. Whatever happens is said on stderr first.

// The server's command itself: the same flags, signals and exit codes.
#[path = "../../../cli/src/logging.rs"]
#[allow(dead_code)]
mod logging;
#[path = "../../../cli/src/server.rs"]
mod server;

use std::io::Write;

use clap::{Parser, Subcommand};
use tidemill_engine::points::{self, Point};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code of `return(exit)`.
const EXIT_CODE: i32 = 86;

/// A server that fails where it is told to.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Server(server::ServerArgs),
}

fn main() {
    let scenario = fail::FailScenario::setup();
    points::arm(act);
    let Command::Server(args) = Cli::parse().command;
    let code = server::run(&args);
    scenario.teardown();
    std::process::exit(code);
}

/// What a point does.
fn act(point: Point) -> Option<String> {
    let said = fail::eval(point.name(), |said| said.unwrap_or_else(|| "fault".to_owned()))?;
    // A test looks for this line: the fault happened.
    let _ = writeln!(std::io::stderr(), "FAULT at {}: {said}", point.name());
    match said.as_str() {
        "kill" => {
            // SAFETY: sends a signal to this process.
            #[allow(unsafe_code)]
            unsafe {
                libc::kill(libc::getpid(), libc::SIGKILL);
            }
            // Until it arrives.
            loop {
                std::thread::park();
            }
        }
        "stop" => {
            // SAFETY: sends a signal to this process.
            #[allow(unsafe_code)]
            unsafe {
                libc::kill(libc::getpid(), libc::SIGSTOP);
            }
            None
        }
        "abort" => std::process::abort(),
        "exit" => std::process::exit(EXIT_CODE),
        _ => Some(format!("{said} (planned, at {})", point.name())),
    }
}
