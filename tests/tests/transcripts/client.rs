//! An HTTP/1 client that sees every chunk by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::script::{Protocol, Request};

/// An answer as it arrived.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u64,
    pub headers: Vec<(String, String)>,
    pub chunks: Vec<Vec<u8>>,
    /// The answer had not ended when the client's patience did.
    pub still_open: bool,
    /// How a WebSocket was closed: code and reason.
    pub close: Option<(u64, String)>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.chunks.concat()).into_owned()
    }
}

/// Sends a request on a connection of its own and reads the answer for at most `patience`. `on_first_chunk` is called
/// once, when the answer's first chunk is there.
pub fn send(address: SocketAddr, request: &Request, patience: Duration, on_first_chunk: impl FnOnce(&[u8])) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    let version = if request.protocol == Protocol::Http10 { "HTTP/1.0" } else { "HTTP/1.1" };
    let mut head = format!("{} {} {version}\r\nHost: {address}\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = &request.body {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    stream.write_all(head.as_bytes())?;
    // A server may refuse a body before it was sent as a whole.
    let _ = stream.write_all(request.body.as_deref().unwrap_or_default());
    let mut reader = Patient { stream: BufReader::new(stream), until: Instant::now() + patience };
    read(&mut reader, request.method == "HEAD", on_first_chunk)
}

/// Reads until its time is up.
struct Patient {
    stream: BufReader<TcpStream>,
    until: Instant,
}

impl Patient {
    fn before_read(&mut self) -> std::io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.get_ref().set_read_timeout(Some(left))
    }

    fn line(&mut self) -> std::io::Result<String> {
        self.before_read()?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn exactly(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.before_read()?;
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn read(reader: &mut Patient, is_head: bool, on_first_chunk: impl FnOnce(&[u8])) -> std::io::Result<Answer> {
    let status = reader.line()?;
    let status = status.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| std::io::Error::other("no status line"))?;
    let mut answer = Answer { status, ..Answer::default() };
    loop {
        let line = reader.line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if is_head {
        return Ok(answer);
    }
    match read_body(reader, &mut answer, on_first_chunk) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => answer.still_open = true,
        Err(error) => return Err(error),
    }
    Ok(answer)
}

fn read_body(reader: &mut Patient, answer: &mut Answer, on_first_chunk: impl FnOnce(&[u8])) -> std::io::Result<()> {
    if answer.header("transfer-encoding") != Some("chunked") {
        let length = answer.header("content-length").and_then(|l| l.parse().ok());
        let body = match length {
            Some(length) => reader.exactly(length)?,
            None => {
                let mut body = Vec::new();
                reader.before_read()?;
                reader.stream.read_to_end(&mut body)?;
                body
            }
        };
        if !body.is_empty() {
            on_first_chunk(&body);
            answer.chunks.push(body);
        }
        return Ok(());
    }
    let mut on_first_chunk = Some(on_first_chunk);
    loop {
        let size = usize::from_str_radix(&reader.line()?, 16).map_err(std::io::Error::other)?;
        let chunk = reader.exactly(size)?;
        reader.line()?;
        if size == 0 {
            return Ok(());
        }
        if let Some(call) = on_first_chunk.take() {
            let started = Instant::now();
            call(&chunk);
            reader.until += started.elapsed();
        }
        answer.chunks.push(chunk);
    }
}
