//! Where queries run: a server process, an engine in this process beside a broker, or the one engine of the embedded log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tidemill_engine::engine::{Engine, EngineConfig, LogChoice, RegistryChoice};
use tidemill_engine::registry::MemoryRegistry;

use crate::cpu::Process;
use crate::input::{Input, Place, text};
use crate::server::Server;

pub trait Host {
    /// Runs statements with properties.
    ///
    /// # Errors
    /// What is wrong with them.
    fn execute(&self, sql: &str, properties: &[(&str, &str)]) -> Result<(), String>;
    /// Whose CPU time counts.
    fn process(&self) -> Process;
    /// Where it answers over HTTP, where it does.
    fn address(&self) -> Option<SocketAddr> {
        None
    }
}

/// The configuration of an engine in this process, with a schema registry of its own.
pub fn config(folder: &Path) -> EngineConfig {
    EngineConfig { registry: RegistryChoice::Given(Arc::new(MemoryRegistry::default())), ..EngineConfig::new(folder) }
}

/// A host for one run. `service` begins the names of its own topics; `commit_ms` is how often it commits, where that is said.
///
/// # Errors
/// Where it does not start.
pub fn start(input: &Input, service: &str, commit_ms: Option<u64>) -> Result<Box<dyn Host>, String> {
    match &input.place {
        Place::Embedded(engine) => Ok(Box::new(InProcess { engine: Arc::clone(engine), folder: None })),
        Place::Kafka { bootstrap, in_process: false } => Ok(Box::new(Server::start_with(Some(bootstrap), service, commit_ms)?)),
        Place::Kafka { bootstrap, in_process: true } => {
            let folder = tempfile::Builder::new().prefix("tidemill-bench-").tempdir().map_err(text)?;
            let mut config = config(folder.path()).with_service_id(service);
            config.commit_interval_ms = commit_ms.unwrap_or(config.commit_interval_ms);
            config.log = LogChoice::Kafka { bootstrap_servers: bootstrap.clone(), client_properties: input.properties.clone() };
            let engine = Engine::open(config).map_err(text)?;
            Ok(Box::new(InProcess { engine, folder: Some(folder) }))
        }
    }
}

impl Host for Server {
    fn execute(&self, sql: &str, properties: &[(&str, &str)]) -> Result<(), String> {
        self.post(sql, properties)
    }

    fn process(&self) -> Process {
        Process::of(self.pid())
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }
}

struct InProcess {
    engine: Arc<Engine>,
    /// Its data folder, where the engine lives for one run only.
    folder: Option<TempDir>,
}

impl Host for InProcess {
    fn execute(&self, sql: &str, properties: &[(&str, &str)]) -> Result<(), String> {
        let properties: BTreeMap<String, String> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let session = self.engine.session(&properties);
        for statement in tidemill_parser::parse_script(sql).map_err(text)? {
            self.engine.execute(&statement, &session).map_err(text)?;
        }
        Ok(())
    }

    fn process(&self) -> Process {
        Process::own()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if self.folder.is_some() {
            self.engine.shutdown();
        }
    }
}
