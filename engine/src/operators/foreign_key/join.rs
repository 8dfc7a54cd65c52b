//! Second part: the left's rows beside the right table.
//!
//! In: messages of the left (port 0) and changes of the right (port 1). Out: rows whose key is the left's and whose value
//! is a result, with the later time of the two sides for a change of the left, and the right's own for one of the right
//! (which goes to all rows that name its key, in the order of their keys). Where there is no match: nulls for the right's
//! columns if rows of the left go on without one, else the word that there is no result; nothing for a row that is new.
//! Where the left's keys have registered schemas, the same key may be written in several ways: each answer goes to the partition
//! that its message came from.
//! Store: the foreign key, then the left's key → version, then the left's row. On replay the same entries are written.

use super::message::{Instruction, Response, Subscription, corrupt};
use crate::operators::table_lookup::{Side, TableLookup, joined};
use crate::operators::{FatalError, Operator, Output, Port};
use crate::row::{Row, RowMeta};
use crate::task::StoreIndex;
use crate::types::Value;
use crate::types::codec;

pub(in crate::operators) struct ForeignKeyJoin {
    pub subscriptions: StoreIndex,
    pub right: TableLookup,
    /// Columns of the left's key.
    pub left_key_width: usize,
    /// The value columns of the result.
    pub columns: Vec<Side>,
    pub outer: bool,
    /// The last value of each of the left's rows is the partition that the answer goes to.
    pub by_partition: bool,
    pub key: Vec<u8>,
}

impl ForeignKeyJoin {
    fn respond(
        &self,
        left: &[Value],
        version: i64,
        values: Option<Vec<Value>>,
        mut meta: RowMeta,
        out: &mut Output<'_>,
    ) -> Result<(), FatalError> {
        if self.by_partition {
            let Some(Value::Int(partition)) = left.last() else { return Err(corrupt()) };
            meta.partition = *partition;
        }
        let mut row = out.cx.buffers.take(self.left_key_width + 1);
        row.extend(left.iter().take(self.left_key_width).cloned());
        row.push(Response { version, values }.encode());
        out.emit(Row { values: row, old: None, meta: RowMeta { has_key: true, has_value: true, ..meta } })
    }

    /// The result for a row of the left; `None`: there is none.
    fn result(&self, left: &[Value], right: Option<&[Value]>) -> Option<Vec<Value>> {
        (right.is_some() || self.outer).then(|| joined(Vec::new(), &[], &self.columns, Some(left), right))
    }

    fn left_changed(&mut self, row: &Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        let message = Subscription::decode(row.values.get(1))?;
        let left_key = message.row.get(..self.left_key_width).ok_or_else(corrupt)?;
        let mut right = None;
        if row.meta.has_key {
            self.key.clear();
            codec::encode_key(&row.values[..1], &mut self.key);
            right = self.right.row(&self.key, &mut out.cx.stores)?;
            codec::encode_key(left_key, &mut self.key);
            let keeps = matches!(message.instruction, Instruction::Insert | Instruction::Update);
            let entry = keeps.then(|| {
                let mut values = vec![Value::BigInt(message.version)];
                values.extend(message.row.iter().cloned());
                let mut entry = Vec::new();
                codec::encode_values(&values, &mut entry);
                entry
            });
            out.cx.stores[self.subscriptions.0].put(&self.key, entry.as_deref());
        }
        let result = match message.instruction {
            Instruction::Forget => return Ok(()),
            Instruction::Delete => None,
            Instruction::Insert | Instruction::Update => self.result(&message.row, right.as_ref().map(|r| r.values.as_slice())),
        };
        if result.is_none() && message.instruction == Instruction::Insert {
            return Ok(());
        }
        let mut meta = row.meta.clone();
        if message.instruction != Instruction::Delete {
            meta.timestamp = right.map_or(meta.timestamp, |r| r.meta.timestamp.max(meta.timestamp));
        }
        self.respond(&message.row, message.version, result, meta, out)
    }

    fn right_changed(&mut self, row: &Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        self.key.clear();
        codec::encode_key(&row.values[..1], &mut self.key);
        let mut subscribed = Vec::new();
        let scanned = out.cx.stores[self.subscriptions.0].prefix(&self.key, &mut |_, entry| {
            subscribed.push(entry.to_vec());
            true
        });
        scanned.map_err(|e| FatalError(e.to_string()))?;
        for entry in subscribed {
            let mut values = Vec::new();
            codec::decode_values(&entry, &mut values).map_err(|e| FatalError(e.to_string()))?;
            let Some((Value::BigInt(version), left)) = values.split_first() else { return Err(corrupt()) };
            let result = self.result(left, row.meta.has_value.then_some(row.values.as_slice()));
            self.respond(left, *version, result, row.meta.clone(), out)?;
        }
        Ok(())
    }
}

impl Operator for ForeignKeyJoin {
    fn process(&mut self, port: Port, row: Row, out: &mut Output<'_>) -> Result<(), FatalError> {
        if port == Port(0) {
            self.left_changed(&row, out)?;
        } else {
            self.right_changed(&row, out)?;
        }
        out.cx.recycle(row);
        Ok(())
    }
}
