//! Precedences, literals, names and places of expressions.

use tidemill_parser::ast::{BinaryOp, ExprKind};
use tidemill_parser::{parse_expression, parse_statement};

#[test]
fn operators_bind_as_in_the_dialect() {
    for (sql, expected) in [
        ("a OR b AND NOT c = d", "(A OR (B AND (NOT (C = D))))"),
        ("a || b + c * -d", "(A || (B + (C * -D)))"),
        ("a + b || c - d", "((A + B) || (C - D))"),
        ("a - b - c", "((A - B) - C)"),
        ("a = b || c", "(A = (B || C))"),
        ("a IS DISTINCT FROM b AND c", "((A IS DISTINCT FROM B) AND C)"),
        ("a BETWEEN b AND c AND d", "((A BETWEEN B AND C) AND D)"),
        ("a LIKE b || '%' OR c", "((A LIKE (B || '%')) OR C)"),
        ("-a->b[1] * 2", "(-A->B[1] * 2)"),
        ("NOT a IN (1) AND b", "((NOT (A IN (1))) AND B)"),
        ("f(x)->y[z]->w + 1", "(F(X)->Y[Z]->W + 1)"),
        ("a[b || c]", "A[(B || C)]"),
    ] {
        assert_eq!(parse_expression(sql).unwrap_or_else(|e| panic!("{e}")).to_string(), expected, "{sql}");
    }
}

#[test]
fn literals_take_the_type_of_their_spelling() {
    use ExprKind::*;
    for (sql, expected) in [
        ("2147483647", Integer(i32::MAX)),
        ("2147483648", BigInt(2_147_483_648)),
        ("-2147483648", Integer(i32::MIN)),
        ("-9223372036854775808", BigInt(i64::MIN)),
        ("1.50", Decimal("1.50".into())),
        ("-100000000000000000000.5", Decimal("-100000000000000000000.5".into())),
        ("15e-1", Double(1.5)),
        ("'it''s'", String("it's".into())),
        ("TRUE", Boolean(true)),
        ("null", Null),
    ] {
        assert_eq!(parse_expression(sql).unwrap_or_else(|e| panic!("{e}")).kind, expected, "{sql}");
    }
}

#[test]
fn names_keep_their_case_only_when_quoted() {
    for (sql, expected) in [("abc", "ABC"), ("`abc`", "abc"), ("\"a\"\"b\"", "a\"b"), ("value", "VALUE"), ("1r", "1R"), ("a@b", "A@B")] {
        let ExprKind::Column(column) = parse_expression(sql).expect(sql).kind else { panic!("{sql} is no column") };
        assert_eq!(column.name.name, expected);
    }
}

#[test]
fn a_chain_of_conditions_may_be_long() {
    let terms: Vec<String> = (0..1_500).map(|n| format!("id = {n}")).collect();
    let expr = parse_expression(&terms.join(" OR ")).unwrap_or_else(|e| panic!("{e}"));
    fn leaves(expr: &tidemill_parser::ast::Expr, found: &mut Vec<i32>) {
        match &expr.kind {
            ExprKind::Integer(n) => found.push(*n),
            ExprKind::Binary { op: BinaryOp::Or | BinaryOp::Equal, left, right } => {
                leaves(left, found);
                leaves(right, found);
            }
            ExprKind::Column(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let mut found = Vec::new();
    leaves(&expr, &mut found);
    assert_eq!(found, (0..1_500).collect::<Vec<_>>(), "all conditions, in order");
}

#[test]
fn nodes_know_their_places() {
    let sql = "SELECT a,\n  COUNT( b->c ) + CAST(d AS INT) x FROM s WHERE e = 'f'";
    let statement = parse_statement(sql).expect("parses");
    let tidemill_parser::ast::Statement::Select(query) = &statement.statement else { panic!("a query") };
    let place = |s: tidemill_parser::ast::Span| (s.start.line, s.start.column, s.end.line, s.end.column);
    let item = &query.items[1];
    assert_eq!(place(item.span), (2, 3, 2, 35));
    let tidemill_parser::ast::SelectItemKind::Expr { expr, .. } = &item.kind else { panic!("an expression") };
    assert_eq!(place(expr.span), (2, 3, 2, 33));
    let ExprKind::Binary { left, right, .. } = &expr.kind else { panic!("a sum") };
    assert_eq!(place(left.span), (2, 3, 2, 16));
    assert_eq!(place(left.children()[0].span), (2, 10, 2, 14));
    let ExprKind::Cast { to, .. } = &right.kind else { panic!("a cast") };
    assert_eq!(place(to.span), (2, 29, 2, 32));
    let selection = query.selection.as_ref().expect("a condition");
    assert_eq!(place(selection.span), (2, 49, 2, 56));
    assert_eq!(place(statement.span), (1, 1, 2, 56));
}
