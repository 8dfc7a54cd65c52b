//! Steps of joins: each source's columns get its name before them, streams get the join's key, then they meet.

use std::collections::BTreeSet;

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind, JoinKind as parsed};

use super::aliases::Aliases;
use super::builder::{Builder, source_step};
use super::clauses::windowed_repartition;
use super::error::{Problem, Problems};
use super::formats::{self, Choice};
use super::joins::{Node, Tree, Within};
use super::scope::{Side, qualified};
use super::steps::{self, Shown};
use super::typing::Place;
use crate::catalog::SourceKind;
use crate::plan::{FormatSpec, JoinKind, NamedExpr, Repartition, Step, StepKind, StreamStreamJoinStep, TopicFormat, names};
use crate::types::{Column, Schema, SqlType};

/// A side of a join on its way.
pub(crate) struct Joined {
    pub step: Step,
    /// How its key is written in its topic.
    key_format: FormatSpec,
    /// Of its left-most source: topics on the way to the join keep values as that does.
    value_format: FormatSpec,
    /// Its key was written by the query itself.
    is_own: bool,
    is_table: bool,
    partitions: u32,
    /// Qualified expressions that stand for its one key column; none where it has no key or several columns.
    keys: Vec<Expr>,
    /// Processors that Kafka Streams would have made so far: it numbers the stores of joins by them.
    nodes: usize,
}

impl Joined {
    /// Whether its key is written with a schema that the registry knows. Whoever wrote it chose the schema, and its id is part
    /// of the key: equal keys of two topics may differ in their bytes, and lie in other partitions.
    fn has_foreign_schemas(&self) -> bool {
        let is_windowed_table = self.step.windowed_key().is_some() && self.is_table;
        !self.is_own && !is_windowed_table && formats::infers_schema(&self.key_format.name)
    }
}

/// How a stream's key has to be written and partitioned.
struct Needs {
    key_format: FormatSpec,
    partitions: u32,
    /// The step in the name of the topic for it, where one is needed.
    topic: String,
    of: Hand,
}

/// The side of a join that a stream stands on.
enum Hand {
    Left,
    Right,
}

/// Processors of a source with its projection, of a repartition of a stream and of a table, and of the kinds of joins.
const SOURCE_NODES: usize = 3;
const REPARTITION_NODES: usize = 4;
const TABLE_REPARTITION_NODES: usize = 9;
const STREAM_JOIN_NODES: usize = 5;
const STREAM_TABLE_JOIN_NODES: usize = 1;
const TABLE_JOIN_NODES: usize = 3;
const FOREIGN_KEY_JOIN_NODES: usize = 13;

/// How long a join without a GRACE PERIOD waits for late rows.
const DEFAULT_JOIN_GRACE_MS: i64 = 24 * 60 * 60 * 1000;

/// The messages between the parts of a foreign-key join, which are for them alone.
fn message_column() -> Column {
    Column::new("MESSAGE", SqlType::Bytes)
}

fn message_format() -> FormatSpec {
    FormatSpec { name: "KAFKA".to_string(), unwrapped: true, delimiter: None, schema: None }
}

fn stream_join(left: Box<Step>, right: Box<Step>, kind: JoinKind, within: Within, nodes: usize) -> StreamStreamJoinStep {
    let Within { mut before_ms, mut after_ms, grace_ms } = within;
    if kind == JoinKind::Right {
        // ksqlDB runs it as a LEFT join with the sides exchanged and the bounds left as they are.
        std::mem::swap(&mut before_ms, &mut after_ms);
    }
    let [left_store, right_store, held] = names::stream_join_stores(nodes, kind);
    let retention_ms = before_ms.saturating_add(after_ms).saturating_add(grace_ms.unwrap_or(DEFAULT_JOIN_GRACE_MS));
    let held_store = (grace_ms.is_some() && kind != JoinKind::Inner).then_some(held);
    StreamStreamJoinStep { left, right, kind, before_ms, after_ms, grace_ms, retention_ms, left_store, right_store, held_store }
}

/// Builds the steps of a join.
pub(crate) fn build(builder: &Builder<'_>, node: &Node, problems: &mut Problems) -> Option<Joined> {
    let mut needed = builder.needed();
    all_criteria(node, &mut |e| needed.extend(super::rewrite::columns(&builder.clauses.scope.internal(e)).into_iter().map(String::from)));
    Joiner { builder, needed }.join(node, 0, problems)
}

fn all_criteria(node: &Node, f: &mut dyn FnMut(&Expr)) {
    f(&node.left_expr);
    f(&node.right_expr);
    if let Tree::Join(left) = &node.left {
        all_criteria(left, f);
    }
}

struct Joiner<'a> {
    builder: &'a Builder<'a>,
    needed: BTreeSet<String>,
}

impl Joiner<'_> {
    fn side(&self, index: usize) -> Option<&Side> {
        self.builder.clauses.scope.sides.get(index)
    }

    /// `before`: processors that stand before those of the join.
    fn join(&self, node: &Node, before: usize, problems: &mut Problems) -> Option<Joined> {
        let scope = &self.builder.clauses.scope;
        let is_table = |tree: &Tree| tree.kind(scope) == SourceKind::Table;
        let right_is_table = is_table(&Tree::Leaf(node.right));
        if node.is_foreign_key {
            return self.foreign_key_join(node, problems);
        }
        let right = self.source(node.right, Some(names::join_table_store(&node.prefix)), problems)?;
        // The table of a stream comes first.
        let table_nodes = match (is_table(&node.left), right_is_table, right.has_foreign_schemas()) {
            (false, true, true) => right.nodes + TABLE_REPARTITION_NODES,
            (false, true, false) => right.nodes,
            _ => 0,
        };
        let left = match &node.left {
            Tree::Leaf(index) => self.source(*index, Some(names::join_left_table_store(&node.prefix)), problems)?,
            Tree::Join(inner) => self.join(inner, before + table_nodes, problems)?,
        };
        if left.step.windowed_key() != right.step.windowed_key() {
            // One of them would need other windows.
            problems.add(windowed_repartition());
            return None;
        }
        let (left, right) = match (is_table(&node.left), right_is_table) {
            (false, true) => {
                let right = if right.has_foreign_schemas() {
                    let has_key = left.keys.contains(&node.left_expr);
                    let format = if has_key { left.key_format.clone() } else { right.key_format.clone() };
                    self.rekeyed_table(right, "Right", &format, left.partitions, node)
                } else {
                    right
                };
                let needs = Needs {
                    key_format: right.key_format.clone(),
                    partitions: right.partitions,
                    topic: names::join(&node.prefix),
                    of: Hand::Left,
                };
                (self.keyed(left, &node.left_expr, node, needs, problems)?, right)
            }
            (true, _) => {
                let (left, right) = self.rekeyed_tables(left, right, node);
                self.check_partitions(&left, &right, node, problems)?;
                (left, right)
            }
            (false, false) => self.keyed_streams(left, right, node, problems)?,
        };
        let key_type = left.step.schema.key.first()?.sql_type.clone();
        let key = vec![Column::new(node.key_name.clone(), key_type)];
        let mut value = steps::pick(&left.step.schema, &self.needed, &key);
        value.extend(steps::pick(&right.step.schema, &self.needed, &key));
        let nodes = left.nodes + right.nodes;
        let (key_format, value_format, partitions) = (left.key_format, left.value_format, left.partitions);
        let (left, right) = (Box::new(left.step), Box::new(right.step));
        let kind = match node.kind {
            parsed::Inner => JoinKind::Inner,
            parsed::Left => JoinKind::Left,
            parsed::Right => JoinKind::Right,
            parsed::Full => JoinKind::Full,
        };
        let (kind, own_nodes) = match (node.within, right_is_table) {
            (Some(within), _) => (StepKind::StreamStreamJoin(stream_join(left, right, kind, within, before + nodes)), STREAM_JOIN_NODES),
            (None, true) if is_table(&node.left) => (StepKind::TableTableJoin { left, right, kind }, TABLE_JOIN_NODES),
            (None, _) => (StepKind::StreamTableJoin { left, right, outer: kind.keeps_left() }, STREAM_TABLE_JOIN_NODES),
        };
        let step = Step { kind, schema: Schema { key, value } };
        Some(Joined {
            step,
            key_format,
            value_format,
            is_own: true,
            is_table: is_table(&node.left),
            partitions,
            keys: node.keys.clone(),
            nodes: nodes + own_nodes,
        })
    }

    /// A join of two tables on a foreign key of the left one.
    fn foreign_key_join(&self, node: &Node, problems: &mut Problems) -> Option<Joined> {
        let left = self.source(node.left.first(), Some(names::join_left_table_store(&node.prefix)), problems)?;
        let right = self.source(node.right, Some(names::join_table_store(&node.prefix)), problems)?;
        // Answers find back to the left's rows by their partition, where equal keys may be written in several ways.
        let by_partition = left.has_foreign_schemas();
        let right = if right.has_foreign_schemas() {
            let partitions = right.partitions;
            self.rekeyed_table(right, "Right", &left.key_format, partitions, node)
        } else {
            right
        };
        let nodes = left.nodes + right.nodes;
        let [subscriptions, responses, subscription_store, result_store] = names::foreign_key_join(nodes);
        let key = left.step.schema.key.clone();
        let mut value = steps::pick(&left.step.schema, &self.needed, &key);
        value.extend(steps::pick(&right.step.schema, &self.needed, &key));
        let result = Schema { key: key.clone(), value };
        let outer = node.kind == parsed::Left;
        let expr = self.builder.clauses.scope.internal(&node.left_expr);
        let internal_key = formats::key_spec(&Choice::internal(&left.key_format), &left.step.schema.key);
        let foreign_key = right.step.schema.key.first()?.clone();
        let named = NamedExpr { name: foreign_key.name.clone(), expr: expr.to_string() };
        let topic = |step: &str, key: FormatSpec, partitions| Repartition {
            format: TopicFormat { topic: self.builder.names.internal(step), key, value: message_format(), windowed_key: None },
            partitions: Some(partitions),
            by_partition: false,
        };
        let subscribe = Step {
            kind: StepKind::ForeignKeySubscribe {
                input: Box::new(left.step),
                key: named,
                outer,
                repartition: topic(&subscriptions, right.key_format, right.partitions),
                tells_partition: by_partition,
            },
            schema: Schema { key: vec![foreign_key], value: vec![message_column()] },
        };
        let join = Step {
            kind: StepKind::ForeignKeyJoin {
                left: Box::new(subscribe),
                right: Box::new(right.step),
                outer,
                result: result.clone(),
                store: subscription_store,
                repartition: Repartition { by_partition, ..topic(&responses, internal_key, left.partitions) },
            },
            schema: Schema { key, value: vec![message_column()] },
        };
        Some(Joined {
            step: Step { kind: StepKind::ForeignKeyResolve { input: Box::new(join), store: result_store }, schema: result },
            key_format: left.key_format,
            value_format: left.value_format,
            is_own: left.is_own,
            is_table: true,
            partitions: left.partitions,
            keys: node.keys.clone(),
            nodes: nodes + FOREIGN_KEY_JOIN_NODES,
        })
    }

    /// The streams of a join, each with the join's key, in the key format of the one that has it already.
    fn keyed_streams(&self, left: Joined, right: Joined, node: &Node, problems: &mut Problems) -> Option<(Joined, Joined)> {
        let model = if !left.keys.contains(&node.left_expr) && right.keys.contains(&node.right_expr) { &right } else { &left };
        let (key_format, partitions) = (model.key_format.clone(), model.partitions);
        let needs = |side: &str, of| Needs { key_format: key_format.clone(), partitions, topic: names::join_side(&node.prefix, side), of };
        let left = self.keyed(left, &node.left_expr, node, needs("left", Hand::Left), problems)?;
        let right = self.keyed(right, &node.right_expr, node, needs("right", Hand::Right), problems)?;
        self.check_partitions(&left, &right, node, problems)?;
        Some((left, right))
    }

    /// The tables of a join with their keys written alike: like those of the left one.
    fn rekeyed_tables(&self, left: Joined, right: Joined, node: &Node) -> (Joined, Joined) {
        let (format, partitions) = (left.key_format.clone(), left.partitions);
        let left = if left.has_foreign_schemas() { self.rekeyed_table(left, "Left", &format, partitions, node) } else { left };
        let right = if right.has_foreign_schemas() || right.key_format != left.key_format {
            self.rekeyed_table(right, "Right", &format, partitions, node)
        } else {
            right
        };
        (left, right)
    }

    /// A topic on the way of one side to a join.
    fn repartition(
        &self,
        topic: String,
        key_format: &FormatSpec,
        value_format: &FormatSpec,
        (key, value): (&[Column], &[Column]),
        partitions: u32,
    ) -> Repartition {
        let (key_format, value_format) = (Choice::internal(key_format), Choice::internal(value_format));
        self.builder.repartition_as(topic, (&key_format, &value_format), key, value, Some(partitions))
    }

    /// A table in a topic of the query's own, with its key in that format.
    fn rekeyed_table(&self, table: Joined, hand: &str, format: &FormatSpec, partitions: u32, node: &Node) -> Joined {
        let (topic, store) = names::rekeyed_table(&node.prefix, hand);
        let (key, value) = (&table.step.schema.key, &table.step.schema.value);
        let topic = self.builder.names.repartition(&topic);
        let repartition = self.repartition(topic, format, &table.value_format, (key, value), partitions);
        let schema = table.step.schema.clone();
        let key_format = repartition.format.key.clone();
        let kind = StepKind::TableRekey { input: Box::new(table.step), repartition, store };
        Joined {
            step: Step { kind, schema },
            key_format,
            value_format: table.value_format,
            is_own: true,
            is_table: true,
            partitions,
            keys: table.keys,
            nodes: table.nodes + TABLE_REPARTITION_NODES,
        }
    }

    /// Reads a source and puts its name before those of its columns.
    fn source(&self, index: usize, store: Option<String>, problems: &mut Problems) -> Option<Joined> {
        let side = self.side(index)?;
        let scope = &self.builder.clauses.scope;
        let source = &side.source;
        let input = source_step(source, store);
        let internal = |column: &str| scope.internal_name(&side.alias, column);
        let pseudo = ["ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"].map(String::from);
        let columns = source.schema.value.iter().map(|c| c.name.clone()).chain(pseudo);
        let mut items = Vec::new();
        for column in columns.filter(|c| self.needed.contains(&internal(c))) {
            let expr = Expr::column(column.clone());
            let sql_type = steps::column_type(&expr, &input, Place::Select, &Shown::default(), problems)?;
            items.push((Column::new(internal(&column), sql_type), expr));
        }
        let key_names = source.schema.key.iter().map(|c| internal(&c.name)).collect();
        let keys = match source.schema.key.as_slice() {
            [only] => vec![qualified(&side.alias, &only.name)],
            _ => vec![],
        };
        Some(Joined {
            step: steps::select(input, key_names, items),
            key_format: source.format.key.clone(),
            value_format: source.format.value.clone(),
            is_own: false,
            is_table: source.kind == SourceKind::Table,
            partitions: source.topic.partitions,
            keys,
            nodes: SOURCE_NODES,
        })
    }

    /// A stream with a key that is an expression's value, written and partitioned as the join needs it.
    fn keyed(&self, side: Joined, expr: &Expr, node: &Node, needs: Needs, problems: &mut Problems) -> Option<Joined> {
        let has_key = side.keys.contains(expr);
        if has_key && side.key_format == needs.key_format && !side.has_foreign_schemas() {
            if side.partitions != needs.partitions {
                let (left, right) = match needs.of {
                    Hand::Left => (side.partitions, needs.partitions),
                    Hand::Right => (needs.partitions, side.partitions),
                };
                problems.add(self.partitions_differ(left, right, node)?);
                return None;
            }
            return Some(side);
        }
        let windowed_key = side.step.windowed_key();
        if windowed_key.is_some() && !(has_key && side.key_format.name == needs.key_format.name) {
            problems.add(windowed_repartition());
            return None;
        }
        let scope = &self.builder.clauses.scope;
        let internal = scope.internal(expr);
        let name = match &expr.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) => scope.internal_name(&alias.name, &name.name),
            _ => Aliases::new(scope).generated(),
        };
        let sql_type = steps::column_type(&internal, &side.step, Place::JoinOn, &Shown::default(), problems)?;
        let key = vec![Column::new(name.clone(), sql_type)];
        let value = steps::pick(&side.step.schema, &self.needed, &key);
        let topic = self.builder.names.repartition(&needs.topic);
        let mut repartition = self.repartition(topic, &needs.key_format, &side.value_format, (&key, &value), needs.partitions);
        repartition.format.windowed_key = windowed_key;
        let kind = StepKind::SelectKey {
            input: Box::new(side.step),
            keys: vec![NamedExpr { name, expr: internal.to_string() }],
            repartition: Some(repartition),
        };
        Some(Joined {
            step: Step { kind, schema: Schema { key, value } },
            key_format: needs.key_format,
            value_format: side.value_format,
            is_own: true,
            is_table: false,
            partitions: needs.partitions,
            keys: vec![expr.clone()],
            nodes: side.nodes + REPARTITION_NODES,
        })
    }

    fn check_partitions(&self, left: &Joined, right: &Joined, node: &Node, problems: &mut Problems) -> Option<()> {
        if left.partitions != right.partitions {
            problems.add(self.partitions_differ(left.partitions, right.partitions, node)?);
            return None;
        }
        Some(())
    }

    fn partitions_differ(&self, n: u32, m: u32, node: &Node) -> Option<Problem> {
        let l = &self.side(node.left.first())?.alias;
        let r = &self.side(node.right)?.alias;
        let message = format!(
            "Can't join `{l}` with `{r}` since the number of partitions don't match. `{l}` partitions = {n}; `{r}` partitions = {m}. Please \
             repartition either one so that the number of partitions match."
        );
        Some(Problem::new(message).at(node.left_expr.span))
    }
}
