//! What needs no server: files, their names and checksums, the statements that they may hold.

use std::collections::BTreeMap;
use std::fs;

use super::config::{Config, FILE, initial};
use super::statements::steps;
use super::{files, info};

#[test]
fn files_are_known_by_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["V000002__add_users.sql", "V000001__first.sql", "V1__short.sql", "notes.txt"] {
        fs::write(folder.path().join(name), "").expect("written");
    }
    let found = files::all(folder.path()).expect("files");
    let named: Vec<(u32, &str)> = found.values().map(|file| (file.version, file.name.as_str())).collect();
    assert_eq!(named, [(1, "first"), (2, "add users")]);
    fs::write(folder.path().join("V000002__again.sql"), "").expect("written");
    assert!(files::all(folder.path()).expect_err("two of one version").contains("version 2"));
}

#[test]
fn checksums_are_those_of_ksql_migrations() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("V000001__a.sql"), "abc").expect("written");
    let found = files::all(folder.path()).expect("files");
    // RFC 1321's own example.
    assert_eq!(found[&1].checksum().expect("a checksum"), "900150983cd24fb0d6963f7d28e17f72");
}

#[test]
fn properties_and_variables_hold_from_where_they_are_set() {
    let text = "SET 'a'='1'; DEFINE x = 's'; DROP STREAM ${x}; UNSET 'a'; DROP STREAM b; INSERT INTO s VALUES ('$${y}');";
    let found = steps(text, &BTreeMap::new()).expect("steps");
    let sql: Vec<&str> = found.iter().map(|step| step.sql.as_str()).collect();
    assert_eq!(sql, ["DROP STREAM s;", "DROP STREAM b;", "INSERT INTO s VALUES ('${y}');"]);
    assert_eq!(found[0].properties.get("a").map(String::as_str), Some("1"));
    assert_eq!(found[1].properties.get("a"), None);
}

#[test]
fn what_is_no_migration_is_refused_before_anything_runs() {
    for (text, said) in [
        ("SELECT * FROM t;", "no statement of a migration"),
        ("SHOW STREAMS;", "no statement of a migration"),
        ("DROP STREAM", ";"),
        ("DROP STREM s;", "line 1"),
        ("DROP STREAM ${nobody};", "nobody"),
    ] {
        let error = steps(text, &BTreeMap::new()).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_configuration_says_where_it_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(FILE);
    let read = |text: &str| {
        fs::write(&file, text).expect("written");
        Config::read(&file).map(|config| config.folder)
    };
    assert_eq!(read(&initial("http://h:1")), Ok(folder.path().join("migrations")));
    assert_eq!(read("ksql.migrations.dir.override=/elsewhere\n"), Ok("/elsewhere".into()));
    for (text, said) in [
        ("\nksql.server.ur=x\n", "line 2: nobody knows the property 'ksql.server.ur'. Did you mean ksql.server.url?"),
        ("ssl.verify.host=false\n", "would trust any server"),
        ("ksql.migrations.topic.replicas=many\n", "must be a whole number"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_table_is_as_wide_as_what_it_holds() {
    let row = ["1", "first", "MIGRATED", "<none>", "a", "b", "N/A"].map(str::to_owned);
    let lines: Vec<String> = info::table(&[row]).lines().map(str::to_owned).collect();
    assert_eq!(lines[1], " Version | Name  | State    | Previous Version | Started On | Completed On | Error Reason");
    assert_eq!(lines[3], " 1       | first | MIGRATED | <none>           | a          | b            | N/A");
}
