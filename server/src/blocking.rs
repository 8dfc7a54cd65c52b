//! Work that waits (for a disk, a broker, a store, the statement before it): it goes to threads beside those that serve
//! connections. Each kind has a share of these threads, and what is beyond it queues without one, so that a kind whose
//! work all waits (statements while the broker is away) takes nothing from the others.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The kinds, with what they may take of the process's threads for waiting work (76 in `tidemill server`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Statements of `/ksql`.
    Statement,
    /// Pull queries, and the beginning of push queries and PRINT.
    Query,
    /// Parts of pull queries that other servers ask for: those wait for nobody, so that servers don't wait for each other.
    Part,
    /// The end of push queries.
    End,
    /// Requests of the schema registry.
    Registry,
}

/// Threads for each kind.
const STATEMENTS: usize = 20;
const QUERIES: usize = 30;
const PARTS: usize = 12;
const ENDS: usize = 6;
const REGISTRY: usize = 8;

/// The work broke off: it panicked, or the process ends.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Broken(String);

/// Hands out the threads. Cheap to clone.
#[derive(Clone)]
pub struct Blocking {
    statements: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    parts: Arc<Semaphore>,
    ends: Arc<Semaphore>,
    registry: Arc<Semaphore>,
}

impl Default for Blocking {
    fn default() -> Self {
        let of = |threads| Arc::new(Semaphore::new(threads));
        Blocking { statements: of(STATEMENTS), queries: of(QUERIES), parts: of(PARTS), ends: of(ENDS), registry: of(REGISTRY) }
    }
}

impl Blocking {
    /// Runs work that may wait; queues where all threads of its kind are taken.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T: Send + 'static>(&self, kind: Kind, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Broken> {
        let threads = match kind {
            Kind::Statement => &self.statements,
            Kind::Query => &self.queries,
            Kind::Part => &self.parts,
            Kind::End => &self.ends,
            Kind::Registry => &self.registry,
        };
        let permit = threads.clone().acquire_owned().await.map_err(|error| Broken(error.to_string()))?;
        // The permit goes with the work: a client that leaves does not end it.
        let working = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        working.await.map_err(|error| Broken(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn one_kind_takes_nothing_from_another() {
        let blocking = Blocking::default();
        let (release, held) = channel::<()>();
        let held = Arc::new(parking_lot::Mutex::new(held));
        let waiting: Vec<_> = (0..2 * QUERIES)
            .map(|_| {
                let (blocking, held) = (blocking.clone(), held.clone());
                tokio::spawn(async move { blocking.run(Kind::Query, move || held.lock().recv().is_err()).await })
            })
            .collect();
        assert_eq!(blocking.run(Kind::Statement, || 5).await.expect("runs"), 5);
        assert!(waiting.iter().all(|w| !w.is_finished()), "they wait");
        drop(release);
        for waiting in waiting {
            assert!(waiting.await.expect("no panic").expect("runs"));
        }
    }

    #[tokio::test]
    async fn a_panic_is_told() {
        let blocking = Blocking::default();
        let broken = blocking.run(Kind::End, || assert_eq!(1, 2, "planted")).await.expect_err("it panicked");
        assert!(!broken.to_string().is_empty());
    }
}
