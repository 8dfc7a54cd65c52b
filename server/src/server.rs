//! The server as a whole: opened, running, ended.

use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use tidemill_engine::engine::{Engine, EngineConfig, EngineError, LogChoice};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::access::Gate;
use crate::app::App;
use crate::cluster::{self, HttpPeers};
use crate::compressed::Compressed;
use crate::config::ServerConfig;
use crate::connect::Connect;
use crate::cors::Cors;
use crate::flight;
use crate::front::Front;
use crate::net::{BindError, Connections, bind};
use crate::postgres::Port;
use crate::reload::{Reloadable, Watching, watch};
use crate::statements;

/// How long requests under way may take when the server ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a server can't start. One line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Bind(#[from] BindError),
    #[error("{}", .0.message)]
    Engine(#[from] EngineError),
    #[error("{file}: {reason}")]
    QueriesFile { file: String, reason: String },
    #[error("the start broke off: {0}")]
    Broken(String),
}

/// Starts servers.
pub struct Server;

/// A running server. Dropping it without [`Running::shutdown`] leaves connections to end by themselves.
pub struct Running {
    /// The first address that is listened on.
    pub addr: SocketAddr,
    /// Where PostgreSQL's protocol is spoken.
    pub postgres: Option<SocketAddr>,
    /// Where Arrow Flight SQL is spoken.
    pub flight_sql: Option<SocketAddr>,
    pub engine: Arc<Engine>,
    app: Arc<App>,
    connections: Connections,
    _watching: Watching,
}

impl Server {
    /// Opens the engine, takes the ports and serves in the background of the current runtime.
    ///
    /// # Errors
    /// A port is taken, the data folder is locked or can't be written, the log is away, a statement of the queries file
    /// fails.
    pub async fn start(config: ServerConfig) -> Result<Running, StartError> {
        let started = Instant::now();
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let connect = config.connect.clone().map(Connect::new).transpose().map_err(StartError::Broken)?;
        // Ports first: that fails fast, and before anything is touched.
        let mut listeners = Vec::with_capacity(config.listen.len());
        for listen in &config.listen {
            listeners.push((bind(&listen.address).await?, listen.secure));
        }
        let first = listeners.first().and_then(|(listener, secure)| Some((listener.local_addr().ok()?, *secure)));
        let (addr, secure) = first.ok_or_else(|| StartError::Broken("there is no address to listen on".to_owned()))?;
        let bound = listeners.iter().filter_map(|(listener, secure)| Some((listener.local_addr().ok()?, *secure))).collect::<Vec<_>>();
        let (postgres, postgres_addr) = bind_optional(config.postgres.as_deref()).await?;
        let (flight_sql, flight_addr) = bind_optional(config.flight_sql.as_deref()).await?;
        // Whoever asks meanwhile is answered: the log may take its time.
        let stall = Duration::from_millis(config.engine.push_stall_timeout_ms);
        let connections = Connections::new(config.max_connections, config.idle_timeout, stall);
        let front = Arc::new(Front::new(&config.engine.service_id, config.access.is_some()));
        let listening = Arc::new(Listening::of(
            &listeners,
            &[(postgres_addr, "postgresql"), (flight_addr, if config.tls.is_some() { "grpc+tls" } else { "grpc" })],
            config.tls.is_some(),
        ));
        for warning in listening.warnings(&config) {
            tracing::warn!("{warning}");
        }
        for (listener, secure) in listeners {
            connections.serve(listener, front.clone(), config.tls.clone().filter(|_| secure));
        }
        let postgres = postgres.map(|listener| {
            let port = Port::new(config.tls.clone(), config.access.clone());
            connections.serve_as(listener, port.clone());
            port
        });
        let flight_sql = flight_sql.map(|listener| {
            let port = flight::Port::new(config.access.clone(), config.max_body_bytes);
            connections.serve(listener, port.clone(), config.tls.clone());
            port
        });
        let certificates = config.tls.clone().map(|tls| tls as Arc<dyn Reloadable>);
        let access = config.access.clone();
        let watching = watch(access.iter().flat_map(|access| access.reloadable()).chain(certificates).collect());
        let broken = |error: tokio::task::JoinError| StartError::Broken(error.to_string());
        let (engine_config, peers) = sharing(&config, &bound)?;
        let (waiting, waits_at) = (front.clone(), listening.clone());
        let opening = move || {
            Engine::open_patiently(engine_config, None, &mut |reason| {
                waits_at.say();
                waiting.waits(reason);
            })
        };
        let engine = tokio::task::spawn_blocking(opening).await.map_err(broken)??;
        let advertised = engine.config().advertised.as_deref().or(config.advertised.as_deref());
        let host = advertised.map_or_else(|| addr.to_string(), |url| cluster::host_of(url).to_owned());
        let peers = peers.map(Arc::new);
        if let Some(peers) = &peers {
            engine.set_peers(peers.clone());
        }
        let queries_file = config.queries_file.clone();
        let app = Arc::new(App::new(engine.clone(), config, connect, host, connections.open()).among(peers));
        if let Some(file) = queries_file {
            let app = app.clone();
            let ran = tokio::task::spawn_blocking(move || {
                // The queries that it did start must not outlive the start.
                statements::queries_file::run(&app, &file)
                    .inspect_err(|_| app.engine.shutdown())
                    .map_err(|reason| StartError::QueriesFile { file: file.display().to_string(), reason: reason.replace('\n', " ") })
            });
            ran.await.map_err(broken)??;
        }
        if let Some(port) = postgres {
            port.is_ready(app.clone());
        }
        if let Some(port) = flight_sql {
            port.is_ready(app.clone());
        }
        front.is_ready(Cors::new(Compressed::new(Gate::new(app.clone(), access)), &app.config));
        listening.say();
        let log = match &engine.config().log {
            LogChoice::Embedded => format!("embedded log in {}", engine.config().data_dir.display()),
            LogChoice::Kafka { bootstrap_servers, .. } => format!("Kafka at {bootstrap_servers}"),
        };
        tracing::info!(
            "Tidemill {} answers at {}://{addr} ({log}; service {}), started in {} ms",
            env!("CARGO_PKG_VERSION"),
            scheme(secure),
            engine.config().service_id,
            started.elapsed().as_millis()
        );
        if app.peers.is_some() {
            tokio::spawn(cluster::compare_clocks(app.clone()));
        }
        Ok(Running { addr, postgres: postgres_addr, flight_sql: flight_addr, engine, app, connections, _watching: watching })
    }
}

impl Running {
    /// Ends push queries with their final frames, lets requests end, commits, and stops everything.
    pub async fn shutdown(self) {
        let Running { engine, app, connections, .. } = self;
        app.close();
        engine.queries().close_push_queries();
        if !connections.shut_down(DRAIN_TIMEOUT).await {
            tracing::warn!("some requests were cut off");
        }
        if let Err(error) = tokio::task::spawn_blocking(move || engine.shutdown()).await {
            tracing::error!(%error, "the engine did not end in order");
        }
    }
}

/// What a server that shares its service tells the others, and how it asks them. `bound`: its listeners, and whether they encrypt.
fn sharing(config: &ServerConfig, bound: &[(SocketAddr, bool)]) -> Result<(EngineConfig, Option<HttpPeers>), StartError> {
    let mut engine = config.engine.clone();
    if !engine.is_shared {
        return Ok((engine, None));
    }
    let url = cluster::advertised(config.advertised.as_deref(), bound)
        .ok_or_else(|| StartError::Broken("there is no address to listen on".to_owned()))?;
    let encrypts = bound.iter().any(|(_, is_secure)| *is_secure);
    if encrypts && url.starts_with("http://") {
        tracing::warn!(
            "ksql.advertised.listener: the other servers are told {url}: what they ask here, and the passwords that they log in with, \
             go over the network in clear, although a listener is https. Name that one"
        );
    }
    let is_secure = encrypts || url.starts_with("https://");
    let peers = HttpPeers::new(config, is_secure, Handle::current()).map_err(StartError::Broken)?;
    engine.advertised = Some(url);
    Ok((engine, Some(peers)))
}

/// Takes a port that need not be.
async fn bind_optional(address: Option<&str>) -> Result<(Option<TcpListener>, Option<SocketAddr>), BindError> {
    let listener = match address {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    Ok((listener, address))
}

/// The addresses that are listened on, said once: when somebody may need them, not before a start that fails.
struct Listening {
    /// With what is spoken there, and whether it is encrypted.
    addresses: Vec<(SocketAddr, &'static str, bool)>,
    said: Once,
}

impl Listening {
    fn of(listeners: &[(TcpListener, bool)], others: &[(Option<SocketAddr>, &'static str)], encrypts: bool) -> Self {
        let http = listeners.iter().filter_map(|(listener, secure)| Some((listener.local_addr().ok()?, scheme(*secure), *secure)));
        let others = others.iter().filter_map(|(address, spoken)| Some(((*address)?, *spoken, encrypts)));
        let addresses = http.chain(others).collect();
        Listening { addresses, said: Once::new() }
    }

    fn say(&self) {
        self.said.call_once(|| {
            for (address, scheme, _) in &self.addresses {
                tracing::info!("listening on {scheme}://{address}");
            }
        });
    }

    /// What is open to whoever can reach it.
    fn warnings(&self, config: &ServerConfig) -> Vec<String> {
        let reachable = self.addresses.iter().filter(|(address, ..)| !address.ip().is_loopback());
        let warned = reachable.filter_map(|(address, _, secure)| match (&config.access, secure) {
            (None, _) => Some(format!(
                "ANYBODY WHO CAN REACH {address} may read, change and end everything here: nobody is asked who it is. Set \
                 authentication.method (docs/security.md), or listen on 127.0.0.1 only"
            )),
            (Some(_), false) => Some(format!(
                "passwords and tokens that come to {address} can be read on their way: it is not encrypted. Listen on https:// \
                 (docs/security.md), or put a proxy that encrypts in front"
            )),
            (Some(_), true) => None,
        });
        warned.collect()
    }
}

fn scheme(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}
