//! A server, and shells at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tidemill_tests::server::{ServerProcess, tidemill_binary};
use tidemill_tests::terminal::Terminal;

pub const SALES: &str = "
    CREATE STREAM orders (id INT KEY, item STRING, amount DOUBLE) WITH (KAFKA_TOPIC='orders', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE TABLE sales AS SELECT item, COUNT(*) AS n FROM orders GROUP BY item;
    INSERT INTO orders (id, item, amount) VALUES (1, 'tea', 4.5);";

/// A server, a folder for everything, and a home without a history.
pub struct World {
    pub server: ServerProcess,
    pub folder: TempDir,
}

/// What a shell said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = ServerProcess::start(&folder.path().join("data"), &[]);
        World { server, folder }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A shell at the server, with the folder as its home and its place.
    pub fn shell(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tidemill_binary());
        command.arg("shell").arg(self.url()).args(arguments).current_dir(self.path()).env("HOME", self.path()).env_remove("PAGER");
        command
    }

    /// Runs a shell with this input.
    pub fn piped(&self, arguments: &[&str], input: &str) -> Said {
        piped(self.shell(arguments), input)
    }

    /// Runs statements by `-e`.
    pub fn execute(&self, sql: &str) -> Said {
        self.piped(&["-e", sql], "")
    }

    /// A shell at a terminal, at its prompt.
    pub fn terminal(&self, arguments: &[&str], columns: u16, lines: u16) -> Terminal {
        let mut terminal = Terminal::start(self.shell(arguments), columns, lines);
        terminal.wait_for("tidemill> ");
        terminal
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("a file in the test's folder");
    }
}

/// Runs a command with this input to its end.
pub fn piped(mut command: Command, input: &str) -> Said {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    // It may end before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// A server that answers each request, its head and body as one text, with what `answer` says; its address.
pub fn fake_server(answer: impl Fn(&str) -> &'static str + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a shell comes");
            let mut reader = BufReader::new(stream.try_clone().expect("a stream can be read"));
            let (mut request, mut length) = (String::new(), 0);
            loop {
                let start = request.len();
                if reader.read_line(&mut request).unwrap_or(0) == 0 || request[start..].trim().is_empty() {
                    break;
                }
                if let Some(value) = request[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body");
            request.push_str(&String::from_utf8_lossy(&body));
            let body = answer(&request);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            stream.write_all(head.as_bytes()).expect("the shell reads");
        }
    });
    url
}
