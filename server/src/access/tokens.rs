//! Bearer tokens of a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::file;
use super::password::{MAX_PASSWORD_BYTES, is_hash_of_password, is_hash_of_token, token_hash};
use crate::reload::Reloadable;

/// Shorter tokens can be found by trying.
const MIN_BYTES: usize = 20;

/// Who a token is.
type Holder = (Arc<str>, Arc<[String]>);

/// Tokens, by their hash. A look-up tells by its time only what is known of the hash, and nothing of a token.
type Table = HashMap<[u8; 32], Holder>;

pub struct Tokens {
    property: &'static str,
    path: PathBuf,
    table: RwLock<Arc<Table>>,
}

impl Tokens {
    /// # Errors
    /// The file can't be used; a sentence that names the property, the file and the line.
    pub fn open(property: &'static str, path: PathBuf) -> Result<Self, String> {
        let table = RwLock::new(Arc::new(read(property, &path)?));
        Ok(Tokens { property, path, table })
    }

    /// What is to be said of the file at the start.
    pub fn warning(&self) -> Option<String> {
        file::warning(self.property, &self.path)
    }

    /// Everybody, by name.
    pub fn all_roles(&self) -> std::collections::BTreeMap<Arc<str>, Arc<[String]>> {
        self.table.read().values().cloned().collect()
    }

    pub fn find(&self, token: &str) -> Option<Holder> {
        // What looks like a hash in the file is none of the file's tokens.
        if token.len() > MAX_PASSWORD_BYTES || token.starts_with("sha256:") {
            return None;
        }
        self.table.read().get(&token_hash(token)?).cloned()
    }
}

impl Reloadable for Tokens {
    fn what(&self) -> &'static str {
        "tokens"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn reload(&self) -> Result<(), String> {
        *self.table.write() = Arc::new(read(self.property, &self.path)?);
        Ok(())
    }
}

fn read(property: &str, path: &Path) -> Result<Table, String> {
    let mut table = Table::new();
    for line in file::read(property, path, "token")? {
        let wrong = |what: &str| format!("{property}: {}: line {}: '{}': {what}", path.display(), line.number, line.name);
        if is_hash_of_password(&line.credential) {
            // Taken for a token, it would let in whoever has read the file of users.
            return Err(wrong("this is a password's hash: users stand in the file that tidemill.auth.users.file names"));
        }
        if !is_hash_of_token(&line.credential) && line.credential.len() < MIN_BYTES {
            return Err(wrong(&format!("a token of fewer than {MIN_BYTES} characters can be guessed; make one by 'tidemill user token'")));
        }
        let hash = token_hash(&line.credential).ok_or_else(|| wrong("sha256: is followed by 64 hexadecimal digits"))?;
        if table.insert(hash, (line.name.as_str().into(), line.roles.clone().into())).is_some() {
            return Err(wrong("another name has the same token"));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::super::password::fingerprint_of_token;
    use super::*;

    #[test]
    fn tokens_are_found_and_hashes_are_no_tokens() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens");
        let hash = fingerprint_of_token("a-token-of-many-characters");
        std::fs::write(&path, format!("ci: {hash},write\nplain: another-token-of-many,read\n")).expect("written");
        let tokens = Tokens::open("p", path.clone()).expect("a good file");
        assert_eq!(tokens.find("a-token-of-many-characters").map(|(name, _)| name), Some("ci".into()));
        assert_eq!(tokens.find("another-token-of-many").map(|(name, _)| name), Some("plain".into()));
        assert_eq!(tokens.find(&hash), None);
        assert_eq!(tokens.find(""), None);
        for (text, expected) in [("x: short,read\n", "line 1: 'x': a token of fewer"), ("x: sha256:12,read\n", "64 hexadecimal")] {
            std::fs::write(&path, text).expect("written");
            let error = tokens.reload().expect_err(text);
            assert!(error.contains(expected) && !error.contains("short"), "{error}");
        }
        assert!(tokens.find("another-token-of-many").is_some(), "the old ones stay");
    }
}
