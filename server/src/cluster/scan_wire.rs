//! What goes between servers where one scans a table that another has parts of: a question as JSON, a page of its answer as batches in
//! Arrow's IPC format, with what is still to be read in front of them.
//!
//! A page says how long it is and how many rows it has: what was cut off on its way is not taken for a page.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::live::Place;
use tidemill_query::{MAX_PAGE_ROWS, Rest, ScanPage, ScanQuestion};

/// Begins a page of this form.
const MAGIC: &[u8; 4] = b"TMS1";
/// Bytes of ranges of keys in a question; with more, one range that has them all in it is asked for, and their rows are picked out of
/// what comes.
const MAX_RANGES_BYTES: usize = 256 << 10;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestJson {
    partition: i32,
    /// Where it goes on: a store, and a key in base64.
    from: Option<(usize, String)>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuestionJson {
    scan: Arc<str>,
    table: Arc<str>,
    query_id: Arc<str>,
    columns: Arc<[(String, String)]>,
    partition_count: usize,
    left: Vec<RestJson>,
    /// In base64.
    ranges: Vec<(String, Option<String>)>,
    /// From and to of starts, and of ends.
    windows: (i64, i64, i64, i64),
    limit: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadJson {
    left: Vec<RestJson>,
    rows: usize,
    /// Bytes of batches behind it.
    bytes: usize,
}

fn rests(left: &[Rest]) -> Vec<RestJson> {
    let place = |place: &Place| (place.store, STANDARD.encode(&place.key));
    left.iter().map(|rest| RestJson { partition: rest.partition, from: rest.from.as_ref().map(place) }).collect()
}

fn read_rests(left: Vec<RestJson>) -> Result<Vec<Rest>, base64::DecodeError> {
    let place = |(store, key): (usize, String)| STANDARD.decode(key).map(|key| Place { store, key });
    let rest = |rest: RestJson| Ok(Rest { partition: rest.partition, from: rest.from.map(place).transpose()? });
    left.into_iter().map(rest).collect()
}

pub fn write_question(question: &ScanQuestion) -> Result<Vec<u8>, String> {
    let size: usize = question.ranges.iter().map(|(from, to)| from.len() + to.as_ref().map_or(0, Vec::len)).sum();
    let encode = |(from, to): (&Vec<u8>, &Option<Vec<u8>>)| (STANDARD.encode(from), to.as_ref().map(|to| STANDARD.encode(to)));
    let ranges = match question.ranges.as_ref() {
        [(from, _), .., (_, to)] if size > MAX_RANGES_BYTES => vec![encode((from, to))],
        ranges => ranges.iter().map(|(from, to)| encode((from, to))).collect(),
    };
    let WindowBounds { start_from, start_to, end_from, end_to } = question.windows;
    let json = QuestionJson {
        scan: question.scan.clone(),
        table: question.table.clone(),
        query_id: question.query_id.clone(),
        columns: question.columns.clone(),
        partition_count: question.partition_count,
        left: rests(&question.left),
        ranges,
        windows: (start_from, start_to, end_from, end_to),
        limit: question.limit,
    };
    serde_json::to_vec(&json).map_err(|error| error.to_string())
}

/// # Errors
/// It is no question.
pub fn read_question(body: &[u8]) -> Result<ScanQuestion, String> {
    let json: QuestionJson = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let decode = |text: String| STANDARD.decode(text).map_err(|error| format!("ranges: {error}"));
    let range = |(from, to): (String, Option<String>)| Ok::<_, String>((decode(from)?, to.map(decode).transpose()?));
    let (start_from, start_to, end_from, end_to) = json.windows;
    Ok(ScanQuestion {
        scan: json.scan,
        table: json.table,
        query_id: json.query_id,
        columns: json.columns,
        partition_count: json.partition_count,
        left: read_rests(json.left).map_err(|error| format!("left: {error}"))?,
        ranges: json.ranges.into_iter().map(range).collect::<Result<_, _>>()?,
        windows: WindowBounds { start_from, start_to, end_from, end_to },
        limit: json.limit,
    })
}

/// # Errors
/// It can't be written.
pub fn write_page(page: &ScanPage) -> Result<Vec<u8>, ArrowError> {
    let mut batches = Vec::new();
    if let Some(first) = page.batches.first() {
        let mut writer = StreamWriter::try_new(&mut batches, first.schema_ref())?;
        for batch in &page.batches {
            writer.write(batch)?;
        }
        writer.finish()?;
    }
    let rows = page.batches.iter().map(RecordBatch::num_rows).sum();
    let head = HeadJson { left: rests(&page.left), rows, bytes: batches.len() };
    let head = serde_json::to_vec(&head).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    let size = u32::try_from(head.len()).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
    Ok([&MAGIC[..], &size.to_be_bytes(), &head, &batches].concat())
}

/// A page of batches of a schema; `None`: it is none, not whole, or larger than a page may be.
pub fn read_page(body: Bytes, schema: &SchemaRef) -> Option<ScanPage> {
    let wire_bytes = body.len();
    let rest = body.strip_prefix(MAGIC)?;
    let (size, rest) = rest.split_first_chunk()?;
    let (head, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*size)).ok()?)?;
    let head: HeadJson = serde_json::from_slice(head).ok()?;
    if rest.len() != head.bytes || head.rows > MAX_PAGE_ROWS {
        return None;
    }
    // Arrow's reader believes some of what it is told, and panics where that is wrong.
    let read = || read_batches(Buffer::from(body.slice_ref(rest)), schema);
    let batches = std::panic::catch_unwind(AssertUnwindSafe(read)).ok()??;
    let rows = batches.iter().try_fold(0_usize, |sum, batch| sum.checked_add(batch.num_rows()))?;
    (rows == head.rows).then_some(())?;
    Some(ScanPage { batches, left: read_rests(head.left).ok()?, wire_bytes })
}

fn read_batches(mut rest: Buffer, schema: &SchemaRef) -> Option<Vec<RecordBatch>> {
    let (mut decoder, mut batches) = (StreamDecoder::new(), Vec::new());
    while !rest.is_empty() {
        let Some(batch) = decoder.decode(&mut rest).ok()? else { break };
        batches.push(is_same(batch.schema_ref(), schema).then(|| batch.with_schema(schema.clone()).ok())??);
    }
    decoder.finish().ok()?;
    Some(batches)
}

/// Whether columns have the names and types of others.
fn is_same(one: &Schema, other: &Schema) -> bool {
    let of = |schema: &Schema| schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>();
    of(one) == of(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatchOptions, StringArray};
    use arrow::datatypes::{DataType, Field};

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("K", DataType::Utf8, true), Field::new("N", DataType::Int64, true)]))
    }

    fn batch(rows: i64) -> RecordBatch {
        let keys: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 5 > 0).then(|| format!("k{row}")))));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..rows).map(|row| (row % 7 > 0).then_some(row))));
        RecordBatch::try_new(schema(), vec![keys, numbers]).expect("a batch")
    }

    fn rest(partition: i32, from: Option<(usize, &[u8])>) -> Rest {
        Rest { partition, from: from.map(|(store, key)| Place { store, key: key.to_vec() }) }
    }

    fn pages() -> [ScanPage; 3] {
        [
            ScanPage::default(),
            ScanPage { batches: vec![batch(3), batch(40)], left: Vec::new(), wire_bytes: 0 },
            ScanPage { batches: vec![batch(1)], left: vec![rest(4, Some((1, &[0, 255]))), rest(2, None)], wire_bytes: 0 },
        ]
    }

    fn read(bytes: &[u8], schema: &SchemaRef) -> Option<ScanPage> {
        read_page(Bytes::copy_from_slice(bytes), schema)
    }

    #[test]
    fn a_page_is_whole_or_none() {
        for page in pages() {
            let bytes = write_page(&page).expect("written");
            let found = read(&bytes, &schema()).expect("a page");
            assert_eq!((found.batches, found.left, found.wire_bytes), (page.batches, page.left, bytes.len()));
            for length in 0..bytes.len() {
                assert!(read(&bytes[..length], &schema()).is_none(), "{length} bytes of {}", bytes.len());
            }
            assert!(read(&[bytes.as_slice(), &[0]].concat(), &schema()).is_none(), "something behind it");
        }
    }

    #[test]
    fn what_is_garbled_is_no_page_and_ends_nothing() {
        let [_, _, page] = pages();
        let good = write_page(&page).expect("written");
        let mut refused = 0;
        for place in 0..good.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[place] ^= flip;
                match read(&bytes, &schema()) {
                    // A value or a place that is another one can't be told by its form.
                    Some(found) => assert!(found.batches.iter().all(|batch| batch.schema() == schema())),
                    None => refused += 1,
                }
            }
        }
        assert!(refused > good.len() / 2, "{refused} of {}", 3 * good.len());
    }

    #[test]
    fn other_versions_other_columns_and_too_many_rows_are_no_page() {
        let [_, page, _] = pages();
        let good = write_page(&page).expect("written");
        let mut other = good.clone();
        other[3] = b'2';
        assert!(read(&other, &schema()).is_none(), "of a later version");
        let types = |types: [(&str, DataType); 2]| -> SchemaRef {
            Arc::new(Schema::new(types.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
        };
        for schema in [
            types([("K", DataType::Utf8), ("M", DataType::Int64)]),
            types([("K", DataType::Utf8), ("N", DataType::Int32)]),
            types([("N", DataType::Int64), ("K", DataType::Utf8)]),
            Arc::new(Schema::empty()),
        ] {
            assert!(read(&good, &schema).is_none(), "{schema:?}");
        }
        // No columns, and as many rows as one likes in a few bytes.
        let empty: SchemaRef = Arc::new(Schema::empty());
        let counted = |rows: usize| {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(empty.clone(), Vec::new(), &options).expect("a batch");
            write_page(&ScanPage { batches: vec![batch], ..ScanPage::default() }).expect("written")
        };
        assert_eq!(read(&counted(MAX_PAGE_ROWS), &empty).expect("a page").batches[0].num_rows(), MAX_PAGE_ROWS);
        assert!(read(&counted(MAX_PAGE_ROWS + 1), &empty).is_none());
        assert!(read(&counted(1 << 40), &empty).is_none());
    }

    fn question() -> ScanQuestion {
        ScanQuestion {
            scan: "a-1".into(),
            table: "T".into(),
            query_id: "CTAS_T_1".into(),
            columns: [("K".to_owned(), "STRING".to_owned())].into(),
            partition_count: 5,
            left: vec![rest(4, Some((1, &[0, 255]))), rest(2, None)],
            ranges: [(vec![1, 0], Some(vec![2])), (vec![200], None)].into(),
            windows: WindowBounds { start_from: 5, ..WindowBounds::ALL },
            limit: Some(7),
        }
    }

    #[test]
    fn a_question_arrives_as_it_was_asked() {
        let asked = question();
        assert_eq!(read_question(&write_question(&asked).expect("JSON")).expect("a question"), asked);
        assert!(read_question(b"{}").is_err());
        // Many long keys are asked for as all that lie between them.
        let long = |number: u8| (vec![number; 200 << 10], Some(vec![number + 1]));
        let asked = ScanQuestion { ranges: [long(1), long(3), long(5)].into(), ..asked };
        let read = read_question(&write_question(&asked).expect("JSON")).expect("a question");
        assert_eq!(*read.ranges, [(vec![1; 200 << 10], Some(vec![6]))]);
    }
}
