//! One record on its way through a task's operators, whoever brings it: one of its topics, or a letter that is tried again.

use super::task_runner::TaskError;
use crate::log::RecordRef;
use crate::operators::{FatalError, NotYet, TaskGraph, Unread, process_from};
use crate::profile::Timing;
use crate::row::Headers;
use crate::task::TaskContext;

/// Where records come from, and who reads them.
pub(super) struct Place<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// Which sources of the graph they feed, one after the other.
    pub sources: &'a [usize],
    /// For each source of the graph: whether it reads headers.
    pub wants_headers: &'a [bool],
    /// What those that do are given.
    pub headers: &'a Headers,
}

/// Runs a record through the operators. `Err` within: it can't be read yet, and nothing was done.
#[inline]
pub(super) fn run(
    graph: &mut TaskGraph,
    cx: &mut TaskContext,
    place: &Place<'_>,
    record: RecordRef<'_>,
) -> Result<Result<(), NotYet>, TaskError> {
    // Who reads it first must not have processed it when another has to wait.
    if place.sources.len() > 1 {
        for source in place.sources {
            if let Err(why) = graph.sources[*source].0.is_ready(record) {
                return Ok(Err(why));
            }
        }
    }
    for source in place.sources {
        let (reader, node, port) = &mut graph.sources[*source];
        let headers = if place.wants_headers[*source] { place.headers.clone() } else { Headers::None };
        let timing = cx.profile.is_timing().then(|| Timing::begin(&mut cx.profile, &*cx.clock));
        let read = reader.read(record, headers, place.partition, cx);
        if let Some(measured) = graph.reading.get_mut(*source) {
            measured.rows += 1;
            if let Some(timing) = timing {
                timing.end(&mut cx.profile, &*cx.clock, measured);
            }
        }
        let row = match read {
            Ok(row) => row,
            Err(Unread::Fatal(error)) => return Err(error.into()),
            Err(Unread::NotYet(why)) if place.sources.first() == Some(source) => return Ok(Err(why)),
            // It was ready a moment ago, and another has processed the record: that is taken back.
            Err(Unread::NotYet(NotYet(why))) => return Err(TaskError::Interrupted(why)),
        };
        if let Some(row) = row {
            process_from(&mut graph.nodes, 0, *node, *port, row, cx).map_err(|error| {
                if !cx.pace.is_exceeded() {
                    return error;
                }
                FatalError(format!("{error} (topic {}, partition {}, offset {})", place.topic, place.partition, record.offset.0))
            })?;
        }
    }
    // Its letter could not be sent: nothing that comes behind may overtake it.
    match &cx.send_failure {
        Some(error) => Err(TaskError::Fatal(error.to_string())),
        None => Ok(Ok(())),
    }
}
