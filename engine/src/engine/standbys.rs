//! Which servers are standbys of a slot: those follow the state of its tasks. Each server works that out by itself, from what all of
//! them know: who is in the group, who has which slots, and what servers have written down of themselves. So nothing is said about it, and
//! while servers know different things for a moment, one follows a slot too many, or too few.
//!
//! Where a slot goes when its owner is lost is Kafka's assignor's to decide, and that can't be told of standbys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::servers::{Seating, ServerInfo};
use crate::log::murmur2;
use crate::runtime::Slot;

/// How often it is looked who is there and has what, while anything is followed.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);
/// How often it is looked where changelogs end.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// What was last found.
#[derive(Default)]
pub(super) struct Following {
    seating: Option<Arc<Seating>>,
    looked: Option<Instant>,
    followed: Option<Instant>,
    /// This server's place among the standbys of slots.
    ranks: BTreeMap<Slot, usize>,
}

/// The standbys of a slot, the first one first, as many as there can be: never its owner; on a rack where neither it nor one before
/// is, while there is such a server; else as a hash of both says, so that each server has a share, and one that comes or goes changes
/// its own share alone.
pub(super) fn standbys<'s>(slot: Slot, owner: &ServerInfo, servers: impl Iterator<Item = &'s ServerInfo>) -> Vec<&'s ServerInfo> {
    let weight = |server: &ServerInfo| murmur2(format!("{slot}/{}", server.id).as_bytes());
    let mut left: Vec<(u32, &ServerInfo)> = servers.filter(|server| server.id != owner.id).map(|server| (weight(server), server)).collect();
    left.sort_by(|(a, first), (b, second)| b.cmp(a).then_with(|| first.id.cmp(&second.id)));
    let mut racks: BTreeSet<&str> = owner.rack.as_deref().into_iter().collect();
    let mut chosen = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_apart = |(_, server): &(u32, &'s ServerInfo)| server.rack.as_deref().is_some_and(|rack| !racks.contains(rack));
        let (_, next) = left.remove(left.iter().position(is_apart).unwrap_or(0));
        racks.extend(next.rack.as_deref());
        chosen.push(next);
    }
    chosen
}

/// A server's place among the standbys of the slots that others have. Of a slot that is on its way it keeps what it had.
fn ranks(seating: &Seating, this: &str, slots: impl Iterator<Item = Slot>, before: &BTreeMap<Slot, usize>) -> BTreeMap<Slot, usize> {
    let rank = |slot: Slot| match seating.owner(slot) {
        Some(owner) if owner.id == this => None,
        Some(owner) => standbys(slot, owner, seating.servers.values()).iter().position(|server| server.id == this),
        None => before.get(&slot).copied(),
    };
    slots.filter_map(|slot| Some((slot, rank(slot)?))).collect()
}

impl Engine {
    /// Follows the state of other servers' tasks, one step.
    pub(super) fn follow_others(self: &Arc<Self>) {
        if self.deposed.get().is_some() || self.log.outage().is_some() {
            return;
        }
        let mut following = self.following.lock();
        let now = self.clock.instant();
        let is_due = |last: Option<Instant>, interval| last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
        if self.runtime.most_standbys() == 0 {
            if following.seating.take().is_some() {
                following.ranks.clear();
                self.runtime.set_standby_ranks(BTreeMap::new(), false);
                self.runtime.follow();
            }
            return;
        }
        if is_due(following.looked, LOOK_INTERVAL) {
            match self.seating(now.checked_sub(LOOK_INTERVAL / 2)) {
                Ok(seating) => self.take_ranks(&mut following, seating),
                Err(error) => tracing::debug!(reason = error.message, "the servers that share the service can't be looked at"),
            }
            following.looked = Some(now);
        }
        if is_due(following.followed, FOLLOW_INTERVAL) {
            following.followed = Some(now);
            self.runtime.follow();
        }
    }

    fn take_ranks(&self, following: &mut Following, seating: Arc<Seating>) {
        let config = self.runtime.config();
        following.ranks = ranks(&seating, &config.server, config.slots.all().into_iter(), &following.ranks);
        let has_moved = following.seating.as_ref().is_none_or(|before| before.owners != seating.owners);
        self.runtime.set_standby_ranks(following.ranks.clone(), has_moved);
        following.seating = Some(seating);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Understanding;

    fn server(id: &str, rack: Option<&str>) -> ServerInfo {
        let (id, rack) = (id.to_owned(), rack.map(str::to_owned));
        ServerInfo { id, url: None, version: None, rack, understands: Understanding::own(), slots: BTreeSet::new(), is_this: false }
    }

    fn ids(chosen: &[&ServerInfo]) -> Vec<String> {
        chosen.iter().map(|server| server.id.clone()).collect()
    }

    #[test]
    fn a_standby_is_never_the_owner_and_on_another_rack_first() {
        let all = [server("a", Some("x")), server("b", Some("x")), server("c", Some("y")), server("d", Some("y")), server("e", None)];
        for slot in 0..200 {
            let chosen = standbys(slot, &all[0], all.iter());
            assert_eq!(chosen.len(), 4, "{slot}");
            assert!(chosen.iter().all(|server| server.id != "a"));
            assert_eq!(chosen[0].rack.as_deref(), Some("y"), "{slot}: {chosen:?}");
        }
    }

    #[test]
    fn each_server_has_a_share_and_who_leaves_changes_no_other() {
        let all: Vec<ServerInfo> = ["a", "b", "c", "d", "e"].map(|id| server(id, None)).into();
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        for slot in 0..1_000 {
            let before = ids(&standbys(slot, &all[0], all.iter()));
            *count.entry(before[0].clone()).or_default() += 1;
            let mut expected = before.clone();
            expected.retain(|id| id != "c");
            assert_eq!(ids(&standbys(slot, &all[0], all.iter().filter(|server| server.id != "c"))), expected);
        }
        assert!(count.len() == 4 && count.values().all(|share| (200..=300).contains(share)), "{count:?}");
    }
}
