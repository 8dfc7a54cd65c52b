//! Produces the flights of `sql-examples/flights` into Kafka or into the embedded log of a data folder that no server uses:
//!
//!     flights FOLDER_OF_THE_FILES (--bootstrap-servers HOST:PORT | --data-dir DIR)

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tidemill_engine::clock::SystemClock;
use tidemill_engine::log::Log;
use tidemill_engine::log::embedded::EmbeddedLog;
use tidemill_engine::log::kafka::KafkaLog;
use tidemill_engine::state::{StateDb, StateLimits};
use tidemill_tests::flights;

const USAGE: &str = "usage: flights FOLDER (--bootstrap-servers HOST:PORT | --data-dir DIR)";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, option, value] = arguments.as_slice() else { return Err(USAGE.into()) };
    let log: Box<dyn Log> = match option.as_str() {
        "--bootstrap-servers" => Box::new(KafkaLog::connect(value, &BTreeMap::new(), Arc::new(|state| state.write()))?),
        "--data-dir" => Box::new(EmbeddedLog::open(StateDb::open(Path::new(value), StateLimits::default())?, Arc::new(SystemClock))?),
        _ => return Err(USAGE.into()),
    };
    let began = std::time::Instant::now();
    let produced = flights::produce(&*log, Path::new(folder))?;
    println!("{} flights and {} airlines written in {:.1} s", produced.flights, produced.airlines, began.elapsed().as_secs_f64());
    Ok(())
}
