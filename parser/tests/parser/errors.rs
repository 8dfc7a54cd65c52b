//! What is said of text that does not parse.

use tidemill_parser::{parse_script, parse_test_script};

/// The script, the words that its error must begin with, and words that it must contain.
const ERRORS: &[(&str, &str, &[&str])] = &[
    ("SELECT FROM s;", "line 1:8: Syntax Error\n\"FROM\" is a reserved keyword", &["escaping it as 'FROM'"]),
    ("SELECT * FROM;", "line 1:14: Syntax Error\n", &["name of a stream or table"]),
    ("SELECT * FROM s WHERE;", "line 1:22: Syntax Error\n", &[]),
    ("SELECT (1 FROM s;", "line 1:11: Syntax Error\nSyntax error at or near 'FROM' at line 1:11", &["')'"]),
    ("SELECT a FORM s;", "line 1:15: Syntax Error\nExpecting {',', 'FROM'}", &["Did you mean 'FROM'?"]),
    ("SELECT a FROM s WERE a > 1;", "line 1:22: Syntax Error\n", &["Did you mean 'WHERE'?"]),
    ("SELECT a FROM s GROPU BY a;", "line 1:23: Syntax Error\n", &["Did you mean 'GROUP'?"]),
    ("SELECT a FROM s GROUP a;", "line 1:23: Syntax Error\nmissing 'BY' at 'a'", &[]),
    (
        "SELECT a FROM s ORDER BY a;",
        "line 1:23: Syntax Error\n\nStatement: SELECT a FROM s ORDER BY a;",
        &["ORDER BY is not supported. Rows come in the order"],
    ),
    ("SELECT a FROM s x WHERE a > 1 ORDER BY a;", "line 1:31: Syntax Error\n", &["ORDER BY is not supported. "]),
    ("SELECT a FROM s UNION ALL SELECT a FROM t;", "line 1:23: Syntax Error\n", &["UNION is not supported. ", "INSERT INTO"]),
    ("SELECT a FROM s LIMIT 5 OFFSET 2;", "line 1:25: Syntax Error\n", &["OFFSET is not supported. "]),
    ("SELECT a FROM s CROSS JOIN t;", "line 1:17: Syntax Error\n", &["CROSS JOIN is not supported. ", "JOIN … ON"]),
    ("SELECT a FROM s JOIN t USING (k);", "line 1:30: Syntax Error\n", &["USING is not supported. ", "ON a.k = b.k"]),
    ("SELECT SUM(a) OVER (PARTITION BY k) FROM s;", "line 1:20: Syntax Error\n", &["OVER is not supported. ", "GROUP BY"]),
    ("SELECT a::INT FROM s;", "line 1:9: Syntax Error\n", &["A cast by :: is not supported. ", "CAST(value AS type)"]),
    ("SELECT a FROM s WHERE a ILIKE 'x';", "line 1:25: Syntax Error\n", &["ILIKE is not supported. ", "UCASE"]),
    ("SELECT * FROM s EMIT BANANA;", "line 1:22: Syntax Error\nExpecting ';'", &["CHANGES or FINAL"]),
    ("SELECT * FROM s EMIT CHANGES WHERE a;", "line 1:30: Syntax Error\n", &["order of the clauses"]),
    ("SELECT * FROM s, s2;", "line 1:16: Syntax Error\n", &["JOIN"]),
    (
        "SELECT * FROM (SELECT * FROM s);",
        "line 1:15: Syntax Error\n",
        &["A query inside a query is not supported", "CREATE STREAM … AS SELECT"],
    ),
    ("SELECT * FROM s LIMIT heh;", "line 1:23: Syntax Error\n", &["whole number"]),
    ("SELECT * FROM s WHERE a IN (SELECT b FROM t);", "line 1:29: Syntax Error\n", &["can't stand inside an expression"]),
    ("SELECT DISTINCT k FROM s;", "line 1:8: Syntax Error\nSELECT DISTINCT is not supported\n", &["GROUP BY"]),
    ("SELECT COUNT(DISTINCT k) FROM s;", "line 1:14: Syntax Error\nSyntax error at or near 'DISTINCT'", &["COUNT_DISTINCT"]),
    ("SELECT UCASE(x => x) FROM s;", "line 1:16: Syntax Error\nSyntax error at or near '=>'", &[]),
    ("SELECT CASE WHEN a THEN 1 FROM s;", "line 1:27: Syntax Error\nSyntax error at or near 'FROM'", &["END"]),
    ("SELECT a.b.c FROM s;", "line 1:12: Syntax Error\n", &["column->field"]),
    ("SELECT a[1:2] FROM s;", "line 1:8: Syntax Error\n", &["SLICE"]),
    ("SELECT a IS TRUE FROM s;", "line 1:8: Syntax Error\n", &[]),
    ("SELECT a IS 5 FROM s;", "line 1:13: Syntax Error\n", &["[NOT] DISTINCT FROM"]),
    ("SELECT a & b FROM s;", "line 1:10: Syntax Error\nExpecting {',', 'FROM'}", &[]),
    ("SELECT a->1 FROM s;", "line 1:11: Syntax Error\nExpecting the name of a field", &[]),
    ("SELECT FOO 'x' FROM s;", "Failed to prepare statement: line 1:9: Unknown type: FOO", &["DATE, TIME and TIMESTAMP"]),
    ("SELECT a LIKE 'x' ESCAPE 'xy' FROM s;", "Failed to prepare statement: line 1:27: ", &["single character"]),
    ("SELECT 1E400 FROM s;", "Failed to prepare statement: line 1:9: Number overflows DOUBLE: 1E400", &[]),
    ("SELECT -9223372036854775809 FROM s;", "Failed to prepare statement: line 1:10: Invalid numeric literal: -9223372036854775809", &[]),
    ("SELECT * FROM a JOIN b GRACE PERIOD 1 SECOND ON a.x = b.x;", "line 1:30: Syntax Error\nExpecting {'WITHIN', 'ON'}", &[]),
    ("SELECT * FROM s WINDOW TUMBLING (SIZE 1) EMIT CHANGES;", "line 1:40: Syntax Error\nmissing {'DAY', 'HOUR', ", &["at ')'"]),
    ("SELECT * FROM s WINDOW TUMBLING (SIZE 1 HUOR);", "line 1:41: Syntax Error\nmissing {'DAY', ", &["Did you mean 'HOUR'?"]),
    (
        "SELECT * FROM s WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 1 HOUR, RETENTION 1 DAY);",
        "line 1:68: Syntax Error\nSyntax error at or near 'RETENTION'",
        &["RETENTION stands before it"],
    ),
    ("SELECT * FROM s WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 1 DAY, RETENTION 1 DAY);", "line 1:64: ", &["Expecting GRACE PERIOD."]),
    ("SELCT * FROM s;", "line 1:1: Syntax Error\nUnknown statement 'SELCT'\nDid you mean 'SELECT'?", &[]),
    ("DELETE FROM s;", "line 1:1: Syntax Error\nUnknown statement 'DELETE'\nDELETE is not supported\n", &["no value"]),
    ("UPDATE s SET a = 1;", "line 1:1: Syntax Error\nUnknown statement 'UPDATE'\nUPDATE is not supported\n", &["INSERT INTO"]),
    (
        "WITH a AS (SELECT * FROM s) SELECT * FROM a;",
        "line 1:1: Syntax Error\nUnknown statement 'WITH'\nWITH in front of a query is not supported\n",
        &["CREATE STREAM"],
    ),
    ("CREATE MATERIALIZED VIEW v AS SELECT * FROM s;", "line 1:8: Syntax Error\nA materialized view is not supported\n", &["CREATE TABLE"]),
    ("DROP INDEX i;", "line 1:6: Syntax Error\nAn index is not supported\n", &[]),
    ("SHOW DATABASES;", "line 1:6: Syntax Error\nA database is not supported\n", &["SHOW STREAMS"]),
    ("ALTER STREAM s DROP COLUMN a;", "line 1:21: Syntax Error\nALTER … DROP is not supported", &["CREATE OR REPLACE"]),
    ("CREATE STREAM s (a INT NOT NULL);", "line 1:24: Syntax Error\nNOT NULL is not supported\n", &["may hold null"]),
    ("INSERT INTO s VALUES (1), (2);", "line 1:25: Syntax Error\nSeveral rows in one INSERT are not supported\n", &["for each row"]),
    ("RUN SCRIPT 'x.sql';", "line 1:1: Syntax Error\nUnknown statement 'RUN'\n", &["command of the shell"]),
    ("SPOOL 'x';", "line 1:1: Syntax Error\nUnknown statement 'SPOOL'\n", &["command of the shell"]),
    ("DESCRIBE EXTENDED s;", "line 1:10: Syntax Error\n\"EXTENDED\" is a reserved keyword", &["DESCRIBE name EXTENDED"]),
    ("CREATE USER u;", "line 1:8: Syntax Error\n", &["tidemill user add"]),
    ("5", "line 1:1: Syntax Error\nUnknown statement '5'", &[]),
    ("SHOW STREAMS;;", "line 1:14: Syntax Error\nUnknown statement ';'", &[]),
    ("@#$;", "line 1:1: Syntax Error\nUnknown statement '@'", &[]),
    ("CREATE STREM x (a INT);", "line 1:8: Syntax Error\nSyntax error at or near 'STREM'", &["Did you mean 'STREAM'?"]),
    ("CREATE STREAM;", "line 1:14: Syntax Error\nSyntax error at or near ';' at line 1:14", &["name of a stream"]),
    ("CREATE STREAM x (a INT WITH (kafka_topic='s');", "line 1:24: Syntax Error\nExpecting {',', ')'}", &[]),
    ("CREATE STREAM x (select INT);", "line 1:18: Syntax Error\n\"select\" is a reserved keyword", &["escaping it as 'select'"]),
    ("CREATE STREAM x (a INT) WITH (kafka_topic='n, value_format='JSON');", "line 1:61: Syntax Error\nExpecting {',', ')'}", &[]),
    (
        "CREATE STREAM x (a VARCHAR (KEY));",
        "line 1:29: Syntax Error\nExpecting {'STRING', INTEGER_VALUE}\nStatement: CREATE STREAM x (",
        &[],
    ),
    ("CREATE STREAM x (w CHARACTER VARYING);", "line 1:30: Syntax Error\nExpecting {',', ')'}", &[]),
    ("CREATE STREAM `x AS SELECT * FROM s;", "line 1:15: Syntax Error\nSyntax error at or near '`' at line 1:15", &["closing quote"]),
    ("CREATE STREAM x WITH (a=1, A=2);", "Failed to prepare statement: line 1:29: Duplicate property 'A'", &[]),
    ("CREATE STREAM x (a INT) AS SELECT * FROM s;", "line 1:25: Syntax Error\nSyntax error at or near 'AS'", &["leave out the list"]),
    ("CREATE SOURCE STREAM x AS SELECT * FROM s;", "line 1:24: Syntax Error\nSyntax error at or near 'AS'", &["CREATE SOURCE"]),
    ("CREATE STREAM ${name} (a INT);", "line 1:15: Syntax Error\nSyntax error at or near '$'", &["variable"]),
    ("CREATE STREAM x WIHT (a=1);", "line 1:17: Syntax Error\n", &["Did you mean 'WITH'?"]),
    ("DROP STREAM IF EXIST s;", "line 1:16: Syntax Error\n", &["Did you mean 'EXISTS'?"]),
    ("SELECT a FROM s LIMT 5;", "line 1:22: Syntax Error\nExpecting ';'", &["Did you mean 'LIMIT'?"]),
    ("SELECT a FROM s EMTI CHANGES;", "line 1:22: Syntax Error\nExpecting ';'", &["Did you mean 'EMIT'?"]),
    ("INSERT s VALUES (1);", "line 1:8: Syntax Error\nSyntax error at or near 's' at line 1:8", &["INTO"]),
    ("INSERT INTO s VALEUS (1);", "line 1:15: Syntax Error\n", &["Did you mean 'VALUES'?"]),
    ("SHOW NOPE;", "line 1:6: Syntax Error\nSyntax error at or near 'NOPE' at line 1:6", &["STREAMS"]),
    ("LIST;", "line 1:5: Syntax Error\nSyntax error at or near ';' at line 1:5", &[]),
    ("DESCRIBE FUNCTION CAST;", "line 1:19: Syntax Error\n\"CAST\" is a reserved keyword", &[]),
    ("SET auto.offset.reset='earliest';", "line 1:5: Syntax Error\nExpecting STRING", &[]),
    ("DEFINE 1a = 'x';", "line 1:8: Syntax Error\nExpecting IDENTIFIER", &[]),
    ("ASSERT VALUES s (k, a) VALUES ('x', 1);", "line 1:8: Syntax Error\nSyntax error at or near 'VALUES' at line 1:8", &[]),
    ("ASSERT STREAM s (k VARCHAR KEY, a INT);", "line 1:8: Syntax Error\nSyntax error at or near 'STREAM' at line 1:8", &[]),
    ("SELECT a FROM s GROUP BY a AND b;", "line 1:28: Syntax Error\n", &[]),
    ("SELECT a FROM s GROUP BY c, (a, b);", "line 1:31: Syntax Error\nmissing ')' at ','", &[]),
    ("SELECT 'a", "line 1:8: Syntax Error\nSyntax error at or near '''", &["closing single quote"]),
    ("SELECT a /* FROM s;", "line 1:10: Syntax Error\n", &[]),
];

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    for (sql, begins, contains) in ERRORS {
        let error = parse_script(sql).err().unwrap_or_else(|| panic!("{sql} parsed")).to_string();
        assert!(error.starts_with(begins), "{sql}\nexpected: {begins}\nfound: {error}");
        for words in *contains {
            assert!(error.contains(words), "{sql}\nexpected: {words}\nfound: {error}");
        }
        let quoted: Vec<&str> = error.lines().skip_while(|l| !l.starts_with("Statement: ")).collect();
        assert!(quoted.get(1).is_some_and(|l| l.trim() == "^"), "{sql}: no caret in {error}");
    }
}

#[test]
fn the_caret_stands_under_the_place() {
    let error = parse_script("SELECT a\nFROM s\n\tWHERE b = = 1;").expect_err("twice =").to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[2], "Statement: \tWHERE b = = 1;");
    assert_eq!(lines[3], "           \t          ^");
}

#[test]
fn test_statements_are_known_in_test_scripts_only() {
    let script = "ASSERT VALUES s VALUES (1); ASSERT NULL VALUES s KEY (1); ASSERT TABLE t; RUN SCRIPT 'x';";
    assert_eq!(parse_test_script(script).unwrap_or_else(|e| panic!("{e}")).len(), 4);
}
