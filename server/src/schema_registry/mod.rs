//! The client of a schema registry that speaks Confluent's REST API (`ksql.schema.registry.url`): what the engine asks
//! through [`SchemaRegistry`].
//!
//! [`settings`] reads the properties. [`transport`] sends one request
//! to whichever URL answers, [`answers`] understands what comes back, [`resolve`] gathers what a schema refers to, [`cache`]
//! remembers. Statements wait for an answer up to their timeout; workers never do: [`fetching`] asks for them.
//!
//! Invariant: one thread serves all requests, however many queries wait. It starts with the first request.

mod answers;
mod cache;
mod fetching;
mod resolve;
mod settings;
mod transport;

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use parking_lot::Mutex;
use tidemill_engine::registry::{Registered, RegistryError, Schema, SchemaId, SchemaRegistry};
use tokio::runtime::Runtime;

use answers::{Failure, SchemaAnswer};
use cache::Cache;
use resolve::resolve;
use transport::{Request, Transport};

pub use settings::{Settings, in_vain};

/// Threads that look up host names, which may take as long as the network likes.
const LOOKUP_THREADS: usize = 4;
/// How much longer than its timeout a statement waits for the thread of the requests.
const GRACE: Duration = Duration::from_secs(1);

/// See the module.
pub struct RegistryClient {
    shared: Arc<Shared>,
    /// Made with the first request. `None` behind it: the client is gone.
    runtime: Mutex<Option<Runtime>>,
}

/// What requests under way need.
struct Shared {
    transport: Transport,
    cache: Mutex<Cache>,
    /// How long a statement waits.
    statement_timeout: Duration,
}

impl std::fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryClient").field("at", &self.shared.transport.names()).finish_non_exhaustive()
    }
}

impl RegistryClient {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// TLS can't be used as it was set; a sentence that names the property.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let statement_timeout = settings.statement_timeout;
        let shared = Shared { transport: Transport::new(settings)?, cache: Mutex::default(), statement_timeout };
        Ok(RegistryClient { shared: Arc::new(shared), runtime: Mutex::new(None) })
    }

    /// Starts work on the client's thread.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Failure> {
        let mut runtime = self.runtime.lock();
        let running = match &mut *runtime {
            Some(running) => running,
            none => {
                let started = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .max_blocking_threads(LOOKUP_THREADS)
                    .thread_name("schema-registry")
                    .enable_all()
                    .build();
                none.insert(started.map_err(|error| Failure::Away(format!("No thread for the schema registry: {error}")))?)
            }
        };
        running.spawn(work);
        Ok(())
    }

    /// Does what a statement asked for, and waits for it.
    fn ask<T, F, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send,
        W: FnOnce(Arc<Shared>) -> F + Send + 'static,
    {
        let (done, answer) = sync_channel(1);
        let shared = self.shared.clone();
        let timeout = shared.statement_timeout;
        self.spawn(async move {
            let result = tokio::time::timeout(timeout, work(shared.clone())).await;
            let _ = done.send(result.unwrap_or_else(|_| Err(shared.transport.late(timeout))));
        })?;
        answer.recv_timeout(timeout + GRACE).unwrap_or_else(|_| Err(self.shared.transport.late(timeout)))
    }

    fn registered(&self, subject: &str, version: String) -> Result<Option<Registered>, RegistryError> {
        let request = Request::version(subject, &version);
        self.ask(async move |shared: Arc<Shared>| {
            let answer = match shared.transport.ask_patiently(&request).await {
                Ok(answer) => answer,
                Err(Failure::Refused { code, .. }) if answers::is_not_there(code) => return Ok(None),
                Err(failure) => return Err(failure),
            };
            let answer: SchemaAnswer = shared.transport.understood(answer)?;
            let (Some(id), Some(version)) = (answer.id, answer.version) else {
                return Err(shared.transport.nonsense("a version without its id and number"));
            };
            let schema = resolve(&shared, answer).await?;
            Ok(Some(Registered { id: SchemaId(id), version, schema }))
        })
        .map_err(Failure::into_error)
    }
}

impl SchemaRegistry for RegistryClient {
    fn register(&self, subject: &str, schema: &Schema) -> Result<SchemaId, RegistryError> {
        let request = Request::register(subject, schema);
        self.ask(async move |shared: Arc<Shared>| {
            let answer: answers::IdAnswer = shared.transport.understood(shared.transport.ask_patiently(&request).await?)?;
            Ok(SchemaId(answer.id))
        })
        .map_err(Failure::into_error)
    }

    fn by_id(&self, id: SchemaId) -> Result<Arc<Schema>, RegistryError> {
        if let Some(known) = self.shared.cache.lock().known(id) {
            return Ok(known);
        }
        let found = self.ask(async move |shared: Arc<Shared>| fetching::by_id(&shared, id, true).await);
        let found = found.map_err(|failure| fetching::about(id, failure))?;
        self.shared.cache.lock().keep(id, found.clone());
        Ok(found)
    }

    fn poll_by_id(&self, id: SchemaId) -> Result<Option<Arc<Schema>>, RegistryError> {
        self.poll(id)
    }

    fn latest(&self, subject: &str) -> Result<Option<Registered>, RegistryError> {
        self.registered(subject, "latest".to_owned())
    }

    fn delete(&self, subject: &str) -> Result<(), RegistryError> {
        let request = Request::delete(subject);
        self.ask(async move |shared: Arc<Shared>| match shared.transport.ask_patiently(&request).await {
            Ok(_) => Ok(()),
            Err(Failure::Refused { code, .. }) if answers::is_not_there(code) => Ok(()),
            Err(failure) => Err(failure),
        })
        .map_err(Failure::into_error)
    }

    fn version(&self, subject: &str, version: i32) -> Result<Option<Registered>, RegistryError> {
        self.registered(subject, version.to_string())
    }

    fn trouble(&self) -> Option<String> {
        self.shared.transport.trouble()
    }
}

impl Drop for RegistryClient {
    fn drop(&mut self) {
        // A runtime may not be waited for where another one runs.
        if let Some(runtime) = self.runtime.get_mut().take() {
            runtime.shutdown_background();
        }
    }
}
