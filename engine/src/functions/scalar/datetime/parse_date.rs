//! PARSE_DATE: text by a pattern as a date. It alone reads by `SimpleDateFormat`, leniently (see [`SimplePattern`]); the
//! other functions read by `DateTimeFormatter`.

use super::prelude::*;
use crate::clock::{Clock, SystemClock};
use crate::functions::time_format::SimplePattern;
use crate::types::text::{DAY_MS, civil_from_days};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "PARSE_DATE",
    spelling: "parse_date",
    category: Category::DateTime,
    description: "Reads a text by a pattern of Java's SimpleDateFormat as a date. It is lenient: 2023-02-29 is 1 March, and what follows the pattern is ignored.",
    examples: &[
        example("PARSE_DATE('11/05/2019', 'dd/MM/yyyy')", "2019-05-11"),
        example("PARSE_DATE('2023-02-29', 'yyyy-MM-dd')", "2023-03-01"),
    ],
    variants: &[ScalarVariant::prepared("By a pattern.", &[TEXT, FORMAT], DATE, prepare)],
};

const TEXT: Param = param("formattedDate", ParamType::String, "The text.");
const FORMAT: Param = param("formatPattern", ParamType::String, "A pattern of Java's SimpleDateFormat.");

fn prepare(call: &ConstArgs<'_>) -> Result<Kernel, EvalError> {
    let patterns = Memo::new(call.constant(1), |text| {
        SimplePattern::compile(text).map_err(|why| EvalError::new(format!("Invalid pattern '{text}': {why}")))
    });
    // For years of two digits, as of when the expression was made.
    let (this_year, ..) = civil_from_days(SystemClock.now_ms().div_euclid(DAY_MS));
    Ok(Box::new(move |args| {
        let pattern = patterns.get(args.get(1)?)?;
        pattern.parse_date(args.get(0)?, this_year).map(Value::Date).map_err(EvalError::new)
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn parses() {
        check_all(
            &FUNCTION,
            [
                ("2018-05-11Lit", "yyyy-MM-dd'Lit'", 17_662),
                ("01-JAN-2022", "dd-MMM-yyyy", 18_993),
                ("JAN-2022", "MMM-yyyy", 18_993),
                ("2022-01-01 and more", "yyyy-MM-dd", 18_993),
                ("2021-13-01", "yyyy-MM-dd", 18_993),
            ]
            .map(|(text, p, days)| ([s(text), s(p)], Value::Date(days))),
        );
        check(&FUNCTION, &[NULL, s("yyyy")], NULL);
        check(&FUNCTION, &[s("2022"), NULL], NULL);
        check_fails(&FUNCTION, &[s("2022-01-01 12"), s("yyyy-MM-dd HH")]);
        check_fails(&FUNCTION, &[s("01.01.2022"), s("yyyy-MM-dd")]);
    }
}
