//! What is owed to clients: answers that are made and that nobody takes. A client that does not read, or opens a thousand streams with a
//! window of nothing, must not fill the memory with them.
//!
//! An answer is owed from the moment it is there until its transport asks for more and there is none: then the client waits for the
//! server, and not the server for the client. While it is owed it counts for what it holds. Each connection of HTTP/2 begins to answer
//! only so much at a time; what is beyond waits in its request, and the few that take much memory while they are made wait for each
//! other. Answers of which nothing is taken for long are cut, which gives back what they hold and leaves the reason for the client; where
//! all of them together hold too much, those of the connections that hold the most are cut sooner.

mod answer;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

pub use self::answer::Answer;
use super::body::ReplyBody;

/// Bytes that the answers of all connections may hold together before some are cut; they never hold twice as much for long.
const MAX_BYTES: usize = 32 << 20;
/// The same of one connection, before its next request waits …
const MAX_CONNECTION_BYTES: usize = 4 << 20;
/// … and where all of them hold too much.
const MAX_CROWDED_BYTES: usize = 64 << 10;
/// What a request stands for until its answer is there, bytes.
const RESERVED_BYTES: usize = 256 << 10;
/// Answers that take much memory to be made, of one connection at a time.
const MAX_LARGE: usize = 1;
/// Where all hold too much, an answer is cut of which nothing was taken for so long.
const CROWDED_PATIENCE: Duration = Duration::from_secs(5);

/// Of the whole server.
pub struct Owed {
    bytes: AtomicUsize,
    /// Rings when it becomes too much.
    crowded: Notify,
    /// How long a client may take nothing of an answer.
    patience: Duration,
}

/// Of one connection.
pub struct Debts {
    all: Arc<Owed>,
    bytes: AtomicUsize,
    /// What requests stand for whose answers are not there.
    reserved: AtomicUsize,
    /// Grows whenever something is taken.
    progress: AtomicU64,
    /// How far that was when it was looked at, and since when.
    seen: Mutex<Option<(u64, Instant)>>,
    /// Rings when something was taken.
    room: Notify,
    /// For answers that take much memory to be made …
    large: Semaphore,
    /// … and rings for the next of them when something was taken.
    taken: Notify,
    answers: Mutex<Answers>,
}

#[derive(Default)]
struct Answers {
    next: u64,
    open: HashMap<u64, Arc<Answer>>,
}

/// Bytes that count until this is dropped.
pub struct Load {
    debts: Arc<Debts>,
    bytes: usize,
}

/// A request that is being answered.
pub struct Reserved(Arc<Debts>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.reserved.fetch_sub(RESERVED_BYTES, Ordering::Relaxed);
        self.0.room.notify_one();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.debts.took(self.bytes);
    }
}

/// A small answer of many, whose bytes count until this is dropped.
pub struct Small {
    debts: Arc<Debts>,
    bytes: usize,
}

impl Small {
    /// Its transport asks for more.
    pub fn progresses(&self) {
        self.debts.progresses();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.debts.took(self.bytes);
    }
}

tokio::task_local! {
    /// Of the connection whose request is being answered, where it may have many at a time.
    static ASKING: Option<Arc<Debts>>;
}

/// Answers a request; `debts`: of a connection that may have many at a time.
pub async fn asking<T>(debts: Option<Arc<Debts>>, answering: impl Future<Output = T>) -> T {
    ASKING.scope(debts, answering).await
}

/// Makes an answer that takes much memory until it is there. Of those that one connection asks for at a time, so many are made as its
/// client takes.
pub async fn large<T>(making: impl Future<Output = T>) -> T {
    let debts = ASKING.try_with(Option::clone).ok().flatten();
    let _place = match &debts {
        Some(debts) => debts.may_make_large().await,
        None => None,
    };
    making.await
}

/// An answer that is to be cut, maybe.
pub struct Candidate {
    connection_bytes: usize,
    since: Instant,
    answer: Arc<Answer>,
}

impl Owed {
    pub fn new(patience: Duration) -> Arc<Self> {
        Arc::new(Owed { bytes: AtomicUsize::new(0), crowded: Notify::new(), patience })
    }

    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits until all answers together hold too much.
    pub async fn is_crowded(&self) {
        self.crowded.notified().await;
    }

    /// Bytes that have to go beyond what can be cut: of what is on its way already.
    pub fn too_much(&self) -> usize {
        self.bytes().saturating_sub(2 * MAX_BYTES)
    }

    /// Cuts what nobody takes, of the answers that [`Debts::candidates`] found; how many that were.
    pub fn cut(&self, mut candidates: Vec<Candidate>, now: Instant) -> usize {
        let mut cut = 0;
        let ms = self.patience.as_millis();
        candidates.retain(|candidate| {
            let is_stalled = now.saturating_duration_since(candidate.since) >= self.patience;
            if is_stalled {
                let reason = format!(
                    "The client took nothing of the rest of the answer for {ms} ms, so the query was ended. Read faster, ask for fewer \
                     rows (WHERE, LIMIT) or columns, or raise tidemill.push.stall.timeout.ms."
                );
                cut += usize::from(candidate.answer.cut(&reason));
            }
            !is_stalled
        });
        if self.bytes() > MAX_BYTES {
            candidates.sort_by_key(|candidate| (Reverse(candidate.connection_bytes.ilog2()), candidate.since));
            for candidate in &candidates {
                let bytes = self.bytes();
                let has_waited = now.saturating_duration_since(candidate.since) >= CROWDED_PATIENCE;
                if bytes <= MAX_BYTES / 4 * 3 || (!has_waited && bytes <= 2 * MAX_BYTES) {
                    continue;
                }
                let reason = "The server holds as many answers as it may for clients that don't take them, so this one was ended. Read it \
                              faster, or ask for less at a time.";
                cut += usize::from(candidate.answer.cut(reason));
            }
        }
        cut
    }
}

impl Debts {
    pub fn new(all: Arc<Owed>) -> Arc<Self> {
        Arc::new(Debts {
            all,
            bytes: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            progress: AtomicU64::new(0),
            seen: Mutex::default(),
            room: Notify::new(),
            large: Semaphore::new(MAX_LARGE),
            taken: Notify::new(),
            answers: Mutex::default(),
        })
    }

    /// Bytes that the connection's answers hold.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn load(self: &Arc<Self>, bytes: usize) -> Arc<Load> {
        self.owes(bytes);
        Arc::new(Load { debts: self.clone(), bytes })
    }

    /// A small answer of many begins.
    pub fn small(self: Arc<Self>, bytes: usize) -> Small {
        self.owes(bytes);
        Small { debts: self, bytes }
    }

    fn owes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > MAX_BYTES {
            self.all.crowded.notify_one();
        }
    }

    /// Something is taken.
    fn progresses(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn took(&self, bytes: usize) {
        self.progresses();
        self.all.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.room.notify_one();
        self.taken.notify_one();
    }

    /// Bytes that the connection's answers may hold before the next one waits.
    fn most(&self) -> usize {
        if self.all.bytes() > MAX_BYTES { MAX_CROWDED_BYTES } else { MAX_CONNECTION_BYTES }
    }

    /// Waits until one more answer may be made that takes much memory.
    async fn may_make_large(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.large.acquire().await.ok();
        while self.bytes() >= self.most() {
            self.taken.notified().await;
        }
        place
    }

    /// Waits until the connection may begin to answer one more request.
    pub async fn admitted(self: &Arc<Self>) -> Reserved {
        let has_room = || self.bytes() + self.reserved.load(Ordering::Relaxed) < self.most();
        loop {
            if has_room() {
                self.reserved.fetch_add(RESERVED_BYTES, Ordering::Relaxed);
                if has_room() {
                    // The next one may as well.
                    self.room.notify_one();
                }
                return Reserved(self.clone());
            }
            self.room.notified().await;
        }
    }

    /// Whether something is held, and nothing was taken for so long, as far as it was looked at before.
    pub fn is_stuck_for(&self, now: Instant, patience: Duration) -> bool {
        let mut seen = self.seen.lock();
        let progress = self.progress.load(Ordering::Relaxed);
        match *seen {
            _ if self.bytes() == 0 => *seen = None,
            Some((before, since)) if before == progress => return now.saturating_duration_since(since) >= patience,
            _ => *seen = Some((progress, now)),
        }
        false
    }

    /// An answer begins.
    pub fn begin(self: &Arc<Self>, body: ReplyBody) -> (u64, Arc<Answer>) {
        let answer = Arc::new(Answer::new(body, self));
        let mut answers = self.answers.lock();
        let number = answers.next;
        answers.next = number.wrapping_add(1);
        answers.open.insert(number, answer.clone());
        (number, answer)
    }

    /// It is over.
    pub fn end(&self, number: u64) {
        self.answers.lock().open.remove(&number);
    }

    /// The connection's answers that may be cut.
    pub fn candidates(&self, candidates: &mut Vec<Candidate>) {
        let connection_bytes = self.bytes();
        if connection_bytes == 0 {
            return;
        }
        for answer in self.answers.lock().open.values() {
            if let Some(since) = answer.waits_since() {
                candidates.push(Candidate { connection_bytes, since, answer: answer.clone() });
            }
        }
    }
}
