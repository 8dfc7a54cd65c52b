//! INSERT INTO … VALUES: values take the types of their columns.

use super::world::{Outcome, World};
use crate::types::Value;

#[test]
fn values_take_their_columns_types() {
    let script = "CREATE STREAM S (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        INSERT INTO S (ROWTIME, ID, A) VALUES (5, 'x', 1);";
    let Ok(Outcome::Row(row)) = World::new().run(script) else { panic!("{script}") };
    assert_eq!((row.key, row.value, row.timestamp), (vec![Value::string("x")], vec![Value::BigInt(1)], Some(5)));
}
