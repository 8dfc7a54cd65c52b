//! The frames that an HTTP/2 client sends, on their way to what reads them.
//!
//! Two things happen to them here. A path with a back-quote in it, as some clients put names into paths, is spelled with
//! [`RAW_QUOTE`](super::RAW_QUOTE) instead, for the parser of addresses takes no back-quotes. And a connection that became HTTP/2 by an
//! upgrade is given the request that asked for it, as if the client had sent it as its first.

use super::hpack;

/// What an HTTP/2 client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a frame's payload.
const HEAD_BYTES: usize = 9;
/// Bytes of a payload at most; nobody was told that they may send more.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 10;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// Bytes that a priority takes.
const PRIORITY_BYTES: usize = 5;

/// Appends a frame.
pub fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(length.get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Where in the frames the client is.
#[derive(Debug, Default)]
pub struct Frames {
    /// Bytes that go on as they are.
    passing: usize,
    /// A frame's head, or a frame of headers, that has not come as a whole.
    held: Vec<u8>,
    /// Whether the preface is yet to come.
    in_preface: bool,
    /// What goes behind the client's first frame, its settings.
    injected: Option<Vec<u8>>,
}

impl Frames {
    /// Behind a preface that has come.
    pub fn behind_preface() -> Self {
        Frames::default()
    }

    /// Before the preface; frames to add to the client's.
    pub fn upgraded(injected: Vec<u8>) -> Self {
        Frames { passing: PREFACE.len(), in_preface: true, injected: Some(injected), held: Vec::new() }
    }

    /// Whether bytes that have come go on as they are, for they lie within a payload. They have been told, then.
    pub fn has_passed(&mut self, bytes: &[u8]) -> bool {
        // Frames that are to be added may have their place behind these bytes.
        let are_within = self.injected.is_none() && bytes.len() <= self.passing;
        if are_within {
            self.passing -= bytes.len();
        }
        are_within
    }

    /// Takes bytes that have come; those that go on are appended to `out`.
    pub fn pass(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let (these, rest) = bytes.split_at(self.passing.min(bytes.len()));
                out.extend_from_slice(these);
                self.passing -= these.len();
                bytes = rest;
            } else {
                let wanted = HEAD_BYTES + self.headers_length().unwrap_or_default();
                let (these, rest) = bytes.split_at((wanted - self.held.len()).min(bytes.len()));
                self.held.extend_from_slice(these);
                bytes = rest;
                self.release(out);
            }
            if self.passing == 0 && self.held.is_empty() && !std::mem::take(&mut self.in_preface) {
                // A frame has come to its end.
                out.append(&mut self.injected.take().unwrap_or_default());
            }
        }
    }

    /// The length of the payload of a frame of headers that is gathered.
    fn headers_length(&self) -> Option<usize> {
        let &[a, b, c, HEADERS, flags, ..] = self.held.get(..HEAD_BYTES)? else { return None };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        (flags & END_HEADERS != 0 && length <= MAX_PAYLOAD_BYTES).then_some(length)
    }

    /// Hands on what is held, where enough has come to know how.
    fn release(&mut self, out: &mut Vec<u8>) {
        if self.held.len() < HEAD_BYTES {
            return;
        }
        match self.headers_length() {
            Some(length) if self.held.len() < HEAD_BYTES + length => return,
            Some(_) => match respelled(&self.held) {
                Some(frame) => out.extend_from_slice(&frame),
                None => out.extend_from_slice(&self.held),
            },
            None => {
                out.extend_from_slice(&self.held);
                if let Some(&[a, b, c]) = self.held.first_chunk() {
                    self.passing = u32::from_be_bytes([0, a, b, c]) as usize;
                }
            }
        }
        // Most connections hold nothing most of the time.
        self.held = Vec::new();
    }
}

/// A frame of headers whose path was spelled with back-quotes, without. `None`: there is nothing to change, or it is no such frame.
fn respelled(frame: &[u8]) -> Option<Vec<u8>> {
    let (head, mut block) = frame.split_at_checked(HEAD_BYTES)?;
    let &[_, _, _, kind, flags, a, b, c, d] = head else { return None };
    if flags & PADDED != 0 {
        let (padding, rest) = block.split_first()?;
        block = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
    }
    let (priority, block) = block.split_at_checked(if flags & PRIORITY == 0 { 0 } else { PRIORITY_BYTES })?;
    let payload = [priority, &hpack::without_back_quotes(block)?].concat();
    if payload.len() > MAX_PAYLOAD_BYTES {
        return None;
    }
    let mut out = Vec::with_capacity(HEAD_BYTES + payload.len());
    write(kind, flags & !PADDED, u32::from_be_bytes([a, b, c, d]), &payload, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 4;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write(kind, flags, 1, payload, &mut out);
        out
    }

    /// What goes on of bytes that come in pieces of so many.
    fn passed(mut frames: Frames, bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in bytes.chunks(piece) {
            if frames.has_passed(piece) {
                out.extend_from_slice(piece);
            } else {
                frames.pass(piece, &mut out);
            }
        }
        out
    }

    #[test]
    fn paths_are_respelled_and_all_else_goes_on_as_it_is() {
        // :path by the static table's name, spelled out.
        let block = |path: &str| [&[0x82, 0x04, path.len() as u8][..], path.as_bytes(), &[0x86]].concat();
        let padded = |path: &str| [&[3][..], &[0; 5], &block(path), &[0; 3]].concat();
        let client = [
            frame(SETTINGS, 0, &[]),
            frame(HEADERS, END_HEADERS, &block("/a/`B`/c")),
            frame(DATA, 0, "`".repeat(40).as_bytes()),
            frame(HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITY, &padded("/`")),
            frame(HEADERS, END_HEADERS, &block("/plain")),
            frame(HEADERS, 0, b"goes on elsewhere `"),
            frame(HEADERS, END_HEADERS | PADDED, &[200, 1]),
            frame(HEADERS, END_HEADERS, &[]),
        ];
        let mut expected = client.clone();
        expected[1] = frame(HEADERS, END_HEADERS, &block("/a/\"B\"/c"));
        expected[3] = frame(HEADERS, END_HEADERS | END_STREAM | PRIORITY, &[&[0; 5][..], &block("/\"")].concat());
        for piece in [1, 2, 7, 9, 10, 64, 10_000] {
            let out = passed(Frames::behind_preface(), &client.concat(), piece);
            assert_eq!(out, expected.concat(), "pieces of {piece}");
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut frames = Frames::behind_preface();
        let mut out = Vec::new();
        frames.pass(&[0xff, 0xff, 0xff, HEADERS, END_HEADERS, 0, 0, 0, 1, 0], &mut out);
        assert_eq!((out.len(), frames.held.capacity()), (10, 0));
    }

    #[test]
    fn a_request_goes_behind_the_settings() {
        for settings in [&[][..], &[0, 3, 0, 0, 0, 100]] {
            let (settings, ping) = (frame(SETTINGS, 0, settings), frame(6, 0, &[0; 8]));
            let client = [PREFACE, &settings, &ping].concat();
            for piece in [1, 5, 24, 33, 34, 1_000] {
                let out = passed(Frames::upgraded(b"injected".to_vec()), &client, piece);
                assert_eq!(out, [PREFACE, &settings, b"injected", &ping].concat(), "pieces of {piece}");
            }
        }
    }
}
