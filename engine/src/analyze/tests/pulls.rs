//! Pull queries: a key becomes a look-up, not a scan.

use super::world::{Outcome, World};
use crate::analyze::{Lookup, PullQuery};

#[test]
fn a_key_is_looked_up() {
    let script = "CREATE STREAM S (ID STRING KEY, A INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        CREATE TABLE T AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID; SELECT * FROM T WHERE ID = 'x';";
    let Ok(Outcome::Pull(pull)) = World::new().run(script) else { panic!("{script}") };
    let PullQuery::Table(plan) = *pull else { panic!("a table is looked up") };
    assert!(matches!(&plan.lookup, Lookup::Keys(keys) if keys.len() == 1), "{:?}", plan.lookup);
}
