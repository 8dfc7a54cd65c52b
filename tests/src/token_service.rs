//! A token service for tests: answers the client-credentials grant with tokens that hold for seconds, or misbehaves as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Who may ask, and with what secret.
pub const CLIENT: &str = "tide";
pub const SECRET: &str = "cl1ent-s3cret";
/// How its tokens begin, as all without a signature: to be looked for where no token may be.
pub const BEGINNING: &str = "eyJhbGciOiJub25lIn0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Good,
    /// Status 503.
    Busy,
}

struct Shared {
    manner: Mutex<Manner>,
    life: Duration,
    given: AtomicUsize,
    asked: Mutex<Vec<String>>,
    is_over: AtomicBool,
}

/// See the module. Ends when it is dropped.
pub struct TokenService {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl TokenService {
    /// Its tokens hold for `life`, whole seconds.
    pub fn start(life: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            manner: Mutex::new(Manner::Good),
            life,
            given: AtomicUsize::new(0),
            asked: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::Acquire) {
                    return;
                }
                // A client that goes away in the middle is no failure of a test.
                let _ = serving.serve(stream);
            }
        });
        TokenService { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub fn behave(&self, manner: Manner) {
        *hold(&self.shared.manner) = manner;
    }

    /// Tokens that were given away.
    pub fn given(&self) -> usize {
        self.shared.given.load(Ordering::Acquire)
    }

    /// The bodies of the requests.
    pub fn asked(&self) -> Vec<String> {
        hold(&self.shared.asked).clone()
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut input = BufReader::new(stream.try_clone()?);
        let (mut length, mut authorization) = (0, String::new());
        loop {
            let mut line = String::new();
            if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "authorization" => authorization = value.trim().to_owned(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        input.read_exact(&mut body)?;
        hold(&self.asked).push(String::from_utf8_lossy(&body).into_owned());
        let (status, answer) = self.answer(&authorization);
        let mut output = stream;
        write!(
            output,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        )?;
        output.write_all(answer.as_bytes())
    }

    fn answer(&self, authorization: &str) -> (u16, String) {
        if *hold(&self.manner) == Manner::Busy {
            return (503, r#"{"error":"temporarily_unavailable"}"#.to_owned());
        }
        if authorization != format!("Basic {}", STANDARD.encode(format!("{CLIENT}:{SECRET}"))) {
            return (401, r#"{"error":"invalid_client","error_description":"Invalid client credentials"}"#.to_owned());
        }
        self.given.fetch_add(1, Ordering::AcqRel);
        let seconds = self.life.as_secs();
        (200, format!(r#"{{"access_token":"{}","token_type":"Bearer","expires_in":{seconds}}}"#, token(self.life)))
    }
}

/// A token without a signature, whose user is [`CLIENT`].
#[allow(clippy::disallowed_methods)] // A broker compares it with its own clock.
fn token(life: Duration) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let claims = format!(r#"{{"sub":"{CLIENT}","iat":{},"exp":{}}}"#, now.as_secs(), (now + life).as_secs());
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
