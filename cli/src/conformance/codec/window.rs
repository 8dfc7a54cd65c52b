//! Windows behind the keys of records.

use tidemill_engine::plan::WindowedKey;
use tidemill_engine::row::Window;

use crate::conformance::case::WindowSpec;

/// A key's bytes with its window behind.
pub fn with_window(mut key: Vec<u8>, window: &WindowSpec) -> Vec<u8> {
    if window.is_session {
        key.extend(window.end.to_be_bytes());
    }
    key.extend(window.start.to_be_bytes());
    key
}

/// Parts a windowed key.
pub fn without_window(key: &[u8], kind: WindowedKey) -> Option<(&[u8], Window)> {
    let long = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).ok().map(i64::from_be_bytes);
    match kind {
        WindowedKey::Time { size_ms: size } => {
            let (key, start) = key.split_at_checked(key.len().checked_sub(8)?)?;
            let start = long(start)?;
            Some((key, Window { start, end: start.saturating_add(size) }))
        }
        WindowedKey::Session => {
            let (key, bounds) = key.split_at_checked(key.len().checked_sub(16)?)?;
            Some((key, Window { end: long(&bounds[..8])?, start: long(&bounds[8..])? }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stand_behind_keys() {
        let time = WindowSpec { start: 5, end: 15, is_session: false };
        let key = with_window(b"k".to_vec(), &time);
        assert_eq!(without_window(&key, WindowedKey::Time { size_ms: 10 }), Some((&b"k"[..], Window { start: 5, end: 15 })));
        let session = WindowSpec { start: 5, end: 9, is_session: true };
        let key = with_window(b"k".to_vec(), &session);
        assert_eq!(without_window(&key, WindowedKey::Session), Some((&b"k"[..], Window { start: 5, end: 9 })));
        assert_eq!(without_window(b"short", WindowedKey::Session), None);
    }
}
