//! What a client sends, byte by byte: a tag, a length, a body. Nothing is believed: a length is compared with a limit before
//! anything is kept for it, a body is read within its bounds alone, and what does not fit is an error, never a panic.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a message at most.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Bytes of a message at most of who has not said who it is.
pub const MAX_STRANGER_BYTES: usize = 10_000;

/// What can't be read as the protocol has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// A message whose meaning depends on where it comes.
#[derive(Debug)]
pub struct Frame {
    pub tag: u8,
    pub body: Bytes,
}

impl Frame {
    /// Takes a whole message off what has come; `None`: it is not all there.
    ///
    /// # Errors
    /// It announces a length that no message has.
    pub fn take(input: &mut BytesMut, max_bytes: usize) -> Result<Option<Frame>, Malformed> {
        let Some((&tag, rest)) = input.split_first() else { return Ok(None) };
        let Some(length) = rest.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes)) else { return Ok(None) };
        let body = body_length(length, max_bytes)?;
        if input.len() < 5 + body {
            return Ok(None);
        }
        input.advance(5);
        Ok(Some(Frame { tag, body: input.split_to(body).freeze() }))
    }
}

/// The length of a message's body by the length that is announced, which counts itself.
///
/// # Errors
/// No message has that.
pub fn body_length(announced: u32, max_bytes: usize) -> Result<usize, Malformed> {
    let length = usize::try_from(announced).unwrap_or(usize::MAX);
    match length.checked_sub(4) {
        Some(body) if body <= max_bytes => Ok(body),
        Some(body) => Err(Malformed(format!("a message of {body} bytes is announced; {max_bytes} are allowed"))),
        None => Err(Malformed("a message is announced that is shorter than its length".to_owned())),
    }
}

/// Messages of the extended protocol, and those around it.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    Query(String),
    Parse {
        name: String,
        text: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    /// `max_rows` 0: all.
    Execute {
        portal: String,
        max_rows: u32,
    },
    Close(Target),
    Sync,
    Flush,
    Terminate,
    /// Of a COPY … FROM STDIN, which nobody asked for.
    Copy,
}

/// Parameters of a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub struct Bind {
    pub portal: String,
    pub statement: String,
    /// One for each parameter, or one for all, or none (texts).
    pub formats: Vec<Format>,
    pub values: Vec<Option<Bytes>>,
    /// The same of the columns.
    pub result_formats: Vec<Format>,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

impl Format {
    /// The format of one of several values: none for each means text, one is for all.
    pub fn of(formats: &[Format], index: usize) -> Format {
        match formats {
            [] => Format::Text,
            [all] => *all,
            each => each.get(index).copied().unwrap_or(Format::Text),
        }
    }
}

/// What a name is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Statement(String),
    Portal(String),
}

impl Message {
    /// # Errors
    /// It is no message, or its body is not what its kind has.
    pub fn read(frame: Frame) -> Result<Message, Malformed> {
        let mut body = Body(frame.body);
        let message = match frame.tag {
            b'Q' => Message::Query(body.text()?),
            b'P' => {
                let (name, text) = (body.text()?, body.text()?);
                let types = body.list(4, Body::u32)?;
                Message::Parse { name, text, types }
            }
            b'B' => {
                let (portal, statement) = (body.text()?, body.text()?);
                let formats = body.list(2, Body::format)?;
                let values = body.list(4, Body::value)?;
                let result_formats = body.list(2, Body::format)?;
                Message::Bind(Bind { portal, statement, formats, values, result_formats })
            }
            b'D' => Message::Describe(body.target()?),
            b'C' => Message::Close(body.target()?),
            b'E' => Message::Execute { portal: body.text()?, max_rows: body.u32()? },
            b'S' => Message::Sync,
            b'H' => Message::Flush,
            b'X' => Message::Terminate,
            b'd' | b'c' | b'f' => return Ok(Message::Copy),
            other => return Err(Malformed(format!("no message begins with the byte {other:#04x}"))),
        };
        if body.0.is_empty() { Ok(message) } else { Err(Malformed("a message is longer than what it holds".to_owned())) }
    }
}

/// A message's body, read from its beginning.
pub struct Body(pub Bytes);

impl Body {
    fn short() -> Malformed {
        Malformed("a message ends before what it should hold".to_owned())
    }

    /// A text that ends with a zero.
    pub fn text(&mut self) -> Result<String, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(Self::short)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.to_vec()).map_err(|_| Malformed("a text is not UTF-8".to_owned()))
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Self::short())
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Self::short())
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.0.try_get_u16().map_err(|_| Self::short())
    }

    fn format(&mut self) -> Result<Format, Malformed> {
        match self.u16()? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(Malformed(format!("there is no format {other}"))),
        }
    }

    fn value(&mut self) -> Result<Option<Bytes>, Malformed> {
        let length = self.u32()?;
        if length == u32::MAX {
            return Ok(None);
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.0.len() {
            return Err(Self::short());
        }
        Ok(Some(self.0.split_to(length)))
    }

    /// A count and so many items, each of which takes `bytes` at least.
    fn list<T>(&mut self, bytes: usize, item: fn(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = usize::from(self.u16()?);
        if count.saturating_mul(bytes) > self.0.len() {
            return Err(Self::short());
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn target(&mut self) -> Result<Target, Malformed> {
        match self.u8()? {
            b'S' => Ok(Target::Statement(self.text()?)),
            b'P' => Ok(Target::Portal(self.text()?)),
            other => Err(Malformed(format!("{other:#04x} is neither a statement nor a portal"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, body: &[u8]) -> Frame {
        Frame { tag, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn messages_are_read() {
        let mut input = BytesMut::from(&b"Q\0\0\0\x0dSELECT 1\0S\0\0"[..]);
        let first = Frame::take(&mut input, 100).expect("well formed").expect("all there");
        assert_eq!(Message::read(first), Ok(Message::Query("SELECT 1".to_owned())));
        assert!(Frame::take(&mut input, 100).expect("well formed").is_none(), "the rest is to come");
        assert_eq!(
            Message::read(frame(b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0")),
            Ok(Message::Bind(Bind {
                portal: "p".to_owned(),
                statement: "s".to_owned(),
                formats: vec![Format::Binary],
                values: vec![Some(Bytes::from_static(b"x")), None],
                result_formats: vec![],
            }))
        );
        assert_eq!(Message::read(frame(b'D', b"Pc\0")), Ok(Message::Describe(Target::Portal("c".to_owned()))));
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for length in [0_u32, 3, 5_000_000, u32::MAX, 1 << 31] {
            let mut input = BytesMut::from(&b"Q"[..]);
            input.extend_from_slice(&length.to_be_bytes());
            assert!(Frame::take(&mut input, 1_000).is_err(), "{length}");
        }
        for (tag, body) in [
            (b'Q', &b"no end"[..]),
            (b'Q', b"\xff\xfe\0"),
            (b'Q', b"a\0b"),
            (b'P', b"\0\0"),
            (b'P', b"\0\0\xff\xff"),
            (b'P', b"\0\0\0\x02\0\0\0\x01"),
            (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
            (b'B', b"\0\0\0\x01\0\x07\0\0\0\0"),
            (b'D', b"Z\0"),
            (b'D', b""),
            (b'E', b"\0\0"),
            (b'!', b""),
        ] {
            assert!(Message::read(frame(tag, body)).is_err(), "{} {body:?}", char::from(tag));
        }
    }
}
