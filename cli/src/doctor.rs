//! `tidemill doctor`: what a data folder and its topics are like, without a server.

use std::path::PathBuf;

use clap::Args;
use tidemill_engine::engine::doctor::{self, Verdict};
use tidemill_server::ConfigBuilder;

use crate::logging;

const AFTER_HELP: &str = "\
Looks, and changes nothing; a server may run meanwhile (what it has not written yet is then shown as to be restored).
Each line begins with what it found:
  sound      as it should be
  restored   the next start mends it by itself
  left over  nothing needs it; the next start deletes it
  broken     somebody has to decide; the line says what can be done

Exit codes: 0 all is sound, 3 the next start has something to restore or clear up, 4 something is broken, 1 it could not look.";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct DoctorArgs {
    /// Properties file of the server
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the state and of the embedded log [default: tidemill-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Kafka brokers; without them the embedded log is looked at
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
}

/// The exit code.
pub fn run(args: &DoctorArgs) -> i32 {
    logging::init("error");
    match look(args) {
        Ok(code) => code,
        Err(reason) => {
            logging::say(&format!("tidemill doctor: {reason}"));
            1
        }
    }
}

fn look(args: &DoctorArgs) -> Result<i32, String> {
    let mut builder = ConfigBuilder::new();
    if let Some(file) = &args.config {
        builder = builder.file(file).map_err(|e| e.to_string())?;
    }
    builder = builder.env(std::env::vars());
    if let Some(folder) = &args.data_dir {
        builder = builder.set("tidemill.data.dir", &folder.display().to_string(), "--data-dir");
    }
    if let Some(servers) = &args.bootstrap_servers {
        builder = builder.set("bootstrap.servers", servers, "--bootstrap-servers");
    }
    let config = builder.build().map_err(|e| e.to_string())?;
    let findings = doctor::examine(&config.engine).map_err(|e| e.message)?;
    for finding in &findings.0 {
        println!("{:<9}  {}", finding.verdict, finding.text);
    }
    Ok(match findings.worst() {
        Verdict::Sound => 0,
        Verdict::Restored | Verdict::LeftOver => 3,
        Verdict::Broken => 4,
    })
}
