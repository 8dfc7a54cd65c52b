//! Several servers that share the work of one service: who follows what the group of the servers says (see [`crate::runtime::Share`]).

use std::sync::Arc;

use super::Engine;

impl Engine {
    /// Follows what the group of the servers says.
    pub(super) fn follow_group(&self) {
        if let (Some(share), Some(claim)) = (&self.share, self.claim.shared())
            && share.follow(&self.runtime, claim)
        {
            self.supervisor.kick();
        }
    }

    /// Makes the tasks of slots that have come.
    pub(super) fn take_slots(self: &Arc<Self>) {
        if let (Some(share), Some(claim)) = (&self.share, self.claim.shared())
            && let Err(error) = share.take(&self.runtime, claim)
        {
            tracing::warn!(%error, "slots that came can't be taken yet; trying again");
        }
    }
}
