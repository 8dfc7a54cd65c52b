//! Applies migration files, and records of each that it was begun and how it ended.

use std::collections::BTreeMap;
use std::path::Path;

use clap::{ArgGroup, Args};
use tidemill_engine::clock::{Clock, SystemClock};

use super::files::{self, MigrationFile};
use super::metadata::{ERROR, Event, MIGRATED, Metadata, NONE, RUNNING};
use super::statements::{Step, steps};
use super::{MAX_VERSION, tell, validate};
use crate::client::Settings;
use crate::shell::definition;

#[derive(Debug, Args)]
#[group(skip)]
#[command(group(ArgGroup::new("target").required(true).args(["all", "next", "until", "version"])))]
pub struct ApplyArgs {
    /// All that have not been applied
    #[arg(short, long)]
    all: bool,
    /// The next one
    #[arg(short, long)]
    next: bool,
    /// All up to this version
    #[arg(short, long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_VERSION)))]
    until: Option<u32>,
    /// This version alone
    #[arg(short, long, value_name = "VERSION", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_VERSION)))]
    version: Option<u32>,
    /// Tell what would be applied, and check that it can be parsed; nothing is sent
    #[arg(long)]
    dry_run: bool,
    /// Defines a variable, as DEFINE does
    #[arg(short, long, value_name = "NAME=VALUE")]
    define: Vec<String>,
}

/// # Errors
/// What was applied has changed since, there is nothing to apply where something was named, or a statement is refused.
pub async fn run(metadata: &Metadata, folder: &Path, args: &ApplyArgs) -> Result<(), String> {
    let variables: BTreeMap<String, String> = args.define.iter().map(|text| definition(text)).collect::<Result<_, _>>()?;
    metadata.check_initialized().await?;
    // Read once: it tells what it passes over.
    let present = files::all(folder)?;
    validate::check(metadata, folder, &present).await?;
    let mut previous = metadata.latest_migrated().await?;
    let wanted = select(present, &previous, args)?;
    // Before the first of them is begun, all must be readable.
    let mut migrations = Vec::with_capacity(wanted.len());
    for file in wanted {
        let steps = steps(&file.text()?, &variables).map_err(|why| format!("{}: {why}", file.path.display()))?;
        migrations.push((file, steps));
    }
    if migrations.is_empty() {
        tell("No eligible migrations found");
    }
    for (file, steps) in &migrations {
        tell(&format!("Applying version {}: {} ({} statements)", file.version, file.name, steps.len()));
        if args.dry_run {
            steps.iter().for_each(|step| tell(&step.sql));
            continue;
        }
        apply(metadata, file, steps, &previous).await?;
        tell(&format!("Version {} is applied", file.version));
        previous = file.version.to_string();
    }
    if args.dry_run {
        tell("Dry run: nothing was applied");
    }
    Ok(())
}

/// The files that are meant.
fn select(present: BTreeMap<u32, MigrationFile>, previous: &str, args: &ApplyArgs) -> Result<Vec<MigrationFile>, String> {
    let last = if previous == NONE { 0 } else { previous.parse().map_err(|_| format!("the last version is recorded as '{previous}'"))? };
    if let Some(version) = args.version {
        if version <= last {
            return Err(format!("version {version} can't be applied: the last one that was is {last}"));
        }
        let file = present.get(&version).cloned();
        return Ok(vec![file.ok_or_else(|| format!("there is no migration file of version {version}"))?]);
    }
    let until = args.until.unwrap_or(u32::MAX);
    let mut files: Vec<MigrationFile> = present.into_values().filter(|file| file.version > last && file.version <= until).collect();
    if args.next {
        if files.is_empty() {
            return Err("No eligible migrations found".to_owned());
        }
        files.truncate(1);
    }
    Ok(files)
}

async fn apply(metadata: &Metadata, file: &MigrationFile, steps: &[Step], previous: &str) -> Result<(), String> {
    let (started_on, checksum) = (now_ms(), file.checksum()?);
    let begun =
        Event { file, state: RUNNING, started_on: &started_on, completed_on: "", checksum: &checksum, previous, error_reason: None };
    metadata.record(&begun).await?;
    for step in steps {
        if let Err(error) = metadata.client.statements(&step.sql, &step.properties, &Settings::new()).await {
            let reason = format!("Failed to execute sql: {}. Error: {error}", tidemill_parser::hide_values(&step.sql));
            let ended = now_ms();
            metadata.record(&Event { state: ERROR, completed_on: &ended, error_reason: Some(&reason), ..begun }).await?;
            return Err(format!("{}: {reason}", file.path.display()));
        }
    }
    let ended = now_ms();
    metadata.record(&Event { state: MIGRATED, completed_on: &ended, ..begun }).await
}

fn now_ms() -> String {
    SystemClock.now_ms().to_string()
}
