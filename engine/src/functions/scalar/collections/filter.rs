//! FILTER: the items of an array or the entries of a map for which a lambda is true.

use super::lambdas::{ARRAY, MAP, collect};
use super::prelude::*;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "FILTER",
    spelling: "filter",
    category: Category::Lambda,
    description: "Keeps the items of an array, or the entries of a map, for which a lambda is true. An entry that is kept must have a value that is not null.",
    examples: &[
        example("FILTER(ARRAY[1, 2, 3], x => x > 1)", "[2, 3]"),
        example("FILTER(MAP('a' := 1, 'b' := 2), (k, v) => v > 1)", "{b=2}"),
    ],
    variants: &[
        ScalarVariant::plain(
            "Of an array.",
            &[ARRAY, param("function", ParamType::Lambda(&[ParamType::Var('T')], &ParamType::Boolean), "Says which items are kept.")],
            Returns::Type(ParamType::Array(&ParamType::Var('T'))),
            |args| {
                let lambda = args.lambda(0)?;
                let mut kept = Vec::new();
                for item in args.get::<&[Value]>(0)? {
                    if lambda(std::slice::from_ref(item))? == Value::Boolean(true) {
                        kept.push(item.clone());
                    }
                }
                Ok(Value::array(kept))
            },
        ),
        ScalarVariant::plain(
            "Of a map.",
            &[
                MAP,
                param(
                    "biFunction",
                    ParamType::Lambda(&[ParamType::Var('K'), ParamType::Var('V')], &ParamType::Boolean),
                    "Says which entries are kept.",
                ),
            ],
            Returns::Type(ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V'))),
            |args| {
                let lambda = args.lambda(0)?;
                collect(args.get::<&MapValue>(0)?.iter().filter_map(|(key, value)| match lambda(&[key.clone(), value.clone()]) {
                    Ok(Value::Boolean(true)) => Some(Ok((key.clone(), value.clone()))),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                }))
            },
        ),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::functions::LambdaFn;

    #[test]
    fn cases() {
        let above_one: &LambdaFn<'_> = &|args| Ok(Value::Boolean(matches!(args.last(), Some(Value::Int(x)) if *x > 1)));
        assert_eq!(call(&FUNCTION, &[ints(&[1, 2, 3]), NULL], &[above_one]), Ok(ints(&[2, 3])));
        let entries = map(&[("a", Value::Int(1)), ("b", Value::Int(2)), ("n", NULL)]);
        assert_eq!(call(&FUNCTION, &[entries.clone(), NULL], &[above_one]), Ok(map(&[("b", Value::Int(2))])));
        let all: &LambdaFn<'_> = &|_| Ok(Value::Boolean(true));
        assert!(call(&FUNCTION, &[entries, NULL], &[all]).is_err());
        let unknown: &LambdaFn<'_> = &|_| Ok(NULL);
        assert_eq!(call(&FUNCTION, &[ints(&[1]), NULL], &[unknown]), Ok(ints(&[])));
        assert_eq!(call(&FUNCTION, &[NULL, NULL], &[all]), Ok(NULL));
    }
}
