//! From a stored row to what later steps make of it: filters and projections of a table, without a task.
//!
//! Joins look tables up through this, and so do pull queries: the state is kept once, and the steps behind it are applied
//! to the entry that was found.

use std::collections::BTreeSet;

use super::FatalError;
use super::early_test::EarlyTest;
use super::exprs::{Origin, Projector, parse, value_names};
use crate::expr::{self, CompiledAggregate, Env, Eval, Scope};
use crate::functions::InState;
use crate::plan::{QueryPlan, Step, StepKind, WindowedKey};
use crate::row::{Row, RowMeta, Window, empty};
use crate::state::StateError;
use crate::types::Value;
use crate::types::codec::{self, CodecError, Part, Stored};

/// A step behind the store.
pub(super) enum Stage {
    /// `reads`: the slots that the predicate reads.
    Filter {
        predicate: Eval<bool>,
        reads: Vec<usize>,
    },
    Select {
        key_width: usize,
        values: Projector,
    },
}

impl Stage {
    /// For a filter or a projection of a table; `None` for any other step.
    pub fn of(step: &Step, plan: &QueryPlan) -> Result<Option<Self>, FatalError> {
        match &step.kind {
            StepKind::Filter { input, predicate, .. } => {
                let scope = Scope::new(&input.schema, is_windowed(input));
                let parsed = parse(predicate)?;
                let reads = expr::columns_used(&parsed).iter().filter_map(|name| input.schema.slot(name)).collect();
                let predicate = expr::compile_predicate(&parsed, &scope).map_err(|e| FatalError(e.to_string()))?;
                Ok(Some(Stage::Filter { predicate, reads }))
            }
            StepKind::Select { input, items, .. } => {
                let origin = Origin::new(&plan.query_id.as_str().into(), "Project");
                let needed: Option<&BTreeSet<String>> = None;
                let values = Projector::new(&value_names(&step.schema), items, input, needed, origin)?;
                Ok(Some(Stage::Select { key_width: step.schema.key.len(), values }))
            }
            _ => Ok(None),
        }
    }

    /// Makes of a row what comes out; false where the filter leaves it out. Failures were reported when the row went
    /// through the task's own step.
    pub fn apply(&self, row: &mut Row) -> bool {
        match self {
            Stage::Filter { predicate, .. } => {
                let kept = matches!(predicate(&Env::new(&row.values, &row.meta)), Ok(Some(true)));
                expr::take_swallowed();
                kept
            }
            Stage::Select { key_width, values } => {
                let mut selected: Vec<Value> = Vec::with_capacity(key_width + values.width());
                selected.extend(row.values.iter().take(*key_width).cloned());
                values.append_silently(&row.values, &row.meta, &mut selected);
                row.values = selected;
                true
            }
        }
    }
}

fn is_windowed(step: &Step) -> bool {
    matches!(step.windowed_key(), Some(WindowedKey::Time { .. } | WindowedKey::Session))
}

/// What a store's entries hold behind their timestamp.
enum Layout {
    /// The value columns themselves.
    Columns,
    /// The value columns, then a version; the version alone where there is no row.
    Versioned { width: usize },
    /// One state an aggregate.
    States(Vec<CompiledAggregate>),
}

/// The slot of a column that is in no row.
const NOWHERE: usize = usize::MAX;

/// Turns entries of one store into rows of a later step.
pub struct Derivation {
    store: String,
    windowed: bool,
    layout: Layout,
    stages: Vec<Stage>,
    /// Which values of an entry are needed; all that lie past its end.
    wanted: Vec<bool>,
    /// What is asked of them first.
    early: Option<EarlyTest>,
    /// Where only some columns are read.
    narrowed: Option<Narrowed>,
}

/// What is read of an entry for some columns.
struct Narrowed {
    /// Columns of the key.
    key_width: usize,
    reads_key: bool,
    /// Of the values in order.
    parts: Vec<Part>,
    /// The states of those whose results have to be computed.
    computed: Vec<usize>,
}

impl Derivation {
    /// For the rows that `step` puts out; `None` where no single store stands behind it.
    pub fn of(step: &Step, plan: &QueryPlan) -> Result<Option<Self>, FatalError> {
        match &step.kind {
            StepKind::TableSource(source) => Ok(source.store.as_ref().map(|store| Derivation {
                store: store.clone(),
                windowed: is_windowed(step),
                layout: Layout::Columns,
                stages: Vec::new(),
                wanted: Vec::new(),
                early: None,
                narrowed: None,
            })),
            StepKind::TableRekey { store, .. } => Ok(Some(Derivation {
                store: store.clone(),
                windowed: false,
                layout: Layout::Columns,
                stages: Vec::new(),
                wanted: Vec::new(),
                early: None,
                narrowed: None,
            })),
            StepKind::ForeignKeyResolve { store, .. } => Ok(Some(Derivation {
                store: store.clone(),
                windowed: false,
                layout: Layout::Versioned { width: step.schema.value.len() },
                stages: Vec::new(),
                wanted: Vec::new(),
                early: None,
                narrowed: None,
            })),
            StepKind::Aggregate(aggregate) => {
                let input = &aggregate.input;
                let scope = Scope::new(&input.schema, input.windowed_key().is_some());
                let mut calls = Vec::new();
                for call in &aggregate.aggregates {
                    let compiled = expr::compile_aggregate(&parse(&call.expr)?, &scope, &plan.properties);
                    calls.push(compiled.map_err(|e| FatalError(e.to_string()))?);
                }
                let layout = Layout::States(calls);
                let (store, windowed) = (aggregate.store.clone(), is_windowed(step));
                Ok(Some(Derivation { store, windowed, layout, stages: Vec::new(), wanted: Vec::new(), early: None, narrowed: None }))
            }
            StepKind::Filter { input, .. } | StepKind::Select { input, .. } => {
                let Some(mut derivation) = Self::of(input, plan)? else { return Ok(None) };
                derivation.stages.extend(Stage::of(step, plan)?);
                Ok(Some(derivation))
            }
            // EMIT FINAL answers pull queries from the aggregation, too.
            StepKind::Sink { input, .. } | StepKind::Suppress { input, .. } => Self::of(input, plan),
            _ => Ok(None),
        }
    }

    /// Name of the store.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Says which value columns of the rows are needed (slot by slot, without the key); others may come out as null.
    pub fn want_only(&mut self, wanted: Vec<bool>) {
        if self.stages.is_empty() && matches!(self.layout, Layout::Columns) {
            self.wanted = wanted;
        }
    }

    /// Leaves a projection that only renames and reorders columns to the caller, who reads the columns where they are
    /// stored: for each column of the rows its slot in the rows that come out from now on, all different. `None` where there
    /// is no such projection, or more behind it.
    pub fn take_renaming(&mut self) -> Option<Vec<usize>> {
        let [Stage::Select { key_width, values }] = self.stages.as_slice() else { return None };
        let slots = values.renaming(*key_width).filter(|_| matches!(self.layout, Layout::Columns))?;
        self.stages.clear();
        Some(slots)
    }

    /// Says that only some slots of the rows are needed, each with what the rows have in the way of windows and times. For each its
    /// slot in the rows that come out from now on, in which others may be null.
    pub fn narrow(&mut self, slots: &[usize], key_width: usize) -> Vec<usize> {
        let mut slots = slots.to_vec();
        // Columns that are only renamed and reordered are read where they are stored.
        while let Some(Stage::Select { key_width, values }) = self.stages.last()
            && let Some(copies) = values.copies(*key_width)
        {
            slots.iter_mut().for_each(|slot| *slot = copies.get(*slot).copied().unwrap_or(NOWHERE));
            self.stages.pop();
        }
        // What a HAVING asks for is read, too.
        let mut read = slots.clone();
        for stage in &self.stages {
            let Stage::Filter { reads, .. } = stage else { return slots };
            read.extend(reads);
        }
        if self.early.is_none() {
            self.narrowed = Some(self.narrowed_to(&read, key_width));
        }
        slots
    }

    /// An entry of which the columns are read where they are stored; `None` where more has to be done to see its row.
    pub fn entry<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> Option<TableEntry<'a>> {
        let narrowed = self.narrowed.as_ref()?;
        let is_plain = self.stages.is_empty() && narrowed.computed.is_empty() && !matches!(self.layout, Layout::Versioned { .. });
        is_plain.then_some(TableEntry { key, value, narrowed, windowed: self.windowed })
    }

    fn narrowed_to(&self, slots: &[usize], key_width: usize) -> Narrowed {
        let reads_key = slots.iter().any(|slot| *slot < key_width);
        let values: BTreeSet<usize> =
            slots.iter().filter(|slot| **slot != NOWHERE).filter_map(|slot| slot.checked_sub(key_width)).collect();
        let width = match &self.layout {
            // The version tells whether there is a row.
            Layout::Versioned { width } => width + 1,
            Layout::Columns | Layout::States(_) => values.last().map_or(0, |last| last + 1),
        };
        let mut computed = Vec::new();
        let part = |index: usize| match &self.layout {
            _ if !values.contains(&index) => Part::Nothing,
            Layout::Columns | Layout::Versioned { .. } => Part::Whole,
            Layout::States(calls) => match calls.get(index).map(|call| call.aggregator.result_in_state()) {
                Some(InState::Whole) => Part::Whole,
                Some(InState::Field(field)) => Part::Field(field),
                Some(InState::Computed) | None => {
                    computed.push(index);
                    Part::Whole
                }
            },
        };
        let parts = (0..width).map(part).collect();
        Narrowed { key_width, reads_key, parts, computed }
    }

    /// Leaves out rows that the test refuses.
    pub(super) fn test_early(&mut self, test: EarlyTest) {
        if self.stages.is_empty() && matches!(self.layout, Layout::Columns) {
            self.early = Some(test);
        }
    }

    /// The row of an entry; `None` where a filter leaves it out.
    ///
    /// # Errors
    /// The entry can't be read.
    pub fn row(&self, key: &[u8], value: &[u8]) -> Result<Option<Row>, String> {
        let mut row = Row::default();
        Ok(self.read(key, value, &mut row)?.then_some(row))
    }

    /// As [`Self::row`], into a row that was used before; false where a filter leaves it out.
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, key: &[u8], value: &[u8], row: &mut Row) -> Result<bool, String> {
        empty(&mut row.values);
        row.meta = RowMeta { has_key: true, has_value: true, ..RowMeta::default() };
        if let Some(narrowed) = &self.narrowed {
            return self.read_narrowed(key, value, narrowed, row).map_err(|e| e.to_string());
        }
        if self.windowed {
            row.meta.window = Some(codec::decode_windowed_key(key, &mut row.values).map_err(|e| e.to_string())?);
        } else {
            codec::decode_key(key, &mut row.values).map_err(|e| e.to_string())?;
        }
        let first = row.values.len();
        if let Some(early) = &self.early {
            codec::decode_entry(value, &early.wanted, &mut row.values).map_err(|e| e.to_string())?;
            if early.refuses(&row.values, &row.meta) {
                return Ok(false);
            }
            row.values.truncate(first);
        }
        row.meta.timestamp = codec::decode_entry(value, &self.wanted, &mut row.values).map_err(|e| e.to_string())?;
        Ok(self.settle(first, None, row) && self.stages.iter().all(|stage| stage.apply(row)))
    }

    fn read_narrowed(&self, key: &[u8], value: &[u8], narrowed: &Narrowed, row: &mut Row) -> Result<bool, CodecError> {
        match (narrowed.reads_key, self.windowed) {
            (false, windowed) => {
                row.meta.window = if windowed { Some(codec::window_of(key)?) } else { None };
                row.values.resize(narrowed.key_width, Value::Null);
            }
            (true, true) => row.meta.window = Some(codec::decode_windowed_key(key, &mut row.values)?),
            (true, false) => codec::decode_key(key, &mut row.values)?,
        }
        let first = row.values.len();
        row.meta.timestamp = codec::decode_parts(value, &narrowed.parts, &mut row.values)?;
        Ok(self.settle(first, Some(&narrowed.computed), row) && self.stages.iter().all(|stage| stage.apply(row)))
    }

    /// Makes columns of what an entry holds, from `first` on; false: it holds no row. `computed`: the states whose results are
    /// wanted; `None`: all.
    fn settle(&self, first: usize, computed: Option<&[usize]>, row: &mut Row) -> bool {
        match &self.layout {
            Layout::Columns => {}
            Layout::Versioned { width } => {
                if row.values.len() <= first + width {
                    return false;
                }
                row.values.truncate(first + width);
            }
            Layout::States(calls) => {
                let mut settle = |index: usize| {
                    if let (Some(call), Some(state)) = (calls.get(index), row.values.get_mut(first + index)) {
                        *state = call.aggregator.result(state).unwrap_or_default();
                    }
                };
                match computed {
                    None => (0..calls.len()).for_each(settle),
                    Some(computed) => computed.iter().for_each(|index| settle(*index)),
                }
            }
        }
        true
    }
}

/// See [`Derivation::entry`].
pub struct TableEntry<'a> {
    key: &'a [u8],
    value: &'a [u8],
    narrowed: &'a Narrowed,
    windowed: bool,
}

impl TableEntry<'_> {
    /// Shows the columns that were asked for by their slots, in ascending order, each once; gives the row's time, milliseconds since the
    /// epoch, and its window. Columns that the entry does not have are not shown, or as null.
    ///
    /// # Errors
    /// The entry can't be read; columns may have been shown before.
    #[inline]
    pub fn visit(&self, mut f: impl FnMut(usize, Stored<'_>)) -> Result<(i64, Option<Window>), StateError> {
        let TableEntry { key, value, narrowed, windowed } = self;
        let failed = |error: CodecError| StateError::Storage(error.to_string());
        let window = if *windowed { Some(codec::window_of(key).map_err(failed)?) } else { None };
        if narrowed.reads_key {
            let key = if *windowed { codec::key_of_windowed(key) } else { *key };
            codec::visit_key(key, |slot, value| f(slot, Stored::Made(value))).map_err(failed)?;
        }
        let width = narrowed.key_width;
        let timestamp = codec::visit_parts(value, &narrowed.parts, |place, stored| f(width + place, stored)).map_err(failed)?;
        Ok((timestamp, window))
    }
}
