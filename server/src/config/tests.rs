//! Configurations as a whole: files, environments and flags together.

use std::path::PathBuf;

use tidemill_engine::engine::LogChoice;

use super::*;

fn built(properties: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
    properties.iter().fold(ConfigBuilder::new(), |b, (n, v)| b.set(n, v, "test")).build()
}

fn own(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn a_ksqldb_file_works() {
    let config = built(&[
        ("listeners", "http://0.0.0.0:8088"),
        ("ksql.service.id", "rec_"),
        ("bootstrap.servers", "PLAINTEXT://kafka:9092, other:9092"),
        ("ksql.streams.commit.interval.ms", "100"),
        ("ksql.streams.auto.offset.reset", "earliest"),
        ("ksql.streams.producer.delivery.timeout.ms", "2147483647"),
        ("ksql.streams.producer.max.block.ms", "9223372036854775807"),
        ("ksql.streams.producer.acks", "all"),
        ("ksql.internal.topic.replicas", "3"),
        ("ksql.internal.topic.min.insync.replicas", "2"),
        ("ksql.logging.processing.topic.replication.factor", "3"),
        ("ksql.logging.processing.topic.partitions", "2"),
        ("ksql.streams.replication.factor", "3"),
        ("ksql.streams.num.standby.replicas", "1"),
        ("ksql.streams.state.dir", "/var/lib/state"),
        ("ksql.query.persistent.active.limit", "5"),
        ("ksql.connect.url", "http://127.0.0.1:18083"),
    ])
    .expect("valid");
    assert_eq!(config.addresses(), ["0.0.0.0:8088"]);
    let engine = &config.engine;
    assert_eq!((engine.service_id.as_str(), engine.commit_interval_ms, engine.max_persistent_queries), ("rec_", 100, 5));
    assert_eq!((engine.command_topic_replicas, engine.command_topic_min_insync_replicas, engine.replicas), (3, 2, 3));
    assert_eq!((engine.processing_log_replicas, engine.processing_log_partitions), (3, 2));
    assert_eq!(engine.data_dir, PathBuf::from("/var/lib/state"));
    let LogChoice::Kafka { bootstrap_servers, client_properties } = &engine.log else { panic!("Kafka") };
    assert_eq!(bootstrap_servers, "kafka:9092,other:9092");
    assert_eq!(client_properties.get("producer.message.timeout.ms").map(String::as_str), Some("2147483647"));
    assert_eq!(engine.session_defaults.get("ksql.streams.auto.offset.reset").map(String::as_str), Some("earliest"));
    assert_eq!(config.warnings.len(), 2, "max.block.ms, standby: {:?}", config.warnings);
    assert_eq!(config.connect.as_ref().map(|connect| connect.shown()).as_deref(), Some("http://127.0.0.1:18083"));
    assert!(!format!("{config:?}").contains("18083"));
}

#[test]
fn a_later_source_stands_over_an_earlier_one_however_each_spells_it() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "ksql.streams.commit.interval.ms=1\nksql.streams.bootstrap.servers=file:9092\ncommit.interval.ms=2\nhost.name=x\nconnect.group.id=y\n")
        .expect("a file");
    let read = || ConfigBuilder::new().file(file.path()).expect("readable");
    let config = read().build().expect("valid");
    assert_eq!(config.engine.commit_interval_ms, 1, "within one file the longer name stands");
    assert!(config.warnings.iter().any(|w| w.contains("host.name") && w.contains("connect.group.id")), "{:?}", config.warnings);
    let variables = own(&[("KSQL_COMMIT_INTERVAL_MS", "7"), ("KSQL_KSQL_STREAMS_BOOTSTRAP_SERVERS", "env:9092")]);
    let config = read().env(variables).set("bootstrap.servers", "flag:9092", "--bootstrap-servers").build().expect("valid");
    assert_eq!(config.engine.commit_interval_ms, 7);
    assert!(matches!(&config.engine.log, LogChoice::Kafka { bootstrap_servers, .. } if bootstrap_servers == "flag:9092"));
}

#[test]
fn what_is_wrong_is_named() {
    for (name, value, expected) in [
        ("ksql.servce.id", "x", "test: unknown property 'ksql.servce.id'. Did you mean 'ksql.service.id'?"),
        (
            "ksql.streams.producer.ackss",
            "all",
            "unknown property 'ksql.streams.producer.ackss'. Did you mean 'ksql.streams.producer.acks'?",
        ),
        ("ksql.streams.commit.interval.ms", "soon", "invalid value 'soon' of ksql.streams.commit.interval.ms"),
        ("ksql.streams.producer.acks", "most", "String must be one of: all, -1, 0, 1"),
        ("sasl.mechanism", "GSSAPI", "PLAIN, SCRAM-SHA-256"),
        ("authentication.method", "BASIC", "test: authentication.method=BASIC needs tidemill.auth.users.file"),
        ("ksql.security.extension.class", "io.x.Ext", "the roles of users say"),
        ("enable.fips", "true", "can't be used"),
        ("listeners", "https://0.0.0.0:8088", "test: listeners: https needs a key and a certificate: ssl.keystore.location"),
        ("ssl.client.authentication", "REQUIRED", "no listener is https"),
        ("listeners", "0.0.0.0", "is not an address"),
        ("ksql.internal.topic.replicas", "3", "the embedded log keeps one copy of the command topic"),
        ("ksql.server.command.producer.bootstrap.servers", "other:9092", "on the same brokers"),
    ] {
        let error = built(&[(name, value)]).expect_err(name).0;
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn guarantees_have_ksqldbs_names_and_no_others() {
    for name in ["processing.guarantee", "ksql.streams.processing.guarantee"] {
        for value in ["at_least_once", "exactly_once", "exactly_once_beta", "exactly_once_v2"] {
            for servers in [&[][..], &[("bootstrap.servers", "kafka:9092")]] {
                built(&[&[(name, value)], servers].concat()).expect("a guarantee");
            }
        }
        let error = built(&[(name, "exactly_once_v3")]).expect_err("no such guarantee").0;
        assert!(error.contains(name) && error.contains("exactly_once_v3") && error.contains("at_least_once, exactly_once,"), "{error}");
    }
    let shown = |given: &[(&str, &str)]| built(given).expect("valid").engine.min_commit_interval_ms;
    assert_eq!(shown(&[("tidemill.commit.min.interval.ms", "25")]), Some(25));
    assert_eq!(shown(&[]), None);
}

#[test]
fn what_is_for_kafka_is_said_to_be_in_vain_without_it() {
    let config = built(&[("ksql.streams.producer.acks", "all"), ("security.protocol", "SSL")]).expect("valid");
    let [warning] = config.warnings.as_slice() else { panic!("{:?}", config.warnings) };
    assert!(warning.contains("ksql.streams.producer.acks, security.protocol") && warning.contains("bootstrap.servers"), "{warning}");
}

#[test]
fn encryption_is_not_lost_in_silence() {
    let over =
        |listeners: &str| built(&[("listeners", "http://h:1,https://h:2"), ("ssl.keystore.location", "/no"), ("listeners", listeners)]);
    let error = over("127.0.0.1:3").expect_err("plain").0;
    assert!(error.contains("write https://127.0.0.1:3, or http://127.0.0.1:3 if that is meant"), "{error}");
    let config = over("http://127.0.0.1:3").expect("said to be meant");
    assert!(config.warnings.iter().any(|warning| warning.contains("nothing is encrypted")), "{:?}", config.warnings);
    let error = over("https://127.0.0.1:3").expect_err("no such file").0;
    assert!(error.contains("ssl.keystore.location"), "{error}");
}

#[test]
fn clients_are_not_asked_in_contradiction() {
    for value in ["NONE", "REQUESTED"] {
        let asked = [("listeners", "https://h:2"), ("ssl.client.authentication", value), ("ssl.client.auth", "true")];
        let given = include_str!("../tls/testdata/given.pem");
        let store = [("ssl.keystore.certificate.chain", given), ("ssl.keystore.key", include_str!("../tls/testdata/given.key"))];
        let error = built(&[&asked[..], &store, &[("ssl.truststore.certificates", given)]].concat()).expect_err(value).0;
        assert!(error.contains(&format!("ssl.client.authentication={value} contradicts ssl.client.auth=true")), "{error}");
    }
}

#[test]
fn what_was_fetched_is_shown_to_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("value");
    std::fs::write(&file, "earliest").expect("written");
    let fetched = format!("${{file:{}}}", file.display());
    let set = [("ksql.streams.auto.offset.reset", fetched.as_str()), ("tidemill.rack", &fetched), ("ksql.service.id", "x")];
    let config = built(&set).expect("valid");
    for name in ["ksql.streams.auto.offset.reset", "auto.offset.reset", "tidemill.rack"] {
        assert_eq!(config.shown(name, "earliest"), "[hidden]", "{name}");
    }
    assert_eq!(config.shown("ksql.service.id", "x"), "x");
    // What stands over it was not fetched, however it is spelled.
    let config = built(&[&set[..], &[("auto.offset.reset", "latest")]].concat()).expect("valid");
    assert_eq!(config.shown("ksql.streams.auto.offset.reset", "latest"), "latest");
}

#[test]
fn what_functions_and_commands_would_pass_over_is_refused() {
    for name in ["ksql.functions.collect_list.limit", "ksql.functions.collect_set.limit"] {
        let error = built(&[(name, "many")]).expect_err(name).0;
        assert!(error.contains(name) && error.contains("Not a number"), "{error}");
        let config = built(&[(name, "-1")]).expect("valid");
        assert_eq!(config.overrides.check(name, "3"), Ok(()));
        let refused = config.overrides.check(name, "many").expect_err(name).message();
        assert!(refused.contains(name), "{refused}");
    }
    for name in ["ksql.output.topic.name.prefix", "ksql.dead.letter.topic"] {
        let error = built(&[(name, "${env:HOME}")]).expect_err(name).0;
        assert!(error.contains(&format!("{name} can't be fetched")) && error.contains("the command topic"), "{error}");
    }
}

#[test]
fn a_secret_is_in_no_error() {
    for (name, value) in [("sasl.jaas.config", "x.Krb5LoginModule required password=\"hush\";"), ("ssl.key.password", "hush")] {
        let set = [(name, value), ("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN"), ("bootstrap.servers", "k:1")];
        let shown = match built(&set) {
            Ok(config) => format!("{config:?} {:?} {:?}", config.warnings, config.engine),
            Err(error) => error.0,
        };
        assert!(!shown.contains("hush"), "{shown}");
    }
}

#[test]
fn the_environment_stands_over_the_file() {
    let variables = [
        ("KSQL_KSQL_SERVICE_ID", "image_"),
        ("KSQL_KSQL_OUTPUT_TOPIC_NAME_PREFIX", "out-"),
        ("TIDEMILL_KSQL_SERVICE_ID", "env_"),
        ("TIDEMILL_DATA_DIR", "/somewhere"),
        ("TIDEMILL_LISTENERS", "http://127.0.0.1:1"),
        ("TIDEMILL_KSQL_STREAMS_COMMIT_INTERVAL_MS", "7"),
        ("TIDEMILL_LOG", "debug"),
        ("PATH", "x"),
    ];
    let builder = ConfigBuilder::new().set("ksql.service.id", "file_", "f").env(own(&variables)).set("listeners", "h:2", "--listen");
    let config = builder.build().expect("valid");
    assert_eq!((config.engine.service_id.as_str(), config.engine.commit_interval_ms), ("env_", 7));
    assert_eq!(config.engine.session_defaults.get("ksql.output.topic.name.prefix").map(String::as_str), Some("out-"));
    assert_eq!(config.addresses(), ["h:2"]);
    assert_eq!(config.engine.data_dir, PathBuf::from("/somewhere"));
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn a_variable_that_is_no_property_is_named_and_does_no_harm() {
    let variables = [("TIDEMILL_NO_SUCH", "1"), ("KSQL_KSQL_SERVCE_ID", "x"), ("KSQL_HEAP_OPTS", "-Xmx3g"), ("KSQL_KSQL_CONNECT_URL", "")];
    let warnings = ConfigBuilder::new().env(own(&variables)).build().expect("valid").warnings.join("\n");
    for expected in [
        "TIDEMILL_NO_SUCH",
        "KSQL_KSQL_SERVCE_ID: no property is called 'ksql.servce.id'. Did you mean 'ksql.service.id'?",
        "KSQL_HEAP_OPTS",
    ] {
        assert!(warnings.contains(expected), "{warnings}");
    }
    assert_eq!(warnings.lines().count(), 3, "{warnings}");
    // One that is a property, and wrong, is as wrong as anywhere.
    assert!(ConfigBuilder::new().env(own(&[("KSQL_AUTHENTICATION_METHOD", "BASIC")])).build().is_err());
}

/// They go into the command topic with each statement.
#[test]
fn sessions_hold_no_secrets() {
    let secrets = [
        ("ksql.connect.url", "http://user:s3cret@127.0.0.1:1"),
        ("ksql.connect.ssl.keystore.password", "s3cret"),
        ("ksql.schema.registry.basic.auth.user.info", "user:s3cret"),
        ("ksql.functions.mine.password", "s3cret"),
    ];
    let builder = secrets.iter().fold(ConfigBuilder::new(), |builder, (name, value)| builder.set(name, value, "f"));
    let config = builder.set("ksql.functions.mine.limit", "7", "f").build().expect("valid");
    let held: Vec<_> = config.engine.session_defaults.iter().filter(|(_, value)| value.contains("s3cret")).collect();
    assert!(held.is_empty(), "{held:?}");
    assert_eq!(config.engine.session_defaults.get("ksql.functions.mine.limit").map(String::as_str), Some("7"));
}

/// What would be found wrong only when it is used, or never, stops the start by the property's own name.
#[test]
fn wrong_values_are_found_at_the_start_by_their_names() {
    for (name, value, expected) in [
        ("ksql.service.id", "a b", "invalid value 'a b' of ksql.service.id: It is part of topics' names"),
        ("ksql.output.topic.name.prefix", "a b", "of ksql.output.topic.name.prefix: It is part of"),
        ("ksql.logging.processing.topic.name", "a/b", "of ksql.logging.processing.topic.name: It is part of"),
        ("ksql.logging.processing.stream.name", "a`b", "of ksql.logging.processing.stream.name: A stream's name"),
        ("tidemill.schema.registry.topic", "a b", "of tidemill.schema.registry.topic: It is part of"),
        ("ksql.dead.letter.topic", "a b", "of ksql.dead.letter.topic: It is part of"),
        ("access.control.allow.origin", "notanorigin", "of access.control.allow.origin: 'notanorigin' is no origin"),
        ("access.control.allow.methods", "GET POST", "of access.control.allow.methods: 'GET POST'"),
        ("access.control.allow.headers", "a:b", "of access.control.allow.headers: 'a:b'"),
        ("authentication.skip.paths", "healthcheck", "of authentication.skip.paths: 'healthcheck' never matches"),
        ("authentication.roles", "ksql-user", "authentication.roles is set, and authentication.method is not"),
        (
            "listeners",
            "http://127.0.0.1:8088,http://localhost:8088",
            "test: listeners: 'localhost:8088' can't be listened on beside '127.0.0.1:8088': both have port 8088",
        ),
        ("listeners", "http://0.0.0.0:8088,https://127.0.0.1:8088", "test: listeners: '127.0.0.1:8088' can't be listened on"),
        (
            "tidemill.postgres.listen",
            "127.0.0.1:8088",
            "tidemill.postgres.listen: '127.0.0.1:8088' can't be listened on beside '127.0.0.1:8088' of listeners",
        ),
        ("ksql.advertised.listener", "ftp://a:1", "of ksql.advertised.listener: 'ftp' is not spoken here"),
        ("ksql.advertised.listener", "http://0.0.0.0:8088", "of ksql.advertised.listener: Nobody can reach"),
        ("tidemill.rack", "a\nb", "of tidemill.rack: It has letters"),
        ("bootstrap.servers", "kafka:port", "of bootstrap.servers: 'kafka:port' is no broker"),
        ("ksql.streams.replication.factor", "0", "of ksql.streams.replication.factor: Value must be -1, or a whole number"),
        ("ksql.internal.topic.replicas", "70000", "of ksql.internal.topic.replicas: Value must be a whole number from 1"),
        ("ksql.internal.topic.min.insync.replicas", "2", "ksql.internal.topic.min.insync.replicas=2"),
        ("ksql.hidden.topics", "a,(", "of ksql.hidden.topics: '(' is no pattern"),
        ("ksql.readonly.topics", "a,(", "of ksql.readonly.topics: '(' is no pattern"),
        ("ksql.persistence.default.format.value", "JASON", "of ksql.persistence.default.format.value: String must be one of: NONE, KAFKA"),
        ("ksql.streams.auto.offset.reset", "none", "'none' is not valid for this property"),
        ("ksql.streams.auto.offset.reset", "by_duration:PT1H", "Queries can't begin at a time"),
    ] {
        let error = built(&[(name, value)]).expect_err(name).0;
        assert!(error.contains(expected), "{name}={value}: {error}");
    }
    let both = [("bootstrap.servers", "k:9092"), ("ksql.internal.topic.replicas", "1"), ("ksql.internal.topic.min.insync.replicas", "2")];
    assert!(built(&both).expect_err("more than there are").0.contains("no statement would ever be taken"));
    assert!(built(&[("listeners", "http://127.0.0.1:0,http://127.0.0.1:0")]).is_ok(), "free ports are two");
    assert!(built(&[("authentication.roles", "**")]).is_ok());
    let denied = built(&[("ksql.properties.overrides.denylist", "ksql.streams.commit.interval.ms,ksql.sevice.id")]).expect("it starts");
    assert!(denied.warnings.iter().any(|warning| warning.contains("no property is called ksql.sevice.id")), "{:?}", denied.warnings);
}
