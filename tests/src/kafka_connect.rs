//! A real Kafka Connect for tests: one distributed worker beside a broker, on a free loopback port, with the connectors for
//! files. Its jars come from Maven Central once and stay in the cache folder.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::broker::{BrokerError, KAFKA_VERSION, failed, jars, unavailable};
use crate::supervised::{Supervised, free_ports, tail};

/// How long it may take to answer after its start, seconds. It takes 5 on an idle machine.
const START_TIMEOUT_S: u64 = 180;
/// Starts that fail because another process took the port meanwhile are tried again this often.
const START_ATTEMPTS: u32 = 3;

/// A running worker. Dropping it kills it.
pub struct KafkaConnect {
    data: PathBuf,
    port: u16,
    running: Option<Supervised>,
}

impl KafkaConnect {
    /// Fetches Connect if that was not done before, and starts a worker on a broker.
    ///
    /// # Errors
    /// `Missing` without java or mvn, `Failed` where it does not come up.
    pub fn start(bootstrap: &str) -> Result<KafkaConnect, BrokerError> {
        let artifacts = ["connect-runtime", "connect-file", "connect-json"].map(|artifact| (artifact, KAFKA_VERSION));
        let libs = jars(&format!("connect-{KAFKA_VERSION}"), &artifacts)?;
        let mut last = BrokerError::Failed(String::new());
        for _ in 0..START_ATTEMPTS {
            match Self::start_once(bootstrap, &libs) {
                Ok(connect) => return Ok(connect),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn start_once(bootstrap: &str, libs: &Path) -> Result<KafkaConnect, BrokerError> {
        let data = tempfile::Builder::new().prefix("tidemill-connect-").tempdir().map_err(failed("temporary folder"))?.keep();
        let ports = free_ports(1).map_err(failed("free ports"))?;
        let [port] = ports[..] else { return Err(BrokerError::Failed("no free port".into())) };
        let plugins = data.join("plugins");
        fs::create_dir(&plugins).map_err(failed("the plugins' folder"))?;
        let jar = format!("connect-file-{KAFKA_VERSION}.jar");
        fs::copy(libs.join(&jar), plugins.join(&jar)).map_err(failed("connect-file's jar"))?;
        let config = data.join("worker.properties");
        fs::write(&config, worker_properties(bootstrap, port, &plugins)).map_err(failed("worker.properties"))?;
        let (log, classpath) = (data.join("connect.log"), libs.join("*"));
        let command: [&OsStr; 7] = [
            "java".as_ref(),
            "-Xmx512m".as_ref(),
            "-XX:+UseSerialGC".as_ref(),
            "-cp".as_ref(),
            classpath.as_ref(),
            "org.apache.kafka.connect.cli.ConnectDistributed".as_ref(),
            config.as_ref(),
        ];
        let running = Supervised::start(&data, &log, &data, &[], &command).map_err(failed("Kafka Connect"))?;
        let mut connect = KafkaConnect { data, port, running: Some(running) };
        let deadline = Instant::now() + Duration::from_secs(START_TIMEOUT_S);
        while !connect.answers() {
            if connect.running.as_mut().is_none_or(Supervised::has_ended) || Instant::now() > deadline {
                let log = tail(&log);
                connect.kill();
                return Err(BrokerError::Failed(format!("Kafka Connect did not come up on port {port}; its log ends:\n{log}")));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(connect)
    }

    /// What goes into `ksql.connect.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log(&self) -> String {
        tail(&self.data.join("connect.log"))
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Whether it lists its connectors, which it does once it has joined its group.
    fn answers(&self) -> bool {
        let get = || -> std::io::Result<String> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(stream, "GET /connectors HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        get().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for KafkaConnect {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.data);
    }
}

/// A worker of the test's own, or `None` after saying that the test is skipped.
///
/// # Panics
/// Where it should have come up and did not.
#[must_use]
pub fn own(test: &str, bootstrap: &str) -> Option<KafkaConnect> {
    match KafkaConnect::start(bootstrap) {
        Ok(connect) => Some(connect),
        Err(error) => unavailable(test, &error),
    }
}

fn worker_properties(bootstrap: &str, port: u16, plugins: &Path) -> String {
    let storage: String = ["config", "offset", "status"]
        .iter()
        .map(|kind| {
            let partitions = if *kind == "config" { String::new() } else { format!("{kind}.storage.partitions=1\n") };
            format!("{kind}.storage.topic=connect-{port}-{kind}\n{kind}.storage.replication.factor=1\n{partitions}")
        })
        .collect();
    format!(
        "bootstrap.servers={bootstrap}\n\
         group.id=connect-{port}\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.storage.StringConverter\n\
         {storage}\
         listeners=http://127.0.0.1:{port}\n\
         rest.advertised.host.name=127.0.0.1\n\
         plugin.path={}\n\
         plugin.discovery=service_load\n\
         scheduled.rebalance.max.delay.ms=0\n\
         offset.flush.interval.ms=500\n",
        plugins.display()
    )
}
