//! A disk that is full, and one that can't be written: queries wait, it is said why, and they go on when there is room.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tidemill_tests::broker;
use tidemill_tests::server::ServerProcess;

use super::arena::{Arena, PATIENCE, turn};
use super::corrupt::files;
use super::report::{Row, count, seeded, tail};

/// What the log says of it, and when it is over.
const SAID: &str = "state can't be written";
const OVER: &str = "state can be written again";
/// The disk of the test, MiB.
const DISK_MB: usize = 96;
/// What a write-ahead log may still have of what it has reserved.
const RESERVE_BYTES: u64 = 64 << 10;

fn wait_until_said(server: &mut ServerProcess, what: &str, times: usize) {
    let began = Instant::now();
    while server.log().matches(what).count() < times {
        assert!(!server.has_ended(), "the server ended:\n{}", tail(&server.log()));
        assert!(began.elapsed() < PATIENCE, "'{what}' is said {} times:\n{}", server.log().matches(what).count(), tail(&server.log()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn writes_that_fail() {
    let test = "writes_that_fail";
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, false);
    let (mut random, seed) = seeded();
    let planned = count(3, 50);
    // Some writes go through, then some fail.
    let turns: Vec<String> =
        (0..planned).map(|_| format!("{}*off->{}*return(Input/output error)", random.between(5, 30), random.between(1, 4))).collect();
    let mut server = arena.begin_faulty("");
    assert!(server.is_up(PATIENCE), "{}", server.log());
    arena.create_queries(&server);
    server.kill();
    let mut server = arena.begin_faulty(&format!("state.write.before={}->off", turns.join("->")));
    assert!(server.is_up(PATIENCE), "{}", server.log());
    let load = arena.load();
    wait_until_said(&mut server, OVER, planned);
    let hit = server.log().matches(SAID).count().min(planned);
    let clicks = load.stop();
    let verdict = arena.verdict(&server);
    let note = format!("{clicks} clicks");
    Row { test, planned, hit, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}

/// A small disk that goes with the test.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn mount(path: &Path) -> Result<Disk<'_>, String> {
        fs::create_dir_all(path).expect("a folder");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={DISK_MB}m"), "tidemill-chaos"]).arg(path).output();
        match output {
            Ok(output) if output.status.success() => Ok(Disk(path)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Leaves no room.
    fn fill(&self) {
        let ballast = self.0.join("ballast");
        let zeros = vec![0; 1 << 16];
        let mut file = fs::File::create(ballast).expect("a file");
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    }

    /// Takes back what files of the write-ahead log have reserved beyond their end, which would let writes through for minutes.
    fn take_reserved(&self, data: &Path) {
        let logs = files(data).into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        for file in logs.filter_map(|path| fs::OpenOptions::new().write(true).open(path).ok()) {
            // What is being written at this moment is let alone.
            let from = file.metadata().map_or(0, |metadata| metadata.len()) + RESERVE_BYTES;
            let (from, length) = (libc::off_t::try_from(from).expect("an offset"), libc::off_t::from(i32::MAX));
            // SAFETY: the descriptor is open.
            #[allow(unsafe_code)]
            unsafe {
                libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE, from, length);
            }
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("ballast")).expect("the ballast goes");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let test = "a_full_disk";
    let Some(mut turn) = turn(test) else { return };
    let mut arena = Arena::new(test, &mut turn, false);
    let path = arena.path("disk");
    let disk = match Disk::mount(&path) {
        Ok(disk) => disk,
        Err(reason) => return broker::skipped(test, &format!("needs a small disk of its own (root): {reason}")),
    };
    let (mut random, seed) = seeded();
    let planned = count(2, 50);
    // The server's log, which the harness keeps beside the folder, is elsewhere.
    fs::create_dir(path.join("data")).expect("a folder");
    std::os::unix::fs::symlink(path.join("data"), arena.path("on-disk")).expect("a link");
    arena.data = arena.path("on-disk");
    let mut server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let mut hit = 0;
    for _ in 0..planned {
        load.wait_for(random.between(100, 600) as i64);
        let said = server.log().matches(SAID).count();
        disk.take_reserved(&path);
        disk.fill();
        wait_until_said(&mut server, SAID, said + 1);
        hit += 1;
        // Tables answer meanwhile.
        assert!(!server.pull("SELECT n FROM counts;").is_empty());
        let over = server.log().matches(OVER).count();
        disk.make_room();
        wait_until_said(&mut server, OVER, over + 1);
    }
    let clicks = load.stop();
    let verdict = arena.verdict(&server);
    Row { test, planned, hit, seed, seconds: arena.seconds(), note: format!("{clicks} clicks") }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
    drop(disk);
}
