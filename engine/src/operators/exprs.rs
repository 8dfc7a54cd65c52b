//! Expressions as operators use them: compiled from a step's SQL text, with failures sent to the processing log.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::FatalError;
use crate::expr::{self, Compiled, Env, Scope};
use crate::formats::write_json;
use crate::functions::EvalError;
use crate::letters::LetterKind;
use crate::plan::{NamedExpr, Step};
use crate::processing_log::{ProcessingError, ProcessingErrorKind};
use crate::row::RowMeta;
use crate::task::TaskContext;
use crate::types::{Column, Schema, SqlType, Value};

/// Whose expressions these are, for the processing log.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub query: Arc<str>,
    /// The step's name (`Project`, `WhereFilter`).
    pub step: Arc<str>,
    /// Of the rows that come in, where reports may bear them.
    columns: Option<Arc<Schema>>,
}

impl Origin {
    pub fn new(query: &Arc<str>, step: &str) -> Self {
        Origin { query: query.clone(), step: step.into(), columns: None }
    }

    /// Of rows with these columns.
    pub fn over(self, columns: &Schema) -> Self {
        Origin { columns: Some(Arc::new(columns.clone())), ..self }
    }

    /// Reports a failure of one row; the query goes on.
    #[cold]
    pub fn report(&self, cx: &mut TaskContext, meta: &RowMeta, message: String, cause: &str) {
        self.report_row(cx, &[], meta, message, cause);
    }

    /// As [`Origin::report`], with the row where the configuration allows that.
    #[cold]
    pub fn report_row(&self, cx: &mut TaskContext, values: &[Value], meta: &RowMeta, message: String, cause: &str) {
        let error = self.error(cx, values, meta, message, cause);
        cx.report(error);
    }

    /// Reports a row that has no key where one is needed.
    #[cold]
    pub fn report_null_key(&self, cx: &mut TaskContext, values: &[Value], meta: &RowMeta, message: String) {
        let error = self.error(cx, values, meta, message, "");
        cx.report_as(LetterKind::NullKey, error);
    }

    /// Reports a window that a row came too late for; `is_lost`: there is no other that takes it.
    #[cold]
    pub fn report_late(&self, cx: &mut TaskContext, meta: &RowMeta, message: String, is_lost: bool) {
        let error = self.error(cx, &[], meta, message, "");
        if is_lost { cx.report_as(LetterKind::Late, error) } else { cx.report_part(LetterKind::Late, error) }
    }

    fn error(&self, cx: &TaskContext, values: &[Value], meta: &RowMeta, message: String, cause: &str) -> ProcessingError {
        let columns = self.columns.as_deref().filter(|c| c.width() == values.len() && cx.reports_rows());
        let record = columns.map(|columns| row_text(values, meta, columns));
        ProcessingError {
            kind: ProcessingErrorKind::RecordProcessing,
            query_id: self.query.clone(),
            step: self.step.clone(),
            message,
            cause: if cause.is_empty() { Vec::new() } else { vec![cause.to_owned()] },
            target: None,
            topic: None,
            partition: meta.partition,
            offset: meta.offset,
            record,
        }
    }
}

impl Origin {
    /// Reports what an expression of a row failed in and went on from, where there is anything.
    #[inline]
    pub fn report_swallowed(&self, cx: &mut TaskContext, values: &[Value], meta: &RowMeta, text: &str) {
        for EvalError(cause) in expr::take_swallowed() {
            self.report_row(cx, values, meta, format!("Error in a part of expression {text}, which counts as null"), &cause);
        }
    }
}

/// A row as ksqlDB's processing log spells it: a JSON array of the value columns, ROWTIME, partition, offset and the key.
fn row_text(values: &[Value], meta: &RowMeta, columns: &Schema) -> String {
    let mut out = vec![b'['];
    let (key, value) = values.split_at(columns.key.len().min(values.len()));
    let mut append = |values: &[Value], columns: &[Column]| {
        for (value, column) in values.iter().zip(columns) {
            let start = out.len();
            if write_json(value, &column.sql_type, &mut out).is_err() {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
            out.push(b',');
        }
    };
    append(value, &columns.value);
    let ours = [Value::BigInt(meta.timestamp), Value::Int(meta.partition), Value::BigInt(meta.offset)];
    append(&ours, &[SqlType::BigInt, SqlType::Int, SqlType::BigInt].map(|t| Column::new("", t)));
    append(key, &columns.key);
    out.pop();
    out.push(b']');
    String::from_utf8_lossy(&out).into_owned()
}

/// Parses an expression of a plan.
pub(super) fn parse(text: &str) -> Result<tidemill_parser::ast::Expr, FatalError> {
    tidemill_parser::parse_expression(text).map_err(|e| FatalError(format!("the plan holds an expression that can't be read: {e}")))
}

/// Compiles an expression of a plan over the rows of a step.
pub(super) fn compile(text: &str, input: &Step) -> Result<Compiled, FatalError> {
    let scope = Scope::new(&input.schema, input.windowed_key().is_some());
    expr::compile(&parse(text)?, &scope).map_err(|e| FatalError(format!("expression {text}: {e}")))
}

/// Adds the columns that an expression reads.
pub(super) fn add_columns(text: &str, into: &mut BTreeSet<String>) -> Result<(), FatalError> {
    into.extend(expr::columns_used(&parse(text)?));
    Ok(())
}

/// Where one slot of an output row comes from.
enum Cell {
    /// A slot of the input row.
    Copy(usize),
    Computed {
        expr: Compiled,
        text: String,
        name: String,
        index: usize,
    },
    /// A column that nothing reads.
    Null,
}

/// Makes the value columns (or the key) of a step's rows: computed ones, and copies by name.
pub(super) struct Projector {
    cells: Vec<Cell>,
    /// The copies among the cells: cell, slot of the input row, and whether no later cell copies that slot.
    moves: Vec<(usize, usize, bool)>,
    /// The cells that are no copies.
    changes: Vec<usize>,
    /// Whether any cell has an expression.
    computes: bool,
    origin: Origin,
}

impl Projector {
    /// For the columns `names`: what `items` compute, else a column of the input of that name. Columns outside of
    /// `needed` stay null.
    pub fn new(
        names: &[String],
        items: &[NamedExpr],
        input: &Step,
        needed: Option<&BTreeSet<String>>,
        origin: Origin,
    ) -> Result<Self, FatalError> {
        let origin = origin.over(&input.schema);
        let mut cells = Vec::with_capacity(names.len());
        for name in names {
            cells.push(if needed.is_some_and(|n| !n.contains(name)) {
                Cell::Null
            } else if let Some(index) = items.iter().position(|i| i.name == *name) {
                let text = &items[index].expr;
                let expr = compile(text, input)?;
                match expr.slot() {
                    Some(slot) => Cell::Copy(slot),
                    None => Cell::Computed { expr, text: text.clone(), name: name.clone(), index },
                }
            } else {
                let slot = input.schema.slot(name);
                Cell::Copy(slot.ok_or_else(|| FatalError(format!("the plan's step has no column {name}")))?)
            });
        }
        let mut moves: Vec<(usize, usize, bool)> = Vec::new();
        for (index, cell) in cells.iter().enumerate() {
            if let Cell::Copy(slot) = cell {
                for earlier in moves.iter_mut().filter(|earlier| earlier.1 == *slot) {
                    earlier.2 = false;
                }
                moves.push((index, *slot, true));
            }
        }
        let computes = cells.iter().any(|cell| matches!(cell, Cell::Computed { .. }));
        let changes = (0..cells.len()).filter(|index| !matches!(cells[*index], Cell::Copy(_))).collect();
        Ok(Projector { cells, moves, changes, computes, origin })
    }

    /// Appends the columns for a row. A column whose expression fails is null and reported.
    pub fn append(&self, values: &[Value], meta: &RowMeta, cx: &mut TaskContext, out: &mut Vec<Value>) {
        let env = Env::new(values, meta);
        for cell in &self.cells {
            out.push(match cell {
                Cell::Copy(slot) => values.get(*slot).cloned().unwrap_or_default(),
                other => self.compute(other, &env, meta, cx),
            });
        }
    }

    /// As [`Projector::append`], for a row that nobody needs any more: columns are moved out of it rather than copied, but
    /// for the first `kept`.
    pub fn append_moving(&self, values: &mut [Value], kept: usize, meta: &RowMeta, cx: &mut TaskContext, out: &mut Vec<Value>) {
        let first = out.len();
        if self.computes {
            let env = Env::new(values, meta);
            for cell in &self.cells {
                out.push(self.compute(cell, &env, meta, cx));
            }
        } else {
            out.resize(first + self.cells.len(), Value::Null);
        }
        for (index, slot, is_last) in &self.moves {
            if let (Some(place), Some(value)) = (out.get_mut(first + index), values.get_mut(*slot)) {
                *place = if *is_last && *slot >= kept { std::mem::take(value) } else { value.clone() };
            }
        }
    }

    /// Whether every copied column stays in its slot where the first cell's is `first`: then [`Self::update`] will do.
    pub fn stays_in_place(&self, first: usize) -> bool {
        self.cells.iter().enumerate().all(|(index, cell)| !matches!(cell, Cell::Copy(slot) if *slot != first + index))
    }

    /// Where it only renames and reorders columns behind a key that stays: for each slot of the results (the key's first)
    /// that of the input row, all different.
    pub fn renaming(&self, key_width: usize) -> Option<Vec<usize>> {
        let slots = self.copies(key_width)?;
        let distinct: BTreeSet<usize> = slots.iter().copied().collect();
        (distinct.len() == slots.len()).then_some(slots)
    }

    /// Where it computes nothing: for each slot of the results (the key's first, which stays) that of the input row.
    pub fn copies(&self, key_width: usize) -> Option<Vec<usize>> {
        let copied = self.cells.iter().map(|cell| if let Cell::Copy(slot) = cell { Some(*slot) } else { None });
        (0..key_width).map(Some).chain(copied).collect()
    }

    /// Turns a row into the result in place: the columns from slot `first` on (see [`Self::stays_in_place`]).
    pub fn update(&self, values: &mut Vec<Value>, first: usize, meta: &RowMeta, cx: &mut TaskContext) {
        let width = first + self.cells.len();
        match self.changes.as_slice() {
            [] => values.resize(width, Value::Null),
            [only] => {
                let result = self.cells.get(*only).map(|cell| self.compute(cell, &Env::new(values, meta), meta, cx));
                values.resize(width, Value::Null);
                if let Some(place) = values.get_mut(first + only) {
                    *place = result.unwrap_or_default();
                }
            }
            several => {
                // All are computed from the row as it is now, then put in.
                let mut results = cx.buffers.take(several.len());
                let env = Env::new(values, meta);
                results.extend(several.iter().filter_map(|index| self.cells.get(*index)).map(|cell| self.compute(cell, &env, meta, cx)));
                values.resize(width, Value::Null);
                for (index, result) in several.iter().zip(results.drain(..)) {
                    if let Some(place) = values.get_mut(first + index) {
                        *place = result;
                    }
                }
                cx.buffers.give(results);
            }
        }
    }

    /// What a cell that is no copy holds; null for a copy.
    fn compute(&self, cell: &Cell, env: &Env<'_>, meta: &RowMeta, cx: &mut TaskContext) -> Value {
        let Cell::Computed { expr, text, name, index } = cell else { return Value::Null };
        let result = expr.eval_value(env);
        self.origin.report_swallowed(cx, env.values, meta, text);
        match result {
            Ok(value) => value,
            Err(EvalError(cause)) => {
                let message = format!("Error computing expression {text} for column {name} with index {index}");
                self.origin.report_row(cx, env.values, meta, message, &cause);
                Value::Null
            }
        }
    }

    /// How many columns it makes.
    pub fn width(&self) -> usize {
        self.cells.len()
    }

    /// As [`Projector::append`], for readers beside the task: failures are null and not reported.
    pub fn append_silently(&self, values: &[Value], meta: &RowMeta, out: &mut Vec<Value>) {
        let env = Env::new(values, meta);
        for cell in &self.cells {
            out.push(match cell {
                Cell::Copy(slot) => values.get(*slot).cloned().unwrap_or_default(),
                Cell::Null => Value::Null,
                Cell::Computed { expr, .. } => expr.eval_value(&env).unwrap_or_default(),
            });
        }
        if self.computes {
            expr::take_swallowed();
        }
    }

    /// Computes the columns; `Err` with the failed expression's text and cause where one fails.
    pub fn try_append(&self, values: &[Value], meta: &RowMeta, cx: &mut TaskContext, out: &mut Vec<Value>) -> Result<(), (String, String)> {
        let env = Env::new(values, meta);
        for cell in &self.cells {
            out.push(match cell {
                Cell::Copy(slot) => values.get(*slot).cloned().unwrap_or_default(),
                Cell::Null => Value::Null,
                Cell::Computed { expr, text, .. } => {
                    let result = expr.eval_value(&env);
                    self.origin.report_swallowed(cx, values, meta, text);
                    result.map_err(|EvalError(cause)| (text.clone(), cause.into_string()))?
                }
            });
        }
        Ok(())
    }
}

/// Names of the value columns.
pub(super) fn value_names(schema: &Schema) -> Vec<String> {
    schema.value.iter().map(|c| c.name.clone()).collect()
}
