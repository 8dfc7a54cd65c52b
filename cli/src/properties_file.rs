//! Properties files of clients: the shell's `--config-file`, and a project's `ksql-migrations.properties`. Values may stand elsewhere
//! (`${file:/path}`, `${env:NAME}`), as in the server's.

use std::path::Path;

use tidemill_server::config::file::{Entry, parse, text};
use tidemill_server::config::{Providers, is_about_providers, property, streams};

/// What the file says, in order, with values where they stand elsewhere.
///
/// # Errors
/// The file can't be read, or a value can't be fetched; the text says in which line, and nothing of a value.
pub fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let text = text(bytes).map_err(|reason| format!("{shown}: {reason}"))?;
    let (about_providers, entries): (Vec<Entry>, Vec<Entry>) =
        parse(&text).map_err(|reason| format!("{shown}: {reason}"))?.into_iter().partition(|entry| is_about_providers(&entry.name));
    let mut providers = Providers::default();
    for entry in about_providers {
        if let Some(Err(reason)) = providers.take(&entry.name, &entry.value) {
            return Err(format!("{shown}:{}: {reason}", entry.line));
        }
    }
    let fetched = entries.into_iter().map(|entry| match providers.expand(&entry.value) {
        Ok(value) => Ok(Entry { value: value.text, ..entry }),
        Err(reason) => Err(format!("{shown}:{}: {}: {reason}", entry.line, entry.name)),
    });
    fetched.collect()
}

/// What is wrong with the name of a property of TLS; `None`: there is one of that name.
pub fn unknown_ssl(name: &str) -> Option<String> {
    if !name.starts_with("ssl.") || property(name).is_some() || streams::find(name).is_some() {
        return None;
    }
    let known = streams::properties().map(|p| p.name).filter(|known| known.starts_with("ssl."));
    let meant = tidemill_parser::did_you_mean(name, known).map(|meant| format!(". Did you mean {meant}?")).unwrap_or_default();
    Some(format!("nobody knows the property '{name}'{meant}"))
}
