//! Gzip (RFC 1952), a piece at a time. Each piece is compressed by itself and ends at a byte, so that a client can read it as soon as it
//! is there, and nothing but the checksum has to be kept until the next one.

use std::cell::RefCell;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Neither name nor time, of no system in particular.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The last block of a member, without anything in it.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];
/// The most bytes of a block that is not compressed.
const MAX_STORED_BYTES: usize = 0xffff;
/// Of 1 to 9: little work, for most of what there is to gain.
const LEVEL: u32 = 3;

thread_local! {
    /// Some 300 kB, for each thread that sends answers, and none for an answer.
    static ENCODER: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
}

/// An answer in the making.
#[derive(Default)]
pub struct Member {
    crc: Crc,
    is_begun: bool,
}

impl Member {
    /// Appends what stands for `text`.
    pub fn piece(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            out.extend_from_slice(&HEADER);
        }
        if text.is_empty() {
            return;
        }
        self.crc.update(text);
        let before = out.len();
        if ENCODER.with_borrow_mut(|encoder| deflated(encoder, text, out)).is_none() {
            tracing::error!("a piece of an answer could not be compressed");
            out.truncate(before);
            stored(text, out);
        }
    }

    /// Appends the end.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&LAST_BLOCK);
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
    }
}

/// Blocks without a last one. `None`: it did not work out.
fn deflated(encoder: &mut Compress, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    encoder.reset();
    loop {
        let read = usize::try_from(encoder.total_in()).ok()?;
        out.reserve((text.len() - read.min(text.len())) / 4 + 256);
        encoder.compress_vec(text.get(read..)?, out, FlushCompress::Sync).ok()?;
        // Room that is left over says that everything is out.
        if usize::try_from(encoder.total_in()).ok()? == text.len() && out.len() < out.capacity() {
            return Some(());
        }
    }
}

/// The same without compression.
fn stored(text: &[u8], out: &mut Vec<u8>) {
    for part in text.chunks(MAX_STORED_BYTES) {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(part);
    }
}

/// What of a member can be read, and whether its end was there and right.
#[cfg(test)]
pub fn opened(bytes: &[u8]) -> (Vec<u8>, bool) {
    use std::io::Read;
    let (mut reader, mut text) = (flate2::read::GzDecoder::new(bytes), Vec::new());
    let ended = reader.read_to_end(&mut text).is_ok();
    (text, ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that can't be compressed, and those that can.
    fn texts() -> Vec<Vec<u8>> {
        let mut state = 7_u64;
        let mut noise = |length: usize| -> Vec<u8> {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            };
            (0..length).map(|_| next()).collect()
        };
        let mut texts: Vec<Vec<u8>> = [0, 1, 255, 256, 257, 1_000, 65_535, 65_536, 300_000].map(&mut noise).into();
        texts.extend([1, 1_000, 65_536, 300_000].map(|length| vec![b'a'; length]));
        texts
    }

    #[test]
    fn what_was_packed_is_read_by_everybody_else() {
        let (mut member, mut all, mut whole) = (Member::default(), Vec::new(), Vec::new());
        for text in texts() {
            let mut one = (Member::default(), Vec::new());
            one.0.piece(&text, &mut one.1);
            one.0.end(&mut one.1);
            assert!(opened(&one.1) == (text.clone(), true), "{} bytes", text.len());
            member.piece(&text, &mut all);
            whole.extend(text);
            assert!(opened(&all).0 == whole, "{} bytes are readable before the end", whole.len());
        }
        member.end(&mut all);
        assert!(opened(&all) == (whole, true), "all of them");
    }

    #[test]
    fn blocks_without_compression_are_right_as_well() {
        for text in texts() {
            let (mut member, mut out) = (Member::default(), Vec::new());
            member.piece(&[], &mut out);
            member.crc.update(&text);
            stored(&text, &mut out);
            member.end(&mut out);
            assert!(opened(&out) == (text.clone(), true), "{} bytes", text.len());
        }
    }
}
