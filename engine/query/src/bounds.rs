//! What a query's conditions say of where its rows can be: keys, windows, and places in a topic. Conditions that say nothing
//! of that bound nothing, and every condition is tested on the rows all the same.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::live::LiveTable;
use tidemill_engine::state::KeyRange;
use tidemill_engine::types::{Column, SqlType, Value};

use crate::table::Role;
use crate::values::values;

/// Keys that are looked up one by one; with more, the table is scanned.
const MAX_KEYS: usize = 1_024;

/// An inclusive range of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub from: i64,
    pub to: i64,
}

impl Numbers {
    const ALL: Numbers = Numbers { from: i64::MIN, to: i64::MAX };

    fn restrict(&mut self, op: Operator, number: i64) {
        match op {
            Operator::Eq => (self.from, self.to) = (self.from.max(number), self.to.min(number)),
            Operator::Gt => self.from = self.from.max(number.saturating_add(1)),
            Operator::GtEq => self.from = self.from.max(number),
            Operator::Lt => self.to = self.to.min(number.saturating_sub(1)),
            Operator::LtEq => self.to = self.to.min(number),
            _ => {}
        }
    }
}

/// An end of a range; `true` where it belongs to the range.
type End = (Value, bool);

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bounds {
    /// Values that each key column may have; `None`: any.
    keys: Vec<Option<Vec<Value>>>,
    /// Ends of the first key column, where it is bounded.
    first: (Option<End>, Option<End>),
    pub window_start: Numbers,
    pub window_end: Numbers,
    pub time: Numbers,
    pub partition: Numbers,
    pub offset: Numbers,
}

/// What some conditions, which all have to hold, say together.
pub(crate) fn of(filters: &[Expr], columns: &[(Column, Role)], keys: usize) -> Bounds {
    let mut bounds = Bounds {
        keys: vec![None; keys],
        first: (None, None),
        window_start: Numbers::ALL,
        window_end: Numbers::ALL,
        time: Numbers::ALL,
        partition: Numbers::ALL,
        offset: Numbers::ALL,
    };
    filters.iter().for_each(|filter| bounds.add(filter, columns));
    bounds
}

impl Bounds {
    pub fn is_all(&self) -> bool {
        let numbers = [self.window_start, self.window_end, self.time, self.partition, self.offset];
        self.keys.iter().all(Option::is_none) && self.first == (None, None) && numbers.iter().all(|numbers| *numbers == Numbers::ALL)
    }

    pub fn windows(&self) -> WindowBounds {
        WindowBounds {
            start_from: self.window_start.from,
            start_to: self.window_start.to,
            end_from: self.window_end.from,
            end_to: self.window_end.to,
        }
    }

    /// The ranges of keys to read, in order, none overlapping another; none: all keys. The flag says that there can be no row.
    pub fn key_ranges(&self) -> (Vec<KeyRange>, bool) {
        // Values of the leading key columns, combined.
        let mut combined: Vec<Vec<Value>> = vec![Vec::new()];
        let mut is_bounded = false;
        for values in &self.keys {
            let Some(values) = values else { break };
            if values.len().saturating_mul(combined.len()) > MAX_KEYS {
                break;
            }
            is_bounded = true;
            combined = combined
                .into_iter()
                .flat_map(|prefix| {
                    values.iter().map(move |value| {
                        let mut key = prefix.clone();
                        key.push(value.clone());
                        key
                    })
                })
                .collect();
        }
        if is_bounded {
            let mut ranges: Vec<KeyRange> = combined.iter().map(|key| LiveTable::keys_that_begin_with(key)).collect();
            ranges.sort();
            ranges.dedup();
            let none = ranges.is_empty();
            return (ranges, none);
        }
        match &self.first {
            (None, None) => (Vec::new(), false),
            (from, to) => {
                let end = |end: &Option<(Value, bool)>| end.as_ref().map(|(value, inclusive)| (value.clone(), *inclusive));
                let (from, to) = (end(from), end(to));
                let range = LiveTable::keys_between(from.as_ref().map(|(v, i)| (v, *i)), to.as_ref().map(|(v, i)| (v, *i)));
                let none = range.1.as_ref().is_some_and(|to| range.0 >= *to);
                (vec![range], none)
            }
        }
    }

    fn add(&mut self, filter: &Expr, columns: &[(Column, Role)]) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.add(left, columns);
                self.add(right, columns);
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                // `k = 1 OR k = 2`, which short lists become.
                if let (Some((a, mut values)), Some((b, more))) = (equals(left, columns), equals(right, columns))
                    && a == b
                {
                    values.extend(more);
                    self.restrict_key(a, values);
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                if let (Some(column), Some(literal)) = (column_of(left, columns), literal_of(right)) {
                    self.compare(column, *op, literal);
                } else if let (Some(literal), Some(column)) = (literal_of(left), column_of(right, columns))
                    && let Some(op) = op.swap()
                {
                    self.compare(column, op, literal);
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) => {
                if let (Some(column), Some(low), Some(high)) = (column_of(expr, columns), literal_of(low), literal_of(high)) {
                    self.compare(column, Operator::GtEq, low);
                    self.compare(column, Operator::LtEq, high);
                }
            }
            Expr::InList(_) => {
                if let Some((slot, values)) = equals(filter, columns) {
                    self.restrict_key(slot, values);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, (column, role): &(Column, Role), op: Operator, literal: &ScalarValue) {
        let Some(value) = value_of(literal, &column.sql_type) else { return };
        let numbers = match role {
            Role::Slot(slot) => return self.compare_key(*slot, op, value),
            Role::RowTime => &mut self.time,
            Role::RowPartition => &mut self.partition,
            Role::RowOffset => &mut self.offset,
            Role::WindowStart => &mut self.window_start,
            Role::WindowEnd => &mut self.window_end,
        };
        match value {
            Value::Int(number) => numbers.restrict(op, i64::from(number)),
            Value::BigInt(number) => numbers.restrict(op, number),
            _ => {}
        }
    }

    fn compare_key(&mut self, slot: usize, op: Operator, value: Value) {
        if slot >= self.keys.len() {
            return;
        }
        match op {
            Operator::Eq => self.restrict_key(slot, vec![value]),
            // Of several bounds on one end the first is kept: the others are tested on the rows.
            Operator::Gt | Operator::GtEq if slot == 0 && self.first.0.is_none() => self.first.0 = Some((value, op == Operator::GtEq)),
            Operator::Lt | Operator::LtEq if slot == 0 && self.first.1.is_none() => self.first.1 = Some((value, op == Operator::LtEq)),
            _ => {}
        }
    }

    fn restrict_key(&mut self, slot: usize, values: Vec<Value>) {
        if let Some(known) = self.keys.get_mut(slot) {
            match known {
                Some(known) => known.retain(|value| values.contains(value)),
                None => *known = Some(values),
            }
        }
    }
}

/// The key column that a condition pins to some values, and those.
fn equals(filter: &Expr, columns: &[(Column, Role)]) -> Option<(usize, Vec<Value>)> {
    let slot_of = |expr: &Expr| match column_of(expr, columns)? {
        (column, Role::Slot(slot)) => Some((*slot, column.sql_type.clone())),
        _ => None,
    };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let (column, literal) = if literal_of(right).is_some() { (left, right) } else { (right, left) };
            let (slot, sql_type) = slot_of(column)?;
            Some((slot, vec![value_of(literal_of(literal)?, &sql_type)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((a, mut values), (b, more)) = (equals(left, columns)?, equals(right, columns)?);
            values.extend(more);
            (a == b).then_some((a, values))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let (slot, sql_type) = slot_of(expr)?;
            let values = list.iter().map(|item| value_of(literal_of(item)?, &sql_type)).collect::<Option<Vec<_>>>()?;
            Some((slot, values))
        }
        _ => None,
    }
}

fn column_of<'c>(expr: &Expr, columns: &'c [(Column, Role)]) -> Option<&'c (Column, Role)> {
    let Expr::Column(named) = expr else { return None };
    columns.iter().find(|(column, _)| column.name == named.name)
}

fn literal_of(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

/// A literal as a value of a column's type, whose bytes are in the order of its values and which equals only itself.
fn value_of(literal: &ScalarValue, sql_type: &SqlType) -> Option<Value> {
    let value = values(&literal.to_array().ok()?).ok()?.into_iter().next()?;
    match (&value, sql_type) {
        (Value::Int(v), SqlType::BigInt) => Some(Value::BigInt(i64::from(*v))),
        (Value::BigInt(v), SqlType::Int) => i32::try_from(*v).ok().map(Value::Int),
        (Value::Boolean(_), SqlType::Boolean)
        | (Value::Int(_), SqlType::Int)
        | (Value::BigInt(_), SqlType::BigInt)
        | (Value::String(_), SqlType::String)
        | (Value::Bytes(_), SqlType::Bytes)
        | (Value::Date(_), SqlType::Date)
        | (Value::Time(_), SqlType::Time)
        | (Value::Timestamp(_), SqlType::Timestamp) => Some(value),
        _ => None,
    }
}
