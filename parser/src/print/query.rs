//! Queries as text, one clause a line.

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    Emit, Expr, GroupBy, Join, JoinKind, PartitionBy, Query, Relation, SelectItem, SelectItemKind, WindowKind, WindowSpec, Within,
};

use super::Joined;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.items.as_slice() {
            [one] => write!(f, "SELECT {one}")?,
            items => write!(f, "SELECT\n  {}", Joined(items, ",\n  "))?,
        }
        write!(f, "\nFROM {}", self.from)?;
        if let Some(window) = &self.window {
            write!(f, "\nWINDOW {window} ")?;
        }
        if let Some(selection) = &self.selection {
            write!(f, "\nWHERE {selection}")?;
        }
        if let Some(GroupBy { exprs, parenthesized }) = &self.group_by {
            f.write_str("\nGROUP BY ")?;
            grouping(exprs, *parenthesized, f)?;
        }
        if let Some(PartitionBy { exprs, parenthesized }) = &self.partition_by {
            f.write_str("\nPARTITION BY ")?;
            grouping(exprs, *parenthesized, f)?;
        }
        if let Some(having) = &self.having {
            write!(f, "\nHAVING {having}")?;
        }
        match self.emit {
            Some(Emit::Changes) => f.write_str("\nEMIT CHANGES")?,
            Some(Emit::Final) => f.write_str("\nEMIT FINAL")?,
            None => {}
        }
        match self.limit {
            Some(limit) => write!(f, "\nLIMIT {limit}"),
            None => Ok(()),
        }
    }
}

fn grouping(exprs: &[Expr], parenthesized: bool, f: &mut Formatter<'_>) -> fmt::Result {
    if parenthesized { write!(f, "({})", Joined(exprs, ", ")) } else { Joined(exprs, ", ").fmt(f) }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SelectItemKind::Wildcard { source: None } => f.write_str("*"),
            SelectItemKind::Wildcard { source: Some(source) } => write!(f, "{source}.*"),
            SelectItemKind::Expr { expr, alias: None } => expr.fmt(f),
            SelectItemKind::Expr { expr, alias: Some(alias) } => write!(f, "{expr} {alias}"),
        }
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Relation::Source { name, alias: None } => name.fmt(f),
            Relation::Source { name, alias: Some(alias) } => write!(f, "{name} {alias}"),
            Relation::Join(join) => join.fmt(f),
        }
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            JoinKind::Inner => "INNER JOIN",
            JoinKind::Left => "LEFT OUTER JOIN",
            JoinKind::Right => "RIGHT OUTER JOIN",
            JoinKind::Full => "FULL OUTER JOIN",
        };
        write!(f, "{}\n{kind} {}", self.left, self.right)?;
        if let Some(within) = &self.within {
            write!(f, " WITHIN {within}")?;
        }
        write!(f, " ON ({})", self.on)
    }
}

impl Display for Within {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            self.before.fmt(f)?;
        } else {
            write!(f, "({}, {})", self.before, self.after)?;
        }
        match self.grace {
            Some(grace) => write!(f, " GRACE PERIOD {grace}"),
            None => Ok(()),
        }
    }
}

impl Display for WindowSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.kind {
            WindowKind::Tumbling { size } => write!(f, "TUMBLING ( SIZE {size} ")?,
            WindowKind::Hopping { size, advance } => write!(f, "HOPPING ( SIZE {size} , ADVANCE BY {advance} ")?,
            WindowKind::Session { gap } => write!(f, "SESSION ( {gap} ")?,
        }
        if let Some(retention) = self.retention {
            write!(f, ", RETENTION {retention} ")?;
        }
        if let Some(grace) = self.grace {
            write!(f, ", GRACE PERIOD {grace} ")?;
        }
        f.write_str(")")
    }
}
