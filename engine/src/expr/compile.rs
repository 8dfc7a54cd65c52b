//! From the syntax tree to closures: which file compiles which node.

use tidemill_parser::ast::{BinaryOp, Expr, ExprKind};

use crate::types::SqlType;

use super::compiled::type_name;
use super::{
    Compiled, Eval, ExprError, Scope, access, arithmetic, call, case, cast, compare, construct, in_list, like, literal, logic, type_convert,
};

/// Compiles an expression over a scope.
pub fn compile(expr: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Boolean(_)
        | ExprKind::Integer(_)
        | ExprKind::BigInt(_)
        | ExprKind::Decimal(_)
        | ExprKind::Double(_)
        | ExprKind::String(_) => literal::compile(expr),
        ExprKind::Column(reference) => scope.resolve(reference, expr.span),
        ExprKind::Not(operand) => logic::not(operand, scope),
        ExprKind::Negate(operand) => arithmetic::negate(expr, operand, scope),
        ExprKind::Binary { op: BinaryOp::And, left, right } => logic::and(left, right, scope),
        ExprKind::Binary { op: BinaryOp::Or, left, right } => logic::or(left, right, scope),
        ExprKind::Binary { op: BinaryOp::Concat, left, right } => call::concat(expr, left, right, scope),
        ExprKind::Binary { op, left, right } if op.is_comparison() => compare::compile(*op, left, right, scope),
        ExprKind::Binary { op, left, right } => arithmetic::compile(expr, *op, left, right, scope),
        ExprKind::IsNull { expr: operand, negated } => logic::is_null(operand, *negated, scope),
        ExprKind::Between { expr: operand, low, high, negated } => logic::between(operand, low, high, *negated, scope),
        ExprKind::In { expr: operand, list, negated } => in_list::compile(operand, list, *negated, scope),
        ExprKind::Like { expr: operand, pattern, escape, negated } => like::compile(expr, operand, pattern, *escape, *negated, scope),
        ExprKind::Case { operand: Some(_), .. } => {
            Err(ExprError::new("Simple CASE (CASE operand WHEN value) is not supported. Use CASE WHEN operand = value THEN …", expr.span))
        }
        ExprKind::Case { operand: None, whens, default } => case::compile(expr, whens, default.as_deref(), scope),
        ExprKind::Cast { expr: operand, to } => {
            let target = type_convert::sql_type(&to.data_type, to.span)?;
            let operand = compile(operand, scope)?;
            let constant = operand.is_constant();
            Ok(cast::cast(operand, &target).map_err(|message| ExprError::code(message, expr.span))?.folded(constant))
        }
        ExprKind::Subscript { base, index } => access::subscript(expr, base, index, scope),
        ExprKind::Field { base, field } => access::field(base, field, scope),
        ExprKind::Array(items) => construct::array(expr, items, scope),
        ExprKind::Map(entries) => construct::map(expr, entries, scope),
        ExprKind::Struct(fields) => construct::structure(expr, fields, scope),
        ExprKind::Call { name, args } => call::compile(expr, name, args, scope),
        ExprKind::AllFields(_) => Err(ExprError::new(format!("{expr} may only stand alone in a SELECT list."), expr.span)),
        ExprKind::Star => Err(ExprError::new("* may only be the argument of a function like COUNT(*).", expr.span)),
        ExprKind::Unit(unit) => {
            Err(ExprError::new(format!("{unit} is a unit of time; it may only be an argument of a date function."), expr.span))
        }
        ExprKind::Lambda { .. } => Err(ExprError::new("A lambda may only be an argument of a function.", expr.span)),
    }
}

/// The expression's type, or `None` for a bare null.
pub fn type_of(expr: &Expr, scope: &Scope<'_>) -> Result<Option<SqlType>, ExprError> {
    Ok(compile(expr, scope)?.sql_type)
}

/// Compiles a condition. Rows for which it yields null or an error don't meet it.
pub fn compile_predicate(expr: &Expr, scope: &Scope<'_>) -> Result<Eval<bool>, ExprError> {
    let compiled = compile(expr, scope)?;
    let sql_type = type_name(compiled.sql_type.as_ref());
    compiled
        .into_predicate()
        .map_err(|_| ExprError::new(format!("Should evaluate to boolean but is {expr} ({sql_type}) instead."), expr.span))
}
