//! The group of the servers as a broker's coordinator keeps it: membership by heartbeats, static over restarts; slots that move one by
//! one, each only when its owner has let go of it; and of each server the client that follows it.
//!
//! A client beats by itself, whatever its process does, unless the process stands still or is cut off. What the group says reaches the
//! process when it asks, and a client that was shut out joins again only when the process has heard of that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::super::slots::{Slot, SlotSet};
use crate::log::Shift;

/// How long a member is kept that is not heard of, milliseconds.
pub(super) const SESSION_MS: u64 = 600;
/// How long membership is sure behind a look.
pub(super) const SURE_FOR_MS: u64 = 300;

/// What has happened in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct GroupCounts {
    /// Sessions that ran out.
    pub expired: u64,
    pub rebalances: u64,
    /// Rebalances that waited for a member that answered late.
    pub slow: u64,
    /// Slots that went from one to another: let go in order, or taken from one that was gone.
    pub handed_over: u64,
    pub taken: u64,
}

/// A member, as the coordinator knows it.
#[derive(Debug, Default)]
struct Member {
    incarnation: u64,
    heard_ms: u64,
    /// It takes part in the rebalance that is under way, with what it has.
    has_joined: bool,
    owned: SlotSet,
    assigned: SlotSet,
}

/// A server's client.
#[derive(Debug, Default)]
struct Client {
    /// Which of the server's lives it is of.
    life: u64,
    /// Which member it is; `None`: none, for now.
    incarnation: Option<u64>,
    /// The generation whose assignment it has followed.
    generation: u64,
    owned: SlotSet,
    /// What the process has still to hear.
    calls: VecDeque<Shift>,
    shifts: Vec<Shift>,
    wanted: SlotSet,
    /// Comes once what is wanted has gone.
    next: Option<SlotSet>,
    /// It has let go of slots, and says so by joining anew.
    rejoins: bool,
    heard_ms: u64,
    /// It answers a rebalance no sooner.
    late_until_ms: u64,
    is_cut: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Group {
    slots: SlotSet,
    members: BTreeMap<String, Member>,
    clients: BTreeMap<String, Client>,
    generation: u64,
    is_preparing: bool,
    incarnations: u64,
    lives: u64,
    /// Who had a slot last.
    last: BTreeMap<Slot, String>,
    let_go: SlotSet,
    pub counts: GroupCounts,
    /// A defect: a slot of one is given to another as well.
    pub gives_twice: bool,
}

impl Group {
    pub fn new(slots: SlotSet) -> Self {
        Group { slots, ..Group::default() }
    }

    /// A process begins: which life it is.
    pub fn connect(&mut self, name: &str, now_ms: u64) -> u64 {
        self.lives += 1;
        self.clients.insert(name.to_owned(), Client { life: self.lives, heard_ms: now_ms, ..Client::default() });
        self.beat(name, now_ms);
        self.lives
    }

    /// A process is gone. The member stays until its session is over.
    pub fn disconnect(&mut self, name: &str, life: u64) {
        if self.clients.get(name).is_some_and(|client| client.life == life) {
            self.clients.remove(name);
        }
    }

    /// A process that runs nothing any more says that it goes: the member is gone at once. Whether it has been one, and others are there.
    pub fn leave(&mut self, name: &str, life: u64) -> bool {
        let is_this = self.clients.get(name).is_some_and(|client| client.life == life && !client.is_cut && client.incarnation.is_some());
        if !is_this || self.members.len() < 2 {
            return false;
        }
        let known = self.clients.get(name).and_then(|client| client.incarnation);
        if self.members.get(name).is_none_or(|member| Some(member.incarnation) != known) {
            return false;
        }
        self.members.remove(name);
        self.disconnect(name, life);
        self.prepare();
        self.complete();
        true
    }

    pub fn cut(&mut self, name: &str, is_cut: bool) {
        if let Some(client) = self.clients.get_mut(name) {
            client.is_cut = is_cut;
        }
    }

    pub fn is_cut(&self, name: &str) -> bool {
        self.clients.get(name).is_some_and(|client| client.is_cut)
    }

    /// The client answers the next rebalance late.
    pub fn be_late(&mut self, name: &str, until_ms: u64) {
        if let Some(client) = self.clients.get_mut(name) {
            client.late_until_ms = until_ms;
        }
    }

    /// A client does what it does by itself.
    pub fn beat(&mut self, name: &str, now_ms: u64) {
        let Some(client) = self.clients.get_mut(name) else { return };
        if client.is_cut {
            if client.incarnation.is_some() && now_ms.saturating_sub(client.heard_ms) > SESSION_MS {
                client.is_out();
            }
            return;
        }
        let Some(incarnation) = client.incarnation else { return self.join(name, now_ms) };
        let Some(member) = self.members.get_mut(name).filter(|member| member.incarnation == incarnation) else { return client.is_out() };
        (member.heard_ms, client.heard_ms) = (now_ms, now_ms);
        let is_busy = !client.calls.is_empty() || !client.wanted.is_empty();
        if self.is_preparing {
            if !member.has_joined && !is_busy {
                if now_ms < client.late_until_ms {
                    return;
                }
                self.counts.slow += u64::from(std::mem::take(&mut client.late_until_ms) > 0);
                (member.has_joined, client.rejoins) = (true, false);
                member.owned.clone_from(&client.owned);
            }
        } else if client.generation < self.generation {
            let assigned = member.assigned.clone();
            client.follow(assigned, self.generation);
        } else if client.rejoins && !is_busy {
            self.prepare();
            return self.beat(name, now_ms);
        }
        self.complete();
    }

    /// Members that were not heard of for a session are gone.
    pub fn expire(&mut self, now_ms: u64) {
        let gone: Vec<String> = self
            .members
            .iter()
            .filter(|(_, member)| now_ms.saturating_sub(member.heard_ms) > SESSION_MS)
            .map(|(name, _)| name.clone())
            .collect();
        for name in &gone {
            self.members.remove(name);
        }
        self.counts.expired += gone.len() as u64;
        if !gone.is_empty() {
            self.prepare();
            self.complete();
        }
    }

    /// The client joins, or takes the place of the one that its server had before.
    fn join(&mut self, name: &str, now_ms: u64) {
        let has_unassigned = self.has_unassigned();
        let Some(client) = self.clients.get_mut(name) else { return };
        if !client.calls.is_empty() || !client.wanted.is_empty() {
            // What it has lost is to be heard of, and let go, first.
            return;
        }
        let is_known = self.members.contains_key(name);
        if is_known && !self.is_preparing && has_unassigned {
            // Who takes its own place again sets off no rebalance: what was wanted of it would be nobody's for ever. It waits until the
            // group has forgotten it.
            return;
        }
        self.incarnations += 1;
        client.incarnation = Some(self.incarnations);
        client.heard_ms = now_ms;
        (client.generation, client.rejoins) = (0, false);
        let member = self.members.entry(name.to_owned()).or_default();
        (member.incarnation, member.heard_ms) = (self.incarnations, now_ms);
        member.owned.clear();
        if !is_known || self.is_preparing {
            member.has_joined = true;
        }
        if !is_known && !self.is_preparing {
            self.prepare();
            self.members.entry(name.to_owned()).or_default().has_joined = true;
        }
        self.complete();
    }

    /// All members have to join anew.
    fn prepare(&mut self) {
        if !self.is_preparing {
            self.is_preparing = true;
            self.members.values_mut().for_each(|member| member.has_joined = false);
        }
    }

    /// Agrees on who has what, once all have joined.
    fn complete(&mut self) {
        if !self.is_preparing || self.members.values().any(|member| !member.has_joined) {
            return;
        }
        self.is_preparing = false;
        self.generation += 1;
        self.counts.rebalances += 1;
        let (all, count) = (self.slots.len(), self.members.len().max(1));
        let mut order: Vec<String> = self.members.keys().cloned().collect();
        order.sort_by_key(|name| std::cmp::Reverse(self.members[name].owned.len()));
        let quota = |index: usize| all / count + usize::from(index < all % count);
        let mut free = self.slots.clone();
        let mut owned = BTreeSet::new();
        for (index, name) in order.iter().enumerate() {
            let Some(member) = self.members.get_mut(name) else { continue };
            member.owned.retain(|slot| owned.insert(*slot));
            member.assigned = member.owned.iter().take(quota(index)).copied().collect();
            // What is beyond its share has to be let go of before another gets it.
            free.retain(|slot| !member.owned.contains(slot));
        }
        let mut free: VecDeque<Slot> = free.into_iter().collect();
        for (index, name) in order.iter().enumerate() {
            let Some(member) = self.members.get_mut(name) else { continue };
            while member.assigned.len() < quota(index)
                && let Some(slot) = free.pop_front()
            {
                member.assigned.insert(slot);
                let before = self.last.insert(slot, name.clone());
                if before.is_some_and(|before| before != *name) {
                    let count = if self.let_go.remove(&slot) { &mut self.counts.handed_over } else { &mut self.counts.taken };
                    *count += 1;
                }
            }
        }
        if self.gives_twice
            && let [one, other, ..] = &order[..]
        {
            let shared = self.members[one].assigned.first().copied();
            self.members.entry(other.clone()).or_default().assigned.extend(shared);
        }
    }

    /// What the process of a server has to know, in its order.
    pub fn hear(&mut self, name: &str) {
        let Some(client) = self.clients.get_mut(name) else { return };
        while let Some(call) = client.calls.pop_front() {
            let call = match call {
                Shift::Given(slots) => {
                    client.owned.extend(&slots);
                    Shift::Given(slots)
                }
                Shift::Wanted(slots) => {
                    client.wanted.clone_from(&slots);
                    Shift::Wanted(slots)
                }
                Shift::Lost(_) => {
                    client.next = None;
                    client.wanted.clone_from(&client.owned);
                    Shift::Lost(client.owned.clone())
                }
            };
            client.shifts.push(call);
        }
    }

    pub fn take_shifts(&mut self, name: &str) -> Vec<Shift> {
        self.clients.get_mut(name).map(|client| std::mem::take(&mut client.shifts)).unwrap_or_default()
    }

    /// What was wanted of a server has been let go.
    pub fn has_let_go(&mut self, name: &str) {
        let Some(client) = self.clients.get_mut(name) else { return };
        let gone = std::mem::take(&mut client.wanted);
        client.owned.retain(|slot| !gone.contains(slot));
        client.calls.extend(client.next.take().map(Shift::Given));
        client.rejoins = client.incarnation.is_some();
        if client.rejoins {
            self.let_go.extend(gone);
        }
    }

    /// Whether slots of a server are wanted by others.
    pub fn wants(&self, name: &str) -> bool {
        self.clients.get(name).is_some_and(|client| !client.wanted.is_empty())
    }

    pub fn owned(&self, name: &str) -> SlotSet {
        self.clients.get(name).map(|client| client.owned.clone()).unwrap_or_default()
    }

    pub fn is_member(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The members with what was agreed on.
    pub fn shares(&self) -> BTreeMap<String, SlotSet> {
        self.members.iter().map(|(name, member)| (name.clone(), member.assigned.clone())).collect()
    }

    /// Whether each slot has an owner that knows it, and nothing is under way.
    pub fn is_at_rest(&self) -> bool {
        let follows = |(name, member): (&String, &Member)| {
            let client = self.clients.get(name);
            client.is_some_and(|client| {
                client.calls.is_empty()
                    && client.shifts.is_empty()
                    && client.wanted.is_empty()
                    && !client.rejoins
                    && client.incarnation == Some(member.incarnation)
                    && client.owned == member.assigned
            })
        };
        !self.is_preparing && !self.has_unassigned() && self.members.iter().all(follows)
    }

    /// Whether some slots are nobody's until their last owner has let go of them.
    fn has_unassigned(&self) -> bool {
        let assigned: usize = self.members.values().map(|member| member.assigned.len()).sum();
        assigned < self.slots.len()
    }
}

impl Client {
    /// It learns that it is no member any more.
    fn is_out(&mut self) {
        self.incarnation = None;
        self.calls.push_back(Shift::Lost(SlotSet::new()));
    }

    /// It has an assignment of a generation.
    fn follow(&mut self, assigned: SlotSet, generation: u64) {
        if !self.calls.is_empty() || !self.wanted.is_empty() {
            return;
        }
        self.generation = generation;
        let (revoked, added) = (&self.owned - &assigned, &assigned - &self.owned);
        if revoked.is_empty() {
            self.calls.push_back(Shift::Given(added));
        } else {
            self.calls.push_back(Shift::Wanted(revoked));
            self.next = Some(added);
        }
    }
}
