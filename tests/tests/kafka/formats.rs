//! Confluent's serializers on both sides of the server, with a registry that is not ours and with its own.

use tidemill_engine::formats::by_name;
use tidemill_tests::apicurio;
use tidemill_tests::broker::{self, BrokerError};
use tidemill_tests::python;
use tidemill_tests::server::ServerProcess;

/// The formats with a registry that confluent-kafka has.
fn formats() -> Vec<&'static str> {
    ["AVRO", "PROTOBUF", "JSON_SR"].into_iter().filter(|name| by_name(name).is_some()).collect()
}

/// Runs the conversions; `registry`: another's, else the server's own.
fn converts(test: &str, registry: Option<&str>, prefix: &str) {
    let Some(bootstrap) = broker::shared(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = format!("{prefix}_");
    let mut environment = vec![("KSQL_KSQL_SERVICE_ID", service.as_str())];
    environment.extend(registry.map(|url| ("KSQL_KSQL_SCHEMA_REGISTRY_URL", url)));
    let server = ServerProcess::start_in(&folder.path().join("data"), &["--bootstrap-servers", &bootstrap], &environment);
    let (formats, own) = (formats(), format!("http://{}", server.address()));
    match python::formats(&bootstrap, &own, registry.unwrap_or(&own), &formats, prefix) {
        Ok(said) => assert!(said.starts_with(&format!("ok: {}", formats.len().pow(2))), "{said}"),
        Err(BrokerError::Missing(reason)) => broker::skipped(test, &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}\n{}", server.log()),
    }
    assert_eq!(server.terminate(), Some(0), "SIGTERM ends a server cleanly");
}

#[test]
fn confluents_serializers_read_what_is_written_and_write_what_is_read() {
    let test = "confluents_serializers_read_what_is_written_and_write_what_is_read";
    let Some(registry) = apicurio::shared(test) else { return };
    converts(test, Some(&registry), "foreign");
}

#[test]
fn confluents_serializers_work_with_the_servers_own_registry() {
    converts("confluents_serializers_work_with_the_servers_own_registry", None, "own");
}
