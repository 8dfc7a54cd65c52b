//! The right to run one task of a query here. Who makes the task holds it, and then the task itself does; where the task's slot goes
//! to another server, the query gives the seat up, and whoever has it lets go.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::slots::Slot;

/// See the module.
#[derive(Clone)]
pub(super) struct Seat {
    /// `None`: of a push query, which runs where it was asked.
    pub slot: Option<Slot>,
    is_given_up: Arc<AtomicBool>,
    _taken: Sender<Infallible>,
    /// Of the query: tells that its last task is gone.
    _lease: Sender<Infallible>,
}

/// What the query knows of a seat that somebody has.
pub(super) struct Taken {
    slot: Option<Slot>,
    is_given_up: Arc<AtomicBool>,
    gone: Receiver<Infallible>,
}

impl Seat {
    /// A seat in a query, and the query's end of it.
    pub fn new(slot: Option<Slot>, lease: &Sender<Infallible>) -> (Seat, Taken) {
        let (is_given_up, (taken, gone)) = (Arc::<AtomicBool>::default(), bounded(0));
        (Seat { slot, is_given_up: is_given_up.clone(), _taken: taken, _lease: lease.clone() }, Taken { slot, is_given_up, gone })
    }

    /// Whether the task is to run elsewhere: who makes it stops.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }
}

impl Taken {
    pub fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Whether nobody has it: its task could not be made.
    pub fn is_free(&self) -> bool {
        is_free(&self.gone)
    }

    /// Gives the seat up. The other end is disconnected once nobody has it.
    pub fn give_up(self) -> Receiver<Infallible> {
        self.is_given_up.store(true, Ordering::Release);
        self.gone
    }
}

/// Whether nobody has a seat any more that was given up.
pub(super) fn is_free(gone: &Receiver<Infallible>) -> bool {
    matches!(gone.try_recv(), Err(TryRecvError::Disconnected))
}
