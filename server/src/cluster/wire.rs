//! What goes between servers: a question as JSON, a page of its answer as bytes, in which values stand as they do in state, so that
//! nothing of them is lost.
//!
//! A page says where it ends: what was cut off on its way is not taken for a page.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tidemill_engine::engine::{Blame, EngineError, NotAnswered, Page, Position, Question, SessionProperties};
use tidemill_engine::types::codec;

/// Begins a page of this form.
const MAGIC: &[u8; 4] = b"TMP1";
/// Begin what is in one.
const ROW: u8 = 1;
const NEXT: u8 = 2;
const LAST: u8 = 3;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuestionJson {
    statement: Arc<str>,
    properties: std::collections::BTreeMap<String, String>,
    query_id: Arc<str>,
    columns: Arc<str>,
    width: usize,
    partition_count: usize,
    partitions: Vec<i32>,
    part: u32,
    /// In base64.
    key: Option<String>,
    limit: Option<u64>,
    #[serde(default)]
    max_lag: Option<u64>,
}

pub fn write_question(question: &Question) -> Result<Vec<u8>, String> {
    let json = QuestionJson {
        statement: question.statement.clone(),
        properties: question.properties.0.clone(),
        query_id: question.query_id.clone(),
        columns: question.columns.clone(),
        width: question.width,
        partition_count: question.partition_count,
        partitions: question.partitions.clone(),
        part: question.from.part,
        key: question.from.key.as_ref().map(|key| STANDARD.encode(key)),
        limit: question.limit,
        max_lag: question.max_lag,
    };
    serde_json::to_vec(&json).map_err(|error| error.to_string())
}

/// # Errors
/// It is no question.
pub fn read_question(body: &[u8]) -> Result<Question, String> {
    let json: QuestionJson = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let key = json.key.map(|key| STANDARD.decode(key)).transpose().map_err(|error| format!("key: {error}"))?;
    Ok(Question {
        statement: json.statement,
        properties: Arc::new(SessionProperties(json.properties)),
        query_id: json.query_id,
        columns: json.columns,
        width: json.width,
        partition_count: json.partition_count,
        partitions: json.partitions,
        from: Position { part: json.part, key },
        limit: json.limit,
        max_lag: json.max_lag,
    })
}

/// # Errors
/// It is larger than can be written.
pub fn write_page(page: &Page) -> Result<Vec<u8>, String> {
    let mut out = MAGIC.to_vec();
    let mut row_bytes = Vec::new();
    for (part, row) in &page.rows {
        out.push(ROW);
        out.extend(part.to_be_bytes());
        row_bytes.clear();
        codec::encode_values(row, &mut row_bytes);
        sized(&row_bytes, &mut out)?;
    }
    match &page.next {
        None => out.push(LAST),
        Some(Position { part, key }) => {
            out.push(NEXT);
            out.extend(part.to_be_bytes());
            out.push(u8::from(key.is_some()));
            sized(key.as_deref().unwrap_or_default(), &mut out)?;
        }
    }
    Ok(out)
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    out.extend(u32::try_from(bytes.len()).map_err(|_| "a row is larger than 4 GiB".to_owned())?.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// A page, of rows with so many columns; `None`: it is none, or not whole.
pub fn read_page(body: &[u8], columns: usize) -> Option<Page> {
    let mut rest = body.strip_prefix(MAGIC)?;
    let mut page = Page::default();
    loop {
        let (kind, behind) = rest.split_first()?;
        rest = behind;
        match *kind {
            ROW => {
                let part = take_u32(&mut rest)?;
                let mut row = Vec::with_capacity(columns);
                codec::decode_values(take_sized(&mut rest)?, &mut row).ok()?;
                if row.len() != columns || page.rows.last().is_some_and(|(last, _)| *last > part) {
                    return None;
                }
                page.rows.push((part, row));
            }
            NEXT => {
                let part = take_u32(&mut rest)?;
                let (has_key, behind) = rest.split_first()?;
                rest = behind;
                let key = take_sized(&mut rest)?.to_vec();
                page.next = Some(Position { part, key: (*has_key == 1).then_some(key) });
                break;
            }
            LAST => break,
            _ => return None,
        }
    }
    rest.is_empty().then_some(page)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_be_bytes(*number))
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_u32(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

/// Why there is no page.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    /// Whether it is worth asking again.
    is_passing: bool,
    /// Of the one who asked.
    is_users: bool,
    message: String,
}

pub fn write_failure(failure: &NotAnswered) -> Vec<u8> {
    let failure = match failure {
        NotAnswered::NotNow(reason) => Failure { is_passing: true, is_users: false, message: reason.clone() },
        NotAnswered::Failed(error) => {
            Failure { is_passing: error.blame == Blame::External, is_users: error.blame == Blame::User, message: error.message.clone() }
        }
    };
    crate::reply::to_json(&failure)
}

/// `None`: these are the words of something else.
pub fn read_failure(body: &[u8]) -> Option<NotAnswered> {
    let Failure { is_passing, is_users, message } = serde_json::from_slice(body).ok()?;
    Some(match (is_passing, is_users) {
        (true, _) => NotAnswered::NotNow(message),
        (false, true) => NotAnswered::Failed(EngineError::user(message)),
        (false, false) => NotAnswered::Failed(EngineError::internal(message)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_engine::types::Value;

    fn pages() -> [Page; 3] {
        let row = |n: i64| {
            vec![Value::String("k".into()), Value::BigInt(n), Value::Null, Value::Double(-0.0), Value::Bytes([0, 1, 255][..].into())]
        };
        [
            Page::default(),
            Page { rows: vec![(0, row(1)), (0, row(2)), (7, row(i64::MIN))], next: None },
            Page { rows: vec![(3, row(1))], next: Some(Position { part: 4, key: Some(vec![0, 255]) }) },
        ]
    }

    #[test]
    fn a_page_is_whole_or_none() {
        for page in pages() {
            let bytes = write_page(&page).expect("small enough");
            assert_eq!(read_page(&bytes, 5), Some(page));
            for length in 0..bytes.len() {
                assert_eq!(read_page(&bytes[..length], 5), None, "{length} bytes of {}", bytes.len());
            }
            assert_eq!(read_page(&[bytes.as_slice(), &[LAST]].concat(), 5), None);
        }
        let [_, page, _] = pages();
        assert_eq!(read_page(&write_page(&page).expect("small enough"), 4), None, "of another table");
    }

    #[test]
    fn a_question_arrives_as_it_was_asked() {
        let question = Question {
            statement: "SELECT * FROM t;".into(),
            properties: Arc::new(SessionProperties([("a".to_owned(), "b".to_owned())].into())),
            query_id: "CTAS_T_1".into(),
            columns: "K STRING, ".into(),
            width: 1,
            partition_count: 3,
            partitions: vec![0, 2],
            from: Position { part: 5, key: Some(vec![1, 0, 200]) },
            limit: Some(7),
            max_lag: Some(u64::MAX),
        };
        let read = read_question(&write_question(&question).expect("JSON")).expect("a question");
        assert_eq!(format!("{read:?}"), format!("{question:?}"));
        assert!(read_question(b"{}").is_err());
    }

    #[test]
    fn a_failure_says_whether_to_ask_again() {
        let through = |failure: &NotAnswered| format!("{:?}", read_failure(&write_failure(failure)).expect("one of ours"));
        for failure in [
            NotAnswered::NotNow("a".to_owned()),
            NotAnswered::Failed(EngineError::user("b")),
            NotAnswered::Failed(EngineError::internal("c")),
        ] {
            assert_eq!(through(&failure), format!("{failure:?}"));
        }
        assert_eq!(through(&NotAnswered::Failed(EngineError::external("d"))), format!("{:?}", NotAnswered::NotNow("d".to_owned())));
        assert!(read_failure(b"<html>").is_none());
    }
}
