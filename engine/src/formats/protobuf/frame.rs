//! What stands behind the schema's id in Confluent's framing: which of its messages a payload is, as the way from the file down,
//! an array of zigzag varints, where a single 0 means the first message.

use prost_reflect::MessageDescriptor;

use super::cursor::{Cursor, Read, bad, write_varint};
use super::parse::Parsed;
use crate::formats::schemas::frame::header;
use crate::formats::varint::{unzigzag, zigzag};
use crate::registry::SchemaId;

/// How deep messages may be declared within one another.
const MAX_INDEXES: i64 = 100;

/// How many bytes the indexes at the beginning of `behind`, which stands behind the id, take.
pub(super) fn indexes_bytes(behind: &[u8]) -> Read<usize> {
    let mut cursor = Cursor::new(behind);
    let count = unzigzag(cursor.varint()?);
    if !(0..=MAX_INDEXES).contains(&count) {
        return Err(bad(format!("Invalid message indexes: {count} of them")));
    }
    for _ in 0..count {
        cursor.varint()?;
    }
    Ok(behind.len() - cursor.rest().len())
}

/// The message that indexes mean.
pub(super) fn message(parsed: &Parsed, indexes: &[u8]) -> Result<MessageDescriptor, String> {
    let indexes = read_indexes(indexes).map_err(|error| error.to_string())?;
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

fn read_indexes(indexes: &[u8]) -> Read<Vec<i64>> {
    let mut cursor = Cursor::new(indexes);
    let count = unzigzag(cursor.varint()?);
    if count == 0 {
        return Ok(vec![0]);
    }
    (0..count.clamp(0, MAX_INDEXES)).map(|_| cursor.varint().map(unzigzag)).collect()
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
    let mut prefix = header(id).to_vec();
    if *way == [0] {
        prefix.push(0);
    } else {
        let mut number = |number: usize| write_varint(zigzag(number as i64), &mut prefix);
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
            assert_eq!(indexes_bytes(&payload[5..]), Ok(bytes.len()));
            assert_eq!(message(&parsed, bytes).unwrap().full_name(), name);
        }
        // The first message may be written out, too.
        assert_eq!(indexes_bytes(&[2, 0]), Ok(2));
        assert_eq!(message(&parsed, &[2, 0]).unwrap().full_name(), "A");
    }

    #[test]
    fn indexes_that_are_none() {
        let fails = |behind: &[u8]| indexes_bytes(behind).err().unwrap().to_string();
        assert!(fails(&[]).contains("ends"));
        assert!(fails(&[1]).contains("Invalid message indexes"), "a negative count");
        assert!(fails(&[0xff, 0xff, 0xff, 0x0f]).contains("Invalid message indexes"));
        assert!(fails(&[4, 0]).contains("ends"));
        let parsed = parse(&Schema::new(SchemaKind::Protobuf, "syntax = \"proto3\"; message A { }")).unwrap();
        for indexes in [&[2, 2][..], &[2, 1], &[4, 0, 0]] {
            assert_eq!(indexes_bytes(indexes), Ok(indexes.len()));
            assert!(message(&parsed, indexes).unwrap_err().starts_with("Invalid message indexes"));
        }
    }
}
