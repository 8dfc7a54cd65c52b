//! The `environment` of ksqlDB's service as compose files commonly have it: each must start a server.

use tidemill_engine::engine::{LogChoice, RegistryChoice};

use super::{ConfigBuilder, ConfigError, ServerConfig};

/// As they stand in the YAML: one variable a line.
const BLOCKS: &[(&str, &str)] = &[
    (
        "the smallest",
        "KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_BOOTSTRAP_SERVERS: broker:9092",
    ),
    (
        "the quick start",
        "KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_BOOTSTRAP_SERVERS: broker:9092
        KSQL_KSQL_LOGGING_PROCESSING_STREAM_AUTO_CREATE: true
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_AUTO_CREATE: true",
    ),
    (
        "the platform's demo",
        "KSQL_CONFIG_DIR: /etc/ksql
        KSQL_BOOTSTRAP_SERVERS: broker:29092
        KSQL_HOST_NAME: ksqldb-server
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_CACHE_MAX_BYTES_BUFFERING: 0
        KSQL_KSQL_SCHEMA_REGISTRY_URL: http://schema-registry:8081
        KSQL_PRODUCER_INTERCEPTOR_CLASSES: io.confluent.monitoring.clients.interceptor.MonitoringProducerInterceptor
        KSQL_CONSUMER_INTERCEPTOR_CLASSES: io.confluent.monitoring.clients.interceptor.MonitoringConsumerInterceptor
        KSQL_KSQL_CONNECT_URL: http://connect:8083
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_REPLICATION_FACTOR: 1
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_AUTO_CREATE: 'true'
        KSQL_KSQL_LOGGING_PROCESSING_STREAM_AUTO_CREATE: 'true'",
    ),
    (
        "with Connect inside",
        "KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_BOOTSTRAP_SERVERS: broker:29092
        KSQL_KSQL_SERVICE_ID: ksql_docker
        KSQL_KSQL_SCHEMA_REGISTRY_URL: http://schema-registry:8081
        KSQL_KSQL_LOGGING_PROCESSING_STREAM_AUTO_CREATE: true
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_AUTO_CREATE: true
        KSQL_CONNECT_GROUP_ID: ksql-connect-cluster
        KSQL_CONNECT_BOOTSTRAP_SERVERS: broker:29092
        KSQL_CONNECT_KEY_CONVERTER: org.apache.kafka.connect.storage.StringConverter
        KSQL_CONNECT_VALUE_CONVERTER: io.confluent.connect.avro.AvroConverter
        KSQL_CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL: http://schema-registry:8081
        KSQL_CONNECT_CONFIG_STORAGE_TOPIC: ksql-connect-configs
        KSQL_CONNECT_OFFSET_STORAGE_TOPIC: ksql-connect-offsets
        KSQL_CONNECT_STATUS_STORAGE_TOPIC: ksql-connect-statuses
        KSQL_CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR: 1
        KSQL_CONNECT_OFFSET_STORAGE_REPLICATION_FACTOR: 1
        KSQL_CONNECT_STATUS_STORAGE_REPLICATION_FACTOR: 1
        KSQL_CONNECT_PLUGIN_PATH: /usr/share/kafka/plugins",
    ),
    (
        "with functions and options of the JVM",
        "KSQL_BOOTSTRAP_SERVERS: kafka:9092
        KSQL_LISTENERS: http://0.0.0.0:8088/
        KSQL_KSQL_EXTENSION_DIR: /usr/ksqldb/ext/
        KSQL_OPTS: -Dksql.cast.strings.preserve.nulls=true
        KSQL_HEAP_OPTS: -Xms1g -Xmx1g
        KSQL_JVM_PERFORMANCE_OPTS: -server -XX:+UseG1GC
        KSQL_JMX_OPTS: -Dcom.sun.management.jmxremote -Dcom.sun.management.jmxremote.port=10001
        KSQL_JMX_PORT: 10001
        KSQL_GC_LOG_OPTS: -Xlog:gc
        KSQL_LOG4J_OPTS: -Dlog4j.configuration=file:/etc/ksqldb/log4j.properties
        KSQL_LOG4J_ROOT_LOGLEVEL: WARN
        KSQL_LOG4J_LOGGERS: org.apache.kafka=ERROR
        KSQL_LOG4J_PROCESSING_LOG_BROKERLIST: kafka:9092
        KSQL_LOG4J_PROCESSING_LOG_TOPIC: ksql_processing_log
        KSQL_CLASSPATH: /usr/share/java/ksqldb-server/*",
    ),
    (
        "earliest, everywhere",
        "KSQL_BOOTSTRAP_SERVERS: PLAINTEXT://broker:29092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_KSQL_STREAMS_AUTO_OFFSET_RESET: earliest
        KSQL_AUTO_OFFSET_RESET: earliest
        KSQL_COMMIT_INTERVAL_MS: 2000
        KSQL_NUM_STREAM_THREADS: 4
        KSQL_KSQL_SINK_PARTITIONS: 1
        KSQL_KSQL_SINK_REPLICAS: 1
        KSQL_KSQL_COMMAND_TOPIC_REPLICATION_FACTOR: 2
        KSQL_KSQL_SINK_TOPIC_REPLICATION_FACTOR: 2",
    ),
    (
        "for three brokers",
        "KSQL_BOOTSTRAP_SERVERS: kafka1:9092,kafka2:9092,kafka3:9092
        KSQL_LISTENERS: http://0.0.0.0:8088,http://0.0.0.0:8089
        KSQL_KSQL_SERVICE_ID: orders_
        KSQL_KSQL_ADVERTISED_LISTENER: http://ksqldb-server-1:8088
        KSQL_KSQL_INTERNAL_LISTENER: http://0.0.0.0:8099
        KSQL_KSQL_INTERNAL_TOPIC_REPLICAS: 3
        KSQL_KSQL_INTERNAL_TOPIC_MIN_INSYNC_REPLICAS: 2
        KSQL_KSQL_STREAMS_REPLICATION_FACTOR: 3
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_REPLICATION_FACTOR: 3
        KSQL_KSQL_LOGGING_PROCESSING_ROWS_INCLUDE: true
        KSQL_KSQL_STREAMS_NUM_STANDBY_REPLICAS: 1
        KSQL_KSQL_HEARTBEAT_ENABLE: true
        KSQL_KSQL_LAG_REPORTING_ENABLE: true
        KSQL_KSQL_HEARTBEAT_SEND_INTERVAL_MS: 300
        KSQL_KSQL_HEARTBEAT_CHECK_INTERVAL_MS: 3000
        KSQL_KSQL_QUERY_PULL_ENABLE_STANDBY_READS: true
        KSQL_KSQL_QUERY_PULL_MAX_ALLOWED_OFFSET_LAG: 100
        KSQL_KSQL_STREAMS_STATE_DIR: /data/state",
    ),
    (
        "tuned for production",
        "KSQL_BOOTSTRAP_SERVERS: kafka:9092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_KSQL_STREAMS_PRODUCER_DELIVERY_TIMEOUT_MS: 2147483647
        KSQL_KSQL_STREAMS_PRODUCER_MAX_BLOCK_MS: 9223372036854775807
        KSQL_KSQL_STREAMS_PRODUCER_ACKS: all
        KSQL_KSQL_STREAMS_PRODUCER_COMPRESSION_TYPE: snappy
        KSQL_KSQL_STREAMS_PRODUCER_MAX_REQUEST_SIZE: 5242880
        KSQL_KSQL_STREAMS_PRODUCER_RETRIES: 2147483647
        KSQL_KSQL_STREAMS_CONSUMER_MAX_POLL_RECORDS: 500
        KSQL_KSQL_STREAMS_CONSUMER_MAX_POLL_INTERVAL_MS: 600000
        KSQL_KSQL_STREAMS_CONSUMER_SESSION_TIMEOUT_MS: 30000
        KSQL_KSQL_STREAMS_CONSUMER_MAX_PARTITION_FETCH_BYTES: 5242880
        KSQL_KSQL_STREAMS_TOPOLOGY_OPTIMIZATION: all
        KSQL_KSQL_STREAMS_ROCKSDB_CONFIG_SETTER: io.confluent.ksql.rocksdb.KsqlBoundedMemoryRocksDBConfigSetter
        KSQL_KSQL_STREAMS_PROCESSING_GUARANTEE: at_least_once
        KSQL_KSQL_QUERY_PERSISTENT_ACTIVE_LIMIT: 20
        KSQL_KSQL_QUERY_PULL_MAX_QPS: 1000
        KSQL_KSQL_QUERY_PULL_TABLE_SCAN_ENABLED: true
        KSQL_KSQL_IDLE_CONNECTION_TIMEOUT_SECONDS: 600
        KSQL_KSQL_MAX_PUSH_QUERIES: 200",
    ),
    (
        "a cloud's brokers",
        "KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_BOOTSTRAP_SERVERS: pkc-00000.eu-central-1.aws.confluent.cloud:9092
        KSQL_SECURITY_PROTOCOL: SASL_SSL
        KSQL_SASL_MECHANISM: PLAIN
        KSQL_SASL_JAAS_CONFIG: org.apache.kafka.common.security.plain.PlainLoginModule required username=\"KEY\" password=\"SECRET\";
        KSQL_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: https
        KSQL_KSQL_STREAMS_PRODUCER_RETRIES: 2147483647
        KSQL_KSQL_INTERNAL_TOPIC_REPLICAS: 3
        KSQL_KSQL_SINK_REPLICAS: 3
        KSQL_KSQL_STREAMS_REPLICATION_FACTOR: 3
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_REPLICATION_FACTOR: 3
        KSQL_KSQL_SCHEMA_REGISTRY_URL: https://psrc-00000.eu-central-1.aws.confluent.cloud
        KSQL_KSQL_SCHEMA_REGISTRY_BASIC_AUTH_CREDENTIALS_SOURCE: USER_INFO
        KSQL_KSQL_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO: KEY:SECRET
        KSQL_PRODUCER_CONFLUENT_MONITORING_INTERCEPTOR_SECURITY_PROTOCOL: SASL_SSL
        KSQL_PRODUCER_CONFLUENT_MONITORING_INTERCEPTOR_SASL_JAAS_CONFIG: org.x.PlainLoginModule required username=\"KEY\" password=\"SECRET\";
        KSQL_CONSUMER_CONFLUENT_MONITORING_INTERCEPTOR_SASL_MECHANISM: PLAIN
        KSQL_CONFLUENT_SUPPORT_METRICS_ENABLE: false",
    ),
    (
        "SCRAM, each client on its own",
        "KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_BOOTSTRAP_SERVERS: kafka:9093
        KSQL_KSQL_STREAMS_SECURITY_PROTOCOL: SASL_PLAINTEXT
        KSQL_KSQL_STREAMS_SASL_MECHANISM: SCRAM-SHA-256
        KSQL_KSQL_STREAMS_SASL_JAAS_CONFIG: org.apache.kafka.common.security.scram.ScramLoginModule required username='ksql' password='SECRET';
        KSQL_PRODUCER_SECURITY_PROTOCOL: SASL_PLAINTEXT
        KSQL_CONSUMER_SECURITY_PROTOCOL: SASL_PLAINTEXT",
    ),
    (
        "with a user interface in a browser",
        "KSQL_BOOTSTRAP_SERVERS: kafka:29092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_KSQL_SERVER_UI_ENABLED: 'false'
        KSQL_UI_ENABLED: 'false'
        KSQL_ACCESS_CONTROL_ALLOW_ORIGIN: '*'
        KSQL_ACCESS_CONTROL_ALLOW_METHODS: GET,POST,HEAD,OPTIONS
        KSQL_ACCESS_CONTROL_ALLOW_HEADERS: Content-Type,Accept,Authorization",
    ),
    (
        "of an old image",
        "KSQL_BOOTSTRAP_SERVERS: kafka:29092
        KSQL_APPLICATION_ID: ksql-app
        KSQL_ZOOKEEPER_CONNECT: zookeeper:2181
        KSQL_KSQL_SERVICE_ID: confluent_standalone_1_
        KSQL_CUB_KAFKA_TIMEOUT: 120
        KSQL_SCHEMA_REGISTRY_URL: http://schema-registry:8081
        KSQL_CONFLUENT_METRICS_REPORTER_BOOTSTRAP_SERVERS: kafka:29092
        KSQL_METRIC_REPORTERS: io.confluent.metrics.reporter.ConfluentMetricsReporter
        KSQL_KSQL_QUERIES_FILE: /home/appuser/queries.sql
        KSQL_KSQL_FAIL_ON_DESERIALIZATION_ERROR: 'false'
        KSQL_KSQL_VARIABLE_SUBSTITUTION_ENABLE: 'true'",
    ),
    (
        "left empty by the shell",
        "KSQL_BOOTSTRAP_SERVERS: kafka:9092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_KSQL_SCHEMA_REGISTRY_URL:
        KSQL_SASL_MECHANISM:
        KSQL_SECURITY_PROTOCOL:
        KSQL_KSQL_STREAMS_NUM_STREAM_THREADS: ''",
    ),
    (
        "with a slip",
        "KSQL_BOOTSTRAP_SERVERS: kafka:9092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_SERVICE_ID: mine_
        KSQL_KSQL_STREAMS_REPLICATION_FACTORS: 1
        KSQL_STREAMS_BOOTSTRAP_SERVERS: kafka:9092
        KSQL_KSQL_STREAMS_PRODUCER_LINGERS_MS: 5",
    ),
    (
        "the bus of another broker",
        "KSQL_BOOTSTRAP_SERVERS: redpanda:29092
        KSQL_LISTENERS: http://0.0.0.0:8088
        KSQL_KSQL_LOGGING_PROCESSING_STREAM_AUTO_CREATE: \"true\"
        KSQL_KSQL_LOGGING_PROCESSING_TOPIC_AUTO_CREATE: \"true\"
        KSQL_KSQL_OUTPUT_TOPIC_NAME_PREFIX: ksql-
        KSQL_KSQL_PERSISTENCE_DEFAULT_FORMAT_KEY: JSON
        KSQL_KSQL_PERSISTENCE_DEFAULT_FORMAT_VALUE: JSON
        KSQL_KSQL_HIDDEN_TOPICS: ^_.*
        KSQL_KSQL_SUPPRESS_ENABLED: \"true\"
        KSQL_KSQL_ACCESS_VALIDATOR_ENABLE: \"auto\"
        KSQL_KSQL_FUNCTIONS_COLLECT_LIST_LIMIT: 10
        KSQL_KSQL_UDFS_ENABLED: \"true\"
        KSQL_KSQL_UDF_COLLECT_METRICS: \"true\"
        KSQL_KSQL_SERVER_INSTALL_DIR: /usr",
    ),
];

/// The variables of a block, quotes taken off as YAML does.
fn variables(block: &str) -> Vec<(String, String)> {
    let unquoted = |value: &str| {
        let quoted = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q)?.strip_suffix(q));
        quoted.unwrap_or(value).to_owned()
    };
    let lines = block.lines().filter_map(|line| line.trim().split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), unquoted(value.trim()))).collect()
}

fn built(block: &str) -> Result<ServerConfig, ConfigError> {
    ConfigBuilder::new().env(variables(block)).build()
}

#[test]
fn the_environment_of_every_compose_file_starts_a_server() {
    for (name, block) in BLOCKS {
        let config = built(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        let LogChoice::Kafka { bootstrap_servers, .. } = &config.engine.log else { panic!("{name}: it names brokers") };
        assert!(!bootstrap_servers.contains("//"), "{name}: {bootstrap_servers}");
        let warned = config.warnings.join("\n");
        assert!(!warned.contains("SECRET"), "{name}: {warned}");
        let names_registry = block.contains("KSQL_KSQL_SCHEMA_REGISTRY_URL: http");
        assert_eq!(matches!(config.engine.registry, RegistryChoice::Given(_)), names_registry, "{name}");
        let url = variables(block).into_iter().find(|(variable, _)| variable == "KSQL_KSQL_CONNECT_URL").map(|(_, url)| url);
        let asked = config.connect.as_ref().map(crate::connect::ConnectConfig::shown);
        assert_eq!(asked, Some(url.unwrap_or_else(|| "http://localhost:8083".to_owned())), "{name}");
        let said = warned.matches("They start Kafka Connect inside").count();
        assert_eq!(
            said,
            usize::from(variables(block).iter().any(|(variable, _)| variable.starts_with("KSQL_CONNECT_"))),
            "{name}: {warned}"
        );
    }
}

#[test]
fn what_they_say_is_done() {
    let block = |wanted: &str| BLOCKS.iter().find(|(name, _)| *name == wanted).map(|(_, block)| *block).expect("a block");
    let config = built(block("for three brokers")).expect("starts");
    assert_eq!(config.addresses(), ["0.0.0.0:8088", "0.0.0.0:8089"]);
    assert_eq!(config.advertised.as_deref(), Some("http://ksqldb-server-1:8088"));
    assert_eq!((config.engine.command_topic_replicas, config.engine.replicas), (3, 3));
    assert_eq!(config.engine.data_dir.display().to_string(), "/data/state");

    let clients = |wanted: &str| match built(block(wanted)).expect("starts").engine.log {
        LogChoice::Kafka { client_properties, .. } => client_properties,
        LogChoice::Embedded => panic!("{wanted}"),
    };
    let production = clients("tuned for production");
    for (name, value) in [
        ("producer.acks", "all"),
        ("producer.compression.type", "snappy"),
        ("producer.message.max.bytes", "5242880"),
        ("consumer.max.partition.fetch.bytes", "5242880"),
    ] {
        assert_eq!(production.get(name).map(String::as_str), Some(value), "{name}");
    }
    for (wanted, user, mechanism) in [("a cloud's brokers", "KEY", "PLAIN"), ("SCRAM, each client on its own", "ksql", "SCRAM-SHA-256")] {
        let found = clients(wanted);
        assert_eq!(found.get("sasl.username").map(String::as_str), Some(user), "{wanted}");
        assert_eq!(found.get("sasl.password").map(String::as_str), Some("SECRET"), "{wanted}");
        assert_eq!(found.get("sasl.mechanism").map(String::as_str), Some(mechanism), "{wanted}");
    }
    let slip = built(block("with a slip")).expect("starts").warnings.join("\n");
    assert!(slip.contains("KSQL_SERVICE_ID: no property is called 'service.id'"), "{slip}");
}

/// What asks for a protection that is not there does not start, wherever it stands.
#[test]
fn a_protection_that_is_not_there_is_refused() {
    for (line, expected) in [
        ("KSQL_AUTHENTICATION_METHOD: BASIC", "tidemill.auth.users.file"),
        ("KSQL_KSQL_AUTHENTICATION_PLUGIN_CLASS: io.confluent.ksql.security.VertxBearerOrBasicAuthenticationPlugin", "Java classes"),
        ("KSQL_KSQL_SECURITY_EXTENSION_CLASS: io.confluent.ksql.security.KsqlConfluentSecurityExtension", "the roles of users"),
        ("KSQL_SSL_CLIENT_AUTHENTICATION: REQUIRED", "no listener is https"),
        ("KSQL_LISTENERS: https://0.0.0.0:8089", "ssl.keystore.location"),
        ("KSQL_SASL_MECHANISM: GSSAPI", "SCRAM-SHA-256"),
        ("KSQL_KSQL_METASTORE_BACKUP_LOCATION: /backup", "not copied"),
    ] {
        let error = built(&format!("KSQL_BOOTSTRAP_SERVERS: kafka:9092\n{line}")).expect_err(line).0;
        assert!(error.contains(expected), "{line}: {error}");
    }
}
