//! What fuzzing found, each once.

use crate::parse;

/// Texts that the parser, the printer or what reads beside them stumbled over.
const TEXTS: &[&str] = &[""];

#[test]
fn texts_that_were_found() {
    for text in TEXTS {
        parse::one(text);
    }
}
