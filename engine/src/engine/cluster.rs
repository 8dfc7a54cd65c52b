//! Several servers that share the work of one service: slots come and go as the group of the servers says.
//!
//! Two threads see to that. The one that keeps the membership alive (see [`super::supervise`]) hears what the group says, and lets go
//! at once of what is lost or wanted; it never waits. The supervisor makes the tasks of what has come, which may take long.

use std::sync::Arc;

use super::{Engine, EngineError};
use crate::log::Shift;
use crate::runtime::{LetGo, SlotSet};

/// Slots on their way.
#[derive(Debug, Default)]
pub(super) struct Shifting {
    /// They are this server's, and their tasks are still to be made.
    given: SlotSet,
    /// Others wait until they are let go.
    wanted: Option<SlotSet>,
}

impl Engine {
    /// Follows what the group of the servers says.
    pub(super) fn follow_group(&self) {
        if !self.claim.is_shared() {
            return;
        }
        let mut shifting = self.shifting.lock();
        if self.runtime.has_lost_ids() && !self.runtime.slots().is_empty() {
            // Others had taken it for gone, and what they took may be what runs here: it begins anew with what the group says.
            self.runtime.release_slots(&self.runtime.slots(), LetGo::AsItStands);
            let wanted = shifting.wanted.clone().unwrap_or_default();
            shifting.given = &self.claim.assigned() - &wanted;
        }
        for shift in self.claim.shifts() {
            match shift {
                Shift::Given(slots) => {
                    if !slots.is_empty() {
                        tracing::info!(slots = slots.len(), "slots of the service come to this server");
                    }
                    shifting.given.extend(&slots - &self.runtime.slots());
                }
                Shift::Wanted(slots) => {
                    tracing::info!(slots = slots.len(), "slots of the service go to another server");
                    shifting.given.retain(|slot| !slots.contains(slot));
                    self.runtime.release_slots(&slots, LetGo::Committed);
                    shifting.wanted = Some(slots);
                }
                Shift::Lost(slots) => {
                    if !slots.is_empty() {
                        tracing::warn!(slots = slots.len(), "slots of the service are not this server's any more");
                    }
                    shifting.given.retain(|slot| !slots.contains(slot));
                    shifting.wanted = None;
                    self.runtime.release_slots(&slots, LetGo::AsItStands);
                }
            }
        }
        if shifting.wanted.as_ref().is_some_and(|slots| self.runtime.are_free(slots)) {
            self.claim.has_let_go();
            shifting.wanted = None;
        }
        if !shifting.given.is_empty() {
            self.supervisor.kick();
        }
    }

    /// Makes the tasks of slots that have come.
    pub(super) fn take_slots(self: &Arc<Self>) {
        let has_come = !self.shifting.lock().given.is_empty();
        if !(has_come || self.runtime.has_empty_seats()) || !self.runtime.tenure().lasts(self.clock.instant()) {
            return;
        }
        if has_come {
            let learnt = self.claim.servers().map_err(EngineError::from).and_then(|servers| Ok(self.runtime.succeed(servers)?));
            if let Err(error) = learnt {
                tracing::warn!(reason = error.message, "slots that came can't be taken yet; trying again");
                return;
            }
            // Some may have been lost again meanwhile.
            let mut shifting = self.shifting.lock();
            self.runtime.hold(&std::mem::take(&mut shifting.given));
        }
        self.runtime.fill_seats();
    }
}
