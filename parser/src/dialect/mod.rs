//! The ksql dialect of sqlparser's expression parser.
//!
//! sqlparser climbs the precedences, and reads literals, operators, parentheses, subscripts, CASE, BETWEEN, IN and LIKE.
//! What begins with a word is read here ([`prefix`]), since ksql's calls, casts, constructors and lambdas have no node
//! in sqlparser's tree that keeps their types and places: they are kept aside and stand in the tree as a
//! placeholder, until [`convert`] makes our tree of both.

mod convert;
mod nodes;
mod prefix;
mod types;

use std::cell::{Cell, RefCell};

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

pub(crate) use convert::{Converter, literal};
pub(crate) use types::{built_in, data_type, unit_of};

use crate::error::Fault;
use crate::tokens::TokenExt;
use nodes::Node;

/// Levels that a tree of expressions or types may have.
pub(crate) const MAX_DEPTH: usize = 200;

/// Levels of sqlparser's recursion: printing puts parentheses around each level of a tree, and what is printed must parse.
pub(crate) const MAX_NESTING: usize = 2 * MAX_DEPTH + 8;

/// Operators that one expression may hold. Chains build deep trees, so this bounds the stack that they need.
const MAX_OPERATORS: usize = 4_000;

/// The precedence of comparisons: what binds tighter is a value expression.
pub(crate) const COMPARISON: u8 = 20;

/// One parse's dialect: the rules, and the nodes kept aside.
#[derive(Debug, Default)]
pub(crate) struct KsqlDialect {
    nodes: RefCell<Vec<Option<Node>>>,
    operators: Cell<usize>,
}

impl KsqlDialect {
    /// Forgets what the expression before left.
    pub fn start(&self) {
        self.nodes.borrow_mut().clear();
        self.operators.set(0);
    }
}

impl Dialect for KsqlDialect {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_ascii_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_ascii_alphanumeric() || matches!(ch, '_' | '@')
    }

    /// Names may start with digits.
    fn supports_numeric_prefix(&self) -> bool {
        true
    }

    /// Keeps `$$` from starting a dollar-quoted string.
    fn supports_dollar_placeholder(&self) -> bool {
        true
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Period => 100,
            Precedence::DoubleColon | Precedence::PgOther => 50,
            Precedence::AtTz => 41,
            Precedence::MulDivModOp => 40,
            Precedence::PlusMinus => 30,
            // `||` binds weaker than `+`.
            Precedence::Pipe | Precedence::Ampersand | Precedence::Caret | Precedence::Xor => 25,
            // The bound of a subscript: any value expression.
            Precedence::Colon => 21,
            Precedence::Between | Precedence::Eq | Precedence::Like | Precedence::Is => COMPARISON,
            Precedence::UnaryNot => 15,
            Precedence::And => 10,
            Precedence::Or => 5,
        }
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let precedence = match &parser.ahead(0).token {
            Token::Arrow => Precedence::DoubleColon,
            Token::Mul | Token::Div | Token::Mod => Precedence::MulDivModOp,
            Token::Plus | Token::Minus => Precedence::PlusMinus,
            Token::StringConcat => Precedence::Pipe,
            Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq | Token::CustomBinaryOperator(_) => Precedence::Eq,
            Token::Word(w) => match w.keyword {
                Keyword::IS => Precedence::Is,
                Keyword::IN | Keyword::BETWEEN => Precedence::Between,
                Keyword::LIKE => Precedence::Like,
                Keyword::NOT if ["IN", "BETWEEN", "LIKE"].iter().any(|w| parser.nth_is(1, w)) => Precedence::Between,
                Keyword::AND => Precedence::And,
                Keyword::OR => Precedence::Or,
                _ => return Some(Ok(0)),
            },
            _ => return Some(Ok(0)),
        };
        Some(Ok(self.prec_value(precedence)))
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        prefix::parse(self, parser).map(|result| result.map_err(Fault::encode))
    }

    /// Only counts: sqlparser reads the operators.
    fn parse_infix(&self, parser: &mut Parser<'_>, _left: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        let operators = self.operators.get() + 1;
        self.operators.set(operators);
        let message = || format!("An expression has at most {MAX_OPERATORS} operators");
        (operators > MAX_OPERATORS).then(|| Err(Fault::invalid(parser.here(), message()).encode()))
    }
}
