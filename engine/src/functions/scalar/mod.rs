//! Scalar functions: one value from the arguments of one row. They live in rooms by what they work on.

pub mod args;
mod bytes;
mod collections;
mod conditional;
mod datetime;
#[cfg(test)]
mod edges;
mod json;
pub mod memo;
mod numeric;
mod prelude;
mod string;
#[cfg(test)]
mod testing;
mod url;

use super::{Category, EvalError, Example, Param, Returns};
use crate::types::Value;

/// The rooms' functions, each sorted by name.
static ROOMS: [&[&ScalarFunction]; 8] =
    [bytes::ALL, collections::ALL, conditional::ALL, datetime::ALL, json::ALL, numeric::ALL, string::ALL, url::ALL];

/// Every scalar function, room by room.
pub fn all() -> impl Iterator<Item = &'static ScalarFunction> {
    ROOMS.into_iter().flatten().copied()
}

/// A scalar function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct ScalarFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [ScalarVariant],
}

/// One signature of a function.
#[derive(Debug)]
pub struct ScalarVariant {
    pub description: &'static str,
    pub params: &'static [Param],
    /// The index of the parameter that may repeat (any number of times, also none).
    pub variadic: Option<usize>,
    pub returns: Returns,
    /// True: the implementation is called even where an argument is null. False: a null argument makes the result null.
    pub called_on_null: bool,
    pub implementation: ScalarImpl,
}

impl ScalarVariant {
    /// A variant that is a plain function of its arguments.
    pub const fn plain(
        description: &'static str,
        params: &'static [Param],
        returns: Returns,
        eval: fn(&mut Args<'_>) -> Result<Value, EvalError>,
    ) -> Self {
        ScalarVariant { description, params, variadic: None, returns, called_on_null: false, implementation: ScalarImpl::Plain(eval) }
    }

    /// A variant that is prepared once per expression.
    pub const fn prepared(
        description: &'static str,
        params: &'static [Param],
        returns: Returns,
        prepare: fn(&ConstArgs<'_>) -> Result<Kernel, EvalError>,
    ) -> Self {
        ScalarVariant { description, params, variadic: None, returns, called_on_null: false, implementation: ScalarImpl::Prepared(prepare) }
    }

    /// The parameter at `index` may repeat, also not at all.
    pub const fn variadic(mut self, index: usize) -> Self {
        self.variadic = Some(index);
        self
    }

    /// Null arguments are the implementation's business.
    pub const fn called_on_null(mut self) -> Self {
        self.called_on_null = true;
        self
    }
}

/// How a variant calculates.
#[derive(Debug, Clone, Copy)]
pub enum ScalarImpl {
    /// A plain function of the arguments.
    Plain(fn(&mut Args<'_>) -> Result<Value, EvalError>),
    /// Prepared once per expression, from what is known then (types and constant arguments: a compiled pattern, a time zone).
    Prepared(fn(&ConstArgs<'_>) -> Result<Kernel, EvalError>),
}

/// A prepared implementation.
pub type Kernel = Box<dyn Fn(&mut Args<'_>) -> Result<Value, EvalError> + Send + Sync>;

/// A lambda argument, closed over the row that it is used in.
pub type LambdaFn<'a> = dyn Fn(&[Value]) -> Result<Value, EvalError> + 'a;

/// The arguments of one call. A lambda's slot in `values` is null; the lambda stands in `lambdas`, in order. A unit's
/// slot holds its name as a string, upper case and plural (`DAYS`).
pub struct Args<'a> {
    pub values: &'a mut [Value],
    pub lambdas: &'a [&'a LambdaFn<'a>],
}

/// What is known of a call before any row.
pub struct ConstArgs<'a> {
    pub types: &'a [Option<crate::types::SqlType>],
    /// The value of each argument that is a literal.
    pub constants: &'a [Option<Value>],
    pub return_type: &'a crate::types::SqlType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_documented_once() {
        assert!(ROOMS.iter().all(|room| room.is_sorted_by(|a, b| a.name < b.name)), "a room's names are sorted");
        let mut names: Vec<&str> = all().map(|function| function.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "names are unique");
        for function in all() {
            let name = function.name;
            assert!(function.spelling.eq_ignore_ascii_case(name) && name == name.to_uppercase(), "{name}");
            assert!(!matches!(function.category, Category::Aggregate | Category::Table), "{name}");
            assert!(!function.description.is_empty() && !function.examples.is_empty() && !function.variants.is_empty(), "{name}");
            assert!(function.examples.iter().all(|example| example.sql.contains(name) && !example.result.is_empty()), "{name}");
            for variant in function.variants {
                assert!(!variant.description.is_empty(), "{name}");
                assert!(variant.params.iter().all(|p| !p.name.is_empty() && !p.description.is_empty()), "{name}");
                assert!(variant.variadic.is_none_or(|index| index < variant.params.len()), "{name}");
            }
        }
    }

    /// Every example of the documentation, evaluated.
    #[test]
    fn examples_hold() {
        use crate::expr::{Env, Scope, compile, text::write_value};
        let meta = crate::row::RowMeta::default();
        for (name, example) in all().flat_map(|function| function.examples.iter().map(|example| (function.name, example))) {
            let parsed = tidemill_parser::parse_expression(example.sql).unwrap_or_else(|why| panic!("{name}: {why}"));
            let compiled = compile(&parsed, &Scope::literals("no column here: ")).unwrap_or_else(|why| panic!("{name}: {why}"));
            let value = compiled.eval_value(&Env::new(&[], &meta)).unwrap_or_else(|why| panic!("{name}: {why}"));
            let sql_type = compiled.sql_type.unwrap_or(crate::types::SqlType::String);
            let mut shown = String::new();
            write_value(&value, &sql_type, &mut shown);
            assert_eq!(shown, example.result, "{name}: {}", example.sql);
        }
    }
}
