//! A TCP proxy before a broker, which the broker advertises: what a client says to "the broker" goes through here, and can be cut,
//! held, slowed, reset or swallowed.
//!
//! Kafka's requests and answers are frames with a length before them. The proxy passes whole frames on, so it knows which request
//! is which: the one that ends a transaction can be kept back alone, or its answer lost. Every frame or connection that a fault
//! touches is counted; a test whose fault touched nothing has shown nothing.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A frame beyond this is not Kafka's, bytes.
const MAX_FRAME_BYTES: usize = 128 << 20;
/// How often a connection that stands still looks whether it may go on.
const STEP: Duration = Duration::from_millis(10);
/// Kafka's number of the request that ends a transaction.
const END_TXN: u16 = 26;

/// What happens to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Connections end, new ones are refused.
    Cut,
    /// Connections are reset, once; new ones are let through.
    Reset,
    /// What the client says arrives, what the broker answers waits.
    AnswersHeld,
    /// What the client says waits.
    RequestsHeld,
    /// Each frame waits so long before it goes on, milliseconds.
    Slow(u64),
    /// The broker's side of each connection is gone and the client is not told: it stays open, and silent for ever, also when the
    /// fault is over. New connections are treated likewise meanwhile.
    HalfOpen,
    /// The request that ends a transaction waits so long, milliseconds; everything else goes on.
    EndTxnSlow(u64),
    /// The broker ends the transaction, and the connection ends before its answer arrives.
    EndTxnAnswerLost,
}

/// See the module. Ends with all its connections when dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

struct Shared {
    upstream: AtomicU16,
    fault: Mutex<Fault>,
    hits: AtomicU64,
    is_ending: AtomicBool,
    /// Both ends of each open connection.
    open: Mutex<BTreeMap<u64, [TcpStream; 2]>>,
    next: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of the loopback device; nothing gets through before [`Self::forward_to`].
    ///
    /// # Errors
    /// No port, no thread.
    pub fn start() -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream: AtomicU16::new(0),
            fault: Mutex::default(),
            hits: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        std::thread::Builder::new().name("proxy".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Proxy { shared, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port` for `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where connections go from now on.
    pub fn forward_to(&self, port: u16) {
        self.shared.upstream.store(port, Ordering::Release);
    }

    /// From now on this happens, to connections that are open as well.
    pub fn set(&self, fault: Fault) {
        *guarded(&self.shared.fault) = fault;
        match fault {
            Fault::Cut => self.shared.end_all(false),
            Fault::Reset => self.shared.end_all(true),
            Fault::HalfOpen => {
                for [_, broker] in guarded(&self.shared.open).values() {
                    let _ = broker.shutdown(Shutdown::Both);
                }
            }
            _ => {}
        }
    }

    /// Frames and connections that faults have touched so far.
    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Release);
        self.shared.end_all(false);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn guarded<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes closing a connection send a reset.
fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap_or_default();
    // SAFETY: sets an option of a socket that is open, from a value of the option's type.
    #[allow(unsafe_code)]
    unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, std::ptr::from_ref(&linger).cast(), size);
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *guarded(&self.fault)
    }

    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::AcqRel);
    }

    fn end_all(&self, by_reset: bool) {
        for (_, ends) in std::mem::take(&mut *guarded(&self.open)) {
            self.hit();
            for end in ends {
                if by_reset {
                    reset_on_close(&end);
                }
                let _ = end.shutdown(Shutdown::Both);
            }
        }
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.is_ending.load(Ordering::Acquire) {
                return;
            }
            let Ok(client) = client else { continue };
            if self.fault() == Fault::Cut {
                self.hit();
                reset_on_close(&client);
                continue;
            }
            let Ok(broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream.load(Ordering::Acquire))) else { continue };
            // Where that fails the connection ends.
            let _ = self.carry(client, broker);
        }
    }

    /// Passes frames on in both directions, on two threads that end with the connection.
    fn carry(self: &Arc<Self>, client: TcpStream, broker: TcpStream) -> io::Result<()> {
        for end in [&client, &broker] {
            end.set_nodelay(true)?;
        }
        let id = self.next.fetch_add(1, Ordering::AcqRel);
        guarded(&self.open).insert(id, [client.try_clone()?, broker.try_clone()?]);
        // The correlation ids of requests whose answer is to be lost.
        let lost = Arc::new(Mutex::new(Vec::new()));
        let silent = Arc::new(AtomicBool::new(false));
        let directions = [(client.try_clone()?, broker.try_clone()?, true), (broker, client, false)];
        for (from, to, is_request) in directions {
            let (shared, lost, silent) = (Arc::clone(self), Arc::clone(&lost), Arc::clone(&silent));
            std::thread::Builder::new().name("proxy".into()).spawn(move || {
                shared.pump(from, to, is_request, &lost, &silent);
                if silent.load(Ordering::Acquire) {
                    return;
                }
                if let Some(ends) = guarded(&shared.open).remove(&id) {
                    ends.iter().for_each(|end| drop(end.shutdown(Shutdown::Both)));
                }
            })?;
        }
        Ok(())
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, is_request: bool, lost: &Mutex<Vec<[u8; 4]>>, silent: &AtomicBool) {
        let mut frame = Vec::new();
        loop {
            let read = read_frame(&mut from, &mut frame);
            if self.fault() == Fault::HalfOpen {
                silent.store(true, Ordering::Release);
            }
            if silent.load(Ordering::Acquire) {
                self.hit();
                // Swallows what the client says until it gives up, and says nothing.
                if is_request && read.is_ok() {
                    continue;
                }
                return;
            }
            if read.is_err() || !self.let_through(&frame, is_request, lost, silent) || to.write_all(&frame).is_err() {
                return;
            }
        }
    }

    /// Waits as the fault demands; false: the connection ends.
    fn let_through(&self, frame: &[u8], is_request: bool, lost: &Mutex<Vec<[u8; 4]>>, silent: &AtomicBool) -> bool {
        let kind = if is_request { frame.get(4..6).and_then(|kind| kind.try_into().ok()).map(u16::from_be_bytes) } else { None };
        let mut was_slowed = false;
        let mut was_hit = false;
        loop {
            let fault = self.fault();
            let holds = match fault {
                Fault::None | Fault::Reset | Fault::Cut => false,
                Fault::HalfOpen => {
                    silent.store(true, Ordering::Release);
                    return false;
                }
                Fault::AnswersHeld => !is_request,
                Fault::RequestsHeld => is_request,
                Fault::Slow(ms) | Fault::EndTxnSlow(ms) => {
                    let is_meant = matches!(fault, Fault::Slow(_)) || kind == Some(END_TXN);
                    if is_meant && !was_slowed {
                        was_slowed = true;
                        self.hit();
                        std::thread::sleep(Duration::from_millis(ms));
                    }
                    false
                }
                Fault::EndTxnAnswerLost => {
                    if kind == Some(END_TXN)
                        && let Some(id) = frame.get(8..12).and_then(|id| id.try_into().ok())
                    {
                        guarded(lost).push(id);
                    }
                    false
                }
            };
            if !holds {
                break;
            }
            if !was_hit {
                was_hit = true;
                self.hit();
            }
            if self.is_ending.load(Ordering::Acquire) {
                return false;
            }
            std::thread::sleep(STEP);
        }
        if !is_request
            && let Some(id) = frame.get(4..8)
            && guarded(lost).iter().any(|lost| lost == id)
        {
            self.hit();
            return false;
        }
        true
    }
}

/// A whole frame with its length before it.
fn read_frame(from: &mut TcpStream, frame: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > MAX_FRAME_BYTES {
        return Err(io::Error::other("this is no frame of Kafka's"));
    }
    frame.clear();
    frame.extend_from_slice(&length);
    let read = from.take(bytes as u64).read_to_end(frame)?;
    if read < bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Answers each frame with itself.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let (mut reading, mut writing) = (stream.try_clone().expect("a handle"), stream);
                    let mut frame = Vec::new();
                    while read_frame(&mut reading, &mut frame).is_ok() && writing.write_all(&frame).is_ok() {}
                });
            }
        });
        port
    }

    /// A request of this kind; its answer begins with its correlation id where an answer has it.
    fn request(kind: u16) -> Vec<u8> {
        let mut frame = 12_u32.to_be_bytes().to_vec();
        frame.extend_from_slice(&kind.to_be_bytes());
        frame.extend_from_slice(&[0, 1]);
        // The echo's answer has kind and version where an answer has the correlation id: let them be the same.
        frame.extend_from_slice(&kind.to_be_bytes());
        frame.extend_from_slice(&[0, 1, 9, 9, 9, 9]);
        frame
    }

    fn ask(stream: &mut TcpStream, kind: u16) -> io::Result<()> {
        ask_within(stream, kind, Duration::from_secs(20))
    }

    fn ask_within(stream: &mut TcpStream, kind: u16, timeout: Duration) -> io::Result<()> {
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(&request(kind))?;
        let mut answer = vec![0; 16];
        stream.read_exact(&mut answer)?;
        assert_eq!(answer, request(kind));
        Ok(())
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let silence = Duration::from_millis(200);
        let proxy = Proxy::start().expect("a proxy");
        proxy.forward_to(echo());
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port())).expect("a connection");
        let mut stream = connect();
        ask(&mut stream, 3).expect("an answer");
        assert_eq!(proxy.hits(), 0);

        for fault in [Fault::AnswersHeld, Fault::RequestsHeld] {
            proxy.set(fault);
            let (before, mut held) = (proxy.hits(), connect());
            assert!(ask_within(&mut held, 3, silence).is_err(), "{fault:?}");
            assert!(proxy.hits() > before, "{fault:?}");
            proxy.set(Fault::None);
            held.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            let mut late = vec![0; 16];
            held.read_exact(&mut late).expect("what was held arrives");
        }

        proxy.set(Fault::EndTxnSlow(100));
        ask(&mut stream, 3).expect("an answer");
        let began = Instant::now();
        ask(&mut stream, END_TXN).expect("an answer");
        assert!(began.elapsed() >= Duration::from_millis(100));

        proxy.set(Fault::EndTxnAnswerLost);
        ask(&mut stream, 3).expect("an answer");
        assert!(ask(&mut stream, END_TXN).is_err());
        ask(&mut connect(), 3).expect("others are not touched");

        proxy.set(Fault::None);
        let mut stream = connect();
        ask(&mut stream, 3).expect("an answer");
        proxy.set(Fault::Reset);
        assert!(ask(&mut stream, 3).is_err());
        ask(&mut connect(), 3).expect("new connections get through");

        let mut stream = connect();
        ask(&mut stream, 3).expect("an answer");
        proxy.set(Fault::Cut);
        assert!(ask(&mut stream, 3).is_err());
        assert!(ask(&mut connect(), 3).is_err());

        proxy.set(Fault::None);
        let mut stream = connect();
        ask(&mut stream, 3).expect("an answer");
        proxy.set(Fault::HalfOpen);
        let error = ask_within(&mut stream, 3, silence).expect_err("silence");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "it stays open: {error}");
        proxy.set(Fault::None);
        let error = ask_within(&mut stream, 3, silence).expect_err("silence for ever");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "it stays open: {error}");
        ask(&mut connect(), 3).expect("new connections get through");
    }
}
