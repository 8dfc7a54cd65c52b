//! `kill -9` at random moments: what was committed is there, whole, and nothing else.
//!
//! A test starts its own executable again, which commits as fast as it can and says how far it is, until it is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::tests::{commit_number, committed_number, create, open, store};
use crate::log::Log;

/// Set for the process that is to be killed: the folder.
const FOLDER: &str = "TIDEMILL_KILL_TEST_FOLDER";
/// How often the process is killed.
const KILLS: u64 = 25;
/// How long the process may take until its first commit.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Not a test of its own: what the killed process runs.
#[test]
fn commits_until_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (db, log) = open(folder.as_ref());
    let mut store = store(&db);
    let mut writer = log.writer().unwrap();
    for number in committed_number(&db, &log) + 1.. {
        commit_number(&db, &log, &mut store, &mut *writer, number).unwrap();
        // Straight to the pipe: the test's own capture would keep it.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "committed {number}").unwrap();
        stdout.flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (_, log) = open(folder.path());
        create(&log, "out", 1, &[]);
    }
    let mut rng = StdRng::seed_from_u64(5);
    let mut last = -1;
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "log::embedded::kill_tests::commits_until_killed", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (at_work, is_at_work) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            let numbers = lines.filter_map(|line| line.rsplit_once("committed ").and_then(|(_, number)| number.parse::<i64>().ok()));
            // Only the first of these is waited for.
            numbers.inspect(|_| at_work.send(()).unwrap_or(())).last()
        });
        is_at_work.recv_timeout(START_TIMEOUT).expect("the process gets to work");
        std::thread::sleep(Duration::from_millis(rng.random_range(0..100)));
        child.kill().unwrap();
        child.wait().unwrap();
        let told = reader.join().unwrap().unwrap_or(last);
        let (db, log) = open(folder.path());
        let found = committed_number(&db, &log);
        // The commit in progress may be there or not.
        assert!(found == told || found == told + 1, "told {told}, found {found}");
        assert!(found > last, "the process was killed at work");
        last = found;
    }
}
