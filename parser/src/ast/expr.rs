//! Expressions.

use super::{DataType, Ident, IntervalUnit, Span};

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// What an expression is. Numbers keep the kind that their spelling gives them.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Null,
    Boolean(bool),
    /// A whole number that fits 32 bits. A sign before a number belongs to it, so literals may be negative.
    Integer(i32),
    /// A whole number that fits 64 but not 32 bits.
    BigInt(i64),
    /// A number with a point and no exponent, as written (`1.50` keeps its scale).
    Decimal(String),
    /// A number with an exponent.
    Double(f64),
    String(String),
    /// A column, a pseudo-column or, inside a lambda, one of its parameters.
    Column(ColumnRef),
    Not(Box<Expr>),
    /// A minus before anything but a number's digits.
    Negate(Box<Expr>),
    Binary {
        op: BinaryOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        negated: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        negated: bool,
    },
    /// `operand` is given in the simple form (`CASE x WHEN …`).
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<WhenClause>,
        default: Option<Box<Expr>>,
    },
    Cast {
        expr: Box<Expr>,
        to: CastTarget,
    },
    /// `a[i]` or `m['k']`.
    Subscript {
        base: Box<Expr>,
        index: Box<Expr>,
    },
    /// `s->f`.
    Field {
        base: Box<Expr>,
        field: Ident,
    },
    /// `s->*`, only as a select item.
    AllFields(Box<Expr>),
    Array(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Struct(Vec<(Ident, Expr)>),
    Call {
        name: Ident,
        args: Vec<Expr>,
    },
    /// The argument of `COUNT(*)`.
    Star,
    /// A unit given as an argument (`DATEADD(DAYS, 1, d)`).
    Unit(IntervalUnit),
    Lambda {
        params: Vec<Ident>,
        body: Box<Expr>,
    },
}

/// `source.name` or `name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    pub source: Option<Ident>,
    pub name: Ident,
}

/// The type a CAST asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CastTarget {
    pub data_type: DataType,
    pub span: Span,
}

/// `WHEN condition THEN result`.
#[derive(Debug, Clone, PartialEq)]
pub struct WhenClause {
    pub condition: Expr,
    pub result: Expr,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    IsDistinctFrom,
    IsNotDistinctFrom,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    /// `||`
    Concat,
}

impl BinaryOp {
    /// Whether the operator compares and yields BOOLEAN.
    pub fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual | IsDistinctFrom | IsNotDistinctFrom)
    }

    /// Whether the operator calculates with numbers (`+` also joins strings).
    pub fn is_arithmetic(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Subtract | Multiply | Divide | Modulo)
    }
}

impl Expr {
    /// An expression without a place, for generated nodes.
    pub fn new(kind: ExprKind) -> Self {
        Expr { kind, span: Span::default() }
    }

    /// A column without a source and without a place.
    pub fn column(name: impl Into<String>) -> Self {
        Expr::new(ExprKind::Column(ColumnRef { source: None, name: Ident::new(name) }))
    }

    /// The direct operands, left to right.
    pub fn children(&self) -> Vec<&Expr> {
        use ExprKind::*;
        match &self.kind {
            Null | Boolean(_) | Integer(_) | BigInt(_) | Decimal(_) | Double(_) | String(_) | Column(_) | Star | Unit(_) => vec![],
            Not(e) | Negate(e) | AllFields(e) => vec![e],
            IsNull { expr, .. } | Cast { expr, .. } => vec![expr],
            Field { base, .. } => vec![base],
            Lambda { body, .. } => vec![body],
            Binary { left, right, .. } => vec![left, right],
            Subscript { base, index } => vec![base, index],
            Between { expr, low, high, .. } => vec![expr, low, high],
            In { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
            Like { expr, pattern, .. } => vec![expr, pattern],
            Case { operand, whens, default } => operand
                .as_deref()
                .into_iter()
                .chain(whens.iter().flat_map(|w| [&w.condition, &w.result]))
                .chain(default.as_deref())
                .collect(),
            Array(items) => items.iter().collect(),
            Map(entries) => entries.iter().flat_map(|(k, v)| [k, v]).collect(),
            Struct(fields) => fields.iter().map(|(_, e)| e).collect(),
            Call { args, .. } => args.iter().collect(),
        }
    }

    /// Rebuilds the tree bottom-up: each node, its operands already rebuilt, goes through `f`.
    pub fn transform(self, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        let rebuilt = self.map_children(&mut |child| child.transform(f));
        f(rebuilt)
    }

    /// Rebuilds the node with each of its direct operands put through `f`, left to right.
    pub fn map_children(self, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        use ExprKind::*;
        let boxed = |e: Box<Expr>, f: &mut dyn FnMut(Expr) -> Expr| Box::new(f(*e));
        let kind = match self.kind {
            leaf @ (Null | Boolean(_) | Integer(_) | BigInt(_) | Decimal(_) | Double(_) | String(_) | Column(_) | Star | Unit(_)) => leaf,
            Not(e) => Not(boxed(e, f)),
            Negate(e) => Negate(boxed(e, f)),
            AllFields(e) => AllFields(boxed(e, f)),
            IsNull { expr, negated } => IsNull { expr: boxed(expr, f), negated },
            Cast { expr, to } => Cast { expr: boxed(expr, f), to },
            Field { base, field } => Field { base: boxed(base, f), field },
            Lambda { params, body } => Lambda { params, body: boxed(body, f) },
            Binary { op, left, right } => Binary { op, left: boxed(left, f), right: boxed(right, f) },
            Subscript { base, index } => Subscript { base: boxed(base, f), index: boxed(index, f) },
            Between { expr, low, high, negated } => Between { expr: boxed(expr, f), low: boxed(low, f), high: boxed(high, f), negated },
            In { expr, list, negated } => In { expr: boxed(expr, f), list: list.into_iter().map(f).collect(), negated },
            Like { expr, pattern, escape, negated } => Like { expr: boxed(expr, f), pattern: boxed(pattern, f), escape, negated },
            Case { operand, whens, default } => Case {
                operand: operand.map(|e| boxed(e, f)),
                whens: whens.into_iter().map(|w| WhenClause { condition: f(w.condition), result: f(w.result) }).collect(),
                default: default.map(|e| boxed(e, f)),
            },
            Array(items) => Array(items.into_iter().map(f).collect()),
            Map(entries) => Map(entries.into_iter().map(|(k, v)| (f(k), f(v))).collect()),
            Struct(fields) => Struct(fields.into_iter().map(|(n, e)| (n, f(e))).collect()),
            Call { name, args } => Call { name, args: args.into_iter().map(f).collect() },
        };
        Expr { kind, span: self.span }
    }
}
