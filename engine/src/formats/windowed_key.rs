//! Windows behind keys, as Kafka Streams writes them: after the key's own bytes, 8 bytes of window start for a time
//! window, 8 of end and 8 of start for a session; milliseconds, big-endian.

use super::{DecodeError, EncodeError};
use crate::plan::WindowedKey;
use crate::row::Window;

/// Bytes of one bound.
const BOUND_BYTES: usize = 8;

/// How many bytes of a key its window takes.
pub fn window_bytes(kind: WindowedKey) -> usize {
    match kind {
        WindowedKey::Time { .. } => BOUND_BYTES,
        WindowedKey::Session => 2 * BOUND_BYTES,
    }
}

/// Splits a key into its own bytes and its window. A time window that would end past the last millisecond ends there.
///
/// # Errors
/// The key is too short to carry a window.
pub fn split_window(key: &[u8], kind: WindowedKey) -> Result<(&[u8], Window), DecodeError> {
    let too_short = || DecodeError::new(format!("a windowed key of {} bytes is too short to hold its window", key.len()));
    let (rest, last) = key.split_last_chunk::<BOUND_BYTES>().ok_or_else(too_short)?;
    let start = i64::from_be_bytes(*last);
    match kind {
        WindowedKey::Time { size_ms } => Ok((rest, Window { start, end: start.saturating_add(size_ms) })),
        WindowedKey::Session => {
            let (rest, end) = rest.split_last_chunk::<BOUND_BYTES>().ok_or_else(too_short)?;
            Ok((rest, Window { start, end: i64::from_be_bytes(*end) }))
        }
    }
}

/// Appends a window to a key's own bytes.
///
/// # Errors
/// There is no window.
pub fn append_window(window: Option<Window>, kind: WindowedKey, key: &mut Vec<u8>) -> Result<(), EncodeError> {
    let window = window.ok_or_else(|| EncodeError::new("a row without a window can't be written under a windowed key"))?;
    if matches!(kind, WindowedKey::Session) {
        key.extend_from_slice(&window.end.to_be_bytes());
    }
    key.extend_from_slice(&window.start.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_go_there_and_back() {
        let time = WindowedKey::Time { size_ms: 1000 };
        let window = Window { start: 0x0102, end: 0x0102 + 1000 };
        for (kind, bytes) in [(time, &b"k\0\0\0\0\0\0\x01\x02"[..]), (WindowedKey::Session, b"k\0\0\0\0\0\0\x04\xea\0\0\0\0\0\0\x01\x02")] {
            let mut key = b"k".to_vec();
            append_window(Some(window), kind, &mut key).unwrap();
            assert_eq!(key, bytes);
            assert_eq!(split_window(&key, kind).unwrap(), (&b"k"[..], window));
            assert!(split_window(&key[..7], kind).is_err());
            assert!(append_window(None, kind, &mut key).is_err());
        }
        assert!(split_window(&[0; 15], WindowedKey::Session).is_err());
        let endless = split_window(&i64::MAX.to_be_bytes(), time).unwrap().1;
        assert_eq!(endless.end, i64::MAX);
    }
}
