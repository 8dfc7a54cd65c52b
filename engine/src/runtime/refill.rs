//! Filling a changelog that was made anew from the state that is here: all entries, then the mark of the commit that they stand
//! for, as if that commit had just been made.

use super::changelog::Changelog;
use super::ends::{CommitNumber, EndKind};
use super::start::StartError;
use crate::log::{Commit, GroupOffsets, Log};
use crate::state::{StateBatch, Store};

/// Writes each store to its changelog. Returns once all of it is durable. What dies before is filled again by the next start,
/// which still knows the topic as another.
///
/// # Errors
/// The log is away or takes no more; the state can't be read.
pub(super) fn refill(
    log: &dyn Log,
    stores: &mut [Store],
    changelogs: &mut [Option<Changelog>],
    number: CommitNumber,
    inputs: &GroupOffsets,
    now_ms: i64,
) -> Result<(), StartError> {
    let mut writer = log.writer()?;
    for (store, changelog) in stores.iter_mut().zip(changelogs.iter_mut()) {
        let Some(changelog) = changelog else { continue };
        let (mut entries, mut sent) = (0_u64, Ok(()));
        store.begin_chunk();
        let read = store.range(&[], None, &mut |key, value| {
            sent = changelog.send(&mut *writer, key, Some(value), now_ms);
            entries += 1;
            sent.is_ok()
        });
        store.end_chunk();
        read?;
        sent.map_err(|error| changelog.refusal(error))?;
        tracing::info!(topic = %changelog.partition.topic, partition = changelog.partition.partition, entries, "changelog filled from the state");
    }
    // A mark says that all of its commit is there.
    writer.flush()?;
    for (store, changelog) in stores.iter().zip(changelogs.iter_mut()) {
        let Some(changelog) = changelog else { continue };
        let ended = changelog.end(&mut *writer, store, number, EndKind::Mark, inputs, now_ms);
        ended.map_err(|error| changelog.refusal(error))?;
    }
    writer.commit(Commit { offsets: Vec::new(), state: StateBatch::default() })?;
    changelogs.iter_mut().flatten().for_each(|changelog| changelog.commit_succeeded(false));
    Ok(())
}
