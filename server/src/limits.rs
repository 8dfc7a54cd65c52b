//! Limits that the configuration sets to pull queries and to statements: how many in a second, at a time, how many bytes in
//! an hour. What is beyond them is refused at once (429), never made to wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ServerConfig;
use crate::error::{ApiError, ErrorCode};

/// A limit of this size is none.
const UNLIMITED: usize = 2_147_483_647;
/// The hour is looked at by the minute.
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: usize = 60;

/// The limits of a server.
pub struct Limits {
    pull_rate: Option<Rate>,
    pull_concurrency: Option<(usize, Arc<Semaphore>)>,
    pull_bandwidth: Option<Hourly>,
    statement_rate: Option<Rate>,
}

/// A pull query under way: holds its place until it is dropped.
pub struct PullPermit {
    limits: Arc<Limits>,
    _place: Option<OwnedSemaphorePermit>,
}

impl PullPermit {
    /// Counts bytes of the answer.
    pub fn answered(&self, bytes: usize) {
        if let Some(bandwidth) = &self.limits.pull_bandwidth {
            bandwidth.count(bytes as u64, Instant::now());
        }
    }
}

impl Limits {
    pub fn new(config: &ServerConfig) -> Self {
        let limit = |name: &str| Some(config.number(name)).filter(|limit| *limit < UNLIMITED);
        let statements = config.value("ksql.server.command.topic.rate.limit").and_then(|v| v.trim().parse::<f64>().ok());
        Limits {
            pull_rate: limit("ksql.query.pull.max.qps").map(|qps| Rate::new(qps as f64)),
            pull_concurrency: limit("ksql.query.pull.max.concurrent.requests").map(|n| (n, Arc::new(Semaphore::new(n)))),
            pull_bandwidth: limit("ksql.query.pull.max.hourly.bandwidth.megabytes").map(|mb| Hourly::new((mb as u64) << 20)),
            statement_rate: statements.filter(|rate| *rate < UNLIMITED as f64).map(Rate::new),
        }
    }

    /// A pull query's leave to run.
    ///
    /// # Errors
    /// One of the limits is reached; the message says which and what it is set to.
    pub fn pull(self: &Arc<Self>) -> Result<PullPermit, ApiError> {
        if let Some(rate) = self.pull_rate.as_ref().filter(|rate| !rate.take(Instant::now())) {
            let message = format!("Host is at rate limit for pull queries. Currently set to {:?} qps.", rate.per_second);
            return Err(ApiError::generic(ErrorCode::TOO_MANY_REQUESTS, message));
        }
        if self.pull_bandwidth.as_ref().is_some_and(|bandwidth| bandwidth.is_spent(Instant::now())) {
            return Err(ApiError::generic(ErrorCode::TOO_MANY_REQUESTS, "Host is at bandwidth rate limit for pull queries."));
        }
        let place = match &self.pull_concurrency {
            None => None,
            Some((limit, places)) => Some(places.clone().try_acquire_owned().map_err(|_| {
                let message =
                    format!("Host is at concurrency limit for pull queries. Currently set to {limit} maximum concurrent operations.");
                ApiError::generic(ErrorCode::TOO_MANY_REQUESTS, message)
            })?),
        };
        Ok(PullPermit { limits: self.clone(), _place: place })
    }

    /// # Errors
    /// Too many statements that change something came within a second.
    pub fn statement(&self) -> Result<(), ApiError> {
        match &self.statement_rate {
            Some(rate) if !rate.take(Instant::now()) => Err(ApiError::generic(
                ErrorCode::TOO_MANY_REQUESTS,
                format!("DDL/DML rate is crossing the configured rate limit of statements/second (set to {:?})", rate.per_second),
            )),
            _ => Ok(()),
        }
    }
}

/// So many in a second; what was not used within the last second may be used at once.
struct Rate {
    per_second: f64,
    /// How many may come now, as of a time.
    left: Mutex<(f64, Option<Instant>)>,
}

impl Rate {
    fn new(per_second: f64) -> Self {
        Rate { per_second, left: Mutex::new((per_second.max(1.0), None)) }
    }

    fn take(&self, now: Instant) -> bool {
        if self.per_second <= 0.0 {
            return false;
        }
        let mut left = self.left.lock();
        let passed = left.1.map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        left.0 = (left.0 + passed.as_secs_f64() * self.per_second).min(self.per_second.max(1.0));
        left.1 = Some(now);
        let may = left.0 >= 1.0;
        if may {
            left.0 -= 1.0;
        }
        may
    }
}

/// Bytes of the last hour.
struct Hourly {
    most: u64,
    /// By the minute, and the minute that was counted last.
    counted: Mutex<([u64; MINUTES], u64)>,
    started: Instant,
}

impl Hourly {
    fn new(most: u64) -> Self {
        Hourly { most, counted: Mutex::new(([0; MINUTES], 0)), started: Instant::now() }
    }

    fn is_spent(&self, now: Instant) -> bool {
        self.at(now, |minutes, _| minutes.iter().sum::<u64>() >= self.most)
    }

    fn count(&self, bytes: u64, now: Instant) {
        self.at(now, |minutes, current| {
            if let Some(minute) = minutes.get_mut(current) {
                *minute = minute.saturating_add(bytes);
            }
        });
    }

    /// Looks at the minutes, those that are an hour old emptied.
    fn at<T>(&self, now: Instant, look: impl FnOnce(&mut [u64; MINUTES], usize) -> T) -> T {
        let minute = now.saturating_duration_since(self.started).as_secs() / MINUTE.as_secs();
        let slot = |minute: u64| (minute % MINUTES as u64) as usize;
        let mut counted = self.counted.lock();
        let (minutes, last) = &mut *counted;
        for passed in (*last + 1..=minute).take(MINUTES) {
            if let Some(old) = minutes.get_mut(slot(passed)) {
                *old = 0;
            }
        }
        if minute.saturating_sub(*last) >= MINUTES as u64 {
            minutes.fill(0);
        }
        *last = (*last).max(minute);
        look(minutes, slot(minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_as_many_through_as_it_says() {
        let rate = Rate::new(2.0);
        let start = Instant::now();
        let taken = |ms: u64| rate.take(start + Duration::from_millis(ms));
        assert_eq!([taken(0), taken(0), taken(0)], [true, true, false]);
        assert_eq!([taken(499), taken(501), taken(502)], [false, true, false]);
        // What was not used does not gather for longer than a second.
        assert_eq!([taken(60_000), taken(60_000), taken(60_000)], [true, true, false]);
        assert!(!Rate::new(0.0).take(start));
        let slow = Rate::new(0.5);
        assert_eq!([0, 1_000, 2_000].map(|ms| slow.take(start + Duration::from_millis(ms))), [true, false, true]);
    }

    #[test]
    fn an_hour_is_forgotten_by_the_minute() {
        let hourly = Hourly::new(100);
        let at = |minutes: u64| hourly.started + MINUTE * u32::try_from(minutes).unwrap_or_default();
        hourly.count(60, at(0));
        hourly.count(40, at(30));
        assert!(hourly.is_spent(at(59)));
        assert!(!hourly.is_spent(at(60)), "the first sixty are an hour old");
        hourly.count(60, at(61));
        assert!(hourly.is_spent(at(62)));
        assert!(!hourly.is_spent(at(300)));
    }

    #[test]
    fn limits_are_said_with_what_they_are_set_to() {
        let config = |name: &str, value: &str| crate::config::ConfigBuilder::new().set(name, value, "test").build().expect("valid");
        let code = |error: ApiError| (error.code().status().as_u16(), error.message().to_owned());
        let limits = Arc::new(Limits::new(&config("ksql.query.pull.max.qps", "1")));
        drop(limits.pull().map_err(code).expect("the first"));
        let refused = limits.pull().map(|_| ()).map_err(code).expect_err("the second");
        assert_eq!(refused, (429, "Host is at rate limit for pull queries. Currently set to 1.0 qps.".to_owned()));

        let limits = Arc::new(Limits::new(&config("ksql.query.pull.max.concurrent.requests", "1")));
        let held = limits.pull().map_err(code).expect("the first");
        assert!(limits.pull().map(|_| ()).map_err(code).expect_err("the second").1.contains("Currently set to 1 maximum"));
        drop(held);
        assert!(limits.pull().is_ok());

        let limits = Arc::new(Limits::new(&config("ksql.query.pull.max.hourly.bandwidth.megabytes", "1")));
        limits.pull().map_err(code).expect("the first").answered(1 << 20);
        assert!(limits.pull().map(|_| ()).map_err(code).expect_err("the second").1.contains("bandwidth"));

        let limits = Limits::new(&config("ksql.server.command.topic.rate.limit", "1"));
        assert!(limits.statement().is_ok());
        assert_eq!(limits.statement().map_err(code).expect_err("the second").0, 429);
        let free = Arc::new(Limits::new(&config("ksql.service.id", "x")));
        assert!((0..1000).all(|_| free.pull().is_ok() && free.statement().is_ok()));
    }
}
