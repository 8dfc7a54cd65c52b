//! Confluent's framing: a zero byte, the schema's id (four bytes, big-endian), and which of its messages it is: the way from
//! the file down, as an array of zigzag varints, where a single 0 means the first message.

use prost_reflect::MessageDescriptor;

use super::cursor::{Cursor, unzigzag64, write_varint, zigzag64};
use super::parse::Parsed;
use crate::formats::DecodeError;
use crate::registry::SchemaId;

/// How deep messages may be declared within one another.
const MAX_INDEXES: i64 = 100;

/// Id and indexes as they stand.
pub(super) struct Framed<'a> {
    pub id: SchemaId,
    /// From the id to the message.
    pub prefix: &'a [u8],
}

/// Parts a payload.
pub(super) fn split(payload: &[u8]) -> Result<Framed<'_>, DecodeError> {
    let (id, behind) = match payload {
        [0, a, b, c, d, ..] => (SchemaId(i32::from_be_bytes([*a, *b, *c, *d])), payload.get(1..).unwrap_or_default()),
        [0, ..] => return Err(DecodeError::new("the payload is shorter than the id of a schema")),
        [] => return Err(DecodeError::new("the payload is empty")),
        [_, ..] => return Err(DecodeError::new("Unknown magic byte!")),
    };
    let mut cursor = Cursor::new(behind.get(4..).unwrap_or_default());
    let count = unzigzag64(cursor.varint()?);
    if !(0..=MAX_INDEXES).contains(&count) {
        return Err(DecodeError::new(format!("Invalid message indexes: {count} of them")));
    }
    for _ in 0..count {
        cursor.varint()?;
    }
    let prefix = behind.get(..behind.len() - cursor.rest().len()).unwrap_or_default();
    Ok(Framed { id, prefix })
}

/// The message that a prefix means.
pub(super) fn message(parsed: &Parsed, prefix: &[u8]) -> Result<MessageDescriptor, String> {
    let indexes = indexes(prefix).map_err(|error| error.to_string())?;
    let none = || format!("Invalid message indexes: {indexes:?}");
    let mut found: Option<MessageDescriptor> = None;
    for index in &indexes {
        let index = usize::try_from(*index).map_err(|_| none())?;
        let next = match &found {
            None => parsed.file.messages().nth(index),
            Some(around) => nested(around).nth(index),
        };
        found = Some(next.ok_or_else(none)?);
    }
    found.ok_or_else(none)
}

/// The messages that are declared within another; entries of maps are no declarations.
fn nested(message: &MessageDescriptor) -> impl Iterator<Item = MessageDescriptor> + '_ {
    message.child_messages().filter(|child| !child.is_map_entry())
}

fn indexes(prefix: &[u8]) -> Result<Vec<i64>, DecodeError> {
    let mut cursor = Cursor::new(prefix.get(4..).unwrap_or_default());
    let count = unzigzag64(cursor.varint()?);
    if count == 0 {
        return Ok(vec![0]);
    }
    (0..count.clamp(0, MAX_INDEXES)).map(|_| cursor.varint().map(unzigzag64)).collect()
}

/// What stands before a message.
pub(super) fn prefix(id: SchemaId, message: &MessageDescriptor) -> Vec<u8> {
    let mut way = Vec::new();
    let mut inner = message.clone();
    while let Some(around) = inner.parent_message() {
        way.push(nested(&around).position(|child| child == inner).unwrap_or_default());
        inner = around;
    }
    way.push(inner.parent_file().messages().position(|child| child == inner).unwrap_or_default());
    let mut prefix = vec![0];
    prefix.extend_from_slice(&id.0.to_be_bytes());
    if *way == [0] {
        prefix.push(0);
    } else {
        let mut number = |number: usize| write_varint(zigzag64(number as i64), &mut prefix);
        number(way.len());
        way.iter().rev().for_each(|index| number(*index));
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::protobuf::parse::parse;
    use crate::registry::{Schema, SchemaKind};

    #[test]
    fn messages_are_found_by_their_way() {
        let text = "syntax = \"proto3\"; message A { map<string, int32> m = 1; message B { message C { } } message D { } } message E { }";
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, text)).unwrap();
        for (name, bytes) in [("A", &[0][..]), ("E", &[2, 2]), ("A.B", &[4, 0, 0]), ("A.D", &[4, 0, 2]), ("A.B.C", &[6, 0, 0, 0])] {
            let descriptor = parsed.file.parent_pool().get_message_by_name(name).unwrap();
            let mut payload = prefix(SchemaId(7), &descriptor);
            assert_eq!(payload, [&[0, 0, 0, 0, 7], bytes].concat(), "{name}");
            payload.extend_from_slice(b"rest");
            let framed = split(&payload).unwrap();
            assert_eq!((framed.id, &payload[1 + framed.prefix.len()..]), (SchemaId(7), &b"rest"[..]));
            assert_eq!(message(&parsed, framed.prefix).unwrap().full_name(), name);
        }
        // The first message may be written out, too.
        assert_eq!(message(&parsed, split(&[0, 0, 0, 0, 7, 2, 0]).unwrap().prefix).unwrap().full_name(), "A");
    }

    #[test]
    fn frames_that_are_none() {
        let fails = |payload: &[u8]| split(payload).err().unwrap().to_string();
        assert_eq!(fails(b""), "the payload is empty");
        assert_eq!(fails(b"{}"), "Unknown magic byte!");
        assert_eq!(fails(&[0, 0, 0]), "the payload is shorter than the id of a schema");
        assert!(fails(&[0, 0, 0, 0, 1]).contains("ends"));
        assert!(fails(&[0, 0, 0, 0, 1, 1]).contains("Invalid message indexes"), "a negative count");
        assert!(fails(&[0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0x0f]).contains("Invalid message indexes"));
        assert!(fails(&[0, 0, 0, 0, 1, 4, 0]).contains("ends"));
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, "syntax = \"proto3\"; message A { }")).unwrap();
        for bytes in [&[2, 2][..], &[2, 1], &[4, 0, 0]] {
            let payload = [&[0, 0, 0, 0, 1], bytes].concat();
            assert!(message(&parsed, split(&payload).unwrap().prefix).unwrap_err().starts_with("Invalid message indexes"));
        }
    }
}
