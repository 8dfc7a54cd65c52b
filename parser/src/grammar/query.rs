//! SELECT.

use sqlparser::tokenizer::Token;

use crate::ast::{Emit, Expr, ExprKind, GroupBy, Ident, PartitionBy, Query, SelectItem, SelectItemKind, Span};
use crate::error::Fault;
use crate::suggest::did_you_mean;
use crate::tokens::{TokenExt, is_word};

use super::{Grammar, Result};

/// Words that begin what can follow the relation.
const CLAUSES: &[&str] =
    &["WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "EMIT", "LIMIT", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "WITHIN"];

impl Grammar<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        let start = self.p.here();
        self.p.expect("SELECT")?;
        let items = self.select_items()?;
        let from = self.relation()?;
        let window = if self.p.eat("WINDOW") { Some(self.window()?) } else { None };
        let selection = if self.p.eat("WHERE") { Some(self.expression()?) } else { None };
        let group_by = if self.p.eat("GROUP") {
            let (exprs, parenthesized) = self.grouping()?;
            Some(GroupBy { exprs, parenthesized })
        } else {
            None
        };
        let partition_by = if self.p.at("PARTITION") && self.p.nth_is(1, "BY") {
            self.p.skip();
            let (exprs, parenthesized) = self.grouping()?;
            Some(PartitionBy { exprs, parenthesized })
        } else {
            None
        };
        let having = if self.p.eat("HAVING") { Some(self.expression()?) } else { None };
        let emit = if self.p.eat("EMIT") {
            Some(if self.p.expect_one(&["CHANGES", "FINAL"])? == "FINAL" { Emit::Final } else { Emit::Changes })
        } else {
            None
        };
        let limit = if self.p.eat("LIMIT") { Some(self.p.count("LIMIT")?) } else { None };
        self.query_end()?;
        let span = Span { start: start.start, end: self.last_end() };
        Ok(Query { items, from, window, selection, group_by, partition_by, having, emit, limit, span })
    }

    /// Where a query must be over, with what may have been meant by what stands there.
    fn query_end(&mut self) -> Result<()> {
        let Err(fault) = self.end() else { return Ok(()) };
        let before = self.p.get_current_token().token.clone();
        let foreign = self.foreign_clause();
        let hint = if foreign.is_some() {
            foreign
        } else if is_word(&before, "EMIT") {
            Some("EMIT takes CHANGES or FINAL.".to_string())
        } else if self.p.at_token(&Token::Comma) {
            Some("Sources are joined by JOIN … ON, not by a comma.".to_string())
        } else if CLAUSES.iter().any(|c| self.p.at(c)) {
            let order = "WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, EMIT, LIMIT";
            Some(format!("{} can't stand here. The order of the clauses is {order}.", self.p.found().to_uppercase()))
        } else {
            self.meant(CLAUSES)
        };
        Err(match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        })
    }

    /// «Did you mean» one of these words, for the next token or the one before it, which may have passed as an alias.
    pub(super) fn meant(&self, words: &[&'static str]) -> Option<String> {
        let texts = [&self.p.ahead(0).token, &self.p.get_current_token().token].map(|token| match token {
            Token::Word(w) if w.quote_style.is_none() => w.value.clone(),
            _ => String::new(),
        });
        let meant = texts.iter().find_map(|text| did_you_mean(text, words.iter().copied()).filter(|m| !m.eq_ignore_ascii_case(text)));
        meant.map(|m| format!("Did you mean '{m}'?"))
    }

    /// The items up to and with FROM.
    fn select_items(&mut self) -> Result<Vec<SelectItem>> {
        if let Some(foreign) = self.foreign_select() {
            return Err(foreign);
        }
        let mut items = Vec::new();
        loop {
            items.push(self.select_item()?);
            if self.p.eat("FROM") {
                return Ok(items);
            }
            if !self.p.eat_token(&Token::Comma) {
                let fault = self.p.expecting("{',', 'FROM'}");
                return Err(match self.foreign_clause().or_else(|| self.meant(&["FROM"])) {
                    Some(hint) => fault.hint(hint),
                    None => fault,
                });
            }
        }
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let start = self.p.here();
        if self.p.eat_token(&Token::Mul) {
            return Ok(SelectItem { kind: SelectItemKind::Wildcard { source: None }, span: start });
        }
        if self.p.ahead(1).token == Token::Period && self.p.ahead(2).token == Token::Mul {
            let source = Some(self.source_name()?);
            self.p.skip();
            self.p.skip();
            let span = Span { start: start.start, end: self.last_end() };
            return Ok(SelectItem { kind: SelectItemKind::Wildcard { source }, span });
        }
        let begins_expression = ["NOT", "CASE", "CAST", "NULL", "TRUE", "FALSE"].iter().any(|w| self.p.at(w));
        if self.p.nth_is_reserved(0) && !begins_expression {
            return Err(self.p.reserved());
        }
        let expr = self.expression()?;
        let alias = if matches!(expr.kind, ExprKind::AllFields(_)) { None } else { self.alias()? };
        let span = Span { start: start.start, end: self.last_end() };
        Ok(SelectItem { kind: SelectItemKind::Expr { expr, alias }, span })
    }

    fn alias(&mut self) -> Result<Option<Ident>> {
        if self.p.eat("AS") || self.p.nth_is_name(0) { self.p.identifier("an alias").map(Some) } else { Ok(None) }
    }

    /// `BY a, b` or `BY (a, b)`; the flag tells which. One expression in parentheses is just that expression.
    fn grouping(&mut self) -> Result<(Vec<Expr>, bool)> {
        if !self.p.eat("BY") {
            return Err(self.p.missing("'BY'"));
        }
        if !self.p.at_token(&Token::LParen) || !self.list_in_parentheses() {
            let mut exprs = vec![self.value_expression()?];
            while self.p.eat_token(&Token::Comma) {
                exprs.push(self.value_expression()?);
            }
            return Ok((exprs, false));
        }
        Ok((self.values()?, true))
    }

    /// Whether the parentheses that open here hold a list (or nothing), and not one expression or the start of one.
    fn list_in_parentheses(&self) -> bool {
        let mut open = 0_usize;
        let mut n = 0;
        loop {
            match self.p.ahead(n).token {
                Token::LParen | Token::LBracket => open += 1,
                Token::RParen | Token::RBracket if open <= 1 => return n == 1,
                Token::RParen | Token::RBracket => open -= 1,
                Token::Comma if open == 1 => return true,
                Token::EOF | Token::SemiColon => return false,
                _ => {}
            }
            n += 1;
        }
    }

    /// After a source's name: whether the next word names a clause although it is not reserved.
    pub(super) fn at_clause(&self) -> bool {
        (self.p.at("EMIT") && (self.p.nth_is(1, "CHANGES") || self.p.nth_is(1, "FINAL")))
            || (self.p.at("PARTITION") && self.p.nth_is(1, "BY"))
    }

    /// Refuses a query where the name of a source must stand.
    pub(super) fn no_subquery(&self) -> Result<()> {
        if !self.p.at_token(&Token::LParen) {
            return Ok(());
        }
        Err(Fault::syntax(self.p.here(), "A query inside a query is not supported").hint(
            "The name of a stream or table must stand here. Give the inner query one: CREATE STREAM … AS SELECT, and select from that.",
        ))
    }
}
