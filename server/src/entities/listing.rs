//! What the dialect's statements answer, as rows of texts: for protocols that know nothing else.

use serde_json::Value as Json;
use tidemill_engine::catalog::Catalog;

use super::KsqlEntity;

/// Rows of texts.
#[derive(Debug, PartialEq, Eq)]
pub struct Listing {
    pub names: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
    /// The word of the statement that lists so.
    pub verb: &'static str,
}

/// An answer of a statement.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Rows(Listing),
    /// What was done.
    Done(String),
}

impl Listing {
    fn new(names: Vec<String>, rows: Vec<Vec<Option<String>>>, verb: &'static str) -> Self {
        Listing { names, rows, verb }
    }
}

/// An entity as rows, and the remarks on it.
pub fn said(catalog: &Catalog, entity: &KsqlEntity) -> (Said, Vec<String>) {
    let json = serde_json::to_value(entity).unwrap_or_default();
    let remarks = json.get("warnings").and_then(Json::as_array).into_iter().flatten();
    let remarks = remarks.filter_map(|warning| warning.get("message").and_then(Json::as_str)).map(str::to_owned).collect();
    let said = match entity {
        KsqlEntity::CurrentStatus(status) => Said::Done(status.command_status.message.clone()),
        KsqlEntity::Warning(warning) => Said::Done(warning.message.clone()),
        KsqlEntity::TerminateQuery(ended) => Said::Done(format!("Query {} is ended", ended.query_id)),
        KsqlEntity::SourceDescription(described) if !described.source_description.extended => {
            Said::Rows(columns_of(catalog, &described.source_description.name))
        }
        _ => Said::Rows(listed(&json)),
    };
    (said, remarks)
}

/// The columns of a stream or table, as DESCRIBE lists them.
fn columns_of(catalog: &Catalog, name: &str) -> Listing {
    let rows = catalog.source(name.trim_matches('`')).map(|source| {
        let column = |column: &tidemill_engine::types::Column| {
            let key = source.schema.is_key(&column.name).then(|| "key".to_owned());
            vec![Some(column.name.clone()), Some(column.sql_type.to_string()), key]
        };
        source.schema.columns().map(column).collect()
    });
    Listing::new(["column", "type", "key"].map(str::to_owned).to_vec(), rows.unwrap_or_default(), "DESCRIBE")
}

/// The list within an answer, a column for each member of its items; where there is none, the members of the answer.
fn listed(json: &Json) -> Listing {
    const AROUND: [&str; 3] = ["@type", "statementText", "warnings"];
    let members = || json.as_object().into_iter().flatten().filter(|(name, _)| !AROUND.contains(&name.as_str()));
    let list = members().find_map(|(name, value)| value.as_array().map(|items| (name, items)));
    match list {
        Some((name, items)) => {
            let mut names: Vec<&String> = Vec::new();
            for member in items.iter().filter_map(Json::as_object).flat_map(|item| item.keys()) {
                if !names.contains(&member) {
                    names.push(member);
                }
            }
            if names.is_empty() {
                return Listing::new(vec![snake(name)], items.iter().map(|item| vec![text(item)]).collect(), "SHOW");
            }
            let rows = items.iter().map(|item| names.iter().map(|name| item.get(name).and_then(text)).collect()).collect();
            Listing::new(names.into_iter().map(|name| snake(name)).collect(), rows, "SHOW")
        }
        None => {
            // One thing, described: what is within it comes first.
            let inner = members().find_map(|(_, value)| value.as_object());
            let pairs: Vec<(String, Option<String>)> = match inner {
                Some(inner) => inner.iter().map(|(name, value)| (snake(name), text(value))).collect(),
                None => members().map(|(name, value)| (snake(name), text(value))).collect(),
            };
            let rows = pairs.into_iter().map(|(name, value)| vec![Some(name), value]).collect();
            Listing::new(["property", "value"].map(str::to_owned).to_vec(), rows, "SHOW")
        }
    }
}

fn text(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            Some(items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "))
        }
        other => Some(other.to_string()),
    }
}

/// `keyFormat` as `key_format`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
