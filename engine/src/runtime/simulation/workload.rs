//! What the simulated process is asked to do: a query, and the records of its sources.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

use super::model::Expected;
use crate::log::partition_for;

/// A query of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Workload {
    Filter,
    /// A count by the stream's own key.
    Count,
    /// A count by another column, behind a repartition topic.
    Regroup,
    WindowedCount,
    StreamTable,
    StreamStream,
    /// Two streams over one topic, joined.
    OneTopic,
    /// A windowed count that lets a window go once, when it has closed.
    Final,
    /// Pairs of two streams, counted by another column.
    Pairs,
    /// A table joined to another by one of its columns.
    ForeignKey,
    /// A stream with a table's rows, counted by another column.
    Looked,
    /// Two tables joined on their keys, counted by another column.
    TablePairs,
    /// A filter that fails on some records, whose letters go where the others' rows do.
    Letters,
}

/// A record of a source.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub topic: &'static str,
    pub partition: i32,
    pub key: &'static str,
    /// `None`: a tombstone.
    pub value: Option<Json>,
    pub timestamp: i64,
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Size of windows, milliseconds.
pub(super) const WINDOW_MS: i64 = 10;
/// How far apart records of two streams may be, milliseconds.
pub(super) const WITHIN_MS: i64 = 5;

impl Workload {
    pub const ALL: [Workload; 8] = [
        Workload::Filter,
        Workload::Count,
        Workload::Regroup,
        Workload::WindowedCount,
        Workload::StreamTable,
        Workload::StreamStream,
        Workload::OneTopic,
        Workload::Final,
    ];

    /// Those that came later, which seeds of their own run.
    pub const LATER: [Workload; 4] = [Workload::Pairs, Workload::ForeignKey, Workload::Looked, Workload::TablePairs];

    /// All of them.
    pub fn every() -> impl Iterator<Item = Workload> {
        Workload::ALL.into_iter().chain(Workload::LATER).chain([Workload::Letters])
    }

    /// The statements; the last one is the query, and its sink is the topic O.
    pub fn script(self, has_schemas: bool) -> String {
        let query = match self {
            Workload::Filter => "CREATE STREAM O AS SELECT ID, N FROM S WHERE V > 3;",
            Workload::Letters => "CREATE STREAM O AS SELECT ID, N FROM S WHERE 10 / V > 0;",
            Workload::Count => "CREATE TABLE O AS SELECT ID, COUNT(*) AS C, SUM(V) AS T FROM S GROUP BY ID;",
            Workload::Regroup => "CREATE TABLE O AS SELECT G, COUNT(*) AS C, SUM(V) AS T FROM S GROUP BY G;",
            Workload::WindowedCount => {
                "CREATE TABLE O AS SELECT ID, COUNT(*) AS C, SUM(V) AS T FROM S
                 WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 1 DAY) GROUP BY ID;"
            }
            Workload::StreamTable => "CREATE STREAM O AS SELECT S.ID, N, B FROM S LEFT JOIN R ON S.ID = R.ID;",
            Workload::StreamStream => {
                "CREATE STREAM O AS SELECT S.ID, S.N AS N, R2.N AS M FROM S
                 JOIN R2 WITHIN 5 MILLISECONDS GRACE PERIOD 1 DAY ON S.ID = R2.ID;"
            }
            Workload::OneTopic => {
                "CREATE STREAM S2 (ID STRING KEY, N INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                 CREATE STREAM O AS SELECT S.ID, S.N AS N, S2.N AS M FROM S
                 JOIN S2 WITHIN 5 MILLISECONDS GRACE PERIOD 1 DAY ON S.ID = S2.ID;"
            }
            Workload::Final => {
                "CREATE TABLE O AS SELECT ID, COUNT(*) AS C, SUM(V) AS T FROM S
                 WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS) GROUP BY ID EMIT FINAL;"
            }
            Workload::Pairs => {
                "CREATE TABLE O AS SELECT S.G AS G, COUNT(*) AS C, SUM(S.V) AS T FROM S
                 JOIN R2 WITHIN 5 MILLISECONDS GRACE PERIOD 1 DAY ON S.ID = R2.ID GROUP BY S.G;"
            }
            Workload::ForeignKey => {
                "CREATE TABLE L (ID STRING PRIMARY KEY, N INT, V INT, G STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                 CREATE TABLE O AS SELECT L.ID AS ID, L.N AS N, R.B AS B FROM L LEFT JOIN R ON L.G = R.ID;"
            }
            Workload::Looked => {
                "CREATE TABLE O AS SELECT S.G AS G, COUNT(*) AS C, SUM(S.V) AS T FROM S LEFT JOIN R ON S.ID = R.ID GROUP BY S.G;"
            }
            Workload::TablePairs => {
                "CREATE TABLE L (ID STRING PRIMARY KEY, N INT, V INT, G STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
                 CREATE TABLE O AS SELECT L.G AS G, COUNT(*) AS C, SUM(R.B) AS T FROM L JOIN R ON L.ID = R.ID GROUP BY L.G;"
            }
        };
        format!(
            "CREATE STREAM S (ID STRING KEY, N INT, V INT, G STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
             CREATE STREAM R2 (ID STRING KEY, N INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
             CREATE TABLE R (ID STRING PRIMARY KEY, B INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
             {query}"
        )
        .replace("VALUE_FORMAT='JSON'", if has_schemas { "VALUE_FORMAT='AVRO'" } else { "VALUE_FORMAT='JSON'" })
        .replace(" O AS ", " O WITH (VALUE_FORMAT='JSON') AS ")
    }

    pub fn topics(self) -> &'static [&'static str] {
        match self {
            Workload::StreamTable | Workload::StreamStream => &["s", "r"],
            Workload::Pairs | Workload::ForeignKey | Workload::Looked | Workload::TablePairs => &["s", "r"],
            _ => &["s"],
        }
    }

    /// How many stores a task has.
    pub fn stores(self) -> usize {
        match self {
            Workload::Filter | Workload::Letters => 0,
            Workload::Count | Workload::Regroup | Workload::WindowedCount | Workload::StreamTable => 1,
            Workload::StreamStream | Workload::OneTopic | Workload::Final | Workload::Looked => 2,
            Workload::Pairs | Workload::TablePairs => 3,
            Workload::ForeignKey => 4,
        }
    }

    /// Whether the sink is a table that can be asked.
    pub fn is_table(self) -> bool {
        use Workload::{Count, Final, Looked, Pairs, Regroup, TablePairs, WindowedCount};
        matches!(self, Count | Regroup | WindowedCount | Final | Pairs | Looked | TablePairs)
    }

    /// Records of the sources in the order in which they are written, all different.
    pub fn inputs(self, count: i64, partitions: i32, random: &mut StdRng) -> Vec<Input> {
        // Where several partitions are merged, or windows close, time runs forward.
        let is_ordered =
            !matches!(self, Workload::Filter | Workload::Letters | Workload::Count | Workload::Regroup | Workload::WindowedCount);
        let mut now = 0;
        (0..count)
            .map(|number| {
                let index = random.random_range(0..KEYS.len());
                now += random.random_range(1..4);
                let timestamp = if is_ordered { now } else { random.random_range(0..200) };
                let key = KEYS[index];
                let mut partition = i32::try_from(index).unwrap_or(0) % partitions;
                if self == Workload::ForeignKey {
                    // Subscriptions go to where the table's key is kept.
                    partition = partition_for(Some(key.as_bytes()), u32::try_from(partitions).unwrap_or(1), &mut 0);
                }
                let v = random.random_range(0..10);
                if self.topics().len() > 1 && random.random_bool(0.4) {
                    let has_tombstones = matches!(self, Workload::StreamTable | Workload::ForeignKey | Workload::TablePairs);
                    let is_tombstone = has_tombstones && random.random_bool(0.2);
                    let value = (!is_tombstone).then(|| json!({"N": number, "B": v}));
                    return Input { topic: "r", partition, key, value, timestamp };
                }
                let groups = if self == Workload::ForeignKey { ["a", "b", "c"] } else { ["x", "y", "z"] };
                let group = groups[random.random_range(0..3)];
                Input { topic: "s", partition, key, value: Some(json!({"N": number, "V": v, "G": group})), timestamp }
            })
            .collect()
    }

    /// What the query makes of the records.
    pub fn expected(self, inputs: &[Input]) -> Expected {
        super::model::expected(self, inputs)
    }
}
