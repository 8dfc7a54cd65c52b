//! The `tidemill` binary: server, shell, scripts, tests, data generator.

mod certificates;
mod client;
mod command_line;
mod conformance;
mod connector;
mod datagen;
mod doctor;
mod logging;
#[cfg(test)]
mod manual;
mod migrations;
mod properties_file;
mod run;
mod server;
mod shell;
mod sqltest;
mod testing;
mod user;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How jemalloc is set: memory that is not used any more goes back to the system within a second. With its own ten, ten thousand clients
/// that come and go leave twice as much resident (`tests/tests/e2e/flood.rs`). What `MALLOC_CONF` says in the environment comes on top.
// SAFETY: the name is the one that the allocator looks for, and it finds what it expects: a pointer to a text that ends with 0.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &[u8; 37] = b"dirty_decay_ms:1000,muzzy_decay_ms:0\0";

/// Streaming SQL for Kafka in one binary.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run queries and answer over HTTP
    Server(server::ServerArgs),
    /// Look at a data folder and its topics: what is sound, what a start would restore, what is left over
    Doctor(doctor::DoctorArgs),
    /// Run scripts, on a server or in process
    Run(run::RunArgs),
    /// Run tests: statements, rows in, assertions on what comes out
    Test(Box<testing::TestArgs>),
    /// Fill a topic with lively records
    Datagen(datagen::DatagenArgs),
    /// Type SQL, see tables
    Shell(shell::ShellArgs),
    /// Apply versioned files of statements to a server, as ksql-migrations does
    Migrations(migrations::MigrationsArgs),
    /// Add, list and remove users and tokens of a server
    User(user::UserArgs),
}

fn main() {
    command_line::hide_secrets();
    let cli = Cli::parse();
    // One thread is enough for a client; the server builds its own runtime.
    let client_runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            logging::say(&format!("the runtime can't start: {error}"));
            std::process::exit(1);
        }
    };
    let code = match cli.command {
        Command::Server(args) => server::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Test(args) => testing::run(&args),
        Command::Datagen(args) => client_runtime.block_on(datagen::run(args)),
        Command::Shell(args) => client_runtime.block_on(shell::run(args)),
        Command::Migrations(args) => client_runtime.block_on(migrations::run(args)),
        Command::User(args) => user::run(args),
    };
    std::process::exit(code);
}
