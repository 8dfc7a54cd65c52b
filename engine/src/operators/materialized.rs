//! How the table of a query is looked up beside its tasks: the stores that keep it, and the steps behind them. A table that
//! joins others on their keys keeps no rows of its own: they are joined when they are asked for.

use super::FatalError;
use super::builder::split;
use super::derive::{Stage, TableEntry};
use super::table_lookup::{Stores, TableLookup};
use crate::analyze::WindowBounds;
use crate::formats;
use crate::plan::{QueryPlan, Step, StepKind};
use crate::row::Row;
use crate::state::{HeldStores, StateError, StoreReader, StoreSnapshot};
use crate::task::StoreIndex;
use crate::types::{Column, Value, codec};

/// A row, or an entry that is one.
pub enum Shown<'a> {
    Row(&'a Row),
    Entry(TableEntry<'a>),
}

/// How a snapshot is looked at.
pub struct Looking<'r> {
    /// Only rows of these are shown.
    pub windows: WindowBounds,
    /// What rows are read into.
    pub row: &'r mut Row,
    /// Entries that may still be looked at, whether they are shown or not.
    pub left: usize,
}

/// Takes rows with their keys until it says false or fails.
type ShownVisitor<'a> = dyn FnMut(&[u8], Shown<'_>) -> Result<bool, StateError> + 'a;

/// Reads a query's table from its stores.
pub struct MaterializedReader {
    /// In the order in which the task has them.
    stores: Vec<String>,
    table: TableLookup,
    /// What stands behind a join; a single store's table has its steps within.
    stages: Vec<Stage>,
    /// Slots of a joined row with what its topic's format has in the place of null.
    zeros: Vec<(usize, Value)>,
}

/// The reader of a query's table; `None`: it keeps none (a stream, or a table that only passes through).
pub fn reader(plan: &QueryPlan) -> Option<MaterializedReader> {
    MaterializedReader::new(plan).ok()
}

impl MaterializedReader {
    fn new(plan: &QueryPlan) -> Result<Self, FatalError> {
        let (step, stages) = behind_join(&plan.root, plan)?;
        let names = std::cell::RefCell::new(Vec::<String>::new());
        let note = |name: &str| {
            names.borrow_mut().push(name.to_owned());
            Ok(StoreIndex(0))
        };
        TableLookup::of(step, plan, &note)?;
        let names = names.into_inner();
        // All stand in one task, for the tables that are joined have one key.
        let has_all = |stores: &[String]| names.iter().all(|name| stores.contains(name));
        let specs = split(plan)?.into_iter().map(|spec| spec.stores.iter().map(|s| s.name.to_string()).collect::<Vec<_>>());
        let mut stores = specs.into_iter().find(|stores| has_all(stores)).ok_or_else(|| FatalError("no task has these stores".into()))?;
        stores.retain(|name| names.contains(name));
        let place = |name: &str| {
            let index = stores.iter().position(|store| store == name);
            index.map(StoreIndex).ok_or_else(|| FatalError(format!("the task has no store {name}")))
        };
        let table = TableLookup::of(step, plan, &place)?;
        let zeros = if std::ptr::eq(step, &plan.root) { Vec::new() } else { zeros_of(&plan.root) };
        Ok(MaterializedReader { stores, table, stages, zeros })
    }

    /// Names of the stores; readers of each partition are to be given in this order.
    pub fn stores(&self) -> &[String] {
        &self.stores
    }

    /// The row of an encoded key (with its window behind it, where there is one) in one partition.
    ///
    /// # Errors
    /// An entry can't be read.
    pub fn get(&self, key: &[u8], partition: &[StoreReader]) -> Result<Option<Row>, StateError> {
        self.read(key, &mut HeldStores::hold(partition)?)
    }

    /// How many stores hold the keys of the table's rows in one partition.
    pub fn key_stores(&self) -> usize {
        self.table.key_stores().len()
    }

    /// Among [`Self::stores`], one of those that hold keys.
    pub fn store_of_keys(&self) -> Option<usize> {
        self.table.key_stores().first().map(|store| store.0)
    }

    /// Shows the rows of one partition whose keys lie in a range (`to`: up to, but not with; `None`: to the end) to `f`,
    /// with their keys, until it returns false: those of one of the stores that hold keys which no earlier one has. Each
    /// row is as it is at one moment; different rows may be of different ones.
    ///
    /// # Errors
    /// As of [`Self::get`].
    pub fn scan(
        &self,
        store: usize,
        from: &[u8],
        to: Option<&[u8]>,
        partition: &[StoreReader],
        f: &mut dyn FnMut(&[u8], Row) -> bool,
    ) -> Result<(), StateError> {
        let single = if let TableLookup::Stored { table, .. } = &self.table { Some(table) } else { None };
        let key_stores = self.table.key_stores();
        let missing = || StateError::Storage("a store of the table is missing".into());
        let reader = key_stores.get(store).and_then(|store| partition.get(store.0)).ok_or_else(missing)?;
        let earlier = key_stores.get(..store).unwrap_or_default();
        let mut failed = None;
        reader.range(from, to, &mut |key, value| {
            let row = match single {
                Some(table) => table.row(key, value).map_err(StateError::Storage),
                None => HeldStores::hold(partition).and_then(|mut stores| self.unless_seen(key, earlier, &mut stores)),
            };
            match row {
                Ok(Some(row)) => f(key, row),
                Ok(None) => true,
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// As [`Self::scan`], of the stores as they were at one moment. `f` takes what it wants of rows; those of which the columns can be
    /// read where they are stored are shown as entries. The first key that was not looked at any more, where no more might be.
    ///
    /// # Errors
    /// As of [`Self::get`], and what `f` says.
    pub fn scan_snapshot(
        &self,
        store: usize,
        from: &[u8],
        to: Option<&[u8]>,
        partition: &Snapshots,
        looking: &mut Looking<'_>,
        f: &mut ShownVisitor<'_>,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let Looking { windows, row, left } = looking;
        let windows = *windows;
        let key_stores = self.table.key_stores();
        let missing = || StateError::Storage("a store of the table is missing".into());
        let store_of_keys = key_stores.get(store).and_then(|store| partition.0.get(store.0)).ok_or_else(missing)?;
        let earlier = key_stores.get(..store).unwrap_or_default();
        let mut show = |key: &[u8], value: &[u8]| {
            let is_row = match &self.table {
                TableLookup::Stored { table, .. } => match table.entry(key, value) {
                    Some(entry) => return f(key, Shown::Entry(entry)),
                    None => table.read(key, value, row).map_err(StateError::Storage)?,
                },
                TableLookup::Joined { .. } => match self.unless_seen(key, earlier, &mut &*partition)? {
                    Some(found) => {
                        **row = found;
                        true
                    }
                    None => false,
                },
            };
            if is_row { f(key, Shown::Row(row)) } else { Ok(true) }
        };
        let (mut failed, mut next) = (None, None);
        store_of_keys.scan(from, to, &mut |key, value| {
            if *left == 0 {
                next = Some(key.to_vec());
                return false;
            }
            *left -= 1;
            if windows != WindowBounds::ALL && !codec::window_of(key).map_or(true, |window| windows.admits(window)) {
                return true;
            }
            show(key, value).unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        })?;
        failed.map_or(Ok(next), Err)
    }

    /// Says that only some slots of the rows are needed; see [`super::derive::Derivation::narrow`].
    pub fn narrow(&mut self, slots: &[usize], key_width: usize) -> Vec<usize> {
        self.table.narrow(slots, key_width)
    }

    /// The row of a key that no earlier store of keys has.
    fn unless_seen(&self, key: &[u8], earlier: &[StoreIndex], stores: &mut impl Stores) -> Result<Option<Row>, StateError> {
        for store in earlier {
            if stores.get(*store, key, |value| value.is_some())? {
                return Ok(None);
            }
        }
        self.read(key, stores)
    }

    fn read(&self, key: &[u8], stores: &mut impl Stores) -> Result<Option<Row>, StateError> {
        let Some(mut row) = self.table.row(key, stores).map_err(|e| StateError::Storage(e.0))? else { return Ok(None) };
        let is_row = self.stages.iter().all(|stage| stage.apply(&mut row));
        for (slot, zero) in &self.zeros {
            if let Some(value) = row.values.get_mut(*slot).filter(|value| value.is_null()) {
                *value = zero.clone();
            }
        }
        Ok(is_row.then_some(row))
    }
}

/// The stores of one partition as they were at one moment.
pub struct Snapshots(pub Vec<StoreSnapshot>);

impl Stores for &Snapshots {
    fn get<R>(&mut self, store: StoreIndex, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        match self.0.get(store.0) {
            Some(snapshot) => snapshot.get(key, f),
            None => Err(StateError::Storage(format!("the task has no store number {}", store.0))),
        }
    }
}

/// What the rows of a sink have in the place of nulls, slot by slot: a table whose rows are looked up shows what its topic says.
fn zeros_of(root: &Step) -> Vec<(usize, Value)> {
    let StepKind::Sink { format, .. } = &root.kind else { return Vec::new() };
    let Some(written) = formats::by_name(&format.value.name) else { return Vec::new() };
    let zero = |column: &Column| Some((root.schema.slot(&column.name)?, written.in_place_of_null(&format.value, &column.sql_type)?));
    root.schema.value.iter().filter_map(zero).collect()
}

/// The join of tables that a plan ends in, with the filters and projections behind it; the plan's root where it ends in
/// none.
fn behind_join<'p>(root: &'p Step, plan: &QueryPlan) -> Result<(&'p Step, Vec<Stage>), FatalError> {
    let mut stages = Vec::new();
    let mut step = root;
    loop {
        match &step.kind {
            StepKind::TableTableJoin { .. } => {
                stages.reverse();
                return Ok((step, stages));
            }
            StepKind::Sink { input, .. } => step = input,
            StepKind::Filter { input, .. } | StepKind::Select { input, .. } => {
                stages.extend(Stage::of(step, plan)?);
                step = input;
            }
            _ => return Ok((root, Vec::new())),
        }
    }
}
