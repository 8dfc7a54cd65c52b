//! What an administrator does to topics of a running Kafka.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

fn client(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).set("log_level", "0").create().expect("an administrating client")
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Gives a topic more partitions.
///
/// # Panics
/// Where the broker refuses.
pub fn grow_topic(bootstrap: &str, topic: &str, partitions: usize) {
    let wanted = [NewPartitions::new(topic, partitions)];
    let done = wait(client(bootstrap).create_partitions(&wanted, &AdminOptions::new()));
    assert!(done.as_ref().is_ok_and(|results| results.iter().all(Result::is_ok)), "{done:?}");
}

/// Sets one property of a topic; its others go back to the defaults.
///
/// # Panics
/// Where the broker refuses.
pub fn configure_topic(bootstrap: &str, topic: &str, name: &str, value: &str) {
    let wanted = [AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value)];
    let done = wait(client(bootstrap).alter_configs(&wanted, &AdminOptions::new()));
    assert!(done.as_ref().is_ok_and(|results| results.iter().all(Result::is_ok)), "{done:?}");
}

/// Deletes the records of a partition before an offset, as its retention would.
///
/// # Panics
/// Where the broker refuses.
pub fn delete_records(bootstrap: &str, topic: &str, partition: i32, before: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
    let done = wait(client(bootstrap).delete_records(&offsets, &AdminOptions::new()));
    assert!(done.is_ok(), "{done:?}");
}
