//! A plan as text, for EXPLAIN: the sub-topologies with their sources, steps and sinks, in the manner of Kafka Streams.

use std::fmt::Write;

use super::{JoinKind, QueryPlan, Repartition, SourceStep, Step, StepKind, names::Names};

/// The plan's topology. `names` gives the topics of its stores.
pub fn explain(plan: &QueryPlan, names: &Names) -> String {
    let mut explainer = Explainer { names, parts: vec![Part::default()], next_step: 0 };
    explainer.step(&plan.root, 0);
    let mut text = String::from("Topologies:\n");
    // Kafka Streams numbers what stands nearest to the sources first.
    explainer.parts.reverse();
    for (number, part) in explainer.parts.iter().enumerate() {
        let _ = writeln!(text, "   Sub-topology: {number}");
        for node in &part.nodes {
            let _ = writeln!(text, "    {}", node.text);
            if !node.is_sink {
                let next = node.next.as_deref().unwrap_or("none");
                let _ = writeln!(text, "      --> {next}");
            }
            if !node.inputs.is_empty() {
                let _ = writeln!(text, "      <-- {}", node.inputs.join(", "));
            }
        }
        text.push('\n');
    }
    text
}

/// What Kafka Streams calls a join.
fn join_name(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "JOIN",
        JoinKind::Left => "LEFTJOIN",
        JoinKind::Right => "RIGHTJOIN",
        JoinKind::Full => "OUTERJOIN",
    }
}

/// What runs without a repartition in between.
#[derive(Default)]
struct Part {
    nodes: Vec<Node>,
}

struct Node {
    text: String,
    name: String,
    inputs: Vec<String>,
    next: Option<String>,
    is_sink: bool,
}

struct Explainer<'a> {
    names: &'a Names,
    parts: Vec<Part>,
    next_step: usize,
}

impl Explainer<'_> {
    /// A name in the manner of Kafka Streams: what it is and its number.
    fn name(&mut self, kind: &str) -> String {
        let name = format!("{kind}-{:010}", self.next_step);
        self.next_step += 1;
        name
    }

    fn push(&mut self, part: usize, what: &str, name: String, detail: &str, inputs: Vec<String>) -> String {
        let text = if detail.is_empty() { format!("{what}: {name}") } else { format!("{what}: {name} ({detail})") };
        if let Some(part) = self.parts.get_mut(part) {
            for node in part.nodes.iter_mut().filter(|n| inputs.contains(&n.name)) {
                node.next = Some(name.clone());
            }
            part.nodes.push(Node { text, name: name.clone(), inputs, next: None, is_sink: what == "Sink" });
        }
        name
    }

    /// Adds a step and all before it; gives the name of the node that hands its rows on.
    fn step(&mut self, step: &Step, part: usize) -> String {
        match &step.kind {
            StepKind::StreamSource(source) => self.source("KSTREAM-SOURCE", source, part),
            StepKind::TableSource(source) => self.table_source(source, part),
            StepKind::Filter { input, predicate, .. } => {
                let input = self.step(input, part);
                self.processor("FILTER", &format!("predicate: {predicate}"), input, part)
            }
            StepKind::Select { input, items, .. } => {
                let input = self.step(input, part);
                let items: Vec<String> = items.iter().map(|i| format!("{} AS {}", i.expr, i.name)).collect();
                self.processor("PROJECT", &format!("columns: [{}]", items.join(", ")), input, part)
            }
            StepKind::SelectKey { input, keys, repartition } => {
                let keys: Vec<&str> = keys.iter().map(|k| k.expr.as_str()).collect();
                self.keyed("KEY-SELECT", &format!("keys: [{}]", keys.join(", ")), input, repartition.as_ref(), part)
            }
            StepKind::FlatMap { input, functions } => {
                let input = self.step(input, part);
                let functions: Vec<&str> = functions.iter().map(|f| f.expr.as_str()).collect();
                self.processor("FLATMAP", &format!("functions: [{}]", functions.join(", ")), input, part)
            }
            StepKind::StreamGroupBy { input, keys, repartition } | StepKind::TableGroupBy { input, keys, repartition } => {
                let keys: Vec<&str> = keys.iter().map(|k| k.expr.as_str()).collect();
                self.keyed("GROUPBY", &format!("keys: [{}]", keys.join(", ")), input, repartition.as_ref(), part)
            }
            StepKind::Aggregate(aggregate) => {
                let input = self.step(&aggregate.input, part);
                let detail = format!("stores: [{}]", aggregate.store);
                self.processor("AGGREGATE", &detail, input, part)
            }
            StepKind::Suppress { input, store, .. } => {
                let input = self.step(input, part);
                self.processor("SUPPRESS", &format!("stores: [{store}]"), input, part)
            }
            StepKind::StreamTableJoin { left, right, outer } => {
                let right = self.step(right, part);
                let left = self.step(left, part);
                let name = self.name(if *outer { "KSTREAM-LEFTJOIN" } else { "KSTREAM-JOIN" });
                self.push(part, "Processor", name, "", vec![left, right])
            }
            StepKind::TableTableJoin { left, right, kind } => {
                let right = self.step(right, part);
                let left = self.step(left, part);
                let name = self.name(&format!("KTABLE-{}", join_name(*kind)));
                self.push(part, "Processor", name, "", vec![left, right])
            }
            StepKind::StreamStreamJoin(join) => {
                let right = self.step(&join.right, part);
                let left = self.step(&join.left, part);
                let name = self.name(&format!("KSTREAM-{}", join_name(join.kind)));
                let mut stores = vec![join.left_store.as_str(), join.right_store.as_str()];
                stores.extend(join.held_store.as_deref());
                self.push(part, "Processor", name, &format!("stores: [{}]", stores.join(", ")), vec![left, right])
            }
            StepKind::TableRekey { input, repartition, store } => {
                let read = self.keyed("TOSTREAM", "", input, Some(repartition), part);
                let detail = format!("stores: [{store}], changelog: {}", self.names.changelog(store));
                self.processor("TABLE", &detail, read, part)
            }
            StepKind::ForeignKeySubscribe { input, key, repartition, .. } => {
                self.keyed("FK-JOIN-SUBSCRIBE", &format!("keys: [{}]", key.expr), input, Some(repartition), part)
            }
            StepKind::ForeignKeyJoin { left, right, store, repartition, .. } => {
                self.parts.push(Part::default());
                let before = self.parts.len() - 1;
                let right = self.step(right, before);
                let left = self.step(left, before);
                let name = self.name("KTABLE-FK-JOIN");
                let joined = self.push(before, "Processor", name, &format!("stores: [{store}]"), vec![left, right]);
                let sink = self.name("KSTREAM-SINK");
                self.push(before, "Sink", sink, &format!("topic: {}", repartition.format.topic), vec![joined]);
                let source = self.name("KSTREAM-SOURCE");
                self.push(part, "Source", source, &format!("topics: [{}]", repartition.format.topic), vec![])
            }
            StepKind::ForeignKeyResolve { input, store } => {
                let input = self.step(input, part);
                self.processor("FK-JOIN-RESOLVE", &format!("stores: [{store}]"), input, part)
            }
            StepKind::Sink { input, format, .. } => {
                let input = self.step(input, part);
                let name = self.name("KSTREAM-SINK");
                self.push(part, "Sink", name, &format!("topic: {}", format.topic), vec![input])
            }
            StepKind::Collect { input, limit } => {
                let input = self.step(input, part);
                let detail = limit.map(|l| format!("limit: {l}")).unwrap_or_default();
                self.processor("COLLECT", &detail, input, part)
            }
        }
    }

    fn source(&mut self, kind: &str, source: &SourceStep, part: usize) -> String {
        let name = self.name(kind);
        self.push(part, "Source", name, &format!("topics: [{}]", source.format.topic), vec![])
    }

    fn table_source(&mut self, source: &SourceStep, part: usize) -> String {
        let read = self.source("KTABLE-SOURCE", source, part);
        match &source.store {
            Some(store) => {
                let detail = format!("stores: [{store}], changelog: {}", self.names.changelog(store));
                self.processor("TABLE", &detail, read, part)
            }
            None => read,
        }
    }

    fn processor(&mut self, kind: &str, detail: &str, input: String, part: usize) -> String {
        let name = self.name(&format!("KSTREAM-{kind}"));
        self.push(part, "Processor", name, detail, vec![input])
    }

    /// A step that makes a key. Behind a repartition topic begins another part.
    fn keyed(&mut self, kind: &str, detail: &str, input: &Step, repartition: Option<&Repartition>, part: usize) -> String {
        let Some(repartition) = repartition else {
            let input = self.step(input, part);
            return self.processor(kind, detail, input, part);
        };
        self.parts.push(Part::default());
        let before = self.parts.len() - 1;
        let input = self.step(input, before);
        let keyed = self.processor(kind, detail, input, before);
        let topic = &repartition.format.topic;
        let sink = self.name("KSTREAM-SINK");
        self.push(before, "Sink", sink, &format!("topic: {topic}"), vec![keyed]);
        let source = self.name("KSTREAM-SOURCE");
        self.push(part, "Source", source, &format!("topics: [{topic}]"), vec![])
    }
}
