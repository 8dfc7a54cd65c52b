//! REDUCE: one value from all items of an array or entries of a map.

use super::lambdas::{ARRAY, MAP};
use super::prelude::*;
use crate::functions::limits::Room;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "REDUCE",
    spelling: "reduce",
    category: Category::Lambda,
    description: "Puts a state and each item of an array, or each entry of a map, through a lambda that makes the next state. A null collection leaves the first state, a null first state makes null.",
    examples: &[example("REDUCE(ARRAY[1, 2, 3], 0, (s, x) => s + x)", "6")],
    variants: &[
        ScalarVariant::plain(
            "Of an array.",
            &[
                LIST,
                STATE,
                param(
                    "biFunction",
                    ParamType::Lambda(&[ParamType::Var('S'), ParamType::Var('T')], &ParamType::Var('S')),
                    "Makes the next state.",
                ),
            ],
            Returns::Type(ParamType::Var('S')),
            |args| {
                let first = args.take(1);
                let lambda = args.lambda(0)?;
                match args.opt::<&[Value]>(0)? {
                    Some(items) if !first.is_null() => {
                        let last = items.iter().try_fold(first, |state, item| lambda(&[state, item.clone()]))?;
                        Room::default().take(&last).map(|()| last)
                    }
                    _ => Ok(first),
                }
            },
        )
        .called_on_null(),
        ScalarVariant::plain(
            "Of a map.",
            &[
                MAP,
                STATE,
                param(
                    "triFunction",
                    ParamType::Lambda(&[ParamType::Var('S'), ParamType::Var('K'), ParamType::Var('V')], &ParamType::Var('S')),
                    "Makes the next state.",
                ),
            ],
            Returns::Type(ParamType::Var('S')),
            |args| {
                let first = args.take(1);
                let lambda = args.lambda(0)?;
                match args.opt::<&MapValue>(0)? {
                    Some(entries) if !first.is_null() => {
                        let last = entries.iter().try_fold(first, |state, (key, value)| lambda(&[state, key.clone(), value.clone()]))?;
                        Room::default().take(&last).map(|()| last)
                    }
                    _ => Ok(first),
                }
            },
        )
        .called_on_null(),
    ],
};

const LIST: Param = Param { name: "list", ..ARRAY };
const STATE: Param = param("initialState", ParamType::Var('S'), "The first state.");

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::functions::LambdaFn;

    #[test]
    fn cases() {
        let add: &LambdaFn<'_> = &|args| match (args.first(), args.last()) {
            (Some(Value::Int(x)), Some(Value::Int(y))) => Ok(Value::Int(x + y)),
            _ => Err(EvalError::new("null")),
        };
        assert_eq!(call(&FUNCTION, &[ints(&[3, 6]), Value::Int(2), NULL], &[add]), Ok(Value::Int(11)));
        assert_eq!(call(&FUNCTION, &[NULL, Value::Int(2), NULL], &[add]), Ok(Value::Int(2)));
        assert_eq!(call(&FUNCTION, &[ints(&[1]), NULL, NULL], &[add]), Ok(NULL));
        assert!(call(&FUNCTION, &[Value::array(vec![NULL]), Value::Int(2), NULL], &[add]).is_err());
        assert_eq!(call(&FUNCTION, &[map(&[("a", Value::Int(1)), ("b", Value::Int(2))]), Value::Int(0), NULL], &[add]), Ok(Value::Int(3)));
    }
}
