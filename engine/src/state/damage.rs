//! Files of the database that are damaged, missing or another's.
//!
//! RocksDB notices: at the open by its manifest and the files' sizes, at a read by the blocks' checksums. Nothing is answered from
//! such files. Where the state can be read anew from changelogs, a folder that is found so, at once or when it was last used, is
//! set aside and a new one begun; it is not deleted, for somebody may want to know what happened.

use std::path::{Path, PathBuf};

use super::StateError;

/// Lies in the folder of a database in which damage was found while it was open.
const NOTE: &str = "DAMAGED";

/// Whether an error says that files are not what they should be.
pub(super) fn is_damage(error: &rocksdb::Error) -> bool {
    matches!(error.kind(), rocksdb::ErrorKind::Corruption) || error.to_string().contains("No such file or directory")
}

/// As [`is_damage`], while a database is opened: it may be another program's, too.
pub(super) fn is_damage_at_open(error: &rocksdb::Error) -> bool {
    is_damage(error) || matches!(error.kind(), rocksdb::ErrorKind::InvalidArgument | rocksdb::ErrorKind::NotSupported)
}

/// Remembers that a database is damaged, for the next start.
pub(super) fn note(folder: &Path, reason: &str) {
    if let Err(error) = std::fs::write(folder.join(NOTE), reason) {
        tracing::warn!(folder = %folder.display(), %error, "that files are damaged can't be noted");
    }
}

/// What was noted of a database when it was last open.
pub(super) fn noted(folder: &Path) -> Option<String> {
    folder.join(NOTE).try_exists().ok()?.then(|| std::fs::read_to_string(folder.join(NOTE)).unwrap_or_default())
}

/// Moves a database's folder out of the way; where to.
///
/// # Errors
/// The file system refuses it.
pub(super) fn set_aside(folder: &Path) -> Result<PathBuf, StateError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let free = (1_u32..).map(|number| folder.with_file_name(format!("{name}.damaged-{number}"))).find(|place| !place.exists());
    let place = free.unwrap_or_else(|| folder.with_extension("damaged"));
    let unusable = |error: std::io::Error| StateError::Unusable {
        path: folder.display().to_string(),
        reason: format!("it is damaged, and can't be moved to {}: {error}", place.display()),
    };
    std::fs::rename(folder, &place).map_err(unusable)?;
    Ok(place)
}
