//! Just enough HTTP/1.1 over a socket to talk to the server: a client of its own would take CPU from what is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::input::text;

/// How long the server may be silent, seconds.
const SILENCE_S: u64 = 60;

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A status and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// Where nobody listens.
    pub fn open(address: SocketAddr) -> Result<Connection, String> {
        let stream = TcpStream::connect(address).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.set_read_timeout(Some(Duration::from_secs(SILENCE_S))).map_err(text)?;
        Ok(Connection { stream, received: Vec::with_capacity(4_096) })
    }

    /// # Errors
    /// Where the connection ends or the answer is not HTTP.
    pub fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n"))
    }

    /// # Errors
    /// As for [`Self::get`].
    pub fn post(&mut self, path: &str, body: &str) -> Result<Answer, String> {
        self.exchange(&request(path, body))
    }

    /// Sends a request that is written out, and reads its answer.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn exchange(&mut self, request: &str) -> Result<Answer, String> {
        self.stream.write_all(request.as_bytes()).map_err(text)?;
        self.received.clear();
        let mut part = [0; 16_384];
        loop {
            if may_be_whole(&self.received)
                && let Some(answer) = parse(&self.received)?
            {
                return Ok(answer);
            }
            match self.stream.read(&mut part).map_err(text)? {
                0 => return Err("the server closed the connection".into()),
                count => self.received.extend_from_slice(part.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// A POST of JSON, written out.
pub fn request(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Whether it is worth looking whether an answer is there: one in chunks, which may be long, ends with an empty one.
fn may_be_whole(received: &[u8]) -> bool {
    const ANY_HEAD: usize = 4_096;
    if received.len() < ANY_HEAD || received.ends_with(b"\r\n0\r\n\r\n") {
        return true;
    }
    let head = received.get(..ANY_HEAD).unwrap_or_default();
    let head = find(head, b"\r\n\r\n").and_then(|end| head.get(..end)).unwrap_or_default();
    find(&head.to_ascii_lowercase(), b"chunked").is_none()
}

/// The answer, once all of it is there.
fn parse(received: &[u8]) -> Result<Option<Answer>, String> {
    let Some(end) = find(received, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default()).map_err(text)?.to_ascii_lowercase();
    let rest = received.get(end + 4..).unwrap_or_default();
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).ok_or("not an HTTP answer")?;
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        return Ok(chunks(rest)?.map(|body| Answer { status, body }));
    }
    let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    Ok(rest.get(..length).map(|body| Answer { status, body: body.to_vec() }))
}

fn chunks(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(rest.get(..end).unwrap_or_default()).map_err(text)?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16).map_err(text)?;
        let (Some(chunk), Some(after)) = (rest.get(end + 2..end + 2 + size), rest.get(end + 2 + size..)) else { return Ok(None) };
        if after.len() < 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        rest = after.get(2..).unwrap_or_default();
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for (bytes, status) in [(&plain[..], 200), (&chunked[..], 404)] {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
            }
            assert_eq!(parse(bytes), Ok(Some(Answer { status, body: b"abc".to_vec() })));
        }
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }
}
