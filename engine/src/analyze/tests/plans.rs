//! Plans survive being stored.

use super::world::{Outcome, World};
use crate::plan::QueryPlan;

#[test]
fn a_plan_is_the_same_after_json() {
    let script = "CREATE STREAM S (ID STRING KEY, A INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        CREATE TABLE T AS SELECT A, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 1 MINUTE) WHERE A > 1 GROUP BY A HAVING COUNT(*) > 2;";
    let Ok(Outcome::Query(planned)) = World::new().run(script) else { panic!("{script}") };
    let json = serde_json::to_string(&planned.plan).expect("plans are JSON");
    let back: QueryPlan = serde_json::from_str(&json).expect("JSON is a plan");
    assert_eq!(back, planned.plan);
}
