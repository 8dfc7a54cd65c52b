//! A real Apache Kafka for tests and benchmarks: one node in KRaft mode on free loopback ports with a small heap.
//!
//! The jars come from Maven Central once and stay in a cache folder. The broker never outlives this process
//! ([`crate::supervised`]).

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::certificates::Authority;
use crate::proxy::Proxy;
use crate::supervised::{Supervised, free_ports, tail};

/// The version of Apache Kafka that tests run against.
pub const KAFKA_VERSION: &str = "4.1.0";
/// Heap of the broker's JVM.
const HEAP: &str = "-Xmx512m";
/// How long a broker may take to answer after its start, seconds. It takes 2 to 4 on an idle machine.
const START_TIMEOUT_S: u64 = 120;
/// Starts that fail because another process took the port meanwhile are tried again this often.
const START_ATTEMPTS: u32 = 3;

/// Why there is no broker (or another real neighbour) here.
#[derive(Debug, Clone)]
pub enum BrokerError {
    /// The machine lacks what the broker needs: the test is skipped, aloud.
    Missing(String),
    /// It should have worked.
    Failed(String),
}

/// Ways into a broker that wants to know who comes. Its plain port stays for the tests' own use, whose user may do everything.
#[derive(Debug, Clone, Copy)]
pub struct Locks {
    /// TLS, with a certificate of the client's own: its user is `CN=<the certificate's name>`.
    pub mutual: u16,
    /// TLS and a login, by PLAIN or SCRAM, as [`USER`] or [`GUEST`].
    pub login: u16,
    /// A login without TLS.
    pub plain_login: u16,
    /// A login by a token (OAUTHBEARER, unsigned ones are taken) without TLS, which is to be made anew every [`REAUTH_MS`].
    pub tokens: u16,
}

/// How long a login by a token holds, milliseconds, unless the token ends before.
pub const REAUTH_MS: u32 = 3_000;

/// May be given rights to everything.
pub const USER: &str = "tide";
/// Has what rights a test gives it.
pub const GUEST: &str = "guest";

/// The password of one of them.
pub fn password_of(user: &str) -> String {
    format!("{user}-s3cret-of-kafka")
}

/// A running (or stopped) broker. Dropping it kills the broker and removes its data.
pub struct Broker {
    libs: PathBuf,
    data: PathBuf,
    port: u16,
    locks: Option<Locks>,
    running: Option<Supervised>,
}

impl Broker {
    /// Fetches Kafka if that was not done before, formats its storage and starts it.
    ///
    /// # Errors
    /// `Missing` without java or mvn, `Failed` where the broker does not come up.
    pub fn start() -> Result<Broker, BrokerError> {
        Self::start_with(None, None)
    }

    /// A broker that also has ports at which it wants to know who comes, and asks its ACLs what they may do. The authority has
    /// signed a certificate `broker`.
    ///
    /// # Errors
    /// As for [`Broker::start`].
    pub fn start_locked(authority: &Authority) -> Result<Broker, BrokerError> {
        Self::start_with(Some(authority), None)
    }

    fn start_with(authority: Option<&Authority>, proxy: Option<&Proxy>) -> Result<Broker, BrokerError> {
        let libs = libraries()?;
        let mut last = BrokerError::Failed(String::new());
        for _ in 0..START_ATTEMPTS {
            match Self::start_once(&libs, authority, proxy) {
                Ok(broker) => return Ok(broker),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn start_once(libs: &Path, authority: Option<&Authority>, proxy: Option<&Proxy>) -> Result<Broker, BrokerError> {
        let data = tempfile::Builder::new().prefix("tidemill-kafka-").tempdir().map_err(failed("temporary folder"))?.keep();
        let ports = free_ports(7).map_err(failed("free ports"))?;
        let [port, controller, mutual, login, plain_login, tokens, behind_proxy] = ports[..] else {
            return Err(BrokerError::Failed("no free ports".into()));
        };
        let locks = authority.map(|_| Locks { mutual, login, plain_login, tokens });
        let mut broker = Broker { libs: libs.to_owned(), data, port, locks, running: None };
        let properties = server_properties(&broker.data, port, controller);
        let mut properties = match (authority, locks) {
            (Some(authority), Some(locks)) => locked(&properties, port, controller, locks, authority),
            _ => properties,
        };
        if let Some(proxy) = proxy {
            proxy.forward_to(behind_proxy);
            properties.push_str(&behind(port, controller, behind_proxy, proxy.port()));
        }
        fs::write(broker.config(), properties).map_err(failed("server.properties"))?;
        broker.format()?;
        broker.start_again()?;
        Ok(broker)
    }

    /// `host:port` for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The ports at which it wants to know who comes.
    ///
    /// # Panics
    /// Where it has none.
    #[must_use]
    pub fn locks(&self) -> Locks {
        self.locks.expect("a broker that was started with locks")
    }

    /// Gives a user rights, in the words of Kafka's own tool: `--operation Read --topic x`.
    ///
    /// # Panics
    /// Where the broker refuses.
    pub fn allow(&self, user: &str, rights: &[&str]) {
        let principal = format!("User:{user}");
        let mut command = self.java("org.apache.kafka.tools.AclCommand");
        command.args(["--bootstrap-server", &self.bootstrap(), "--add", "--force", "--allow-principal", &principal]).args(rights);
        run(&mut command).expect("rights");
    }

    /// The broker's process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Supervised::pid)
    }

    /// The jars, for tools that run beside the broker (Kafka Streams, the topic command).
    #[must_use]
    pub fn libs(&self) -> &Path {
        &self.libs
    }

    /// Stops the broker in order, and waits until it has ended. Its data and port stay.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    /// Kills the broker as `kill -9` does. Its data and port stay.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts a stopped broker on the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// `Failed` with the end of its log where it does not come up.
    pub fn start_again(&mut self) -> Result<(), BrokerError> {
        let (libs, config) = (self.libs.join("*"), self.config());
        let command: [&OsStr; 7] = [
            "java".as_ref(),
            HEAP.as_ref(),
            "-XX:+UseSerialGC".as_ref(),
            "-cp".as_ref(),
            libs.as_ref(),
            "kafka.Kafka".as_ref(),
            config.as_ref(),
        ];
        self.running = Some(Supervised::start(&self.data, &self.log(), &self.data, &[], &command).map_err(failed("the broker"))?);
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), BrokerError> {
        let deadline = Instant::now() + Duration::from_secs(START_TIMEOUT_S);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            let ended = self.running.as_mut().is_none_or(Supervised::has_ended);
            if ended || Instant::now() > deadline {
                let log = tail(&self.log());
                self.kill();
                return Err(BrokerError::Failed(format!("the broker did not come up on port {}; its log ends:\n{log}", self.port)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let client: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("log_level", "0")
            .create()
            .map_err(|error| BrokerError::Failed(format!("client: {error}")))?;
        loop {
            match client.client().fetch_metadata(None, Duration::from_secs(5)) {
                Ok(metadata) if !metadata.brokers().is_empty() => return Ok(()),
                Ok(_) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                Ok(_) => return Err(BrokerError::Failed("the broker does not know itself".into())),
                Err(error) => return Err(BrokerError::Failed(format!("the broker does not answer: {error}\n{}", tail(&self.log())))),
            }
        }
    }

    fn format(&self) -> Result<(), BrokerError> {
        let cluster = run(self.java("kafka.tools.StorageTool").arg("random-uuid"))?;
        let mut command = self.java("kafka.tools.StorageTool");
        command.args(["format", "-t", cluster.trim(), "-c"]).arg(self.config());
        for (user, mechanism) in [(USER, "SCRAM-SHA-256"), (USER, "SCRAM-SHA-512"), (GUEST, "SCRAM-SHA-256")] {
            if self.locks.is_some() {
                command.args(["--add-scram", &format!("{mechanism}=[name={user},password={}]", password_of(user))]);
            }
        }
        run(&mut command)?;
        Ok(())
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(self.libs.join("*")).arg(main);
        command
    }

    fn config(&self) -> PathBuf {
        self.data.join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.data.join("broker.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// The bootstrap address of the one broker that all tests of this process share, or `None` after saying on stderr that
/// the test is skipped. Tests that stop their broker start one of their own.
///
/// # Panics
/// Where the broker should have come up and did not.
#[must_use]
pub fn shared(test: &str) -> Option<String> {
    static SHARED: OnceLock<Result<Mutex<Broker>, BrokerError>> = OnceLock::new();
    match SHARED.get_or_init(|| Broker::start().map(Mutex::new)) {
        Ok(broker) => Some(broker.lock().unwrap_or_else(std::sync::PoisonError::into_inner).bootstrap()),
        Err(error) => unavailable(test, error),
    }
}

/// A broker of the test's own, or `None` after saying that the test is skipped.
///
/// # Panics
/// Where the broker should have come up and did not.
#[must_use]
pub fn own(test: &str) -> Option<Broker> {
    match Broker::start() {
        Ok(broker) => Some(broker),
        Err(error) => unavailable(test, &error),
    }
}

/// A broker of the test's own with a proxy before it. Who begins with the broker's address speaks with it directly, who begins with
/// the proxy's goes through the proxy. `None` after saying that the test is skipped.
///
/// # Panics
/// Where the broker should have come up and did not.
#[must_use]
pub fn own_behind_proxy(test: &str) -> Option<(Broker, Proxy)> {
    let proxy = Proxy::start().unwrap_or_else(|error| panic!("a proxy for the test '{test}': {error}"));
    match Broker::start_with(None, Some(&proxy)) {
        Ok(broker) => Some((broker, proxy)),
        Err(error) => unavailable(test, &error),
    }
}

/// Says that a test did not run for want of what it needs.
///
/// # Panics
/// It is there, and does not work.
pub fn unavailable<T>(test: &str, error: &BrokerError) -> Option<T> {
    match error {
        BrokerError::Missing(reason) => {
            skipped(test, reason);
            None
        }
        BrokerError::Failed(reason) => panic!("a real neighbour for the test '{test}': {reason}"),
    }
}

/// Says on the process's own stderr, past the test harness's capture, that a test did not run: one line that begins
/// with `SKIPPED: `, which CI greps for.
pub fn skipped(test: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {reason}");
}

/// Where downloads for tests stay: `$TIDEMILL_CACHE_DIR`, else `~/.cache/tidemill`.
#[must_use]
pub fn cache_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("TIDEMILL_CACHE_DIR") {
        return folder.into();
    }
    std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".cache").join("tidemill")
}

/// The folder of Kafka's jars, fetched if it is not there.
fn libraries() -> Result<PathBuf, BrokerError> {
    jars(&format!("kafka-{KAFKA_VERSION}"), &[("kafka_2.13", KAFKA_VERSION), ("kafka-tools", KAFKA_VERSION)])
}

/// The folder with the jars of some artifacts of `org.apache.kafka` and of all that they need; fetched if it is not there.
pub(crate) fn jars(name: &str, artifacts: &[(&str, &str)]) -> Result<PathBuf, BrokerError> {
    let folder = cache_folder().join(name);
    for (tool, flag) in [("java", "-version"), ("mvn", "-version")] {
        let found = Command::new(tool).arg(flag).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
        let jars_suffice = tool == "mvn" && folder.is_dir();
        if !found && !jars_suffice {
            return Err(BrokerError::Missing(format!("needs Apache Kafka, and '{tool}' was not found or does not run")));
        }
    }
    if !folder.is_dir() {
        fetch(&folder, artifacts)?;
    }
    Ok(folder.join("libs"))
}

/// Downloads into a folder of this process and moves it into place, so that two processes do not meet.
fn fetch(folder: &Path, artifacts: &[(&str, &str)]) -> Result<(), BrokerError> {
    let parent = cache_folder();
    fs::create_dir_all(&parent).map_err(failed("cache folder"))?;
    let staging = tempfile::Builder::new().prefix("kafka-fetch-").tempdir_in(&parent).map_err(failed("cache folder"))?;
    fs::write(staging.path().join("pom.xml"), pom(artifacts)).map_err(failed("pom.xml"))?;
    let output = Command::new("mvn")
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"])
        .current_dir(staging.path())
        .stdin(Stdio::null())
        .output()
        .map_err(failed("mvn"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return Err(BrokerError::Missing(format!(
            "Apache Kafka could not be fetched from Maven Central: {}",
            said.lines().next().unwrap_or("mvn failed")
        )));
    }
    match fs::rename(staging.path(), folder) {
        Ok(()) => Ok(()),
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(BrokerError::Failed(format!("{}: {error}", folder.display()))),
    }
}

/// A throw-away project that depends on artifacts of `org.apache.kafka`.
#[must_use]
pub fn pom(artifacts: &[(&str, &str)]) -> String {
    let dependencies: String = artifacts
        .iter()
        .map(|(artifact, version)| {
            format!("<dependency><groupId>org.apache.kafka</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>")
        })
        .collect();
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>tidemill</groupId><artifactId>fetch</artifactId>\
         <version>1</version><dependencies>{dependencies}</dependencies></project>\n"
    )
}

fn server_properties(data: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={data}/logs\n\
         auto.create.topics.enable=false\n\
         num.network.threads=2\n\
         num.io.threads=2\n\
         num.recovery.threads.per.data.dir=2\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=2\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n\
         log.retention.ms=-1\n\
         log.cleaner.dedupe.buffer.size=16777216\n",
        data = data.display()
    )
}

/// The properties with more listeners, logins and ACLs.
fn locked(properties: &str, port: u16, controller: u16, locks: Locks, authority: &Authority) -> String {
    let Locks { mutual, login, plain_login, tokens } = locks;
    let named = ["listeners=", "advertised.listeners=", "listener.security.protocol.map="];
    let kept: String =
        properties.lines().filter(|line| !named.iter().any(|name| line.starts_with(name))).map(|line| format!("{line}\n")).collect();
    let open = format!(
        "PLAINTEXT://127.0.0.1:{port},MUTUAL://127.0.0.1:{mutual},LOGIN://127.0.0.1:{login},CLEAR://127.0.0.1:{plain_login},\
         TOKENS://127.0.0.1:{tokens}"
    );
    let (own, ca) = (authority.path("broker.both.pem"), authority.path("ca.pem"));
    let (own, ca) = (own.display(), ca.display());
    let tls = |listener: &str| {
        format!(
            "listener.name.{listener}.ssl.keystore.type=PEM\nlistener.name.{listener}.ssl.keystore.location={own}\n\
             listener.name.{listener}.ssl.truststore.type=PEM\nlistener.name.{listener}.ssl.truststore.location={ca}\n"
        )
    };
    let logins = |listener: &str| {
        format!(
            "listener.name.{listener}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.{listener}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{USER}=\"{}\" user_{GUEST}=\"{}\";\n\
             listener.name.{listener}.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.{listener}.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
            password_of(USER),
            password_of(GUEST)
        )
    };
    format!(
        "{kept}listeners={open},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={open}\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MUTUAL:SSL,LOGIN:SASL_SSL,CLEAR:SASL_PLAINTEXT,\
         TOKENS:SASL_PLAINTEXT\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n\
         listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER\n\
         listener.name.tokens.oauthbearer.sasl.jaas.config=\
         org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";\n\
         listener.name.tokens.oauthbearer.connections.max.reauth.ms={REAUTH_MS}\n\
         {}listener.name.mutual.ssl.client.auth=required\n{}{}{}",
        tls("mutual"),
        tls("login"),
        logins("login"),
        logins("clear")
    )
}

/// A second listener, which tells its clients the proxy's address. These lines stand over those of [`server_properties`].
fn behind(port: u16, controller: u16, listen: u16, proxy: u16) -> String {
    format!(
        "listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{listen},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n"
    )
}

fn run(command: &mut Command) -> Result<String, BrokerError> {
    let output = command.stdin(Stdio::null()).output().map_err(failed("java"))?;
    if !output.status.success() {
        return Err(BrokerError::Failed(format!(
            "{command:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> BrokerError {
    move |error| BrokerError::Failed(format!("{what}: {error}"))
}
