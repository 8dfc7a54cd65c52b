//! Secrets that the server is given: they do their work, and appear nowhere.

use std::path::Path;

use serde_json::json;
use tidemill_tests::server::ServerProcess;

/// Planted, each by another way and under another property.
const SECRETS: [&str; 6] =
    ["Pl4nted-by-file", "Pl4nted-by-key", "Pl4nted-by-env", "Pl4nted-by-dir", "Pl4nted-in-clear", "Pl4nted-by-provider"];

/// Every file below a folder that holds one of the secrets.
fn found_below(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found_below(&path, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        found.extend(SECRETS.iter().filter(|secret| holds(secret)).map(|secret| format!("{secret} in {}", path.display())));
    }
}

#[test]
fn planted_secrets_appear_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    std::fs::write(secrets.join("whole"), SECRETS[0]).expect("written");
    std::fs::write(secrets.join("keys"), format!("password={}\nother={}\n", SECRETS[1], SECRETS[5])).expect("written");
    std::fs::write(secrets.join("of-dir"), SECRETS[3]).expect("written");
    let at = |name: &str| secrets.join(name).display().to_string();
    let file = folder.path().join("server.properties");
    let lines = [
        "config.providers=vault".to_owned(),
        "config.providers.vault.class=org.apache.kafka.common.config.provider.FileConfigProvider".to_owned(),
        format!("ksql.schema.registry.basic.auth.user.info=user:${{file:{}}}", at("whole")),
        "ksql.schema.registry.basic.auth.credentials.source=USER_INFO".to_owned(),
        "ksql.schema.registry.url=http://127.0.0.1:1".to_owned(),
        "tidemill.schema.registry.timeout.ms=300".to_owned(),
        format!("ksql.functions.mine.key=${{file:{}}}", at("keys:password")),
        "sasl.password=${env:PLANTED}".to_owned(),
        format!("ksql.streams.ssl.key.password=${{dir:{}:of-dir}}", secrets.display()),
        format!("ssl.keystore.password={}", SECRETS[4]),
        // A name that does not sound like a secret.
        format!("ksql.hidden.topics=${{vault:{}}}", at("keys:other")),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let arguments = ["--config".to_owned(), file.display().to_string()];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let environment = [("PLANTED", SECRETS[2]), ("TIDEMILL_LOG", "trace")];
    let data = folder.path().join("data");
    let server = ServerProcess::start_in(&data, &arguments, &environment);
    let mut heard = String::new();
    let mut say = |method: &str, path: &str, body: Option<&serde_json::Value>| {
        let (_, answer) = server.request(method, path, body).expect("an answer");
        heard += &answer;
    };
    for sql in [
        "CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');",
        "CREATE STREAM t AS SELECT * FROM s;",
        "INSERT INTO s (k, n) VALUES ('a', 1);",
        "SHOW PROPERTIES;",
        "SHOW QUERIES EXTENDED;",
        "SHOW STREAMS EXTENDED;",
        "DESCRIBE t EXTENDED;",
        "EXPLAIN SELECT * FROM s EMIT CHANGES;",
        "EXPLAIN CSAS_T_1;",
        "CREATE STREAM avro (n INT) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='AVRO');",
        "SET 'sasl.password'='x';",
        "SELEC nonsense;",
        "PRINT s FROM BEGINNING LIMIT 1;",
    ] {
        say("POST", "/ksql", Some(&json!({ "ksql": sql })));
    }
    for path in ["/metrics", "/info", "/status", "/is_valid_property/sasl.password", "/subjects", "/no/such"] {
        say("GET", path, None);
    }
    heard += &server.log();
    for secret in SECRETS {
        let around = heard.find(secret).map(|at| heard[at.saturating_sub(200)..(at + 50).min(heard.len())].to_owned());
        assert_eq!(around, None, "{secret} was heard");
    }
    assert!(heard.contains("[hidden]"), "SHOW PROPERTIES hides them");
    // Nor in the command topic, or anywhere else that is kept.
    assert_eq!(server.terminate(), Some(0));
    let mut found = Vec::new();
    found_below(&data, &mut found);
    assert_eq!(found, [""; 0]);
}

#[test]
fn what_is_not_there_stops_the_start_and_says_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("port"), "Pl4nted").expect("written");
    let file = folder.path().join("server.properties");
    for (line, expected) in [
        ("sasl.password=${file:/no/such}".to_owned(), "server.properties line 2: sasl.password: /no/such: "),
        ("sasl.password=${env:NO_SUCH_VARIABLE}".to_owned(), "line 2: sasl.password: the environment has no variable NO_SUCH_VARIABLE"),
        (format!("tidemill.workers=${{file:{}}}", folder.path().join("port").display()), "invalid value '[hidden]' of tidemill.workers"),
        ("config.providers.x.class=com.example.Vault".to_owned(), "Vault can't be used; FileConfigProvider"),
    ] {
        std::fs::write(&file, format!("# mine\n{line}\n")).expect("written");
        let data = folder.path().join("data");
        let _ = std::fs::remove_file(data.with_extension("log"));
        let (code, log) = ServerProcess::start_refused(&data, &["--config", &file.display().to_string()]);
        assert!(code == Some(1) && log.contains(expected) && !log.contains("Pl4nted"), "{line}: {log}");
    }
}
