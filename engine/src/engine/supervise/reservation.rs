//! One start of a query at a time: a query that is dropped or replaced while it starts is cleared up after that, and a
//! successor of the same name must not have begun by then, on the same state.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The names that are taken.
#[derive(Default)]
pub struct Reserved {
    names: Mutex<HashSet<String>>,
    changed: Condvar,
}

/// Gives the name back when it goes.
pub struct Reservation {
    reserved: Arc<Reserved>,
    name: String,
}

impl Reserved {
    /// Takes a name; `None`: another has it for all of that time.
    pub fn reserve(self: &Arc<Self>, name: &str, patience: Duration) -> Option<Reservation> {
        let deadline = Instant::now() + patience;
        let mut names = self.names.lock();
        while names.contains(name) {
            if self.changed.wait_until(&mut names, deadline).timed_out() && names.contains(name) {
                return None;
            }
        }
        names.insert(name.to_owned());
        Some(Reservation { reserved: self.clone(), name: name.to_owned() })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.reserved.names.lock().remove(&self.name);
        self.reserved.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_until_it_is_given_back() {
        let reserved = Arc::new(Reserved::default());
        let first = reserved.reserve("q", Duration::ZERO).expect("free");
        assert!(reserved.reserve("q", Duration::ZERO).is_none());
        assert!(reserved.reserve("other", Duration::ZERO).is_some());
        drop(first);
        assert!(reserved.reserve("q", Duration::ZERO).is_some());
    }
}
