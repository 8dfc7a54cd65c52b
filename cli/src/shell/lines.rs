//! Lines to what can be run: a command of the shell, or text whose statements are all closed. Typing, pasting, pipes and
//! files all come this way.

use tidemill_parser::{Open, open, split_script};

use super::commands;

/// Something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A command of the shell, or something that looks like one.
    Command(String),
    /// Statements.
    Sql(String),
}

/// Something to run, and the line (from 1) that it begins in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub piece: Piece,
    pub line: u32,
}

/// Gathers lines.
#[derive(Debug, Default)]
pub struct Lines {
    pending: String,
    /// Where `pending` begins.
    first: u32,
    /// Lines taken so far.
    taken: u32,
}

impl Lines {
    /// Takes a line without its end; what can be run now, in order.
    pub fn push(&mut self, line: &str) -> Vec<Due> {
        self.taken = self.taken.saturating_add(1);
        let mut due = Vec::new();
        let mut rest = line;
        // A command ends with its semicolon or its line; what follows begins anew.
        while self.pending.trim().is_empty() {
            let Some((command, after)) = command(rest) else { break };
            due.push(Due { piece: Piece::Command(command.to_owned()), line: self.taken });
            rest = after;
        }
        if self.pending.trim().is_empty() {
            self.pending.clear();
            if rest.trim().is_empty() {
                return due;
            }
            self.first = self.taken;
        } else {
            self.pending.push('\n');
        }
        self.pending.push_str(rest);
        // Only a semicolon, or the end of a comment, completes anything.
        if (rest.contains(';') || rest.contains("--") || rest.contains("*/")) && is_complete(&self.pending) {
            due.extend(self.end());
        }
        due
    }

    /// What is left when no more lines come.
    pub fn end(&mut self) -> Option<Due> {
        let pending = std::mem::take(&mut self.pending);
        (!pending.trim().is_empty()).then_some(Due { piece: Piece::Sql(pending), line: self.first })
    }

    /// What was typed of the statement that is open.
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// What waits for its end; `None` between statements.
    pub fn open(&self) -> Option<Open> {
        (!self.pending.is_empty()).then(|| open(&self.pending))
    }
}

/// Whether nothing is open: each statement has its semicolon.
fn is_complete(text: &str) -> bool {
    split_script(text).last().is_none_or(|statement| statement.terminated) && open(text) == Open::Statement
}

/// The command that a text begins with, and what follows it.
fn command(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    // Whether it is written right is told when it runs.
    let _ = commands::parse(text.split(';').next()?)?;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match quote {
            None if c == ';' => return Some((&text[..at], &text[at + 1..])),
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
    }
    Some((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(lines: &[&str]) -> Vec<(u32, String)> {
        let mut gathered = Lines::default();
        let mut due: Vec<Due> = lines.iter().flat_map(|line| gathered.push(line)).collect();
        due.extend(gathered.end());
        due.into_iter()
            .map(|due| match due.piece {
                Piece::Command(text) => (due.line, format!("command {text}")),
                Piece::Sql(text) => (due.line, text),
            })
            .collect()
    }

    #[test]
    fn lines_become_statements_and_commands() {
        let expected = |list: &[(u32, &str)]| list.iter().map(|(n, t)| (*n, (*t).to_owned())).collect::<Vec<_>>();
        for (lines, due) in [
            (&["SHOW TOPICS;", "", "SELECT *", " FROM s;"][..], &[(1, "SHOW TOPICS;"), (3, "SELECT *\n FROM s;")][..]),
            (&["exit"], &[(1, "command exit")]),
            (&["SHOW TOPICS;", "exit"], &[(1, "SHOW TOPICS;"), (2, "command exit")]),
            (&["clear; SHOW TOPICS; help;"], &[(1, "command clear"), (1, " SHOW TOPICS; help;")]),
            (&["SELECT 'a;", "exit", "b';"], &[(1, "SELECT 'a;\nexit\nb';")]),
            (&["-- a; b", "SHOW TOPICS"], &[(1, "-- a; b"), (2, "SHOW TOPICS")]),
            (&["/* one;", "two */", "SHOW TOPICS;"], &[(1, "/* one;\ntwo */"), (3, "SHOW TOPICS;")]),
            (&["SPOOL 'a;b'; SHOW TOPICS;"], &[(1, "command SPOOL 'a;b'"), (1, " SHOW TOPICS;")]),
            (&["SELECT 1; SELECT", "2;"], &[(1, "SELECT 1; SELECT\n2;")]),
        ] {
            assert_eq!(pieces(lines), expected(due), "{lines:?}");
        }
    }

    #[test]
    fn what_is_open_is_known() {
        let mut lines = Lines::default();
        assert_eq!(lines.open(), None);
        for (line, open) in [("SELECT (", Open::Paren), ("'it", Open::Quote('\'')), ("' ) FROM", Open::Statement), ("`x", Open::Quote('`'))]
        {
            lines.push(line);
            assert_eq!(lines.open(), Some(open), "{line}");
        }
    }
}
