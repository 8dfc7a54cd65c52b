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

#[test]
fn a_time_before_the_epoch_is_refused() {
    for (ms, is_taken) in [("0", true), ("9223372036854775807", true), ("-1", false), ("-9223372036854775807", false)] {
        let script = format!(
            "CREATE STREAM S (ID STRING KEY, A BIGINT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
            INSERT INTO S (ROWTIME, ID, A) VALUES ({ms}, 'x', 1);"
        );
        match World::new().run(&script) {
            Ok(_) => assert!(is_taken, "{ms}"),
            Err(error) => {
                let said = error.to_string();
                assert!(!is_taken && said.contains(&format!("Invalid ROWTIME: {ms}. Give milliseconds")), "{said}");
            }
        }
    }
}
