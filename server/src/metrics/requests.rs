//! Requests by endpoint: how many, how they ended, how long it took until their answers began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::StatusCode;

use super::page::{Kind, Page};
use crate::router::ENDPOINTS;

/// Upper bounds of the times that are told apart, microseconds and as Prometheus has them, seconds.
const BOUNDS: [(u64, &str); 9] = [
    (1_000, "0.001"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (30_000_000, "30"),
];
/// What statuses begin with.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// For paths that no endpoint has.
const OTHER: &str = "other";

/// Counters of all endpoints.
#[derive(Default)]
pub struct Requests {
    endpoints: [OfEndpoint; ENDPOINTS.len()],
    others: OfEndpoint,
}

#[derive(Default)]
struct OfEndpoint {
    by_class: [AtomicU64; CLASSES.len()],
    /// Not added up: how many took this long, and no less than the bound before; behind the last bound those that took longer.
    times: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Requests {
    /// A request was answered. `endpoint` is what its path begins with.
    pub fn answered(&self, endpoint: &str, status: StatusCode, took: Duration) {
        let index = ENDPOINTS.iter().position(|known| *known == endpoint);
        let counters = index.and_then(|index| self.endpoints.get(index)).unwrap_or(&self.others);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(bound, _)| us <= *bound).unwrap_or(BOUNDS.len());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        for counter in [counters.by_class.get(class), counters.times.get(bucket)].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        counters.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    pub fn write(&self, page: &mut Page) {
        let all = || ENDPOINTS.iter().copied().zip(&self.endpoints).chain([(OTHER, &self.others)]);
        let name = "tidemill_http_requests_total";
        page.family(name, Kind::Counter, "Requests that were answered, by endpoint and by what their status begins with.");
        for (endpoint, counters) in all() {
            for (class, count) in CLASSES.iter().zip(&counters.by_class) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    page.sample(name, &[("endpoint", endpoint), ("status", class)], count);
                }
            }
        }
        page.family("tidemill_http_request_seconds", Kind::Histogram, "How long it took until answers began.");
        for (endpoint, counters) in all() {
            counters.write_times(endpoint, page);
        }
    }
}

impl OfEndpoint {
    fn write_times(&self, endpoint: &str, page: &mut Page) {
        let times: Vec<u64> = self.times.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = times.iter().sum();
        if total == 0 {
            return;
        }
        let mut below = 0;
        for ((_, bound), count) in BOUNDS.iter().zip(&times) {
            below += count;
            page.sample("tidemill_http_request_seconds_bucket", &[("endpoint", endpoint), ("le", bound)], below);
        }
        page.sample("tidemill_http_request_seconds_bucket", &[("endpoint", endpoint), ("le", "+Inf")], total);
        let seconds = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        page.sample("tidemill_http_request_seconds_sum", &[("endpoint", endpoint)], seconds);
        page.sample("tidemill_http_request_seconds_count", &[("endpoint", endpoint)], total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_endpoint_status_and_time() {
        let requests = Requests::default();
        requests.answered("ksql", StatusCode::OK, Duration::from_micros(900));
        requests.answered("ksql", StatusCode::BAD_REQUEST, Duration::from_millis(7));
        requests.answered("no/such\"", StatusCode::NOT_FOUND, Duration::from_secs(60));
        let mut page = Page::default();
        requests.write(&mut page);
        let text = page.into_text();
        for line in [
            "tidemill_http_requests_total{endpoint=\"ksql\",status=\"2xx\"} 1",
            "tidemill_http_requests_total{endpoint=\"ksql\",status=\"4xx\"} 1",
            "tidemill_http_requests_total{endpoint=\"other\",status=\"4xx\"} 1",
            "tidemill_http_request_seconds_bucket{endpoint=\"ksql\",le=\"0.001\"} 1",
            "tidemill_http_request_seconds_bucket{endpoint=\"ksql\",le=\"0.01\"} 2",
            "tidemill_http_request_seconds_bucket{endpoint=\"ksql\",le=\"+Inf\"} 2",
            "tidemill_http_request_seconds_count{endpoint=\"ksql\"} 2",
            "tidemill_http_request_seconds_bucket{endpoint=\"other\",le=\"30\"} 0",
            "tidemill_http_request_seconds_sum{endpoint=\"other\"} 60",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(!text.contains("no/such"));
    }
}
