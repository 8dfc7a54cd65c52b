//! A project's configuration: `ksql-migrations.properties`.

use std::path::{Path, PathBuf};

use tidemill_server::config::file::Entry;

use super::metadata::Metadata;
use crate::client::Means;
use crate::properties_file::{self, unknown_ssl};
use crate::shell::{client_with, token_of_environment};

/// The name that new-project gives it.
pub const FILE: &str = "ksql-migrations.properties";
/// The folder of migration files beside it.
pub const FOLDER: &str = "migrations";
const URL: &str = "ksql.server.url";
const USER: &str = "ksql.auth.basic.username";
const PASSWORD: &str = "ksql.auth.basic.password";
const DIR: &str = "ksql.migrations.dir.override";
const STREAM: (&str, &str) = ("ksql.migrations.stream.name", "MIGRATION_EVENTS");
const TABLE: (&str, &str) = ("ksql.migrations.table.name", "MIGRATION_SCHEMA_VERSIONS");
const STREAM_TOPIC: &str = "ksql.migrations.stream.topic.name";
const TABLE_TOPIC: &str = "ksql.migrations.table.topic.name";
const REPLICAS: (&str, &str) = ("ksql.migrations.topic.replicas", "1");
/// Of ksql-migrations, without meaning here: the protocol is agreed upon, and a store has one key.
const INERT: [&str; 2] = ["ssl.alpn", "ssl.key.alias"];
const VERIFY: &str = "ssl.verify.host";
/// How a project's file says who asks and whom to trust.
pub const MEANS: Means = Means {
    trust: "ssl.truststore.location=FILE",
    identity: "ssl.keystore.location=FILE, with the certificate and its key",
    login: "ksql.auth.basic.username and ksql.auth.basic.password, or the variable TIDEMILL_TOKEN",
};

/// What a new project's file holds: the server's address, and the rest as comments with their defaults.
pub fn initial(url: &str) -> String {
    format!(
        "{URL}={url}\n# {USER}=\n# {PASSWORD}=\n# ssl.truststore.location=\n# ssl.truststore.password=\n# ssl.keystore.location=\n\
         # ssl.keystore.password=\n# ssl.key.password=\n# {}={}\n# {}={}\n# {STREAM_TOPIC}=<ksql_service_id>ksql_<migrations_stream_name>\n\
         # {TABLE_TOPIC}=<ksql_service_id>ksql_<migrations_table_name>\n# {}={}\n# {DIR}=\n",
        STREAM.0, STREAM.1, TABLE.0, TABLE.1, REPLICAS.0, REPLICAS.1
    )
}

pub struct Config {
    entries: Vec<Entry>,
    /// Of the migration files.
    pub folder: PathBuf,
}

impl Config {
    /// # Errors
    /// The file can't be read, or says what nobody knows.
    pub fn read(file: &Path) -> Result<Self, String> {
        let shown = file.display();
        let entries = properties_file::read(file)?;
        let known = [URL, USER, PASSWORD, DIR, STREAM.0, TABLE.0, STREAM_TOPIC, TABLE_TOPIC, REPLICAS.0, VERIFY];
        for entry in &entries {
            let line = entry.line;
            if !known.contains(&entry.name.as_str()) && !entry.name.starts_with("ssl.") {
                let meant = tidemill_parser::did_you_mean(&entry.name, known.into_iter())
                    .map(|m| format!(". Did you mean {m}?"))
                    .unwrap_or_default();
                return Err(format!("{shown} line {line}: nobody knows the property '{}'{meant}", entry.name));
            }
            if let Some(reason) = unknown_ssl(&entry.name).filter(|_| entry.name != VERIFY && !INERT.contains(&entry.name.as_str())) {
                return Err(format!("{shown} line {line}: {reason}"));
            }
            if entry.name == VERIFY && entry.value.trim().eq_ignore_ascii_case("false") {
                return Err(format!(
                    "{shown} line {line}: {VERIFY}=false would trust any server. Give its certificate: ssl.truststore.location"
                ));
            }
            if entry.name == REPLICAS.0 && entry.value.trim().parse::<u16>().is_err() {
                return Err(format!("{shown} line {line}: {} must be a whole number", REPLICAS.0));
            }
        }
        let folder = of(&entries, DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| file.parent().unwrap_or(Path::new("")).join(FOLDER));
        Ok(Config { entries, folder })
    }

    /// Finds the server, which says what the topics are called.
    ///
    /// # Errors
    /// There is no address, or nobody answers there.
    pub async fn connect(&self) -> Result<Metadata, String> {
        let url = of(&self.entries, URL).filter(|url| !url.is_empty()).ok_or_else(|| format!("Missing required property: {URL}"))?;
        let tls = self.entries.iter().filter(|e| e.name.starts_with("ssl.") && e.name != VERIFY && !INERT.contains(&e.name.as_str()));
        let tls = tls.filter(|e| !e.value.is_empty()).map(|e| (e.name.clone(), e.value.clone())).collect();
        let client = client_with(url, &tls, MEANS).map_err(|error| error.to_string())?;
        let client = match of(&self.entries, USER).filter(|user| !user.is_empty()) {
            Some(user) => client.with_credentials(user, of(&self.entries, PASSWORD).unwrap_or_default()),
            None => match token_of_environment() {
                Some(token) => client.with_token(&token),
                None => client,
            },
        };
        let info = client.info().await.map_err(|error| error.to_string())?;
        let service = info["KsqlServerInfo"]["ksqlServiceId"].as_str().map(str::to_owned);
        let service = service.ok_or_else(|| format!("{url} does not say which service it is: {}", info))?;
        let named = |(name, default): (&str, &str)| of(&self.entries, name).unwrap_or(default).to_owned();
        let (stream, table) = (named(STREAM), named(TABLE));
        let topic = |name: &str, of_source: &str| named((name, &format!("{service}ksql_{of_source}")));
        let (stream_topic, table_topic) = (topic(STREAM_TOPIC, &stream), topic(TABLE_TOPIC, &table));
        Ok(Metadata { client, stream, table, stream_topic, table_topic, replicas: named(REPLICAS) })
    }
}

fn of<'a>(entries: &'a [Entry], name: &str) -> Option<&'a str> {
    entries.iter().rfind(|entry| entry.name == name).map(|entry| entry.value.trim())
}
