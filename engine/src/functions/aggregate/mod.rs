//! Aggregate functions: a state for each group, to which rows are added and, over tables, undone.

mod attr;
mod avg;
mod by_offset;
mod collect_list;
mod collect_set;
mod correlation;
mod count;
mod count_distinct;
mod earliest_by_offset;
mod extreme;
mod histogram;
mod latest_by_offset;
mod max;
mod min;
mod stddev_samp;
mod stddev_sample;
mod sum;
mod sum_list;
mod support;
#[cfg(test)]
mod testing;
mod top;
mod topk;
mod topkdistinct;
mod variance;

use std::collections::BTreeMap;

use super::{Category, EvalError, Example, Param};
use crate::types::{SqlType, Value};

/// Every aggregate function, by name. Adding one is its file and one line here.
pub static ALL: &[&AggregateFunction] = &[
    &attr::FUNCTION,
    &avg::FUNCTION,
    &collect_list::FUNCTION,
    &collect_set::FUNCTION,
    &correlation::FUNCTION,
    &count::FUNCTION,
    &count_distinct::FUNCTION,
    &earliest_by_offset::FUNCTION,
    &histogram::FUNCTION,
    &latest_by_offset::FUNCTION,
    &max::FUNCTION,
    &min::FUNCTION,
    &stddev_samp::FUNCTION,
    &stddev_sample::FUNCTION,
    &sum::FUNCTION,
    &sum_list::FUNCTION,
    &topk::FUNCTION,
    &topkdistinct::FUNCTION,
];

/// An aggregate function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct AggregateFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [AggregateVariant],
}

/// One signature of an aggregate function.
#[derive(Debug)]
pub struct AggregateVariant {
    pub description: &'static str,
    /// Column parameters first, then `constants` constant ones (`TOPK(col, 3)`).
    pub params: &'static [Param],
    /// How many of the last parameters must be literals.
    pub constants: usize,
    /// The index of the parameter that may repeat (any number of times, also none).
    pub variadic: Option<usize>,
    /// Builds the aggregator for a call, or says what is wrong with it.
    pub build: fn(&AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String>,
}

/// A call of an aggregate function, as it is known before any row.
#[derive(Debug, Clone, Copy)]
pub struct AggregateCall<'a> {
    /// Types of the column arguments.
    pub types: &'a [SqlType],
    /// The literals behind them.
    pub constants: &'a [Value],
    /// Properties of the query; those that begin with `ksql.functions.` may bear on the function.
    pub properties: &'a BTreeMap<String, String>,
}

/// The calculation of one aggregate. Its state is a [`Value`] of [`Aggregator::state_type`], kept in the state store.
pub trait Aggregator: Send + Sync {
    fn state_type(&self) -> SqlType;
    fn return_type(&self) -> SqlType;
    /// The state of an empty group.
    fn initial(&self) -> Value;
    /// Adds a row's column arguments. `arrival` orders the rows of one task: it grows from row to row and goes on growing
    /// after a restart, because states that keep it outlive the process.
    fn add(&self, state: &mut Value, args: &[Value], arrival: i64) -> Result<(), EvalError>;
    /// Whether `undo` is supported: only then may the aggregate stand over a table.
    fn can_undo(&self) -> bool {
        false
    }
    /// Takes back what `add` did with the same arguments.
    fn undo(&self, _state: &mut Value, _args: &[Value]) -> Result<(), EvalError> {
        Err(EvalError::new("this aggregate can't be undone"))
    }
    /// Joins the states of two sessions; `left` began earlier. Either may be [`Aggregator::initial`].
    fn merge(&self, left: Value, right: Value) -> Result<Value, EvalError>;
    /// The aggregate's value.
    fn result(&self, state: &Value) -> Result<Value, EvalError>;
    /// Where in a state that value stands as it is; a scan takes it from there without making the state.
    fn result_in_state(&self) -> InState {
        InState::Computed
    }
}

/// See [`Aggregator::result_in_state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InState {
    /// Nowhere.
    Computed,
    /// The state is the value.
    Whole,
    /// A field of the state, which is a STRUCT, or null for a null.
    Field(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_documented_once() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name), "names are unique and sorted");
        for function in ALL {
            let name = function.name;
            assert!(function.spelling.eq_ignore_ascii_case(name) && name == name.to_uppercase(), "{name}");
            assert!(
                function.category == Category::Aggregate
                    && !function.description.is_empty()
                    && !function.examples.is_empty()
                    && !function.variants.is_empty(),
                "{name}"
            );
            for variant in function.variants {
                assert!(!variant.description.is_empty() && variant.constants <= variant.params.len(), "{name}");
                assert!(variant.params.iter().all(|p| !p.name.is_empty() && !p.description.is_empty()), "{name}");
                assert!(variant.variadic.is_none_or(|index| index < variant.params.len() - variant.constants), "{name}");
            }
        }
    }

    /// Every example of the documentation, evaluated: `SUM(x) over 1, 2`, or with pairs `CORRELATION(x, y) over (1, 2), (2, 4)`.
    #[test]
    fn examples_hold() {
        for (name, example) in ALL.iter().flat_map(|function| function.examples.iter().map(|example| (function.name, example))) {
            let (call, rows) = example.sql.split_once(" over ").unwrap_or_else(|| panic!("{name}: no rows"));
            assert_eq!(testing::evaluate(call, rows), example.result, "{name}: {}", example.sql);
        }
    }
}
