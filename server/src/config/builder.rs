//! A configuration in the making: files, environment variables and flags, later ones over earlier ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::env::{self, Variable};
use super::overrides::{is_slip, near};
use super::provided::{self, Providers};
use super::server_config::ServerConfig;
use super::table::{self, Role, property};
use super::{ConfigError, file, streams};

/// Gathers properties and everything that is wrong with them.
#[derive(Debug, Clone, Default)]
pub struct ConfigBuilder {
    values: BTreeMap<String, String>,
    /// How many sources (files, environments, flags) came before the one that gave a value.
    sources: BTreeMap<String, usize>,
    source: usize,
    /// Where the values stand: `server.properties line 7`.
    origins: BTreeMap<String, String>,
    /// Where `${…}` is fetched.
    providers: Providers,
    /// Properties whose values were.
    provided: BTreeSet<String>,
    /// What was fetched, to be kept out of messages.
    secrets: Vec<String>,
    problems: Vec<String>,
    /// What has no effect: why, and what it was said of.
    inert: BTreeMap<&'static str, Vec<String>>,
    warnings: Vec<String>,
}

impl ConfigBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the properties of a file.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn file(mut self, path: &Path) -> Result<Self, ConfigError> {
        self.source += 1;
        let bytes = std::fs::read(path).map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        let text = file::text(bytes).map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        let entries = file::parse(&text).map_err(|e| ConfigError(format!("{}: {e}", path.display())))?;
        let origin = |line: usize| format!("{} line {line}", path.display());
        for entry in &entries {
            self.take_provider(&entry.name, &entry.value, &origin(entry.line));
        }
        for entry in entries {
            self.take(&entry.name, &entry.value, &origin(entry.line));
        }
        Ok(self)
    }

    /// Takes environment variables: `KSQL_…`, and over them `TIDEMILL_…`. One that is no property is never fatal: an
    /// environment is shared with others. Empty ones count as not set.
    pub fn env(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut variables: Vec<_> = variables.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        variables.sort_by(|(one, _), (other, _)| (one.starts_with(env::TIDEMILL), one).cmp(&(other.starts_with(env::TIDEMILL), other)));
        self.source += 1;
        for (variable, value) in &variables {
            if let Some(name) = variable.strip_prefix(env::KSQL).filter(|name| name.starts_with("CONFIG_PROVIDERS")) {
                self.take_provider(&name.to_ascii_lowercase().replace('_', "."), value, variable);
            }
        }
        for (variable, value) in variables {
            self.source += usize::from(variable.starts_with(env::TIDEMILL));
            match env::variable(&variable) {
                Variable::Property(name) => self.take(&name, &value, &variable),
                Variable::OfTheImage => {
                    self.inert.entry(env::why_inert(&variable)).or_default().push(variable);
                }
                Variable::Unknown(name) => self.warnings.push(format!("{variable}: no property is called '{name}'{}", near(&name))),
                Variable::NotOurs => {}
            }
        }
        self
    }

    /// Takes one property; `origin` names it in messages (`--listen`).
    pub fn set(mut self, name: &str, value: &str, origin: &str) -> Self {
        self.source += 1;
        self.take(name, value, origin);
        self
    }

    /// Providers are known before any value is fetched, wherever they stand.
    fn take_provider(&mut self, name: &str, value: &str, origin: &str) {
        if let Some(Err(problem)) = self.providers.take(name, value) {
            self.problems.push(format!("{origin}: {problem}"));
        }
    }

    fn take(&mut self, name: &str, value: &str, origin: &str) {
        if provided::is_about_providers(name) {
            return;
        }
        let value = match self.providers.expand(value) {
            Ok(value) => value,
            Err(problem) => return self.problems.push(format!("{origin}: {name}: {problem}")),
        };
        let is_provided = !value.fetched.is_empty();
        self.secrets.extend(value.fetched);
        let value = value.text;
        if is_provided && goes_into_commands(name) {
            return self.problems.push(format!(
                "{origin}: {name} can't be fetched: its value goes into the command topic with each statement, where others may read it. \
                 Write the value itself"
            ));
        }
        if name == "listeners" {
            self.note_lost_encryption(&value, origin);
        }
        match judge(name, &value, if is_provided { table::HIDDEN } else { table::shown(name, &value) }) {
            Ok(why_inert) => {
                if let Some(why) = why_inert {
                    self.inert.entry(why).or_default().push(format!("{name} ({origin})"));
                }
                self.forget_spellings(name);
                if is_provided {
                    self.provided.insert(name.to_owned());
                } else {
                    self.provided.remove(name);
                }
                self.values.insert(name.to_owned(), value);
                self.sources.insert(name.to_owned(), self.source);
                self.origins.insert(name.to_owned(), origin.to_owned());
            }
            Err(problem) => self.problems.push(format!("{origin}: {problem}")),
        }
    }

    /// Listeners that stand over others that encrypt, and do not themselves. Who gives an address alone may not know that it is plain.
    fn note_lost_encryption(&mut self, value: &str, origin: &str) {
        let encrypts = |listeners: &str| listeners.split(',').any(|one| one.trim().to_ascii_lowercase().starts_with("https://"));
        let Some(before) = self.values.get("listeners").filter(|before| encrypts(before) && !encrypts(value)) else { return };
        let place = self.origins.get("listeners").map(|origin| format!(" ({origin})")).unwrap_or_default();
        if value.contains("://") {
            self.warnings.push(format!("{origin}: listeners={value} stands over {before}{place}: nothing is encrypted, passwords neither"));
        } else {
            let address = value.trim();
            self.problems.push(format!(
                "{origin}: {address} would speak plain HTTP in the place of listeners={before}{place}: write https://{address}, or \
                 http://{address} if that is meant"
            ));
        }
    }

    /// A property of Kafka Streams or of the clients may be called `x` and `ksql.streams.x`: what an earlier source called
    /// otherwise is replaced as well. Within one source the longer name stands.
    fn forget_spellings(&mut self, name: &str) {
        if property(name).is_some() && streams::find(name).is_none() {
            return;
        }
        let meant = streams::parted(name);
        let earlier = |set: &String| self.sources.get(set).is_some_and(|source| *source < self.source);
        let gone: Vec<String> = self.values.keys().filter(|set| streams::parted(set) == meant && earlier(set)).cloned().collect();
        for set in gone {
            self.values.remove(&set);
            self.provided.remove(&set);
        }
    }

    /// # Errors
    /// Everything that was wrong, in one line.
    pub fn build(self) -> Result<ServerConfig, ConfigError> {
        let hidden = |text: String| without(text, &self.secrets);
        if !self.problems.is_empty() {
            return Err(ConfigError(hidden(self.problems.join("; "))));
        }
        let inert = self.inert.iter().map(|(why, of)| format!("no effect here: {}. {why}", of.join(", ")));
        let warnings = self.warnings.iter().cloned().chain(inert).map(hidden).collect();
        let origins = self.origins;
        let config = ServerConfig::from_values(self.values, self.provided, warnings);
        config.map_err(|error| located(ConfigError(without(error.0, &self.secrets)), &origins))
    }
}

/// A message without what was fetched. What is too short to be a secret would take other words with it.
fn without(text: String, secrets: &[String]) -> String {
    const LEAST_BYTES: usize = 4;
    let secrets = secrets.iter().filter(|secret| secret.len() >= LEAST_BYTES);
    secrets.fold(text, |text, secret| text.replace(secret.as_str(), table::HIDDEN))
}

/// An error that begins with the name of a property, with where that stands.
fn located(error: ConfigError, origins: &BTreeMap<String, String>) -> ConfigError {
    let name = error.0.split([':', '=', ' ']).next().unwrap_or_default();
    match origins.get(name) {
        Some(origin) => ConfigError(format!("{origin}: {error}")),
        None => error,
    }
}

/// Whether a property's value is a text that statements are kept with. Numbers and words of a list are no secrets.
fn goes_into_commands(name: &str) -> bool {
    let (role, kind) = match (property(name), streams::find(name)) {
        (Some(p), _) => (p.role, p.kind),
        (None, Some(p)) => (p.role, p.kind),
        (None, None) => return false,
    };
    role == Role::Session && !kind.is_closed()
}

/// Whether a property may be configured so: nothing, or why it has no effect, or what is wrong. `shown` is what may be shown of it.
fn judge(name: &str, value: &str, shown: &str) -> Result<Option<&'static str>, String> {
    let (kind, role, doc, is_default) = match (property(name), streams::find(name)) {
        (Some(p), _) => (p.kind, p.role, p.doc, p.is_default(value)),
        (None, Some(p)) => (p.kind, p.role, p.doc, p.is_default(value)),
        (None, None) if streams::is_librdkafka(name) => return Ok(None),
        (None, None) => return by_prefix(name),
    };
    if is_default {
        return Ok(None);
    }
    match role {
        Role::Refused => return Err(format!("{name}={shown} can't be used: {doc}")),
        Role::Inert | Role::Server | Role::Session | Role::Client | Role::Tuning => {}
    }
    kind.check(value).map_err(|reason| format!("invalid value '{shown}' of {name}: {reason}"))?;
    Ok((role == Role::Inert).then_some(doc))
}

/// Names that are in no table.
fn by_prefix(name: &str) -> Result<Option<&'static str>, String> {
    let command_client = ["ksql.server.command.consumer.", "ksql.server.command.producer."].iter().find_map(|p| name.strip_prefix(p));
    if command_client == Some("bootstrap.servers") {
        return Err(format!("{name} can't be used: the command topic is on the same brokers as all others"));
    }
    match table::prefix(name) {
        Some((Role::Inert, doc)) => Ok(Some(doc)),
        Some(_) => Ok(None),
        None if streams::bare(name).starts_with("confluent.") => Ok(Some("Confluent's plug-ins are Java.")),
        None if env::is_of_the_image(name) => Ok(Some(env::OF_THE_IMAGE)),
        None if name.starts_with(streams::PREFIX) && !is_slip(name) => Ok(Some(streams::UNKNOWN)),
        None => Err(format!("unknown property '{name}'{}", near(name))),
    }
}
