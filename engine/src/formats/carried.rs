//! Values that go from one payload into another as they stand.
//!
//! A query that only passes a column on need not take its value apart: where both topics have the same format, and it would
//! write the value as it was read, the bytes are copied. The decoder checks them all the same, leaves the column's slot null
//! and says where they stand; the encoder copies them. A value that would be written differently is decoded as ever.

/// Where a value stands in its payload, bytes; empty where it is in its slot instead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// The carried values of the record at hand.
#[derive(Debug, Default)]
pub struct Carried {
    payload: Vec<u8>,
    spans: Vec<Span>,
}

impl Carried {
    /// The bytes of a carried value; `None` where it is in its slot.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let span = self.span(index)?;
        self.payload.get(span.start..span.end)
    }

    #[inline]
    fn span(&self, index: usize) -> Option<Span> {
        self.spans.get(index).copied().filter(|span| span.start != span.end)
    }

    /// Room for so many values of the next record, none of which is carried yet.
    pub(super) fn begin(&mut self, count: usize) -> &mut [Span] {
        self.spans.clear();
        self.spans.resize(count, Span::default());
        &mut self.spans
    }

    /// Keeps the payload that the spans are of.
    pub(super) fn keep(&mut self, payload: &[u8]) {
        self.payload.clear();
        self.payload.extend_from_slice(payload);
    }
}

/// Copies carried values. Those that stand one behind another, each behind what belongs before it, are copied in one go.
pub(super) struct Copying<'c> {
    carried: &'c Carried,
    /// What is not copied yet; nothing where both are the same.
    start: usize,
    end: usize,
}

impl<'c> Copying<'c> {
    pub fn new(carried: &'c Carried) -> Self {
        Copying { carried, start: 0, end: 0 }
    }

    /// Appends a carried value behind `before`, now or by [`Self::finish`], and says whether there is one.
    #[inline]
    pub fn value(&mut self, index: usize, before: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(Span { start, end }) = self.carried.span(index) else { return false };
        let is_next = self.start != self.end
            && start == self.end + before.len()
            && match before {
                [] => true,
                [byte] => self.carried.payload.get(self.end) == Some(byte),
                more => self.carried.payload.get(self.end..start) == Some(more),
            };
        if !is_next {
            self.finish(out);
            out.extend_from_slice(before);
            self.start = start;
        }
        self.end = end;
        true
    }

    /// Appends what is not copied yet: before anything else is written, and in the end.
    #[inline]
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.start != self.end {
            out.extend_from_slice(self.carried.payload.get(self.start..self.end).unwrap_or_default());
            self.start = self.end;
        }
    }
}

/// Whether bytes that are carried are UTF-8. Most texts are ASCII, which is known sooner.
#[inline]
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::formats::{Field, Layout, LayoutSchemas, SchemaShape, by_name};
    use crate::plan::{SchemaSpec, WriteSchema};
    use crate::registry::{NoRegistry, SchemaId};
    use crate::types::{Column, SqlType, Value};

    #[test]
    fn what_stands_together_is_copied_together() {
        let mut carried = Carried::default();
        let spans = carried.begin(4);
        spans.copy_from_slice(&[(1, 3), (4, 6), (8, 9), (0, 0)].map(|(start, end)| Span { start, end }));
        carried.keep(b"0ab1cd23e");
        let written = |order: &[(usize, &[u8])]| {
            let (mut out, mut copying) = (Vec::new(), Copying::new(&carried));
            for (index, before) in order {
                if !copying.value(*index, before, &mut out) {
                    copying.finish(&mut out);
                    out.push(b'-');
                }
            }
            copying.finish(&mut out);
            String::from_utf8(out).unwrap()
        };
        for (order, expected) in [
            (&[(0, &b"1"[..]), (1, b"1"), (2, b"23")][..], "1ab1cd23e"),
            (&[(0, b"0"), (1, b"x"), (2, b"23")], "0abxcd23e"),
            (&[(2, b"23"), (1, b"1"), (0, b"0")], "23e1cd0ab"),
            (&[(0, b"0"), (3, b"1"), (1, b"1"), (2, b"2")], "0ab-1cd2e"),
            (&[(0, b""), (0, b""), (1, b"")], "ababcd"),
            (&[(3, b""), (9, b"")], "--"),
        ] {
            assert_eq!(written(order), expected);
        }
    }
    /// A generator of numbers from a seed.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % (end as u64)).unwrap()
        }

        fn value(&mut self, sql_type: &SqlType) -> Value {
            let number = [0, 1, -1, 63, -64, 300, -70_000, i64::from(i32::MAX), i64::from(i32::MIN)][self.below(9)];
            let text = ["", "a", "grün", "more than fits in place, and than one byte of length says: ", "\u{0}"][self.below(5)];
            match sql_type {
                _ if self.below(6) == 0 => Value::Null,
                SqlType::Boolean => Value::Boolean(self.below(2) == 0),
                SqlType::Int => Value::Int(number as i32),
                SqlType::BigInt => Value::BigInt([number, i64::MAX, i64::MIN][self.below(3)]),
                SqlType::Double => Value::Double([number as f64 / 8.0, -0.0][self.below(2)]),
                SqlType::String => Value::string(text.repeat(1 + self.below(4))),
                SqlType::Bytes => Value::bytes(text.as_bytes()),
                SqlType::Timestamp => Value::Timestamp(number),
                SqlType::Date => Value::Date(number as i32 / 1000),
                SqlType::Array(_) => Value::array((0..self.below(3)).map(|item| Value::Int(item as i32)).collect()),
                _ => Value::decimal(bigdecimal::BigDecimal::new(number.into(), 2)),
            }
        }

        /// The bytes behind the first `kept` with some edits; mostly none, or fields that come twice or in another order.
        fn mutate(&mut self, kept: usize, bytes: &mut Vec<u8>) {
            for _ in 0..self.below(4) {
                if bytes.len() <= kept {
                    return;
                }
                let at = kept + self.below(bytes.len() - kept);
                match self.below(6) {
                    0 => bytes[at] = self.below(256) as u8,
                    1 => bytes[at] ^= 1 << self.below(8),
                    2 => bytes.insert(at, [0xff, 0x80, 0x00, 0x02][self.below(4)]),
                    // A number that is longer than it needs.
                    3 if bytes[at] < 0x80 => drop(bytes.splice(at..=at, [bytes[at] | 0x80, 0])),
                    4 => bytes.extend_from_within(kept..),
                    _ => bytes[kept..].rotate_left(at - kept),
                }
            }
        }
    }

    fn layout(format: &dyn crate::formats::Format, columns: &[(&str, SqlType)], id: i32, is_carried: bool) -> Layout {
        let columns: Vec<Column> = columns.iter().map(|(name, sql_type)| Column::new(*name, sql_type.clone())).collect();
        let schema = format.schemas().unwrap().schema_of(&columns, &SchemaShape::default()).unwrap();
        let spec = SchemaSpec { writes: Some(WriteSchema { id: SchemaId(id), schema }), ..SchemaSpec::default() };
        let field = |(slot, column)| Field { column, slot: Some(slot), carried: is_carried.then_some(slot) };
        let fields = columns.into_iter().enumerate().map(field).collect();
        let schemas = Some(LayoutSchemas { registry: Arc::new(NoRegistry), spec });
        Layout { fields, unwrapped: false, is_key: false, delimiter: None, schemas }
    }

    /// Whatever a payload holds: what was carried is read as the very values that are read without carrying.
    #[test]
    fn carried_values_arrive_as_they_are_read() {
        let columns = [
            ("BO", SqlType::Boolean),
            ("I", SqlType::Int),
            ("L", SqlType::BigInt),
            ("D", SqlType::Double),
            ("S", SqlType::String),
            ("BY", SqlType::Bytes),
            ("TS", SqlType::Timestamp),
            ("DA", SqlType::Date),
            ("A", SqlType::array(SqlType::Int)),
            ("DE", SqlType::Decimal { precision: 20, scale: 2 }),
            ("S2", SqlType::String),
        ];
        for name in ["AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR"] {
            let format = by_name(name).unwrap();
            let (plain, carrying) = (layout(format, &columns, 1, false), layout(format, &columns, 1, true));
            let kept = if name == "PROTOBUF_NOSR" { 0 } else { 6 };
            let (mut decoder, mut carrier) = (format.decoder(&plain).unwrap(), format.decoder(&carrying).unwrap());
            let (mut encoder, mut copier) = (format.encoder(&plain).unwrap(), format.encoder(&carrying).unwrap());
            let (mut random, mut carried, mut good, mut copied) = (Random(7), Carried::default(), 0, 0);
            for round in 0..20_000 {
                let row: Vec<Value> = columns.iter().map(|(_, sql_type)| random.value(sql_type)).collect();
                let mut payload = Vec::new();
                encoder.encode(&row, &mut payload).unwrap();
                random.mutate(kept, &mut payload);
                let nulls = || vec![Value::Null; columns.len()];
                let (mut expected, mut slots, mut written, mut found) = (nulls(), nulls(), Vec::new(), nulls());
                let read = decoder.decode(&payload, &mut expected);
                let passed = carrier.decode_carrying(&payload, &mut slots, carried.begin(columns.len()));
                assert_eq!(passed, read, "{name}, round {round}: {payload:02x?}");
                if read != Ok(true) {
                    continue;
                }
                carried.keep(&payload);
                good += 1;
                copied += (0..columns.len()).filter(|index| carried.get(*index).is_some()).count();
                copier.encode_carrying(&slots, &carried, &mut written).unwrap();
                assert_eq!(decoder.decode(&written, &mut found), Ok(true), "{name}, round {round}: {payload:02x?}");
                assert_eq!(found, expected, "{name}, round {round}: {payload:02x?}");
            }
            assert!(good > 4_000 && copied > 3 * good, "{name}: {copied} values of {good} payloads were carried");
        }
    }
}
