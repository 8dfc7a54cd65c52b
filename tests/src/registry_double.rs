//! A schema registry for tests that misbehaves as it is told: slow, away, talking nonsense. While it is good it keeps schemas
//! under ids as a registry does, enough of Confluent's API for a statement and a query.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Takes the request and says nothing.
    Silent,
    /// Closes the connection at once.
    HangsUp,
    /// A web page, with status 200.
    Html,
    /// JSON of something else.
    OtherJson,
    /// Status 500 with a web page.
    Broken,
    /// Confluent's error of a registry whose own store is away.
    StoreAway,
    /// A body without an end.
    Endless,
    Redirecting,
    Unauthorized,
    /// The body ends before its announced length.
    Truncated,
    /// Every second request is answered with status 503.
    Flapping,
}

struct Shared {
    manner: Mutex<Manner>,
    /// Schemas by id, from 1, as they were registered.
    schemas: Mutex<Vec<Json>>,
    subjects: Mutex<BTreeMap<String, Vec<usize>>>,
    requests: AtomicUsize,
    /// What the last request said of who asks.
    authorization: Mutex<Option<String>>,
    is_over: AtomicBool,
}

/// See the module. Ends when it is dropped.
pub struct RegistryDouble {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl RegistryDouble {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            manner: Mutex::new(manner),
            schemas: Mutex::default(),
            subjects: Mutex::default(),
            requests: AtomicUsize::new(0),
            authorization: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::Acquire) {
                    return;
                }
                let shared = serving.clone();
                std::thread::spawn(move || {
                    // A client that goes away in the middle is no failure of a test.
                    let _ = shared.serve(stream);
                });
            }
        });
        RegistryDouble { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("a lock") = manner;
    }

    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub fn last_authorization(&self) -> Option<String> {
        self.shared.authorization.lock().expect("a lock").clone()
    }

    /// Lets it know a schema, under the next id; the id.
    pub fn know(&self, subject: &str, schema: Json) -> usize {
        self.shared.register(subject, schema)
    }
}

impl Drop for RegistryDouble {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let mut words = line.split(' ').map(str::to_owned);
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let (mut length, mut authorization) = (0, None);
            loop {
                let mut header = String::new();
                if reader.read_line(&mut header)? <= 2 {
                    break;
                }
                let (name, value) = header.split_once(':').unwrap_or_default();
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap_or(0),
                    "authorization" => authorization = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            *self.authorization.lock().expect("a lock") = authorization;
            let before = self.requests.fetch_add(1, Ordering::Relaxed);
            let manner = *self.manner.lock().expect("a lock");
            let flaps = manner == Manner::Flapping && before.is_multiple_of(2);
            let (status, kind, text) = match manner {
                Manner::HangsUp => return Ok(()),
                Manner::Silent => {
                    while !self.is_over.load(Ordering::Acquire) && *self.manner.lock().expect("a lock") == Manner::Silent {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    return Ok(());
                }
                Manner::Endless => {
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    let chunk = "x".repeat(1 << 16);
                    loop {
                        write!(stream, "{:x}\r\n{chunk}\r\n", chunk.len())?;
                    }
                }
                Manner::Truncated => {
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{\"id\":1")?;
                    return Ok(());
                }
                Manner::Html => (200, "text/html", "<html>Welcome</html>".to_owned()),
                Manner::OtherJson => (200, "application/json", r#"["not","a","schema"]"#.to_owned()),
                Manner::Broken => (500, "text/html", "<html>Oops</html>".to_owned()),
                Manner::StoreAway => error(500, 50001, "Error in the backend data store"),
                Manner::Redirecting => (302, "text/html", String::new()),
                Manner::Unauthorized => error(401, 401, "Unauthorized"),
                Manner::Flapping if flaps => error(503, 503, "Service Unavailable"),
                Manner::Good | Manner::Flapping => self.answer(&method, &path, &body),
            };
            let length = text.len();
            write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nLocation: http://x/\r\n\r\n{text}")?;
        }
    }

    fn register(&self, subject: &str, schema: Json) -> usize {
        let mut schemas = self.schemas.lock().expect("a lock");
        let index = schemas.iter().position(|known| *known == schema).unwrap_or_else(|| {
            schemas.push(schema);
            schemas.len() - 1
        });
        let mut subjects = self.subjects.lock().expect("a lock");
        let versions = subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&index) {
            versions.push(index);
        }
        index + 1
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, &'static str, String) {
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => {
                let index = id.parse::<usize>().unwrap_or(0).wrapping_sub(1);
                match self.schemas.lock().expect("a lock").get(index) {
                    Some(schema) => (200, "application/json", schema.to_string()),
                    None => error(404, 40403, "Schema not found"),
                }
            }
            ("GET", ["subjects", subject, "versions", version]) => {
                let subjects = self.subjects.lock().expect("a lock");
                let versions = subjects.get(*subject).map(Vec::as_slice).unwrap_or_default();
                let number = version.parse().unwrap_or(versions.len());
                let Some(index) = number.checked_sub(1).and_then(|at| versions.get(at)) else {
                    return error(404, if versions.is_empty() { 40401 } else { 40402 }, "not found");
                };
                let mut answer = self.schemas.lock().expect("a lock").get(*index).cloned().unwrap_or_default();
                answer["id"] = json!(index + 1);
                answer["version"] = json!(number);
                answer["subject"] = json!(subject);
                (200, "application/json", answer.to_string())
            }
            ("POST", ["subjects", subject, "versions"]) => match serde_json::from_slice(body) {
                Ok(schema) => (200, "application/json", json!({"id": self.register(subject, schema)}).to_string()),
                Err(_) => error(422, 42201, "Invalid schema"),
            },
            ("DELETE", ["subjects", subject]) => {
                self.subjects.lock().expect("a lock").remove(*subject);
                (200, "application/json", "[1]".to_owned())
            }
            _ => error(404, 404, "HTTP 404 Not Found"),
        }
    }
}

fn error(status: u16, code: u32, message: &str) -> (u16, &'static str, String) {
    (status, "application/vnd.schemaregistry.v1+json", json!({"error_code": code, "message": message}).to_string())
}
