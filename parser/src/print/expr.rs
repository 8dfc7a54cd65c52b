//! Expressions as text.

use std::fmt::{self, Display, Formatter, Write};

use crate::ast::{BinaryOp, ColumnRef, Expr, ExprKind, WhenClause};
use crate::dialect::unit_of;
use crate::keywords::takes_unit;

use super::{BackQuoted, Joined, Quoted};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for ExprKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ExprKind::Null => f.write_str("null"),
            ExprKind::Boolean(value) => value.fmt(f),
            ExprKind::Integer(value) => value.fmt(f),
            ExprKind::BigInt(value) => value.fmt(f),
            ExprKind::Decimal(digits) => f.write_str(digits),
            ExprKind::Double(value) => double(*value, f),
            ExprKind::String(text) => Quoted(text).fmt(f),
            ExprKind::Column(column) => column.fmt(f),
            ExprKind::Star => f.write_char('*'),
            ExprKind::Unit(unit) => unit.fmt(f),
            ExprKind::Array(items) => write!(f, "ARRAY[{}]", Joined(items, ", ")),
            ExprKind::Map(entries) => {
                let entries: Vec<Entry<'_, Expr>> = entries.iter().map(|(k, v)| Entry(k, v)).collect();
                write!(f, "MAP({})", Joined(&entries, ", "))
            }
            ExprKind::Struct(fields) => {
                let fields: Vec<Entry<'_, _>> = fields.iter().map(|(name, v)| Entry(name, v)).collect();
                write!(f, "STRUCT({})", Joined(&fields, ", "))
            }
            ExprKind::Call { name, args } => {
                write!(f, "{name}(")?;
                arguments(&name.name, args, f)?;
                f.write_char(')')
            }
            ExprKind::Lambda { params, body } => write!(f, "({}) => {body}", Joined(params, ", ")),
            _ => self.operation(f),
        }
    }
}

impl ExprKind {
    /// What has operands, in parentheses where a neighbour could bind tighter.
    fn operation(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            ExprKind::Not(e) => write!(f, "(NOT {e})"),
            ExprKind::Negate(e) => {
                // Two signs side by side would begin a comment.
                let text = e.to_string();
                let blank = if text.starts_with('-') { " " } else { "" };
                write!(f, "-{blank}{text}")
            }
            ExprKind::Binary { op, left, right } => write!(f, "({left} {op} {right})"),
            ExprKind::IsNull { expr, negated } => write!(f, "({expr} IS {}NULL)", if *negated { "NOT " } else { "" }),
            ExprKind::Between { expr, low, high, negated } => not(f, *negated, format_args!("({expr} BETWEEN {low} AND {high})")),
            ExprKind::In { expr, list, negated } => not(f, *negated, format_args!("({expr} IN ({}))", Joined(list, ", "))),
            ExprKind::Like { expr, pattern, escape: None, negated } => not(f, *negated, format_args!("({expr} LIKE {pattern})")),
            ExprKind::Like { expr, pattern, escape: Some(escape), negated } => {
                let mut utf8 = [0; 4];
                let escape = Quoted(escape.encode_utf8(&mut utf8)).to_string();
                not(f, *negated, format_args!("({expr} LIKE {pattern} ESCAPE {escape})"))
            }
            ExprKind::Case { operand, whens, default } => {
                f.write_str("(CASE")?;
                if let Some(operand) = operand {
                    write!(f, " {operand}")?;
                }
                write!(f, " {}", Joined(whens, " "))?;
                if let Some(default) = default {
                    write!(f, " ELSE {default}")?;
                }
                f.write_str(" END)")
            }
            ExprKind::Cast { expr, to } => write!(f, "CAST({expr} AS {to})"),
            ExprKind::Subscript { base, index } => write!(f, "{}[{index}]", Base(base)),
            ExprKind::Field { base, field } => write!(f, "{}->{field}", Base(base)),
            ExprKind::AllFields(base) => write!(f, "{}->*", Base(base)),
            // All others are printed by `Display`.
            _ => Ok(()),
        }
    }
}

/// What `[` or `->` follows. A sign binds weaker than both, and a number is no base without parentheses.
struct Base<'a>(&'a Expr);

impl Display for Base<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use ExprKind::*;
        match &self.0.kind {
            Negate(_) | Integer(_) | BigInt(_) | Decimal(_) | Double(_) => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}

fn not(f: &mut Formatter<'_>, negated: bool, predicate: fmt::Arguments<'_>) -> fmt::Result {
    if negated { write!(f, "(NOT {predicate})") } else { f.write_fmt(predicate) }
}

/// Arguments; a column where a unit is wanted is quoted, so that it stays a column.
fn arguments(function: &str, args: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    match args {
        [Expr { kind: ExprKind::Column(ColumnRef { source: None, name }), .. }, rest @ ..]
            if takes_unit(function) && unit_of(&name.name).is_some() =>
        {
            BackQuoted(&name.name).fmt(f)?;
            rest.iter().try_for_each(|arg| write!(f, ", {arg}"))
        }
        _ => Joined(args, ", ").fmt(f),
    }
}

/// With an exponent, which is what makes it a DOUBLE: `1.5E0`.
fn double(value: f64, f: &mut Formatter<'_>) -> fmt::Result {
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0E{exponent}"),
        _ => f.write_str(&text),
    }
}

struct Entry<'a, K>(&'a K, &'a Expr);

impl<K: Display> Display for Entry<'_, K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:={}", self.0, self.1)
    }
}

impl Display for ColumnRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}.")?;
        }
        self.name.fmt(f)
    }
}

impl Display for WhenClause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "WHEN {} THEN {}", self.condition, self.result)
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinaryOp::And => "AND",
            BinaryOp::Or => "OR",
            BinaryOp::Equal => "=",
            BinaryOp::NotEqual => "<>",
            BinaryOp::Less => "<",
            BinaryOp::LessOrEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterOrEqual => ">=",
            BinaryOp::IsDistinctFrom => "IS DISTINCT FROM",
            BinaryOp::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Modulo => "%",
            BinaryOp::Concat => "||",
        })
    }
}
