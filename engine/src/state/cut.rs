//! Where a range of a store is cut into pieces of about one size, so that several threads read it at once.

use super::frozen::{PREFIX_BYTES, StoreCore};
use super::scan::full_bounds;
use super::{StateError, StoreReader};

/// Bytes of files that are worth a piece of their own: some ten milliseconds of reading.
const PIECE_BYTES: u64 = 2 << 20;
/// Halvings by which a cut is looked for.
const HALVINGS: u32 = 24;

impl StoreReader {
    /// Keys in ascending order that cut `from <= key < to` (`None`: to the end) into `pieces` of about as many bytes, or fewer where
    /// there is little: only what lies in files is counted.
    ///
    /// # Errors
    /// The storage can't be read.
    pub fn cut(&self, from: &[u8], to: Option<&[u8]>, pieces: usize) -> Result<Vec<Vec<u8>>, StateError> {
        self.core().cut(from, to, pieces, PIECE_BYTES)
    }
}

impl StoreCore {
    fn cut(&self, from: &[u8], to: Option<&[u8]>, pieces: usize, piece_bytes: u64) -> Result<Vec<Vec<u8>>, StateError> {
        let (lower, upper) = full_bounds(self.prefix, from, to);
        let all = self.db.file_bytes(&lower, &upper);
        let pieces = u64::try_from(pieces).unwrap_or(u64::MAX).min(all / piece_bytes.max(1));
        if pieces < 2 {
            return Ok(Vec::new());
        }
        let (mut first, mut last) = (Vec::new(), Vec::new());
        self.db.backing.scan(&lower, &upper, &mut |key, _| {
            // The entry with an empty key is the store's stream time.
            first = key.get(PREFIX_BYTES..).unwrap_or_default().to_vec();
            first.is_empty()
        })?;
        self.db.backing.scan_back(&lower, &upper, &mut |key, _| {
            last = key.get(PREFIX_BYTES..).unwrap_or_default().to_vec();
            false
        })?;
        // Keys are numbers behind what all of them begin with.
        let common = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
        let head = first.get(..common).unwrap_or_default();
        let number = |key: &[u8]| {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(key.get(common..).unwrap_or_default()).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(bytes)
        };
        let (mut low, highest) = (number(&first), number(&last));
        let mut cuts: Vec<Vec<u8>> = Vec::new();
        for piece in 1..pieces {
            let wanted = u64::try_from(u128::from(all) * u128::from(piece) / u128::from(pieces)).unwrap_or(u64::MAX);
            let mut high = highest;
            for _ in 0..HALVINGS {
                let middle = low + (high - low) / 2;
                let full = [&self.prefix, head, &middle.to_be_bytes()].concat();
                if self.db.file_bytes(&lower, &full) < wanted { low = middle } else { high = middle }
            }
            let cut = [head, &high.to_be_bytes()].concat();
            let is_within = first < cut && cut <= last && cuts.last().is_none_or(|before| *before < cut);
            if is_within {
                cuts.push(cut);
            }
        }
        Ok(cuts)
    }
}

#[cfg(test)]
mod tests {
    use crate::state::{StateBatch, StateDb, StateLimits, StoreKey, StoreKind, StoreSpec};
    use crate::types::Value;
    use crate::types::codec::encode_key;

    const KEYS: i64 = 40_000;

    fn filled(state: &StateDb) -> crate::state::Store {
        let key = StoreKey { query: "q".into(), store: "s".into(), partition: 0 };
        let mut store =
            state.open_store(&key, &StoreSpec { name: "s".into(), kind: StoreKind::KeyValue, changelog: false }).expect("opens");
        store.begin_chunk();
        for number in 0..KEYS {
            let mut key = Vec::new();
            encode_key(&[Value::BigInt(number * 7)], &mut key);
            // What can't be made smaller.
            let value = (0..4).map(|part| foldhash_of(number * 4 + part)).collect::<Vec<_>>().concat();
            store.put(&key, Some(&value));
        }
        store.end_chunk();
        let mut batch = StateBatch::default();
        store.freeze().expect("changes").append_to(&mut batch);
        batch.write().expect("writes");
        store
    }

    fn foldhash_of(number: i64) -> [u8; 8] {
        use std::hash::BuildHasher;
        foldhash::fast::FixedState::default().hash_one(number).to_be_bytes()
    }

    #[test]
    fn pieces_are_of_about_one_size_and_hold_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDb::open(folder.path(), StateLimits::default()).expect("opens");
        let store = filled(&state);
        let reader = store.reader();
        assert!(reader.core().cut(&[], None, 3, 1 << 10).expect("reads").is_empty(), "nothing lies in files yet");
        state.rocks().expect("on disk").compact(super::super::rocks::Family::State).expect("compacts");
        assert!(reader.core().cut(&[], None, 3, u64::MAX).expect("reads").is_empty(), "it is little");
        assert!(reader.core().cut(&[], None, 1, 1 << 10).expect("reads").is_empty());
        let cuts = reader.core().cut(&[], None, 3, 1 << 10).expect("reads");
        assert_eq!(cuts.len(), 2);
        let mut bounds: Vec<Option<&[u8]>> = cuts.iter().map(|cut| Some(cut.as_slice())).collect();
        bounds.push(None);
        let (mut from, mut found): (&[u8], Vec<usize>) = (&[], Vec::new());
        for to in bounds {
            let mut count = 0;
            reader
                .range(from, to, &mut |_, _| {
                    count += 1;
                    true
                })
                .expect("reads");
            found.push(count);
            from = to.unwrap_or_default();
        }
        assert_eq!(found.iter().sum::<usize>(), usize::try_from(KEYS).expect("few"), "{found:?}");
        assert!(found.iter().all(|count| (8_000..20_000).contains(count)), "{found:?}");
        // Within a range.
        let cuts = reader.core().cut(&cuts[0], Some(&cuts[1]), 2, 1 << 10).expect("reads");
        assert_eq!(cuts.len(), 1);
    }

    #[test]
    fn without_files_nothing_is_cut() {
        let state = StateDb::in_memory();
        let store = filled(&state);
        assert!(store.reader().cut(&[], None, 4).expect("reads").is_empty());
    }
}
