//! Confluent's serializers and a registry that is not ours, on both sides of the server.

use tidemill_engine::formats::by_name;
use tidemill_tests::apicurio;
use tidemill_tests::broker::{self, BrokerError};
use tidemill_tests::python;
use tidemill_tests::server::ServerProcess;

/// The formats with a registry that confluent-kafka has.
fn formats() -> Vec<&'static str> {
    ["AVRO", "PROTOBUF", "JSON_SR"].into_iter().filter(|name| by_name(name).is_some()).collect()
}

#[test]
fn confluents_serializers_read_what_is_written_and_write_what_is_read() {
    let test = "confluents_serializers_read_what_is_written_and_write_what_is_read";
    let Some(bootstrap) = broker::shared(test) else { return };
    let Some(registry) = apicurio::shared(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let environment = [("KSQL_KSQL_SCHEMA_REGISTRY_URL", registry.as_str()), ("KSQL_KSQL_SERVICE_ID", "formats_")];
    let server = ServerProcess::start_in(&folder.path().join("data"), &["--bootstrap-servers", &bootstrap], &environment);
    let formats = formats();
    match python::formats(&bootstrap, &format!("http://{}", server.address()), &registry, &formats, "foreign") {
        Ok(said) => assert!(said.starts_with(&format!("ok: {}", formats.len().pow(2))), "{said}"),
        Err(BrokerError::Missing(reason)) => broker::skipped(test, &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}\n{}", server.log()),
    }
    assert_eq!(server.terminate(), Some(0), "SIGTERM ends a server cleanly");
}
