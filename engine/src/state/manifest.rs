//! How long the database's manifest is at least.
//!
//! RocksDB takes a manifest that ends early for one that was being written when the process died, and goes on with the files that
//! its beginning names: it would answer from an old part of the state, beside positions that are new. But it also sees to it that
//! what it has written of a manifest is on the disk before it goes on. So a manifest that is shorter than it once was is damaged,
//! and so is a folder whose manifest is an older one, or that has none any more.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the manifest in use.
const CURRENT: &str = "CURRENT";
/// Remembers its name and length.
const NOTE: &str = "MANIFEST-LENGTH";

/// Keeps the note of an open database.
pub(super) struct ManifestNote {
    folder: PathBuf,
    /// The manifest's name.
    name: String,
    /// The length that is noted.
    length: AtomicU64,
}

/// What is wrong with the manifest of a folder, as far as its note tells.
pub(super) fn damage(folder: &Path) -> Option<String> {
    let note = std::fs::read_to_string(folder.join(NOTE)).ok()?;
    let (name, length) = note.trim().split_once(' ')?;
    let length: u64 = length.parse().ok()?;
    let Some(current) = current(folder) else { return Some(format!("{CURRENT} is missing or names no manifest")) };
    if current != name {
        // A start makes a new one.
        let is_older = number(&current).zip(number(name)).is_none_or(|(current, noted)| current < noted);
        return is_older.then(|| format!("{CURRENT} names {current}, and {name} was in use"));
    }
    let found = std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    (found < length).then(|| format!("{name} has {found} bytes, and had {length}"))
}

impl ManifestNote {
    /// Of a database that was just opened.
    pub fn new(folder: &Path) -> Self {
        let note = ManifestNote::of_another(folder);
        note.update();
        note
    }

    /// Of a database that is only looked at: nothing is noted until it is written.
    pub fn of_another(folder: &Path) -> Self {
        ManifestNote { folder: folder.to_owned(), name: current(folder).unwrap_or_default(), length: AtomicU64::new(0) }
    }

    /// Notes the length where it has changed. A look at a file, mostly.
    pub fn update(&self) {
        let Ok(found) = std::fs::metadata(self.folder.join(&self.name)) else { return };
        if self.length.swap(found.len(), Ordering::AcqRel) == found.len() {
            return;
        }
        let temporary = self.folder.join(format!("{NOTE}.new"));
        let written = std::fs::write(&temporary, format!("{} {}\n", self.name, found.len()));
        if let Err(error) = written.and_then(|()| std::fs::rename(&temporary, self.folder.join(NOTE))) {
            tracing::warn!(%error, "the length of the state's manifest can't be noted");
        }
    }
}

fn current(folder: &Path) -> Option<String> {
    let name = std::fs::read_to_string(folder.join(CURRENT)).ok()?;
    let name = name.trim();
    number(name).map(|_| name.to_owned())
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix("MANIFEST-")?.parse().ok()
}
