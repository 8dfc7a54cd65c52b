//! Dead letters: the records that a query could not decode or process, with their bytes, in a topic of their own.
//!
//! A task writes a letter with its worker's writer, among what else it writes, at the moment when the record is left out: with
//! exactly once it is part of the transaction, else it is sent with the commit, and a flood of letters waits for the log as any
//! output does. A letter is the record at hand: its key, its value and its headers as they were, and behind these headers of our
//! own ([`Letter`]) that say where it came from, which query left it out, and why. What came of a record by a look into state
//! later on (a window that closes, a cache that is flushed at a commit) has no record at hand, and is counted only.
//!
//! One record is one letter of a task, whatever fails in it. Everything is counted by its kind ([`LetterKind`]), whether or not
//! there are letters of it.

mod kind;
mod letter;
mod pouch;
mod replay;
mod stream;

pub use kind::{Kinds, LetterKind};
pub use letter::{Letter, MAX_REASON_BYTES, Place};
pub(crate) use pouch::{Lane, Pouch};
pub(crate) use replay::{At, Met, REMEMBERED, Sent, copy_headers, labelled, replay_to};
pub use stream::{LETTER_STREAM, header_type, stream_columns, typed};

/// Where a query's letters go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterBox {
    pub topic: String,
    pub kinds: Kinds,
}

/// Partitions of the topic where it is made here.
pub(crate) const TOPIC_PARTITIONS: u32 = 1;
/// Settings of the topic where it is made here. Letters are kept for thirty days, and may be larger than what other topics take,
/// for they are records with something added.
pub(crate) const TOPIC_CONFIG: [(&str, &str); 4] = [
    ("cleanup.policy", "delete"),
    ("retention.ms", "2592000000"),
    ("message.timestamp.type", "CreateTime"),
    ("max.message.bytes", "10485760"),
];
