//! What a client is sent, gathered until it is worth a packet.

use bytes::{BufMut, BytesMut};

use super::error::PgError;
use super::message::Format;
use super::types::{ColumnType, write_value};
use tidemill_engine::types::Value;

/// Bytes that are gathered before they are sent.
pub const SEND_BYTES: usize = 32 << 10;

/// A column of an answer.
#[derive(Debug, Clone)]
pub struct AnswerColumn {
    pub name: String,
    pub column_type: ColumnType,
}

/// How far a transaction is, as clients ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    None,
    Begun,
}

/// See the module.
#[derive(Default)]
pub struct Output {
    pub bytes: BytesMut,
}

impl Output {
    /// Whether there is enough to be sent.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= SEND_BYTES
    }

    /// A message whose body is written by a function.
    pub fn message(&mut self, tag: u8, body: impl FnOnce(&mut BytesMut)) {
        self.bytes.put_u8(tag);
        let start = self.bytes.len();
        self.bytes.put_u32(0);
        body(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub fn authentication(&mut self, code: u32) {
        self.message(b'R', |out| out.put_u32(code));
    }

    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |out| {
            text(name, out);
            text(value, out);
        });
    }

    /// What a client cancels by.
    pub fn key(&mut self, process: u32, secret: u32) {
        self.message(b'K', |out| {
            out.put_u32(process);
            out.put_u32(secret);
        });
    }

    /// Which version is spoken to who asked for a later one, and which of its options are not known.
    pub fn version(&mut self, version: u32, unknown: &[&str]) {
        self.message(b'v', |out| {
            out.put_u32(version);
            out.put_u32(u32::try_from(unknown.len()).unwrap_or(0));
            unknown.iter().for_each(|option| text(option, out));
        });
    }

    pub fn ready(&mut self, transaction: Transaction) {
        self.message(b'Z', |out| out.put_u8(if transaction == Transaction::None { b'I' } else { b'T' }));
    }

    pub fn parse_complete(&mut self) {
        self.message(b'1', |_| {});
    }

    pub fn bind_complete(&mut self) {
        self.message(b'2', |_| {});
    }

    pub fn close_complete(&mut self) {
        self.message(b'3', |_| {});
    }

    pub fn no_data(&mut self) {
        self.message(b'n', |_| {});
    }

    pub fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    pub fn suspended(&mut self) {
        self.message(b's', |_| {});
    }

    pub fn complete(&mut self, tag: &str) {
        self.message(b'C', |out| text(tag, out));
    }

    pub fn error(&mut self, error: &PgError) {
        self.message(b'E', |out| error.write(out));
    }

    pub fn notice(&mut self, notice: &PgError) {
        self.message(b'N', |out| notice.write(out));
    }

    pub fn parameters(&mut self, types: &[u32]) {
        self.message(b't', |out| {
            out.put_u16(u16::try_from(types.len()).unwrap_or(u16::MAX));
            types.iter().for_each(|oid| out.put_u32(*oid));
        });
    }

    pub fn columns(&mut self, columns: &[AnswerColumn], formats: &[Format]) {
        self.message(b'T', |out| {
            out.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
            for (index, column) in columns.iter().enumerate() {
                text(&column.name, out);
                out.put_u32(0);
                out.put_u16(0);
                out.put_u32(column.column_type.oid());
                out.put_i16(column.column_type.width());
                out.put_i32(column.column_type.modifier());
                out.put_u16(if Format::of(formats, index) == Format::Binary { 1 } else { 0 });
            }
        });
    }

    /// A row of values.
    pub fn row(&mut self, values: &[Value], columns: &[AnswerColumn], formats: &[Format]) {
        self.message(b'D', |out| {
            out.put_u16(u16::try_from(columns.len()).unwrap_or(u16::MAX));
            for (index, column) in columns.iter().enumerate() {
                let value = values.get(index).unwrap_or(&Value::Null);
                if value.is_null() {
                    out.put_i32(-1);
                    continue;
                }
                let start = out.len();
                out.put_u32(0);
                write_value(value, &column.column_type, Format::of(formats, index), out);
                let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
                if let Some(place) = out.get_mut(start..start + 4) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
            }
        });
    }

    /// A row that is written already: its fields, each with its length.
    pub fn written_row(&mut self, fields: u16, row: &[u8]) {
        self.message(b'D', |out| {
            out.put_u16(fields);
            out.put_slice(row);
        });
    }

    pub fn copy_out(&mut self, columns: usize) {
        self.copies(b'H', columns);
    }

    pub fn copy_in(&mut self, columns: usize) {
        self.copies(b'G', columns);
    }

    /// That data of so many columns goes this way or that, as texts.
    fn copies(&mut self, tag: u8, columns: usize) {
        self.message(tag, |out| {
            out.put_u8(0);
            let columns = u16::try_from(columns).unwrap_or(u16::MAX);
            out.put_u16(columns);
            (0..columns).for_each(|_| out.put_u16(0));
        });
    }

    pub fn copy_data(&mut self, line: &[u8]) {
        self.message(b'd', |out| out.put_slice(line));
    }

    pub fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    /// All that is to be sent.
    #[cfg(test)]
    pub fn take(&mut self) -> bytes::Bytes {
        self.bytes.split().freeze()
    }
}

/// A text with a zero behind it. One within would end it.
pub fn text(text: &str, out: &mut BytesMut) {
    match text.split_once('\0') {
        Some((before, _)) => out.put_slice(before.as_bytes()),
        None => out.put_slice(text.as_bytes()),
    }
    out.put_u8(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_themselves() {
        let mut output = Output::default();
        output.complete("SELECT 1");
        assert_eq!(&output.take()[..], b"C\0\0\0\x0dSELECT 1\0");
        output.ready(Transaction::Begun);
        assert_eq!(&output.take()[..], b"Z\0\0\0\x05T");
    }
}
