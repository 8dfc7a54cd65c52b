//! Functions that SQL has a grammar of its own for (`SUBSTRING(x FROM 1)`, `TRIM(x)`, `CEIL(x)`), as calls of the dialect's: its
//! meaning is the one that continuous queries have.

use datafusion::sql::sqlparser::ast::{CeilFloorKind, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::dialect::call;

/// The call, where it is one of those.
pub(crate) fn call_of(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
            let parts = [Some(expr), Some(from), substring_for.as_ref()];
            Some(call("substring", parts.into_iter().flatten().map(|part| part.as_ref().clone()).collect()))
        }
        Expr::Trim { trim_where: None, trim_what: None, expr, trim_characters: None } => Some(call("trim", vec![expr.as_ref().clone()])),
        Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            Some(call("ceil", vec![expr.as_ref().clone()]))
        }
        Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
            Some(call("floor", vec![expr.as_ref().clone()]))
        }
        _ => None,
    }
}

/// The arguments of a call, where all are expressions.
pub(crate) fn args_of(function: &mut Function) -> Option<Vec<&mut Expr>> {
    let FunctionArguments::List(list) = &mut function.args else { return None };
    list.args.iter_mut().map(|arg| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg { Some(arg) } else { None }).collect()
}
