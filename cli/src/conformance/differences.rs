//! Cases whose expected result is a loss or a crash that we do not copy: each with its reason, counted apart.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

/// Reasons by file and name of the case.
#[derive(Debug, Default)]
pub struct Differences(HashMap<(String, String), String>);

impl Differences {
    /// Reads `[{"file": …, "name": …, "reason": …}, …]`.
    pub fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let entries: Vec<Json> = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut reasons = HashMap::new();
        for entry in entries {
            let field = |name: &str| {
                entry[name]
                    .as_str()
                    .filter(|t| !t.is_empty())
                    .map(str::to_owned)
                    .ok_or_else(|| format!("{}: an entry lacks \"{name}\"", path.display()))
            };
            reasons.insert((field("file")?, field("name")?), field("reason")?);
        }
        Ok(Differences(reasons))
    }

    pub fn reason(&self, file: &str, name: &str) -> Option<&str> {
        self.0.get(&(file.to_owned(), name.to_owned())).map(String::as_str)
    }
}
