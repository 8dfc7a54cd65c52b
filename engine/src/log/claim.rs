//! The claim of a server on its service: the whole of it, or a share of its slots beside other servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::LogError;

/// Who claims what: one server a whole service, or each of several a share of its slots.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// For messages.
    pub service: &'a str,
    /// The consumer group whose membership is the claim.
    pub group: &'a str,
    /// The topic that the group shares; it must exist.
    pub topic: &'a str,
    /// Names the server, over restarts.
    pub instance: &'a str,
    /// The topic's partitions are the service's slots, which all members of the group share. Else one member has everything.
    pub is_shared: bool,
}

/// Slots have come or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shift {
    /// They are this server's: whoever had them has let go, or is no member any more.
    Given(BTreeSet<u16>),
    /// They are to go to another server once this one has let go of them, which [`SharedClaim::has_let_go`] says.
    Wanted(BTreeSet<u16>),
    /// They are not this server's any more: another may have them already. Once nothing of them is under way here any more,
    /// [`SharedClaim::has_let_go`] says so.
    Lost(BTreeSet<u16>),
}

/// What is known of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Held,
    /// Another server may have begun: nothing must be written until that is known.
    Unsure,
    /// Another server has begun, and how that is known.
    Lost(String),
}

/// A claim, as long as it lives.
pub trait Claim: Send + Sync {
    /// How it stands. To be asked again and again, from one thread: asking keeps it.
    fn standing(&self) -> Standing;

    /// How long a claim that is held is sure to be held after the answer; `None`: for ever.
    fn sure_for(&self) -> Option<Duration> {
        None
    }

    /// Its side as one of several servers, each of which has some of the slots; `None`: all slots are this server's, for ever.
    fn shared(&self) -> Option<&dyn SharedClaim> {
        None
    }
}

/// A claim on a share of the slots, which the group of the servers gives and takes.
pub trait SharedClaim: Send + Sync {
    /// What has become of the slots since this was last asked, the first first.
    fn shifts(&self) -> Vec<Shift>;

    /// The slots that were [`Shift::Wanted`] or [`Shift::Lost`] have been let go. Who has lost some joins again only then.
    fn has_let_go(&self);

    /// This server ends, and runs nothing any more: others get its slots at once, and not only when its session is over. Waits for so
    /// long at most. Whether the group has let it go; it stays where nobody else is in it, for whoever is the first in a group waits.
    fn leave(&self, patience: Duration) -> bool;

    /// The slots that the group says are this server's.
    fn assigned(&self) -> BTreeSet<u16>;

    /// The servers that share the service now, this one included.
    ///
    /// # Errors
    /// The log is away.
    fn servers(&self) -> Result<BTreeSet<String>, LogError> {
        Ok(self.shares()?.into_keys().collect())
    }

    /// The same, each with the slots that the group has agreed are its; all without any while it agrees anew.
    ///
    /// # Errors
    /// The log is away.
    fn shares(&self) -> Result<BTreeMap<String, BTreeSet<u16>>, LogError>;
}

/// A claim on what nobody else can reach.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysHeld;

impl Claim for AlwaysHeld {
    fn standing(&self) -> Standing {
        Standing::Held
    }
}
