//! How far a long query is, on a line that goes when its answer comes.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::Value as Json;

use crate::client::Client;

/// How often it is asked for, the first time as well: most answers are there before.
const PERIOD: Duration = Duration::from_secs(1);

/// Waits for a request, and says how far its query is meanwhile, where somebody looks.
pub async fn watched<T>(client: &Client, sql: &str, request: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return request.await;
    }
    let mut request = std::pin::pin!(request);
    let mut line = Line(0);
    loop {
        tokio::select! {
            answer = &mut request => return answer,
            () = tokio::time::sleep(PERIOD) => {
                // A server that does not know how far it is says nothing.
                if let Ok(Ok(Json::Array(running))) = tokio::time::timeout(PERIOD, client.running_queries()).await
                    && let Some(text) = running.iter().rev().find(|query| query["sql"] == sql).and_then(progress)
                {
                    line.show(&text);
                }
            }
        }
    }
}

/// `1,500,000 of 10,000,000 rows read (15%), 3 s`
fn progress(query: &Json) -> Option<String> {
    let read = query["rowsRead"].as_u64()?;
    let seconds = query["elapsedMs"].as_u64()? / 1_000;
    Some(match query["rowsTotal"].as_u64().filter(|total| *total > 0) {
        Some(total) => {
            let percent = u128::from(read.min(total)) * 100 / u128::from(total);
            format!("{} of {} rows read ({percent}%), {seconds} s", thousands(read), thousands(total))
        }
        None => format!("{} rows read, {seconds} s", thousands(read)),
    })
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A line on standard error that is written over; wiped in the end.
struct Line(usize);

impl Line {
    fn show(&mut self, text: &str) {
        let width = self.0;
        let mut err = std::io::stderr();
        // Where it can't be written nobody misses it.
        let _ = write!(err, "\r{text:width$}");
        let _ = err.flush();
        self.0 = text.len();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.0 > 0 {
            let mut err = std::io::stderr();
            let _ = write!(err, "\r{:width$}\r", "", width = self.0);
            let _ = err.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_is_shown_with_what_is_known() {
        let known = json!({"rowsRead": 1_500_000, "rowsTotal": 10_000_000, "elapsedMs": 3_200});
        assert_eq!(progress(&known).as_deref(), Some("1,500,000 of 10,000,000 rows read (15%), 3 s"));
        let unknown = json!({"rowsRead": 12, "rowsTotal": null, "elapsedMs": 1_000});
        assert_eq!(progress(&unknown).as_deref(), Some("12 rows read, 1 s"));
        assert_eq!(progress(&json!({})), None);
    }
}
