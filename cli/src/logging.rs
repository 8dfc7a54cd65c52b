//! The log of a process: to standard error, filtered by TIDEMILL_LOG.

use std::io::Write;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

/// Libraries that say more than may stand in a log whatever the filter: the parser's tokens are texts of statements, rows
/// that are inserted among them.
const SILENT: [&str; 1] = ["sqlparser"];
/// Libraries that drown everything else below this level; heard where the filter names them.
const QUIET: [(&str, &str); 4] = [("h2", "info"), ("hyper", "info"), ("hyper_util", "info"), ("rustyline", "warn")];

/// Starts logging; what can't be written is lost, and nobody is hindered. `default` is the filter where TIDEMILL_LOG is unset or not understood.
pub fn init(default: &str) {
    let text = std::env::var("TIDEMILL_LOG").ok().filter(|text| EnvFilter::try_new(text).is_ok());
    tracing_subscriber::fmt()
        .with_env_filter(filter(text.as_deref().unwrap_or(default)))
        .with_writer(|| Lines(std::io::stderr()))
        // Colours are control characters, and those of texts from outside are escaped.
        .with_ansi(false)
        .with_target(false)
        // It would say that standard error can't be written to standard error, by a panic.
        .log_internal_errors(false)
        .init();
}

/// Writes what comes at once as one line, whatever stands in it: texts of clients, brokers and registries are in the log, and none
/// of them is to end a line and begin another that looks like ours, or to speak to the terminal.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        // What the log writes is text.
        let text = String::from_utf8_lossy(line);
        let mut escaped = String::with_capacity(bytes.len());
        for c in text.chars() {
            match c {
                '\t' => escaped.push(c),
                // Those that part lines elsewhere, and those that turn the direction of writing.
                '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.extend(c.escape_unicode()),
                c if c.is_control() => escaped.extend(c.escape_default()),
                c => escaped.push(c),
            }
        }
        if line.len() < bytes.len() {
            escaped.push('\n');
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Says something on standard error; as with the log, a full disk or a reader that is gone changes nothing for who speaks.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn filter(text: &str) -> EnvFilter {
    let quiet = QUIET.iter().filter(|(library, _)| !text.contains(library)).map(|(library, level)| format!("{library}={level}"));
    let silent = SILENT.iter().map(|library| format!("{library}=off"));
    let directives = quiet.chain(silent).filter_map(|directive| directive.parse::<Directive>().ok());
    directives.fold(EnvFilter::new(text), EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_says() {
        let mut lines = Lines(Vec::new());
        lines.write_all("INFO schema {\n \"a\"\t1}\r\nINFO forged \u{1b}[2J\u{85}\u{2028} é\n".as_bytes()).expect("written");
        let written = String::from_utf8(lines.0).expect("text");
        assert_eq!(written, "INFO schema {\\n \"a\"\t1}\\r\\nINFO forged \\u{1b}[2J\\u{85}\\u{2028} é\n");
    }

    #[test]
    fn the_parser_is_never_heard_and_libraries_only_where_they_are_named() {
        for (text, heard, unheard) in [
            ("info", &["info", "sqlparser=off"][..], &["h2=debug"][..]),
            ("debug", &["debug", "h2=info", "sqlparser=off"], &[]),
            ("debug,h2=debug", &["h2=debug", "sqlparser=off"], &["h2=info"]),
            ("sqlparser=trace", &["sqlparser=off"], &["sqlparser=trace"]),
        ] {
            let filter = filter(text).to_string();
            let directives: Vec<&str> = filter.split(',').collect();
            assert!(heard.iter().all(|d| directives.contains(d)), "{text}: {filter}");
            assert!(!unheard.iter().any(|d| directives.contains(d)), "{text}: {filter}");
        }
    }
}
