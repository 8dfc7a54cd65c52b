//! A group of servers that agrees on what a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::log::{Claim, LogError, SharedClaim, Shift, Standing};

/// See the module.
#[derive(Default)]
pub struct SimulatedGroup {
    shares: Mutex<BTreeMap<String, BTreeSet<u16>>>,
    shifts: Mutex<BTreeMap<String, Vec<Shift>>>,
}

impl SimulatedGroup {
    /// A server that is about to come; it is a member once it says its id.
    pub fn member(self: &Arc<Self>) -> SimulatedMember {
        SimulatedMember { group: self.clone(), id: Arc::default() }
    }

    /// Slots go from one member to another.
    pub fn give(&self, slots: &BTreeSet<u16>, from: Option<&str>, to: &str) {
        if let Some(from) = from {
            self.shifts.lock().entry(from.to_owned()).or_default().push(Shift::Wanted(slots.clone()));
            self.shares.lock().entry(from.to_owned()).or_default().retain(|slot| !slots.contains(slot));
        }
        self.shifts.lock().entry(to.to_owned()).or_default().push(Shift::Given(slots.clone()));
        self.shares.lock().entry(to.to_owned()).or_default().extend(slots);
    }

    /// A member leaves the group, without slots.
    pub fn ends(&self, id: &str) {
        self.shares.lock().remove(id);
    }

    /// The slots that are a member's.
    pub fn share(&self, id: &str) -> BTreeSet<u16> {
        self.shares.lock().get(id).cloned().unwrap_or_default()
    }
}

/// The claim of a server in the group.
#[derive(Clone)]
pub struct SimulatedMember {
    group: Arc<SimulatedGroup>,
    /// Once it is known.
    id: Arc<OnceLock<String>>,
}

impl SimulatedMember {
    /// From now on it is in the group, by this id.
    pub fn comes(&self, id: &str) {
        let id = self.id.get_or_init(|| id.to_owned());
        self.group.shares.lock().entry(id.clone()).or_default();
    }
}

impl Claim for SimulatedMember {
    fn standing(&self) -> Standing {
        Standing::Held
    }

    fn shared(&self) -> Option<&dyn SharedClaim> {
        Some(self)
    }
}

impl SharedClaim for SimulatedMember {
    fn shifts(&self) -> Vec<Shift> {
        self.id.get().and_then(|id| self.group.shifts.lock().remove(id)).unwrap_or_default()
    }

    fn has_let_go(&self) {}

    fn leave(&self, _: Duration) -> bool {
        self.id.get().is_some_and(|id| self.group.shares.lock().remove(id).is_some())
    }

    fn assigned(&self) -> BTreeSet<u16> {
        self.id.get().map(|id| self.group.share(id)).unwrap_or_default()
    }

    fn shares(&self) -> Result<BTreeMap<String, BTreeSet<u16>>, LogError> {
        Ok(self.group.shares.lock().clone())
    }
}
