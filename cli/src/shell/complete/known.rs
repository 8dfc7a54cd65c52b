//! What completion knows: the names on the server, and what is being typed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::Value as Json;

use crate::client::{Client, Settings};
use crate::shell::render::text;
use crate::shell::session::Session;

/// How long the server may take to answer what completion asks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names, as they were last looked up.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Columns of each stream and table.
    pub sources: BTreeMap<String, Vec<String>>,
    pub queries: BTreeSet<String>,
    pub topics: BTreeSet<String>,
    /// Each function's signatures: `(text STRING, length INTEGER) → STRING`.
    pub functions: BTreeMap<String, Vec<String>>,
    pub properties: BTreeSet<String>,
    pub types: BTreeSet<String>,
    pub variables: BTreeSet<String>,
    /// The lines before the one that is typed.
    pub typed: String,
}

/// The facts, shared between the editor and whoever looks them up.
#[derive(Debug, Default)]
pub struct Known(RwLock<Arc<Facts>>);

impl Known {
    pub fn facts(&self) -> Arc<Facts> {
        self.0.read().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        change(Arc::make_mut(&mut self.0.write()));
    }

    pub fn set_typed(&self, typed: &str) {
        self.change(|facts| typed.clone_into(&mut facts.typed));
    }

    /// Looks everything up while the user types. What can't be had stays as it was.
    pub fn refresh(self: &Arc<Self>, session: &Session) {
        let variables = session.variables.keys().cloned().collect();
        self.change(|facts| facts.variables = variables);
        let (client, known) = (session.client().clone(), self.clone());
        tokio::spawn(tokio::time::timeout(PATIENCE, async move { known.look_up(&client).await }));
    }

    async fn look_up(&self, client: &Client) {
        // One that fails must not take the others with it.
        if let Some(entities) = ask(client, "DESCRIBE STREAMS; DESCRIBE TABLES;").await {
            let sources = entities.iter().flat_map(|e| list(&e["sourceDescriptions"]));
            let columns = |source: &Json| list(&source["fields"]).iter().map(|field| text(&field["name"])).collect();
            let sources = sources.map(|source| (text(&source["name"]), columns(source))).collect();
            self.change(|facts| facts.sources = sources);
        }
        if let Some(entities) = ask(client, "SHOW QUERIES; SHOW TOPICS; SHOW TYPES;").await {
            let named = |field: &str, name: &str| entities.iter().flat_map(|e| list(&e[field])).map(|item| text(&item[name])).collect();
            let (queries, topics) = (named("queries", "id"), named("topics", "name"));
            let types = entities.iter().filter_map(|e| e["types"].as_object()).flat_map(|types| types.keys().cloned()).collect();
            self.change(|facts| (facts.queries, facts.topics, facts.types) = (queries, topics, types));
        }
        // These stay while the server runs.
        if self.facts().properties.is_empty()
            && let Some(entities) = ask(client, "SHOW PROPERTIES;").await
        {
            let editable = |property: &&Json| property["editable"].as_bool() != Some(false);
            let all = entities.iter().flat_map(|e| list(&e["properties"]));
            let properties = all.filter(editable).map(|property| text(&property["name"]));
            // The one that everybody needs stands in no list unless it is set.
            let properties = properties.chain(["auto.offset.reset".to_owned()]).collect();
            self.change(|facts| facts.properties = properties);
        }
        if self.facts().functions.is_empty() {
            self.look_up_functions(client).await;
        }
    }

    async fn look_up_functions(&self, client: &Client) {
        let Some(entities) = ask(client, "SHOW FUNCTIONS;").await else { return };
        let names: BTreeSet<String> = entities.iter().flat_map(|e| list(&e["functions"])).map(|f| text(&f["name"])).collect();
        let sql: String = names.iter().map(|name| format!("DESCRIBE FUNCTION {name};")).collect();
        let described = ask(client, &sql).await.unwrap_or_default();
        let mut functions: BTreeMap<String, Vec<String>> = names.into_iter().map(|name| (name.to_uppercase(), Vec::new())).collect();
        for function in &described {
            let signatures = list(&function["functions"]).iter().map(signature).collect();
            functions.insert(text(&function["name"]).to_uppercase(), signatures);
        }
        self.change(|facts| facts.functions = functions);
    }
}

async fn ask(client: &Client, sql: &str) -> Option<Vec<Json>> {
    client.statements(sql, &Settings::new(), &Settings::new()).await.ok()
}

fn list(items: &Json) -> &[Json] {
    items.as_array().map_or(&[], Vec::as_slice)
}

/// `(text STRING, length INTEGER) → STRING`.
fn signature(variant: &Json) -> String {
    let argument = |argument: &Json| {
        let dots = if argument["isVariadic"].as_bool() == Some(true) { "…" } else { "" };
        format!("{} {}{dots}", text(&argument["name"]), text(&argument["type"])).trim().to_owned()
    };
    let arguments: Vec<String> = list(&variant["arguments"]).iter().map(argument).collect();
    format!("({}) → {}", arguments.join(", "), text(&variant["returnType"]))
}
