//! Logins by tokens (SASL/OAUTHBEARER): one thread fetches them ahead of their end and hands them to every client, so that
//! none of the clients has to be polled for it, however many there are and whatever they do.
//!
//! A source that does not answer is asked again, with pauses that double. As long as the last token holds that is a warning;
//! without one nobody can log in, which is an outage like any other (see `health`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::ffi::Client;
use super::health::Health;
use crate::clock::{Clock, SystemClock};
use crate::log::LogError;

/// The most bytes of a token. Brokers take 100,000 bytes (`sasl.server.max.receive.size` is 524,288) for a login.
const MAX_TOKEN_BYTES: usize = 100_000;
/// The shortest pause between two fetches, whatever the source says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// How often it is warned of a source that stays away for the same reason.
const REMINDER: Duration = Duration::from_secs(60);

/// Where tokens come from. Asked by a thread of its own, which may be kept waiting for seconds.
pub trait TokenSource: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// Why there is none, as a sentence without a word of a secret.
    fn fetch(&self) -> Result<Token, String>;
    /// The first and the longest pause behind a fetch that failed; it doubles.
    fn pauses(&self) -> (Duration, Duration);
}

/// What brokers take for a login.
pub struct Token {
    value: String,
    principal: String,
    extensions: Vec<(String, String)>,
    /// Milliseconds since the epoch.
    ends_ms: i64,
    refresh_after: Duration,
}

impl std::fmt::Debug for Token {
    /// Without what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("ends_ms", &self.ends_ms).finish_non_exhaustive()
    }
}

impl Token {
    /// A token that holds until `ends_ms`, and that is to be replaced after a while. `principal` says whose it is, in librdkafka's
    /// messages; `extensions` go to the broker beside it.
    ///
    /// # Errors
    /// What no login can carry; nothing of the token is said.
    pub fn new(
        value: String,
        principal: String,
        extensions: Vec<(String, String)>,
        ends_ms: i64,
        refresh_after: Duration,
    ) -> Result<Token, String> {
        if value.is_empty() || value.len() > MAX_TOKEN_BYTES || !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("a token is 1 to {MAX_TOKEN_BYTES} visible ASCII characters, and this one is not"));
        }
        for (name, text) in &extensions {
            if name == "auth" || name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
                return Err(format!("extension '{name}' can't be sent: its name is to be letters, and not auth"));
            }
            if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
                return Err(format!("extension '{name}' can't be sent: its value is to be visible ASCII characters"));
            }
        }
        if principal.contains('\0') {
            return Err("whose the token is holds a NUL character".to_owned());
        }
        Ok(Token { value, principal, extensions, ends_ms, refresh_after })
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    pub(super) fn principal(&self) -> &str {
        &self.principal
    }

    pub(super) fn extensions(&self) -> &[(String, String)] {
        &self.extensions
    }

    pub(super) fn ends_ms(&self) -> i64 {
        self.ends_ms
    }

    fn holds(&self) -> bool {
        self.ends_ms > SystemClock.now_ms()
    }
}

/// The login of all clients of a log.
pub(super) struct Login {
    state: Mutex<State>,
    /// The log goes.
    closing: Condvar,
    /// Nobody can log in. Beside `state`, for those who only want to know whether.
    is_locked_out: AtomicBool,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    clients: Vec<Weak<Client>>,
    /// Why no token could be fetched, unless the last one was.
    trouble: Option<String>,
    is_closed: bool,
}

impl Login {
    /// Starts the thread. It ends with [`Login::close`].
    pub(super) fn start(source: Arc<dyn TokenSource>, health: &Arc<Health>) -> Result<Arc<Login>, LogError> {
        let login = Arc::new(Login { state: Mutex::default(), closing: Condvar::new(), is_locked_out: AtomicBool::new(false) });
        let (of_thread, health) = (Arc::clone(&login), Arc::downgrade(health));
        let spawned = std::thread::Builder::new().name("kafka-login".into()).spawn(move || of_thread.run(&*source, &health));
        spawned.map_err(|error| LogError::Fatal(format!("a thread for logins: {error}")))?;
        Ok(login)
    }

    /// Ends the thread; a fetch that is under way is not waited for.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.closing.notify_all();
    }

    /// Why nobody can log in, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.is_locked_out.load(Ordering::Acquire).then(|| self.state.lock().trouble.clone().unwrap_or_default())
    }

    /// A client gets the token that there is, and each one that follows.
    pub(super) fn join(&self, client: &Arc<Client>) {
        let mut state = self.state.lock();
        state.clients.retain(|client| client.strong_count() > 0);
        state.clients.push(Arc::downgrade(client));
        if let Some(token) = &state.token {
            client.log_in(token);
        }
    }

    /// The token that there is.
    pub(super) fn token(&self) -> Option<Arc<Token>> {
        self.state.lock().token.clone()
    }

    fn run(&self, source: &dyn TokenSource, health: &Weak<Health>) {
        let (first_pause, longest_pause) = source.pauses();
        let mut pause = first_pause;
        let mut warned: Option<(String, bool, Instant)> = None;
        loop {
            let fetched = source.fetch();
            let wait = match fetched {
                Ok(token) => {
                    pause = first_pause;
                    let wait = token.refresh_after;
                    if warned.take().is_some() {
                        tracing::info!(target: "kafka", "a token for Kafka was fetched again");
                    }
                    self.take(token, health);
                    wait
                }
                Err(why) => {
                    let wait = pause;
                    pause = (pause * 2).min(longest_pause);
                    let holds_for = self.fails(&why, health);
                    let is_told = |(last, held, at): &(String, bool, Instant)| {
                        *last == why && *held == holds_for.is_some() && at.elapsed() < REMINDER
                    };
                    if !warned.as_ref().is_some_and(is_told) {
                        match holds_for {
                            Some(held) => tracing::warn!(
                                target: "kafka",
                                "{why}; the last token for Kafka holds for another {} s: trying again",
                                held.as_secs()
                            ),
                            None => tracing::warn!(target: "kafka", "{why}; nobody can log in to Kafka without a token: trying again"),
                        }
                        warned = Some((why, holds_for.is_some(), Instant::now()));
                    }
                    // Until the last token ends at most: then it is an outage.
                    holds_for.map_or(wait, |held| wait.min(held))
                }
            };
            let mut state = self.state.lock();
            if !state.is_closed {
                self.closing.wait_for(&mut state, wait.max(SHORTEST_PAUSE));
            }
            if state.is_closed {
                return;
            }
        }
    }

    fn take(&self, token: Token, health: &Weak<Health>) {
        let token = Arc::new(token);
        let clients: Vec<Arc<Client>> = {
            let mut state = self.state.lock();
            state.token = Some(Arc::clone(&token));
            state.trouble = None;
            state.clients.retain(|client| client.strong_count() > 0);
            state.clients.iter().filter_map(Weak::upgrade).collect()
        };
        // Outside of the lock: one of them may be let go of here, which takes its time.
        for client in clients {
            client.log_in(&token);
        }
        self.tell(false, health);
    }

    /// How long the last token still holds, if it does.
    fn fails(&self, why: &str, health: &Weak<Health>) -> Option<Duration> {
        let holds_for = {
            let mut state = self.state.lock();
            state.trouble = Some(why.to_owned());
            let held = state.token.as_ref().filter(|token| token.holds());
            held.map(|token| Duration::from_millis(u64::try_from(token.ends_ms - SystemClock.now_ms()).unwrap_or_default()))
        };
        self.tell(holds_for.is_none(), health);
        holds_for
    }

    fn tell(&self, is_locked_out: bool, health: &Weak<Health>) {
        if self.is_locked_out.swap(is_locked_out, Ordering::AcqRel) != is_locked_out
            && let Some(health) = health.upgrade()
        {
            health.changed();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Answers as it was told to, the last answer again and again.
    #[derive(Debug)]
    struct Scripted(Mutex<VecDeque<Result<i64, &'static str>>>);

    impl TokenSource for Scripted {
        fn fetch(&self) -> Result<Token, String> {
            let mut answers = self.0.lock();
            let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().copied() };
            let lives_ms = answer.unwrap_or(Err("nothing"))?;
            let ends_ms = SystemClock.now_ms() + lives_ms;
            Token::new("t".into(), "me".into(), Vec::new(), ends_ms, Duration::from_millis(u64::try_from(lives_ms / 2).unwrap_or(0)))
        }
        fn pauses(&self) -> (Duration, Duration) {
            (Duration::from_millis(1), Duration::from_millis(2))
        }
    }

    fn until(met: impl Fn() -> bool) {
        let began = Instant::now();
        while !met() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn without_a_token_that_holds_it_is_an_outage_in_the_sources_words() {
        let health = Health::new("h:1");
        let script = VecDeque::from([Err("T is away"), Ok(300), Err("T says no")]);
        let login = Login::start(Arc::new(Scripted(Mutex::new(script))), &health).expect("a thread");
        health.log_in_by(Arc::clone(&login));
        until(|| login.token().is_some());
        // The one that followed did not come: with the end of the last one, that is told.
        until(|| health.outage().is_some());
        assert_eq!(health.outage().as_deref(), Some("Kafka at h:1 can't be logged in to: T says no"));
        login.close();
    }

    #[test]
    fn what_no_login_can_carry_is_refused_without_a_word_of_it() {
        let token = |value: &str, extension: (&str, &str)| {
            let extensions = vec![(extension.0.to_owned(), extension.1.to_owned())];
            Token::new(value.to_owned(), String::new(), extensions, 1, Duration::ZERO).map(|_| ())
        };
        assert_eq!(token("a.b.c", ("traceId", "1 2")), Ok(()));
        let error = token("s3cret\n", ("a", "b")).expect_err("refused");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(token("a", ("auth", "b")).is_err());
        assert!(token("a", ("b", "\u{1}")).is_err());
    }
}
