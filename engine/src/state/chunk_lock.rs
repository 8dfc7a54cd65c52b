//! A lock that a worker holds for the length of a chunk while readers look in between two chunks.
//!
//! The writer takes the value out and puts it back, so nothing is locked (and no guard borrowed) while it works. It is
//! fair both ways: readers that waited for a chunk to end all get in before the next one begins, and a writer that waits
//! lets no further readers in.

use std::ops::Deref;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// See the module.
pub(super) struct ChunkLock<T> {
    state: Mutex<State<T>>,
    readers: Condvar,
    writers: Condvar,
}

struct State<T> {
    /// Absent while a writer has it.
    value: Option<Arc<T>>,
    /// Readers that hold the value.
    active: usize,
    /// Readers that waited and may go in now; no writer passes them.
    admitted: usize,
    /// Readers that wait for the next `give`.
    waiting: usize,
    waiting_writers: usize,
    /// Counts calls of `give`.
    generation: u64,
}

impl<T> ChunkLock<T> {
    pub fn new(value: T) -> Self {
        let state = State { value: Some(Arc::new(value)), active: 0, admitted: 0, waiting: 0, waiting_writers: 0, generation: 0 };
        ChunkLock { state: Mutex::new(state), readers: Condvar::new(), writers: Condvar::new() }
    }

    /// Takes the value out, once every reader that is in or admitted has left.
    pub fn take(&self) -> T {
        let mut state = self.state.lock();
        loop {
            if state.active == 0 && state.admitted == 0 && state.value.is_some() {
                break;
            }
            state.waiting_writers += 1;
            self.writers.wait(&mut state);
            state.waiting_writers -= 1;
        }
        let value = state.value.take().and_then(Arc::into_inner);
        // Invariant: clones of the Arc exist only while `active > 0`.
        assert!(value.is_some(), "a reader is still in");
        match value {
            Some(value) => value,
            None => unreachable!(),
        }
    }

    /// Puts the value back and lets the readers in that have waited for it.
    pub fn give(&self, value: T) {
        let mut state = self.state.lock();
        state.value = Some(Arc::new(value));
        state.generation = state.generation.wrapping_add(1);
        state.admitted += std::mem::take(&mut state.waiting);
        let (readers, writers) = (state.admitted > 0, state.waiting_writers > 0);
        drop(state);
        if readers {
            self.readers.notify_all();
        } else if writers {
            self.writers.notify_one();
        }
    }

    /// Holds the value for reading, beside other readers.
    pub fn read(&self) -> ReadGuard<'_, T> {
        let mut state = self.state.lock();
        if state.value.is_none() || state.waiting_writers > 0 {
            self.wait_for_turn(&mut state);
        }
        state.active += 1;
        ReadGuard { lock: self, value: state.value.clone() }
    }

    fn wait_for_turn(&self, state: &mut MutexGuard<'_, State<T>>) {
        let generation = state.generation;
        state.waiting += 1;
        while state.generation == generation {
            self.readers.wait(state);
        }
        state.admitted -= 1;
    }
}

/// The value while it is read.
pub(super) struct ReadGuard<'a, T> {
    lock: &'a ChunkLock<T>,
    /// Present until the guard is dropped.
    value: Option<Arc<T>>,
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("no writer has the value while a reader is in"),
        }
    }
}

impl<T> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        self.value = None;
        state.active -= 1;
        let wake = state.active == 0 && state.admitted == 0 && state.waiting_writers > 0;
        drop(state);
        if wake {
            self.lock.writers.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn writers_and_readers_both_get_on() {
        let lock = ChunkLock::new((0u64, 0u64));
        let stop = AtomicBool::new(false);
        let reads = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let pair = lock.read();
                        assert_eq!(pair.0, pair.1, "a reader saw the middle of a chunk");
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let until = Instant::now() + Duration::from_millis(200);
            let mut chunks = 0u64;
            while Instant::now() < until {
                let mut pair = lock.take();
                pair.0 += 1;
                pair.1 += 1;
                lock.give(pair);
                chunks += 1;
            }
            stop.store(true, Ordering::Relaxed);
            assert!(chunks > 100, "readers starve the writer: {chunks} chunks");
        });
        assert!(reads.load(Ordering::Relaxed) > 100, "the writer starves readers");
    }
}
