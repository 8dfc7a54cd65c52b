//! Plans of typical statements, compared with those that stand in `golden/`: the command log keeps plans, so a change of
//! their shape must be seen, and plans that were stored must still be read. `TIDEMILL_BLESS=1` writes the files anew.

use std::path::{Path, PathBuf};

use super::world::{Outcome, World};
use crate::plan::{PLAN_VERSION, QueryPlan};

const SOURCES: &str = "
    CREATE STREAM S (ID STRING KEY, A INT, B STRING, L ARRAY<INT>, TS BIGINT, H BYTES HEADER('h'))
        WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', TIMESTAMP='TS');
    CREATE STREAM D (A INT, B DECIMAL(6, 2)) WITH (KAFKA_TOPIC='d', FORMAT='DELIMITED', VALUE_DELIMITER='TAB');
    CREATE TABLE T (ID STRING PRIMARY KEY, C INT, G STRING, F STRUCT<X INT>) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
    CREATE STREAM R (ID STRING KEY, N BIGINT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
    CREATE TABLE U (ID STRING PRIMARY KEY, N BIGINT) WITH (KAFKA_TOPIC='u', VALUE_FORMAT='JSON');
    CREATE TABLE V (ID STRING PRIMARY KEY, N BIGINT) WITH (KAFKA_TOPIC='v', FORMAT='JSON');
    CREATE STREAM W (K STRING KEY, N BIGINT)
        WITH (KAFKA_TOPIC='w', VALUE_FORMAT='JSON', WINDOW_TYPE='TUMBLING', WINDOW_SIZE='5 SECONDS');";

/// Name of the golden file, and the statement.
const STATEMENTS: &[(&str, &str)] = &[
    ("filter_project", "CREATE STREAM O AS SELECT ID, A + 1 AS A1, UCASE(B) AS U, H FROM S WHERE A > 1 AND B LIKE 'x%';"),
    ("table_filter", "CREATE TABLE O AS SELECT ID, C, F->X AS X FROM T WHERE C IS NOT NULL;"),
    ("partition_by", "CREATE STREAM O AS SELECT B, A, ROWTIME AS R FROM S PARTITION BY B;"),
    ("partition_by_null", "CREATE STREAM O AS SELECT * FROM S PARTITION BY NULL;"),
    ("count_by_key", "CREATE TABLE O AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID;"),
    (
        "tumbling",
        "CREATE TABLE O AS SELECT A, SUM(LEN(B)) AS N, WINDOWSTART AS WS FROM S
         WINDOW TUMBLING (SIZE 1 MINUTE, RETENTION 1 DAY, GRACE PERIOD 10 SECONDS) WHERE A > 1 GROUP BY A HAVING COUNT(*) > 2;",
    ),
    (
        "hopping_final",
        "CREATE TABLE O WITH (KEY_FORMAT='JSON') AS SELECT A, B, MAX(TS) AS M FROM S
         WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY A, B EMIT FINAL;",
    ),
    ("session", "CREATE TABLE O AS SELECT ID, COLLECT_LIST(A) AS L FROM S WINDOW SESSION (30 SECONDS) GROUP BY ID;"),
    ("table_aggregate", "CREATE TABLE O AS SELECT C, COUNT(*) AS N, SUM(F->X) AS X FROM T GROUP BY C;"),
    ("stream_table_join", "CREATE STREAM O AS SELECT S.ID, A, C FROM S JOIN T ON S.ID = T.ID WHERE C > 0;"),
    ("stream_table_left_join_repartitioned", "CREATE STREAM O AS SELECT S.B, S.A, T.F->X AS X FROM S LEFT JOIN T ON S.B = T.ID;"),
    ("table_table_full_join", "CREATE TABLE O AS SELECT ROWKEY AS K, T.C, U.N FROM T FULL OUTER JOIN U ON T.ID = U.ID;"),
    ("table_table_join_other_key_format", "CREATE TABLE O AS SELECT T.ID, T.C, V.N FROM T JOIN V ON T.ID = V.ID;"),
    ("stream_stream_join", "CREATE STREAM O AS SELECT S.ID, S.A, R.N FROM S JOIN R WITHIN 5 SECONDS ON S.ID = R.ID;"),
    (
        "stream_stream_left_join_grace",
        "CREATE STREAM O AS SELECT S.B, R.N FROM S LEFT JOIN R WITHIN (1 MINUTE, 2 MINUTES) GRACE PERIOD 10 SECONDS ON S.B = R.ID;",
    ),
    ("foreign_key_left_join", "CREATE TABLE O AS SELECT T.ID, T.C, U.N FROM T LEFT JOIN U ON LCASE(T.G) = U.ID;"),
    ("explode", "CREATE STREAM O AS SELECT ID, EXPLODE(L) AS ITEM, A FROM S;"),
    ("delimited_keyless", "CREATE STREAM O WITH (VALUE_FORMAT='JSON', TIMESTAMP='A') AS SELECT CAST(A AS BIGINT) AS A, B * 2 AS B FROM D;"),
    ("windowed_source", "CREATE STREAM O AS SELECT K, N, WINDOWEND AS E FROM W WHERE N > 1;"),
    ("insert_select", "INSERT INTO D SELECT A + 1 AS A, B FROM D WHERE A = 0;"),
    ("push", "SELECT ID, TRANSFORM(L, X => X * 2) AS L2 FROM S WHERE A BETWEEN 1 AND 3 EMIT CHANGES LIMIT 5;"),
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/analyze/tests/golden").join(format!("{name}.json"))
}

#[test]
fn plans_are_the_golden_ones() {
    let bless = std::env::var_os("TIDEMILL_BLESS").is_some();
    let mut changed = Vec::new();
    for (name, statement) in STATEMENTS {
        let mut world = World::new();
        world.properties.insert("ksql.headers.columns.enabled".into(), "true".into());
        let planned = match world.run(&format!("{SOURCES}\n{statement}")) {
            Ok(Outcome::Query(planned)) => planned,
            other => panic!("{name}: {other:?}"),
        };
        let json = serde_json::to_string_pretty(&planned.plan).expect("plans are JSON") + "\n";
        if bless {
            std::fs::write(golden(name), &json).expect("writable");
        }
        let kept = std::fs::read_to_string(golden(name)).unwrap_or_default();
        if kept != json {
            changed.push(*name);
            continue;
        }
        let read: QueryPlan = serde_json::from_str(&kept).expect("a stored plan can be read");
        assert_eq!((&read, read.version), (&planned.plan, PLAN_VERSION), "{name}");
    }
    assert!(changed.is_empty(), "plans changed: {changed:?}; if that is meant, write them with TIDEMILL_BLESS=1 and look at the diff");
}
