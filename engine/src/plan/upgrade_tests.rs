//! Pairs of queries: which may take the other's place, and why the others may not.

use super::*;
use crate::analyze::tests::world::{Outcome, World};

const SOURCES: &str = "
    CREATE STREAM S (K STRING KEY, A INT, B INT, L ARRAY<INT>, M ARRAY<INT>) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE STREAM S2 (K STRING KEY, B INT, A INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
    CREATE STREAM R (K STRING KEY, N INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
    CREATE TABLE T (K STRING PRIMARY KEY, X INT, Y INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');";

/// The plan of `CREATE STREAM|TABLE O AS …`, always with the same id.
fn plan(query: &str) -> QueryPlan {
    let mut world = World::new();
    world.run(SOURCES).expect("sources");
    match world.run(&format!("CREATE {query};")) {
        Ok(Outcome::Query(planned)) => planned.plan,
        other => panic!("{query}: {other:?}"),
    }
}

#[track_caller]
fn allowed(old: &str, new: &str) {
    assert_eq!(refusal(&plan(old), &plan(new)), None, "{old} → {new}");
}

#[track_caller]
fn refused(old: &str, new: &str, why: &str) {
    let reason = refusal(&plan(old), &plan(new)).unwrap_or_else(|| panic!("allowed: {old} → {new}"));
    assert!(reason.contains(why), "{reason}");
    assert!(reason.contains("DROP 'O'"), "{reason}");
}

#[test]
fn filters_and_projections_change_freely_where_nothing_is_kept() {
    let old = "STREAM O AS SELECT K, A FROM S WHERE A > 1";
    allowed(old, "STREAM O AS SELECT K, A FROM S");
    allowed(old, "STREAM O AS SELECT K, A, B + 1 AS B1 FROM S WHERE B > 2");
    allowed(old, "STREAM O AS SELECT K, A FROM S2 WHERE A > 1");
    allowed("STREAM O AS SELECT A, B FROM S PARTITION BY A", "STREAM O AS SELECT A, B, K FROM S WHERE B > 2 PARTITION BY A");
    allowed("TABLE O AS SELECT K, X FROM T", "TABLE O AS SELECT K, X, Y FROM T WHERE X > 1");
}

#[test]
fn a_count_goes_on_with_another_condition() {
    let old = "TABLE O AS SELECT B, COUNT(*) AS N FROM S GROUP BY B";
    allowed(old, "TABLE O AS SELECT B, COUNT(*) AS N FROM S WHERE B > 1 GROUP BY B");
    allowed(old, "TABLE O AS SELECT B, COUNT(*) AS N, COUNT(*) * 2 AS D FROM S GROUP BY B HAVING COUNT(*) > 1");
}

#[test]
fn an_aggregation_keeps_the_columns_that_it_reads() {
    let columns = "StreamAggregate must have matching columns not part of aggregate. Values differ: ";
    let count = "TABLE O AS SELECT K, COUNT(*) AS N FROM S GROUP BY K";
    let filtered = "TABLE O AS SELECT K, COUNT(*) AS N FROM S WHERE A > 1 GROUP BY K";
    refused(count, filtered, &format!("{columns}[`K`, `ROWTIME`] vs. [`K`, `ROWTIME`, `A`]"));
    refused(filtered, count, &format!("{columns}[`K`, `ROWTIME`, `A`] vs. [`K`, `ROWTIME`]"));
    allowed(filtered, "TABLE O AS SELECT K, COUNT(*) AS N FROM S WHERE K <> 'x' AND A < 1 GROUP BY K");
    allowed("TABLE O AS SELECT K, COUNT(A) AS N FROM S GROUP BY K", "TABLE O AS SELECT K, COUNT(A) AS N FROM S WHERE A > 1 GROUP BY K");
}

#[test]
fn state_of_another_meaning_is_never_taken_over() {
    let count = "TABLE O AS SELECT K, COUNT(*) AS N FROM S GROUP BY K";
    let functions = "Plan step of type StreamAggregate must have matching aggregate functions. Values differ: [";
    let columns = "Plan step of type StreamAggregate must have matching columns not part of aggregate. Values differ: [";
    refused(count, "TABLE O AS SELECT K, SUM(CAST(A AS BIGINT)) AS N FROM S GROUP BY K", columns);
    refused(count, "TABLE O AS SELECT K, COUNT(*) AS N, MAX(ROWTIME) AS M FROM S GROUP BY K", functions);
    refused(count, "TABLE O AS SELECT K, COUNT(*) AS N FROM S2 GROUP BY K", "StreamSource must have matching source");
    refused(
        "TABLE O AS SELECT K, COUNT(A) AS N FROM S GROUP BY K",
        "TABLE O AS SELECT K, COUNT(B) AS N FROM S GROUP BY K",
        "Values differ: [`K`, `A`] vs. [`K`, `B`]",
    );
    refused("TABLE O AS SELECT K, SUM(A + 1) AS N FROM S GROUP BY K", "TABLE O AS SELECT K, SUM(A + 2) AS N FROM S GROUP BY K", functions);
    refused(
        "TABLE O AS SELECT A AS G, COUNT(*) AS N FROM S GROUP BY A",
        "TABLE O AS SELECT B AS G, COUNT(*) AS N FROM S GROUP BY B",
        columns,
    );
    refused(
        count,
        "TABLE O AS SELECT CONCAT(K, 'x') AS K, COUNT(*) AS N FROM S GROUP BY CONCAT(K, 'x')",
        "must have matching class. Values differ: StreamGroupByKey vs. StreamGroupBy",
    );
    refused(
        "STREAM O AS SELECT K, EXPLODE(L) AS N FROM S",
        "STREAM O AS SELECT K, EXPLODE(M) AS N FROM S",
        "Upgrades not yet supported for StreamFlatMap",
    );
    refused(
        "STREAM O AS SELECT A AS G, K FROM S PARTITION BY A",
        "STREAM O AS SELECT B AS G, K FROM S PARTITION BY B",
        "StreamSelectKey must have matching keyExpression",
    );
}

#[test]
fn windows_joins_and_tables_that_are_grouped_allow_no_change() {
    let windowed = |window: &str| format!("TABLE O AS SELECT K, COUNT(*) AS N FROM S WINDOW {window} GROUP BY K");
    let window = "Upgrades not yet supported for StreamWindowedAggregate";
    let ten = windowed("TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 1 SECOND)");
    refused(&windowed("SESSION (10 SECONDS)"), &windowed("SESSION (20 SECONDS)"), window);
    refused(&ten, &windowed("TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 2 SECONDS)"), window);
    refused(&ten, &ten.replace("GROUP", "WHERE A > 1 GROUP"), window);
    // Not its sink's format, of which the window's size is part: another size is refused as well.
    assert!(refusal(&plan(&ten), &plan(&ten.replace("SIZE 10", "SIZE 20"))).is_some());
    let join = "STREAM O AS SELECT S.K AS K, A, N FROM S JOIN R WITHIN 10 SECONDS GRACE PERIOD 1 SECOND ON S.K = R.K";
    refused(join, &join.replace("WITHIN 10", "WITHIN 20"), "Upgrades not yet supported for StreamStreamJoin");
    refused(join, &join.replace("JOIN", "LEFT JOIN"), "Upgrades not yet supported for StreamStreamJoin");
    refused(join, &join.replace("A, N", "A, N, B"), "Upgrades not yet supported for StreamStreamJoin");
    refused("STREAM O AS SELECT K, A FROM S", "STREAM O AS SELECT S.K AS K, A, X FROM S JOIN T ON S.K = T.K", "into a join source");
    let grouped = "TABLE O AS SELECT X, COUNT(*) AS N FROM T GROUP BY X";
    refused(grouped, &grouped.replace("GROUP", "WHERE Y > 1 GROUP"), "Upgrades not yet supported for TableAggregate");
    for same in [ten.as_str(), join, grouped] {
        allowed(same, same);
    }
}

#[test]
fn a_table_deletes_what_an_earlier_condition_let_through() {
    let deletes = |plan: &QueryPlan| table_filters(&plan.root).iter().all(|(_, deletes)| *deletes);
    let old = plan("TABLE O AS SELECT K, X FROM T WHERE X > 5");
    let mut same = plan("TABLE O AS SELECT K, X, Y FROM T WHERE X > 5");
    take_over(&old, &mut same);
    assert!(!deletes(&same), "the old row says whether it was let through");
    let mut other = plan("TABLE O AS SELECT K, X FROM T WHERE Y > 5");
    take_over(&old, &mut other);
    assert!(deletes(&other));
    let mut third = plan("TABLE O AS SELECT K, X FROM T WHERE Y > 5");
    assert_eq!(refusal(&other, &third), None);
    take_over(&other, &mut third);
    assert!(deletes(&third), "rows of the first may still be there");
}
