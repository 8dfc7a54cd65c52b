//! Statements with the values that a user put in hidden, for logs and for errors that travel.

use crate::ast::{Explain, InsertValues, Properties, Statement};

use super::hide::sets_secret;
use super::{BackQuoted, Joined, Quoted};
use crate::secrets::names_secret;

impl Statement {
    /// The statement's text with every value of INSERT VALUES, every text in a connector's properties, and what ALTER SYSTEM or SET
    /// sets where that may be a secret, masked; none for all other statements, which hold no row values. All names are back-quoted, as ksqlDB does
    /// here.
    pub fn masked(&self) -> Option<String> {
        match self {
            Statement::InsertValues(insert) => Some(masked_insert(insert)),
            Statement::CreateConnector { kind, name, if_not_exists, properties } => {
                let condition = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                Some(format!("CREATE {kind} CONNECTOR {condition}{} WITH ({})", BackQuoted(&name.name), masked_properties(properties)))
            }
            Statement::AlterSystem { name, value } if sets_secret(name) || names_secret(name) || may_hold_login(value) => {
                Some(format!("ALTER SYSTEM {}='[string]'", Quoted(name)))
            }
            Statement::SetProperty { name, .. } if sets_secret(name) => Some(format!("SET {}='[string]'", Quoted(name))),
            Statement::Explain(Explain::Statement(inner)) => Some(format!("EXPLAIN {}", inner.statement.masked()?)),
            _ => None,
        }
    }
}

/// Whether a value of any property may log in somewhere: a URL with a name, or options with a password.
fn may_hold_login(value: &str) -> bool {
    value.contains(['@', '='])
}

fn masked_insert(insert: &InsertValues) -> String {
    let columns: Vec<BackQuoted<'_>> = insert.columns.iter().map(|c| BackQuoted(&c.name)).collect();
    let columns = if columns.is_empty() { String::new() } else { format!("({}) ", Joined(&columns, ", ")) };
    let values = vec!["'[value]'"; insert.values.len()];
    format!("INSERT INTO {} {columns}VALUES ({})", BackQuoted(&insert.target.name), Joined(&values, ", "))
}

/// A connector's class is no secret; all else may be.
fn masked_properties(properties: &Properties) -> String {
    let entries: Vec<String> = properties
        .entries
        .iter()
        .map(|p| match p.name.name.as_str() {
            "connector.class" => format!("{}={}", Quoted(&p.name.name), p.value),
            name => format!("{}='[string]'", Quoted(name)),
        })
        .collect();
    Joined(&entries, ", ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_are_masked() {
        for (sql, expected) in [
            ("INSERT INTO s (k, dec) VALUES ('x', 1.5)", "INSERT INTO `S` (`K`, `DEC`) VALUES ('[value]', '[value]')"),
            ("INSERT INTO s VALUES (1)", "INSERT INTO `S` VALUES ('[value]')"),
            (
                "CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', \"db.password\"='secret')",
                "CREATE SOURCE CONNECTOR `C` WITH ('connector.class'='X', 'db.password'='[string]')",
            ),
            ("alter system 'sasl.password' = 'secret'", "ALTER SYSTEM 'sasl.password'='[string]'"),
            ("ALTER SYSTEM 'a.url'='https://u:p@h'", "ALTER SYSTEM 'a.url'='[string]'"),
            ("ALTER SYSTEM 'token'='secret'", "ALTER SYSTEM 'token'='[string]'"),
            ("SET 'sasl.jaas.config'='secret';", "SET 'sasl.jaas.config'='[string]'"),
            ("EXPLAIN INSERT INTO s VALUES (1)", "EXPLAIN INSERT INTO `S` VALUES ('[value]')"),
        ] {
            assert_eq!(crate::parse_statement(sql).expect(sql).statement.masked().as_deref(), Some(expected));
        }
        for sql in ["SHOW STREAMS", "SET 'auto.offset.reset'='earliest'", "ALTER SYSTEM 'auto.offset.reset'='earliest'"] {
            assert_eq!(crate::parse_statement(sql).expect(sql).statement.masked(), None);
        }
    }
}
