//! Whether the brokers answer. librdkafka says in a log line when the last one has gone; then, and only then, a thread
//! probes with backoff until one answers. The outage is reported once when it begins and once when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::login::Login;

/// First and longest pause between two probes of a broker that does not answer, milliseconds.
const PROBE_BACKOFF_MS: (u64, u64) = (50, 1_000);

/// How the prober reaches the rest: set once the log is built.
pub(super) trait Outage: Send + Sync {
    /// Asks any broker for anything; the error's text says why none answered.
    fn probe(&self) -> Result<(), String>;
    /// The brokers went away or came back: readers want to know.
    fn changed(&self);
    /// The log is being dropped: stop probing.
    fn is_closed(&self) -> bool;
}

/// The state of the connection to the cluster, shared by all clients of a log.
pub(super) struct Health {
    bootstrap: String,
    /// No broker answers.
    away: AtomicBool,
    /// A prober runs.
    probing: AtomicBool,
    /// The last failure that librdkafka reported, for messages.
    last_failure: Mutex<String>,
    outage: RwLock<Option<Arc<dyn Outage>>>,
    /// Where the brokers want tokens.
    login: OnceLock<Arc<Login>>,
}

impl Health {
    pub(super) fn new(bootstrap: &str) -> Arc<Health> {
        Arc::new(Health {
            bootstrap: bootstrap.to_owned(),
            away: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            last_failure: Mutex::new(String::new()),
            outage: RwLock::new(None),
            login: OnceLock::new(),
        })
    }

    pub(super) fn watch(&self, outage: Arc<dyn Outage>) {
        *self.outage.write() = Some(outage);
    }

    /// Ends a prober that may be running, and lets go of the log.
    pub(super) fn unwatch(&self) {
        *self.outage.write() = None;
    }

    /// Who gives clients their tokens: said before the first client is made.
    pub(super) fn log_in_by(&self, login: Arc<Login>) {
        let _ = self.login.set(login);
    }

    pub(super) fn login(&self) -> Option<&Arc<Login>> {
        self.login.get()
    }

    /// Readers want to know that what [`Self::outage`] says has changed.
    pub(super) fn changed(&self) {
        let outage = self.outage.read().clone();
        if let Some(outage) = outage {
            outage.changed();
        }
    }

    /// Why nothing can be read or written now, or `None` while the brokers answer.
    pub(super) fn outage(&self) -> Option<String> {
        if let Some(why) = self.login.get().and_then(|login| login.trouble()) {
            return Some(format!("Kafka at {} can't be logged in to: {why}", self.bootstrap));
        }
        self.away.load(Ordering::Acquire).then(|| {
            let last = self.last_failure.lock();
            let why = if last.is_empty() { "no broker answers" } else { last.as_str() };
            format!("Kafka at {} is away: {why}", self.bootstrap)
        })
    }

    /// A line of librdkafka's log (its level as in syslog). Called from librdkafka's threads, which may hold its locks:
    /// nothing here may call back into it.
    pub(super) fn line(self: &Arc<Self>, level: i32, facility: &str, text: &str) {
        match facility {
            "FAIL" => *self.last_failure.lock() = without_thread(text).to_owned(),
            "ERROR" if text.contains("brokers are down") => self.suspect(),
            _ => {}
        }
        // Connection failures repeat for as long as the outage lasts, and are reported as one by the prober.
        let expected = matches!(facility, "FAIL" | "ERROR" | "REQTMOUT" | "CONNECT");
        match level {
            0..=3 if !expected => tracing::error!(target: "kafka", "{facility}: {text}"),
            4 | 5 if !expected => tracing::warn!(target: "kafka", "{facility}: {text}"),
            _ => tracing::debug!(target: "kafka", "{facility}: {text}"),
        }
    }

    /// Starts a prober unless one runs.
    fn suspect(self: &Arc<Self>) {
        if self.probing.swap(true, Ordering::AcqRel) {
            return;
        }
        let health = Arc::clone(self);
        let spawned = std::thread::Builder::new().name("kafka-probe".into()).spawn(move || health.probe_until_back());
        if spawned.is_err() {
            self.probing.store(false, Ordering::Release);
        }
    }

    fn probe_until_back(self: &Arc<Self>) {
        let began = Instant::now();
        let mut backoff = PROBE_BACKOFF_MS.0;
        loop {
            // Not held while it waits: the log may be dropped meanwhile.
            let outage = self.outage.read().clone();
            let Some(outage) = outage.filter(|outage| !outage.is_closed()) else { break };
            match outage.probe() {
                Ok(()) => {
                    if self.away.swap(false, Ordering::AcqRel) {
                        tracing::info!(target: "kafka", "Kafka at {} is back after {:.1} s", self.bootstrap, began.elapsed().as_secs_f64());
                        outage.changed();
                    }
                    break;
                }
                Err(reason) => {
                    if !self.away.swap(true, Ordering::AcqRel) {
                        let mut last = self.last_failure.lock();
                        if last.is_empty() {
                            *last = reason;
                        }
                        drop(last);
                        tracing::warn!(target: "kafka", "{}; trying again until it returns", self.outage().unwrap_or_default());
                        outage.changed();
                    }
                    std::thread::sleep(Duration::from_millis(backoff));
                    backoff = (backoff * 2).min(PROBE_BACKOFF_MS.1);
                }
            }
        }
        self.probing.store(false, Ordering::Release);
    }
}

/// librdkafka's lines begin with `[thrd:…]: `.
fn without_thread(text: &str) -> &str {
    text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    struct Scripted {
        failures: AtomicU32,
        changes: AtomicU32,
    }

    impl Outage for Scripted {
        fn probe(&self) -> Result<(), String> {
            let left = self.failures.load(Ordering::SeqCst);
            if left == 0 {
                return Ok(());
            }
            self.failures.store(left - 1, Ordering::SeqCst);
            Err("refused".into())
        }
        fn changed(&self) {
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
        fn is_closed(&self) -> bool {
            false
        }
    }

    fn wait_for_prober(health: &Health) {
        while health.probing.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn an_outage_begins_and_ends_once() {
        let health = Health::new("h:1");
        let script = Arc::new(Scripted { failures: AtomicU32::new(3), changes: AtomicU32::new(0) });
        health.watch(script.clone());
        health.line(3, "FAIL", "[thrd:h:1/1]: h:1/1: Connect failed");
        health.line(3, "ERROR", "1/1 brokers are down");
        while health.outage().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(health.outage().as_deref(), Some("Kafka at h:1 is away: h:1/1: Connect failed"));
        health.line(3, "ERROR", "1/1 brokers are down");
        wait_for_prober(&health);
        assert_eq!(health.outage(), None);
        assert_eq!(script.changes.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_connection_that_was_only_idle_is_no_outage() {
        let health = Health::new("h:1");
        let script = Arc::new(Scripted { failures: AtomicU32::new(0), changes: AtomicU32::new(0) });
        health.watch(script.clone());
        health.line(3, "ERROR", "1/1 brokers are down");
        wait_for_prober(&health);
        assert_eq!(script.changes.load(Ordering::SeqCst), 0);
    }
}
