//! The user and password that Connect is asked with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use hyper::header::HeaderValue;
use parking_lot::Mutex;

use crate::config::file;

/// Where they come from.
#[derive(Clone)]
pub enum Credentials {
    /// Nowhere: what the client of the statement sent is passed on.
    None,
    File(Arc<FromFile>),
}

/// A properties file with `username` and `password`.
pub struct FromFile {
    path: PathBuf,
    /// Read again for each statement.
    reload: bool,
    /// As read last.
    header: Mutex<HeaderValue>,
}

impl Credentials {
    /// # Errors
    /// The file can't be read, or lacks a user or a password.
    pub fn of_file(path: PathBuf, reload: bool) -> Result<Self, String> {
        let header = Mutex::new(read(&path)?);
        Ok(Credentials::File(Arc::new(FromFile { path, reload, header })))
    }

    /// The header to send; `theirs` is the client's. A file that can't be read any more leaves the last one standing.
    pub fn header(&self, theirs: Option<&HeaderValue>) -> Option<HeaderValue> {
        let Credentials::File(file) = self else { return theirs.cloned() };
        if file.reload {
            match read(&file.path) {
                Ok(header) => *file.header.lock() = header,
                Err(error) => tracing::warn!("Kafka Connect is asked with the credentials read before: {error}"),
            }
        }
        Some(file.header.lock().clone())
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let wrong = |what: &str| format!("ksql.connect.basic.auth.credentials.file: {}: {what}", path.display());
    let bytes = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    let text = file::text(bytes).map_err(|error| wrong(&error))?;
    let entries = file::parse(&text).map_err(|error| wrong(&error))?;
    let value = |name: &str| entries.iter().rfind(|entry| entry.name == name).map(|entry| entry.value.as_str());
    let (Some(user), Some(password)) = (value("username"), value("password")) else {
        return Err(wrong("needs the lines username=… and password=…"));
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    let mut header = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| wrong("can't be sent"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_is_read_again_if_asked_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials");
        assert!(Credentials::of_file(path.clone(), false).err().is_some_and(|e| e.contains("credentials")));
        std::fs::write(&path, "username=me\n").expect("written");
        assert!(Credentials::of_file(path.clone(), false).err().is_some_and(|e| e.contains("password=…")));
        std::fs::write(&path, "username=me\npassword=one\n").expect("written");
        let [kept, reloaded] = [false, true].map(|reload| Credentials::of_file(path.clone(), reload).expect("read"));
        std::fs::write(&path, "username=me\npassword=two\n").expect("written");
        let theirs = HeaderValue::from_static("Basic theirs");
        let sent = |from: &Credentials| from.header(Some(&theirs)).map(|h| h.to_str().map(str::to_owned).unwrap_or_default());
        assert_eq!(sent(&kept).as_deref(), Some("Basic bWU6b25l"));
        assert_eq!(sent(&reloaded).as_deref(), Some("Basic bWU6dHdv"));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(sent(&reloaded).as_deref(), Some("Basic bWU6dHdv"));
        assert_eq!(sent(&Credentials::None).as_deref(), Some("Basic theirs"));
    }
}
