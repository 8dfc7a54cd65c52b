//! Scripts of several statements.

use tidemill_parser::{parse_script, parse_statement, split_script};

#[test]
fn a_script_is_parted_at_its_semicolons() {
    let script = "-- first;\nSHOW STREAMS; /* ; */ SELECT ';' AS `;` FROM s\n -- end;\n ;\n\nSHOW TABLES -- no semicolon";
    let statements = split_script(script);
    let texts: Vec<&str> = statements.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts, ["SHOW STREAMS", "SELECT ';' AS `;` FROM s", "SHOW TABLES"]);
    assert_eq!(statements.iter().map(|s| s.terminated).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(statements.iter().map(|s| (s.span.start.line, s.span.start.column)).collect::<Vec<_>>(), [(2, 1), (2, 23), (6, 1)]);
    assert!(statements.iter().all(|s| s.parse().is_ok()));
}

#[test]
fn comments_and_directives_break_nothing() {
    let script = "--@test: a name; with a semicolon\n--@expected.error: x\nSELECT /* in\nside */ a -- it's\nFROM s; --";
    let statements = parse_script(script).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(statements.len(), 1);
    assert_eq!(statements[0].text, "SELECT /* in\nside */ a -- it's\nFROM s");
    assert!(parse_script("").expect("nothing").is_empty() && parse_script(" -- only a comment").expect("nothing").is_empty());
}

#[test]
fn what_comes_before_an_error_can_run() {
    let statements = split_script("SHOW STREAMS; SELCT 1; SELECT 'open FROM s; SHOW TABLES;");
    let parsed: Vec<bool> = statements.iter().map(|s| s.parse().is_ok()).collect();
    assert_eq!(parsed, [true, false, false]);
}

#[test]
fn places_are_those_of_the_script() {
    let error = parse_script("SHOW STREAMS;\nSHOW TABLES; SHOW NOPE;").expect_err("NOPE");
    assert_eq!((error.span.start.line, error.span.start.column), (2, 19));
    assert_eq!(error.line_text, "SHOW TABLES; SHOW NOPE;");
}

#[test]
fn one_statement_is_one() {
    assert!(parse_statement("SHOW STREAMS;").is_ok() && parse_statement("SHOW STREAMS").is_ok());
    assert!(parse_statement("").is_err() && parse_statement(";").is_err());
    assert!(parse_statement("SHOW STREAMS; SHOW TABLES").is_err());
}

#[test]
fn explained_statements_have_their_text() {
    use tidemill_parser::ast::{Explain, Statement};
    let statement = parse_statement(" EXPLAIN  SELECT é.* FROM `é` é ; ".replace("é", "x").as_str()).expect("parses");
    let Statement::Explain(Explain::Statement(inner)) = statement.statement else { panic!("a statement is explained") };
    assert_eq!(inner.text, "SELECT x.* FROM `x` x");
}
