//! The server's own schema registry on a real broker: the topic is made when it is needed, compacted, and read by whoever comes
//! after; what another writer put there is seen.

use std::sync::Arc;

use tidemill_engine::clock::SystemClock;
use tidemill_engine::log::{Log, OutRecord};
use tidemill_engine::registry::own::{Deleted, NewSchema, OwnRegistry, VersionId};
use tidemill_engine::registry::{SchemaId, SchemaKind, SchemaRegistry};
use tidemill_tests::broker;

use crate::support::log_on;

fn open(log: &Arc<dyn Log>, topic: &str) -> OwnRegistry {
    OwnRegistry::open(log.clone(), Arc::new(SystemClock), topic, 1).expect("opens")
}

#[test]
fn schemas_live_in_a_compacted_topic() {
    let Some(bootstrap) = broker::shared("schemas_live_in_a_compacted_topic") else { return };
    let log: Arc<dyn Log> = Arc::new(log_on(&bootstrap));
    let topic = format!("schemas-{}", std::process::id());
    let first = open(&log, &topic);
    assert!(log.describe_topic(&topic).expect("answers").is_none(), "nothing was registered");
    let avro = |text: &str| NewSchema::new(SchemaKind::Avro, text);
    let register = |registry: &OwnRegistry, subject: &str, text: &str| registry.register(subject, &avro(text), false).map(|found| found.id);
    assert_eq!(register(&first, "a-value", "\"int\""), Ok(1));
    assert_eq!(register(&first, "a-value", "\"long\""), Ok(2));
    let found = log.describe_topic(&topic).expect("answers").expect("is there");
    assert_eq!((found.partitions, found.config.get("cleanup.policy").map(String::as_str)), (1, Some("compact")));
    // A second server, and a program of Confluent's, write beside it.
    let second = open(&log, &topic);
    assert_eq!(second.versions("a-value", Deleted::Exclude), Ok(vec![1, 2]));
    assert_eq!(register(&second, "b-value", "\"float\""), Ok(3));
    let (handle, _) = log.topic(&topic).expect("is there");
    let key = br#"{"keytype":"SCHEMA","subject":"c-value","version":1,"magic":1}"#;
    let value = br#"{"subject":"c-value","version":1,"id":7,"schema":"\"bytes\"","deleted":false}"#;
    log.append(handle, OutRecord { partition: 0, timestamp: 1, key: Some(key), value: Some(value), headers: &[] }).expect("written");
    assert!(SchemaRegistry::by_id(&first, SchemaId(7)).is_ok());
    assert_eq!(register(&first, "d-value", "\"double\""), Ok(8));
    first.delete_version("a-value", VersionId::Latest, false).expect("deletes");
    let third = open(&log, &topic);
    assert_eq!(third.schemas(":*:", true, false), first.schemas(":*:", true, false));
    assert_eq!(third.subjects("", Deleted::Exclude), ["a-value", "b-value", "c-value", "d-value"]);
    log.delete_topic(&topic).expect("goes");
}
