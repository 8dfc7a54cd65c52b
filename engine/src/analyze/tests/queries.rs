//! CREATE … AS: schemas of what queries make, and what is refused.

use super::world::{World, makes, refused};

const STREAM: &str = "CREATE STREAM S (ID STRING KEY, A INT, B STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";

#[test]
fn queries_make_sources() {
    for (query, schema) in [
        ("CREATE STREAM O AS SELECT ID, A + 1, UCASE(B) AS U FROM S;", "`ID` STRING KEY, `KSQL_COL_0` INTEGER, `U` STRING"),
        ("CREATE STREAM O AS SELECT * FROM S PARTITION BY B;", "`B` STRING KEY, `A` INTEGER, `ID` STRING"),
        ("CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;", "`ID` STRING KEY, `N` BIGINT"),
    ] {
        makes(&format!("{STREAM} {query}"), "O", schema);
    }
}

#[test]
fn wrong_queries_are_refused() {
    for (query, expected) in [
        ("CREATE STREAM O AS SELECT ID, NOPE FROM S;", "'NOPE' cannot be resolved"),
        ("CREATE STREAM O AS SELECT ID FROM S;", "The projection contains no value columns."),
        ("CREATE TABLE O AS SELECT COUNT(*) AS C FROM S GROUP BY ID;", "Key missing from projection"),
        ("CREATE STREAM O AS SELECT ID, COUNT(*) AS C FROM S GROUP BY ID;", "Your SELECT query produces a TABLE"),
        (
            "CREATE TABLE O AS SELECT ID, COUNT(*) AS C FROM S WINDOW HOPPING (SIZE 2 DAYS, ADVANCE BY 1 SECOND) GROUP BY ID;",
            "Each record would be in 172800 windows: 172800000 ms, advancing by 1000 ms. At most 100000 are possible",
        ),
        (
            "CREATE STREAM O AS SELECT ID, CASE WHEN A > 1 THEN EXPLODE(ARRAY[A]) ELSE 0 END AS E FROM S;",
            "Table functions cannot be used in CASE: (CASE WHEN (A > 1) THEN EXPLODE(ARRAY[A]) ELSE 0 END)",
        ),
        (
            "CREATE STREAM O AS SELECT ID, 1 + CASE WHEN EXPLODE(ARRAY[A]) > 1 THEN 1 END AS E FROM S;",
            "Table functions cannot be used in CASE",
        ),
        (
            "CREATE STREAM O AS SELECT ID, TRANSFORM(ARRAY[A], x => EXPLODE(ARRAY[A])) AS E FROM S;",
            "Table functions cannot be used in a lambda",
        ),
    ] {
        refused(&format!("{STREAM} {query}"), expected);
    }
}

#[test]
fn partitions_that_differ_are_told_each_with_its_stream() {
    let mut world = World::new();
    world.topics.borrow_mut().extend([("four".to_owned(), 4), ("three".to_owned(), 3)]);
    let declared = "CREATE STREAM FOUR (ID STRING KEY, A INT) WITH (KAFKA_TOPIC='four', VALUE_FORMAT='JSON');
        CREATE STREAM THREE (ID STRING KEY, B INT) WITH (KAFKA_TOPIC='three', VALUE_FORMAT='JSON');";
    world.run(declared).expect("streams");
    for (left, right, expected) in [
        ("FOUR", "THREE", "`FOUR` partitions = 4; `THREE` partitions = 3"),
        ("THREE", "FOUR", "`THREE` partitions = 3; `FOUR` partitions = 4"),
    ] {
        let joined = format!(
            "CREATE STREAM O AS SELECT {left}.ID, A, B FROM {left} JOIN {right} WITHIN 1 HOUR GRACE PERIOD 1 HOUR ON {left}.ID = {right}.ID;"
        );
        let error = world.run(&joined).expect_err("not co-partitioned");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn columns_that_nest_deeper_with_each_query_come_to_an_end() {
    let nested = |levels: usize| format!("{}V{} AS V", "ARRAY[".repeat(levels), "]".repeat(levels));
    let script = format!(
        "CREATE STREAM S (K STRING KEY, V INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
         CREATE STREAM A AS SELECT K, {} FROM S;
         CREATE STREAM B AS SELECT K, {} FROM A;",
        nested(150),
        nested(150)
    );
    refused(&script, "The type of column `V` is too large. A type nests at most 201 levels deep");
}
