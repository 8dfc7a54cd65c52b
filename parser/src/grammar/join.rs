//! What follows FROM.

use sqlparser::tokenizer::Token;

use crate::ast::{Join, JoinKind, Relation, Span, Within};
use crate::error::Fault;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

/// Joins of one query. Each nests the tree a level deeper.
const MAX_JOINS: usize = 100;

impl Grammar<'_> {
    /// A source and what is joined to it.
    pub(super) fn relation(&mut self) -> Result<Relation> {
        let mut left = self.aliased_source()?;
        let mut joins = 0;
        loop {
            let start = self.p.here();
            let Some(kind) = self.join_kind()? else { return Ok(left) };
            joins += 1;
            if joins > MAX_JOINS {
                return Err(Fault::invalid(start, format!("A query has at most {MAX_JOINS} joins")));
            }
            let right = self.aliased_source()?;
            let within = if self.p.eat("WITHIN") { Some(self.within()?) } else { None };
            if !self.p.eat("ON") {
                let what = if within.is_none() { "{'WITHIN', 'ON'}" } else { "'ON'" };
                let fault = self.p.expecting(what);
                return Err(match self.foreign_clause() {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                });
            }
            let on = self.expression()?;
            let span = Span { start: start.start, end: self.last_end() };
            left = Relation::Join(Box::new(Join { left, right, kind, within, on, span }));
        }
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        let kind = match self.p.eat_one(&["JOIN", "INNER", "LEFT", "RIGHT", "FULL"]) {
            None => return Ok(None),
            Some("JOIN") => return Ok(Some(JoinKind::Inner)),
            Some("LEFT") => JoinKind::Left,
            Some("RIGHT") => JoinKind::Right,
            Some("FULL") => JoinKind::Full,
            Some(_) => JoinKind::Inner,
        };
        if kind != JoinKind::Inner {
            self.p.eat("OUTER");
        }
        self.p.expect("JOIN")?;
        Ok(Some(kind))
    }

    fn aliased_source(&mut self) -> Result<Relation> {
        self.no_subquery()?;
        if self.p.at_end() {
            return Err(Fault::syntax(self.p.here(), "").hint("Expecting the name of a stream or table."));
        }
        let name = self.source_name()?;
        if (self.p.at("CROSS") || self.p.at("NATURAL"))
            && self.p.nth_is(1, "JOIN")
            && let Some(hint) = self.foreign_clause()
        {
            return Err(Fault::syntax(self.p.here(), "").hint(hint));
        }
        let named = self.p.eat("AS") || (self.p.nth_is_name(0) && !self.at_clause());
        let alias = if named { Some(self.p.identifier("an alias")?) } else { None };
        Ok(Relation::Source { name, alias })
    }

    /// After WITHIN: `n unit` or `(before, after)`, and a grace period.
    fn within(&mut self) -> Result<Within> {
        let (before, after) = if self.p.eat_token(&Token::LParen) {
            let before = self.interval("The time of WITHIN")?;
            self.p.expect_symbol(&Token::Comma)?;
            let after = self.interval("The time of WITHIN")?;
            self.p.expect_symbol(&Token::RParen)?;
            (before, after)
        } else {
            let both = self.interval("The time of WITHIN")?;
            (both, both)
        };
        let grace = if self.p.eat_all(&["GRACE", "PERIOD"]) { Some(self.interval("Grace period")?) } else { None };
        Ok(Within { before, after, grace })
    }
}
