//! TRANSFORM: the items of an array or the entries of a map, each put through a lambda.

use super::lambdas::{ARRAY, MAP, collect};
use super::prelude::*;
use crate::functions::limits::Room;
use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "TRANSFORM",
    spelling: "transform",
    category: Category::Lambda,
    description: "Puts each item of an array through a lambda, or each entry of a map through one lambda for the key and one for the value. A null value or a key twice in the new map is an error.",
    examples: &[
        example("TRANSFORM(ARRAY[1, 2], x => x * 2)", "[2, 4]"),
        example("TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)", "{A=2}"),
    ],
    variants: &[
        ScalarVariant::plain(
            "Of an array.",
            &[ARRAY, param("function", ParamType::Lambda(&[ParamType::Var('T')], &ParamType::Var('R')), "Makes the new item of the old.")],
            Returns::Type(ParamType::Array(&ParamType::Var('R'))),
            |args| {
                let (lambda, mut room) = (args.lambda(0)?, Room::default());
                args.get::<&[Value]>(0)?
                    .iter()
                    .map(|item| lambda(std::slice::from_ref(item)).and_then(|made| room.take(&made).map(|()| made)))
                    .collect::<Result<Vec<_>, _>>()
                    .map(Value::array)
            },
        ),
        ScalarVariant::plain(
            "Of a map.",
            &[
                MAP,
                param(
                    "biFunction1",
                    ParamType::Lambda(&[ParamType::Var('K'), ParamType::Var('V')], &ParamType::Var('R')),
                    "Makes the new key.",
                ),
                param(
                    "biFunction2",
                    ParamType::Lambda(&[ParamType::Var('K'), ParamType::Var('V')], &ParamType::Var('S')),
                    "Makes the new value.",
                ),
            ],
            Returns::Type(ParamType::Map(&ParamType::Var('R'), &ParamType::Var('S'))),
            |args| {
                let (new_key, new_value, mut room) = (args.lambda(0)?, args.lambda(1)?, Room::default());
                collect(args.get::<&MapValue>(0)?.iter().map(|(key, value)| {
                    let entry = [key.clone(), value.clone()];
                    let (key, value) = (new_key(&entry)?, new_value(&entry)?);
                    room.take(&key)?;
                    room.take(&value)?;
                    Ok((key, value))
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
        let double: &LambdaFn<'_> = &|args| match args {
            [Value::Int(x)] => Ok(Value::Int(x * 2)),
            _ => Err(EvalError::new("null")),
        };
        assert_eq!(call(&FUNCTION, &[ints(&[1, 2]), NULL], &[double]), Ok(ints(&[2, 4])));
        assert_eq!(call(&FUNCTION, &[NULL, NULL], &[double]), Ok(NULL));
        assert!(call(&FUNCTION, &[Value::array(vec![NULL]), NULL], &[double]).is_err());
        let (key, value): (&LambdaFn<'_>, &LambdaFn<'_>) = (&|args| Ok(args[0].clone()), &|args| Ok(args[1].clone()));
        let one = map(&[("a", Value::Int(1))]);
        assert_eq!(call(&FUNCTION, &[one.clone(), NULL, NULL], &[key, key]), Ok(map(&[("a", s("a"))])));
        assert_eq!(call(&FUNCTION, &[one.clone(), NULL, NULL], &[key, value]), Ok(one));
        let same: &LambdaFn<'_> = &|_| Ok(s("same"));
        assert!(call(&FUNCTION, &[map(&[("a", Value::Int(1)), ("b", Value::Int(2))]), NULL, NULL], &[same, value]).is_err());
        assert!(call(&FUNCTION, &[map(&[("a", NULL)]), NULL, NULL], &[key, value]).is_err());
    }
}
