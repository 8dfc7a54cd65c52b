//! Confluent's client for Python against our registry.

use tidemill_tests::broker::BrokerError;
use tidemill_tests::python;
use tidemill_tests::server::ServerProcess;

#[test]
fn confluents_client_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    match python::run_script("registry.py", &["--registry", &format!("http://{}", server.address())]) {
        Ok(said) => println!("{said}"),
        Err(BrokerError::Missing(why)) => println!("SKIPPED confluents_client_is_served: {why}"),
        Err(BrokerError::Failed(why)) => panic!("{why}\n{}", server.log()),
    }
}
