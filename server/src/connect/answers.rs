//! What Connect answers, as far as anybody here looks at it. What isn't known is not looked at; a part that must be there and
//! isn't makes the answer one that can't be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A connector and its properties.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct ConnectorInfo {
    pub name: String,
    /// Null where Connect was given null.
    pub config: BTreeMap<String, Option<String>>,
    pub tasks: Vec<TaskId>,
    /// `source`, `sink` or `unknown`.
    #[serde(rename = "type", default = "unknown", deserialize_with = "lower")]
    pub kind: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct TaskId {
    pub connector: String,
    pub task: i32,
}

/// How a connector and its tasks fare.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct ConnectorState {
    pub name: String,
    pub connector: State,
    pub tasks: Vec<TaskState>,
    #[serde(rename = "type", default = "unknown", deserialize_with = "lower")]
    pub kind: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct State {
    /// `RUNNING`, `FAILED`, `PAUSED`, ….
    pub state: String,
    #[serde(default)]
    pub worker_id: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct TaskState {
    pub id: i32,
    #[serde(flatten)]
    pub state: State,
}

impl ConnectorState {
    /// In a word, and how many tasks run.
    pub fn summary(&self) -> String {
        const RUNNING: &str = "RUNNING";
        if self.connector.state != RUNNING {
            return self.connector.state.clone();
        }
        let (all, running) = (self.tasks.len(), self.tasks.iter().filter(|task| task.state.state == RUNNING).count());
        let word = if all > 0 && running == 0 { "WARNING" } else { RUNNING };
        format!("{word} ({running}/{all} tasks RUNNING)")
    }
}

/// A class that Connect can run connectors of.
#[derive(Debug, Clone, Deserialize)]
pub struct PluginInfo {
    pub class: String,
    #[serde(rename = "type", default = "unknown", deserialize_with = "lower")]
    pub kind: String,
    #[serde(default)]
    pub version: Option<String>,
}

/// What Connect makes of properties.
#[derive(Debug, Deserialize)]
pub(super) struct Validation {
    configs: Vec<Validated>,
}

#[derive(Debug, Deserialize)]
struct Validated {
    value: ValidatedValue,
}

#[derive(Debug, Deserialize)]
struct ValidatedValue {
    name: String,
    #[serde(default)]
    errors: Vec<String>,
}

impl Validation {
    /// One for each property that is wrong.
    pub fn errors(self) -> Vec<String> {
        let wrong = self.configs.into_iter().map(|config| config.value).filter(|value| !value.errors.is_empty());
        wrong.map(|value| format!("{} - {}", value.name, value.errors.join(". "))).collect()
    }
}

/// `{"C": {"topics": ["t"]}}`.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct ActiveTopics(BTreeMap<String, Topics>);

#[derive(Debug, Deserialize)]
struct Topics {
    #[serde(default)]
    topics: Vec<String>,
}

impl ActiveTopics {
    pub fn of(mut self, connector: &str) -> Vec<String> {
        self.0.remove(connector).map(|topics| topics.topics).unwrap_or_default()
    }
}

/// What Connect says where it refuses.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub message: Option<String>,
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn lower<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map_or_else(unknown, |kind| kind.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_summed_up() {
        let state = |connector: &str, tasks: &[&str]| {
            let state = |state: &str| State { state: state.to_owned(), worker_id: String::new(), trace: None };
            let tasks = (0..).zip(tasks).map(|(id, task)| TaskState { id, state: state(task) }).collect();
            ConnectorState { name: "C".to_owned(), connector: state(connector), tasks, kind: unknown() }.summary()
        };
        assert_eq!(state("FAILED", &["RUNNING"]), "FAILED");
        assert_eq!(state("RUNNING", &[]), "RUNNING (0/0 tasks RUNNING)");
        assert_eq!(state("RUNNING", &["FAILED"]), "WARNING (0/1 tasks RUNNING)");
        assert_eq!(state("RUNNING", &["FAILED", "RUNNING"]), "RUNNING (1/2 tasks RUNNING)");
    }

    #[test]
    fn answers_are_read() {
        let state: ConnectorState = serde_json::from_str(
            r#"{"name":"C","connector":{"state":"RUNNING","worker_id":"w:1","version":"4"},
                "tasks":[{"id":0,"state":"FAILED","worker_id":"w:1","trace":"java.lang.X"}],"type":"SOURCE"}"#,
        )
        .expect("a state");
        assert_eq!((state.kind.as_str(), state.tasks[0].state.trace.as_deref()), ("source", Some("java.lang.X")));
        let info: ConnectorInfo =
            serde_json::from_str(r#"{"name":"C","config":{"a":null},"tasks":[{"connector":"C","task":0}]}"#).expect("info");
        assert_eq!(info.kind, "unknown");
        let validation = r#"{"configs":[{"value":{"name":"file","errors":["one","two"]}},{"value":{"name":"ok","errors":[]}}]}"#;
        assert_eq!(serde_json::from_str::<Validation>(validation).expect("a validation").errors(), ["file - one. two"]);
        let topics: ActiveTopics = serde_json::from_str(r#"{"C":{"topics":["t"]}}"#).expect("topics");
        assert_eq!(topics.of("C"), ["t"]);
        for nonsense in ["[]", "{}", "\"x\"", r#"{"name":"C","connector":null,"tasks":[]}"#] {
            assert!(serde_json::from_str::<ConnectorState>(nonsense).is_err(), "{nonsense}");
        }
    }
}
