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
        let span = self.spans.get(index)?;
        if span.start == span.end { None } else { self.payload.get(span.start..span.end) }
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
