//! The harness itself: a broker answers, survives a stop and a kill with its port and data, and leaves nothing behind.

use std::process::Command;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use tidemill_tests::apicurio;
use tidemill_tests::broker::{self, BrokerError};
use tidemill_tests::python;

fn answers(bootstrap: &str) -> bool {
    let client: BaseProducer = ClientConfig::new().set("bootstrap.servers", bootstrap).set("log_level", "0").create().expect("a client");
    client.client().fetch_metadata(None, Duration::from_secs(10)).is_ok()
}

#[test]
fn a_broker_stops_and_starts_again_on_its_port() {
    let Some(mut broker) = broker::own("a_broker_stops_and_starts_again_on_its_port") else { return };
    let bootstrap = broker.bootstrap();
    assert!(answers(&bootstrap));
    let first = broker.pid().expect("a pid");
    broker.stop();
    assert_eq!(broker.pid(), None);
    assert!(std::net::TcpStream::connect(&bootstrap).is_err(), "nothing listens after a stop");
    broker.start_again().expect("the broker comes up again");
    assert_eq!(broker.bootstrap(), bootstrap);
    assert_ne!(broker.pid(), Some(first));
    broker.kill();
    broker.start_again().expect("the broker comes up after a kill");
    assert!(answers(&bootstrap));
}

#[test]
fn a_python_client_is_at_hand() {
    match python::interpreter() {
        Ok(python) => {
            let output = Command::new(python).args(["-c", "import confluent_kafka; print(confluent_kafka.libversion()[0])"]).output();
            assert!(output.expect("python runs").status.success());
        }
        Err(BrokerError::Missing(reason)) => broker::skipped("a_python_client_is_at_hand", &reason),
        Err(BrokerError::Failed(reason)) => panic!("{reason}"),
    }
}

#[test]
fn a_foreign_registry_starts_and_starts_again_empty() {
    let Some(mut registry) = apicurio::own("a_foreign_registry_starts_and_starts_again_empty") else { return };
    let url = registry.url();
    registry.kill();
    assert!(std::net::TcpStream::connect(("127.0.0.1", registry.port())).is_err(), "nothing listens after a kill");
    registry.start_again().expect("the registry comes up again");
    assert_eq!(registry.url(), url);
}
