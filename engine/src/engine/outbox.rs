//! What a push query's tasks hand to its client. Rows gather while a task goes through what is at hand, and go over together at the
//! end of its chunk: the client's connection wakes once for them, and not for each.

use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::push_row::PushRow;

/// Rows that go over before the chunk is over, and bytes of rows. They are fewer than those at which a paused query goes on, which so
/// never waits for rows that its client can't have.
const MAX_GATHERED: usize = 64;
const MAX_GATHERED_BYTES: usize = 8 << 10;

/// What is handed over at a time.
pub(super) type Handful = Vec<PushRow>;

/// See the module.
pub(super) struct Outbox {
    gathered: Mutex<Gathered>,
    client: UnboundedSender<Handful>,
}

#[derive(Default)]
struct Gathered {
    rows: Handful,
    bytes: usize,
}

impl Outbox {
    pub fn new() -> (Self, UnboundedReceiver<Handful>) {
        let (client, rows) = unbounded_channel();
        (Outbox { gathered: Mutex::default(), client }, rows)
    }

    /// Adds a row of so many bytes, which goes over soon; false: nobody takes it.
    pub fn add(&self, row: PushRow, bytes: usize) -> bool {
        let mut gathered = self.gathered.lock();
        gathered.rows.push(row);
        gathered.bytes += bytes;
        let waits = gathered.rows.len() < MAX_GATHERED && gathered.bytes < MAX_GATHERED_BYTES;
        waits || self.send(&mut gathered)
    }

    /// Hands over what was gathered; false: nobody takes it.
    pub fn hand_over(&self) -> bool {
        self.send(&mut self.gathered.lock())
    }

    /// Hands over what was gathered, and the last thing to come.
    pub fn close(&self, last: PushRow) {
        let mut gathered = self.gathered.lock();
        gathered.rows.push(last);
        self.send(&mut gathered);
    }

    /// Under the lock, so that nothing overtakes what was gathered before.
    fn send(&self, gathered: &mut Gathered) -> bool {
        let Gathered { rows, .. } = std::mem::take(gathered);
        rows.is_empty() || self.client.send(rows).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;

    fn row(number: i32) -> PushRow {
        PushRow::Row { values: vec![Value::Int(number)], tombstone: false }
    }

    #[test]
    fn rows_go_over_together() {
        let (outbox, mut rows) = Outbox::new();
        assert!(outbox.add(row(1), 1) && outbox.add(row(2), 1));
        assert!(rows.try_recv().is_err(), "the chunk is not over");
        assert!(outbox.hand_over() && outbox.hand_over());
        assert_eq!(rows.try_recv().expect("both"), [row(1), row(2)]);
        assert!(rows.try_recv().is_err(), "nothing is sent where there is nothing");
        outbox.add(row(3), 1);
        outbox.close(PushRow::LimitReached);
        assert_eq!(rows.try_recv().expect("the rest"), [row(3), PushRow::LimitReached]);
        drop(rows);
        assert!(outbox.add(row(4), 1) && !outbox.hand_over());
    }

    #[test]
    fn a_long_chunk_keeps_no_more_than_a_handful() {
        let (outbox, mut rows) = Outbox::new();
        let all = 3 * MAX_GATHERED + 1;
        (0..all).for_each(|_| assert!(outbox.add(row(0), 1)));
        let handed = std::iter::from_fn(|| rows.try_recv().ok()).map(|rows| rows.len()).sum::<usize>();
        assert_eq!(handed, all - 1);
        assert!(outbox.add(row(0), MAX_GATHERED_BYTES));
        assert_eq!(rows.try_recv().expect("what is large goes at once").len(), 2);
    }
}
