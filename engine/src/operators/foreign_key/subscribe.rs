//! First part: what changes in the left table is told to the right one.
//!
//! In: changes of the left table with their old rows. Out: rows whose key is the foreign key and whose value is a message.
//! A row that names another key than before is forgotten there, silently, before it is told to the new one. A foreign key
//! that is null, or whose expression fails (which is reported), matches nothing: the message has no key then, and whichever
//! partition gets it answers.
//!
//! Every change gets a version, larger than that of any change before it: the record's offset, or where that is not larger
//! (the topic was made anew, or the table comes of several topics) the last version and one. Store: one entry, the last
//! version. On replay the changes get the same versions again, or larger ones.

use super::message::{Instruction, Subscription};
use crate::expr::{Compiled, Env};
use crate::operators::exprs::Origin;
use crate::operators::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta};
use crate::task::StoreIndex;
use crate::types::Value;

/// The store's one key.
const LAST_VERSION: &[u8] = b"last";

pub(in crate::operators) struct Subscribe {
    pub key: Compiled,
    /// The expression, for messages.
    pub text: String,
    /// Columns of the left's key.
    pub key_width: usize,
    /// Rows of the left go on without a match.
    pub outer: bool,
    /// Messages end with the partition that the row lies in, for the answer to find back to it.
    pub tells_partition: bool,
    /// Keeps the last version.
    pub versions: StoreIndex,
    pub origin: Origin,
}

impl Subscribe {
    fn foreign_key(&self, values: &[Value], meta: &RowMeta, out: &mut Output<'_>) -> Value {
        let key = self.key.eval_value(&Env::new(values, meta));
        self.origin.report_swallowed(out.cx, values, meta, &self.text);
        key.unwrap_or_else(|error| {
            let message = format!("Error computing the foreign key {}", self.text);
            self.origin.report(out.cx, meta, message, &error.0);
            Value::Null
        })
    }

    /// The version of the next change.
    fn version(&self, offset: i64, out: &mut Output<'_>) -> Result<i64, FatalError> {
        let store = &mut out.cx.stores[self.versions.0];
        let last = store.get(LAST_VERSION, |last| last.and_then(|last| last.first_chunk().map(|last| i64::from_be_bytes(*last))));
        let last = last.map_err(|e| FatalError(e.to_string()))?;
        let version = last.map_or(offset, |last| last.saturating_add(1).max(offset));
        store.put(LAST_VERSION, Some(&version.to_be_bytes()));
        Ok(version)
    }

    fn send(
        &self,
        key: Value,
        (instruction, version): (Instruction, i64),
        row: &[Value],
        meta: &RowMeta,
        out: &mut Output<'_>,
    ) -> Result<(), FatalError> {
        let partition = self.tells_partition.then_some(Value::Int(meta.partition));
        let message = Subscription { instruction, version, row: row.iter().cloned().chain(partition).collect() };
        let mut values = out.cx.buffers.take(2);
        let meta = RowMeta { has_key: !key.is_null(), has_value: true, ..meta.clone() };
        values.extend([key, message.encode()]);
        out.emit(Row { values, old: None, meta })
    }
}

impl Operator for Subscribe {
    fn process(&mut self, _port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let old_key = row.old.as_ref().map(|old| self.foreign_key(old, &row.meta, out));
        let new_key = row.meta.has_value.then(|| self.foreign_key(&row.values, &row.meta, out));
        let left_key = &row.values[..self.key_width];
        let version = self.version(row.meta.offset, out)?;
        match (old_key, new_key) {
            (None, None) => {}
            (Some(old), None) => self.send(old, (Instruction::Delete, version), left_key, &row.meta, out)?,
            // Nothing could ever match it.
            (None, Some(Value::Null)) if !self.outer => {}
            (None, Some(new)) => self.send(new, (Instruction::Insert, version), &row.values, &row.meta, out)?,
            (Some(old), Some(new)) => {
                if old != new && !old.is_null() {
                    self.send(old, (Instruction::Forget, version), left_key, &row.meta, out)?;
                }
                self.send(new, (Instruction::Update, version), &row.values, &row.meta, out)?;
            }
        }
        out.cx.recycle(row);
        Ok(())
    }
}
