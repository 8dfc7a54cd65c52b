//! Secrets that the server is given: they do their work, and appear nowhere.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tidemill_tests::registry_double::{Manner, RegistryDouble};
use tidemill_tests::server::{ServerProcess, exchange};
use tidemill_tests::token_service::{BEGINNING, CLIENT, SECRET, TokenService};

const PATIENCE: Duration = Duration::from_secs(60);

/// Planted, each by another way and under another property.
const SECRETS: [&str; 8] = [
    "Pl4nted-by-file",
    "Pl4nted-by-key",
    "Pl4nted-by-env",
    "Pl4nted-by-dir",
    "Pl4nted-in-clear",
    "Pl4nted-by-provider",
    "Pl4nted-in-a-login",
    "Pl4nted-of-a-client",
];

/// Every file below a folder that holds one of the secrets.
fn found_below(folder: &Path, secrets: &[&str], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found_below(&path, secrets, found);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        found.extend(secrets.iter().filter(|secret| holds(secret)).map(|secret| format!("{secret} in {}", path.display())));
    }
}

/// No secret was heard, and none is kept in the folder of a server that has ended.
fn assert_unheard(heard: &str, folder: &Path, secrets: &[&str]) {
    for secret in secrets {
        let around = heard.find(secret).map(|at| {
            let bytes = &heard.as_bytes()[at.saturating_sub(200)..(at + 50).min(heard.len())];
            String::from_utf8_lossy(bytes).into_owned()
        });
        assert_eq!(around, None, "{secret} was heard");
    }
    let mut found = Vec::new();
    found_below(folder, secrets, &mut found);
    assert_eq!(found, [""; 0]);
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
        format!(
            "sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=\"me\" clientSecret=\"{}\";",
            SECRETS[6]
        ),
        format!("sasl.oauthbearer.client.credentials.client.secret={}", SECRETS[7]),
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
    assert!(heard.contains("[hidden]"), "SHOW PROPERTIES hides them");
    assert_eq!(server.terminate(), Some(0));
    // Nor in the command topic, or anywhere else that is kept.
    assert_unheard(&heard, &data, &SECRETS);
}

/// A property that sessions may set is hidden as well where its value stands elsewhere; what a session sets itself is its own to see.
/// What sessions have goes into the command topic, so nothing that was fetched may be among it but numbers and words of a list.
#[test]
fn fetched_values_do_not_go_into_the_command_topic() {
    const PLANTED: &str = "pl4nted-";
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("server.properties"), folder.path().join("data"));
    let from_a_file = folder.path().join("planted");
    std::fs::write(&from_a_file, PLANTED).expect("written");
    let arguments = ["--config", &file.display().to_string()];
    // It does its work where it is none of a session's, and what is fetched for a session is hidden.
    let fetched = format!(
        "ksql.functions.mine.key=${{file:{}}}\nksql.streams.auto.offset.reset=${{env:RESET}}\nksql.functions.collect_list.limit=${{env:LIMIT}}\n",
        from_a_file.display()
    );
    std::fs::write(&file, &fetched).expect("written");
    let environment = [("RESET", "earliest"), ("LIMIT", "2")];
    let server = ServerProcess::start_in(&data, &arguments, &environment);
    let shown = |overrides: serde_json::Value| {
        let body = json!({"ksql": "SHOW PROPERTIES;", "streamsProperties": overrides});
        let answer: serde_json::Value =
            serde_json::from_str(&server.request("POST", "/ksql", Some(&body)).expect("an answer").1).expect("JSON");
        let properties = answer[0]["properties"].as_array().expect("properties").clone();
        let listed = properties.iter().find(|p| p["name"] == "ksql.streams.auto.offset.reset").cloned();
        listed.expect("the property")["value"].as_str().map(str::to_owned)
    };
    assert_eq!(shown(json!({})), Some("[hidden]".to_owned()));
    assert_eq!(shown(json!({"auto.offset.reset": "latest"})), Some("latest".to_owned()));
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    for n in 0..4 {
        server.ksql(&format!("INSERT INTO s (k, n) VALUES ('a', {n});"));
    }
    server.ksql("CREATE TABLE t AS SELECT k, COLLECT_LIST(n) AS ns FROM s GROUP BY k;");
    let rows =
        server.pull_until("SELECT * FROM t;", PATIENCE, |rows| rows.len() == 1 && rows[0][1].as_array().is_some_and(|n| n.len() == 2));
    assert_eq!(rows, [json!(["a", [0, 1]])]);
    let extended = server.ksql("SHOW QUERIES EXTENDED;").to_string();
    assert!(extended.contains("CTAS_T") && !extended.contains("earliest"), "{extended}");
    // A text of a session is refused in a word, and by its property.
    for (name, reference) in [
        ("ksql.output.topic.name.prefix", "${env:HOME}".to_owned()),
        ("ksql.dead.letter.topic", format!("${{file:{}}}", from_a_file.display())),
    ] {
        let refused = folder.path().join("refused.properties");
        std::fs::write(&refused, format!("{name}={reference}\n")).expect("written");
        let other = folder.path().join("other");
        let (code, said) = ServerProcess::start_refused(&other, &["--config", &refused.display().to_string()]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("{name} can't be fetched")) && said.contains("the command topic"), "{said}");
        assert!(said.contains("refused.properties line 1") && !said.contains(PLANTED), "{said}");
    }
    let heard = server.log() + &extended;
    assert_eq!(server.terminate(), Some(0));
    // The command topic is among the files, and holds the statement.
    let mut held = Vec::new();
    found_below(&data, &["COLLECT_LIST"], &mut held);
    assert!(!held.is_empty());
    assert_unheard(&heard, &data, &[PLANTED]);
}

/// Logins at a schema registry that answers well, refuses them, or misbehaves.
#[test]
fn the_credentials_of_a_registry_appear_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = RegistryDouble::start(Manner::Good);
    let with_login = registry.url().replace("http://", "http://me:Pl4nted-in-a-url@");
    let coded = ["me:Pl4nted-in-a-url", "me:Pl4nted-info"].map(|login| STANDARD.encode(login));
    let secrets = ["Pl4nted-in-a-url", "Pl4nted-info", "Pl4nted-bearer", coded[0].as_str(), coded[1].as_str()];
    let url = |url: &str| format!("ksql.schema.registry.url={url}\n");
    for (name, lines) in [
        ("url", url(&with_login) + "ksql.schema.registry.basic.auth.credentials.source=URL\n"),
        (
            "info",
            url(&registry.url())
                + "ksql.schema.registry.basic.auth.credentials.source=USER_INFO\nksql.schema.registry.basic.auth.user.info=me:Pl4nted-info\n",
        ),
        (
            "bearer",
            url(&registry.url())
                + "ksql.schema.registry.bearer.auth.credentials.source=STATIC_TOKEN\nksql.schema.registry.bearer.auth.token=Pl4nted-bearer\n",
        ),
    ] {
        registry.behave(Manner::Good);
        let file = folder.path().join("server.properties");
        std::fs::write(&file, lines + "tidemill.schema.registry.timeout.ms=500\n").expect("written");
        let data = folder.path().join(name);
        let server = ServerProcess::start_in(&data, &["--config", &file.display().to_string()], &[("TIDEMILL_LOG", "trace")]);
        server.ksql("CREATE STREAM a (k STRING KEY, v STRING) WITH (KAFKA_TOPIC='a', PARTITIONS=1, VALUE_FORMAT='AVRO');");
        let mut heard = String::new();
        for manner in [Manner::Good, Manner::Unauthorized, Manner::Html, Manner::Broken, Manner::HangsUp, Manner::Redirecting] {
            registry.behave(manner);
            for sql in [
                "INSERT INTO a (k, v) VALUES ('k', 'v');",
                "CREATE STREAM b (k STRING KEY) WITH (KAFKA_TOPIC='b', PARTITIONS=1, VALUE_FORMAT='AVRO');",
                "SHOW PROPERTIES;",
                "SHOW QUERIES EXTENDED;",
            ] {
                heard += &server.request("POST", "/ksql", Some(&json!({ "ksql": sql }))).expect("an answer").1;
            }
        }
        for path in ["/metrics", "/healthcheck", "/info", "/status"] {
            heard += &server.request("GET", path, None).expect("an answer").1;
        }
        heard += &server.log();
        assert!(heard.contains("rejects the credentials"), "{name}: {heard}");
        assert_eq!(server.terminate(), Some(0));
        assert_unheard(&heard, &data, &secrets);
    }
}

/// Files of users, tokens and keys, whole ones and ones that are spoiled while the server runs.
#[test]
fn what_files_of_users_and_keys_hold_appears_nowhere() {
    const KEY: &str = "Pl4nted-key-of-thirty-two-bytes-and-more";
    const TOKEN: &str = "Pl4nted-token-of-many-letters";
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("written");
    write("users", "anna: Pl4nted-user,admin\n");
    write("tokens", &format!("ci: {TOKEN},read\n"));
    write("key", KEY);
    write(
        "server.properties",
        &format!(
            "authentication.method=BASIC\ntidemill.auth.users.file={}\ntidemill.auth.tokens.file={}\ntidemill.auth.jwt.key.file={}\n\
             tidemill.auth.jwt.audience=tidemill\n",
            at("users").display(),
            at("tokens").display(),
            at("key").display()
        ),
    );
    let data = at("data");
    let arguments = ["--config".to_owned(), at("server.properties").display().to_string()];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = ServerProcess::start_in(&data, &arguments, &[("TIDEMILL_LOG", "trace")]);
    let mut heard = String::new();
    // {"alg":"HS256"}, {"sub":"Pl4nted"}, and no signature of ours.
    let forged = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJQbDRudGVkIn0.Pl4nted-signature";
    let mut ask = |authorization: &str| {
        let answer = exchange(server.address(), "GET", "/info", &[("Authorization", authorization)], b"").expect("an answer");
        heard += &(answer.head + &answer.body);
        answer.status
    };
    assert_eq!([ask(&format!("Bearer {TOKEN}")), ask(&format!("Bearer {forged}"))], [200, 401]);
    // Spoiled: each with a secret where it can't be read.
    write("users", "anna: Pl4nted-user,admin\nbob: CRYPT:Pl4nted-hash,admin\n");
    write("tokens", &format!("ci: {TOKEN},read\nshort: Pl4nted,read\n"));
    write("key", "-----BEGIN PUBLIC KEY-----\nPl4nted-in-a-key\n-----END PUBLIC KEY-----\n");
    for what in ["users", "tokens", "keys of tokens"] {
        until(&server, what, || server.log().contains(&format!("{what} can't be read again")));
    }
    assert_eq!(ask(&format!("Bearer {TOKEN}")), 200);
    heard += &server.log();
    assert_eq!(server.terminate(), Some(0));
    assert_unheard(&heard, &data, &["Pl4nted", TOKEN, KEY, forged]);
}

/// Waits until it is so.
fn until(server: &ServerProcess, what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "{what}: {}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Logins by tokens, of a server whose Kafka is away: what they are made of is used again and again, and fails each time.
#[test]
fn the_secrets_and_tokens_of_a_login_appear_nowhere() {
    const HANDLED: &str = "sasl.login.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler";
    let folder = tempfile::tempdir().expect("a folder");
    let service = TokenService::start(Duration::from_secs(600));
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "Pl4nted-token.of-no.kind").expect("written");
    let jaas =
        |options: &str| format!("sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required {options};");
    let url = |url: &str| format!("sasl.oauthbearer.token.endpoint.url={url}");
    let given = || service.given() > 0;
    let (by_properties, by_jaas, by_file) = (
        vec![
            url(&format!("{}?key=Pl4nted-in-a-url", service.url())),
            format!("sasl.oauthbearer.client.credentials.client.id={CLIENT}"),
            format!("sasl.oauthbearer.client.credentials.client.secret={SECRET}"),
        ],
        vec![url(&service.url()), jaas(&format!("clientId=\"{CLIENT}\" clientSecret=\"Pl4nted-and-wrong\""))],
        vec![url(&format!("file://{}", token_file.display())), HANDLED.to_owned(), jaas("")],
    );
    let coded = STANDARD.encode(format!("{CLIENT}:{SECRET}"));
    let secrets = [SECRET, coded.as_str(), BEGINNING, "Pl4nted-in-a-url", "Pl4nted-and-wrong", "Pl4nted-token"];
    let file = folder.path().join("server.properties");
    for (name, lines) in [("properties", by_properties), ("jaas", by_jaas), ("file", by_file)] {
        let common = "bootstrap.servers=127.0.0.1:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n";
        std::fs::write(&file, common.to_owned() + &lines.join("\n")).expect("written");
        let data = folder.path().join(name);
        let server = ServerProcess::begin_in(&data, &["--config", &file.display().to_string()], &[("TIDEMILL_LOG", "trace")]);
        match name {
            "properties" => until(&server, "a token is fetched", given),
            "jaas" => until(&server, "the login is refused", || server.log().contains("refuses the login")),
            _ => until(&server, "the file is read", || server.log().contains(&token_file.display().to_string())),
        }
        let mut heard = String::new();
        for (method, path, body) in [
            ("GET", "/info", None),
            ("GET", "/healthcheck", None),
            ("GET", "/metrics", None),
            ("POST", "/ksql", Some(json!({"ksql": "SHOW PROPERTIES;"}))),
        ] {
            until(&server, path, || server.request(method, path, body.as_ref()).is_ok());
            heard += &server.request(method, path, body.as_ref()).expect("an answer").1;
        }
        heard += &server.log();
        drop(server);
        assert_unheard(&heard, &data, &secrets);
    }
}

/// Passwords and tokens that clients show, right ones and wrong ones.
#[test]
fn what_clients_say_who_they_are_by_appears_nowhere() {
    const PASSWORDS: [&str; 4] = ["Pl4nted-right", "Pl4nted-wrong", "Pl4nted.bearer.token", "Pl4nted-in-a-query"];
    let folder = tempfile::tempdir().expect("a folder");
    let (users, file) = (folder.path().join("users"), folder.path().join("server.properties"));
    std::fs::write(&users, format!("anna: {},admin\n", PASSWORDS[0])).expect("written");
    std::fs::write(&file, format!("authentication.method=BASIC\ntidemill.auth.users.file={}\n", users.display())).expect("written");
    let data = folder.path().join("data");
    let environment = [("TIDEMILL_LOG", "trace")];
    let server = ServerProcess::start_in(&data, &["--config", &file.display().to_string()], &environment);
    let coded = |password: &str| STANDARD.encode(format!("anna:{password}"));
    let (right, wrong) = (coded(PASSWORDS[0]), coded(PASSWORDS[1]));
    let mut heard = String::new();
    for (authorization, expected) in [
        (format!("Basic {right}"), 200),
        (format!("Basic {wrong}"), 401),
        (format!("Basic {}!", PASSWORDS[1]), 401),
        (format!("Bearer {}", PASSWORDS[2]), 401),
        (format!("Negotiate {}", PASSWORDS[2]), 401),
    ] {
        for (method, path, body) in [
            ("POST", "/ksql", json!({"ksql": "SHOW PROPERTIES; SHOW QUERIES EXTENDED;"}).to_string()),
            ("GET", "/metrics", String::new()),
            ("GET", "/status", String::new()),
        ] {
            let began = Instant::now();
            let answer = loop {
                let answer =
                    exchange(server.address(), method, path, &[("Authorization", &authorization)], body.as_bytes()).expect("an answer");
                if answer.status != 503 || began.elapsed() > PATIENCE {
                    break answer;
                }
            };
            assert_eq!(answer.status, expected, "{path}: {}", answer.body);
            heard += &(answer.head + &answer.body);
        }
    }
    let query = format!("/info?access_token={}", PASSWORDS[3]);
    heard += &exchange(server.address(), "GET", &query, &[], b"").expect("an answer").body;
    heard += &server.log();
    assert_eq!(server.terminate(), Some(0));
    assert_unheard(&heard, &data, &[&PASSWORDS[..], &[&right, &wrong]].concat());
}

/// Secrets in statements and in what comes with them. Who sends them may, but for its own request: nobody hears of them again.
#[test]
fn what_clients_send_in_statements_appears_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start_in(&data, &[], &[("TIDEMILL_LOG", "trace")]);
    server.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let mut heard = String::new();
    let mut say = |path: &str, body: serde_json::Value| {
        let (status, answer) = server.request("POST", path, Some(&body)).expect("an answer");
        heard += &answer;
        heard += "\n";
        (status, answer)
    };
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"me\" password=\"Pl4nted\";";
    // Read and refused, and what can't even be read.
    for sql in [
        "ALTER SYSTEM 'sasl.password'='Pl4nted';".to_owned(),
        "ALTER SYSTEM 'ksql.streams.ssl.key.password'='Pl4nted';".to_owned(),
        "ALTER SYSTEM 'no.such.property'='Pl4nted' now;".to_owned(),
        "ALTER SYSTEM 'sasl.password'='Pl4nted;".to_owned(),
        "ALTER SYSTEM 'sasl.password' TO 'Pl4nted';".to_owned(),
        "ALTER SYSTM 'sasl.password'='Pl4nted';".to_owned(),
        "EXPLAIN ALTER SYSTEM 'sasl.password'='Pl4nted';".to_owned(),
        "SET 'sasl.password'='Pl4nted';".to_owned(),
        "SET 'sasl.password'='Pl4nted' now;".to_owned(),
        "SET 'sasl.password'=\"Pl4nted\";".to_owned(),
        format!("SET 'sasl.jaas.config'='{login}';"),
        "SET 'ssl.key.password'='Pl4nted'; SHOW PROPERTIES;".to_owned(),
        "SET 'ksql.schema.registry.basic.auth.user.info'='me:Pl4nted'; SHOW PROPERTIES;".to_owned(),
        "SET 'ksql.schema.registry.url'='http://me:Pl4nted@127.0.0.1:1'; SHOW PROPERTIES;".to_owned(),
        "CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', 'password'='Pl4nted');".to_owned(),
        "CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', 'password'='Pl4nted' now);".to_owned(),
        "CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', 'password'='Pl4nted'".to_owned(),
        "DEFINE pw='Pl4nted'; CREATE SOURCE CONNECTOR c WITH ('connector.class'='X', 'password'='${pw}');".to_owned(),
        "DEFINE pw='Pl4nted'; SET 'sasl.password'='${pw}';".to_owned(),
    ] {
        let (status, answer) = say("/ksql", json!({ "ksql": sql }));
        assert!(status == 400 || status == 500 || answer.contains("[hidden]") || answer.starts_with('['), "{sql}: {status} {answer}");
        assert!(!answer.contains("Pl4nted"), "{sql}: {answer}");
    }
    // What a function of one's own is given goes with the session, and into no statement that lasts.
    for (name, value) in [
        ("sasl.password", "Pl4nted"),
        ("ksql.streams.sasl.password", "Pl4nted"),
        ("ssl.keystore.password", "Pl4nted"),
        ("sasl.jaas.config", login),
        ("ksql.schema.registry.basic.auth.user.info", "me:Pl4nted"),
        ("ksql.schema.registry.url", "http://me:Pl4nted@127.0.0.1:1"),
        ("ksql.functions.mine.key", "Pl4nted"),
        ("no.such.password", "Pl4nted"),
    ] {
        for sql in [
            "SHOW PROPERTIES;",
            "CREATE OR REPLACE STREAM t AS SELECT * FROM s;",
            "EXPLAIN SELECT * FROM s EMIT CHANGES;",
            "INSERT INTO s (k, n) VALUES ('a', 1);",
            "SHOW QUERIES EXTENDED;",
            "SELEC nonsense;",
        ] {
            say("/ksql", json!({ "ksql": sql, "streamsProperties": { name: value } }));
        }
        let (_, answer) = say(
            "/query-stream",
            json!({ "sql": "SELECT * FROM s EMIT CHANGES LIMIT 1;", "properties": { name: value, "auto.offset.reset": "earliest" } }),
        );
        assert!(!answer.is_empty());
        say("/query-stream", json!({ "sql": "SELECT * FROM s;", "properties": { name: value } }));
        say("/query-stream", json!({ "sql": "SELECT n FROM s GROUP BY n;", "properties": { name: value } }));
    }
    // Of variables only their own request hears.
    for sql in ["SHOW STREAMS;", "SELEC nonsense;"] {
        say("/ksql", json!({ "ksql": sql, "sessionVariables": { "pw": "Pl4nted" } }));
    }
    // Values of rows are the client's: it may be told of its own mistake, but no log is.
    let mut told = String::new();
    for value in ["7777777777", "77777777777777777777777", "'Pl4nted'", "7777777777.5"] {
        let body = json!({ "ksql": format!("INSERT INTO s (k, n) VALUES ('Pl4nted', {value});") });
        let (status, answer) = server.request("POST", "/ksql", Some(&body)).expect("an answer");
        assert_eq!(status, 400, "{value}: {answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
        heard += answer["statementText"].as_str().unwrap_or_default();
        told += &answer.to_string();
    }
    assert!(told.contains("7777777777"), "{told}");
    for path in ["/metrics", "/info", "/status"] {
        heard += &server.request("GET", path, None).expect("an answer").1;
    }
    heard += &server.log();
    assert_eq!(server.terminate(), Some(0));
    assert_unheard(&heard, &data, &["Pl4nted", "7777777"]);
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
        (
            "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\nbootstrap.servers=127.0.0.1:1\n\
             sasl.oauthbearer.token.endpoint.url=https://me:Pl4nted@id.example/token"
                .to_owned(),
            "server.properties line 5: sasl.oauthbearer.token.endpoint.url holds a name or a password",
        ),
    ] {
        std::fs::write(&file, format!("# mine\n{line}\n")).expect("written");
        let data = folder.path().join("data");
        let _ = std::fs::remove_file(data.with_extension("log"));
        let (code, log) = ServerProcess::start_refused(&data, &["--config", &file.display().to_string()]);
        assert!(code == Some(1) && log.contains(expected) && !log.contains("Pl4nted"), "{line}: {log}");
    }
}
