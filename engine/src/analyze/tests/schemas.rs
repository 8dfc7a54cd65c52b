//! Columns from registered schemas, and sinks that choose theirs.

use std::sync::Arc;

use super::world::{Outcome, World};
use crate::catalog::Source;
use crate::registry::{MemoryRegistry, Schema, SchemaId, SchemaKind, SchemaRegistry};

const ROW: &str = r#"{"type": "record", "name": "Row", "namespace": "a.b", "fields": [
    {"name": "id", "type": "int"}, {"name": "Name", "type": ["null", "string"]},
    {"name": "at", "type": {"type": "record", "name": "At", "fields": [{"name": "x", "type": "long"}]}}]}"#;

/// A world whose registry knows schemas, each by subject, id and text.
fn world(schemas: &[(&str, i32, &str)]) -> World {
    let registry = MemoryRegistry::default();
    for (subject, id, text) in schemas {
        registry.register_as(subject, Schema::new(SchemaKind::Avro, *text), SchemaId(*id)).unwrap();
    }
    World { registry: Arc::new(registry), ..World::new() }
}

fn source(world: &mut World, script: &str) -> Source {
    match world.run(script) {
        Ok(Outcome::Source(declared)) => declared.source,
        Ok(Outcome::Query(planned)) => planned.sink.map(|(sink, _)| sink).unwrap_or_else(|| panic!("no sink: {script}")),
        other => panic!("{other:?}: {script}"),
    }
}

fn refused(world: &mut World, script: &str, reason: &str) {
    match world.run(script) {
        Err(error) => assert!(error.contains(reason), "{error}"),
        Ok(outcome) => panic!("{outcome:?}: {script}"),
    }
}

#[test]
fn columns_come_from_the_newest_schema() {
    let mut world = world(&[("t-value", 1, "\"int\""), ("t-value", 2, ROW), ("t-key", 3, "\"long\""), ("k-key", 4, ROW)]);
    for (statement, schema) in [
        ("CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO')", "`ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>"),
        (
            "CREATE STREAM S WITH (KAFKA_TOPIC='t', FORMAT='AVRO')",
            "`ROWKEY` BIGINT KEY, `ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>",
        ),
        ("CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='t', FORMAT='AVRO')", "`ROWKEY` BIGINT KEY, `A` INTEGER"),
        ("CREATE TABLE S (A INT) WITH (KAFKA_TOPIC='t', FORMAT='AVRO')", "`ROWKEY` BIGINT KEY, `A` INTEGER"),
        (
            "CREATE TABLE S (K STRING PRIMARY KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO')",
            "`K` STRING KEY, `ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>",
        ),
        (
            "CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='k', FORMAT='AVRO')",
            "`ROWKEY` STRUCT<`ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>> KEY, `A` INTEGER",
        ),
        (
            "CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO', WRAP_SINGLE_VALUE=false)",
            "`ROWVAL` STRUCT<`ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>>",
        ),
        (
            "CREATE STREAM S (H BYTES HEADER('h')) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO')",
            "`ID` INTEGER, `NAME` STRING, `AT` STRUCT<`X` BIGINT>, `H` BYTES",
        ),
    ] {
        let made = source(&mut World { registry: world.registry.clone(), ..World::new() }, &format!("{statement};"));
        assert_eq!(made.schema.to_string(), schema, "{statement}");
    }
    let statement = "CREATE STREAM S WITH (KAFKA_TOPIC='t', FORMAT='AVRO');";
    let printed = source(&mut world, statement).statement;
    let columns = "CREATE STREAM S (ROWKEY BIGINT KEY, ID INTEGER, NAME STRING, `AT` STRUCT<X BIGINT>) WITH (";
    assert!(printed.starts_with(columns), "{printed}");
    assert!(!printed.contains("FULL_NAME"), "{printed}");
}

#[test]
fn names_of_a_chosen_schema_stand_as_they_are() {
    let mut world = world(&[("other", 7, ROW)]);
    let made = source(&mut world, "CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO', VALUE_SCHEMA_ID=7);");
    assert_eq!(made.schema.to_string(), "`id` INTEGER, `Name` STRING, `at` STRUCT<`x` BIGINT>");
    let spec = made.format.value.schema.unwrap();
    assert_eq!((spec.chosen, spec.full_name.as_deref()), (Some(SchemaId(7)), Some("a.b.Row")));
    assert!(made.statement.contains("VALUE_SCHEMA_FULL_NAME='a.b.Row'"), "{}", made.statement);
}

#[test]
fn a_schema_that_can_not_be_taken_is_refused() {
    let schemas = [("t-value", 1, "\"int\""), ("r-value", 2, ROW)];
    for (statement, reason) in [
        (
            "CREATE STREAM S WITH (KAFKA_TOPIC='no', VALUE_FORMAT='AVRO')",
            "Schema for message values on topic 'no' does not exist in the Schema Registry.\nSubject: no-value\n",
        ),
        ("CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='no', FORMAT='AVRO')", "Schema for message keys on topic 'no' does not exist"),
        ("CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO', VALUE_SCHEMA_ID=9)", "Schema Id: 9\n"),
        ("CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO')", "set 'WRAP_SINGLE_VALUE=false' in the WITH clause"),
        ("CREATE TABLE S WITH (KAFKA_TOPIC='r', VALUE_FORMAT='AVRO')", "CREATE TABLE S (ID INT PRIMARY KEY) WITH (...)"),
        (
            "CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='AVRO', VALUE_SCHEMA_ID=2)",
            "Table elements and VALUE_SCHEMA_ID cannot both exist for create statement.",
        ),
        (
            "CREATE STREAM S WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', VALUE_SCHEMA_ID=2)",
            "VALUE_FORMAT should support schema inference when VALUE_SCHEMA_ID is provided. Current format is JSON.",
        ),
        (
            "CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON', VALUE_SCHEMA_FULL_NAME='x')",
            "JSON does not support the following configs: [fullSchemaName]",
        ),
        (
            "CREATE STREAM S (A INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='AVRO', VALUE_PROTOBUF_NULLABLE_REPRESENTATION='OPTIONAL')",
            "Property VALUE_PROTOBUF_NULLABLE_REPRESENTATION can only be enabled with protobuf format",
        ),
    ] {
        refused(&mut world(&schemas), &format!("{statement};"), reason);
    }
    let unconfigured = "CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');";
    refused(&mut World::new(), unconfigured, "Schema registry fetch for topic value request failed for topic: t\nCaused by: There is no");
}

#[test]
fn a_schema_in_another_language_is_refused() {
    let registry = MemoryRegistry::default();
    registry.register("t-value", &Schema::new(SchemaKind::Json, "{}")).unwrap();
    let mut world = World { registry: Arc::new(registry), ..World::new() };
    let reason = "Value schema is not in the expected format. You may want to set VALUE_FORMAT to 'JSON'.\ntopic: t\nexpected format: AVRO\n\
                  actual format from Schema Registry: JSON";
    refused(&mut world, "CREATE STREAM S WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');", reason);
}

#[test]
fn a_sink_stands_in_the_schema_that_it_chose() {
    let stream = "CREATE STREAM S (K INT KEY, `id` INT, `Name` STRING, `x` INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
    let mut fitting = world(&[("other", 7, ROW)]);
    let select = "CREATE STREAM O WITH (VALUE_FORMAT='AVRO', VALUE_SCHEMA_ID=7) AS SELECT";
    let made = source(&mut fitting, &format!("{stream} {select} K, `id`, `Name` FROM S;"));
    let spec = made.format.value.schema.unwrap();
    assert_eq!((spec.chosen, spec.full_name.as_deref()), (Some(SchemaId(7)), Some("a.b.Row")));
    for (items, changed) in [("`Name`, `id`", "[`Name` STRING, `id` INTEGER]"), ("`id`, `Name`, `x`", "[`x` INTEGER]")] {
        let reason =
            format!("The following value columns are changed, missing or reordered: {changed}. Schema from schema registry is [`id` ");
        refused(&mut world(&[("other", 7, ROW)]), &format!("{stream} {select} K, {items} FROM S;"), &reason);
    }
    let json = "CREATE STREAM O WITH (KEY_SCHEMA_ID=7) AS SELECT K, `id` FROM S;";
    refused(&mut world(&[("other", 7, ROW)]), &format!("{stream} {json}"), "KEY_FORMAT should support schema inference when KEY_SCHEMA_ID");
}

#[test]
fn what_sinks_take_over_of_names() {
    let mut world = world(&[]);
    let stream = "CREATE STREAM MY_S (K STRUCT<A INT> KEY, V INT) WITH (KAFKA_TOPIC='s', FORMAT='AVRO', VALUE_SCHEMA_FULL_NAME='a.B');";
    let made = source(&mut world, stream);
    let names = |source: &Source| {
        let name = |spec: &Option<Box<crate::plan::SchemaSpec>>| spec.as_ref().and_then(|s| s.full_name.clone()).unwrap_or_default();
        (name(&source.format.key.schema), name(&source.format.value.schema))
    };
    let key = |name: &str| format!("io.confluent.ksql.avro_schemas.{name}Key");
    assert_eq!(names(&made), (key("MyS"), "a.B".to_owned()));
    let sink = source(&mut world, "CREATE STREAM O AS SELECT * FROM MY_S;");
    assert_eq!(names(&sink), (key("O"), String::new()));
}

/// The topics between the steps of a query: their names' ends, and whether rows name their partition.
fn topics_on_the_way(script: &str) -> Vec<(String, bool)> {
    let planned = match world(&[]).run(script) {
        Ok(Outcome::Query(planned)) => planned,
        other => panic!("{other:?}: {script}"),
    };
    let mut steps = vec![&planned.plan.root];
    let mut topics = Vec::new();
    while let Some(step) = steps.pop() {
        let name = |topic: &str| topic.split_once("OUT_0-").map_or(topic, |(_, name)| name).to_owned();
        topics.extend(step.repartition().map(|r| (name(&r.format.topic), r.by_partition)));
        steps.extend(step.inputs());
    }
    topics.sort();
    topics
}

#[test]
fn keys_of_others_are_written_anew_before_a_join() {
    let sources = |left: &str, right: &str| {
        format!(
            "CREATE TABLE L (ID INT PRIMARY KEY, F INT) WITH (KAFKA_TOPIC='l', KEY_FORMAT='{left}', VALUE_FORMAT='JSON');
             CREATE TABLE R (ID INT PRIMARY KEY, V INT) WITH (KAFKA_TOPIC='r', KEY_FORMAT='{right}', VALUE_FORMAT='JSON');
             CREATE STREAM S (ID INT KEY, V INT) WITH (KAFKA_TOPIC='s', KEY_FORMAT='{left}', VALUE_FORMAT='JSON');"
        )
    };
    let on_key = "CREATE TABLE OUT AS SELECT L.ID, R.V FROM L JOIN R ON L.ID = R.ID;";
    let on_foreign_key = "CREATE TABLE OUT AS SELECT L.ID, R.V FROM L JOIN R ON F = R.ID;";
    let of_stream = "CREATE STREAM OUT AS SELECT S.ID, R.V FROM S JOIN R ON S.ID = R.ID;";
    let names = |found: Vec<(String, bool)>| found.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    for (left, right, select, topics) in [
        ("AVRO", "AVRO", on_key, vec!["LeftSourceKeyed-SelectKey-repartition", "RightSourceKeyed-SelectKey-repartition"]),
        ("JSON", "AVRO", on_key, vec!["RightSourceKeyed-SelectKey-repartition"]),
        ("JSON", "JSON", on_key, vec![]),
        ("AVRO", "AVRO", of_stream, vec!["Join-repartition", "RightSourceKeyed-SelectKey-repartition"]),
        ("AVRO", "JSON", of_stream, vec!["Join-repartition"]),
    ] {
        let script = format!("{} {select}", sources(left, right));
        assert_eq!(names(topics_on_the_way(&script)), topics, "{left} {right} {select}");
    }
    // Answers find back to the left's rows by their partition.
    let told =
        |left: &str| topics_on_the_way(&format!("{} {on_foreign_key}", sources(left, "JSON"))).iter().filter(|(_, told)| *told).count();
    assert_eq!((told("AVRO"), told("JSON")), (1, 0));
}

/// In the format of another source a value might not be what it was: DELIMITED knows no empty text, PROTOBUF no null number.
#[test]
fn each_side_comes_to_a_join_in_its_own_value_format() {
    let script = "CREATE TABLE L (ID INT PRIMARY KEY, F INT, G INT) WITH (KAFKA_TOPIC='l', KEY_FORMAT='AVRO', VALUE_FORMAT='DELIMITED');
         CREATE TABLE R (ID INT PRIMARY KEY, V STRING, W INT) WITH (KAFKA_TOPIC='r', KEY_FORMAT='AVRO', VALUE_FORMAT='JSON_SR');
         CREATE TABLE OUT AS SELECT L.ID, F, G, V, W FROM L JOIN R ON L.ID = R.ID;";
    let Ok(Outcome::Query(planned)) = world(&[]).run(script) else { panic!("{script}") };
    let (mut steps, mut formats) = (vec![&planned.plan.root], Vec::new());
    while let Some(step) = steps.pop() {
        formats.extend(step.repartition().map(|repartition| repartition.format.value.name.as_str()));
        steps.extend(step.inputs());
    }
    formats.sort_unstable();
    assert_eq!(formats, ["DELIMITED", "JSON_SR"]);
}
