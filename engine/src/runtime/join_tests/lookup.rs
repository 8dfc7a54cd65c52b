//! Tables that queries make of tables, as pull queries read them beside the tasks.

use rand::Rng;
use serde_json::{Value as Json, json};

use super::{Bench, SEEDS, STEPS, Table};
use crate::formats::write_json;
use crate::operators::materialized;
use crate::row::Row;
use crate::types::{Column, Value, codec};

impl Bench {
    /// The table as a pull query reads it: by a scan, with which the look-up of each key must agree.
    fn looked_up(&mut self) -> Table {
        self.query.end_chunk().unwrap();
        let reader = materialized::reader(&self.plan).unwrap();
        let columns = &self.plan.root.schema.value;
        let json = |row: &Row| -> Json {
            let value = |(value, column): (&Value, &Column)| {
                let mut text = Vec::new();
                write_json(value, &column.sql_type, &mut text).unwrap();
                (column.name.clone(), serde_json::from_slice::<Json>(&text).unwrap())
            };
            row.values.iter().skip(1).zip(columns).map(value).collect::<serde_json::Map<_, _>>().into()
        };
        let mut table = Table::new();
        for partition in self.query.partition_readers(reader.stores()) {
            let mut keys = Vec::new();
            for store in 0..reader.key_stores() {
                let mut take = |_: &[u8], row: Row| {
                    let Some(Value::String(key)) = row.values.first() else { panic!("{row:?}") };
                    assert!(table.insert(key.to_string(), json(&row)).is_none(), "{key} came twice");
                    keys.push(key.clone());
                    true
                };
                reader.scan(store, &[], None, &partition, &mut take).unwrap();
            }
            for key in keys {
                let mut encoded = Vec::new();
                codec::encode_key(&[Value::String(key.clone())], &mut encoded);
                let row = reader.get(&encoded, &partition).unwrap().unwrap();
                assert_eq!(table.get(key.as_str()), Some(&json(&row)), "{key}");
            }
        }
        table
    }

    /// The table that the sink's records make.
    fn sink_table(&mut self) -> Table {
        let mut sink = Table::new();
        for (key, value) in self.written() {
            match value {
                Some(value) => sink.insert(key, value),
                None => sink.remove(&key),
            };
        }
        sink
    }
}

/// Whatever a query makes of tables that it joins on their keys can be looked up, and is what stands in its sink.
#[test]
fn tables_of_joins_are_looked_up() {
    for query in [
        "SELECT L.ID, A, B, C FROM L JOIN R ON L.ID = R.ID JOIN T ON L.ID = T.ID",
        "SELECT L.ID, A, B, C FROM L LEFT JOIN R ON L.ID = R.ID JOIN T ON R.ID = T.ID",
        "SELECT L.ID, A + 1 AS A, B, COALESCE(C, -1) AS C FROM L JOIN R ON L.ID = R.ID LEFT JOIN T ON L.ID = T.ID WHERE B > 300",
        "SELECT ROWKEY, A, B FROM L FULL OUTER JOIN R ON L.ID = R.ID WHERE A IS NULL OR A > B",
        "SELECT R.ID AS K, A + B AS S FROM L RIGHT JOIN R ON L.ID = R.ID",
        "SELECT ROWKEY AS K, A, B, C FROM L JOIN R ON L.ID = R.ID FULL OUTER JOIN T ON L.ID = T.ID",
        "SELECT L.ID, A, B FROM L LEFT JOIN R ON L.FK = R.ID WHERE A > 300",
        "SELECT L.ID, A FROM L WHERE A > 300",
    ] {
        for seed in 0..SEEDS {
            let script = format!(
                "CREATE TABLE L (ID STRING PRIMARY KEY, A INT, FK STRING) WITH (KAFKA_TOPIC='l', VALUE_FORMAT='JSON');
                 CREATE TABLE R (ID STRING PRIMARY KEY, B INT) WITH (KAFKA_TOPIC='r', VALUE_FORMAT='JSON');
                 CREATE SOURCE TABLE T (ID STRING PRIMARY KEY, C INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
                 CREATE TABLE O AS {query};"
            );
            let mut bench = Bench::new(&script, &["l", "r", "t"], seed);
            for step in 0..STEPS {
                let number = bench.random.random_range(0..1000);
                let (topic, key) = (bench.pick(&["l", "r", "t"]), bench.pick(&["a", "b", "c", "d", "e"]));
                if topic != "l" && query.contains("FROM L WHERE") {
                    continue;
                }
                let fk = bench.pick(&["a", "b", "c"]);
                let value = (!bench.random.random_bool(0.25)).then(|| json!({"A": number, "B": number, "C": number, "FK": fk}));
                bench.feed(topic, key, value.as_ref(), i64::try_from(step).unwrap());
            }
            let sink = bench.sink_table();
            assert_eq!(bench.looked_up(), sink, "{query}, seed {seed}");
        }
    }
}
