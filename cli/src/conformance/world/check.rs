//! What the queries wrote, compared with what the case expects.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use tidemill_engine::log::simulated::StoredRecord;
use tidemill_engine::plan::WindowedKey;

use super::{BASE64, World};
use crate::conformance::case::{Case, RecordSpec};
use crate::conformance::codec::{Side, without_window};
use crate::conformance::compare::{difference, scale_difference};

impl World {
    /// Compares topic by topic, for the topics that the case names.
    pub(super) fn check_outputs(&self, case: &Case) -> Result<(), String> {
        let mut topics: Vec<&str> = Vec::new();
        for output in &case.outputs {
            if !topics.contains(&output.topic.as_str()) {
                topics.push(&output.topic);
            }
        }
        for topic in topics {
            let expected: Vec<&RecordSpec> = case.outputs.iter().filter(|o| o.topic == topic).collect();
            // Inputs that stand in an output topic were not written by a query, unless inserts are the inputs.
            check_topic(topic, &expected, self.stored(topic, !self.uses_inserts), &self.sides(topic)?, self.uses_inserts)?;
        }
        Ok(())
    }
}

/// Compares the records of a topic, by partition, with the expected ones. `any_time`: one that is expected at 0 may be at any time.
pub(in crate::conformance) fn check_topic(
    topic: &str,
    expected: &[&RecordSpec],
    mut actual: Vec<VecDeque<Arc<StoredRecord>>>,
    sides: &(Side, Side),
    any_time: bool,
) -> Result<(), String> {
    let (key_side, value_side) = sides;
    for (index, spec) in expected.iter().enumerate() {
        // Order holds within a partition: the record is the next one of some partition.
        let mut reason = None;
        let found = actual.iter().position(|records| match records.front().map(|r| check_record(spec, r, sides, any_time)) {
            Some(Ok(())) => true,
            Some(Err(difference)) => {
                reason.get_or_insert(difference);
                false
            }
            None => false,
        });
        match (found.and_then(|partition| actual.get_mut(partition)), reason) {
            (Some(records), _) => drop(records.pop_front()),
            (None, Some(difference)) => {
                let next = actual.iter().find_map(VecDeque::front).map(|record| show_stored(record, key_side, value_side));
                let next = next.unwrap_or_default();
                return Err(format!("topic {topic}, record {index}: {difference}\n  expected {}\n  actual   {next}", show(spec)));
            }
            (None, None) => {
                return Err(format!("topic {topic}: {} records expected, got {index}; missing {}", expected.len(), show(spec)));
            }
        }
    }
    if let Some(extra) = actual.iter().find_map(VecDeque::front) {
        let value = value_side.to_json(extra.value.as_deref()).unwrap_or_default();
        let count = expected.len() + actual.iter().map(VecDeque::len).sum::<usize>();
        return Err(format!("topic {topic}: {} records expected, got {count}; extra {value}", expected.len()));
    }
    Ok(())
}

fn check_record(expected: &RecordSpec, actual: &StoredRecord, sides: &(Side, Side), any_time: bool) -> Result<(), String> {
    let (key_side, value_side) = sides;
    let mut key = actual.key.as_deref();
    if let Some(window) = &expected.window {
        // A topic that no source describes is read as the case has it.
        let implied = if window.is_session { WindowedKey::Session } else { WindowedKey::Time { size_ms: window.end - window.start } };
        let kind = key_side.window.unwrap_or(implied);
        if (kind == WindowedKey::Session) != window.is_session {
            return Err(format!("window: expected {window:?}, got keys with {kind:?}"));
        }
        let (bare, bounds) = key.and_then(|k| without_window(k, kind)).ok_or("the key has no window")?;
        if (bounds.start, bounds.end) != (window.start, window.end) {
            return Err(format!("window: expected {}-{}, got {}-{}", window.start, window.end, bounds.start, bounds.end));
        }
        key = Some(bare);
    }
    let key = key_side.to_json(key)?;
    if let Some(difference) = difference(&expected.key, &key) {
        return Err(format!("key: {difference}"));
    }
    let value = value_side.to_json(actual.value.as_deref())?;
    if let Some(difference) = difference(&expected.value, &value) {
        return Err(format!("value: {difference}"));
    }
    if let Some(difference) = scale_difference(value_side.columns.iter(), &expected.value, &value) {
        return Err(format!("value: {difference}"));
    }
    // The time of an insert is the wall clock's.
    let any_time = any_time && expected.timestamp == Some(0);
    if let Some(timestamp) = expected.timestamp
        && !any_time
        && timestamp != actual.timestamp
    {
        return Err(format!("timestamp: expected {timestamp}, got {}", actual.timestamp));
    }
    let headers: Vec<(String, Option<String>)> =
        actual.headers.iter().map(|h| (h.key.clone(), h.value.as_ref().map(|v| BASE64.encode(v)))).collect();
    if expected.headers != headers {
        return Err(format!("headers: expected {:?}, got {headers:?}", expected.headers));
    }
    Ok(())
}

fn show(spec: &RecordSpec) -> String {
    let window = spec.window.as_ref().map(|w| format!(" [{}, {}]", w.start, w.end)).unwrap_or_default();
    let time = spec.timestamp.map(|t| format!(" at {t}")).unwrap_or_default();
    format!("{}{window} => {}{time}", spec.key, spec.value)
}

/// A record as [`show`] has the expected one.
fn show_stored(record: &StoredRecord, key_side: &Side, value_side: &Side) -> String {
    let mut key = record.key.as_deref();
    let mut window = String::new();
    if let Some((bare, bounds)) = key_side.window.and_then(|kind| without_window(key?, kind)) {
        (key, window) = (Some(bare), format!(" [{}, {}]", bounds.start, bounds.end));
    }
    let json = |side: &Side, bytes| side.to_json(bytes).map_or_else(|error| format!("({error})"), |json| json.to_string());
    format!("{}{window} => {} at {}", json(key_side, key), json(value_side, record.value.as_deref()), record.timestamp)
}
