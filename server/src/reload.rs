//! Files that are read again without a restart: when they change, and at SIGHUP. What can't be used leaves what was read before,
//! and says so in the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Something that was read from files.
pub trait Reloadable: Send + Sync {
    /// For messages: `users`.
    fn what(&self) -> &'static str;

    fn files(&self) -> Vec<PathBuf>;

    /// Reads them anew.
    ///
    /// # Errors
    /// They can't be used; what was read before still holds. A sentence that names property, file and line.
    fn reload(&self) -> Result<(), String>;
}

/// Watches until it is dropped.
pub struct Watching(Option<JoinHandle<()>>);

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Watches the files of all of these.
pub fn watch(all: Vec<Arc<dyn Reloadable>>) -> Watching {
    if all.is_empty() {
        return Watching(None);
    }
    let mut watched: Vec<Watched> = all.into_iter().map(Watched::new).collect();
    let mut hangup = signal(SignalKind::hangup()).inspect_err(|error| tracing::warn!(%error, "SIGHUP can't be watched")).ok();
    Watching(Some(tokio::spawn(async move {
        loop {
            let is_told = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = told(&mut hangup) => true,
            };
            // Files may lie on a disk that does not answer.
            let looked = tokio::task::spawn_blocking(move || {
                for one in &mut watched {
                    one.look(is_told);
                }
                watched
            });
            match looked.await {
                Ok(back) => watched = back,
                Err(error) => {
                    tracing::error!(%error, "files are not watched any more");
                    return;
                }
            }
        }
    })))
}

async fn told(hangup: &mut Option<tokio::signal::unix::Signal>) {
    let came = match hangup {
        Some(hangup) => hangup.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

/// One of them, with how its files looked when they were read.
struct Watched {
    source: Arc<dyn Reloadable>,
    seen: Vec<Option<Stamp>>,
}

impl Watched {
    fn new(source: Arc<dyn Reloadable>) -> Self {
        let seen = stamps(&*source);
        Watched { source, seen }
    }

    fn look(&mut self, is_told: bool) {
        let now = stamps(&*self.source);
        if !is_told && now == self.seen {
            return;
        }
        self.seen = now;
        match self.source.reload() {
            Ok(()) => tracing::info!("{} were read again", self.source.what()),
            Err(reason) => tracing::error!("{} can't be read again, those from before still hold: {reason}", self.source.what()),
        }
    }
}

/// What tells whether a file has changed.
type Stamp = (SystemTime, u64, u64);

fn stamps(source: &dyn Reloadable) -> Vec<Option<Stamp>> {
    source.files().iter().map(|file| stamp(file)).collect()
}

/// `None`: it is not there.
fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    struct Text {
        path: PathBuf,
        read: Mutex<String>,
    }

    impl Reloadable for Text {
        fn what(&self) -> &'static str {
            "texts"
        }

        fn files(&self) -> Vec<PathBuf> {
            vec![self.path.clone()]
        }

        fn reload(&self) -> Result<(), String> {
            let text = std::fs::read_to_string(&self.path).map_err(|error| error.to_string())?;
            if text.is_empty() {
                return Err("empty".to_owned());
            }
            *self.read.lock() = text;
            Ok(())
        }
    }

    #[test]
    fn what_changes_is_read_again_and_what_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        std::fs::write(&path, "one").expect("written");
        let text = Arc::new(Text { path: path.clone(), read: Mutex::default() });
        let mut watched = Watched::new(text.clone());
        watched.look(false);
        assert_eq!(*text.read.lock(), "", "nothing has changed");
        watched.look(true);
        assert_eq!(*text.read.lock(), "one");
        std::fs::write(&path, "").expect("written");
        watched.look(false);
        assert_eq!(*text.read.lock(), "one", "the old one stays");
        std::fs::write(&path, "three").expect("written");
        watched.look(false);
        assert_eq!(*text.read.lock(), "three");
        std::fs::remove_file(&path).expect("removed");
        watched.look(false);
        assert_eq!(*text.read.lock(), "three");
    }
}
