//! What is fuzzed: each target takes any bytes and must neither panic nor take long nor grow. What holds besides is asserted.
//!
//! Two drivers call them: libFuzzer (`fuzz_targets`, see `README.md`) and the ordinary test `tests/tests/fuzz`, with bytes
//! from seeds. What was found stands there as cases.

pub mod analyze;
pub mod decode;
pub mod endpoints;
pub mod infer;
pub mod mutate;
pub mod parse;
mod random;
pub mod registry;
mod schemas;
mod sql;

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 12] = [
    ("parser", parse::parser),
    ("analyzer", analyze::analyzer),
    ("avro", decode::avro),
    ("delimited", decode::delimited),
    ("json", decode::json),
    ("json_sr", decode::json_sr),
    ("kafka", decode::kafka),
    ("protobuf", decode::protobuf),
    ("protobuf_nosr", decode::protobuf_nosr),
    ("registry", registry::registry),
    ("endpoints", endpoints::endpoints),
    ("infer", infer::infer),
];
