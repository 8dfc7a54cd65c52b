//! Table functions: any number of rows from one.

mod cube_explode;
mod explode;

use super::{Category, EvalError, Example, Param, Returns};
use crate::types::Value;

/// Every table function, by name. Adding one is its file and one line here.
pub static ALL: &[&TableFunction] = &[&cube_explode::FUNCTION, &explode::FUNCTION];

/// A table function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct TableFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [TableVariant],
}

/// One signature of a table function.
#[derive(Debug)]
pub struct TableVariant {
    pub description: &'static str,
    pub params: &'static [Param],
    pub returns: Returns,
    /// The values of the column, one a row.
    pub eval: fn(&[Value]) -> Result<Vec<Value>, EvalError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_documented_once() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name), "names are unique and sorted");
        for function in ALL {
            let name = function.name;
            assert!(
                function.spelling.eq_ignore_ascii_case(name) && name == name.to_uppercase() && function.category == Category::Table,
                "{name}"
            );
            assert!(!function.description.is_empty() && !function.examples.is_empty() && !function.variants.is_empty(), "{name}");
            for variant in function.variants {
                assert!(
                    !variant.description.is_empty() && variant.params.iter().all(|p| !p.name.is_empty() && !p.description.is_empty()),
                    "{name}"
                );
            }
        }
    }

    /// Every example of the documentation, evaluated: one row, then the next.
    #[test]
    fn examples_hold() {
        use crate::expr::{Env, Scope, compile_table_function, text::write_value};
        for (name, example) in ALL.iter().flat_map(|function| function.examples.iter().map(|example| (function.name, example))) {
            let parsed = tidemill_parser::parse_expression(example.sql).unwrap_or_else(|why| panic!("{name}: {why}"));
            let compiled =
                compile_table_function(&parsed, &Scope::literals("no column here: ")).unwrap_or_else(|why| panic!("{name}: {why}"));
            let shown = |row: &Value| {
                let mut text = String::new();
                write_value(row, &compiled.sql_type, &mut text);
                text
            };
            let rows: Vec<String> = compiled.rows(&Env::new(&[], &Default::default())).unwrap().iter().map(shown).collect();
            assert_eq!(rows.join(", then "), example.result, "{name}");
        }
    }
}
