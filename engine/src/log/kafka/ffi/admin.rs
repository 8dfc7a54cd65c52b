//! The admin requests for topics and groups, each waited for on a queue of its own, and cluster metadata.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as rd;

use super::codes::{self, NO_ERROR};
use super::{Client, c_string, done, each, failure, failure_of, last_error, millis, slice_of, text_of, timed_out};
use crate::log::TopicSpec;
use crate::log::kafka::errors::Failure;

/// How long after the request's own timeout its answer may still come from librdkafka, seconds.
const ANSWER_GRACE_S: u64 = 5;

/// A topic as the cluster's metadata shows it.
#[derive(Debug, Clone)]
pub struct TopicMetadata {
    pub name: String,
    pub partitions: u32,
    pub replicas: u16,
    /// The broker that leads each partition; negative where none does.
    pub leaders: Vec<i32>,
    /// Why the topic cannot be described: 0 where it can.
    pub code: i32,
}

impl TopicMetadata {
    /// Whether every partition has a leader.
    pub fn has_leaders(&self) -> bool {
        !self.leaders.is_empty() && self.leaders.iter().all(|leader| *leader >= 0)
    }
}

/// An answer to admin requests. The queue goes with it.
pub(super) struct Answers {
    queue: NonNull<rd::rd_kafka_queue_t>,
    options: NonNull<rd::rd_kafka_AdminOptions_t>,
    /// The queue belongs to this client.
    client: Arc<Client>,
    timeout: Duration,
}

/// One answer; what is read from it must be copied before it goes.
pub(super) struct Answer(NonNull<rd::rd_kafka_event_t>);

impl Answers {
    /// Prepares requests of one kind.
    pub(super) fn to(client: &Arc<Client>, operation: rd::rd_kafka_admin_op_t, timeout: Duration) -> Result<Answers, Failure> {
        client.is_reachable()?;
        // SAFETY: the client is valid; both objects are freed in Drop.
        let (queue, options) = unsafe { (rd::rd_kafka_queue_new(client.rk()), rd::rd_kafka_AdminOptions_new(client.rk(), operation)) };
        let (Some(queue), Some(options)) = (NonNull::new(queue), NonNull::new(options)) else { return Err(last_error()) };
        let answers = Answers { queue, options, client: Arc::clone(client), timeout };
        let mut text = [0 as c_char; super::ERROR_TEXT_BYTES];
        // SAFETY: the options are valid and the buffer outlives the calls. The second call only fits requests that the
        // controller completes over time, and is refused for others, which does no harm.
        unsafe {
            rd::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), millis(timeout), text.as_mut_ptr(), text.len());
            rd::rd_kafka_AdminOptions_set_operation_timeout(options.as_ptr(), millis(timeout), text.as_mut_ptr(), text.len());
        }
        Ok(answers)
    }

    /// Asks this broker, by its id.
    pub(super) fn of_broker(self, broker: i32) -> Answers {
        let mut text = [0 as c_char; super::ERROR_TEXT_BYTES];
        // SAFETY: the options are valid and the buffer outlives the call.
        unsafe { rd::rd_kafka_AdminOptions_set_broker(self.options.as_ptr(), broker, text.as_mut_ptr(), text.len()) };
        self
    }

    pub(super) fn rk(&self) -> *mut rd::rd_kafka_t {
        self.client.rk()
    }

    pub(super) fn options(&self) -> *mut rd::rd_kafka_AdminOptions_t {
        self.options.as_ptr()
    }

    pub(super) fn queue(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// Waits for the next answer.
    pub(super) fn next(&self) -> Result<Answer, Failure> {
        let timeout = self.timeout + Duration::from_secs(ANSWER_GRACE_S);
        // SAFETY: the queue is valid; the event is ours.
        let event = unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), millis(timeout)) };
        NonNull::new(event).map(Answer).ok_or_else(timed_out)
    }

    /// The one answer of one request; the request's own failure is an error.
    pub(super) fn only(&self) -> Result<Answer, Failure> {
        let answer = self.next()?;
        answer.failure().map_or(Ok(answer), Err)
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        // SAFETY: made in `to`, freed once, while the client lives.
        unsafe {
            rd::rd_kafka_AdminOptions_destroy(self.options.as_ptr());
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

impl Answer {
    pub(super) fn event(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        // SAFETY: the event is valid.
        unsafe {
            let code = codes::rd_kafka_event_error(self.event());
            (code != NO_ERROR).then(|| Failure::raw(code, text_of(rd::rd_kafka_event_error_string(self.event()))))
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: ours since the poll, freed once.
        unsafe { rd::rd_kafka_event_destroy(self.event()) };
    }
}

/// Creates a topic.
pub fn create_topic(client: &Arc<Client>, spec: &TopicSpec, timeout: Duration) -> Result<(), Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout)?;
    let name = c_string(&spec.name)?;
    let partitions = i32::try_from(spec.partitions).unwrap_or(i32::MAX);
    let mut text = [0 as c_char; super::ERROR_TEXT_BYTES];
    // SAFETY: strings and buffer outlive the calls; librdkafka copies the new topic, which is freed here; the results
    // live as long as the answer.
    unsafe {
        let topic = rd::rd_kafka_NewTopic_new(name.as_ptr(), partitions, copies(spec.replicas), text.as_mut_ptr(), text.len());
        if topic.is_null() {
            return Err(Failure::new(rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__INVALID_ARG, super::buffer_text(&text)));
        }
        let configured = configure(topic, &spec.config);
        if configured.is_ok() {
            rd::rd_kafka_CreateTopics(answers.rk(), [topic].as_mut_ptr(), 1, answers.options(), answers.queue());
        }
        rd::rd_kafka_NewTopic_destroy(topic);
        configured?;
        let answer = answers.only()?;
        let mut count = 0;
        let results = rd::rd_kafka_CreateTopics_result_topics(rd::rd_kafka_event_CreateTopics_result(answer.event()), &raw mut count);
        topic_results(slice_of(results, count))
    }
}

/// # Safety
/// The topic must be valid.
unsafe fn configure(topic: *mut rd::rd_kafka_NewTopic_t, config: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, value) in config {
        let (name, value) = (c_string(name)?, c_string(value)?);
        // SAFETY: the topic is valid as the caller says; the strings are copied.
        unsafe { rd::rd_kafka_NewTopic_set_config(topic, name.as_ptr(), value.as_ptr()) };
    }
    Ok(())
}

/// Deletes a topic.
pub fn delete_topic(client: &Arc<Client>, name: &str, timeout: Duration) -> Result<(), Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout)?;
    let name = c_string(name)?;
    // SAFETY: the name outlives the call; librdkafka copies the request, which is freed here; the results live as long
    // as the answer.
    unsafe {
        let topic = rd::rd_kafka_DeleteTopic_new(name.as_ptr());
        rd::rd_kafka_DeleteTopics(answers.rk(), [topic].as_mut_ptr(), 1, answers.options(), answers.queue());
        rd::rd_kafka_DeleteTopic_destroy(topic);
        let answer = answers.only()?;
        let mut count = 0;
        let results = rd::rd_kafka_DeleteTopics_result_topics(rd::rd_kafka_event_DeleteTopics_result(answer.event()), &raw mut count);
        topic_results(slice_of(results, count))
    }
}

/// The first failure among results for topics.
///
/// # Safety
/// The results must be valid.
unsafe fn topic_results(results: &[*const rd::rd_kafka_topic_result_t]) -> Result<(), Failure> {
    for result in results {
        // SAFETY: valid as the caller says.
        unsafe {
            let code = codes::rd_kafka_topic_result_error(*result);
            if code != NO_ERROR {
                let text = text_of(rd::rd_kafka_topic_result_error_string(*result));
                return Err(if text.is_empty() { failure(code) } else { Failure::raw(code, text) });
            }
        }
    }
    Ok(())
}

/// How a request says it: -1 leaves it to the broker.
fn copies(replicas: u16) -> i32 {
    if replicas == 0 { -1 } else { i32::from(replicas) }
}

/// A topic's configuration, defaults included.
pub fn topic_config(client: &Arc<Client>, name: &str, timeout: Duration) -> Result<BTreeMap<String, String>, Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout)?;
    let name = c_string(name)?;
    let mut config = BTreeMap::new();
    // SAFETY: the name outlives the call; librdkafka copies the request, which is freed here; resources and entries
    // live as long as the answer and are copied.
    unsafe {
        let resource = rd::rd_kafka_ConfigResource_new(rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, name.as_ptr());
        rd::rd_kafka_DescribeConfigs(answers.rk(), [resource].as_mut_ptr(), 1, answers.options(), answers.queue());
        rd::rd_kafka_ConfigResource_destroy(resource);
        let answer = answers.only()?;
        let result = rd::rd_kafka_event_DescribeConfigs_result(answer.event());
        let mut count = 0;
        let resources = rd::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        for resource in slice_of(resources, count) {
            let code = codes::rd_kafka_ConfigResource_error(*resource);
            if code != NO_ERROR {
                return Err(Failure::raw(code, text_of(rd::rd_kafka_ConfigResource_error_string(*resource))));
            }
            let mut count = 0;
            let entries = rd::rd_kafka_ConfigResource_configs(*resource, &raw mut count);
            for entry in slice_of(entries, count) {
                let value = rd::rd_kafka_ConfigEntry_value(*entry);
                if !value.is_null() {
                    config.insert(text_of(rd::rd_kafka_ConfigEntry_name(*entry)), text_of(value));
                }
            }
        }
    }
    Ok(config)
}

/// Deletes a consumer group with its offsets, at the broker that coordinates it.
pub fn delete_group(client: &Arc<Client>, broker: i32, group: &str, timeout: Duration) -> Result<(), Failure> {
    let answers = Answers::to(client, rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DELETEGROUPS, timeout)?.of_broker(broker);
    let group = c_string(group)?;
    // SAFETY: as in `delete_topic`.
    unsafe {
        let request = rd::rd_kafka_DeleteGroup_new(group.as_ptr());
        rd::rd_kafka_DeleteGroups(answers.rk(), [request].as_mut_ptr(), 1, answers.options(), answers.queue());
        rd::rd_kafka_DeleteGroup_destroy(request);
        let answer = answers.only()?;
        let mut count = 0;
        let results = rd::rd_kafka_DeleteGroups_result_groups(rd::rd_kafka_event_DeleteGroups_result(answer.event()), &raw mut count);
        slice_of(results, count).iter().find_map(|result| failure_of(rd::rd_kafka_group_result_error(*result))).map_or(Ok(()), Err)
    }
}

/// Metadata of one topic, or of all.
pub fn metadata(client: &Arc<Client>, topic: Option<&str>, timeout: Duration) -> Result<Vec<TopicMetadata>, Failure> {
    client.is_reachable()?;
    let handle = topic.map(|name| client.topic(name)).transpose()?;
    let only = handle.as_ref().map_or(std::ptr::null_mut(), super::Topic::rkt);
    let mut metadata = std::ptr::null();
    // SAFETY: client and topic are valid; the answer's arrays have the lengths that it says, live until it is destroyed
    // below, and are copied.
    unsafe {
        done(codes::rd_kafka_metadata(client.rk(), i32::from(topic.is_none()), only, &raw mut metadata, millis(timeout)))?;
        let found = each((*metadata).topics, (*metadata).topic_cnt)
            .map(|topic| {
                let partitions = || each((*topic).partitions, (*topic).partition_cnt);
                TopicMetadata {
                    name: text_of((*topic).topic),
                    partitions: u32::try_from((*topic).partition_cnt).unwrap_or(0),
                    replicas: partitions().next().and_then(|first| u16::try_from((*first).replica_cnt).ok()).unwrap_or(0),
                    leaders: partitions().map(|partition| (*partition).leader).collect(),
                    code: (&raw const (*topic).err).cast::<i32>().read(),
                }
            })
            .collect();
        rd::rd_kafka_metadata_destroy(metadata);
        Ok(found)
    }
}

/// The topic that a probe asks for. It need not be there.
const PROBED_TOPIC: &str = "__consumer_offsets";

/// Asks any broker for anything. It names a topic: a question for "those that are known" asks the broker to make what has been
/// deleted lately, whatever `allow.auto.create.topics` says (librdkafka 2.12, `rd_kafka_metadata`).
pub fn probe(client: &Arc<Client>, timeout: Duration) -> Result<(), Failure> {
    let topic = client.topic(PROBED_TOPIC)?;
    let mut metadata = std::ptr::null();
    // SAFETY: client and topic are valid; the answer is freed at once.
    unsafe {
        done(codes::rd_kafka_metadata(client.rk(), 0, topic.rkt(), &raw mut metadata, millis(timeout)))?;
        rd::rd_kafka_metadata_destroy(metadata);
    }
    Ok(())
}

/// The cluster's id, asked for if it is not known yet.
pub fn cluster_id(client: &Client, timeout: Duration) -> Option<String> {
    // SAFETY: the client is valid; the text is ours and freed here.
    unsafe {
        let id = rd::rd_kafka_clusterid(client.rk(), millis(timeout));
        if id.is_null() {
            return None;
        }
        let text = text_of(id);
        rd::rd_kafka_mem_free(client.rk(), id.cast());
        Some(text)
    }
}
