//! Notes: what the engine remembers in the data folder besides state, by keys of its own (topics' ids, the command log's copy).
//! Few and small; each write is in one piece and survives the process.

use super::{StateDb, StateError, records};
use crate::types::codec::prefix_end;

/// Notes to write, by key; `None` deletes.
pub(crate) type NoteChanges = Vec<(Vec<u8>, Option<Vec<u8>>)>;

impl StateDb {
    /// A note.
    ///
    /// # Errors
    /// The database can't be read.
    pub(crate) fn note(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let mut found = None;
        self.0.backing.get(&records::note_key(key), &mut |value| found = value.map(<[u8]>::to_vec))?;
        Ok(found)
    }

    /// Shows the notes whose keys begin so, in the order of their keys, with what follows in the key.
    ///
    /// # Errors
    /// The database can't be read.
    pub(crate) fn notes(&self, prefix: &[u8], f: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        let from = records::note_key(prefix);
        let to = prefix_end(&from).unwrap_or_default();
        self.0.backing.scan(&from, &to, &mut |key, value| {
            f(key.get(from.len()..).unwrap_or_default(), value);
            true
        })
    }

    /// Writes notes: all of them or none.
    ///
    /// # Errors
    /// The database can't be written.
    pub(crate) fn put_notes(&self, changes: NoteChanges) -> Result<(), StateError> {
        let changes: NoteChanges = changes.into_iter().map(|(key, value)| (records::note_key(&key), value)).collect();
        self.0.backing.put_all(&changes)
    }

    /// Deletes the notes whose keys begin so.
    ///
    /// # Errors
    /// The database can't be written.
    pub(crate) fn drop_notes(&self, prefix: &[u8]) -> Result<(), StateError> {
        let from = records::note_key(prefix);
        let to = prefix_end(&from).unwrap_or_default();
        self.0.backing.delete_range(&from, &to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_kept_by_key() {
        let state = StateDb::in_memory();
        let put = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|value| value.as_bytes().to_vec()));
        state.put_notes(vec![put("a1", Some("x")), put("a2", Some("y")), put("b", Some("z"))]).unwrap();
        state.put_notes(vec![put("a1", None)]).unwrap();
        let seen = || {
            let mut seen = Vec::new();
            state.notes(b"a", &mut |key, value| seen.push((key.to_vec(), value.to_vec()))).unwrap();
            seen
        };
        assert_eq!(seen(), [(b"2".to_vec(), b"y".to_vec())]);
        assert_eq!((state.note(b"a1").unwrap(), state.note(b"b").unwrap()), (None, Some(b"z".to_vec())));
        state.drop_notes(b"a").unwrap();
        assert!(seen().is_empty() && state.note(b"b").unwrap().is_some());
    }
}
