//! What this client's user may do with topics, as the brokers' ACLs have it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Answers;
use super::{Client, c_string, slice_of};
use crate::log::Operation;
use crate::log::kafka::errors::Failure;

/// The numbers of operations in Kafka's protocol.
const ALL: i32 = rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_ALL as i32;
const READ: i32 = rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ as i32;
const WRITE: i32 = rd::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE as i32;

/// Which of these operations the client may not carry out on a topic. Empty as well where the brokers do not say.
pub fn denied(client: &Arc<Client>, topic: &str, wanted: &[Operation], timeout: Duration) -> Result<Vec<Operation>, Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout)?;
    let name = c_string(topic)?;
    // SAFETY: the name outlives the calls; the collection is freed here, librdkafka copies it; what the result points at lives as
    // long as the answer. Operations are read as numbers, so one that these bindings do not know is none of theirs.
    unsafe {
        let refused = rd::rd_kafka_AdminOptions_set_include_authorized_operations(answers.options(), 1);
        if !refused.is_null() {
            rd::rd_kafka_error_destroy(refused);
            return Ok(Vec::new());
        }
        let topics = rd::rd_kafka_TopicCollection_of_topic_names([name.as_ptr()].as_mut_ptr(), 1);
        rd::rd_kafka_DescribeTopics(answers.rk(), topics, answers.options(), answers.queue());
        rd::rd_kafka_TopicCollection_destroy(topics);
        let answer = answers.only()?;
        let mut count = 0;
        let result = rd::rd_kafka_event_DescribeTopics_result(answer.event());
        if result.is_null() {
            return Ok(Vec::new());
        }
        let found = rd::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let Some(description) = slice_of(found, count).first().copied() else { return Ok(Vec::new()) };
        let mut count = 0;
        let allowed = rd::rd_kafka_TopicDescription_authorized_operations(description, &raw mut count);
        if allowed.is_null() || count == 0 {
            return Ok(Vec::new());
        }
        let allowed = std::slice::from_raw_parts(allowed.cast::<i32>(), count);
        let lacks = |operation: &Operation| {
            let number = match operation {
                Operation::Read => READ,
                Operation::Write => WRITE,
            };
            !allowed.contains(&number) && !allowed.contains(&ALL)
        };
        Ok(wanted.iter().copied().filter(lacks).collect())
    }
}
