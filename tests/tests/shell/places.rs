//! Where an error stands: of what was typed, whichever statement of it is wrong; and messages that say what is wrong.

use crate::support::World;

const CREATE: &str = "CREATE STREAM s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');";

#[test]
fn a_later_statement_has_its_own_place() {
    let world = World::new();
    assert_eq!(world.execute(CREATE).code, Some(0));
    let said = world.execute("SHOW STREAMS; SELECT vv FROM s EMIT CHANGES;");
    assert!(said.err.contains("Line: 1, Col: 22: "), "{}", said.err);
    assert!(
        said.err.ends_with("\n  SHOW STREAMS; SELECT vv FROM s EMIT CHANGES;\n                       ^\n")
            || said.err.contains("                     ^"),
        "{}",
        said.err
    );
    let said = world.execute("SHOW STREAMS; SELECT v FORM s;");
    assert!(said.err.starts_with("line 1:") && said.err.contains("Statement: SHOW STREAMS; SELECT v FORM s;"), "{}", said.err);
    world.write("f.sql", "SHOW STREAMS;\n\nSHOW TABLES; SELECT vv\n FROM s EMIT CHANGES;");
    let said = world.piped(&["-f", "f.sql"], "");
    assert!(said.err.starts_with("f.sql:3:21: "), "{}", said.err);
    assert!(said.err.contains("\n  SHOW TABLES; SELECT vv\n                      ^"), "{}", said.err);
}

#[test]
fn messages_say_what_is_wrong_once() {
    let world = World::new();
    assert_eq!(world.execute(CREATE).code, Some(0));
    for (sql, has, has_not) in [
        ("SELECT id, COUNT(*) FROM s EMIT CHANGES;", "has no GROUP BY clause", "cannot be resolved"),
        ("SELECT id, v, COUNT(*) FROM s GROUP BY id EMIT CHANGES;", "not part of GROUP BY: V", "cannot be resolved"),
        ("SELECT DISTINCT id FROM s EMIT CHANGES;", "SELECT DISTINCT is not supported", "reserved keyword"),
        ("DELETE FROM s;", "DELETE is not supported", "Did you mean 'SELECT'"),
        ("UPDATE s SET v = 1;", "UPDATE is not supported", "Did you mean"),
        ("SELECT v FROM s ORDER BY v EMIT CHANGES;", "ORDER BY is not supported", "Expecting"),
        ("PRINT ss FROM BEGINNING;", "Did you mean 's'?", "permissions to list the topic. Topic"),
        ("CREATE STREAM a (id INT KEY) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='XMAL');", "XMAL", "without configuring"),
    ] {
        let said = world.execute(sql);
        assert!(said.code == Some(1) && said.err.contains(has) && !said.err.contains(has_not), "{sql}: {said:?}");
    }
}
