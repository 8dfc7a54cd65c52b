//! The fates of records that somebody waits for, each by a ticket that went with the record.
//!
//! librdkafka reports what became of a record to whoever polls its client. Nobody polls but those who wait, and of them one
//! at a time: it hears for all, and when its own record is done another takes its place. So no thread stands by for it.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::errors::Failure;

/// Names a record that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub usize);

impl Ticket {
    /// Nobody waits for the record.
    pub const NONE: Ticket = Ticket(0);
}

#[derive(Default)]
pub struct Reports {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    last: usize,
    /// The tickets that are out; their fates, once known.
    fates: HashMap<Ticket, Option<Result<(), Failure>>>,
    /// Somebody polls.
    is_served: bool,
}

impl Reports {
    /// A ticket for a record that is about to be sent.
    pub fn ticket(&self) -> Ticket {
        let mut state = self.state.lock();
        state.last = state.last.wrapping_add(1).max(1);
        let ticket = Ticket(state.last);
        state.fates.insert(ticket, None);
        ticket
    }

    /// The record was not sent, or nobody wants to know any more.
    pub fn forget(&self, ticket: Ticket) {
        self.state.lock().fates.remove(&ticket);
    }

    /// What became of a record.
    pub fn report(&self, ticket: Ticket, fate: Result<(), Failure>) {
        if let Some(slot) = self.state.lock().fates.get_mut(&ticket) {
            *slot = Some(fate);
        }
        self.changed.notify_all();
    }

    /// Waits for a record's fate; `None`: not known in time, and nobody will be told any more. `serve` makes the client
    /// report what it knows, and may wait a little for it; it is called by one of those who wait at a time.
    pub fn wait(&self, ticket: Ticket, deadline: Instant, serve: impl Fn()) -> Option<Result<(), Failure>> {
        let mut state = self.state.lock();
        loop {
            if state.fates.get(&ticket).is_none_or(Option::is_some) {
                return state.fates.remove(&ticket).flatten();
            }
            if Instant::now() >= deadline {
                state.fates.remove(&ticket);
                return None;
            }
            if state.is_served {
                self.changed.wait_until(&mut state, deadline);
                continue;
            }
            state.is_served = true;
            MutexGuard::unlocked(&mut state, &serve);
            state.is_served = false;
            // Whoever waits may have to take over.
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn each_hears_of_its_own_record_while_one_listens_for_all() {
        let reports = Reports::default();
        let tickets: Vec<Ticket> = (0..16).map(|_| reports.ticket()).collect();
        let (listening, next) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for ticket in &tickets {
                let (reports, tickets, listening, next) = (&reports, &tickets, &listening, &next);
                scope.spawn(move || {
                    let fate = reports.wait(*ticket, Instant::now() + PATIENCE, || {
                        assert_eq!(listening.fetch_add(1, Ordering::SeqCst), 0, "two listen at a time");
                        // One report for each turn, the last record's first.
                        if let Some(done) = tickets.iter().rev().nth(next.fetch_add(1, Ordering::SeqCst)) {
                            let odd = done.0 % 2 == 1;
                            reports.report(*done, if odd { Ok(()) } else { Err(Failure::raw(-1, done.0.to_string())) });
                        }
                        listening.fetch_sub(1, Ordering::SeqCst);
                    });
                    match fate.expect("reported") {
                        Ok(()) => assert_eq!(ticket.0 % 2, 1),
                        Err(failure) => assert_eq!(failure.text, ticket.0.to_string()),
                    }
                });
            }
        });
        assert!(reports.state.lock().fates.is_empty());
    }

    #[test]
    fn who_waits_in_vain_gives_up() {
        let reports = Reports::default();
        let ticket = reports.ticket();
        assert!(reports.wait(ticket, Instant::now(), || {}).is_none());
        // A report that comes too late reaches nobody, and nothing stays.
        reports.report(ticket, Ok(()));
        assert!(reports.state.lock().fates.is_empty());
    }
}
