//! UNIX_TIMESTAMP: milliseconds since the epoch, of now or of a timestamp.

use super::prelude::*;
use crate::clock::{Clock, SystemClock};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "UNIX_TIMESTAMP",
    spelling: "unix_timestamp",
    category: Category::DateTime,
    description: "Milliseconds since 1970-01-01T00:00 UTC: of a timestamp, or of the moment in which the row is processed.",
    examples: &[example("UNIX_TIMESTAMP(FROM_UNIXTIME(5))", "5")],
    variants: &[
        ScalarVariant::plain("Of now, by the machine's clock.", &[], BIGINT, |_| Ok(Value::BigInt(SystemClock.now_ms()))),
        ScalarVariant::plain("Of a timestamp.", &[param("timestamp", ParamType::Timestamp, "The timestamp.")], BIGINT, |args| {
            let Instant(ms) = args.get(0)?;
            Ok(Value::BigInt(ms))
        }),
    ],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn now_and_given() {
        check(&FUNCTION, &[Value::Timestamp(-1)], Value::BigInt(-1));
        assert!(matches!(call(&FUNCTION, &[], &[]), Ok(Value::BigInt(ms)) if ms > 1_700_000_000_000));
    }
}
