//! MD5: the MD5 hash of a string.

use super::prelude::*;
use md5::{Digest, Md5};

pub static FUNCTION: ScalarFunction = ScalarFunction {
    name: "MD5",
    spelling: "md5",
    category: Category::String,
    description: "The MD5 hash of the string in UTF-8, as 32 hexadecimal digits.",
    examples: &[example("MD5('abc')", "900150983cd24fb0d6963f7d28e17f72")],
    variants: &[ScalarVariant::plain("The hash.", &[param("s", ParamType::String, "The string.")], STRING, |args| {
        Ok(Value::string(hex::encode(Md5::digest(args.get::<&str>(0)?))))
    })],
};

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn cases() {
        check_all(
            &FUNCTION,
            [("", "d41d8cd98f00b204e9800998ecf8427e"), ("漢", "46123efddf7e993fd19bbbb9c6119491")].map(|(x, y)| ([s(x)], s(y))),
        );
    }
}
