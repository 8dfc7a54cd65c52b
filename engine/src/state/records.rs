//! Records of the engine's own among the state: store ids and positions, all under store id 0. They share the keyspace
//! of the entries, so that a batch without a write-ahead log still survives as a prefix: a position is never there
//! without the entries written before it.

use super::StateError;
use crate::log::{Offset, TopicPartition};

/// Store id of these records.
const OWN_ID: [u8; 4] = [0; 4];
const STORE_ID: u8 = b'i';
const NEXT_ID: u8 = b'n';
const POSITION: u8 = b'p';
const NOTE: u8 = b't';

/// Key of the next store id to give away.
pub(super) fn next_id_key() -> Vec<u8> {
    [&OWN_ID[..], &[NEXT_ID]].concat()
}

/// Key of a store's id.
pub(super) fn store_id_key(query: &str, store: &str) -> Vec<u8> {
    let mut key = [&OWN_ID[..], &[STORE_ID]].concat();
    push_text(&mut key, query);
    push_text(&mut key, store);
    key
}

/// Bounds of all store ids.
pub(super) fn store_id_bounds() -> (Vec<u8>, Vec<u8>) {
    ([&OWN_ID[..], &[STORE_ID]].concat(), [&OWN_ID[..], &[STORE_ID + 1]].concat())
}

/// Query and store of a key that [`store_id_key`] made.
pub(super) fn parse_store_id_key(key: &[u8]) -> Result<(String, String), StateError> {
    let mut rest = key.get(OWN_ID.len() + 1..).unwrap_or_default();
    let query = take_text(&mut rest)?;
    let store = take_text(&mut rest)?;
    Ok((query, store))
}

/// Key of a position.
pub(super) fn position_key(query: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = position_prefix(query);
    push_text(&mut key, &partition.topic);
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key
}

/// What all positions of a query begin with.
pub(super) fn position_prefix(query: &str) -> Vec<u8> {
    let mut key = [&OWN_ID[..], &[POSITION]].concat();
    push_text(&mut key, query);
    key
}

/// Partition and offset of a record whose key begins with `prefix`.
pub(super) fn parse_position(prefix: &[u8], key: &[u8], value: &[u8]) -> Result<(TopicPartition, Offset), StateError> {
    let mut rest = key.get(prefix.len()..).unwrap_or_default();
    let topic = take_text(&mut rest)?;
    let partition = rest.try_into().map(i32::from_be_bytes).map_err(|_| corrupt())?;
    let offset = value.try_into().map(i64::from_be_bytes).map_err(|_| corrupt())?;
    Ok((TopicPartition { topic: topic.into(), partition }, Offset(offset)))
}

/// Key of a note, and what all notes begin with whose keys begin so.
pub(super) fn note_key(key: &[u8]) -> Vec<u8> {
    [&OWN_ID[..], &[NOTE], key].concat()
}

/// Names are far below the 64 KiB that a length of two bytes allows; the parser and Kafka see to that.
fn push_text(key: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    key.extend_from_slice(&len.to_be_bytes());
    key.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
}

fn take_text(bytes: &mut &[u8]) -> Result<String, StateError> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or_else(corrupt)?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or_else(corrupt)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).map_err(|_| corrupt())
}

pub(super) fn corrupt() -> StateError {
    StateError::Corrupt { store: "positions and store ids".into(), reason: "malformed record".into() }
}
