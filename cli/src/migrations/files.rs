//! Migration files: `V000001__what_it_does.sql` in one folder, each a version.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use md5::{Digest, Md5};

use super::{MAX_VERSION, tell};

/// The largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What the migration does
    description: String,
    /// Its version [default: the one after the highest]
    #[arg(short, long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_VERSION)))]
    version: Option<u32>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    pub version: u32,
    /// From the file's name.
    pub name: String,
    pub path: PathBuf,
}

impl MigrationFile {
    /// `None`: the file is none.
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (version, description) = name.strip_prefix('V')?.strip_suffix(".sql")?.split_once("__")?;
        let is_version = version.len() == 6 && version.bytes().all(|b| b.is_ascii_digit()) && !description.is_empty();
        let version = version.parse().ok().filter(|_| is_version)?;
        Some(MigrationFile { version, name: description.replace('_', " "), path: path.to_owned() })
    }

    /// What it holds.
    ///
    /// # Errors
    /// It can't be read, is too large, or no text.
    pub fn text(&self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|_| format!("{}: not UTF-8", self.path.display()))
    }

    /// The MD5 of its bytes, in hexadecimal: as ksql-migrations records it.
    ///
    /// # Errors
    /// It can't be read, or is too large.
    pub fn checksum(&self) -> Result<String, String> {
        Ok(Md5::digest(self.bytes()?).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let wrong = |error: std::io::Error| format!("{}: {error}", self.path.display());
        if fs::metadata(&self.path).map_err(wrong)?.len() > MAX_FILE_BYTES {
            return Err(format!("{}: larger than {MAX_FILE_BYTES} bytes", self.path.display()));
        }
        fs::read(&self.path).map_err(wrong)
    }
}

/// All files of a folder by their versions; others are passed over, aloud.
///
/// # Errors
/// There is no such folder, two files are of one version, or one is of version 0.
pub fn all(folder: &Path) -> Result<BTreeMap<u32, MigrationFile>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    paths.sort();
    let mut found = BTreeMap::new();
    for path in paths {
        let Some(file) = MigrationFile::of(&path) else {
            crate::logging::say(&format!("{}: passed over, its name is not V<six digits>__<name>.sql", path.display()));
            continue;
        };
        if file.version == 0 {
            return Err(format!("{}: versions begin with 1", path.display()));
        }
        if let Some(other) = found.insert(file.version, file) {
            return Err(format!("two files are of version {}: {} and {}", other.version, other.path.display(), path.display()));
        }
    }
    Ok(found)
}

/// Makes an empty file.
///
/// # Errors
/// The version is taken or the last, or the file can't be made.
pub fn create(folder: &Path, args: &CreateArgs) -> Result<(), String> {
    if args.description.trim().is_empty() {
        return Err("a migration needs a description".to_owned());
    }
    let present = all(folder)?;
    let version = args.version.unwrap_or_else(|| present.keys().last().map_or(1, |last| last + 1));
    if let Some(taken) = present.get(&version) {
        return Err(format!("version {version} is there: {}", taken.path.display()));
    }
    if version > MAX_VERSION {
        return Err(format!("version {version} has more than six digits"));
    }
    let is_kept = |c: char| !(c.is_whitespace() || r#"/\:*?"<>|"#.contains(c));
    let description: String = args.description.chars().map(|c| if is_kept(c) { c } else { '_' }).collect();
    let path = folder.join(format!("V{version:06}__{description}.sql"));
    fs::File::create_new(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    tell(&format!("Created {}", path.display()));
    Ok(())
}
