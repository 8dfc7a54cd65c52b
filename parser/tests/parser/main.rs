//! The parser as its users see it: what parses, what is printed, what is said of errors, and what nasty input costs.

mod errors;
mod expressions;
mod nasty;
mod print;
mod roundtrip;
mod scripts;
mod transcripts;
