//! `tidemill datagen`: a lively topic to play with, in Kafka or, through a running server, in its embedded log.

mod schemas;
mod target;

use std::time::{Duration, Instant};

use clap::Args;
use tidemill_engine::clock::{Clock, SystemClock};

use crate::shell::LoginArgs;
use schemas::{Generated, Generator, Schema};
use target::Target;

/// Records sent together when the rate allows.
const MAX_BATCH: u64 = 500;
/// How often a batch is sent, at the slowest.
const TICK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub struct DatagenArgs {
    /// Topic to fill; made if it is missing
    #[arg(long)]
    topic: String,
    /// Shape of the records
    #[arg(long, value_enum)]
    schema: Schema,
    /// Records a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// Stop after this many; without it, go on until Ctrl-C
    #[arg(long)]
    count: Option<u64>,
    /// Partitions of a topic that is made
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Makes the same records again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Kafka to fill; without it, the server's log
    #[arg(long)]
    bootstrap_servers: Option<String>,
    /// The server whose embedded log is filled
    #[arg(long, default_value = "http://127.0.0.1:8088", env = "TIDEMILL_SERVER")]
    server: String,
    #[command(flatten)]
    login: LoginArgs,
}

/// Runs the generator; the exit code says whether all went well.
pub async fn run(args: DatagenArgs) -> i32 {
    let filled = match Target::open(&args).await {
        Ok(target) => fill(&args, target).await,
        Err(message) => Err(message),
    };
    match filled {
        Ok(sent) => {
            println!("{sent} records in {}.", args.topic);
            0
        }
        Err(message) => {
            eprintln!("{message}");
            1
        }
    }
}

async fn fill(args: &DatagenArgs, mut target: Target) -> Result<u64, String> {
    let mut generator = Generator::new(args.schema, args.seed);
    let started = Instant::now();
    let wanted = args.count.unwrap_or(u64::MAX);
    let mut sent = 0u64;
    while sent < wanted {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = elapsed_ms.saturating_mul(args.rate) / 1_000 + 1;
        let batch = due.min(wanted).saturating_sub(sent).min(MAX_BATCH);
        if batch > 0 {
            let records: Vec<Generated> = (0..batch).map(|_| generator.next(SystemClock.now_ms())).collect();
            target.send(args.schema, &records).await?;
            sent += batch;
        }
        if due <= sent {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = tokio::signal::ctrl_c() => break,
            }
        }
    }
    Ok(sent)
}
