//! BIGINT_FROM_BYTES: 8 bytes as a BIGINT.

use super::byte_order::{ORDER, VALUE, big_endian};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "BIGINT_FROM_BYTES",
    spelling: "bigint_from_bytes",
    category: Category::Bytes,
    description: "The BIGINT that 8 bytes stand for, the most significant first unless LITTLE_ENDIAN is given.",
    examples: &[example("BIGINT_FROM_BYTES(TO_BYTES('0000000000000001', 'hex'))", "1")],
    variants: &[
        ScalarVariant::plain("The most significant byte first.", &[VALUE], BIGINT, eval),
        ScalarVariant::plain("In a byte order.", &[VALUE, ORDER], BIGINT, eval),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    big_endian(args).map(|bytes| Value::BigInt(i64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(&FUNCTION, [([0, 0, 0, 1, 42, 5, 242, 0], 5_000_000_000), ([255; 8], -1)].map(|(x, y)| ([b(&x)], Value::BigInt(y))));
        let one = b(&[1, 0, 0, 0, 0, 0, 0, 0]);
        check_all(
            &FUNCTION,
            [("little_endian", 1), ("LITTLE_ENDIAN", 1), ("Big_Endian", 1 << 56)]
                .map(|(order, y)| ([one.clone(), s(order)], Value::BigInt(y))),
        );
        check_fails(&FUNCTION, &[one, s("")]);
        check_fails(&FUNCTION, &[b(&[0, 1])]);
    }
}
