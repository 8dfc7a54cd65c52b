//! What the parser says of text that it cannot read.

use crate::ast::Span;

/// A syntax error: where, what is wrong and what would be right. `Display` gives
/// `line L:C: message`, the line quoted with a caret under the place, and the suggestion if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// One sentence, without the place.
    pub message: String,
    pub span: Span,
    /// The line that the error stands in.
    pub line_text: String,
    /// A near-miss keyword: «did you mean …».
    pub suggestion: Option<String>,
}
