//! What was applied, as ksql-migrations records it: a stream of events, and a table of the last one of each version; the key
//! `CURRENT` stands for the version that was begun last.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::files::MigrationFile;
use crate::client::{Client, ClientError, Settings};

/// Before the first version.
pub const NONE: &str = "<none>";
pub const CURRENT: &str = "CURRENT";
const NO_REASON: &str = "N/A";
/// How long an event may take to show in the table.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// States of a version.
pub const RUNNING: &str = "RUNNING";
pub const MIGRATED: &str = "MIGRATED";
pub const ERROR: &str = "ERROR";

/// Where it is recorded.
pub struct Metadata {
    pub client: Client,
    pub stream: String,
    pub table: String,
    pub stream_topic: String,
    pub table_topic: String,
    pub replicas: String,
}

/// What is recorded of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    pub version: String,
    pub name: String,
    pub state: String,
    pub checksum: String,
    /// Milliseconds since the epoch, or nothing.
    pub started_on: String,
    pub completed_on: String,
    pub previous: String,
    pub error_reason: String,
}

/// What is recorded while a version is applied.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    pub file: &'a MigrationFile,
    pub state: &'a str,
    pub started_on: &'a str,
    pub completed_on: &'a str,
    pub checksum: &'a str,
    pub previous: &'a str,
    pub error_reason: Option<&'a str>,
}

/// Texts are taken as they are.
fn as_they_are() -> Settings {
    [(tidemill_parser::SUBSTITUTION_PROPERTY.to_owned(), "false".to_owned())].into_iter().collect()
}

pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Metadata {
    /// The statements that make the stream and the table.
    pub fn declarations(&self) -> [String; 2] {
        let Metadata { stream, table, stream_topic, table_topic, replicas, .. } = self;
        let columns = ["version", "name", "state", "checksum", "started_on", "completed_on", "previous", "error_reason"];
        let declared: String = columns.iter().map(|column| format!(", {column} STRING")).collect();
        let latest: String = columns.iter().map(|column| format!(", latest_by_offset({column}) AS {column}")).collect();
        [
            format!(
                "CREATE STREAM {stream} (version_key STRING KEY{declared}) WITH (KAFKA_TOPIC={}, VALUE_FORMAT='JSON', PARTITIONS=1, \
                 REPLICAS={replicas});",
                quoted(stream_topic)
            ),
            format!(
                "CREATE TABLE {table} WITH (KAFKA_TOPIC={}) AS SELECT version_key{latest} FROM {stream} GROUP BY version_key;",
                quoted(table_topic)
            ),
        ]
    }

    /// # Errors
    /// The server refuses the statement, in its words.
    pub async fn run(&self, sql: &str) -> Result<Vec<Json>, String> {
        self.client.statements(sql, &as_they_are(), &Settings::new()).await.map_err(|error| error.to_string())
    }

    /// # Errors
    /// The stream or the table is not there.
    pub async fn check_initialized(&self) -> Result<(), String> {
        for (kind, name) in [("stream", &self.stream), ("table", &self.table)] {
            match self.client.statements(&format!("DESCRIBE {name};"), &Settings::new(), &Settings::new()).await {
                Ok(_) => {}
                Err(ClientError::Refused(why)) => {
                    return Err(format!("the {kind} {name} is not there: run initialize-metadata first ({why})"));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// What is recorded of a version, or of `CURRENT`.
    ///
    /// # Errors
    /// The table can't be asked.
    pub async fn recorded(&self, key: &str) -> Result<Option<Recorded>, String> {
        const COLUMNS: &str = "version, name, state, checksum, started_on, completed_on, previous, error_reason";
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE version_key = {};", self.table, quoted(key));
        let wrong = |error: ClientError| format!("{} can't be asked: {error}", self.table);
        let mut lines = self.client.query(&sql, &Settings::new(), &Settings::new()).await.map_err(wrong)?;
        let mut found = None;
        while let Some(line) = lines.next().await.map_err(wrong)? {
            if let Ok(Json::Array(row)) = serde_json::from_str(&line) {
                let text = |at: usize| row.get(at).and_then(Json::as_str).unwrap_or_default().to_owned();
                found = Some(Recorded {
                    version: text(0),
                    name: text(1),
                    state: text(2),
                    checksum: text(3),
                    started_on: text(4),
                    completed_on: text(5),
                    previous: text(6),
                    error_reason: text(7),
                });
            }
        }
        Ok(found)
    }

    /// What is recorded of a version that must be there.
    ///
    /// # Errors
    /// It is not, or the table can't be asked.
    pub async fn of_version(&self, version: &str) -> Result<Recorded, String> {
        self.recorded(version).await?.ok_or_else(|| format!("version {version} was recorded as a predecessor, but not by itself"))
    }

    /// The version that was begun last.
    ///
    /// # Errors
    /// The table can't be asked.
    pub async fn current(&self) -> Result<String, String> {
        Ok(self.recorded(CURRENT).await?.map_or_else(|| NONE.to_owned(), |current| current.version))
    }

    /// The last version that was applied as a whole.
    ///
    /// # Errors
    /// What is recorded does not fit together, or can't be asked.
    pub async fn latest_migrated(&self) -> Result<String, String> {
        let current = self.current().await?;
        if current == NONE {
            return Ok(current);
        }
        let recorded = self.of_version(&current).await?;
        if recorded.state == MIGRATED || recorded.previous == NONE {
            return Ok(if recorded.state == MIGRATED { current } else { NONE.to_owned() });
        }
        let before = self.of_version(&recorded.previous).await?;
        if before.state != MIGRATED {
            return Err(format!("version {} came before {current}, but is {}, not {MIGRATED}", recorded.previous, before.state));
        }
        Ok(recorded.previous)
    }

    /// Records an event of a version, and waits until the table shows it.
    ///
    /// # Errors
    /// It can't be written, or does not show in time.
    pub async fn record(&self, event: &Event<'_>) -> Result<(), String> {
        let version = event.file.version.to_string();
        for key in [CURRENT, &version] {
            let values = [
                key,
                &version,
                &event.file.name,
                event.state,
                event.checksum,
                event.started_on,
                event.completed_on,
                event.previous,
                event.error_reason.unwrap_or(NO_REASON),
            ];
            let sql = format!(
                "INSERT INTO {} (version_key, version, name, state, checksum, started_on, completed_on, previous, error_reason) VALUES ({});",
                self.stream,
                values.map(quoted).join(", ")
            );
            self.run(&sql).await?;
        }
        let began = Instant::now();
        loop {
            if self.recorded(&version).await?.is_some_and(|recorded| recorded.state == event.state) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!(
                    "{} does not show within {} seconds that version {version} is {}",
                    self.table,
                    PATIENCE.as_secs(),
                    event.state
                ));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
