//! A process of somebody else's for tests (a broker, a registry) that never outlives this one.
//!
//! It runs under a small shell script that holds its pid and watches a pipe to this process: when this process ends,
//! however it ends, the pipe closes and the script kills the other and removes its data. Nothing is ever killed by name.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to stop when asked to, seconds; then it is killed.
const STOP_TIMEOUT_S: u64 = 20;

/// Runs the process (`"$@"`) in a folder (`$3`), prints its pid, then waits for a word on its input: `stop` asks it to
/// end, `kill` kills it. End of input means that the parent has gone: kill it and remove the data (`$1`).
const SCRIPT: &str = r#"
data=$1; log=$2; cd "$3" || exit; shift 3
"$@" >>"$log" 2>&1 </dev/null &
pid=$!
echo $pid
read -r word
case "$word" in
    stop) kill -TERM $pid ;;
    kill) kill -KILL $pid ;;
    *) kill -KILL $pid; wait $pid 2>/dev/null; rm -rf -- "$data"; exit ;;
esac
wait $pid 2>/dev/null
"#;

/// A running process.
pub struct Supervised {
    supervisor: Child,
    control: ChildStdin,
    pid: u32,
}

impl Supervised {
    /// Starts `command`; its words go to the file `log`. The folder `data` goes with this process.
    ///
    /// # Errors
    /// No shell, or the process could not be started.
    pub fn start<S: AsRef<OsStr>>(
        data: &Path,
        log: &Path,
        folder: &Path,
        environment: &[(&str, &str)],
        command: &[S],
    ) -> io::Result<Supervised> {
        let mut supervisor = Command::new("sh")
            .args(["-c", SCRIPT, "tidemill-supervised"])
            .args([data, log, folder])
            .args(command)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(control), Some(output)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Err(io::Error::other("no pipe to the supervisor"));
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| io::Error::other(format!("the pid is '{}'", line.trim())))?;
        Ok(Supervised { supervisor, control, pid })
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.supervisor.try_wait(), Ok(None)) || !is_alive(self.pid)
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(self) {
        self.end("stop");
    }

    /// Ends it as `kill -9` does.
    pub fn kill(self) {
        self.end("kill");
    }

    fn end(mut self, how: &str) {
        let _ = writeln!(self.control, "{how}");
        let deadline = Instant::now() + Duration::from_secs(STOP_TIMEOUT_S);
        while matches!(self.supervisor.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
                let _ = self.supervisor.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Ports that were free a moment ago, all different.
///
/// # Errors
/// The machine has none.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<_>>()?;
    held.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect()
}

/// The last lines of a log.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    last_lines(&text, 20)
}

/// The last lines of a text.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn is_alive(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
