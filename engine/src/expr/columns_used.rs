//! Which columns an expression reads.

use std::collections::BTreeSet;

use tidemill_parser::ast::{Expr, ExprKind};

/// Names of the columns and pseudo-columns in an expression, without sources; parameters of its lambdas are left out.
pub fn columns_used(expr: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect(expr, &mut Vec::new(), &mut names);
    names
}

fn collect<'e>(expr: &'e Expr, params: &mut Vec<&'e str>, names: &mut BTreeSet<String>) {
    match &expr.kind {
        ExprKind::Column(reference) => {
            let name = reference.name.name.as_str();
            if reference.source.is_some() || !params.contains(&name) {
                names.insert(name.to_string());
            }
        }
        ExprKind::Lambda { params: own, body } => {
            let outer = params.len();
            params.extend(own.iter().map(|p| p.name.as_str()));
            collect(body, params, names);
            params.truncate(outer);
        }
        _ => expr.children().into_iter().for_each(|child| collect(child, params, names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_no_columns() {
        let used = |sql: &str| columns_used(&tidemill_parser::parse_expression(sql).unwrap()).into_iter().collect::<Vec<_>>().join(",");
        assert_eq!(used("a + b * ROWTIME"), "A,B,ROWTIME");
        assert_eq!(used("TRANSFORM(arr, x => x + y) = x"), "ARR,X,Y");
        assert_eq!(used("1 + 2"), "");
    }
}
