//! Input that means harm: it costs little time and never the stack.

use std::time::{Duration, Instant};

use tidemill_parser::{parse_columns, parse_data_type, parse_expression, parse_script, split_script};

/// A generous bound for one input of some kilobytes, in a build without optimisation on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

fn quick<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    assert!(start.elapsed() < LIMIT, "{what} took {:?}", start.elapsed());
    result
}

#[test]
fn deep_nesting_is_refused_quickly() {
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("-", "a", ""),
        ("NOT ", "a", ""),
        ("f(", "1", ")"),
        ("f(1, x => ", "1", ")"),
        ("a[", "1", "]"),
        ("ARRAY[", "1", "]"),
        ("STRUCT(a := ", "1", ")"),
        ("CASE WHEN ", "1", " THEN 1 END"),
        ("CAST(", "1", " AS INT)"),
        ("a IN (", "1", ")"),
        ("a BETWEEN ", "1", " AND 1"),
        ("1 + (", "1", ")"),
        ("(((", "", ""),
        ("a IN ((", "", ""),
        ("f(a, (x, ", "", ""),
    ] {
        for count in [190, 8_192] {
            let sql = format!("{}{inner}{}", open.repeat(count), close.repeat(count));
            let result = quick(&format!("{count} of {open}"), || parse_expression(&sql));
            if count > 1_000 {
                assert!(result.is_err(), "{open}");
            } else if let Ok(expr) = result {
                // What is accepted can be printed, read again and rebuilt on an ordinary stack.
                assert!(parse_expression(&expr.to_string()).as_ref() == Ok(&expr), "{open}");
                assert!(expr.clone().transform(&mut |e| e) == expr, "{open}");
            }
        }
        quick("within a query", || parse_script(&format!("SELECT {} FROM s;", open.repeat(8_192))).is_err());
    }
    quick("types", || assert!(parse_data_type(&format!("{}INT{}", "ARRAY<".repeat(8_192), ">".repeat(8_192))).is_err()));
    quick("fields", || assert!(parse_columns(&format!("a {}", "STRUCT<a ".repeat(8_192))).is_err()));
    quick("explains", || assert!(parse_script(&"EXPLAIN ".repeat(8_192)).is_err()));
    quick("groups", || assert!(parse_script(&format!("SELECT a FROM s GROUP BY {}", "(".repeat(8_192))).is_err()));
}

#[test]
fn long_chains_are_bounded() {
    for link in [" + 1", " || a", "->b", "[1]", " = 1", " AND a", " OR a = 1", " IS NULL", ".b"] {
        for count in [150, 3_900, 100_000] {
            let sql = format!("a{}", link.repeat(count));
            let result = quick(&format!("{count} of {link}"), || parse_expression(&sql));
            if let Ok(expr) = result {
                let printed = quick("printing", || expr.to_string());
                assert!(parse_expression(&printed) == Ok(expr), "{link}");
            }
        }
    }
    let joins = format!("SELECT * FROM a{}", " JOIN b ON 1 = 1".repeat(10_000));
    assert!(quick("joins", || parse_script(&joins)).is_err());
    let items = format!("SELECT {} FROM s", vec!["a"; 20_000].join(", "));
    assert!(quick("items", || parse_script(&items)).is_ok());
}

#[test]
fn many_statements_take_linear_time() {
    let script = "SELECT 'é' FROM s; ".repeat(10_000);
    assert_eq!(quick("statements", || split_script(&script)).len(), 10_000);
    quick("semicolons", || split_script(&";".repeat(100_000)).len());
    quick("open text", || split_script(&"'a' ; ' ".repeat(10_001)).len());
}

#[test]
fn no_text_panics() {
    let words = [
        "SELECT", "a", "(", ")", "'", "`", "\"", "${", "->", "=>", ":=", ";", "--", "/*", "\u{0}", "é", "1e", ".", "[", "FROM", "x'", "$$",
    ];
    // Every sequence of three, alone and inside a statement.
    for a in words {
        for b in words {
            for c in words {
                for text in [format!("{a}{b}{c}"), format!("SELECT {a} {b} {c} FROM s WHERE {b}")] {
                    for raw in split_script(&text) {
                        if let Err(error) = raw.parse() {
                            assert!(error.to_string().starts_with("line ") || error.to_string().starts_with("Failed "));
                        }
                    }
                }
            }
        }
    }
}
