//! From the clauses of a query to the steps that run it, short of the sink.

use std::collections::BTreeSet;

use tidemill_parser::ast::{Expr, ExprKind};

use super::builder::{Builder, names_in, source_step};
use super::error::{Problem, Problems};
use super::formats;
use super::join_steps;
use super::joins::Tree;
use super::keys;
use super::rewrite;
use super::steps::{self, Shown};
use super::typing::{self, Place};
use crate::catalog::SourceKind;
use crate::plan::names;
use crate::plan::{AggregateStep, NamedExpr, Step, StepKind};
use crate::types::{Column, Schema, is_pseudo_column};

/// What the columns of table functions are called.
const TABLE_FUNCTION_PREFIX: &str = "KSQL_SYNTH_";

/// The steps of a query without its sink, and what they put out.
pub(crate) struct Built {
    pub step: Step,
    /// Columns of the projection, in order: those of the sink's value, or all of a push query.
    pub value: Vec<Column>,
}

/// Builds the steps. `None` where problems leave nothing to build on.
pub(crate) fn build(builder: &Builder<'_>, problems: &mut Problems) -> Option<Built> {
    let clauses = builder.clauses;
    let shown = builder.shown();
    let mut step = builder.input(problems)?;
    if let Some(selection) = &clauses.selection {
        let predicate = clauses.scope.internal(selection);
        step = steps::filter(step, &predicate, Place::Where, &shown, problems);
    }
    if let Some(aggregation) = &clauses.aggregation {
        step = builder.aggregate(step, aggregation, problems)?;
        if !aggregation.covers {
            return None;
        }
        if let Some(having) = &clauses.having {
            let predicate = aggregation.over_result(&clauses.scope, having);
            step = steps::filter(step, &predicate, Place::Having, &shown, problems);
        }
        let items = clauses.projection.items.iter().map(|i| aggregation.over_result(&clauses.scope, &i.expr)).collect();
        return builder.project(step, items, &shown, problems);
    }
    if clauses.partition_by.is_some() {
        step = builder.partition_by(step, problems)?;
    }
    let mut items: Vec<Expr> = clauses.projection.items.iter().map(|i| clauses.scope.internal(&i.expr)).collect();
    builder.name_new_keys(&mut items);
    step = builder.flat_map(step, &mut items, problems)?;
    builder.project(step, items, &shown, problems)
}

impl Builder<'_> {
    fn shown(&self) -> Shown {
        let Some(aggregation) = &self.clauses.aggregation else { return Shown::default() };
        let calls = aggregation.calls.iter().map(|c| (c.name.clone(), c.shown.clone()));
        Shown { pairs: calls.collect() }
    }

    fn input(&self, problems: &mut Problems) -> Option<Step> {
        match &self.clauses.tree {
            Tree::Leaf(side) => {
                let source = &self.clauses.scope.sides.get(*side)?.source;
                let needs_old = self.persistent || self.clauses.aggregation.is_some() || self.clauses.selection.is_some();
                Some(source_step(source, needs_old.then(|| names::TABLE_STORE.to_string())))
            }
            Tree::Join(node) => join_steps::build(self, node, problems).map(|joined| joined.step),
        }
    }

    /// PARTITION BY: rows get a new key; the sink's topic is their repartitioning.
    fn partition_by(&self, input: Step, problems: &mut Problems) -> Option<Step> {
        let exprs = self.clauses.partition_by.as_ref()?;
        let internal: Vec<Expr> = exprs.iter().map(|e| self.clauses.scope.internal(e)).collect();
        if !internal.is_empty() && is_key_of(&internal, &input.schema) {
            return Some(input);
        }
        let mut keys = Vec::new();
        let mut key = Vec::new();
        for (expr, column) in internal.iter().zip(&self.clauses.keys) {
            let sql_type = steps::column_type(expr, &input, Place::PartitionBy, &Shown::default(), problems)?;
            keys.push(NamedExpr { name: column.internal.clone(), expr: expr.to_string() });
            key.push(Column::new(column.internal.clone(), sql_type));
        }
        let value = steps::pick(&input.schema, &self.needed(), &key);
        Some(Step { kind: StepKind::SelectKey { input: Box::new(input), keys, repartition: None }, schema: Schema { key, value } })
    }

    /// Select items that are the new key's expressions read its columns.
    fn name_new_keys(&self, items: &mut [Expr]) {
        for key in &self.clauses.keys {
            let replaced = key.exprs.first().map(|e| self.clauses.scope.internal(e));
            for item in items.iter_mut().filter(|i| Some(&**i) == replaced.as_ref()) {
                *item = Expr { span: item.span, ..Expr::column(key.internal.clone()) };
            }
        }
    }

    /// Table functions: their calls become columns.
    fn flat_map(&self, input: Step, items: &mut [Expr], problems: &mut Problems) -> Option<Step> {
        let mut calls: Vec<Expr> = Vec::new();
        for item in items.iter_mut() {
            problems.take(check_always_runs(item));
            *item = rewrite::replace(item.clone(), &mut |e| {
                if !is_table_call(e) {
                    return None;
                }
                if e.children().into_iter().any(has_table_call) {
                    problems.add(Problem::new(format!("Table functions can not be nested: {e}")).at(e.span));
                }
                let index = calls.iter().position(|c| c == e).unwrap_or_else(|| {
                    calls.push(e.clone());
                    calls.len() - 1
                });
                Some(Expr { span: e.span, ..Expr::column(format!("{TABLE_FUNCTION_PREFIX}{index}")) })
            });
        }
        if calls.is_empty() {
            return Some(input);
        }
        if self.clauses.tree.kind(&self.clauses.scope) == SourceKind::Table {
            problems.add(Problem::new("Table source is not supported with table functions"));
            return None;
        }
        let mut schema = input.schema.clone();
        let mut functions = Vec::new();
        let mut complete = true;
        for (i, call) in calls.iter().enumerate() {
            let name = format!("{TABLE_FUNCTION_PREFIX}{i}");
            match problems.take(typing::table_function_type(call, &input)) {
                Some(sql_type) => schema.value.push(Column::new(name.clone(), sql_type)),
                None => complete = false,
            }
            functions.push(NamedExpr { name, expr: call.to_string() });
        }
        complete.then(|| Step { kind: StepKind::FlatMap { input: Box::new(input), functions }, schema })
    }

    fn aggregate(&self, input: Step, aggregation: &super::aggregation::Aggregation, problems: &mut Problems) -> Option<Step> {
        let scope = &self.clauses.scope;
        let from_table = self.clauses.tree.kind(scope) == SourceKind::Table;
        let exprs: Vec<Expr> = aggregation.keys.iter().map(|k| scope.internal(&k.expr)).collect();
        let needed: BTreeSet<String> = aggregation.calls.iter().flat_map(|c| names_in(&c.expr)).collect();
        let repartitions = input.windowed_key().is_some() || !is_key_of(&exprs, &input.schema);
        let input = if repartitions { keep_metadata(input, &needed, &exprs, problems)? } else { input };
        let mut keys = Vec::new();
        let mut key = Vec::new();
        for (expr, group) in exprs.iter().zip(&aggregation.keys) {
            let sql_type = steps::column_type(expr, &input, Place::GroupBy, &Shown::default(), problems)?;
            keys.push(NamedExpr { name: group.name.clone(), expr: expr.to_string() });
            key.push(Column::new(group.name.clone(), sql_type));
        }
        if let Err(problem) = formats::check_no_maps(&self.final_names(&key)) {
            problems.add(problem);
        }
        let value = steps::pick(&input.schema, &needed, &key);
        let repartition = repartitions.then(|| self.repartition(self.names.repartition(names::GROUP_BY), &key, &value, None));
        let schema = Schema { key: key.clone(), value };
        let boxed = Box::new(input);
        let kind = match from_table {
            true => StepKind::TableGroupBy { input: boxed, keys, repartition },
            false => StepKind::StreamGroupBy { input: boxed, keys, repartition },
        };
        let grouped = Step { kind, schema };
        self.calculate(grouped, aggregation, key, from_table, problems)
    }

    fn calculate(
        &self,
        grouped: Step,
        aggregation: &super::aggregation::Aggregation,
        key: Vec<Column>,
        over_table: bool,
        problems: &mut Problems,
    ) -> Option<Step> {
        let mut value = Vec::new();
        let mut no_undo: Vec<String> = Vec::new();
        let mut complete = true;
        let mut states_fit = true;
        for call in &aggregation.calls {
            let Some(aggregator) = problems.take(typing::aggregator(&call.expr, &grouped, self.properties)) else {
                complete = false;
                continue;
            };
            if over_table
                && !aggregator.can_undo()
                && let ExprKind::Call { name, .. } = &call.expr.kind
                && !no_undo.contains(&name.name)
            {
                no_undo.push(name.name.clone());
            }
            let state = Column::new(call.name.clone(), aggregator.state_type());
            states_fit &= self.value_format.name == "KAFKA" || formats::holds(&self.spec(std::slice::from_ref(&state)), &[state], false);
            value.push(Column::new(call.name.clone(), aggregator.return_type()));
        }
        if !no_undo.is_empty() {
            let plural = if no_undo.len() > 1 { "s" } else { "" };
            problems.add(Problem::new(format!(
                "The aggregation function{plural} {} cannot be applied to a table source, only to a stream source.",
                keys::list(&no_undo, "and")
            )));
        }
        if !states_fit {
            let message = "One of the functions used in the statement has an intermediate type that the value format can not handle. Please \
                           remove the function or change the format.";
            problems.add(Problem::new(message));
        }
        if !complete {
            return None;
        }
        let window = self.clauses.window;
        let schema = Schema { key, value };
        let aggregates = aggregation.calls.iter().map(|c| NamedExpr { name: c.name.clone(), expr: c.expr.to_string() }).collect();
        let step = Step {
            kind: StepKind::Aggregate(AggregateStep {
                input: Box::new(grouped),
                store: names::AGGREGATE_STORE.to_string(),
                aggregates,
                window: window.map(|w| w.windowing),
                grace_ms: window.map(|w| w.grace_ms),
                retention_ms: window.map(|w| w.retention_ms),
                over_table,
            }),
            schema: schema.clone(),
        };
        Some(match (self.clauses.emit_final, window) {
            (true, Some(window)) => Step {
                kind: StepKind::Suppress { input: Box::new(step), store: names::SUPPRESS_STORE.to_string(), grace_ms: window.grace_ms },
                schema,
            },
            _ => step,
        })
    }

    /// Key columns under the names that the sink gives them, for messages.
    fn final_names(&self, key: &[Column]) -> Vec<Column> {
        let names = self.clauses.key_items.iter().map(|(name, _)| Some(name)).chain(std::iter::repeat(None));
        key.iter().zip(names).map(|(c, name)| Column::new(name.unwrap_or(&c.name).clone(), c.sql_type.clone())).collect()
    }

    /// The select list. Items that carry the key of a sink name its columns; all others become value columns.
    fn project(&self, input: Step, items: Vec<Expr>, shown: &Shown, problems: &mut Problems) -> Option<Built> {
        let clauses = self.clauses;
        let carries_key = |i: usize| clauses.key_items.iter().any(|(_, item)| *item == Some(i));
        let key_names: Vec<String> = match self.persistent {
            true => clauses.key_items.iter().map(|(name, _)| name.clone()).collect(),
            false => input.schema.key.iter().map(|c| c.name.clone()).collect(),
        };
        let mut selected: Vec<(Column, Expr)> = Vec::new();
        let mut hidden: Vec<String> = Vec::new();
        let mut complete = true;
        for (i, (item, expr)) in clauses.projection.items.iter().zip(items).enumerate() {
            let Some(sql_type) = steps::column_type(&expr, &input, Place::Select, shown, problems) else {
                complete = false;
                continue;
            };
            if carries_key(i) {
                continue;
            }
            let column = Column::new(item.name.clone(), sql_type);
            if self.persistent && key_names.contains(&column.name) {
                hidden.push(column.name);
            } else if selected.iter().any(|(c, _)| c.name == column.name) {
                let message = format!("Duplicate value columns found in schema: `{}` {}", column.name, column.sql_type);
                problems.add(Problem::new(message).at(item.span));
            } else {
                selected.push((column, expr));
            }
        }
        if self.persistent && selected.is_empty() && complete {
            problems.add(Problem::new("The projection contains no value columns."));
        } else if let Some(name) = hidden.first() {
            let message =
                format!("The projection has a value column with the name of a key column: `{name}`. Please give it another alias.");
            problems.add(Problem::new(message));
        }
        if !complete {
            return None;
        }
        let value = selected.iter().map(|(c, _)| c.clone()).collect();
        Some(Built { step: steps::select(input, key_names, selected), value })
    }
}

/// Whether the expressions are just the key columns of a schema, in order.
fn is_key_of(exprs: &[Expr], schema: &Schema) -> bool {
    exprs.len() == schema.key.len()
        && exprs.iter().zip(&schema.key).all(|(e, column)| {
            matches!(&e.kind, ExprKind::Column(c) if c.source.is_none() && c.name.name == column.name)
                && !schema.value.iter().any(|v| v.name == column.name)
        })
}

/// Makes columns of the metadata that does not outlive a repartition, where it is needed behind one.
fn keep_metadata(input: Step, needed: &BTreeSet<String>, keys: &[Expr], problems: &mut Problems) -> Option<Step> {
    let is_lost = |n: &&String| is_pseudo_column(n) && *n != "ROWTIME" && input.schema.slot(n).is_none();
    let lost: Vec<&String> = needed.iter().filter(is_lost).collect();
    if lost.is_empty() {
        return Some(input);
    }
    let mut wanted = needed.clone();
    wanted.extend(keys.iter().flat_map(names_in));
    let mut items: Vec<(Column, Expr)> =
        steps::pick(&input.schema, &wanted, &input.schema.key).into_iter().map(|c| (c.clone(), Expr::column(c.name))).collect();
    for name in lost {
        let expr = Expr::column(name.clone());
        let sql_type = steps::column_type(&expr, &input, Place::Select, &Shown::default(), problems)?;
        items.push((Column::new(name.clone(), sql_type), expr));
    }
    let key_names = input.schema.key.iter().map(|c| c.name.clone()).collect();
    Some(steps::select(input, key_names, items))
}

/// A table function may not stand where it might not run, for it makes rows either way.
fn check_always_runs(expr: &Expr) -> Result<(), Problem> {
    let mut refused = None;
    rewrite::visit(expr, &mut |e| {
        let place = match e.kind {
            ExprKind::Case { .. } => "CASE",
            ExprKind::Lambda { .. } => "a lambda",
            _ => return refused.is_none(),
        };
        if refused.is_none() && has_table_call(e) {
            refused = Some(Problem::new(format!("Table functions cannot be used in {place}: {e}")).at(e.span));
        }
        refused.is_none()
    });
    refused.map_or(Ok(()), Err)
}

fn is_table_call(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call { name, .. } if typing::is_table_function(&name.name))
}

fn has_table_call(expr: &Expr) -> bool {
    let mut found = false;
    rewrite::visit(expr, &mut |e| {
        found |= is_table_call(e);
        !found
    });
    found
}
