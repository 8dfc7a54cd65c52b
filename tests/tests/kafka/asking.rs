//! A client that asks one server of several for keys and whole tables all the time, whatever becomes of the others: each answer is right
//! and whole, or an honest error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidemill_tests::server::exchange;

use crate::exactly_once::IDS;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest that a question may take: a bound within which the server asks again, and what a machine that is busy adds.
const LONGEST: Duration = Duration::from_secs(15);

/// What came of the questions.
#[derive(Debug, Default)]
pub struct Asked {
    pub answers: usize,
    /// Errors while all was well, and while a server was gone.
    pub errors: [Vec<String>; 2],
    /// Counts that went back while all was well, and while a server was gone.
    pub back: [usize; 2],
    pub longest: Duration,
}

/// Status and body.
fn answered(server: SocketAddr, sql: &str) -> (u16, String) {
    let body = json!({"sql": sql}).to_string();
    let answer = exchange(server, "POST", "/query-stream", &[], body.as_bytes()).expect("an answer");
    (answer.status, answer.body)
}

/// Asks for counts by id until told to stop. `is_troubled` says when a server is gone.
pub fn ask(server: SocketAddr, stop: &AtomicBool, is_troubled: &AtomicBool) -> Asked {
    let ids: Vec<String> = (0..IDS).map(|id| format!("k{id}")).collect();
    let mut asked = Asked::default();
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    let mut round = 0;
    while !stop.load(Ordering::Acquire) {
        let of = |id: usize| ids[(round * 5 + id) % ids.len()].clone();
        let several = [of(3), of(0), "none".to_owned(), of(7)];
        let (sql, expected) = match round % 4 {
            0 => (format!("SELECT id, c FROM counts_al WHERE id = '{}';", of(0)), Some(vec![of(0)])),
            1 => {
                let sql = format!("SELECT id, c FROM counts_al WHERE id IN ('{}');", several.join("','"));
                (sql, Some(several.iter().filter(|id| *id != "none").cloned().collect()))
            }
            2 => ("SELECT id, c FROM counts_al;".to_owned(), None),
            _ => ("SELECT id, c FROM counts_al LIMIT 6;".to_owned(), Some(order.iter().take(6).cloned().collect())),
        };
        round += 1;
        let before = is_troubled.load(Ordering::Acquire);
        let began = Instant::now();
        let (status, text) = answered(server, &sql);
        asked.longest = asked.longest.max(began.elapsed());
        let trouble = usize::from(before || is_troubled.load(Ordering::Acquire));
        let mut lines =
            text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap_or_else(|error| panic!("{sql}: {error}: {text}")));
        if status != 200 {
            assert!(text.contains("can't be queried") && text.contains("Try again later"), "{sql}: {text}");
            asked.errors[trouble].push(text);
            std::thread::sleep(PAUSE);
            continue;
        }
        let header = lines.next().expect("a header");
        assert_eq!(header["columnNames"], json!(["ID", "C"]), "{text}");
        let rows: Vec<(String, i64)> =
            lines.map(|row| (row[0].as_str().expect("an id").to_owned(), row[1].as_i64().expect("a count"))).collect();
        let found: Vec<String> = rows.iter().map(|(id, _)| id.clone()).collect();
        match expected {
            // Any order will do the first time; the same ever after.
            None if order.is_empty() => {
                let mut sorted = found.clone();
                sorted.sort();
                let mut all = ids.clone();
                all.sort();
                assert_eq!(sorted, all, "{sql}");
                order = found;
            }
            None => assert_eq!(found, order, "{sql}"),
            Some(expected) if sql.contains("LIMIT") && order.is_empty() => assert!(expected.is_empty() && found.len() == 6, "{sql}"),
            Some(expected) => assert_eq!(found, expected, "{sql}"),
        }
        for (id, count) in rows {
            let last = last.entry(id).or_default();
            asked.back[trouble] += usize::from(count < *last);
            *last = count;
        }
        asked.answers += 1;
        std::thread::sleep(PAUSE);
    }
    assert!(asked.longest < LONGEST, "{asked:?}");
    asked
}
