//! Pull queries: a key becomes a look-up, not a scan.

use super::world::{Outcome, World, refused};
use crate::analyze::{Lookup, PullQuery};

#[test]
fn a_key_is_looked_up() {
    let script = "CREATE STREAM S (ID STRING KEY, A INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        CREATE TABLE T AS SELECT ID, COUNT(*) AS N FROM S GROUP BY ID; SELECT * FROM T WHERE ID = 'x';";
    let Ok(Outcome::Pull(pull)) = World::new().run(script) else { panic!("{script}") };
    let PullQuery::Table(plan) = *pull else { panic!("a table is looked up") };
    assert!(matches!(&plan.lookup, Lookup::Keys(keys) if keys.len() == 1), "{:?}", plan.lookup);
}

#[test]
fn bounds_of_between_are_wrong_in_words_of_their_own() {
    let script = "CREATE STREAM S (ID STRING KEY, A INT, B STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');
        CREATE TABLE T AS SELECT ID, LATEST_BY_OFFSET(A) AS A, LATEST_BY_OFFSET(B) AS B FROM S GROUP BY ID; SELECT * FROM T WHERE ";
    for (predicate, expected) in [
        ("B BETWEEN 10 AND 'z'", "Invalid expression: Cannot compare B (STRING) to 10 (INTEGER)"),
        ("A > 1 AND B BETWEEN 'a' AND 10", "Invalid expression: Cannot compare B (STRING) to 10 (INTEGER)"),
        ("B > 10", "Error in WHERE expression: Cannot compare B (STRING) to 10 (INTEGER)"),
        // Something else is wrong besides, and is looked at first.
        ("B > 10 AND B BETWEEN 10 AND 'z'", "Error in WHERE expression: Cannot compare B (STRING) to 10 (INTEGER)"),
    ] {
        refused(&format!("{script}{predicate};"), expected);
    }
}
