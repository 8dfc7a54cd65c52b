//! Which role endpoints and statements ask for.

use hyper::Method;
use tidemill_parser::ast::Statement;

use super::Role;
use crate::statements::guard;

/// The role that a path asks for at least, its parts decoded; statements may ask for more.
pub fn of_path(method: &Method, path: &[&str]) -> Role {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match path {
        ["ksql", "terminate"] => Role::Admin,
        ["ksql" | "query" | "query-stream" | "close-query" | "ws"] => Role::Read,
        ["ws", ..] => Role::Read,
        // A part of a query, for another server.
        ["cluster", "pull" | "scan"] | ["cluster", "scan", "end"] => Role::Read,
        ["inserts-stream"] => Role::Write,
        // Between servers.
        ["heartbeat" | "lag"] => Role::Admin,
        _ if looks => Role::Read,
        // The schema registry: schemas are looked up and compared by POST, registered by POST of a version.
        ["subjects", _] | ["compatibility", ..] if *method == Method::POST => Role::Read,
        ["subjects", _, "versions"] if *method == Method::POST => Role::Write,
        ["contexts", _, rest @ ..] => of_path(method, rest),
        _ => Role::Admin,
    }
}

/// The role that a statement asks for.
pub fn of_statement(statement: &Statement) -> Role {
    match statement {
        Statement::AlterSystem { .. } | Statement::CreateConnector { .. } | Statement::DropConnector { .. } => Role::Admin,
        statement if guard::changes(statement) => Role::Write,
        _ => Role::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_ask_for_roles() {
        let post = |path: &[&str]| of_path(&Method::POST, path);
        assert_eq!(of_path(&Method::GET, &["info"]), Role::Read);
        assert_eq!(of_path(&Method::GET, &["subjects"]), Role::Read);
        assert_eq!(post(&["ksql"]), Role::Read);
        assert_eq!(post(&["ksql", "terminate"]), Role::Admin);
        assert_eq!(post(&["subjects", "a-value"]), Role::Read);
        assert_eq!(post(&["subjects", "a-value", "versions"]), Role::Write);
        assert_eq!(post(&["contexts", "c", "subjects", "a", "versions"]), Role::Write);
        assert_eq!(of_path(&Method::DELETE, &["subjects", "a-value"]), Role::Admin);
        assert_eq!(of_path(&Method::PUT, &["mode"]), Role::Admin);
        assert_eq!(post(&["cluster", "pull"]), Role::Read);
        assert_eq!(post(&["cluster", "scan"]), Role::Read);
        assert_eq!(post(&["cluster", "scan", "end"]), Role::Read);
        assert_eq!(post(&["cluster"]), Role::Admin);
        assert_eq!(post(&["heartbeat"]), Role::Admin);
        assert_eq!(post(&["inserts-stream"]), Role::Write);
    }

    #[test]
    fn statements_ask_for_roles() {
        for (sql, expected) in [
            ("SHOW STREAMS;", Role::Read),
            ("SELECT * FROM s EMIT CHANGES;", Role::Read),
            ("EXPLAIN SELECT * FROM s EMIT CHANGES;", Role::Read),
            ("SET 'auto.offset.reset'='earliest';", Role::Read),
            ("ASSERT TOPIC t;", Role::Read),
            ("CREATE STREAM s (a INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');", Role::Write),
            ("INSERT INTO s (a) VALUES (1);", Role::Write),
            ("DROP STREAM s DELETE TOPIC;", Role::Write),
            ("TERMINATE ALL;", Role::Write),
            ("PAUSE ALL;", Role::Write),
            ("SHOW DEAD LETTERS;", Role::Read),
            ("REPLAY DEAD LETTERS OF q;", Role::Write),
            ("DROP CONNECTOR c;", Role::Admin),
            ("ALTER SYSTEM 'a'='b';", Role::Admin),
        ] {
            let parsed = tidemill_parser::parse_statement(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert_eq!(of_statement(&parsed.statement), expected, "{sql}");
        }
    }
}
