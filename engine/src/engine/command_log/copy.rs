//! The copy of the command log that the data folder keeps: what the topic said, and of which topic that was. It is what a
//! topic that has gone is written anew from, and what a start needs not read from the topic.

use serde::{Deserialize, Serialize};

use crate::log::TopicIdentity;
use crate::state::{NoteChanges, StateDb, StateError};

/// Begins the keys of the copied commands; their number follows, big-endian.
const COMMAND: u8 = b'C';
/// The key of the header.
const HEADER: &[u8] = b"H";

/// What the copy is a copy of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub topic: TopicIdentity,
    /// Behind the last record that is copied.
    pub next: i64,
    /// How many commands there were, those included that were lost before the copy began.
    pub count: usize,
}

/// See the module.
pub(super) struct CommandCopy {
    state: StateDb,
    header: Option<Header>,
    /// How many commands are here.
    length: u64,
}

impl CommandCopy {
    /// What the data folder has.
    ///
    /// # Errors
    /// It can't be read.
    pub fn open(state: StateDb) -> Result<Self, StateError> {
        let header = state.note(HEADER)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut length = 0;
        state.notes(&[COMMAND], &mut |_, _| length += 1)?;
        Ok(CommandCopy { state, header, length })
    }

    pub fn header(&self) -> Option<Header> {
        self.header
    }

    /// The commands, first to last.
    ///
    /// # Errors
    /// They can't be read.
    pub fn commands(&self) -> Result<Vec<Vec<u8>>, StateError> {
        let mut commands = Vec::new();
        self.state.notes(&[COMMAND], &mut |_, command| commands.push(command.to_vec()))?;
        Ok(commands)
    }

    /// Adds commands, behind which the copy is one of so much.
    ///
    /// # Errors
    /// Nothing is added.
    pub fn add(&mut self, commands: &[Vec<u8>], header: Header) -> Result<(), StateError> {
        let numbers = self.length..;
        let mut changes: NoteChanges = numbers.zip(commands).map(|(number, command)| (key(number), Some(command.clone()))).collect();
        changes.push((HEADER.to_vec(), serde_json::to_vec(&header).ok()));
        self.state.put_notes(changes)?;
        self.length += u64::try_from(commands.len()).unwrap_or_default();
        self.header = Some(header);
        Ok(())
    }

    /// Puts others in the place of commands, by their index.
    ///
    /// # Errors
    /// Nothing is replaced.
    pub fn replace(&self, commands: Vec<(usize, Vec<u8>)>) -> Result<(), StateError> {
        let change = |(index, command): (usize, Vec<u8>)| Some((key(u64::try_from(index).ok()?), Some(command)));
        self.state.put_notes(commands.into_iter().filter_map(change).collect())
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// It can't be written.
    pub fn clear(&mut self) -> Result<(), StateError> {
        self.state.drop_notes(&[COMMAND])?;
        self.state.drop_notes(HEADER)?;
        (self.header, self.length) = (None, 0);
        Ok(())
    }
}

fn key(number: u64) -> Vec<u8> {
    [&[COMMAND], &number.to_be_bytes()[..]].concat()
}
