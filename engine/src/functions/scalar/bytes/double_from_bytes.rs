//! DOUBLE_FROM_BYTES: 8 bytes as a DOUBLE.

use super::byte_order::{ORDER, VALUE, big_endian};
use super::prelude::*;

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "DOUBLE_FROM_BYTES",
    spelling: "double_from_bytes",
    category: Category::Bytes,
    description: "The DOUBLE that 8 bytes stand for, the most significant first unless LITTLE_ENDIAN is given.",
    examples: &[example("DOUBLE_FROM_BYTES(TO_BYTES('3ff0000000000000', 'hex'))", "1.0")],
    variants: &[
        ScalarVariant::plain("The most significant byte first.", &[VALUE], DOUBLE, eval),
        ScalarVariant::plain("In a byte order.", &[VALUE, ORDER], DOUBLE, eval),
    ],
};

fn eval(args: &mut Args<'_>) -> Outcome {
    big_endian(args).map(|bytes| Value::Double(f64::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check(&FUNCTION, &[b(&[0x40, 0x80, 0xa6, 0xfd, 0x9b, 0xc9, 0xf5, 0x82])], Value::Double(532.873_832_3));
        check(&FUNCTION, &[b(&[0x82, 0xf5, 0xc9, 0x9b, 0xfd, 0xa6, 0x80, 0x40]), s("LITTLE_ENDIAN")], Value::Double(532.873_832_3));
        check_fails(&FUNCTION, &[b(&[0, 1])]);
    }
}
