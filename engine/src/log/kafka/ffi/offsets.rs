//! Offsets: first, last and by time; and the committed ones of consumer groups that have no members here.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::admin::Answers;
use super::{Client, c_string, each, failure_of, slice_of, text_of, timed_out};
use crate::log::kafka::errors::Failure;
use crate::log::{Offset, TopicPartition};

/// Stands for "nothing committed" in librdkafka's lists.
const NO_OFFSET: i64 = rd::RD_KAFKA_OFFSET_INVALID as i64;

/// A group's partitions with the next offset to read of each.
#[derive(Debug, Clone, Copy)]
pub struct GroupCommit<'a> {
    pub group: &'a str,
    pub offsets: &'a BTreeMap<TopicPartition, Offset>,
}

/// A list of partitions for a call.
struct List(NonNull<rd::rd_kafka_topic_partition_list_t>);

impl List {
    fn new<'a>(partitions: impl Iterator<Item = (&'a TopicPartition, i64)>) -> Result<List, Failure> {
        // SAFETY: allocates; freed in Drop.
        let list = NonNull::new(unsafe { rd::rd_kafka_topic_partition_list_new(partitions.size_hint().0.try_into().unwrap_or(0)) });
        let list = List(list.ok_or_else(super::last_error)?);
        for (partition, offset) in partitions {
            let topic = c_string(&partition.topic)?;
            // SAFETY: the list is valid; the name is copied; the returned element is valid until the list grows.
            unsafe {
                let element = rd::rd_kafka_topic_partition_list_add(list.0.as_ptr(), topic.as_ptr(), partition.partition);
                (*element).offset = offset;
            }
        }
        Ok(list)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) };
    }
}

/// An element of an answer's list, copied.
struct Element {
    topic: String,
    partition: i32,
    offset: i64,
    code: i32,
}

impl Element {
    /// # Safety
    /// The element must be valid.
    unsafe fn of(element: *const rd::rd_kafka_topic_partition_t) -> Element {
        // SAFETY: as the caller says; the code is read as a number because a broker may send any.
        unsafe {
            Element {
                topic: text_of((*element).topic),
                partition: (*element).partition,
                offset: (*element).offset,
                code: (&raw const (*element).err).cast::<i32>().read(),
            }
        }
    }

    fn is_for(&self, partition: &TopicPartition) -> bool {
        self.partition == partition.partition && *self.topic == *partition.topic
    }

    fn failure(&self) -> Option<Failure> {
        let failure = Failure::of_code(self.code)?;
        Some(Failure { text: format!("partition {} of '{}': {}", self.partition, self.topic, failure.text), ..failure })
    }
}

/// Asks for offsets that a reader of committed records meets: `-2` the first, `-1` one past the last, else the first at or after a time in milliseconds, which
/// is `-1` again where there is none. In the order of the partitions.
pub fn list_offsets(client: &Arc<Client>, partitions: &[TopicPartition], at: i64, timeout: Duration) -> Result<Vec<i64>, Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout)?;
    let list = List::new(partitions.iter().map(|partition| (partition, at)))?;
    // SAFETY: the list is copied by the call; infos live as long as the answer and are copied.
    let elements: Vec<Element> = unsafe {
        // The last is that of what can be read: behind it lie open transactions.
        let error = rd::rd_kafka_AdminOptions_set_isolation_level(
            answers.options(),
            rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        );
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
        }
        rd::rd_kafka_ListOffsets(answers.rk(), list.0.as_ptr(), answers.options(), answers.queue());
        let answer = answers.only()?;
        let mut count = 0;
        let infos = rd::rd_kafka_ListOffsets_result_infos(rd::rd_kafka_event_ListOffsets_result(answer.event()), &raw mut count);
        slice_of(infos, count).iter().map(|info| Element::of(rd::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))).collect()
    };
    in_order(partitions, &elements).map(|found| found.map(|element| element.offset)).collect()
}

/// The committed offsets of a group, in the order of the partitions; `None` where the group has none, never for want of
/// an answer. Asks the broker that coordinates the group.
pub fn committed(
    client: &Arc<Client>,
    broker: i32,
    group: &str,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<Vec<Option<Offset>>, Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout)?.of_broker(broker);
    let list = List::new(partitions.iter().map(|partition| (partition, NO_OFFSET)))?;
    let group = c_string(group)?;
    // SAFETY: group and list are copied into the request, which the call copies and which is freed here; groups and
    // partitions live as long as the answer and are copied.
    let elements: Vec<Element> = unsafe {
        // An offset of a transaction that is not settled yet is an error, not the offset before it.
        let error = rd::rd_kafka_AdminOptions_set_require_stable_offsets(answers.options(), 1);
        if !error.is_null() {
            rd::rd_kafka_error_destroy(error);
        }
        let request = rd::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list.0.as_ptr());
        rd::rd_kafka_ListConsumerGroupOffsets(answers.rk(), [request].as_mut_ptr(), 1, answers.options(), answers.queue());
        rd::rd_kafka_ListConsumerGroupOffsets_destroy(request);
        let answer = answers.only()?;
        let mut count = 0;
        let result = rd::rd_kafka_event_ListConsumerGroupOffsets_result(answer.event());
        let groups = rd::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut count);
        group_elements(slice_of(groups, count))?
    };
    in_order(partitions, &elements).map(|found| found.map(|element| (element.offset >= 0).then_some(Offset(element.offset)))).collect()
}

/// Commits offsets for several groups at once, each at the broker that coordinates it; the results are in their order.
/// A group with live members elsewhere refuses.
pub fn commit(client: &Arc<Client>, groups: &[(i32, GroupCommit<'_>)], timeout: Duration) -> Result<Vec<Result<(), Failure>>, Failure> {
    let mut results: Vec<Result<(), Failure>> = groups.iter().map(|_| Err(timed_out())).collect();
    let mut answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout)?;
    let mut asked = 0;
    for (index, (broker, GroupCommit { group, offsets })) in groups.iter().enumerate() {
        let list = List::new(offsets.iter().map(|(partition, offset)| (partition, offset.0)))?;
        let group = c_string(group)?;
        answers = answers.of_broker(*broker);
        // SAFETY: as in `committed`; options are copied too; the opaque is only a number.
        unsafe {
            rd::rd_kafka_AdminOptions_set_opaque(answers.options(), std::ptr::without_provenance_mut(index));
            let request = rd::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), list.0.as_ptr());
            rd::rd_kafka_AlterConsumerGroupOffsets(answers.rk(), [request].as_mut_ptr(), 1, answers.options(), answers.queue());
            rd::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
        }
        asked += 1;
    }
    for _ in 0..asked {
        let answer = answers.next()?;
        // SAFETY: the event is valid; groups and partitions live as long as it does.
        let (index, result) = unsafe {
            let index = rd::rd_kafka_event_opaque(answer.event()).addr();
            let result = match answer.failure() {
                Some(failure) => Err(failure),
                None => {
                    let mut count = 0;
                    let result = rd::rd_kafka_event_AlterConsumerGroupOffsets_result(answer.event());
                    let groups = rd::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut count);
                    group_elements(slice_of(groups, count))
                        .and_then(|elements| elements.iter().find_map(Element::failure).map_or(Ok(()), Err))
                }
            };
            (index, result)
        };
        if let Some(slot) = results.get_mut(index) {
            *slot = result;
        }
    }
    Ok(results)
}

/// The partitions of all groups of an answer.
///
/// # Safety
/// The groups must be valid.
unsafe fn group_elements(groups: &[*const rd::rd_kafka_group_result_t]) -> Result<Vec<Element>, Failure> {
    let mut elements = Vec::new();
    for group in groups {
        // SAFETY: as the caller says.
        unsafe {
            if let Some(failure) = failure_of(rd::rd_kafka_group_result_error(*group)) {
                return Err(failure);
            }
            let list = rd::rd_kafka_group_result_partitions(*group);
            if !list.is_null() {
                elements.extend(each((*list).elems, (*list).cnt).map(|element| Element::of(element)));
            }
        }
    }
    Ok(elements)
}

/// The element of each partition, or its failure.
fn in_order<'a>(partitions: &'a [TopicPartition], elements: &'a [Element]) -> impl Iterator<Item = Result<&'a Element, Failure>> {
    partitions.iter().map(|partition| match elements.iter().find(|element| element.is_for(partition)) {
        Some(element) => element.failure().map_or(Ok(element), Err),
        None => Err(Failure::new(
            rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTIAL,
            format!("no answer for partition {} of '{}'", partition.partition, partition.topic),
        )),
    })
}

/// Deletes the records before an offset of each partition; those that are gone already are no failure.
pub fn delete_records(client: &Arc<Client>, before: &[(TopicPartition, Offset)], timeout: Duration) -> Result<(), Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout)?;
    let list = List::new(before.iter().map(|(partition, offset)| (partition, offset.0)))?;
    // SAFETY: the list is valid and copied into the request, which is copied by the call and freed here.
    unsafe {
        let request = rd::rd_kafka_DeleteRecords_new(list.0.as_ptr());
        rd::rd_kafka_DeleteRecords(answers.rk(), [request].as_mut_ptr(), 1, answers.options(), answers.queue());
        rd::rd_kafka_DeleteRecords_destroy(request);
    }
    answers.only().map(|_| ())
}
