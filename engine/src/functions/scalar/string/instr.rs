//! INSTR: the position of a text in a string.

use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "INSTR",
    spelling: "instr",
    category: Category::String,
    description: "The position of a text in a string, from 1; 0 where it is not found, or one of them is null. The search begins at a position, and runs backwards from the end where that is negative.",
    examples: &[example("INSTR('corporate floor', 'or', 3)", "5"), example("INSTR('corporate floor', 'or', -3, 2)", "2")],
    variants: &[
        ScalarVariant::plain("The first occurrence.", &[STR, SUBSTRING], INT, eval).called_on_null(),
        ScalarVariant::plain("The first one from a position.", &[STR, SUBSTRING, POSITION], INT, eval).called_on_null(),
        ScalarVariant::plain("The nth one from a position.", &[STR, SUBSTRING, POSITION, OCCURRENCE], INT, eval).called_on_null(),
    ],
};

const STR: Param = param("str", ParamType::String, "The string.");
const SUBSTRING: Param = param("substring", ParamType::String, "What is looked for.");
const POSITION: Param = param("position", ParamType::Int, "Where the search begins, from 1; negative: from the end, backwards.");
const OCCURRENCE: Param = param("occurrence", ParamType::Int, "Which of the occurrences, from 1.");

fn eval(args: &mut Args<'_>) -> Outcome {
    // Java's int takes no null, its String does.
    if args.values.iter().skip(2).any(Value::is_null) {
        return Ok(Value::Null);
    }
    let (Some(text), Some(wanted)) = (args.opt::<&str>(0)?, args.opt::<&str>(1)?) else { return Ok(Value::Int(0)) };
    let position: i32 = args.opt(2)?.unwrap_or(1);
    let occurrence: i32 = args.opt(3)?.unwrap_or(1);
    let Ok(skipped) = usize::try_from(occurrence.saturating_sub(1)) else { return Ok(Value::Int(0)) };
    let text: Vec<u16> = text.encode_utf16().collect();
    let wanted: Vec<u16> = wanted.encode_utf16().collect();
    if wanted.is_empty() {
        // As in ksqlDB, it stands wherever the search begins, however often it is looked for.
        let last = i32::try_from(text.len()).unwrap_or(i32::MAX);
        let found = position.unsigned_abs() <= last.unsigned_abs();
        return Ok(Value::Int(match position {
            1.. if found => position,
            ..=-1 if found => last + position + 2,
            _ => 0,
        }));
    }
    let found_at = |start: &usize| text.get(*start..).is_some_and(|rest| rest.starts_with(&wanted));
    let offset = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let found = match position {
        0 => None,
        1.. => (offset - 1..text.len()).filter(found_at).nth(skipped),
        _ => text.len().checked_sub(offset).and_then(|last| (0..=last).rev().filter(found_at).nth(skipped)),
    };
    let found = found.and_then(|start| i32::try_from(start + 1).ok());
    Ok(Value::Int(found.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        let calls = [(1, 2), (3, 5), (-1, 14), (-3, 5), (0, 0), (100, 0), (-100, 0), (i32::MIN, 0)];
        check_all(&FUNCTION, calls.map(|(p, at)| ([s("corporate floor"), s("or"), Value::Int(p)], Value::Int(at))));
        check_all(
            &FUNCTION,
            [(4, 2, 14), (-4, 2, 2), (1, 9, 0), (1, 0, 0)]
                .map(|(p, n, at)| ([s("corporate floor"), s("or"), Value::Int(p), Value::Int(n)], Value::Int(at))),
        );
        check(&FUNCTION, &[s("😀x"), s("x")], Value::Int(3));
        check_all(&FUNCTION, [[NULL, s("or")], [s("short"), NULL], [NULL, NULL]].map(|args| (args, Value::Int(0))));
        check(&FUNCTION, &[NULL, s("or"), Value::Int(1)], Value::Int(0));
        check(&FUNCTION, &[s("short"), s("or"), NULL], NULL);
        check(&FUNCTION, &[NULL, s("or"), NULL], NULL);
        check_all(
            &FUNCTION,
            [
                ("abc", "", 1, 1),
                ("abc", "", 2, 2),
                ("abc", "", -1, 4),
                ("abc", "", 0, 0),
                ("", "", 1, 0),
                ("", "a", 1, 0),
                ("abc", "", i32::MIN, 0),
            ]
            .map(|(x, w, p, at)| ([s(x), s(w), Value::Int(p)], Value::Int(at))),
        );
    }
}
