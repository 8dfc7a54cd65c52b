//! Cases whose expected result is a loss or a crash that we do not copy: each with its reason and with what comes out
//! instead, which is checked as strictly as any other case. They are counted apart.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use super::case::{self, Case, RecordSpec};

/// One case that differs.
#[derive(Debug)]
pub struct Difference {
    pub reason: String,
    /// What comes out instead, for the topics named here; the case's own records hold for the others.
    outputs: Vec<RecordSpec>,
    /// How it is refused instead; `None`: it is not.
    error: Option<String>,
    /// What a server answers instead, of a REST case.
    responses: Option<Json>,
}

impl Difference {
    /// The case with our answer.
    pub fn apply(&self, case: &Case) -> Case {
        let mut ours = case.clone();
        ours.outputs.retain(|record| !self.outputs.iter().any(|o| o.topic == record.topic));
        ours.outputs.extend(self.outputs.iter().cloned());
        ours.expected_error.clone_from(&self.error);
        ours
    }

    /// What is answered instead.
    pub fn responses(&self) -> Option<&Json> {
        self.responses.as_ref()
    }
}

/// Differences by file and name of the case.
#[derive(Debug, Default)]
pub struct Differences(HashMap<(String, String), Difference>);

impl Differences {
    /// Reads `[{"file": …, "name": …, "reason": …, "outputs": […]}, …]`; the records are written as in a case. In the place of
    /// `outputs` an entry may have `error`, a part of the text with which the case is refused, or `responses`, as a REST case has them.
    pub fn load(path: &Path) -> Result<Self, String> {
        let wrong = |what: &str| format!("{}: {what}", path.display());
        let text = std::fs::read_to_string(path).map_err(|e| wrong(&e.to_string()))?;
        let entries: Vec<Json> = serde_json::from_str(&text).map_err(|e| wrong(&e.to_string()))?;
        let mut differences = HashMap::new();
        for entry in &entries {
            let field = |name: &str| {
                let text = entry[name].as_str().filter(|t| !t.is_empty());
                text.map(str::to_owned).ok_or_else(|| wrong(&format!("an entry lacks \"{name}\"")))
            };
            let outputs: Vec<RecordSpec> =
                entry["outputs"].as_array().into_iter().flatten().map(case::record).collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
            let error = entry["error"].as_str().map(str::to_owned);
            let responses = entry.get("responses").cloned();
            if usize::from(!outputs.is_empty()) + usize::from(error.is_some()) + usize::from(responses.is_some()) != 1 {
                return Err(wrong("an entry has one of \"outputs\", \"error\" and \"responses\""));
            }
            differences.insert((field("file")?, field("name")?), Difference { reason: field("reason")?, outputs, error, responses });
        }
        Ok(Differences(differences))
    }

    /// What is different about a case.
    pub fn of(&self, case: &Case) -> Option<&Difference> {
        self.0.get(&(case.file.clone(), case.name.clone()))
    }
}
