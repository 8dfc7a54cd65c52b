//! WITH clauses.

use sqlparser::ast::Value;
use sqlparser::tokenizer::Token;

use crate::ast::{Expr, Ident, Properties, Property};
use crate::dialect::literal;
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

/// Whether quoted names keep their case: connectors' do, those of sources know no case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameCase {
    Upper,
    AsQuoted,
}

impl Grammar<'_> {
    /// `WITH (name = literal, …)` if it is next; empty properties if not.
    pub(super) fn with_properties(&mut self) -> Result<Properties> {
        if self.p.at("WITH") { self.expect_properties(NameCase::Upper) } else { Ok(Properties::default()) }
    }

    /// `WITH (name = literal, …)`.
    pub(super) fn expect_properties(&mut self, case: NameCase) -> Result<Properties> {
        self.p.expect("WITH")?;
        let entries: Vec<Property> = self.parenthesized(|g| g.property(case))?;
        for (n, property) in entries.iter().enumerate() {
            if entries.iter().take(n).any(|p| p.name == property.name) {
                return Err(Fault::invalid(property.name.span, format!("Duplicate property '{}'", property.name.name)));
            }
        }
        Ok(Properties { entries })
    }

    fn property(&mut self, case: NameCase) -> Result<Property> {
        let span = self.p.here();
        let name = match &self.p.ahead(0).token {
            Token::SingleQuotedString(text) => {
                let text = text.clone();
                self.p.skip();
                text
            }
            _ => self.p.identifier("the name of a property")?.name,
        };
        let name = if case == NameCase::Upper { name.to_uppercase() } else { name };
        self.p.expect_symbol(&Token::Eq)?;
        Ok(Property { name: Ident { name, span }, value: self.literal()? })
    }

    /// A number, text, boolean or NULL.
    pub(super) fn literal(&mut self) -> Result<Expr> {
        let negative = self.p.eat_token(&Token::Minus);
        let place = self.p.ahead(0).span;
        let value = match &self.p.ahead(0).token {
            Token::Number(digits, _) => Value::Number(digits.clone(), false),
            Token::SingleQuotedString(text) if !negative => Value::SingleQuotedString(text.clone()),
            _ if negative => return Err(self.p.near().hint("Expecting a number.")),
            _ if self.p.at("TRUE") => Value::Boolean(true),
            _ if self.p.at("FALSE") => Value::Boolean(false),
            _ if self.p.at("NULL") => Value::Null,
            _ => return Err(self.p.near().hint("Expecting a number, a text in single quotes, TRUE, FALSE or NULL.")),
        };
        self.p.skip();
        literal(&value.with_span(place), negative)
    }
}
