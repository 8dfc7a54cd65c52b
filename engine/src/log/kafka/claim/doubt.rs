//! What a server makes of its group when its own membership is not certain.

use std::time::Instant;

use super::{ALONE_FOR, OTHER_PATIENCE};
use crate::log::Standing;

/// The membership may have ended in the meantime.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt {
    was_out: bool,
    alone_since: Option<Instant>,
}

impl Doubt {
    /// Of one that was out of the group for certain.
    pub fn out() -> Self {
        Doubt { was_out: true, alone_since: None }
    }

    /// What a look at the group's members says; `None`: another is there.
    pub fn look(&mut self, is_member: bool, others: usize, now: Instant) -> Option<Standing> {
        if others > 0 {
            return None;
        }
        if !is_member {
            (self.was_out, self.alone_since) = (true, None);
            return Some(Standing::Unsure);
        }
        let alone_since = *self.alone_since.get_or_insert(now);
        let is_sure = !self.was_out || now.saturating_duration_since(alone_since) >= ALONE_FOR;
        Some(if is_sure { Standing::Held } else { Standing::Unsure })
    }
}

/// Somebody has joined under this server's own instance id, and the broker lets this server no longer act under it.
///
/// Mostly that was this server: a request to join whose connection broke is sent again, and the broker, which gets to the first
/// one last, gives the place to that one, for whose answer nobody waits. Nobody keeps such a member alive, so its session ends.
/// One that stays is a server on a copy of this one's folder.
#[derive(Debug, Default)]
pub(super) struct Rival {
    seen_since: Option<Instant>,
}

/// What becomes of a server whose place was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Wait,
    /// Nobody has the place.
    JoinAgain,
    /// Somebody lives who has it.
    Leave,
}

impl Rival {
    /// What a look at the group says; `None`: the brokers could not be asked, and count sessions anew when they are back.
    pub fn look(&mut self, holds_the_place: Option<bool>, now: Instant) -> Outcome {
        match holds_the_place {
            None => self.seen_since = None,
            Some(false) => return Outcome::JoinAgain,
            Some(true) => {
                let since = *self.seen_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= OTHER_PATIENCE {
                    return Outcome::Leave;
                }
            }
        }
        Outcome::Wait
    }
}

/// How long a start waits for members that may have died.
///
/// Of two that died at the same time, one that was about to join again has its session only when that of the other is over: so the time
/// begins anew where the members change, though not for ever.
#[derive(Debug)]
pub(super) struct Patience {
    members: Vec<String>,
    until: Instant,
    last: Instant,
}

impl Patience {
    pub fn new(now: Instant) -> Self {
        Patience { members: Vec::new(), until: now, last: now + 3 * OTHER_PATIENCE }
    }

    /// Whether to wait on for these members.
    pub fn lasts(&mut self, members: Vec<String>, now: Instant) -> bool {
        if members != self.members {
            self.members = members;
            self.until = self.last.min(now + OTHER_PATIENCE);
        }
        now <= self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_dead_are_waited_for_one_after_the_other() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let mut patience = Patience::new(now);
        assert!(patience.lasts(ids(&["a-1", "b-1"]), now) && patience.lasts(ids(&["a-1", "b-1"]), now + 9 * second));
        assert!(patience.lasts(ids(&["b-1"]), now + 9 * second) && patience.lasts(ids(&["b-1"]), now + 18 * second));
        assert!(!patience.lasts(ids(&["b-1"]), now + 20 * second), "it lives");
        let mut patience = Patience::new(now);
        assert!((0..30).all(|n| patience.lasts(ids(&[&format!("a-{n}")]), now + n * second)));
        assert!(!patience.lasts(ids(&["a-31"]), now + 31 * second), "not for ever");
    }

    #[test]
    fn who_was_out_of_the_group_goes_on_once_it_is_alone_in_it() {
        let now = Instant::now();
        let mut doubt = Doubt::default();
        assert_eq!(doubt.look(true, 0, now), Some(Standing::Held), "it never was out");
        assert_eq!(doubt.look(true, 1, now), None, "another has begun");
        let mut doubt = Doubt::default();
        assert_eq!(doubt.look(false, 0, now), Some(Standing::Unsure));
        assert_eq!(doubt.look(true, 0, now), Some(Standing::Unsure), "another may be about to join");
        assert_eq!(doubt.look(true, 0, now + ALONE_FOR / 2), Some(Standing::Unsure));
        let mut joined = doubt;
        assert_eq!(joined.look(true, 1, now + ALONE_FOR), None);
        assert_eq!(doubt.look(true, 0, now + ALONE_FOR), Some(Standing::Held));
    }

    #[test]
    fn a_place_that_nobody_keeps_is_taken_back() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut rival = Rival::default();
        assert_eq!(rival.look(Some(true), now), Outcome::Wait);
        assert_eq!(rival.look(Some(true), now + 6 * second), Outcome::Wait);
        assert_eq!(rival.look(Some(false), now + 7 * second), Outcome::JoinAgain, "its session has ended");
        let mut rival = Rival::default();
        assert_eq!(rival.look(Some(true), now), Outcome::Wait);
        assert_eq!(rival.look(None, now + 6 * second), Outcome::Wait);
        assert_eq!(rival.look(Some(true), now + 10 * second), Outcome::Wait, "the session was begun anew by a broker's restart");
        assert_eq!(rival.look(Some(true), now + 20 * second), Outcome::Leave, "somebody keeps it");
    }
}
