//! A disk in memory that outlives the process on it, with seeded faults, for tests of what a crash leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::backing::Backing;
use super::batch::BatchPart;
use super::memory::MemoryBacking;
use super::{StateDb, StateError};

/// The disk. State on it is opened once for each life of the process.
pub(crate) struct SimulatedDisk {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Mutex<Arc<MemoryBacking>>,
    /// Which life of the process it is: a dead one writes nothing any more.
    life: AtomicU64,
    faults: Mutex<Faults>,
}

struct Faults {
    rng: StdRng,
    write: f64,
    happened: u64,
}

/// The disk as one life of the process sees it.
struct Mounted {
    shared: Arc<Shared>,
    memory: Arc<MemoryBacking>,
    life: u64,
}

impl SimulatedDisk {
    /// An empty disk; a write fails with a probability, after a part of it was written where it comes in slices.
    pub fn new(seed: u64, write: f64) -> Self {
        let faults = Mutex::new(Faults { rng: StdRng::seed_from_u64(seed), write, happened: 0 });
        SimulatedDisk { shared: Arc::new(Shared { memory: Mutex::default(), life: AtomicU64::new(0), faults }) }
    }

    /// Opens the state for a new life of the process.
    pub fn open(&self) -> StateDb {
        let life = self.shared.life.fetch_add(1, Ordering::AcqRel) + 1;
        let memory = self.shared.memory.lock().clone();
        let mounted = Mounted { shared: self.shared.clone(), memory, life };
        match StateDb::simulated(Arc::new(mounted)) {
            Ok(state) => state,
            Err(error) => unreachable!("reading memory: {error}"),
        }
    }

    /// The process has died: nothing that it had in hand is written any more.
    pub fn crash(&self) {
        self.shared.life.fetch_add(1, Ordering::AcqRel);
    }

    /// The folder is lost.
    pub fn wipe(&self) {
        *self.shared.memory.lock() = Arc::default();
    }

    /// From now on writes fail with this probability.
    pub fn set_faults(&self, write: f64) {
        self.shared.faults.lock().write = write;
    }

    /// How many writes have failed.
    pub fn faults(&self) -> u64 {
        self.shared.faults.lock().happened
    }
}

impl Mounted {
    /// `Some`: the write fails, after so much of it.
    fn fails(&self) -> Option<f64> {
        if self.shared.life.load(Ordering::Acquire) != self.life {
            return Some(0.0);
        }
        let mut faults = self.shared.faults.lock();
        let probability = faults.write;
        (probability > 0.0 && faults.rng.random_bool(probability)).then(|| {
            faults.happened += 1;
            faults.rng.random_range(0.0..=1.0)
        })
    }
}

fn full() -> StateError {
    StateError::Storage("simulated fault: no space left".into())
}

impl Backing for Mounted {
    fn get(&self, key: &[u8], f: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), StateError> {
        self.memory.get(key, f)
    }

    fn scan(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.memory.scan(from, to, f)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], f: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), StateError> {
        self.memory.scan_back(from, to, f)
    }

    fn write(&self, batch: &BatchPart<'_>) -> Result<(), StateError> {
        if self.fails().is_some() { Err(full()) } else { self.memory.write(batch) }
    }

    fn write_in_slices(&self, batch: &BatchPart<'_>) -> Result<(), StateError> {
        let Some(part) = self.fails() else { return self.memory.write(batch) };
        let mut entries = Vec::new();
        batch.visit_entries(&mut |key, value| entries.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        if self.shared.life.load(Ordering::Acquire) == self.life {
            entries.truncate((entries.len() as f64 * part) as usize);
            self.memory.put_all(&entries)?;
        }
        Err(full())
    }

    fn put_all(&self, entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), StateError> {
        self.memory.put_all(entries)
    }

    fn delete_range(&self, from: &[u8], to: &[u8]) -> Result<(), StateError> {
        self.memory.delete_range(from, to)
    }
}
