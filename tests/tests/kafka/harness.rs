//! The harness itself: a broker answers, survives a stop and a kill with its port and data, and leaves nothing behind.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use tidemill_tests::broker;

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
