//! Threads that bring large state up to date while queries whose state is whole run.
//!
//! A job is one partition of a sub-topology. What is asked for goes first, then the query that has the least to read: it is whole
//! soonest. There are a few threads, however many queries restore, and none where nothing does.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::worker::panic_text;

/// See the module.
pub(super) struct Restorers {
    /// Threads at most; 0: everything is restored by whoever starts a query.
    most: usize,
    shared: Arc<Mutex<Queue>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Queries that somebody waits for.
    asked: BTreeSet<Arc<str>>,
    running: usize,
}

/// A partition to restore.
pub(super) struct Job {
    pub query: Arc<str>,
    /// Records that the whole query has to read.
    pub records: u64,
    pub work: Box<dyn FnOnce() + Send>,
}

impl Restorers {
    pub(super) fn new(most: usize) -> Self {
        Restorers { most, shared: Arc::default(), threads: Mutex::default() }
    }

    /// Whether anything is restored in the background.
    pub(super) fn is_on(&self) -> bool {
        self.most > 0
    }

    /// Takes the jobs of a query.
    ///
    /// # Errors
    /// There can be no thread, and there is none: nothing is taken.
    pub(super) fn submit(&self, jobs: Vec<Job>) -> std::io::Result<()> {
        let wanted = {
            let mut queue = self.shared.lock();
            let wanted = (self.most.saturating_sub(queue.running)).min(jobs.len());
            queue.jobs.extend(jobs);
            queue.running += wanted;
            wanted
        };
        let mut threads = self.threads.lock();
        threads.retain(|thread| !thread.is_finished());
        for index in 0..wanted {
            let shared = self.shared.clone();
            match std::thread::Builder::new().name("restore".into()).spawn(move || work(&shared)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let mut queue = self.shared.lock();
                    queue.running -= wanted - index;
                    if queue.running == 0 {
                        queue.jobs.clear();
                        return Err(error);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Somebody waits for a query.
    pub(super) fn ask_for(&self, query: &str) {
        let mut queue = self.shared.lock();
        if let Some(job) = queue.jobs.iter().find(|job| *job.query == *query) {
            let query = job.query.clone();
            queue.asked.insert(query);
        }
    }

    /// A query is not to start any more: its jobs that have not begun go.
    pub(super) fn forget(&self, query: &str) {
        // Outside of the lock: what a job holds may be the last of its query.
        let gone: Vec<Job> = {
            let mut queue = self.shared.lock();
            queue.asked.remove(query);
            let (gone, stay) = std::mem::take(&mut queue.jobs).into_iter().partition(|job| *job.query == *query);
            queue.jobs = stay;
            gone
        };
        drop(gone);
    }

    /// Forgets everything and waits for the threads, which must have been told to end.
    pub(super) fn end(&self) {
        let gone = std::mem::take(&mut self.shared.lock().jobs);
        drop(gone);
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

fn work(shared: &Mutex<Queue>) {
    loop {
        let job = {
            let mut queue = shared.lock();
            let Some(job) = queue.next() else {
                queue.running -= 1;
                return;
            };
            job
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(job.work)) {
            tracing::error!(query = %job.query, reason = panic_text(&*panic), "internal error while state was restored");
        }
    }
}

impl Queue {
    /// The most urgent job.
    fn next(&mut self) -> Option<Job> {
        let asked = &self.asked;
        let urgency = |job: &Job| (!asked.contains(&job.query), job.records);
        let (index, _) = self.jobs.iter().enumerate().min_by_key(|(index, job)| (urgency(job), *index))?;
        let job = self.jobs.remove(index);
        if !self.jobs.iter().any(|other| other.query == job.query) {
            self.asked.remove(&job.query);
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn job(query: &str, records: u64, work: impl FnOnce() + Send + 'static) -> Job {
        Job { query: query.into(), records, work: Box::new(work) }
    }

    #[test]
    fn what_is_asked_for_goes_first_and_then_the_shortest() {
        let restorers = Restorers::new(1);
        let (begin, may_begin) = mpsc::channel::<()>();
        let (done, order) = mpsc::channel();
        restorers.submit(vec![job("first", 1, move || assert!(may_begin.recv().is_ok()))]).unwrap();
        let named = |name: &'static str, records| {
            let done = done.clone();
            job(name, records, move || assert!(done.send(name).is_ok()))
        };
        restorers.submit(vec![named("long", 900), named("long", 900)]).unwrap();
        restorers.submit(vec![named("gone", 1)]).unwrap();
        restorers.submit(vec![named("short", 10), named("asked", 500)]).unwrap();
        restorers.ask_for("asked");
        restorers.forget("gone");
        begin.send(()).unwrap();
        assert_eq!(order.iter().take(4).collect::<Vec<_>>(), ["asked", "short", "long", "long"]);
        restorers.end();
    }

    #[test]
    fn a_job_that_panics_does_not_stop_the_others() {
        let restorers = Restorers::new(1);
        let (done, was_done) = mpsc::channel();
        restorers.submit(vec![job("a", 1, || panic!("planted")), job("b", 2, move || assert!(done.send(()).is_ok()))]).unwrap();
        was_done.recv().unwrap();
        restorers.end();
        // Threads come again where they are needed.
        let (done, was_done) = mpsc::channel();
        restorers.submit(vec![job("c", 1, move || assert!(done.send(()).is_ok()))]).unwrap();
        was_done.recv().unwrap();
    }
}
