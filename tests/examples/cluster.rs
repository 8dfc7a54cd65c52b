//! Three servers that share a service, in one terminal: load, a kill, a return. Each line says how many records a second each server
//! reads, and what the first one answers of a table that all of them keep.
//!
//!     cluster [seconds of each phase]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidemill_tests::broker::Broker;
use tidemill_tests::server::{ServerProcess, tidemill_binary};

const NAMES: [&str; 3] = ["one", "two", "three"];
const SQL: &str = include_str!("../../sql-examples/cluster/cluster.sql");
/// Records a second.
const RATE: &str = "3000";
/// The page that is asked for; the most popular one.
const QUESTION: &str = "SELECT views FROM views_of_pages WHERE pageid = 'Page_0';";

/// A server's place, and what it has read so far.
#[derive(Default)]
struct Place {
    server: Option<ServerProcess>,
    read: f64,
}

/// Ends with the demo, however that ends.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let phase = std::env::args().nth(1).map_or(Ok(12), |seconds| seconds.parse::<u64>())?;
    println!("starting a Kafka (fetched once, from Maven Central) …");
    let broker = Broker::start().map_err(|error| format!("{error:?}"))?;
    let bootstrap = broker.bootstrap();
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("server.properties");
    std::fs::write(&config, "ksql.service.id=demo_\nksql.streams.commit.interval.ms=500\ntidemill.cluster.enabled=true\n")?;
    let start =
        |name: &str| ServerProcess::start(&folder.path().join(name), &["--bootstrap-servers", &bootstrap, "--config", &path(&config)]);

    let mut places: [Place; 3] = Default::default();
    places[0].server = Some(start(NAMES[0]));
    if let Some(first) = &places[0].server {
        first.ksql(SQL);
    }
    println!("the queries (sql-examples/cluster/cluster.sql) run on one server; {RATE} records a second come\n");
    let mut load = Command::new(tidemill_binary());
    load.args(["datagen", "--topic", "pageviews", "--schema", "pageviews", "--rate", RATE, "--bootstrap-servers", &bootstrap]);
    let _load = Load(load.stdout(Stdio::null()).spawn()?);

    println!("{:<34}{:>9}{:>9}{:>9}{:>11}", "records read a second by", NAMES[0], NAMES[1], NAMES[2], "together");
    let began = Instant::now();
    watch(&mut places, began, phase / 2);
    println!("  two more start");
    for (place, name) in places.iter_mut().zip(NAMES).skip(1) {
        place.server = Some(start(name));
    }
    watch(&mut places, began, phase);
    show_servers(&places)?;
    println!("  three is killed (kill -9); its session holds for six seconds, then the others go on with its part");
    if let Some(server) = places[2].server.take() {
        server.kill();
    }
    watch(&mut places, began, phase + 4);
    show_servers(&places)?;
    println!("  three starts again on its data folder");
    places[2] = Place { server: Some(start(NAMES[2])), read: 0.0 };
    watch(&mut places, began, phase);
    show_servers(&places)?;
    println!("All of them end in order.");
    for server in places.into_iter().filter_map(|place| place.server) {
        server.terminate();
    }
    Ok(())
}

/// Prints a line each second.
fn watch(places: &mut [Place; 3], began: Instant, seconds: u64) {
    for _ in 0..seconds {
        let asked = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        let rates = places.each_mut().map(|place| place.rate(asked));
        let shown = rates.map(|rate| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}")));
        let together: f64 = rates.iter().flatten().sum();
        let [one, two, three] = shown;
        let answer = places[0].server.as_ref().map(answer).unwrap_or_default();
        println!("{:<34}{one:>9}{two:>9}{three:>9}{together:>11.0}   {answer}", format!("{:>3} s", began.elapsed().as_secs()));
    }
}

/// What the first server knows of all.
fn show_servers(places: &[Place; 3]) -> std::io::Result<()> {
    let Some(server) = &places[0].server else { return Ok(()) };
    let url = format!("http://{}", server.address());
    Command::new(tidemill_binary()).args(["shell", &url, "-e", "SHOW SERVERS;"]).status()?;
    Ok(())
}

impl Place {
    /// Records that it has read a second since the last look, which was then.
    fn rate(&mut self, since: Instant) -> Option<f64> {
        let (_, page) = self.server.as_ref()?.request("GET", "/metrics", None).ok()?;
        let lines = page.lines().filter(|line| line.starts_with("tidemill_query_records_read_total{query=\"CTAS_VIEWS_OF_PAGES"));
        let read: f64 = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        let more = (read - std::mem::replace(&mut self.read, read)).max(0.0);
        Some(more / since.elapsed().as_secs_f64())
    }
}

/// What a server says of the most popular page.
fn answer(server: &ServerProcess) -> String {
    let answer = server.request("POST", "/query-stream", Some(&json!({ "sql": QUESTION })));
    match answer {
        Ok((200, text)) => {
            let row = text.lines().nth(1).and_then(|row| serde_json::from_str::<Value>(row).ok()).unwrap_or_default();
            format!("Page_0: {} views", row[0])
        }
        Ok((_, text)) => {
            let said = serde_json::from_str::<Value>(&text).unwrap_or_default();
            let said = said["message"].as_str().unwrap_or(&text);
            format!("Page_0: {}", said.lines().next().unwrap_or_default())
        }
        Err(error) => format!("Page_0: {error}"),
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
