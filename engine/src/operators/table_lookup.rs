//! What a table holds for a key now, as the other side of a join asks it: an entry of one store with the steps behind it,
//! or the join of two such tables.

use super::FatalError;
use super::derive::Derivation;
use super::early_test::EarlyTest;
use crate::plan::{JoinKind, QueryPlan, Step, StepKind};
use crate::row::Row;
use crate::state::{HeldStores, StateError, Store};
use crate::task::StoreIndex;
use crate::types::{Schema, Value};

/// The stores of a task, as a table is looked up in them: by the task itself, or by a reader beside it.
pub(super) trait Stores {
    /// Shows a key's value to `f`.
    fn get<R>(&mut self, store: StoreIndex, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError>;
}

impl Stores for Vec<Store> {
    #[inline]
    fn get<R>(&mut self, store: StoreIndex, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        self[store.0].get(key, f)
    }
}

impl Stores for HeldStores<'_> {
    fn get<R>(&mut self, store: StoreIndex, key: &[u8], f: impl FnOnce(Option<&[u8]>) -> R) -> Result<R, StateError> {
        HeldStores::get(self, store.0, key, f)
    }
}

/// Where a column of a join's result comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    /// Nobody reads the column.
    Unread,
    Left(usize),
    Right(usize),
}

/// The value columns of a join's row: the key's first, then those of `columns`; a side that is not there gives nulls.
pub(super) fn joined(
    mut values: Vec<Value>,
    key: &[Value],
    columns: &[Side],
    left: Option<&[Value]>,
    right: Option<&[Value]>,
) -> Vec<Value> {
    values.extend(key.iter().cloned());
    values.extend(columns.iter().map(|column| {
        let found = match column {
            Side::Unread => None,
            Side::Left(slot) => left.and_then(|l| l.get(*slot)),
            Side::Right(slot) => right.and_then(|r| r.get(*slot)),
        };
        found.cloned().unwrap_or_default()
    }));
    values
}

/// As [`joined`], from rows that nobody needs any more: columns are moved out of them. No slot is named by two columns.
pub(super) fn joined_moving(
    mut values: Vec<Value>,
    key_width: usize,
    columns: &[Side],
    left: &mut [Value],
    mut right: Option<&mut [Value]>,
) -> Vec<Value> {
    values.extend(left.iter().take(key_width).cloned());
    values.extend(columns.iter().map(|column| match column {
        Side::Unread => Value::Null,
        Side::Left(slot) if *slot < key_width => left.get(*slot).cloned().unwrap_or_default(),
        Side::Left(slot) => left.get_mut(*slot).map(std::mem::take).unwrap_or_default(),
        Side::Right(slot) => right.as_mut().and_then(|right| right.get_mut(*slot)).map(std::mem::take).unwrap_or_default(),
    }));
    values
}

/// A table that can be asked for the row of a key.
pub(super) enum TableLookup {
    Stored { store: StoreIndex, table: Derivation },
    Joined { left: Box<TableLookup>, right: Box<TableLookup>, kind: JoinKind, key_width: usize, columns: Vec<Side> },
}

impl TableLookup {
    /// For the rows that `step` puts out; `store` finds a store by its name.
    ///
    /// # Errors
    /// No stores stand behind the step, or the plan can't be read.
    pub fn of(step: &Step, plan: &QueryPlan, store: &dyn Fn(&str) -> Result<StoreIndex, FatalError>) -> Result<Self, FatalError> {
        if let StepKind::TableTableJoin { left, right, kind } = &step.kind {
            return Ok(TableLookup::Joined {
                left: Box::new(Self::of(left, plan, store)?),
                right: Box::new(Self::of(right, plan, store)?),
                kind: *kind,
                key_width: step.schema.key.len(),
                columns: sides(&step.schema, left, right)?,
            });
        }
        let derivation = Derivation::of(step, plan)?;
        let table = derivation.ok_or_else(|| FatalError("the table of a join is not kept in a store".into()))?;
        Ok(TableLookup::Stored { store: store(table.store())?, table })
    }

    /// The stores that together hold every key that the table may have.
    pub fn key_stores(&self) -> Vec<StoreIndex> {
        match self {
            TableLookup::Stored { store, .. } => vec![*store],
            TableLookup::Joined { left, right, kind, .. } => match (kind.keeps_left(), kind.keeps_right()) {
                (true, true) => left.key_stores().into_iter().chain(right.key_stores()).collect(),
                (false, true) => right.key_stores(),
                _ => left.key_stores(),
            },
        }
    }

    /// Says which value columns of the rows are needed (slot by slot, without the key); others may come out as null.
    pub fn want_only(&mut self, wanted: Vec<bool>) {
        if let TableLookup::Stored { table, .. } = self {
            table.want_only(wanted);
        }
    }

    /// See [`Derivation::narrow`]. A join reads all of its sides.
    pub fn narrow(&mut self, slots: &[usize], key_width: usize) -> Vec<usize> {
        if let TableLookup::Stored { table, .. } = self { table.narrow(slots, key_width) } else { slots.to_vec() }
    }

    /// See [`Derivation::take_renaming`].
    pub fn take_renaming(&mut self) -> Option<Vec<usize>> {
        if let TableLookup::Stored { table, .. } = self { table.take_renaming() } else { None }
    }

    /// See [`Derivation::test_early`].
    pub fn test_early(&mut self, test: EarlyTest) {
        if let TableLookup::Stored { table, .. } = self {
            table.test_early(test);
        }
    }

    /// As [`Self::row`], into a row that was used before; false where there is none.
    pub fn read(&self, key: &[u8], stores: &mut impl Stores, row: &mut Row) -> Result<bool, FatalError> {
        if let TableLookup::Stored { store, table } = self {
            let found = stores.get(*store, key, |value| value.map(|value| table.read(key, value, row)));
            return Ok(found.map_err(|e| FatalError(e.to_string()))?.transpose().map_err(FatalError)?.unwrap_or(false));
        }
        Ok(match self.row(key, stores)? {
            Some(found) => {
                *row = found;
                true
            }
            None => false,
        })
    }

    /// The row of an encoded key (with its window behind it, where there is one); its time is that of the younger side.
    pub fn row(&self, key: &[u8], stores: &mut impl Stores) -> Result<Option<Row>, FatalError> {
        match self {
            TableLookup::Stored { store, table } => {
                let found = stores.get(*store, key, |value| value.map(|value| table.row(key, value)));
                Ok(found.map_err(|e| FatalError(e.to_string()))?.transpose().map_err(FatalError)?.flatten())
            }
            TableLookup::Joined { left, right, kind, key_width, columns } => {
                let (left, right) = (left.row(key, stores)?, right.row(key, stores)?);
                let is_there = match (&left, &right) {
                    (Some(_), Some(_)) => true,
                    (Some(_), None) => kind.keeps_left(),
                    (None, Some(_)) => kind.keeps_right(),
                    (None, None) => false,
                };
                let Some(any) = left.as_ref().or(right.as_ref()).filter(|_| is_there) else { return Ok(None) };
                let mut meta = any.meta.clone();
                if let (Some(left), Some(right)) = (&left, &right) {
                    meta.timestamp = left.meta.timestamp.max(right.meta.timestamp);
                }
                let side = |row: &Option<Row>| row.as_ref().map(|r| r.values.clone());
                let (left_values, right_values) = (side(&left), side(&right));
                let key = any.values.get(..*key_width).unwrap_or_default();
                let values = joined(Vec::new(), key, columns, left_values.as_deref(), right_values.as_deref());
                Ok(Some(Row { values, old: None, meta }))
            }
        }
    }
}

/// Where the value columns of a join come from: by name, from the left before the right.
pub(super) fn sides(result: &Schema, left: &Step, right: &Step) -> Result<Vec<Side>, FatalError> {
    let side = |name: &str| match (left.schema.slot(name), right.schema.slot(name)) {
        (Some(slot), _) => Ok(Side::Left(slot)),
        (None, Some(slot)) => Ok(Side::Right(slot)),
        (None, None) => Err(FatalError(format!("neither side of the join has a column {name}"))),
    };
    result.value.iter().map(|column| side(&column.name)).collect()
}
