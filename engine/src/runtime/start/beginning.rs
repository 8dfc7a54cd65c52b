//! Where a task begins to read, and what has to be written down before it does.

use super::super::ends::CommitId;
use super::super::marks::{Begin, Declared, Marked};
use super::super::restore::Positions;
use super::super::task_runner::Task;
use super::super::{Guarantee, Runtime, commit};
use super::prepare::Prepared;
use super::{StartError, StartQuery};
use crate::log::{LogError, Offset, OffsetSpec, TopicPartition};
use crate::operators::{self, SourceSpec};
use crate::plan::QueryPlan;

impl Runtime {
    /// Writes down whose the tasks are from now on, before they run: so what an earlier process has written late never counts.
    ///
    /// Exactly once, nothing of the kind is needed, and it would do harm: nothing that was sent by who was replaced is ever seen, but what
    /// is written here is no part of a transaction, so it might come from a server that stood still meanwhile, and make out that it is the
    /// owner of what another commits.
    ///
    /// Tasks without state whose topics were made anew also say where they begin in these, as those with state have written into it:
    /// to be called before these topics are known. Who dies before the first commit would else read on in them from a place in the
    /// old ones.
    pub(in crate::runtime) fn declare_beginnings<'t>(
        &self,
        start: &StartQuery,
        tasks: impl Iterator<Item = (u64, &'t mut Task)>,
    ) -> Result<(), StartError> {
        let mut declared = Vec::new();
        for (key, task) in tasks {
            let (query, place) = (task.id.query.clone(), (task.id.sub_topology, task.id.partition));
            let is_fenced = task.guarantee == Guarantee::ExactlyOnce;
            if let Some(owner) = task.owner.take() {
                if is_fenced {
                    continue;
                }
                declared.push(Declared { query, place, begin: Begin::Owner(owner) });
                continue;
            }
            if !commit::keeps_marks(task) {
                continue;
            }
            let worker = usize::try_from(key).unwrap_or(0) % self.workers.len();
            if task.lanes.iter().any(|(lane, _)| start.made_anew.contains(&*lane.topic)) {
                let number = task.commit_number + 1;
                let mut inputs = task.marked_positions();
                inputs.extend(task.cx.origins.beginnings(number));
                declared.push(Declared {
                    query,
                    place,
                    begin: Begin::Mark(worker, Marked { commit: CommitId { epoch: task.epoch, number }, inputs }),
                });
                task.commit_number = number;
            } else if let Some(marked) = self.marks.outdated(&query, place).filter(|_| !is_fenced) {
                let marked = Marked { commit: CommitId { epoch: task.epoch, ..marked.commit }, ..marked };
                declared.push(Declared { query, place, begin: Begin::Mark(worker, marked) });
            }
        }
        if !declared.is_empty() && !self.tenure.lasts(self.parts.clock.instant()) {
            return Err(LogError::Retriable("it is not known whether the service is still this server's".into()).into());
        }
        Ok(self.marks.declare(&*self.parts.log, declared, self.parts.clock.now_ms())?)
    }

    /// Where each lane begins: behind what the stores include, as their marks say, whatever others have made of the group's
    /// offsets; without such, at the committed offset. (Version 0.1.0 did not mark each commit: `is_authoritative` is false
    /// for its state, and the further of the two holds.) Else see [`beginning`]. And whether any of it has to be committed yet.
    pub(super) fn start_offsets(
        &self,
        sub: &Prepared,
        lanes: &[(TopicPartition, Vec<usize>)],
        start: &StartQuery,
        included: &Positions,
        is_authoritative: bool,
    ) -> Result<(Vec<Offset>, bool), StartError> {
        let is_new = lanes.iter().any(|(tp, _)| !sub.committed.contains_key(tp) || start.made_anew.contains(&*tp.topic));
        let mut offsets = Vec::with_capacity(lanes.len());
        for (tp, sources) in lanes {
            let known = match included.get(tp).filter(|_| is_authoritative) {
                Some(included) => Some(*included),
                None => sub.committed.get(tp).max(included.get(tp)).copied(),
            };
            if let Some(offset) = known.filter(|_| !start.made_anew.contains(&*tp.topic)) {
                offsets.push(offset);
                continue;
            }
            if let Some(offset) = start.begin_at.get(tp) {
                offsets.push(*offset);
                continue;
            }
            let knows_topic = sub.committed.keys().any(|known| known.topic == tp.topic);
            let mut begins = Vec::with_capacity(sources.len());
            let specs =
                sources.iter().filter_map(|source| sub.spec.sources.get(*source)).map(|source| beginning(source, start, knows_topic));
            // The order's own topic has no source.
            for spec in specs.chain(sources.is_empty().then_some(OffsetSpec::Earliest)) {
                begins.push(self.parts.log.offsets(std::slice::from_ref(tp), spec)?.first().copied().unwrap_or_default());
            }
            if begins.iter().any(|offset| Some(offset) != begins.first()) {
                return Err(StartError::ReadTwice(read_twice(&tp.topic)));
            }
            offsets.push(begins.first().copied().unwrap_or_default());
        }
        Ok((offsets, is_new))
    }
}

/// Refuses a query that would have to read a topic from two places at once, before it is started.
///
/// # Errors
/// `ReadTwice`, with what to do.
pub fn check_start(plan: &QueryPlan, reset: OffsetSpec) -> Result<(), StartError> {
    for spec in operators::split(plan)? {
        for (index, source) in spec.sources.iter().enumerate() {
            let others = spec.sources.iter().take(index);
            if reset != OffsetSpec::Earliest
                && others.into_iter().any(|other| other.topic == source.topic && other.from_beginning != source.from_beginning)
            {
                return Err(StartError::ReadTwice(read_twice(&source.topic)));
            }
        }
    }
    Ok(())
}

fn read_twice(topic: &str) -> String {
    format!(
        "The query reads topic '{topic}' twice: as a table from its first record, and as a stream from a later one, where \
         auto.offset.reset says. A query has one position in a topic. SET 'auto.offset.reset'='earliest', or give the table a topic \
         of its own first (CREATE TABLE ... AS SELECT)."
    )
}

/// Where a partition without a committed offset begins: tables, repartition topics, and what came since the query first
/// ran, with the first record; else where the query was told to. `knows_topic`: offsets of other partitions are committed.
fn beginning(source: &SourceSpec, start: &StartQuery, knows_topic: bool) -> OffsetSpec {
    let came_since = start.ran_before || start.reads_new_partitions || knows_topic;
    let whole = source.is_repartition || source.from_beginning && !start.resets_tables;
    if came_since || whole { OffsetSpec::Earliest } else { start.reset }
}
