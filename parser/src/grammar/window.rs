//! WINDOW clauses and durations.

use sqlparser::tokenizer::Token;

use crate::ast::{Interval, IntervalUnit, Span, WindowKind, WindowSpec};
use crate::dialect::unit_of;
use crate::error::Fault;
use crate::suggest::did_you_mean;
use crate::tokens::TokenExt;

use super::{Grammar, Result};

/// The units of durations, as an error lists them.
const UNITS: &[&str] = &["DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS"];

impl Grammar<'_> {
    /// After WINDOW. A name before the kind of window is read and means nothing, as in ksqlDB.
    pub(super) fn window(&mut self) -> Result<WindowSpec> {
        const KINDS: &[&str] = &["TUMBLING", "HOPPING", "SESSION"];
        let start = self.p.here();
        if self.p.nth_is_name(0) && KINDS.iter().any(|k| self.p.nth_is(1, k)) {
            self.p.skip();
        }
        let word = self.p.expect_one(KINDS)?;
        self.p.expect_symbol(&Token::LParen)?;
        let kind = match word {
            "SESSION" => WindowKind::Session { gap: self.interval("Gap")? },
            "HOPPING" => {
                let size = self.size()?;
                self.p.expect_symbol(&Token::Comma)?;
                self.p.expect_all(&["ADVANCE", "BY"])?;
                WindowKind::Hopping { size, advance: self.interval("Advance")? }
            }
            _ => WindowKind::Tumbling { size: self.size()? },
        };
        let (mut retention, mut grace) = (None, None);
        while self.p.eat_token(&Token::Comma) {
            if retention.is_none() && grace.is_none() && self.p.eat("RETENTION") {
                retention = Some(self.interval("Retention")?);
            } else if grace.is_none() && self.p.eat_all(&["GRACE", "PERIOD"]) {
                grace = Some(self.interval("Grace period")?);
            } else {
                return Err(match (retention.is_some(), grace.is_some()) {
                    (_, true) => self.p.near().hint("GRACE PERIOD ends a window: RETENTION stands before it, and each stands once."),
                    (true, false) => self.p.near().hint("Expecting GRACE PERIOD."),
                    (false, false) => self.p.unexpected(&["RETENTION", "GRACE PERIOD"]),
                });
            }
        }
        if !self.p.eat_token(&Token::RParen) {
            return Err(self.p.expecting("{',', ')'}"));
        }
        Ok(WindowSpec { kind, retention, grace, span: Span { start: start.start, end: self.last_end() } })
    }

    fn size(&mut self) -> Result<Interval> {
        self.p.expect("SIZE")?;
        self.interval("Size")
    }

    /// `n unit`; `what` it measures is said where it is negative.
    pub(super) fn interval(&mut self, what: &str) -> Result<Interval> {
        if self.p.at_token(&Token::Minus) {
            return Err(Fault::invalid(self.p.here(), format!("{what} must be positive")));
        }
        let value = self.p.whole_number("a duration")?;
        Ok(Interval { value, unit: self.unit()? })
    }

    fn unit(&mut self) -> Result<IntervalUnit> {
        if let Some(unit) = self.p.eat_one(UNITS).and_then(unit_of) {
            return Ok(unit);
        }
        let listed: Vec<String> = UNITS.iter().map(|u| format!("'{u}'")).collect();
        let fault = self.p.missing(&format!("{{{}}}", listed.join(", ")));
        Err(match did_you_mean(&self.p.found(), UNITS.iter().copied()) {
            Some(meant) => fault.hint(format!("Did you mean '{meant}'?")),
            None => fault,
        })
    }
}
