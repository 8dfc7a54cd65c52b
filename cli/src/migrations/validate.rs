//! Whether the files of what was applied are still what was applied.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{self, MigrationFile};
use super::metadata::{MIGRATED, Metadata, NONE};
use super::tell;

/// # Errors
/// See [`check`].
pub async fn run(metadata: &Metadata, folder: &Path) -> Result<(), String> {
    metadata.check_initialized().await?;
    check(metadata, folder, &files::all(folder)?).await?;
    tell("Successfully validated checksums for migrations that have already been applied");
    Ok(())
}

/// # Errors
/// A file is gone or has changed since it was applied, or what is recorded does not fit together.
pub async fn check(metadata: &Metadata, folder: &Path, present: &BTreeMap<u32, MigrationFile>) -> Result<(), String> {
    let mut version = metadata.latest_migrated().await?;
    let mut seen = 0;
    while version != NONE {
        let recorded = metadata.of_version(&version).await?;
        if seen > 0 && recorded.state != MIGRATED {
            return Err(format!("version {version} came before others, but is {}, not {MIGRATED}", recorded.state));
        }
        let file = version.parse().ok().and_then(|number: u32| present.get(&number));
        let file = file.ok_or_else(|| format!("version {version} was applied, but {} has no file of it", folder.display()))?;
        let checksum = file.checksum()?;
        if checksum != recorded.checksum {
            return Err(format!(
                "{} is not what was applied as version {version}: its checksum is {checksum}, not {}",
                file.path.display(),
                recorded.checksum
            ));
        }
        // Versions go down; a ring of predecessors must not be followed for ever.
        seen += 1;
        if seen > present.len() {
            return Err("what is recorded of predecessors goes in a circle".to_owned());
        }
        version = recorded.previous;
    }
    Ok(())
}
