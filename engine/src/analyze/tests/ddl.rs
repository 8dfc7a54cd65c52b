//! CREATE STREAM and CREATE TABLE over topics.

use super::world::{Outcome, World, makes, refused};

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, A INT, B DECIMAL(4,2)) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";

#[test]
fn sources_have_the_declared_schema() {
    makes(STREAM, "S", "`ID` STRING KEY, `A` INTEGER, `B` DECIMAL(4, 2)");
    match World::new().run(STREAM) {
        Ok(Outcome::Source(declared)) => assert_eq!(declared.source.format.topic, "s"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_declarations_are_refused() {
    refused("CREATE TABLE T (A INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');", "Tables require a PRIMARY KEY.");
    refused("CREATE STREAM S (A NOPE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');", "Cannot resolve unknown type: NOPE");
    refused(&format!("{STREAM} {STREAM}"), "A stream with the same name already exists");
}
