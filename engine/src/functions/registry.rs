//! Finding functions by name.

use tidemill_parser::did_you_mean;

use super::{AggregateFunction, ScalarFunction, TableFunction, aggregate, scalar, table};

/// A scalar function by its name in any case.
pub fn scalar(name: &str) -> Option<&'static ScalarFunction> {
    scalar::all().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// An aggregate function by its name in any case.
pub fn aggregate(name: &str) -> Option<&'static AggregateFunction> {
    aggregate::ALL.iter().find(|f| f.name.eq_ignore_ascii_case(name)).copied()
}

/// A table function by its name in any case.
pub fn table(name: &str) -> Option<&'static TableFunction> {
    table::ALL.iter().find(|f| f.name.eq_ignore_ascii_case(name)).copied()
}

/// The names of all functions: scalar, then aggregate, then table functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    scalar::all().map(|f| f.name).chain(aggregate::ALL.iter().map(|f| f.name)).chain(table::ALL.iter().map(|f| f.name))
}

/// What to say of a name that stands where a scalar function must: that there is none, or what it is instead.
pub fn unknown(name: &str) -> String {
    let hint = if aggregate(name).is_some() {
        " as a scalar function. It is an aggregate function: those stand in SELECT and HAVING, by themselves or inside of scalar expressions.".to_string()
    } else if table(name).is_some() {
        " as a scalar function. It is a table function: those stand in SELECT only.".to_string()
    } else {
        let near = did_you_mean(&name.to_uppercase(), names()).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        format!(".{near} SHOW FUNCTIONS lists all of them.")
    };
    format!("Can't find any functions with the name '{name}'{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_case_blind_and_near_ones_are_suggested() {
        assert!(scalar("abs").is_some() && aggregate("Sum").is_some() && scalar("SUM").is_none());
        assert!(unknown("NOFUNC").starts_with("Can't find any functions with the name 'NOFUNC'"));
        assert!(unknown("COUNT").starts_with("Can't find any functions with the name 'COUNT'"));
        assert!(unknown("ROUNT").contains("Did you mean"));
    }
}
