//! From outside, with nothing of ours but the server: Python's confluent-kafka writes and reads the topics.

use tidemill_tests::broker::{self, BrokerError};
use tidemill_tests::python;
use tidemill_tests::server::ServerProcess;

#[test]
fn another_client_gets_what_the_server_makes_of_its_records() {
    let test = "another_client_gets_what_the_server_makes_of_its_records";
    let Some(bootstrap) = broker::shared(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let server = ServerProcess::start(&data, &["--bootstrap-servers", &bootstrap]);
    match python::drive(&bootstrap, &format!("http://{}", server.address())) {
        Ok(said) => assert!(said.starts_with("ok: "), "{said}"),
        Err(BrokerError::Missing(reason)) => broker::skipped(test, &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}\n{}", server.log()),
    }
    assert_eq!(server.terminate(), Some(0), "SIGTERM ends a server cleanly");
}
