//! Holding a table's changes back until the commit, so that of many changes of a key only the last goes on: what a query
//! asks for with `cache.max.bytes.buffering` (or `statestore.cache.max.bytes`) above 0. Without it there is no such
//! operator, and each change goes on at once.
//!
//! In: changes of an aggregation. Out, before a commit or when the held ones take too much memory: one change a key and
//! window, in the order in which they changed last (as ksqlDB's cache has it), from the old row of the first to the new row
//! of the last. A session that came and was merged away in between leaves nothing. Without a store: what is held belongs to the commit that comes, and is thrown away where that is taken back.

use indexmap::IndexMap;

use super::{FatalError, Operator, Output, Port};
use crate::plan::QueryPlan;
use crate::row::{Headers, Row};
use crate::types::{Value, codec};

/// Names of the property, the newer one first; each may begin with `ksql.streams.`.
const PROPERTIES: &[&str] = &["statestore.cache.max.bytes", "cache.max.bytes.buffering"];

pub(super) struct Coalesce {
    key_width: usize,
    /// Bytes that may be held.
    limit: usize,
    held: IndexMap<Vec<u8>, Held, foldhash::fast::FixedState>,
    /// What they take.
    bytes: usize,
    /// Changes so far: what orders them.
    changes: u64,
    /// Whether rows say what they replace; then one that is gone before it ever went out is known.
    knows_old: bool,
    key: Vec<u8>,
}

/// A row that waits for the commit.
struct Held {
    row: Row,
    /// What it takes, its old row and its key.
    bytes: usize,
    old_bytes: usize,
    /// Which of all changes it is.
    change: u64,
}

/// How much a query may hold back, bytes; `None`: nothing.
pub(super) fn limit(plan: &QueryPlan) -> Option<usize> {
    let of = |name: &&str| {
        let value = plan.properties.get(*name).or_else(|| plan.properties.get(&format!("ksql.streams.{name}")));
        value.and_then(|value| value.trim().parse::<usize>().ok())
    };
    PROPERTIES.iter().find_map(of).filter(|limit| *limit > 0)
}

impl Coalesce {
    pub fn new(key_width: usize, limit: usize, knows_old: bool) -> Self {
        Coalesce { key_width, limit, held: IndexMap::default(), bytes: 0, changes: 0, knows_old, key: Vec::new() }
    }

    /// Lets everything go. `for_commit`: nothing may be left out, so that each row counts as a record of its own; else it
    /// is a part of what the record at hand sets off.
    fn release(&mut self, for_commit: bool, out: &mut Output<'_>) -> Result<(), FatalError> {
        self.bytes = 0;
        self.held.sort_unstable_by(|_, one, _, other| one.change.cmp(&other.change));
        for (_, held) in self.held.drain(..) {
            if for_commit {
                out.cx.pace.begin();
            }
            out.emit(held.row)?;
        }
        Ok(())
    }
}

impl Operator for Coalesce {
    fn process(&mut self, _port: Port, mut row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        out.cx.own_headers(&mut row.meta.headers);
        self.key.clear();
        codec::encode_key(&row.values[..self.key_width], &mut self.key);
        if let Some(window) = row.meta.window {
            codec::encode_window(window, &mut self.key);
        }
        self.changes += 1;
        let change = self.changes;
        match self.held.get_mut(&self.key) {
            Some(held) if self.knows_old && !row.meta.has_value && held.row.old.is_none() => {
                self.bytes -= held.bytes;
                self.held.swap_remove(&self.key);
                out.cx.recycle(row);
            }
            Some(held) => {
                std::mem::swap(&mut row.old, &mut held.row.old);
                std::mem::swap(&mut row, &mut held.row);
                out.cx.recycle(row);
                self.bytes -= held.bytes;
                held.bytes = entry_bytes(&self.key, &held.row, held.old_bytes);
                held.change = change;
                self.bytes += held.bytes;
            }
            None => {
                let old_bytes = row.old.as_deref().map_or(0, values_bytes);
                let bytes = entry_bytes(&self.key, &row, old_bytes);
                self.bytes += bytes;
                self.held.insert(self.key.clone(), Held { row, bytes, old_bytes, change });
            }
        }
        if self.bytes > self.limit { self.release(false, out) } else { Ok(()) }
    }

    fn before_commit(&mut self, out: &mut Output<'_>) -> Result<(), FatalError> {
        self.release(true, out)
    }

    fn roll_back(&mut self) {
        self.held.clear();
        self.bytes = 0;
    }
}

/// What a held row takes of memory.
fn entry_bytes(key: &[u8], row: &Row, old_bytes: usize) -> usize {
    let headers = match &row.meta.headers {
        Headers::None | Headers::OfRecord => 0,
        Headers::Own(headers) => headers.iter().map(|header| header.key.len() + header.value.as_ref().map_or(0, Vec::len)).sum(),
    };
    key.len() + size_of::<Held>() + values_bytes(&row.values) + old_bytes + headers
}

fn values_bytes(values: &[Value]) -> usize {
    values.iter().map(|value| size_of::<Value>() + value.heap_bytes()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::SystemClock;
    use crate::operators::{Node, before_commit, process_from};
    use crate::pace::{Pace, Signal};
    use crate::processing_log::NoProcessingLog;
    use crate::row::RowMeta;
    use crate::task::TaskContext;
    use crate::types::Value;
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// Keeps key, old and new of what comes.
    struct Seen(Arc<Mutex<Vec<[i64; 3]>>>);

    impl Operator for Seen {
        fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
            let number = |value: Option<&Value>| if let Some(Value::BigInt(number)) = value { *number } else { -1 };
            out.cx.counts.rows_out += 1;
            let old = number(row.old.as_ref().and_then(|old| old.get(1)));
            self.0.lock().push([number(row.values.first()), old, number(row.values.get(1))]);
            Ok(())
        }
    }

    fn change(key: i64, old: Option<i64>, new: i64) -> Row {
        let values = |value| vec![Value::BigInt(key), Value::BigInt(value)];
        Row { values: values(new), old: old.map(values), meta: RowMeta { has_key: true, has_value: true, ..RowMeta::default() } }
    }

    fn run(limit: usize, steps: impl FnOnce(&mut Vec<Node>, &mut TaskContext)) -> Vec<[i64; 3]> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut nodes =
            vec![Node::new(Box::new(Coalesce::new(1, limit, true)), Some((1, Port(0)))), Node::new(Box::new(Seen(seen.clone())), None)];
        let mut cx = TaskContext::new(Vec::new(), Arc::new(SystemClock), Arc::new(NoProcessingLog), 0);
        steps(&mut nodes, &mut cx);
        std::mem::take(&mut *seen.lock())
    }

    fn feed(nodes: &mut [Node], cx: &mut TaskContext, rows: &[(i64, Option<i64>, i64)]) {
        for (key, old, new) in rows {
            process_from(nodes, 0, 0, Port(0), change(*key, *old, *new), cx).unwrap();
        }
    }

    #[test]
    fn many_changes_of_a_key_become_one_at_the_commit() {
        let seen = run(1 << 20, |nodes, cx| {
            feed(nodes, cx, &[(1, None, 1), (2, Some(5), 6), (1, Some(1), 2), (2, Some(6), 7), (3, None, 1), (1, Some(2), 3)]);
            before_commit(nodes, cx).unwrap();
            feed(nodes, cx, &[(1, Some(3), 4)]);
            before_commit(nodes, cx).unwrap();
            before_commit(nodes, cx).unwrap();
        });
        assert_eq!(seen, [[2, 5, 7], [3, -1, 1], [1, -1, 3], [1, 3, 4]], "in the order of the last changes");
    }

    #[test]
    fn what_was_never_sent_is_not_deleted() {
        let gone = |key, old| {
            let mut row = change(key, old, 0);
            row.meta.has_value = false;
            row
        };
        let seen = run(1 << 20, |nodes, cx| {
            feed(nodes, cx, &[(1, None, 1), (2, Some(5), 6), (3, None, 1)]);
            for row in [gone(1, Some(1)), gone(2, Some(6)), gone(4, Some(7))] {
                process_from(nodes, 0, 0, Port(0), row, cx).unwrap();
            }
            before_commit(nodes, cx).unwrap();
        });
        assert_eq!(seen, [[3, -1, 1], [2, 5, 0], [4, 7, 0]]);
    }

    #[test]
    fn rows_count_by_what_they_take() {
        let rows_held = |text_bytes: usize| {
            let mut most = 0;
            run(100_000, |nodes, cx| {
                let text = "x".repeat(text_bytes);
                for key in 0..2_000 {
                    let mut row = change(key, None, key);
                    row.values.push(Value::string(text.as_str()));
                    process_from(nodes, 0, 0, Port(0), row, cx).unwrap();
                    // A change in place takes no more.
                    let mut row = change(key, None, key);
                    row.values.push(Value::string(text.as_str()));
                    process_from(nodes, 0, 0, Port(0), row, cx).unwrap();
                    if most == 0 && cx.counts.rows_out > 0 {
                        most = key;
                    }
                }
            });
            most
        };
        let (few, many) = (rows_held(10_000), rows_held(1));
        assert!((8..11).contains(&few), "{few}");
        assert!((200..1_000).contains(&many), "{many}");
    }

    #[test]
    fn what_is_taken_back_never_goes_out_and_what_is_too_much_goes_out_early() {
        let seen = run(1 << 20, |nodes, cx| {
            feed(nodes, cx, &[(1, None, 1)]);
            nodes[0].operator.roll_back();
            feed(nodes, cx, &[(1, None, 2)]);
            before_commit(nodes, cx).unwrap();
        });
        assert_eq!(seen, [[1, -1, 2]]);
        let seen = run(1, |nodes, cx| feed(nodes, cx, &[(1, None, 1), (1, Some(1), 2)]));
        assert_eq!(seen, [[1, -1, 1], [1, 1, 2]]);
    }

    /// A second goes by between two looks.
    struct Leaping(Mutex<Instant>);

    impl Clock for Leaping {
        fn now_ms(&self) -> i64 {
            0
        }
        fn instant(&self) -> Instant {
            let mut now = self.0.lock();
            *now += Duration::from_secs(1);
            *now
        }
    }

    #[test]
    fn a_last_commit_sends_all_of_it() {
        let rows: Vec<_> = (0..5_000).map(|key| (key, None, 1)).collect();
        for (is_stopped, limit) in [(true, u64::MAX), (false, 1_000)] {
            let seen = run(1 << 30, |nodes, cx| {
                cx.clock = Arc::new(Leaping(Mutex::new(Instant::now())));
                let signal = Arc::<Signal>::default();
                if is_stopped {
                    signal.stop();
                }
                cx.pace = Pace::new(signal, limit);
                feed(nodes, cx, &rows);
                before_commit(nodes, cx).unwrap();
            });
            assert_eq!(seen.len(), rows.len());
        }
    }
}
