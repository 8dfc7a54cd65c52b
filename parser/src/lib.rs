//! The ksql dialect: text to statements with spans, and back.
//!
//! ```
//! let statements = tidemill_parser::parse_script("SELECT a FROM s EMIT CHANGES; SHOW STREAMS;").unwrap();
//! assert_eq!(statements[0].statement.to_string(), "SELECT A\nFROM S\nEMIT CHANGES");
//! ```
//!
//! The way of a text: tokens → one run of tokens for each statement ([`split_script`]) → the grammar of
//! statements, which gives expressions to sqlparser's parser with the ksql dialect → the tree ([`ast`]).
//! `Display` of the tree gives text that parses to the same tree.
//!
//! Invariant: no catalog and no I/O. Whatever needs to know which streams exist belongs to the engine.
//! Invariant: no text can make the parser panic, overflow the stack or take more than linear time, but for named limits.

pub mod ast;
mod dialect;
mod error;
mod grammar;
mod keywords;
mod lexer;
mod open;
mod print;
mod script;
mod secrets;
mod suggest;
mod tokens;
mod variables;

pub use error::{ParseError, ParseErrorKind};
pub use keywords::keywords;
pub use open::{Open, open};
pub use print::{hide_row, hide_values};
pub use script::{RawStatement, Statements, parse_script, parse_statement, parse_test_script, split_script};
pub use secrets::names_secret;
pub use suggest::did_you_mean;
pub use variables::{SUBSTITUTION_PROPERTY, same_variable, substitute};

/// Parses a text that is one expression.
pub fn parse_expression(text: &str) -> Result<ast::Expr, ParseError> {
    script::parse_part(text, |g| g.whole_expression())
}

/// Parses a text that is one type (`MAP<STRING, DECIMAL(4, 2)>`).
pub fn parse_data_type(text: &str) -> Result<ast::DataType, ParseError> {
    script::parse_part(text, |g| g.whole_type())
}

/// Parses a text that is a list of columns (`` `K` STRING KEY, A INT ``), as schemas are written.
pub fn parse_columns(text: &str) -> Result<Vec<ast::ColumnDef>, ParseError> {
    script::parse_part(text, |g| g.whole_columns())
}
