//! Statements under the names of one test: sources and topics begin with its prefix. Columns are still qualified by the names
//! that the test uses, which become aliases.

use tidemill_parser::ast::{CreateSource, Expr, ExprKind, Ident, Properties, Property, Relation, Statement};

/// The statement with its sources and topics renamed.
pub fn renamed(statement: &Statement, prefix: &str) -> Statement {
    let mut statement = statement.clone();
    let rename = |name: &mut Ident| name.name.insert_str(0, prefix);
    match &mut statement {
        Statement::CreateSource(create) => {
            rename(&mut create.name);
            topic(&mut create.properties, prefix);
            needs_no_topic(create);
        }
        Statement::CreateAs(create) => {
            rename(&mut create.name);
            topic(&mut create.properties, prefix);
            relation(&mut create.query.from, prefix);
        }
        Statement::InsertSelect(insert) => {
            rename(&mut insert.target);
            relation(&mut insert.query.from, prefix);
        }
        Statement::InsertValues(insert) => rename(&mut insert.target),
        Statement::DropSource(drop) => rename(&mut drop.name),
        Statement::AlterSource(alter) => rename(&mut alter.name),
        Statement::AssertTopic { topic, .. } => rename(topic),
        Statement::AssertSchema { subject: Some(subject), .. } => subject.insert_str(0, prefix),
        _ => {}
    }
    statement
}

/// The source whose columns a statement may change.
pub fn changed(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::CreateSource(create) => Some(&create.name.name),
        Statement::CreateAs(create) => Some(&create.name.name),
        Statement::AlterSource(alter) => Some(&alter.name.name),
        Statement::DropSource(drop) => Some(&drop.name.name),
        _ => None,
    }
}

fn topic(properties: &mut Properties, prefix: &str) {
    for property in &mut properties.entries {
        if let ("KAFKA_TOPIC", ExprKind::String(topic)) = (property.name.name.as_str(), &mut property.value.kind) {
            topic.insert_str(0, prefix);
        }
    }
}

/// A test's topics need not be there: they are made with one partition.
fn needs_no_topic(create: &mut CreateSource) {
    if create.properties.get("PARTITIONS").is_none() {
        let value = Expr::new(ExprKind::Integer(1));
        create.properties.entries.push(Property { name: Ident::new("PARTITIONS"), value });
    }
}

fn relation(from: &mut Relation, prefix: &str) {
    match from {
        Relation::Source { name, alias } => {
            alias.get_or_insert_with(|| name.clone());
            name.name.insert_str(0, prefix);
        }
        Relation::Join(join) => {
            relation(&mut join.left, prefix);
            relation(&mut join.right, prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_topics_get_the_prefix() {
        for (sql, expected) in [
            (
                "CREATE STREAM a (id INT KEY) WITH (KAFKA_TOPIC='x', VALUE_FORMAT='JSON')",
                "CREATE STREAM P_A (ID INTEGER KEY) WITH (KAFKA_TOPIC='P_x', PARTITIONS=1, VALUE_FORMAT='JSON')",
            ),
            ("CREATE STREAM c AS SELECT a.id FROM a JOIN b q ON a.id = q.id EMIT CHANGES", "FROM P_A A\nINNER JOIN P_B Q ON"),
            ("INSERT INTO a VALUES (1)", "INSERT INTO P_A VALUES (1)"),
            ("DROP TABLE `b` DELETE TOPIC", "DROP TABLE `P_b` DELETE TOPIC"),
        ] {
            let statement = tidemill_parser::parse_statement(sql).expect("a statement").statement;
            let printed = renamed(&statement, "P_").to_string();
            assert!(printed.contains(expected), "{printed}");
        }
    }
}
