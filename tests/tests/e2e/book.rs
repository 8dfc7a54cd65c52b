//! The manual in `docs`: every page stands in its table of contents, every link leads somewhere, and every block of SQL runs, but
//! those that are marked `norun`: what they need is not here, or they never end. Blocks of tests are run by the tests of `tidemill test`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidemill_tests::server::{ServerProcess, tidemill_binary};

/// How long a statement may take.
const PATIENCE_MS: &str = "60000";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A page's lines outside of blocks of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Where links lead, code left out.
fn links(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        let spoken: String = line.split('`').step_by(2).collect();
        found.extend(spoken.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()));
    }
    found
}

/// What mdBook and code hosts call a heading's place.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: char| (c.is_alphanumeric() || c == '-' || c == '_').then_some(c).or((c == ' ').then_some('-'));
    headings.map(|heading| heading.chars().filter_map(kept).collect()).collect()
}

/// Blocks that are marked as `sql`.
fn sql_blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```sql" {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

#[test]
fn every_page_stands_in_the_table_of_contents() {
    let listed: BTreeSet<String> = links(&read(&docs().join("SUMMARY.md"))).into_iter().collect();
    let pages = std::fs::read_dir(docs()).expect("docs").map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let pages: BTreeSet<String> = pages.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").collect();
    assert_eq!(listed, pages);
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for name in links(&read(&docs().join("SUMMARY.md"))) {
        for link in links(&read(&docs().join(&name))).into_iter().filter(|link| !link.contains("://")) {
            count += 1;
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { docs().join(&name) } else { docs().join(file) };
            assert!(target.exists(), "{name} links to {link}, which is not there");
            assert!(!file.starts_with(".."), "{name} links to {link}, which the book does not have");
            if let Some(anchor) = anchor {
                assert!(anchors(&read(&target)).contains(anchor), "{name} links to {link}: no such heading");
            }
        }
    }
    assert!(count > 40, "only {count} links were found");
}

/// Runs a page's blocks, one after the other, on a server of its own.
fn run(name: &str, blocks: &[String]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    for block in blocks {
        let mut shell = Command::new(tidemill_binary())
            .args(["shell", &format!("http://{}", server.address()), "--file", "-", "--query-timeout", PATIENCE_MS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the shell starts");
        shell.stdin.take().expect("its input").write_all(block.as_bytes()).expect("it reads");
        let output = shell.wait_with_output().expect("it ends");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "docs/{name}:\n{block}\n{said}");
    }
}

#[test]
fn every_block_of_sql_runs() {
    let mut count = 0;
    for name in links(&read(&docs().join("SUMMARY.md"))) {
        let mut blocks = sql_blocks(&read(&docs().join(&name)));
        blocks.retain(|block| !block.contains("--@test"));
        count += blocks.len();
        if !blocks.is_empty() {
            run(&name, &blocks);
        }
    }
    assert!(count > 25, "only {count} blocks were found");
}
