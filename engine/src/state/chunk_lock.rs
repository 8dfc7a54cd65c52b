//! A lock that a worker holds for the length of a chunk while readers look in between two chunks.
//!
//! The writer takes the value out and puts it back, so nothing is locked (and no guard borrowed) while it works. It is
//! fair both ways: readers that waited for a chunk to end all get in before the next one begins, and a writer that waits
//! lets no further readers in.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

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

impl<T> State<T> {
    /// Whether a writer may take the value.
    fn is_free(&self) -> bool {
        self.active == 0 && self.admitted == 0 && self.value.is_some()
    }

    /// Whether a reader has to wait: for the value, or for a writer that was there before it.
    fn must_wait(&self) -> bool {
        self.value.is_none() || self.waiting_writers > 0
    }

    /// One more reader waits; until the generation is another one.
    fn begin_to_wait(&mut self) -> u64 {
        self.waiting += 1;
        self.generation
    }

    /// Lets all in that wait.
    fn admit(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.admitted += std::mem::take(&mut self.waiting);
    }
}

impl<T> ChunkLock<T> {
    pub fn new(value: T) -> Self {
        let state = State { value: Some(Arc::new(value)), active: 0, admitted: 0, waiting: 0, waiting_writers: 0, generation: 0 };
        ChunkLock { state: Mutex::new(state), readers: Condvar::new(), writers: Condvar::new() }
    }

    /// Takes the value out, once every reader that is in or admitted has left.
    pub fn take(&self) -> T {
        let mut state = self.state.lock();
        while !state.is_free() {
            state.waiting_writers += 1;
            self.writers.wait(&mut state);
            state.waiting_writers -= 1;
        }
        Self::taken(&mut state)
    }

    /// As [`Self::take`]; `None` where that took longer than `patience`.
    pub fn take_within(&self, patience: Duration) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.state.lock();
        while !state.is_free() {
            state.waiting_writers += 1;
            let timed_out = self.writers.wait_until(&mut state, deadline).timed_out();
            state.waiting_writers -= 1;
            if timed_out && !state.is_free() {
                // Readers that let this writer pass wait for a `give` that may never come.
                if state.value.is_some() && state.waiting_writers == 0 {
                    state.admit();
                    self.readers.notify_all();
                }
                return None;
            }
        }
        Some(Self::taken(&mut state))
    }

    fn taken(state: &mut State<T>) -> T {
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
        state.admit();
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
        if state.must_wait() {
            let generation = state.begin_to_wait();
            while state.generation == generation {
                self.readers.wait(&mut state);
            }
            state.admitted -= 1;
        }
        self.enter(state)
    }

    /// As [`Self::read`]; `None` where the writer had the value for longer than `patience`, which may be nothing at all.
    pub fn read_within(&self, patience: Duration) -> Option<ReadGuard<'_, T>> {
        let mut state = self.state.lock();
        if state.must_wait() {
            if patience.is_zero() {
                return None;
            }
            let deadline = Instant::now() + patience;
            let generation = state.begin_to_wait();
            while state.generation == generation {
                if self.readers.wait_until(&mut state, deadline).timed_out() && state.generation == generation {
                    state.waiting -= 1;
                    return None;
                }
            }
            state.admitted -= 1;
        }
        Some(self.enter(state))
    }

    fn enter(&self, mut state: MutexGuard<'_, State<T>>) -> ReadGuard<'_, T> {
        state.active += 1;
        ReadGuard { lock: self, value: state.value.clone() }
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

    #[test]
    fn patience_ends_and_leaves_nothing_behind() {
        let lock = ChunkLock::new(1u64);
        let value = lock.take();
        assert!(lock.read_within(Duration::ZERO).is_none() && lock.read_within(Duration::from_millis(5)).is_none());
        assert!(lock.take_within(Duration::from_millis(5)).is_none());
        lock.give(value);
        {
            let reader = lock.read_within(Duration::ZERO).expect("nobody writes");
            assert_eq!(*reader, 1);
            std::thread::scope(|scope| {
                // A writer that gives up must not leave those behind who let it pass.
                let writer = scope.spawn(|| lock.take_within(Duration::from_millis(200)).is_none());
                while lock.state.lock().waiting_writers == 0 {
                    std::thread::yield_now();
                }
                let patient = scope.spawn(|| *lock.read());
                assert!(writer.join().expect("a writer"), "a reader is in");
                assert_eq!(patient.join().expect("a reader"), 1);
            });
        }
        assert_eq!(lock.take_within(Duration::from_millis(5)), Some(1));
    }
}
