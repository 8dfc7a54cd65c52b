//! Records to rows and back: the key's format, the value's format and the window of a topic, joined.
//!
//! Sources and sinks hold one reader or writer for each topic and task. Both reuse their buffers.

use std::fmt;
use std::sync::Arc;

use super::{
    Carried, DecodeError, Decoder, EncodeError, Encoder, Field, Format, Layout, LayoutSchemas, append_window, by_name, split_window,
    take_warnings, window_bytes,
};
use crate::operators::NotYet;
use crate::plan::{FormatSpec, TopicFormat, WindowedKey};
use crate::registry::{NoRegistry, SchemaRegistry};
use crate::row::Row;
use crate::types::{Column, Schema, Value};

/// What becomes of one slot of the rows that a [`TopicReader`] fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotUse {
    /// Decoded.
    Read,
    /// Carried under this number, or decoded where the value would be written differently.
    Carried(usize),
    /// In the record, but nobody reads it: left null.
    Unread,
    /// Not in the record at all (columns of headers, pseudo-columns): left null for the caller to fill.
    Absent,
}

/// The half of a record that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordPart {
    Key,
    Value,
}

impl fmt::Display for RecordPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordPart::Key => "key",
            RecordPart::Value => "value",
        })
    }
}

/// A record that could not be read: it is to be skipped, and this goes to the processing log.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ReadError {
    pub part: RecordPart,
    pub topic: Arc<str>,
    pub cause: DecodeError,
    /// The format, as Kafka Connect's converters call it, where ksqlDB reads by one of those.
    converter: Option<&'static str>,
}

/// ksqlDB's words, which it has from the converter where there is one.
impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReadError { part, topic, cause, converter } = self;
        match converter {
            Some(_) => write!(f, "Error deserializing message from topic: {topic}. {cause}"),
            None => write!(f, "Failed to deserialize {part} from topic: {topic}. {cause}"),
        }
    }
}

impl ReadError {
    /// The causes, innermost last.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = self.cause.causes();
        // A value of another type than the column is none of the converter's business.
        if let Some(converter) = self.converter.filter(|_| !causes.first().is_some_and(|cause| cause.starts_with("Cannot deserialize"))) {
            causes.insert(0, format!("Failed to deserialize data for topic {} to {converter}: ", self.topic));
        }
        causes
    }
}

/// The converter of Kafka Connect that ksqlDB reads a format by.
fn converter(format: &dyn Format) -> Option<&'static str> {
    match format.name() {
        "AVRO" => Some("Avro"),
        "PROTOBUF" => Some("Protobuf"),
        _ => None,
    }
}

/// A row that could not be written: it is to be left out, and this goes to the processing log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Failed to serialize {part} to topic: {topic}. {cause}")]
pub struct WriteError {
    pub part: RecordPart,
    pub topic: Arc<str>,
    pub cause: EncodeError,
}

/// Fills rows from the records of a topic.
pub struct TopicReader {
    topic: Arc<str>,
    /// `None`: the schema has no key columns, so whatever key a record has is passed over.
    key: Option<Box<dyn Decoder>>,
    value: Box<dyn Decoder>,
    windowed: Option<WindowedKey>,
    /// Converters of the key and the value, see [`ReadError`].
    converters: (Option<&'static str>, Option<&'static str>),
    width: usize,
    /// How many columns are carried.
    carries: usize,
    /// Whether records bear ids of schemas, which may not be known yet.
    bears_ids: bool,
    /// The beginnings of the key and the value, where the ids stand, for which it was found that they are known.
    ready: Option<(Beginning, Beginning)>,
}

/// The magic byte and the id of a schema.
type Beginning = [u8; 5];

fn beginning(bytes: Option<&[u8]>) -> Beginning {
    bytes.and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default()
}

impl TopicReader {
    /// A reader that fills rows of `schema`, of which it decodes what `uses` says, slot by slot. `registry` knows the schemas of
    /// formats that have them.
    ///
    /// # Errors
    /// An unknown format, or one that can't hold the columns.
    pub fn new(format: &TopicFormat, schema: &Schema, uses: &[SlotUse], registry: &Arc<dyn SchemaRegistry>) -> Result<Self, String> {
        if uses.len() != schema.width() {
            return Err(format!("a reader of {} slots was told the use of {}", schema.width(), uses.len()));
        }
        let fields = |columns: &[Column], first: usize| {
            let in_record = columns.iter().zip(first..).zip(uses.iter().skip(first)).filter(|(_, slot_use)| **slot_use != SlotUse::Absent);
            in_record
                .map(|((column, slot), slot_use)| match slot_use {
                    SlotUse::Unread | SlotUse::Absent => Field::new(column.clone(), None),
                    SlotUse::Read => Field::new(column.clone(), Some(slot)),
                    SlotUse::Carried(index) => Field { column: column.clone(), slot: Some(slot), carried: Some(*index) },
                })
                .collect()
        };
        let mut bears_ids = false;
        let mut key_converter = None;
        let key = if schema.key.is_empty() {
            None
        } else {
            let (key_format, layout) = layout(&format.key, fields(&schema.key, 0), true, registry)?;
            bears_ids = layout.schemas.is_some();
            key_converter = converter(key_format);
            Some(key_format.decoder(&layout)?)
        };
        let (value_format, layout) = layout(&format.value, fields(&schema.value, schema.key.len()), false, registry)?;
        Ok(TopicReader {
            topic: format.topic.as_str().into(),
            key,
            value: value_format.decoder(&layout)?,
            windowed: format.windowed_key,
            converters: (key_converter, converter(value_format)),
            width: schema.width(),
            carries: uses.iter().filter(|slot_use| matches!(slot_use, SlotUse::Carried(_))).count(),
            bears_ids: bears_ids || layout.schemas.is_some(),
            ready: None,
        })
    }

    /// Whether a record can be read now, as far as schemas go: it is read in vain where its ids are other than those of the
    /// record before.
    ///
    /// # Errors
    /// It is to be tried again later.
    pub fn is_ready(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), NotYet> {
        if !self.bears_ids {
            return Ok(());
        }
        let ids = (beginning(key), beginning(value));
        if self.ready == Some(ids) {
            return Ok(());
        }
        let read = self.read(key, value, &mut Row::default());
        drop(take_warnings());
        match read {
            Err(error) if error.cause.is_not_yet() => Err(NotYet(error.cause.to_string())),
            // The value was not looked at.
            Err(ReadError { part: RecordPart::Key, .. }) => Ok(()),
            _ => {
                self.ready = Some(ids);
                Ok(())
            }
        }
    }

    /// The topic's name.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Slots of the rows.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Reads a record into `row`: all its slots, `has_key`, `has_value` and `window`. The rest of the row's meta and its
    /// old values are left alone.
    ///
    /// # Errors
    /// The key or the value is not what the topic's format and schema say. The row's content is undefined then.
    pub fn read(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, row: &mut Row) -> Result<(), ReadError> {
        self.read_with(key, value, row, |decoder, bytes, row| decoder.decode(bytes, row))
    }

    /// As [`Self::read`], and tells `carried` what it need not decode.
    ///
    /// # Errors
    /// As there.
    pub fn read_carrying(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        row: &mut Row,
        carried: &mut Carried,
    ) -> Result<(), ReadError> {
        let spans = carried.begin(self.carries);
        if self.carries == 0 {
            return self.read(key, value, row);
        }
        self.read_with(key, value, row, |decoder, bytes, row| decoder.decode_carrying(bytes, row, spans))?;
        carried.keep(value.unwrap_or_default());
        Ok(())
    }

    #[inline]
    fn read_with(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        row: &mut Row,
        decode: impl FnOnce(&mut dyn Decoder, &[u8], &mut [Value]) -> Result<bool, DecodeError>,
    ) -> Result<(), ReadError> {
        if row.values.len() == self.width {
            row.values.iter_mut().for_each(Value::set_null);
        } else {
            row.values.clear();
            row.values.resize(self.width, Value::Null);
        }
        row.meta.window = None;
        row.meta.has_key = false;
        if let (Some(decoder), Some(mut bytes)) = (&mut self.key, key) {
            let converter = self.converters.0;
            let read_error = |cause| ReadError { part: RecordPart::Key, topic: self.topic.clone(), cause, converter };
            if let Some(kind) = self.windowed {
                let (own, window) = split_window(bytes, kind).map_err(read_error)?;
                bytes = own;
                row.meta.window = Some(window);
            }
            row.meta.has_key = decoder.decode(bytes, &mut row.values).map_err(read_error)?;
        }
        row.meta.has_value = match value {
            Some(bytes) => {
                let decoded = decode(&mut *self.value, bytes, &mut row.values);
                let converter = self.converters.1;
                decoded.map_err(|cause| ReadError { part: RecordPart::Value, topic: self.topic.clone(), cause, converter })?
            }
            None => false,
        };
        Ok(())
    }
}

/// A row as bytes, valid until the writer's next use. Null is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// The end of `key` that is its window, bytes.
    window_bytes: usize,
}

impl<'a> Encoded<'a> {
    /// Bytes that were not encoded here.
    #[cfg(test)]
    pub(crate) fn plain(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Self {
        Encoded { key, value, window_bytes: 0 }
    }

    /// The key by which the record is partitioned: without its window, as Kafka Streams does it, so that all windows of a
    /// key lie in one partition, in order.
    pub fn partition_key(&self) -> Option<&'a [u8]> {
        self.key.map(|key| &key[..key.len().saturating_sub(self.window_bytes)])
    }
}

/// Writes rows as records of a topic.
pub struct TopicWriter {
    topic: Arc<str>,
    /// `None`: the schema has no key columns; records have no key.
    key: Option<Box<dyn Encoder>>,
    value: Box<dyn Encoder>,
    windowed: Option<WindowedKey>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl TopicWriter {
    /// A writer for rows of `schema`; it writes all their columns.
    ///
    /// # Errors
    /// An unknown format, or one that can't hold the columns.
    pub fn new(format: &TopicFormat, schema: &Schema) -> Result<Self, String> {
        Self::carrying(format, schema, |_| None)
    }

    /// As [`Self::new`], for rows some of whose columns are carried: `number` says under which number, by the slot.
    ///
    /// # Errors
    /// As there.
    pub fn carrying(format: &TopicFormat, schema: &Schema, number: impl Fn(usize) -> Option<usize>) -> Result<Self, String> {
        let fields = |columns: &[Column], first: usize| {
            let field = |(column, slot): (&Column, usize)| Field { column: column.clone(), slot: Some(slot), carried: number(slot) };
            columns.iter().zip(first..).map(field).collect()
        };
        // What is written has its schema in the plan.
        let registry: &Arc<dyn SchemaRegistry> = &(Arc::new(NoRegistry) as _);
        let key = if schema.key.is_empty() {
            None
        } else {
            let (key_format, layout) = layout(&format.key, fields(&schema.key, 0), true, registry)?;
            Some(key_format.encoder(&layout)?)
        };
        let (value_format, layout) = layout(&format.value, fields(&schema.value, schema.key.len()), false, registry)?;
        Ok(TopicWriter {
            topic: format.topic.as_str().into(),
            key,
            value: value_format.encoder(&layout)?,
            windowed: format.windowed_key,
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
        })
    }

    /// Encodes a row. A row without a key has a null key, one without a value (a tombstone) a null value; a single
    /// unwrapped column that is null makes its half null as well.
    ///
    /// # Errors
    /// A value that the format can't write.
    pub fn write(&mut self, row: &Row) -> Result<Encoded<'_>, WriteError> {
        self.write_carrying(row, &Carried::default())
    }

    /// As [`Self::write`], with the columns that are carried.
    ///
    /// # Errors
    /// As there.
    pub fn write_carrying(&mut self, row: &Row, carried: &Carried) -> Result<Encoded<'_>, WriteError> {
        let has_key = self.write_key(row).map_err(|cause| self.failed(RecordPart::Key, cause))?;
        self.value_bytes.clear();
        let has_value = row.meta.has_value
            && self
                .value
                .encode_carrying(&row.values, carried, &mut self.value_bytes)
                .map_err(|cause| self.failed(RecordPart::Value, cause))?;
        Ok(Encoded {
            key: has_key.then_some(self.key_bytes.as_slice()),
            value: has_value.then_some(self.value_bytes.as_slice()),
            window_bytes: self.windowed.map_or(0, window_bytes),
        })
    }

    /// Encodes the key alone (for lookups and partitioning). `None`: the key is null.
    ///
    /// # Errors
    /// A value that the format can't write.
    pub fn key(&mut self, row: &Row) -> Result<Option<&[u8]>, WriteError> {
        let has_key = self.write_key(row).map_err(|cause| self.failed(RecordPart::Key, cause))?;
        Ok(has_key.then_some(self.key_bytes.as_slice()))
    }

    fn write_key(&mut self, row: &Row) -> Result<bool, EncodeError> {
        self.key_bytes.clear();
        let Some(encoder) = &mut self.key else { return Ok(false) };
        if !row.meta.has_key || !encoder.encode(&row.values, &mut self.key_bytes)? {
            return Ok(false);
        }
        if let Some(kind) = self.windowed {
            append_window(row.meta.window, kind, &mut self.key_bytes)?;
        }
        Ok(true)
    }

    #[cold]
    fn failed(&self, part: RecordPart, cause: EncodeError) -> WriteError {
        WriteError { part, topic: self.topic.clone(), cause }
    }
}

/// The format of a specification and the layout of its fields.
fn layout(
    spec: &FormatSpec,
    fields: Vec<Field>,
    is_key: bool,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<(&'static dyn Format, Layout), String> {
    let format = by_name(&spec.name).ok_or_else(|| format!("Unknown format: {}", spec.name))?;
    let unwrapped = fields.len() == 1 && if is_key { format.unwraps_single_key() } else { spec.unwrapped };
    let schemas =
        format.schemas().map(|_| LayoutSchemas { registry: registry.clone(), spec: spec.schema.as_deref().cloned().unwrap_or_default() });
    Ok((format, Layout { fields, unwrapped, is_key, delimiter: spec.delimiter, schemas }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{RowMeta, Window};
    use crate::types::SqlType;

    fn kafka(windowed_key: Option<WindowedKey>) -> TopicFormat {
        let spec = FormatSpec { name: "KAFKA".into(), unwrapped: true, delimiter: None, schema: None };
        TopicFormat { topic: "t".into(), key: spec.clone(), value: spec, windowed_key }
    }

    fn none() -> Arc<dyn SchemaRegistry> {
        Arc::new(NoRegistry)
    }

    fn schema() -> Schema {
        Schema { key: vec![Column::new("K", SqlType::String)], value: vec![Column::new("V", SqlType::Int)] }
    }

    #[test]
    fn rows_go_there_and_back_with_their_window() {
        for windowed in [None, Some(WindowedKey::Time { size_ms: 10 }), Some(WindowedKey::Session)] {
            let mut writer = TopicWriter::new(&kafka(windowed), &schema()).unwrap();
            let mut reader = TopicReader::new(&kafka(windowed), &schema(), &[SlotUse::Read; 2], &none()).unwrap();
            let window = windowed.map(|_| Window { start: 20, end: 30 });
            for (value, has_value) in [(Value::Int(5), true), (Value::Null, false)] {
                let meta = RowMeta { has_key: true, has_value, window, ..RowMeta::default() };
                let row = Row { values: vec![Value::string("k"), value], old: None, meta };
                let encoded = writer.write(&row).unwrap();
                assert_eq!(encoded.partition_key(), Some(&b"k"[..]), "windows of a key stay together");
                let mut read = Row::default();
                reader.read(encoded.key, encoded.value, &mut read).unwrap();
                assert_eq!(read.values, row.values);
                assert_eq!((read.meta.window, read.meta.has_key, read.meta.has_value), (window, true, has_value));
            }
        }
    }

    #[test]
    fn nulls() {
        let mut writer = TopicWriter::new(&kafka(None), &schema()).unwrap();
        let row = |has_key, has_value| Row {
            values: vec![Value::Null, Value::Null],
            old: None,
            meta: RowMeta { has_key, has_value, ..RowMeta::default() },
        };
        for (has_key, has_value) in [(true, true), (true, false), (false, true), (false, false)] {
            let encoded = writer.write(&row(has_key, has_value)).unwrap();
            assert_eq!((encoded.key, encoded.partition_key(), encoded.value), (None, None, None));
        }
        let mut reader = TopicReader::new(&kafka(None), &schema(), &[SlotUse::Read; 2], &none()).unwrap();
        let mut read = Row::default();
        reader.read(None, None, &mut read).unwrap();
        assert_eq!((read.values.len(), read.meta.has_key, read.meta.has_value), (2, false, false));
    }

    /// As ksqlDB has it: AVRO and PROTOBUF are read by Kafka Connect's converters.
    #[test]
    fn errors_are_in_the_words_of_who_reads() {
        for (name, message, causes) in [
            (
                "AVRO",
                "Error deserializing message from topic: t. Unknown magic byte!",
                &["Failed to deserialize data for topic t to Avro: ", "Unknown magic byte!"][..],
            ),
            (
                "PROTOBUF",
                "Error deserializing message from topic: t. Unknown magic byte!",
                &["Failed to deserialize data for topic t to Protobuf: ", "Unknown magic byte!"],
            ),
            (
                "KAFKA",
                "Failed to deserialize value from topic: t. Size of data received by IntegerDeserializer is not 4 (it is 2 bytes)",
                &["Size of data received by IntegerDeserializer is not 4 (it is 2 bytes)"],
            ),
        ] {
            let mut format = kafka(None);
            format.value = FormatSpec { name: name.into(), unwrapped: name == "KAFKA", delimiter: None, schema: None };
            let mut reader = TopicReader::new(&format, &schema(), &[SlotUse::Read; 2], &none()).unwrap();
            let error = reader.read(None, Some(b"{}"), &mut Row::default()).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert_eq!(error.causes(), causes);
        }
    }

    #[test]
    fn a_key_without_columns_is_passed_over() {
        let keyless = Schema { key: Vec::new(), value: schema().value };
        let mut reader = TopicReader::new(&kafka(None), &keyless, &[SlotUse::Read], &none()).unwrap();
        let mut row = Row::default();
        reader.read(Some(b"whatever"), Some(&[0, 0, 0, 1]), &mut row).unwrap();
        assert_eq!((row.meta.has_key, &row.values[0]), (false, &Value::Int(1)));
        let mut writer = TopicWriter::new(&kafka(None), &keyless).unwrap();
        let encoded = writer.write(&row).unwrap();
        assert_eq!((encoded.key, encoded.value), (None, Some(&[0, 0, 0, 1][..])));
    }

    #[test]
    fn slots_that_nobody_reads_or_that_are_no_part_of_the_record() {
        let mut wide = schema();
        wide.value.push(Column::new("H", SqlType::Bytes));
        let mut reader = TopicReader::new(&kafka(None), &wide, &[SlotUse::Unread, SlotUse::Read, SlotUse::Absent], &none()).unwrap();
        let mut row = Row::default();
        reader.read(Some(b"k"), Some(&[0, 0, 0, 1]), &mut row).unwrap();
        assert_eq!(row.values, vec![Value::Null, Value::Int(1), Value::Null]);
        assert!(row.meta.has_key);
        assert!(TopicReader::new(&kafka(None), &wide, &[SlotUse::Read], &none()).is_err());
    }

    #[test]
    fn errors_name_part_and_topic() {
        let mut reader = TopicReader::new(&kafka(None), &schema(), &[SlotUse::Read; 2], &none()).unwrap();
        let error = reader.read(Some(b"k"), Some(b"no"), &mut Row::default()).unwrap_err();
        assert!(error.to_string().starts_with("Failed to deserialize value from topic: t. Size of data"), "{error}");
        let mut format = kafka(None);
        format.value.name = "FOO".into();
        assert_eq!(TopicWriter::new(&format, &schema()).err().unwrap(), "Unknown format: FOO");
    }
}
