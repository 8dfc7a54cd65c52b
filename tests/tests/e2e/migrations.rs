//! `tidemill migrations` on a server, as ksql-migrations is used.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tidemill_tests::server::{ServerProcess, tidemill_binary};

/// The exit code, and what was said.
fn migrations(project: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let config = project.join("ksql-migrations.properties").display().to_string();
    let with_config = if arguments.first() == Some(&"new-project") { vec![] } else { vec!["--config-file", config.as_str()] };
    let output = Command::new(tidemill_binary()).arg("migrations").args(with_config).args(arguments).output().expect("it runs");
    (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn succeeds(project: &Path, arguments: &[&str]) -> String {
    let (code, said) = migrations(project, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

fn fails(project: &Path, arguments: &[&str], word: &str) {
    let (code, said) = migrations(project, arguments);
    assert!(code == Some(1) && said.contains(word), "{arguments:?}: {code:?}: {said}");
}

#[test]
fn a_project_is_begun_applied_and_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("project");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let url = format!("http://{}", server.address());
    succeeds(&project, &["new-project", &project.display().to_string(), &url]);
    fails(&project, &["apply", "--all"], "run initialize-metadata first");
    succeeds(&project, &["initialize-metadata"]);
    assert!(succeeds(&project, &["info"]).contains("Current migration version: <none>"));

    succeeds(&project, &["create", "Add users"]);
    succeeds(&project, &["create", "-v", "3", "count"]);
    fails(&project, &["create", "--version", "3", "again"], "version 3 is there");
    let file = |name: &str| project.join("migrations").join(name);
    fs::write(
        file("V000001__Add_users.sql"),
        "DEFINE topic = 'users';\nCREATE STREAM users (id INT KEY, name STRING) WITH (KAFKA_TOPIC='${topic}', PARTITIONS=1, VALUE_FORMAT='JSON');\n\
         INSERT INTO users VALUES (1, 'it''s me');",
    )
    .expect("written");
    succeeds(&project, &["create", "wrong"]);
    fs::write(file("V000004__wrong.sql"), "CREATE STREAM more AS SELECT id, name FROM users; DROP STREAM no_such_stream;")
        .expect("written");
    fs::write(
        file("V000003__count.sql"),
        "SET 'auto.offset.reset' = 'earliest';\nCREATE TABLE counts AS SELECT id, COUNT(*) AS n FROM users GROUP BY id;",
    )
    .expect("written");

    fs::write(file("notes.txt"), "What is no migration is told, once.").expect("written");
    let dry = succeeds(&project, &["apply", "--all", "--dry-run"]);
    assert_eq!(dry.matches("passed over").count(), 1, "{dry}");
    let (code, said) = migrations(&project, &["apply", "--no-such-option"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(dry.contains("CREATE TABLE counts") && dry.contains("nothing was applied"), "{dry}");
    assert!(!server.ksql("SHOW STREAMS;").to_string().contains("USERS"));
    succeeds(&project, &["apply", "--next"]);
    succeeds(&project, &["apply", "--until", "3"]);
    server.pull_until("SELECT * FROM counts;", std::time::Duration::from_secs(30), |rows| rows == [json!([1, 1])]);
    fails(&project, &["apply", "--version", "2"], "the last one that was is 3");
    // One that fails stays what it is, and may be mended and applied again.
    fails(&project, &["apply", "--all"], "Failed to execute sql: DROP STREAM no_such_stream;");
    let told = succeeds(&project, &["info"]);
    assert!(told.contains("Current migration version: 4") && told.contains("ERROR") && told.contains("<none>"), "{told}");
    server.ksql("DROP STREAM more;");
    fs::write(file("V000004__wrong.sql"), "CREATE STREAM more AS SELECT id, name FROM users;").expect("written");
    succeeds(&project, &["apply", "--version", "4"]);
    assert!(succeeds(&project, &["apply", "-a"]).contains("No eligible migrations found"));
    succeeds(&project, &["validate"]);

    // What ksql-migrations recorded is what is recorded here: by key, states, MD5, predecessors.
    let rows = server.pull(
        "SELECT version, name, state, checksum, previous, error_reason FROM MIGRATION_SCHEMA_VERSIONS WHERE version_key = 'CURRENT';",
    );
    let checksum = rows[0][3].as_str().expect("a checksum").to_owned();
    assert_eq!(rows, [json!(["4", "wrong", "MIGRATED", checksum, "3", "N/A"])]);
    assert!(checksum.len() == 32 && checksum.bytes().all(|b| b.is_ascii_hexdigit()), "{checksum}");

    fs::write(file("V000003__count.sql"), "-- another\n").expect("written");
    fails(&project, &["validate"], "is not what was applied as version 3");
    fails(&project, &["apply", "--all"], "is not what was applied as version 3");
    succeeds(&project, &["destroy-metadata"]);
    let left = format!("{}{}", server.ksql("SHOW STREAMS;"), server.ksql("SHOW TOPICS;"));
    assert!(!left.contains("MIGRATION_EVENTS") && left.contains("USERS"), "{left}");
}

/// Credentials of a project stand elsewhere, and what is said of them are the project's own properties, not flags of others.
#[test]
fn a_project_logs_in_with_fetched_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("users"), "ann: Pl4nted-one,admin\n").expect("written");
    fs::write(path("password"), "Pl4nted-one\n").expect("written");
    fs::write(path("server"), format!("authentication.method=BASIC\ntidemill.auth.users.file={}\n", path("users"))).expect("written");
    let server = ServerProcess::start_listening(&folder.path().join("data"), &["--config", &path("server")]);
    let project = folder.path().join("project");
    succeeds(&project, &["new-project", &path("project"), &format!("http://{}", server.address())]);
    let config = project.join("ksql-migrations.properties");
    let begun = fs::read_to_string(&config).expect("a configuration");
    let write = |lines: &str| fs::write(&config, format!("{begun}{lines}")).expect("written");
    fails(&project, &["initialize-metadata"], "Log in with ksql.auth.basic.username and ksql.auth.basic.password");
    write("ksql.auth.basic.username=ann\nksql.auth.basic.password=${file:/no/such}\n");
    fails(&project, &["initialize-metadata"], "ksql.auth.basic.password: /no/such");
    let fetched = format!(
        "config.providers=vault\nconfig.providers.vault.class=x.FileConfigProvider\nksql.auth.basic.username=ann\nksql.auth.basic.password=${{vault:{}}}\n",
        path("password")
    );
    write(&fetched);
    succeeds(&project, &["initialize-metadata"]);
    write(&format!("{fetched}ssl.truststor.location=/x\n"));
    fails(&project, &["info"], "nobody knows the property 'ssl.truststor.location'. Did you mean ssl.truststore.location?");
    write("ksql.server.url=http://ann:Pl4nted-one@127.0.0.1:1\n");
    let (code, said) = migrations(&project, &["info"]);
    assert!(code == Some(1) && said.contains("ksql.auth.basic.username") && !said.contains("Pl4nted"), "{said}");
}

#[test]
fn a_project_of_ksql_migrations_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("project");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    fs::create_dir_all(project.join("migrations")).expect("a folder");
    let config = format!("ksql.server.url=http://{}\nksql.migrations.stream.name=events\nssl.alpn=false\n", server.address());
    fs::write(project.join("ksql-migrations.properties"), config).expect("written");
    fs::write(project.join("migrations/V000001__first.sql"), "abc").expect("written");
    // As it made and filled them.
    server.ksql(
        "CREATE STREAM events (version_key STRING KEY, version STRING, name STRING, state STRING, checksum STRING, started_on STRING,
           completed_on STRING, previous STRING, error_reason STRING)
           WITH (KAFKA_TOPIC='default_ksql_events', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS=1);
         CREATE TABLE MIGRATION_SCHEMA_VERSIONS WITH (KAFKA_TOPIC='default_ksql_MIGRATION_SCHEMA_VERSIONS') AS SELECT version_key,
           latest_by_offset(version) AS version, latest_by_offset(name) AS name, latest_by_offset(state) AS state,
           latest_by_offset(checksum) AS checksum, latest_by_offset(started_on) AS started_on,
           latest_by_offset(completed_on) AS completed_on, latest_by_offset(previous) AS previous,
           latest_by_offset(error_reason) AS error_reason FROM events GROUP BY version_key;",
    );
    for key in ["CURRENT", "1"] {
        server.ksql(&format!(
            "INSERT INTO events VALUES ('{key}', '1', 'first', 'MIGRATED', '900150983cd24fb0d6963f7d28e17f72', '1', '2', '<none>', 'N/A');"
        ));
    }
    server.pull_until("SELECT * FROM MIGRATION_SCHEMA_VERSIONS;", std::time::Duration::from_secs(30), |rows| rows.len() == 2);
    succeeds(&project, &["validate"]);
    fs::write(
        project.join("migrations/V000002__second.sql"),
        "CREATE STREAM second (a INT) WITH (KAFKA_TOPIC='second', PARTITIONS=1, VALUE_FORMAT='JSON');",
    )
    .expect("written");
    let said = succeeds(&project, &["apply", "-n"]);
    assert!(said.contains("version 2"), "{said}");
    assert!(server.ksql("SHOW STREAMS;").to_string().contains("SECOND"));
}
