//! CPU time of a process, from `/proc`: user and system time of all its threads.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Length of a tick in `/proc/PID/stat`. Linux fixes it at 100 a second for user space.
const TICK: Duration = Duration::from_millis(10);

/// A process whose CPU time is taken.
#[derive(Debug, Clone)]
pub struct Process(String);

impl Process {
    /// This process.
    pub fn own() -> Process {
        Process("self".into())
    }

    /// Another one, by its id.
    pub fn of(pid: u32) -> Process {
        Process(pid.to_string())
    }

    /// The CPU time used so far; zero where there is no `/proc` or the process has gone.
    pub fn cpu(&self) -> Duration {
        fs::read_to_string(format!("/proc/{}/stat", self.0)).ok().as_deref().and_then(ticks).map_or(Duration::ZERO, |ticks| TICK * ticks)
    }

    /// The CPU time that each of its threads has used so far, to the nanosecond. What threads used that have ended is not in it.
    pub fn threads(&self) -> Threads {
        let folder = format!("/proc/{}/task", self.0);
        let names = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let used = |thread: String| {
            let said = fs::read_to_string(format!("/proc/{}/task/{thread}/schedstat", self.0)).ok()?;
            Some((thread, Duration::from_nanos(said.split_whitespace().next()?.parse().ok()?)))
        };
        Threads(names.filter_map(used).collect())
    }

    /// What the compilers of a Java virtual machine have used so far. Of those threads of theirs that have ended nothing is in it.
    pub fn compilers(&self) -> Duration {
        let folder = format!("/proc/{}/task", self.0);
        let threads = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let compiles = |thread: &PathBuf| {
            let name = fs::read_to_string(thread.join("comm")).unwrap_or_default();
            name.starts_with("C1 Comp") || name.starts_with("C2 Comp")
        };
        let used = |thread: PathBuf| {
            let said = fs::read_to_string(thread.join("schedstat")).ok()?;
            Some(Duration::from_nanos(said.split_whitespace().next()?.parse().ok()?))
        };
        threads.filter(compiles).filter_map(used).sum()
    }

    /// Resident memory now, bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    }
}

/// What each thread of a process has used.
#[derive(Debug, Clone, Default)]
pub struct Threads(BTreeMap<String, Duration>);

impl Threads {
    /// What they have used since: new ones all of it.
    pub fn since(&self, before: &Threads) -> Duration {
        let used = |(thread, now): (&String, &Duration)| now.saturating_sub(before.0.get(thread).copied().unwrap_or_default());
        self.0.iter().map(used).sum()
    }
}

/// Whose CPU time a measurement takes.
pub struct Meters {
    pub own: Process,
    /// Where it is known, and not the same.
    pub broker: Option<Process>,
}

/// CPU time of the measured process, and of the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub own: Duration,
    pub broker: Duration,
}

impl Meters {
    pub fn used(&self) -> Used {
        Used { own: self.own.cpu(), broker: self.broker.as_ref().map_or(Duration::ZERO, Process::cpu) }
    }
}

impl Used {
    /// What was used since.
    pub fn since(self, before: Used) -> Used {
        Used { own: self.own.saturating_sub(before.own), broker: self.broker.saturating_sub(before.broker) }
    }
}

/// The sum of the fields utime and stime, which come after the name in parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn threads_that_work_are_seen() {
        let own = Process::own();
        let (before, began) = (own.threads(), Instant::now());
        while began.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let used = own.threads().since(&before);
        assert!(used > Duration::ZERO, "{used:?}");
        assert_eq!(before.since(&before), Duration::ZERO);
    }

    #[test]
    fn reads_the_right_fields() {
        assert_eq!(ticks("1 (a ) b) S 1 1 1 0 -1 4194560 1 2 3 4 70 30 9 9 20 0 1 0 5"), Some(100));
        assert_eq!(ticks("nonsense"), None);
    }
}
