//! A server's share of the service's slots: what the group of the servers says of it is followed.
//!
//! Two threads see to that. The one that keeps the membership alive hears what the group says, and lets go at once of what is lost or
//! wanted; it never waits. The supervisor makes the tasks of what has come, which may take long.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{LetGo, Runtime, SlotSet};
use crate::log::{LogError, SharedClaim, Shift};

/// See the module.
pub(crate) struct Share(Mutex<Shifting>);

/// Slots on their way.
struct Shifting {
    /// They are this server's, and their tasks are still to be made.
    given: SlotSet,
    /// They are let go of, and others, or the group for this server's coming again, wait until they are.
    going: Option<SlotSet>,
}

impl Share {
    /// A server begins, before its first query does: all tasks run elsewhere until the group says that they are this server's. (Where it
    /// has found nobody, others may have begun at the same moment.)
    ///
    /// # Errors
    /// The log is away.
    pub fn begin(runtime: &Runtime, claim: &dyn SharedClaim) -> Result<Share, LogError> {
        runtime.set_servers(claim.servers()?);
        runtime.release_slots(&runtime.slots(), LetGo::Committed);
        Ok(Share(Mutex::new(Shifting { given: SlotSet::new(), going: None })))
    }

    /// Follows what the group says. Whether there is something to [`Self::take`].
    pub fn follow(&self, runtime: &Runtime, claim: &dyn SharedClaim) -> bool {
        let mut shifting = self.0.lock();
        if runtime.has_lost_ids() && !runtime.slots().is_empty() {
            // Others had taken it for gone, and what they took may be what runs here: it begins anew with what the group says.
            runtime.release_slots(&runtime.slots(), LetGo::AsItStands);
            let going = shifting.going.clone().unwrap_or_default();
            shifting.given = &claim.assigned() - &going;
        }
        for shift in claim.shifts() {
            match shift {
                Shift::Given(slots) => {
                    if !slots.is_empty() {
                        tracing::info!(slots = slots.len(), "slots of the service come to this server");
                    }
                    shifting.given.extend(&slots - &runtime.slots());
                }
                Shift::Wanted(slots) => {
                    tracing::info!(slots = slots.len(), "slots of the service go to another server");
                    shifting.given.retain(|slot| !slots.contains(slot));
                    runtime.release_slots(&slots, LetGo::Committed);
                    shifting.going = Some(slots);
                }
                Shift::Lost(slots) => {
                    if !slots.is_empty() {
                        tracing::warn!(slots = slots.len(), "slots of the service are not this server's any more");
                    }
                    shifting.given.retain(|slot| !slots.contains(slot));
                    runtime.release_slots(&slots, LetGo::AsItStands);
                    // Whoever sees this server in the group again takes it that nothing of them is under way here.
                    shifting.going = Some(slots);
                }
            }
        }
        if shifting.going.as_ref().is_some_and(|slots| runtime.are_free(slots)) {
            claim.has_let_go();
            shifting.going = None;
        }
        !shifting.given.is_empty()
    }

    /// Makes the tasks of slots that have come, where it is sure that they are this server's.
    ///
    /// # Errors
    /// What others have left can't be learnt now: nothing is taken yet.
    pub fn take(&self, runtime: &Arc<Runtime>, claim: &dyn SharedClaim) -> Result<(), LogError> {
        let has_come = !self.0.lock().given.is_empty();
        if !(has_come || runtime.has_empty_seats()) || !runtime.tenure().lasts(runtime.parts().clock.instant()) {
            return Ok(());
        }
        if has_come {
            runtime.succeed(claim.servers()?)?;
            if !runtime.tenure().lasts(runtime.parts().clock.instant()) {
                return Ok(());
            }
            // Some may have been lost again meanwhile.
            let mut shifting = self.0.lock();
            runtime.hold(&std::mem::take(&mut shifting.given));
        }
        runtime.fill_seats();
        Ok(())
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    pub fn is_at_rest(&self) -> bool {
        let shifting = self.0.lock();
        shifting.given.is_empty() && shifting.going.is_none()
    }
}
