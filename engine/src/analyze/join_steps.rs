//! Steps of joins: each source's columns get its name before them, the stream gets the table's key, then they meet.

use std::collections::BTreeSet;

use tidemill_parser::ast::{ColumnRef, Expr, ExprKind};

use super::aliases::Aliases;
use super::build::{Builder, source_step};
use super::clauses::windowed_repartition;
use super::error::{Problem, Problems};
use super::formats::Choice;
use super::joins::{Node, Tree};
use super::scope::{Side, qualified};
use super::steps::{self, Shown};
use super::typing::Place;
use crate::plan::{FormatSpec, NamedExpr, Step, StepKind, names};
use crate::types::{Column, Schema};

/// A side of a join on its way.
pub(crate) struct Joined {
    pub step: Step,
    /// How its key is written in its topic.
    key_format: FormatSpec,
    partitions: u32,
    /// Qualified expressions that stand for its one key column; none where it has no key or several columns.
    keys: Vec<Expr>,
}

/// Builds the steps of a join.
pub(crate) fn build(builder: &Builder<'_>, node: &Node, problems: &mut Problems) -> Option<Joined> {
    let mut needed = builder.needed();
    all_criteria(node, &mut |e| needed.extend(super::rewrite::columns(&builder.clauses.scope.internal(e)).into_iter().map(String::from)));
    Joiner { builder, needed }.join(node, problems)
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

    fn join(&self, node: &Node, problems: &mut Problems) -> Option<Joined> {
        let left = match &node.left {
            Tree::Leaf(index) => self.source(*index, None, problems)?,
            Tree::Join(inner) => self.join(inner, problems)?,
        };
        let right = self.source(node.right, Some(names::join_table_store(&node.prefix)), problems)?;
        let left = self.keyed(left, &right, node, problems)?;
        let key = left.step.schema.key.clone();
        let mut value = steps::pick(&left.step.schema, &self.needed, &key);
        value.extend(steps::pick(&right.step.schema, &self.needed, &key));
        let kind = StepKind::StreamTableJoin { left: Box::new(left.step), right: Box::new(right.step), outer: node.outer };
        let step = Step { kind, schema: Schema { key, value } };
        Some(Joined { step, key_format: left.key_format, partitions: left.partitions, keys: node.keys.clone() })
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
            partitions: source.topic.partitions,
            keys,
        })
    }

    /// The left side with the right side's key, partitioned as that is.
    fn keyed(&self, left: Joined, right: &Joined, node: &Node, problems: &mut Problems) -> Option<Joined> {
        let same_bytes = left.key_format == right.key_format;
        if left.keys.contains(&node.left_expr) && same_bytes {
            if left.partitions != right.partitions {
                problems.add(self.partitions_differ(&left, right, node)?);
                return None;
            }
            return Some(left);
        }
        if left.step.windowed_key().is_some() {
            problems.add(windowed_repartition());
            return None;
        }
        let scope = &self.builder.clauses.scope;
        let expr = scope.internal(&node.left_expr);
        let name = match &node.left_expr.kind {
            ExprKind::Column(ColumnRef { source: Some(alias), name }) => scope.internal_name(&alias.name, &name.name),
            _ => Aliases::new(scope).generated(),
        };
        let sql_type = steps::column_type(&expr, &left.step, Place::JoinOn, &Shown::default(), problems)?;
        let key = vec![Column::new(name.clone(), sql_type)];
        let value = steps::pick(&left.step.schema, &self.needed, &key);
        let topic = self.builder.names.repartition(&names::join(&node.prefix));
        let format = Choice::from(&right.key_format);
        let repartition = self.builder.repartition_keyed(topic, &format, &key, &value, Some(right.partitions));
        let kind = StepKind::SelectKey {
            input: Box::new(left.step),
            keys: vec![NamedExpr { name, expr: expr.to_string() }],
            repartition: Some(repartition),
        };
        Some(Joined {
            step: Step { kind, schema: Schema { key, value } },
            key_format: right.key_format.clone(),
            partitions: right.partitions,
            keys: vec![node.left_expr.clone()],
        })
    }

    fn partitions_differ(&self, left: &Joined, right: &Joined, node: &Node) -> Option<Problem> {
        let l = &self.side(node.left.first())?.alias;
        let r = &self.side(node.right)?.alias;
        let (n, m) = (left.partitions, right.partitions);
        let message = format!(
            "Can't join `{l}` with `{r}` since the number of partitions don't match. `{l}` partitions = {n}; `{r}` partitions = {m}. Please \
             repartition either one so that the number of partitions match."
        );
        Some(Problem::new(message).at(node.left_expr.span))
    }
}
