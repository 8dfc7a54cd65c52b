//! A server's claim on its share, as it stands by what its client has heard; what `KafkaCrew` is on Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::super::clock::SimulatedClock;
use super::group::{Group, SURE_FOR_MS};
use crate::clock::Clock;
use crate::log::{Claim, LogError, SharedClaim, Shift, Standing};

/// See the module. Dropping it leaves the group to the session's end.
pub(super) struct SimulatedClaim {
    group: Arc<Mutex<Group>>,
    clock: Arc<SimulatedClock>,
    name: String,
    life: u64,
    /// The last look, and whether the session may have ended since some look.
    looks: Mutex<(Instant, bool)>,
}

impl SimulatedClaim {
    pub fn new(group: &Arc<Mutex<Group>>, clock: &Arc<SimulatedClock>, name: &str) -> Self {
        let life = group.lock().connect(name, clock.passed_ms());
        let looks = Mutex::new((clock.instant(), false));
        SimulatedClaim { group: group.clone(), clock: clock.clone(), name: name.to_owned(), life, looks }
    }

    /// The process is gone.
    pub fn end(&self) {
        self.group.lock().disconnect(&self.name, self.life);
    }
}

impl Claim for SimulatedClaim {
    fn standing(&self) -> Standing {
        let (mut looks, now) = (self.looks.lock(), self.clock.instant());
        let (last, is_in_doubt) = &mut *looks;
        *is_in_doubt |= now.saturating_duration_since(*last) > Duration::from_millis(SURE_FOR_MS);
        *last = now;
        let mut group = self.group.lock();
        group.hear(&self.name);
        if *is_in_doubt {
            if group.is_cut(&self.name) || !group.is_member(&self.name) {
                return Standing::Unsure;
            }
            *is_in_doubt = false;
        }
        Standing::Held
    }

    fn sure_for(&self) -> Option<Duration> {
        Some(Duration::from_millis(SURE_FOR_MS))
    }

    fn shared(&self) -> Option<&dyn SharedClaim> {
        Some(self)
    }
}

impl SharedClaim for SimulatedClaim {
    fn shifts(&self) -> Vec<Shift> {
        self.group.lock().take_shifts(&self.name)
    }

    fn has_let_go(&self) {
        self.group.lock().has_let_go(&self.name);
    }

    fn leave(&self, _: Duration) -> bool {
        self.group.lock().leave(&self.name, self.life)
    }

    fn assigned(&self) -> BTreeSet<u16> {
        self.group.lock().owned(&self.name)
    }

    fn shares(&self) -> Result<BTreeMap<String, BTreeSet<u16>>, LogError> {
        let group = self.group.lock();
        if group.is_cut(&self.name) {
            return Err(LogError::Retriable("simulated fault: the group does not answer".into()));
        }
        let mut shares = BTreeMap::from([(self.name.clone(), BTreeSet::new())]);
        shares.extend(group.shares());
        Ok(shares)
    }
}

impl Drop for SimulatedClaim {
    fn drop(&mut self) {
        self.end();
    }
}
