//! Files of the data folder are damaged between a kill and the next start: found, rebuilt from the changelogs, and never answered
//! from.

use std::fs;
use std::path::{Path, PathBuf};

use tidemill_tests::server::ServerProcess;

use super::arena::{Arena, turn};
use super::random::Random;
use super::report::{Row, count, seeded, tail};

/// All files below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// Damages one file; what was done.
fn damage(path: &Path, random: &mut Random) -> String {
    let mut bytes = fs::read(path).expect("a file");
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let how = *random.pick(&["deleted", "emptied", "cut", "flipped", "overwritten"]);
    let length = bytes.len() as u64;
    match how {
        "deleted" => {
            fs::remove_file(path).expect("a file can be deleted");
            return format!("{name} deleted");
        }
        "emptied" => bytes.clear(),
        "cut" => bytes.truncate(random.between(0, length.max(1)) as usize),
        "flipped" => {
            for _ in 0..length.min(8) {
                let at = random.between(0, length) as usize;
                bytes[at] ^= 1 << random.between(0, 8);
            }
        }
        _ => {
            let from = random.between(0, length.max(1)) as usize;
            bytes.iter_mut().skip(from).take(4096).for_each(|byte| *byte = random.next() as u8);
        }
    }
    fs::write(path, bytes).expect("a file can be written");
    format!("{name} {how}")
}

/// What a server says of damage that it has come upon.
const SAID: &str = "are damaged";

/// A damaged block is found when it is read: the query that needs it ends with that reason, and the next start reads the state
/// anew. The server, started again where that was so.
fn healed(arena: &Arena, mut server: ServerProcess) -> ServerProcess {
    if !server.all_run() {
        assert!(server.log().contains(SAID), "{}", tail(&server.log()));
        server.terminate();
        server = arena.start();
        assert_eq!(server.running_queries().len(), super::model::Sink::ALL.len(), "{}", tail(&server.log()));
    }
    server
}

#[test]
fn damaged_files() {
    let test = "damaged_files";
    let Some(mut turn) = turn(test) else { return };
    let arena = Arena::new(test, &mut turn, false);
    let (mut random, seed) = seeded();
    let planned = count(5, 500);
    let mut server = arena.start();
    arena.create_queries(&server);
    let load = arena.load();
    let mut done = Vec::new();
    for _ in 0..planned {
        load.wait_for(random.between(50, 300) as i64);
        server.kill();
        let all = files(&arena.data);
        let file: PathBuf = random.pick(&all).clone();
        done.push(damage(&file, &mut random));
        println!("{}", done.last().map_or("", String::as_str));
        server = healed(&arena, arena.start());
    }
    let clicks = load.stop();
    server = healed(&arena, server);
    let said = server.log().matches(SAID).count();
    let mut verdict = arena.verdict(&server);
    if !verdict.wrong.is_empty() && server.log().matches(SAID).count() > said {
        // Found while everything was read to its end.
        server.terminate();
        server = arena.start();
        verdict = arena.verdict(&server);
    }
    done.sort();
    done.dedup();
    let note = format!("{clicks} clicks; {} kinds of damage", done.len());
    Row { test, planned, hit: planned, seed, seconds: arena.seconds(), note }.end(&verdict, &server.log());
    assert_eq!(server.terminate(), Some(0));
}
