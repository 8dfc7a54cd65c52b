//! Formats: bytes to columns and back. One file (or folder) a format.
//!
//! A format is chosen for the key and for the value of a topic apart. A decoder writes straight into a row's slots and
//! only those that the query reads; an encoder appends to a reused buffer. Neither allocates for what it skips.
//! Operators don't call formats themselves: [`TopicReader`] and [`TopicWriter`] join key, value and window to a row.

pub mod avro;
mod carried;
mod check;
mod delimited;
mod detect;
mod json;
mod json_sr;
mod kafka;
mod none;
pub(crate) mod protobuf;
mod registering;
pub mod schemas;
mod timestamp;
pub mod topic;
mod unscaled;
pub(crate) mod varint;
mod warnings;
mod windowed_key;

use std::sync::Arc;

use crate::plan::{FormatSpec, SchemaSpec};
use crate::registry::SchemaRegistry;
use crate::types::{Column, SqlType, Value};

pub use carried::{Carried, Span};
pub use check::{check_schema, describe_columns};
pub use delimited::parse_delimiter;
pub use detect::{FormatDetector, ShownSchemas};
pub use json::{write_json, write_json_string};
pub use protobuf::descriptors as protobuf_descriptors;
pub use registering::{RegisterError, register_insert, register_plan, register_source, subjects};
pub use schemas::{Inferred, Printer, SchemaShape, SchemaSupport};
pub use timestamp::TimestampExtractor;
pub use topic::{Encoded, ReadError, RecordPart, SlotUse, TopicReader, TopicWriter, WriteError};
pub use warnings::take_warnings;
pub use windowed_key::{append_window, split_window, window_bytes};

/// Why a record could not be decoded. The text goes to the processing log; the record is skipped, unless it is only not known
/// yet how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    message: Box<str>,
    /// Where in the payload the value stands: `.name` or `[index]`, the outermost first. `None` where no value is meant.
    path: Option<Box<[String]>>,
    is_not_yet: bool,
}

impl DecodeError {
    pub fn new(message: impl Into<String>) -> Self {
        DecodeError { message: message.into().into_boxed_str(), path: None, is_not_yet: false }
    }

    /// Of a value at a place.
    pub fn at(message: impl Into<String>, path: Vec<String>) -> Self {
        DecodeError { path: Some(path.into_boxed_slice()), ..Self::new(message) }
    }

    /// The record's schema is not known yet: nothing was read, the same record is to be tried again later.
    pub fn not_yet(message: impl Into<String>) -> Self {
        DecodeError { is_not_yet: true, ..Self::new(message) }
    }

    /// Whether the record is to be tried again later.
    pub fn is_not_yet(&self) -> bool {
        self.is_not_yet
    }

    /// The same failure as each level of the payload sees it, the outermost first: what ksqlDB's processing log calls the
    /// causes.
    pub fn causes(&self) -> Vec<String> {
        let Some(path) = &self.path else { return vec![self.message.to_string()] };
        let inner = (0..path.len()).filter_map(|level| path.get(level..)).map(|rest| format!("{}, path: {}", self.message, rest.concat()));
        std::iter::once(self.to_string()).chain(inner).chain([self.message.to_string()]).collect()
    }
}

impl std::error::Error for DecodeError {}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}, path: ${}", self.message, path.concat()),
            None => f.write_str(&self.message),
        }
    }
}

/// Why a row could not be encoded. The text goes to the processing log; the row is skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(pub Box<str>);

impl EncodeError {
    pub fn new(message: impl Into<String>) -> Self {
        EncodeError(message.into().into_boxed_str())
    }
}

/// A column and the slot of the row that it is decoded to or encoded from. `None`: nobody reads it (decoders only).
#[derive(Debug, Clone)]
pub struct Field {
    pub column: Column,
    pub slot: Option<usize>,
    /// The number among the carried values, where the column may be one (see [`Carried`]).
    pub carried: Option<usize>,
}

impl Field {
    /// A field that is not carried.
    pub fn new(column: Column, slot: Option<usize>) -> Self {
        Field { column, slot, carried: None }
    }
}

/// What a format is asked to read or write.
#[derive(Debug, Clone)]
pub struct Layout {
    pub fields: Vec<Field>,
    /// True: a single column stands without an object around it.
    pub unwrapped: bool,
    pub is_key: bool,
    /// DELIMITED only; `None` means a comma.
    pub delimiter: Option<char>,
    /// Formats with schemas only.
    pub schemas: Option<LayoutSchemas>,
}

/// What a format with schemas is told about them.
#[derive(Clone)]
pub struct LayoutSchemas {
    /// Who knows the schemas of records that are read. Never asked in a way that waits.
    pub registry: Arc<dyn SchemaRegistry>,
    pub spec: SchemaSpec,
}

impl std::fmt::Debug for LayoutSchemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayoutSchemas").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// Reads a payload into the slots of a row.
pub trait Decoder: Send {
    /// Writes every wanted slot, and says whether there is a value at all: `false` means that the payload spells null
    /// (JSON's `null` where an object should stand). A null payload never comes here; it is the reader's business.
    ///
    /// # Errors
    /// The payload is not of this format, or a value does not fit its column's type. Slots may have been written then.
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError>;

    /// As [`Decoder::decode`], for a format that [carries](Format::carries): says where carried values stand. `spans` come
    /// empty, one for each carried field.
    ///
    /// # Errors
    /// As there.
    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], _spans: &mut [Span]) -> Result<bool, DecodeError> {
        self.decode(payload, row)
    }
}

/// Writes columns of a row as a payload.
pub trait Encoder: Send {
    /// Appends the payload to `out` and says whether there is one: `false` means null (an unwrapped null column).
    ///
    /// # Errors
    /// A value that the format can't write.
    fn encode(&mut self, row: &[Value], out: &mut Vec<u8>) -> Result<bool, EncodeError>;

    /// As [`Encoder::encode`], for a format that [carries](Format::carries): copies the values that are carried.
    ///
    /// # Errors
    /// As there.
    fn encode_carrying(&mut self, row: &[Value], _carried: &Carried, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.encode(row, out)
    }
}

/// A format: what it can do, and the makers of its decoder and encoder. One `static` a file, one line in [`ALL`].
pub trait Format: Send + Sync {
    /// Upper case, as in `VALUE_FORMAT`.
    fn name(&self) -> &'static str;
    fn supports_key(&self) -> bool {
        true
    }
    fn supports_several_key_columns(&self) -> bool {
        true
    }
    /// Whether WRAP_SINGLE_VALUE may be set, and to which values: `(wrapped, unwrapped)`.
    fn supports_wrapping(&self) -> (bool, bool) {
        (true, true)
    }
    /// Whether a single value column stands unwrapped where nothing is said.
    fn unwrapped_by_default(&self) -> bool {
        false
    }
    /// Whether a single key column stands unwrapped.
    fn unwraps_single_key(&self) -> bool {
        true
    }
    /// What the format does with schemas, where it has them.
    fn schemas(&self) -> Option<&dyn SchemaSupport> {
        None
    }
    /// Whether values can go from one payload of this format into another as they stand.
    fn carries(&self) -> bool {
        false
    }
    /// What is read where a null was written to a column; `None`: null.
    fn in_place_of_null(&self, _spec: &FormatSpec, _sql_type: &SqlType) -> Option<Value> {
        None
    }
    /// Whether the format can hold the column.
    ///
    /// # Errors
    /// The reason, as a sentence for the user.
    fn check_column(&self, column: &Column, is_key: bool) -> Result<(), String>;
    /// Whether the format can hold these columns together. (What a user should see is [`check_schema`]'s text.)
    ///
    /// # Errors
    /// The first reason, as a sentence for the user.
    fn check_columns(&self, columns: &[Column], is_key: bool) -> Result<(), String> {
        columns.iter().try_for_each(|column| self.check_column(column, is_key))
    }
    /// # Errors
    /// The layout's columns don't pass [`Format::check_columns`].
    fn decoder(&self, layout: &Layout) -> Result<Box<dyn Decoder>, String>;
    /// # Errors
    /// As for [`Format::decoder`], or a field without a slot.
    fn encoder(&self, layout: &Layout) -> Result<Box<dyn Encoder>, String>;
}

/// Every format. Adding one is its file and one line here.
pub static ALL: &[&dyn Format] = &[
    &avro::AVRO,
    &delimited::DELIMITED,
    &json::JSON,
    &json_sr::JSON_SR,
    &kafka::KAFKA,
    &none::NONE,
    &protobuf::PROTOBUF,
    &protobuf::PROTOBUF_NOSR,
];

/// The format of that name (any case).
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    ALL.iter().copied().find(|f| f.name().eq_ignore_ascii_case(name))
}
