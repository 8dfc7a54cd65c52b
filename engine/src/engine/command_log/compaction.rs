//! Which commands still mean something. Pure.
//!
//! What a command made and a later one took away need not be carried out at the start: neither the one nor the other. Commands
//! are looked at without being read wholly, so that ten thousand of them cost a moment.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::engine::command::{COMMAND_VERSION, Turn};

/// A command, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Glance {
    pub version: u32,
    pub statement: String,
    #[serde(default)]
    pub given: Option<String>,
    #[serde(default)]
    pub turn: Option<Turn>,
    pub action: GlanceAction,
}

/// The names that an action speaks of. Shaped as [`crate::engine::command::Action`].
#[derive(Debug, Deserialize)]
pub(super) enum GlanceAction {
    PutSource(GlanceSource, Option<GlancePlan>),
    StartQuery { plan: GlancePlan, sink: Option<GlanceSource> },
    DropSource { name: String },
    Terminate { queries: Vec<String> },
    Pause { queries: Vec<String> },
    Resume { queries: Vec<String> },
    PutType { name: String },
    DropType { name: String },
    Nothing,
}

#[derive(Debug, Deserialize)]
pub(super) struct GlanceSource {
    pub name: String,
    #[serde(default)]
    pub created_by: Option<String>,
    #[serde(default)]
    pub format: Option<GlanceFormat>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GlanceFormat {
    pub topic: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GlancePlan {
    pub query_id: String,
}

/// What is kept of a command that means nothing any more: its number, and its words.
#[derive(Serialize)]
struct Husk<'a> {
    version: u32,
    statement: &'a str,
    properties: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<Turn>,
    action: &'static str,
}

impl Glance {
    /// The command without its action.
    pub fn husk(&self) -> Option<Vec<u8>> {
        let (statement, given) = (self.statement.as_str(), self.given.as_deref());
        let husk = Husk { version: COMMAND_VERSION, statement, properties: BTreeMap::new(), given, turn: self.turn, action: "Nothing" };
        serde_json::to_vec(&husk).ok()
    }
}

/// Which of the commands, all there are from the first on, make a difference when they are carried out in their order.
pub(super) fn live(commands: &[Glance]) -> Vec<bool> {
    let made = Made::of(commands);
    let mut live = Vec::with_capacity(commands.len());
    // What takes away matters where what it takes is made by a command that is needed for something else.
    let (mut sources, mut queries, mut types, mut paused) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (index, command) in commands.iter().enumerate() {
        let is_live = match &command.action {
            // One that takes the place of what a live one made is live, too: whoever drops it drops that one.
            GlanceAction::PutSource(source, plan) => {
                let is_live = made.is_used(index) || sources.contains(source.name.as_str());
                if is_live {
                    sources.insert(source.name.as_str());
                    queries.extend(plan.as_ref().map(|plan| plan.query_id.as_str()));
                }
                is_live
            }
            GlanceAction::StartQuery { plan, sink, .. } => {
                let is_live = made.is_used(index) || sink.as_ref().is_some_and(|sink| sources.contains(sink.name.as_str()));
                if is_live {
                    sources.extend(sink.as_ref().map(|sink| sink.name.as_str()));
                    queries.insert(plan.query_id.as_str());
                }
                is_live
            }
            GlanceAction::PutType { name, .. } => {
                types.extend(made.is_used(index).then_some(name.as_str()));
                made.is_used(index)
            }
            GlanceAction::DropSource { name } => sources.contains(name.as_str()),
            GlanceAction::DropType { name } => types.contains(name.as_str()),
            GlanceAction::Terminate { queries: ended } => ended.iter().any(|id| queries.contains(id.as_str())),
            GlanceAction::Pause { queries: named } => {
                let held: Vec<&str> = named.iter().map(String::as_str).filter(|id| queries.contains(id)).collect();
                let is_live = held.iter().any(|id| made.paused.get(id) == Some(&index));
                paused.extend(held.into_iter().filter(|_| is_live));
                is_live
            }
            GlanceAction::Resume { queries: named } => named.iter().any(|id| paused.contains(id.as_str())),
            GlanceAction::Nothing => false,
        };
        live.push(is_live);
    }
    live
}

/// The queries that are to run, and the topics of streams and tables.
pub(super) fn standing(commands: &[Glance]) -> (BTreeSet<String>, BTreeSet<String>) {
    let made = Made::of(commands);
    let topic = |(name, (index, _)): (&&str, &(usize, Option<&str>))| {
        let source = match &commands.get(*index)?.action {
            GlanceAction::PutSource(source, _) => Some(source),
            GlanceAction::StartQuery { sink, .. } => sink.as_ref(),
            _ => None,
        };
        source.filter(|source| source.name == **name)?.format.as_ref().map(|format| format.topic.clone())
    };
    (made.queries.keys().map(|query| (*query).to_owned()).collect(), made.sources.iter().filter_map(topic).collect())
}

/// What stands at the end, and which command it is from.
#[derive(Default)]
struct Made<'a> {
    sources: BTreeMap<&'a str, (usize, Option<&'a str>)>,
    queries: BTreeMap<&'a str, usize>,
    types: BTreeMap<&'a str, usize>,
    /// Queries that are paused.
    paused: BTreeMap<&'a str, usize>,
    used: BTreeSet<usize>,
}

impl<'a> Made<'a> {
    fn of(commands: &'a [Glance]) -> Self {
        let mut made = Made::default();
        for (index, command) in commands.iter().enumerate() {
            made.carry_out(index, &command.action);
        }
        let sources = made.sources.values().map(|(index, _)| *index);
        made.used = sources.chain(made.queries.values().copied()).chain(made.types.values().copied()).collect();
        made
    }

    fn is_used(&self, index: usize) -> bool {
        self.used.contains(&index)
    }

    fn carry_out(&mut self, index: usize, action: &'a GlanceAction) {
        match action {
            GlanceAction::PutSource(source, plan) => {
                self.sources.insert(&source.name, (index, source.created_by.as_deref()));
                if let Some(plan) = plan {
                    self.queries.insert(&plan.query_id, index);
                }
            }
            GlanceAction::StartQuery { plan, sink, .. } => {
                // A query that takes another's place has its id, and is not paused.
                self.paused.remove(plan.query_id.as_str());
                self.queries.insert(&plan.query_id, index);
                if let Some(sink) = sink {
                    self.sources.insert(&sink.name, (index, sink.created_by.as_deref()));
                }
            }
            GlanceAction::DropSource { name } => {
                if let Some((_, Some(query))) = self.sources.remove(name.as_str()) {
                    self.end(query);
                }
            }
            GlanceAction::Terminate { queries } => queries.iter().for_each(|query| self.end(query)),
            GlanceAction::Pause { queries } => {
                let known = queries.iter().filter(|query| self.queries.contains_key(query.as_str()));
                self.paused.extend(known.map(|query| (query.as_str(), index)));
            }
            GlanceAction::Resume { queries } => queries.iter().for_each(|query| {
                self.paused.remove(query.as_str());
            }),
            GlanceAction::PutType { name, .. } => {
                self.types.insert(name, index);
            }
            GlanceAction::DropType { name } => {
                self.types.remove(name.as_str());
            }
            GlanceAction::Nothing => {}
        }
    }

    fn end(&mut self, query: &str) {
        self.queries.remove(query);
        self.paused.remove(query);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands by words: `put S`, `put T by Q`, `start Q S`, `insert Q`, `drop S`, `end Q`, `pause Q R`, `resume Q`, `type X`,
    /// `untype X`, `nothing`. A `+` before one says that it is to be kept.
    fn check(script: &[&str]) {
        let source = |name: &str, by: Option<&str>| serde_json::json!({"name": name, "created_by": by, "more": [1, {"x": 2}]});
        let plan = |id: &str| serde_json::json!({"query_id": id, "root": {"deep": ["x"]}});
        let mut commands = Vec::new();
        for line in script {
            let words: Vec<&str> = line.trim_start_matches('+').split(' ').collect();
            let action = match words.as_slice() {
                ["put", name] => serde_json::json!({"PutSource": [source(name, None), null]}),
                ["put", name, "by", query] => serde_json::json!({"PutSource": [source(name, Some(query)), plan(query)]}),
                ["start", query, sink] => {
                    serde_json::json!({"StartQuery": {"plan": plan(query), "sink": source(sink, Some(query)), "replaces": null}})
                }
                ["insert", query] => serde_json::json!({"StartQuery": {"plan": plan(query), "sink": null, "replaces": null}}),
                ["drop", name] => serde_json::json!({"DropSource": {"name": name}}),
                ["end", queries @ ..] => serde_json::json!({"Terminate": {"queries": queries}}),
                ["pause", queries @ ..] => serde_json::json!({"Pause": {"queries": queries}}),
                ["resume", queries @ ..] => serde_json::json!({"Resume": {"queries": queries}}),
                ["type", name] => serde_json::json!({"PutType": {"name": name, "sql_type": {"Array": "Int"}}}),
                ["untype", name] => serde_json::json!({"DropType": {"name": name}}),
                _ => serde_json::json!("Nothing"),
            };
            let command = serde_json::json!({"version": 1, "statement": line, "properties": {"a": "b"}, "action": action});
            commands.push(serde_json::from_value(command).expect("a command"));
        }
        let expected: Vec<bool> = script.iter().map(|line| line.starts_with('+')).collect();
        assert_eq!(live(&commands), expected, "{script:?}");
    }

    #[test]
    fn what_was_taken_away_is_passed_over() {
        check(&["+put S", "+start Q C", "nothing"]);
        check(&["put S", "drop S"]);
        check(&["put S", "+put S"]);
        check(&["put S", "drop S", "+put S"]);
        check(&["+put S", "start Q C", "drop C"]);
        check(&["+put S", "start Q C", "+start Q C"]);
        check(&["put T by Q", "drop T"]);
        check(&["+put S", "insert Q", "end Q", "+insert R"]);
        check(&["type X", "untype X", "+type X", "type Y", "untype Y"]);
    }

    #[test]
    fn what_takes_a_part_is_kept_with_what_it_takes_from() {
        // The query has ended, its stream is there.
        check(&["+put S", "+start Q C", "+end Q"]);
        check(&["+put S", "start Q C", "end Q", "drop C"]);
        // The stream is another's, the query goes on.
        check(&["+start Q C", "+put C"]);
        check(&["+start Q C", "+put C", "+drop C"]);
        check(&["+start Q C", "+end Q R"]);
    }

    #[test]
    fn pauses_hold_until_they_are_taken_back() {
        check(&["+insert Q", "+pause Q"]);
        check(&["+insert Q", "pause Q", "resume Q"]);
        check(&["+insert Q", "+insert R", "+pause Q R", "+resume R"]);
        check(&["+insert Q", "pause Q", "resume Q", "+pause Q"]);
        check(&["insert Q", "pause Q", "end Q"]);
        check(&["+insert Q", "pause Q", "+pause Q"]);
    }

    #[test]
    fn a_husk_keeps_the_words() {
        let text = r#"{"version":1,"statement":"S;","properties":{"a":"b"},"given":"s;","action":{"DropSource":{"name":"S"}}}"#;
        let glance: Glance = serde_json::from_str(text).unwrap();
        let husk: Glance = serde_json::from_slice(&glance.husk().unwrap()).unwrap();
        assert_eq!((husk.statement.as_str(), husk.given.as_deref()), ("S;", Some("s;")));
        assert!(matches!(husk.action, GlanceAction::Nothing));
        let whole: crate::engine::command::Command = serde_json::from_slice(&glance.husk().unwrap()).unwrap();
        assert!(whole.properties.is_empty());
    }
}
