//! sqlparser's tree, with the nodes kept aside, to ours.

use sqlparser::ast::{AccessExpr, BinaryOperator, Expr as Sql, Ident as SqlIdent, Subscript, UnaryOperator, Value, ValueWithSpan};

use crate::ast::{BinaryOp, ColumnRef, Expr, ExprKind, Ident, Span, WhenClause};
use crate::error::Fault;
use crate::lexer::{IS_DISTINCT_FROM, IS_NOT_DISTINCT_FROM};
use crate::tokens::span_of;

use super::nodes::{Node, NodeKind};
use super::{KsqlDialect, MAX_DEPTH};

/// Operands above which a chain of ANDs or ORs is built as a balanced tree: both are associative, and depth costs stack.
const BALANCE_ABOVE: usize = 64;

/// Converts one expression; holds its dialect for the nodes kept aside.
pub(crate) struct Converter<'d> {
    pub dialect: &'d KsqlDialect,
}

type Result<T> = std::result::Result<T, Fault>;

/// From the start of one to the end of the other.
fn union(a: Span, b: Span) -> Span {
    Span { start: a.start, end: b.end }
}

fn at(span: Span, kind: ExprKind) -> Expr {
    Expr { kind, span }
}

fn ident(i: &SqlIdent) -> Ident {
    Ident { name: i.value.clone(), span: span_of(i.span) }
}

/// Without the parentheses around it.
fn bare(mut expr: &Sql) -> &Sql {
    while let Sql::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// Where an expression begins. Walks the left edge only, since a tree that is refused may be very deep.
fn start_of(mut expr: &Sql) -> Span {
    loop {
        expr = match expr {
            Sql::Nested(e) | Sql::IsNull(e) | Sql::IsNotNull(e) => e,
            Sql::IsTrue(e) | Sql::IsNotTrue(e) | Sql::IsFalse(e) | Sql::IsNotFalse(e) => e,
            Sql::Between { expr, .. } | Sql::InList { expr, .. } | Sql::Like { expr, .. } | Sql::UnaryOp { expr, .. } => expr,
            Sql::BinaryOp { left, .. } => left,
            Sql::CompoundFieldAccess { root, .. } => root,
            Sql::Value(value) => return span_of(value.span),
            Sql::Identifier(name) => return span_of(name.span),
            Sql::CompoundIdentifier(parts) => return parts.first().map_or(Span::default(), |p| span_of(p.span)),
            Sql::Case { case_token, .. } => return span_of(case_token.0.span),
            _ => return Span::default(),
        }
    }
}

impl Converter<'_> {
    /// The whole expression.
    pub fn expression(&self, expr: &Sql) -> Result<Expr> {
        self.expr(expr, MAX_DEPTH)
    }

    fn boxed(&self, expr: &Sql, levels: usize) -> Result<Box<Expr>> {
        self.expr(expr, levels).map(Box::new)
    }

    fn all(&self, exprs: &[Sql], levels: usize) -> Result<Vec<Expr>> {
        exprs.iter().map(|e| self.expr(e, levels)).collect()
    }

    /// `levels` is how deep the result may nest.
    fn expr(&self, expr: &Sql, levels: usize) -> Result<Expr> {
        let expr = bare(expr);
        let Some(levels) = levels.checked_sub(1) else {
            return Err(too_deep(start_of(expr)));
        };
        match expr {
            Sql::Value(ValueWithSpan { value: Value::Placeholder(index), .. }) => self.node(index, levels),
            Sql::Value(value) => literal(value, false),
            Sql::Identifier(name) => {
                let name = ident(name);
                Ok(at(name.span, ExprKind::Column(ColumnRef { source: None, name })))
            }
            Sql::CompoundIdentifier(parts) => qualified(parts),
            Sql::CompoundFieldAccess { root, access_chain } => self.access(self.expr(root, levels)?, access_chain, levels),
            Sql::BinaryOp { .. } => self.chain(expr, levels),
            Sql::UnaryOp { op, expr } => self.unary(*op, bare(expr), levels),
            Sql::Case { .. } => self.case(expr, levels),
            other => self.predicate(other, levels),
        }
    }

    fn node(&self, index: &str, levels: usize) -> Result<Expr> {
        let lost = || Fault::invalid(Span::default(), "A part of the expression was lost");
        let Node { kind, span } = self.dialect.take(index).ok_or_else(lost)?;
        let kind = match &kind {
            NodeKind::Call { name, args } => ExprKind::Call { name: name.clone(), args: self.all(args, levels)? },
            NodeKind::Lambda { params, body } => ExprKind::Lambda { params: params.clone(), body: self.boxed(body, levels)? },
            NodeKind::Cast { expr, to } => ExprKind::Cast { expr: self.boxed(expr, levels)?, to: to.clone() },
            NodeKind::Array(items) => ExprKind::Array(self.all(items, levels)?),
            NodeKind::Map(entries) => {
                let entry = |(k, v): &(Sql, Sql)| Ok((self.expr(k, levels)?, self.expr(v, levels)?));
                ExprKind::Map(entries.iter().map(entry).collect::<Result<_>>()?)
            }
            NodeKind::Struct(fields) => {
                let field = |(name, value): &(Ident, Sql)| Ok((name.clone(), self.expr(value, levels)?));
                ExprKind::Struct(fields.iter().map(field).collect::<Result<_>>()?)
            }
            NodeKind::Star => ExprKind::Star,
            NodeKind::Unit(unit) => ExprKind::Unit(*unit),
        };
        Ok(at(span, kind))
    }

    fn case(&self, expr: &Sql, levels: usize) -> Result<Expr> {
        let Sql::Case { case_token, end_token, operand, conditions, else_result } = expr else {
            return self.predicate(expr, levels);
        };
        let whens = conditions
            .iter()
            .map(|when| Ok(WhenClause { condition: self.expr(&when.condition, levels)?, result: self.expr(&when.result, levels)? }));
        let kind = ExprKind::Case {
            operand: operand.as_deref().map(|e| self.boxed(e, levels)).transpose()?,
            whens: whens.collect::<Result<_>>()?,
            default: else_result.as_deref().map(|e| self.boxed(e, levels)).transpose()?,
        };
        Ok(at(union(span_of(case_token.0.span), span_of(end_token.0.span)), kind))
    }

    fn unary(&self, op: UnaryOperator, inner: &Sql, levels: usize) -> Result<Expr> {
        match (op, inner) {
            // A number's sign belongs to it: so the smallest numbers can be written.
            (UnaryOperator::Minus, Sql::Value(value @ ValueWithSpan { value: Value::Number(..), .. })) => literal(value, true),
            (UnaryOperator::Minus, inner) => {
                let inner = self.boxed(inner, levels)?;
                Ok(at(inner.span, ExprKind::Negate(inner)))
            }
            (UnaryOperator::Plus, inner) => self.expr(inner, levels),
            (UnaryOperator::Not, inner) => self.expr(inner, levels).map(negated),
            (op, inner) => Err(Fault::syntax(start_of(inner), format!("Syntax error at or near '{op}'"))),
        }
    }

    fn predicate(&self, expr: &Sql, levels: usize) -> Result<Expr> {
        let of = |e: &Sql| self.boxed(e, levels);
        let (span, kind) = match expr {
            Sql::IsNull(e) => {
                let expr = of(e)?;
                (expr.span, ExprKind::IsNull { expr, negated: false })
            }
            Sql::IsNotNull(e) => {
                let expr = of(e)?;
                (expr.span, ExprKind::IsNull { expr, negated: true })
            }
            Sql::Between { expr, negated, low, high } => {
                let (expr, low, high) = (of(expr)?, of(low)?, of(high)?);
                (union(expr.span, high.span), ExprKind::Between { expr, low, high, negated: *negated })
            }
            Sql::InList { expr, list, negated } => {
                let (expr, list) = (of(expr)?, self.all(list, levels)?);
                let end = list.last().map_or(expr.span, |e| e.span);
                (union(expr.span, end), ExprKind::In { expr, list, negated: *negated })
            }
            Sql::Like { negated, expr, pattern, escape_char, .. } => {
                let (expr, pattern) = (of(expr)?, of(pattern)?);
                let escape = escape_char.as_ref().map(escape).transpose()?;
                (union(expr.span, pattern.span), ExprKind::Like { expr, pattern, escape, negated: *negated })
            }
            Sql::IsTrue(e) | Sql::IsNotTrue(e) | Sql::IsFalse(e) | Sql::IsNotFalse(e) => {
                let fault = Fault::syntax(start_of(e), "IS can't be followed by TRUE or FALSE");
                return Err(fault.hint("A condition stands on its own, or is compared: = TRUE."));
            }
            other => {
                let fault = Fault::syntax(start_of(other), "This form of expression is not part of the dialect");
                return Err(fault);
            }
        };
        Ok(at(span, kind))
    }

    /// `a[i]`, `a[i][j]`.
    fn access(&self, mut base: Expr, chain: &[AccessExpr], levels: usize) -> Result<Expr> {
        if chain.len() > levels {
            return Err(too_deep(base.span));
        }
        for access in chain {
            base = match access {
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let index = self.boxed(index, levels)?;
                    at(union(base.span, index.span), ExprKind::Subscript { base: Box::new(base), index })
                }
                AccessExpr::Dot(part) => {
                    let fault = Fault::syntax(start_of(part), "A column has at most a source before its name");
                    return Err(fault.hint("A column is written source.column, a field of a STRUCT column->field."));
                }
                AccessExpr::Subscript(_) => {
                    return Err(Fault::syntax(base.span, "A subscript is one value").hint("Use SLICE for a part of an array."));
                }
            };
        }
        Ok(base)
    }

    /// Binary operators: the left spine is walked, not recursed into, since chains may be long.
    fn chain(&self, expr: &Sql, levels: usize) -> Result<Expr> {
        let mut links: Vec<Link<'_>> = Vec::new();
        let mut first = expr;
        while let Sql::BinaryOp { left, op, right } = first {
            links.push((op, right));
            first = left;
        }
        links.reverse();
        let runs = runs(&links);
        let depth: usize = runs.iter().map(|run| run.depth).sum();
        // One level is already taken: the chain's own.
        let Some(levels) = levels.checked_sub(depth.saturating_sub(1)) else {
            return Err(too_deep(start_of(first)));
        };
        let mut result = self.expr(first, levels)?;
        let mut links = links.into_iter();
        for run in runs {
            match run.balanced {
                Some(op) => {
                    let rest = links.by_ref().take(run.links).map(|(_, right)| self.expr(right, levels));
                    let operands: Vec<Expr> = std::iter::once(Ok(result)).chain(rest).collect::<Result<_>>()?;
                    result = balanced(op, operands)?;
                }
                None => {
                    for (op, right) in links.by_ref().take(run.links) {
                        result = self.link(result, op, right, levels)?;
                    }
                }
            }
        }
        Ok(result)
    }

    fn link(&self, left: Expr, op: &BinaryOperator, right: &Sql, levels: usize) -> Result<Expr> {
        if *op == BinaryOperator::Arrow {
            return self.field(left, right, levels);
        }
        let Some(op) = binary_op(op) else {
            return Err(Fault::syntax(left.span, format!("Syntax error at or near '{op}'")).hint("This is not an operator of the dialect."));
        };
        let right = self.expr(right, levels)?;
        Ok(binary(op, left, right))
    }

    /// `base->field`, `base->field[i]`, `base->*`.
    fn field(&self, base: Expr, right: &Sql, levels: usize) -> Result<Expr> {
        let (name, chain) = match right {
            Sql::Identifier(name) => (name, [].as_slice()),
            Sql::CompoundFieldAccess { root, access_chain } => match &**root {
                Sql::Identifier(name) => (name, access_chain.as_slice()),
                _ => return Err(not_a_field(start_of(right))),
            },
            Sql::Value(ValueWithSpan { value: Value::Placeholder(index), .. }) => {
                return match self.dialect.take(index) {
                    Some(Node { kind: NodeKind::Star, span }) => Ok(at(union(base.span, span), ExprKind::AllFields(Box::new(base)))),
                    Some(Node { span, .. }) => Err(not_a_field(span)),
                    None => Err(not_a_field(base.span)),
                };
            }
            _ => return Err(not_a_field(start_of(right))),
        };
        let field = ident(name);
        let base = at(union(base.span, field.span), ExprKind::Field { base: Box::new(base), field });
        self.access(base, chain, levels)
    }
}

/// An operator and its right operand.
type Link<'e> = (&'e BinaryOperator, &'e Sql);

/// A part of a chain that is built in one way.
struct Run {
    links: usize,
    /// The operator of a long run of ANDs or ORs.
    balanced: Option<BinaryOp>,
    /// Levels that it adds.
    depth: usize,
}

fn runs(links: &[Link<'_>]) -> Vec<Run> {
    let logical = |op: &BinaryOperator| binary_op(op).filter(|op| matches!(op, BinaryOp::And | BinaryOp::Or));
    links
        .chunk_by(|(a, _), (b, _)| logical(a) == logical(b))
        .map(|run| {
            let links = run.len();
            match run.first().and_then(|(op, _)| logical(op)).filter(|_| links > BALANCE_ABOVE) {
                Some(op) => Run { links, balanced: Some(op), depth: links.ilog2() as usize + 1 },
                None => Run { links, balanced: None, depth: links },
            }
        })
        .collect()
}

fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    let span = union(left.span, right.span);
    at(span, ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) })
}

/// The operands, joined in pairs until one is left.
fn balanced(op: BinaryOp, mut operands: Vec<Expr>) -> Result<Expr> {
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len() / 2 + 1);
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary(op, left, right),
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().ok_or_else(|| Fault::invalid(Span::default(), "An operator has no operands"))
}

fn too_deep(span: Span) -> Fault {
    Fault::invalid(span, format!("Expressions nest at most {MAX_DEPTH} levels deep"))
}

fn not_a_field(span: Span) -> Fault {
    Fault::syntax(span, "Expecting the name of a field").hint("A field of a STRUCT is written column->field.")
}

/// `NOT e`; folded into the predicates that have a negated form, so that both ways to write it are one tree.
fn negated(inner: Expr) -> Expr {
    let span = inner.span;
    let kind = match inner.kind {
        ExprKind::Between { expr, low, high, negated: false } => ExprKind::Between { expr, low, high, negated: true },
        ExprKind::In { expr, list, negated: false } => ExprKind::In { expr, list, negated: true },
        ExprKind::Like { expr, pattern, escape, negated: false } => ExprKind::Like { expr, pattern, escape, negated: true },
        kind => ExprKind::Not(Box::new(at(span, kind))),
    };
    at(span, kind)
}

fn qualified(parts: &[SqlIdent]) -> Result<Expr> {
    match parts {
        [source, name] => {
            let (source, name) = (ident(source), ident(name));
            Ok(at(union(source.span, name.span), ExprKind::Column(ColumnRef { source: Some(source), name })))
        }
        _ => {
            let span = parts.get(2).map_or(Span::default(), |p| span_of(p.span));
            Err(Fault::syntax(span, "A column has at most a source before its name").hint("A field of a STRUCT is written column->field."))
        }
    }
}

fn escape(value: &ValueWithSpan) -> Result<char> {
    let span = span_of(value.span);
    let Value::SingleQuotedString(text) = &value.value else {
        return Err(Fault::syntax(span, "Expecting STRING").hint("ESCAPE takes one character in single quotes."));
    };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => Err(Fault::invalid(span, format!("Expected single character ESCAPE but got: {text}"))),
    }
}

fn binary_op(op: &BinaryOperator) -> Option<BinaryOp> {
    Some(match op {
        BinaryOperator::And => BinaryOp::And,
        BinaryOperator::Or => BinaryOp::Or,
        BinaryOperator::Eq => BinaryOp::Equal,
        BinaryOperator::NotEq => BinaryOp::NotEqual,
        BinaryOperator::Lt => BinaryOp::Less,
        BinaryOperator::LtEq => BinaryOp::LessOrEqual,
        BinaryOperator::Gt => BinaryOp::Greater,
        BinaryOperator::GtEq => BinaryOp::GreaterOrEqual,
        BinaryOperator::Custom(text) if text == IS_DISTINCT_FROM => BinaryOp::IsDistinctFrom,
        BinaryOperator::Custom(text) if text == IS_NOT_DISTINCT_FROM => BinaryOp::IsNotDistinctFrom,
        BinaryOperator::Plus => BinaryOp::Add,
        BinaryOperator::Minus => BinaryOp::Subtract,
        BinaryOperator::Multiply => BinaryOp::Multiply,
        BinaryOperator::Divide => BinaryOp::Divide,
        BinaryOperator::Modulo => BinaryOp::Modulo,
        BinaryOperator::StringConcat => BinaryOp::Concat,
        _ => return None,
    })
}

/// A literal, with a minus before it if `negative`.
pub(crate) fn literal(value: &ValueWithSpan, negative: bool) -> Result<Expr> {
    let span = span_of(value.span);
    let kind = match &value.value {
        Value::Null => ExprKind::Null,
        Value::Boolean(b) => ExprKind::Boolean(*b),
        Value::SingleQuotedString(text) => ExprKind::String(text.clone()),
        Value::Number(digits, _) => number(span, if negative { format!("-{digits}") } else { digits.clone() })?,
        other => return Err(Fault::syntax(span, format!("Syntax error at or near '{other}'"))),
    };
    Ok(at(span, kind))
}

/// The smallest type that its spelling allows: INTEGER, BIGINT, DECIMAL with a point, DOUBLE with an exponent.
fn number(span: Span, text: String) -> Result<ExprKind> {
    if text.contains(['e', 'E']) {
        return match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(ExprKind::Double(number)),
            Ok(_) => Err(Fault::invalid(span, format!("Number overflows DOUBLE: {text}"))),
            Err(_) => Err(Fault::invalid(span, format!("Invalid numeric literal: {text}"))),
        };
    }
    if text.contains('.') {
        return Ok(ExprKind::Decimal(text));
    }
    match (text.parse(), text.parse()) {
        (Ok(small), _) => Ok(ExprKind::Integer(small)),
        (_, Ok(big)) => Ok(ExprKind::BigInt(big)),
        _ => Err(Fault::invalid(span, format!("Invalid numeric literal: {text}"))),
    }
}
