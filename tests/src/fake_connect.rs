//! A Kafka Connect that answers what a test wants, and tells what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value as Json, json};

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /connectors`.
    pub line: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Json,
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    Json(u16, Json),
    /// Any bytes, as the body of a 200.
    Bytes(Vec<u8>),
    /// Nothing for so long, then this.
    After(Duration, Box<Answer>),
    /// The connection is closed.
    Closed,
}

type Answers = Box<dyn FnMut(&Asked) -> Answer + Send>;

/// It serves as long as the process lives; one thread for each connection.
pub struct FakeConnect {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Answers>>,
}

impl FakeConnect {
    pub fn start(answers: impl FnMut(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(answers)));
        let (heard, answering) = (asked.clone(), answers.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (heard, answering) = (heard.clone(), answering.clone());
                std::thread::spawn(move || serve(stream, &heard, &answering));
            }
        });
        FakeConnect { port, asked, answers }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it answers so.
    pub fn answer(&self, answers: impl FnMut(&Asked) -> Answer + Send + 'static) {
        *hold(&self.answers) = Box::new(answers);
    }

    /// What it was asked since this was last called.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *hold(&self.asked))
    }
}

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A connector as Connect describes it.
pub fn connector(name: &str, kind: &str, config: &Json) -> Json {
    json!({"name": name, "config": config, "tasks": [{"connector": name, "task": 0}], "type": kind})
}

/// Its state, with one task.
pub fn state(name: &str, kind: &str, state: &str, task: &str) -> Json {
    let worker = "127.0.0.1:8083";
    json!({"name": name, "type": kind, "connector": {"state": state, "worker_id": worker},
           "tasks": [{"id": 0, "state": task, "worker_id": worker}]})
}

/// A refusal in Connect's form.
pub fn refusal(status: u16, message: &str) -> Answer {
    Answer::Json(status, json!({"error_code": status, "message": message}))
}

fn serve(stream: TcpStream, heard: &Mutex<Vec<Asked>>, answers: &Mutex<Answers>) {
    let Ok(mut out) = stream.try_clone() else { return };
    let mut input = BufReader::new(stream);
    while let Some(asked) = read(&mut input) {
        hold(heard).push(asked.clone());
        let mut answer = hold(answers)(&asked);
        while let Answer::After(pause, then) = answer {
            std::thread::sleep(pause);
            answer = *then;
        }
        let (status, body) = match answer {
            Answer::Json(status, body) => (status, body.to_string().into_bytes()),
            Answer::Bytes(body) => (200, body),
            Answer::Closed | Answer::After(..) => return,
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).is_err() {
            return;
        }
    }
}

/// The next request of a connection.
fn read(input: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = || {
        let mut line = String::new();
        (input.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let line = first.rsplit_once(' ').map_or(first.as_str(), |(line, _)| line).to_owned();
    Some(Asked { line, headers, body: serde_json::from_slice(&body).unwrap_or_default() })
}
