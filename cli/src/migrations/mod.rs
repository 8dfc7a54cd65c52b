//! `tidemill migrations`: what ksql-migrations does, with its commands, flags, file layout, checksums and recorded state, so that a
//! project that was begun with it goes on.

mod apply;
mod config;
mod files;
mod info;
mod metadata;
mod project;
mod statements;
#[cfg(test)]
mod tests;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::logging::say;
use config::Config;

/// Highest version: six digits.
const MAX_VERSION: u32 = 999_999;

#[derive(Debug, Args)]
#[command(after_help = "docs/migrations.md tells how a project is begun, and how one of ksql-migrations goes on.")]
pub struct MigrationsArgs {
    /// The project's configuration, as new-project makes it
    #[arg(short, long, value_name = "FILE", global = true)]
    config_file: Option<PathBuf>,
    #[command(subcommand)]
    command: MigrationsCommand,
}

#[derive(Debug, Subcommand)]
enum MigrationsCommand {
    /// Make a project's folder and its configuration
    NewProject {
        /// The folder
        project_path: PathBuf,
        /// The server, http://host:port
        ksql_server_url: String,
    },
    /// Make the stream and the table that keep what was applied
    InitializeMetadata,
    /// Make an empty migration file for the next version
    #[command(disable_version_flag = true)]
    Create(files::CreateArgs),
    /// Compare the files of applied migrations with what was applied
    Validate,
    /// Apply migrations
    #[command(disable_version_flag = true)]
    Apply(apply::ApplyArgs),
    /// Show the current version, and each migration's state
    Info,
    /// Drop the stream and the table that keep what was applied, with their topics: not reversible
    DestroyMetadata,
}

/// The exit code.
pub async fn run(args: MigrationsArgs) -> i32 {
    match dispatch(args).await {
        Ok(()) => 0,
        Err(reason) => {
            say(&reason);
            1
        }
    }
}

async fn dispatch(args: MigrationsArgs) -> Result<(), String> {
    if let MigrationsCommand::NewProject { project_path, ksql_server_url } = &args.command {
        if args.config_file.is_some() {
            return Err("new-project takes no configuration: it makes one".to_owned());
        }
        return project::new(project_path, ksql_server_url);
    }
    let file = args.config_file.ok_or("migrations are of a project: -c FILE names its configuration, ksql-migrations.properties")?;
    let config = Config::read(&file)?;
    match args.command {
        MigrationsCommand::NewProject { .. } => Ok(()),
        MigrationsCommand::Create(create) => files::create(&config.folder, &create),
        MigrationsCommand::InitializeMetadata => project::initialize(&config.connect().await?).await,
        MigrationsCommand::DestroyMetadata => project::destroy(&config.connect().await?).await,
        MigrationsCommand::Validate => validate::run(&config.connect().await?, &config.folder).await,
        MigrationsCommand::Apply(apply) => apply::run(&config.connect().await?, &config.folder, &apply).await,
        MigrationsCommand::Info => info::run(&config.connect().await?, &config.folder).await,
    }
}

/// Tells what is done.
fn tell(text: &str) {
    use std::io::Write;
    // Whoever stops reading has read enough.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
