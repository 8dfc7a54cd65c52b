//! MAP_UNION: two maps in one.

use super::prelude::*;
use std::sync::Arc;

use crate::types::MapValue;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MAP_UNION",
    spelling: "map_union",
    category: Category::Collections,
    description: "The entries of both maps; of equal keys the second map's value holds. A null map adds nothing, two make null.",
    examples: &[example("MAP_UNION(MAP('a' := 1), MAP('b' := 2))", "{a=1, b=2}")],
    variants: &[ScalarVariant::plain(
        "Both maps.",
        &[
            param("map1", ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V')), "The first map."),
            param("map2", ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V')), "The second map."),
        ],
        Returns::Type(ParamType::Map(&ParamType::Var('K'), &ParamType::Var('V'))),
        eval,
    )
    .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    Ok(match (args.opt::<&MapValue>(0)?, args.opt::<&MapValue>(1)?) {
        (Some(left), Some(right)) => {
            Value::Map(Arc::new(left.iter().chain(right).map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        (Some(_), None) => args.take(0),
        (None, _) => args.take(1),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let (one, two) = (map(&[("a", Value::Int(1)), ("b", Value::Int(1))]), map(&[("b", Value::Int(2)), ("c", NULL)]));
        check(&FUNCTION, &[one.clone(), two.clone()], map(&[("a", Value::Int(1)), ("b", Value::Int(2)), ("c", NULL)]));
        check(&FUNCTION, &[NULL, two.clone()], two);
        check(&FUNCTION, &[one.clone(), NULL], one);
        check(&FUNCTION, &[NULL, NULL], NULL);
    }
}
