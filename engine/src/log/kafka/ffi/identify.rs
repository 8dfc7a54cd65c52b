//! DescribeTopics: the one request that tells topics' ids. It never makes a topic.

use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Answers;
use super::{Client, c_string, codes, slice_of, text_of};
use crate::log::kafka::errors::Failure;

/// A topic by its name.
#[derive(Debug, Clone)]
pub struct Named {
    pub name: String,
    /// Why the topic cannot be described: 0 where it can.
    pub code: i32,
    /// 0: the broker gives topics no ids.
    pub id: u128,
    pub partitions: u32,
}

/// Describes these topics, each of which is named once. At least one must be.
pub fn identify(client: &Arc<Client>, names: &[&str], timeout: Duration) -> Result<Vec<Named>, Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout)?;
    let names = names.iter().map(|name| c_string(name)).collect::<Result<Vec<CString>, Failure>>()?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: names and pointers outlive the calls; librdkafka copies the collection, which is freed here; the results live as
    // long as the answer and are copied. A topic's id is part of its description, and never null in one without an error.
    unsafe {
        let collection = rd::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        rd::rd_kafka_DescribeTopics(answers.rk(), collection, answers.options(), answers.queue());
        rd::rd_kafka_TopicCollection_destroy(collection);
        let answer = answers.only()?;
        let result = rd::rd_kafka_event_DescribeTopics_result(answer.event());
        let mut count = 0;
        let described = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let named = slice_of(described, count).iter().map(|topic| {
            let mut partitions = 0;
            rd::rd_kafka_TopicDescription_partitions(*topic, &raw mut partitions);
            Named {
                name: text_of(rd::rd_kafka_TopicDescription_name(*topic)),
                code: codes::rd_kafka_error_code(rd::rd_kafka_TopicDescription_error(*topic)),
                id: id_of(rd::rd_kafka_TopicDescription_topic_id(*topic)),
                partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            }
        });
        Ok(named.collect())
    }
}

/// # Safety
/// The id must be null or valid.
unsafe fn id_of(id: *const rd::rd_kafka_Uuid_t) -> u128 {
    if id.is_null() {
        return 0;
    }
    // SAFETY: valid as the caller says.
    let (high, low) = unsafe { (rd::rd_kafka_Uuid_most_significant_bits(id), rd::rd_kafka_Uuid_least_significant_bits(id)) };
    u128::from(high.cast_unsigned()) << 64 | u128::from(low.cast_unsigned())
}
