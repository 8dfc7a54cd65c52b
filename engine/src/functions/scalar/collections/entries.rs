//! ENTRIES: the entries of a map as structs.

use super::prelude::*;
use crate::functions::java::java_cmp;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "ENTRIES",
    spelling: "ENTRIES",
    category: Category::Collections,
    description: "The entries of a map as an array of structs of K and V, sorted by key if asked for.",
    examples: &[example("TRANSFORM(ENTRIES(MAP('b' := 1, 'a' := 2), TRUE), e => e->K)", "[a, b]")],
    variants: &[ScalarVariant::plain(
        "The entries.",
        &[
            param("map", ParamType::Map(&ParamType::String, &ParamType::Var('V')), "The map."),
            param("sorted", ParamType::Boolean, "Whether they are sorted by key."),
        ],
        Returns::By(entry_type),
        eval,
    )],
};

fn entry_type(types: &[SqlType]) -> Result<SqlType, String> {
    match types.first() {
        Some(SqlType::Map(key, value)) => {
            let fields = [("K".to_owned(), SqlType::clone(key)), ("V".to_owned(), SqlType::clone(value))];
            Ok(SqlType::array(SqlType::structure(fields)))
        }
        other => Err(format!("ENTRIES takes a MAP, not {other:?}")),
    }
}

fn eval(args: &mut Args<'_>) -> Outcome {
    let map: &MapValue = args.get(0)?;
    let mut entries: Vec<(&Value, &Value)> = map.iter().collect();
    if args.get(1)? {
        entries.sort_by(|(a, _), (b, _)| java_cmp(a, b));
    }
    Ok(Value::array(entries.into_iter().map(|(key, value)| Value::structure(vec![key.clone(), value.clone()])).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let entry = |key: &str, value: Value| Value::structure(vec![s(key), value]);
        check(
            &FUNCTION,
            &[map(&[("z", NULL), ("y", Value::Int(1))]), Value::Boolean(true)],
            Value::array(vec![entry("y", Value::Int(1)), entry("z", NULL)]),
        );
        check(
            &FUNCTION,
            &[map(&[("z", NULL), ("y", Value::Int(1))]), Value::Boolean(false)],
            Value::array(vec![entry("z", NULL), entry("y", Value::Int(1))]),
        );
        assert_eq!(
            return_type(&FUNCTION, &[SqlType::map(SqlType::String, SqlType::Int), SqlType::Boolean]),
            "ARRAY<STRUCT<`K` STRING, `V` INTEGER>>"
        );
    }
}
