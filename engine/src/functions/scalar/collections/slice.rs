//! SLICE: part of an array.

use super::prelude::*;
use super::sets::{ARRAY, RESULT};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "SLICE",
    spelling: "slice",
    category: Category::Collections,
    description: "The items from one position to another, both counted from 1 and included; a null position is the beginning or the end. Null where the array has no such part.",
    examples: &[example("SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]")],
    variants: &[ScalarVariant::plain(
        "Part of an array.",
        &[ARRAY, param("from", ParamType::Int, "The first item's position."), param("to", ParamType::Int, "The last item's position.")],
        RESULT,
        eval,
    )
    .called_on_null()],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    let Some(items) = args.opt::<&[Value]>(0)? else { return Ok(Value::Null) };
    let start = args.opt::<i32>(1)?.map_or(Ok(0), |from| usize::try_from(i64::from(from) - 1));
    let end = args.opt::<i32>(2)?.map_or(Ok(items.len()), usize::try_from);
    let part = start.ok().zip(end.ok()).and_then(|(start, end)| items.get(start..end));
    Ok(part.map_or(Value::Null, |part| Value::array(part.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [
            (Value::Int(2), Value::Int(3), ints(&[2, 3])),
            (NULL, Value::Int(1), ints(&[1])),
            (Value::Int(4), NULL, ints(&[4])),
            (Value::Int(0), Value::Int(2), NULL),
            (Value::Int(1), Value::Int(5), NULL),
            (Value::Int(3), Value::Int(2), ints(&[])),
            (Value::Int(4), Value::Int(1), NULL),
        ];
        check_all(&FUNCTION, calls.map(|(from, to, y)| ([ints(&[1, 2, 3, 4]), from, to], y)));
        check(&FUNCTION, &[NULL, Value::Int(1), Value::Int(1)], NULL);
    }
}
