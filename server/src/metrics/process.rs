//! The process, by the names that Prometheus's own clients give. Where the system does not say, a number is left out.

use super::page::{Kind, Page};

/// Clock ticks a second, as Linux has it on every architecture that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

pub fn write(page: &mut Page) {
    if let Some(stat) = stat() {
        page.one("process_cpu_seconds_total", Kind::Counter, "User and system CPU time.", stat.cpu_seconds);
        page.one("process_threads", Kind::Gauge, "Threads.", stat.threads);
        page.one("process_resident_memory_bytes", Kind::Gauge, "Resident memory.", stat.resident_bytes);
        page.one("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory.", stat.virtual_bytes);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        page.one("process_open_fds", Kind::Gauge, "Open file descriptors.", files.count());
    }
    if let Some(max) = max_files() {
        page.one("process_max_fds", Kind::Gauge, "File descriptors that may be open.", max);
    }
}

struct Stat {
    cpu_seconds: f64,
    threads: u64,
    virtual_bytes: u64,
    resident_bytes: u64,
}

fn stat() -> Option<Stat> {
    parse_stat(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The fields behind the name, which may hold anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Numbered from the state, which is the third field.
    let field = |number: usize| fields.get(number.checked_sub(3)?)?.parse::<u64>().ok();
    let ticks = field(14)?.saturating_add(field(15)?);
    Some(Stat {
        cpu_seconds: ticks as f64 / TICKS_PER_SECOND,
        threads: field(20)?,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)?.saturating_mul(PAGE_BYTES),
    })
}

fn max_files() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_line_is_read_whatever_the_process_is_called() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 150 0 0 20 0 12 0 99 8192000 300 1844 1 1";
        let stat = parse_stat(line).expect("a line");
        assert_eq!((stat.cpu_seconds, stat.threads, stat.virtual_bytes, stat.resident_bytes), (4.0, 12, 8_192_000, 300 * PAGE_BYTES));
        assert!(parse_stat("").is_none() && parse_stat("7 (x) S 1").is_none());
    }
}
