//! INT_FROM_BYTES: 4 bytes as a INT.

use super::byte_order::{ORDER, VALUE, big_endian};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "INT_FROM_BYTES",
    spelling: "int_from_bytes",
    category: Category::Bytes,
    description: "The INT that 4 bytes stand for, the most significant first unless LITTLE_ENDIAN is given.",
    examples: &[example("INT_FROM_BYTES(TO_BYTES('00000001', 'hex'))", "1")],
    variants: &[
        ScalarVariant::plain("The most significant byte first.", &[VALUE], INT, eval),
        ScalarVariant::plain("In a byte order.", &[VALUE, ORDER], INT, eval),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    big_endian(args).map(|bytes| Value::Int(i32::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(&FUNCTION, [([0, 0, 0, 1], 1), ([255; 4], -1), ([128, 0, 0, 0], i32::MIN)].map(|(x, y)| ([b(&x)], Value::Int(y))));
        check(&FUNCTION, &[b(&[0, 0, 0, 1]), s("LITTLE_ENDIAN")], Value::Int(16_777_216));
        check_fails(&FUNCTION, &[b(&[0, 1])]);
        check_fails(&FUNCTION, &[b(&[0; 4]), s("MIDDLE")]);
    }
}
