//! A program in a terminal of its own, driven by keys: for tests of what people see.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take to appear.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ctrl-C, Ctrl-D and Tab, as a terminal sends them.
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const TAB: &str = "\t";

/// What the program has written, and whether its terminal is closed.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    closed: bool,
}

/// A running program; killed when dropped.
pub struct Terminal {
    child: Child,
    keys: File,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// What was already waited for.
    read: usize,
}

impl Terminal {
    /// Starts a program whose terminal has so many columns and lines.
    pub fn start(mut command: Command, columns: u16, lines: u16) -> Self {
        let (master, slave) = open_pty(columns, lines);
        let stdio = || slave.try_clone().expect("the terminal can be handed on");
        command.stdin(stdio()).stdout(stdio()).stderr(stdio()).env("TERM", "xterm");
        // SAFETY: between fork and exec only two system calls are made, which are safe there.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().expect("the program starts");
        drop(command);
        drop(slave);
        let seen = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let mut screen = File::from(master.try_clone().expect("the terminal can be read"));
        let watched = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                // Linux answers with an error once the last program has closed the terminal.
                let count = screen.read(&mut buffer).unwrap_or(0);
                let (seen, changed) = &*watched;
                let mut seen = seen.lock().expect("no test panics while it holds this");
                seen.bytes.extend_from_slice(&buffer[..count]);
                seen.closed = count == 0;
                changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Terminal { child, keys: File::from(master), seen, read: 0 }
    }

    /// Presses keys.
    pub fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until a text appears behind what was waited for before; what came up to its end, without the codes that move
    /// the cursor.
    ///
    /// # Panics
    /// It does not appear.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (seen, changed) = &*self.seen;
        let mut seen = seen.lock().expect("no test panics while it holds this");
        loop {
            let shown = plain(&seen.bytes);
            let new = shown.get(self.read..).unwrap_or("");
            if let Some(at) = new.find(text) {
                let found = new[..at + text.len()].to_owned();
                self.read += found.len();
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !seen.closed, "{text:?} does not appear; what did:\n{new}");
            seen = changed.wait_timeout(seen, left).expect("no test panics while it holds this").0;
        }
    }

    /// Waits until the program ends.
    pub fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("a killed program ends");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already dead after `wait` or `kill`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A terminal's two ends.
fn open_pty(columns: u16, lines: u16) -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let size = libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both descriptors are written before they are taken over, and only by this call; the other pointers may be null.
    #[allow(unsafe_code)]
    unsafe {
        let opened =
            libc::openpty(&raw mut master, &raw mut slave, std::ptr::null_mut(), std::ptr::null_mut(), (&raw const size).cast_mut());
        assert_eq!(opened, 0, "a terminal can be opened: {}", std::io::Error::last_os_error());
        // The program must not hold its own terminal's other end.
        libc::fcntl(master, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(slave, libc::F_SETFD, libc::FD_CLOEXEC);
        (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave))
    }
}

/// The text without escape sequences and carriage returns.
fn plain(bytes: &[u8]) -> String {
    // A character whose end has not come yet waits for it.
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    let text = String::from_utf8_lossy(whole);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' if chars.peek() == Some(&'[') => {
                chars.next();
                // Parameters, then one letter.
                while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
            }
            '\x1b' => {
                chars.next();
            }
            '\r' | '\x07' => {}
            other => out.push(other),
        }
    }
    out
}
