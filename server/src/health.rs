//! Whether the log answers, asked once for all who want to know at the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidemill_engine::engine::Engine;
use tokio::sync::watch;

/// How long the log may take to answer.
const LOG_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer is waited for where the last one was none: an outage need not be found out again and again.
const OUTAGE_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer holds.
const FRESH: Duration = Duration::from_millis(500);

/// What is known of the log.
#[derive(Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last answer, and when it came.
    last: Option<(Instant, bool)>,
    /// The question under way.
    asking: Option<watch::Receiver<Option<bool>>>,
}

impl Health {
    /// Asks the log, unless that was done a moment ago.
    pub async fn log_answers(self: &Arc<Self>, engine: &Arc<Engine>) -> bool {
        let engine = engine.clone();
        self.answer(move || engine.log().ping(LOG_TIMEOUT).is_ok()).await
    }

    async fn answer(self: &Arc<Self>, ping: impl FnOnce() -> bool + Send + 'static) -> bool {
        let (mut asking, patience) = {
            let mut state = self.state.lock();
            let patience = match state.last {
                Some((at, answer)) if at.elapsed() < FRESH => return answer,
                Some((_, false)) => OUTAGE_PATIENCE,
                _ => LOG_TIMEOUT,
            };
            (state.asking.get_or_insert_with(|| self.ask(ping)).clone(), patience)
        };
        let answered = tokio::time::timeout(patience, asking.wait_for(Option::is_some)).await;
        // Without an answer in time, or where asking broke off, the log does not answer.
        matches!(answered, Ok(Ok(answer)) if *answer == Some(true))
    }

    /// Asks on a thread of its own: at most one is taken at a time.
    fn ask(self: &Arc<Self>, ping: impl FnOnce() -> bool + Send + 'static) -> watch::Receiver<Option<bool>> {
        let (sender, receiver) = watch::channel(None);
        let health = self.clone();
        tokio::spawn(async move {
            let answer = tokio::task::spawn_blocking(ping).await.unwrap_or(false);
            {
                let mut state = health.state.lock();
                state.last = Some((Instant::now(), answer));
                state.asking = None;
            }
            sender.send_replace(Some(answer));
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_ask_once_and_an_outage_keeps_nobody_waiting() {
        let health = Arc::new(Health::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let ping = || {
            let (asked, held) = (asked.clone(), held.clone());
            move || {
                asked.fetch_add(1, Ordering::SeqCst);
                held.lock().recv().is_ok()
            }
        };
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let (health, ping) = (health.clone(), ping());
                tokio::spawn(async move { health.answer(ping).await })
            })
            .collect();
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        release.send(()).expect("somebody asks");
        for waiting in waiting {
            assert!(waiting.await.expect("no panic"));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        // The log does not answer any more: the first may wait, later ones hardly.
        health.state.lock().last = Some((Instant::now() - 2 * FRESH, false));
        let began = Instant::now();
        assert!(!health.answer(ping()).await);
        assert!(began.elapsed() < LOG_TIMEOUT, "{:?}", began.elapsed());
        drop(release);
    }
}
