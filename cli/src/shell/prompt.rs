//! The prompt: lines are read until a statement is complete, then it runs.
//!
//! The editor works on a thread of its own, so that connections are looked after while somebody types.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, History, SearchDirection};
use rustyline::{CompletionType, Config, Editor};
use tidemill_parser::Open;
use tidemill_server::config::is_secret;

use super::complete::{Known, ShellHelper};
use super::lines::{Due, Lines, Piece};
use super::session::{Ending, Session};

/// Statements that the history keeps.
const HISTORY_LENGTH: usize = 1_000;
/// Candidates that are listed without asking.
const LISTED_AT_ONCE: usize = 200;
/// The prompt; the others are as wide, and show what is open.
const PROMPT: &str = "tidemill> ";

type ShellEditor = Editor<ShellHelper, FileHistory>;

/// Reads and runs until `exit` or the end of input; the exit code.
pub async fn interact(mut session: Session, version: &str) -> i32 {
    let greeting =
        format!("Tidemill {version} at {}. Statements end with `;`. Type `help` for help, `exit` to leave.\n", session.client().url());
    if session.screen.line(&greeting).and_then(|()| session.screen.flush()).is_err() {
        return Ending::Unread.code();
    }
    let known = Arc::new(Known::default());
    let mut editor = match open_editor(known.clone()) {
        Ok(editor) => editor,
        Err(error) => {
            session.screen.complain(&format!("the terminal can't be used: {error}"));
            return 1;
        }
    };
    let mut history = HistoryFile::open(&mut editor, &mut session);
    let mut lines = Lines::default();
    known.refresh(&session);
    loop {
        known.set_typed(lines.pending());
        let prompt = prompt(lines.open());
        let (used, read) = match read_line(editor, prompt).await {
            Ok(read) => read,
            Err(reason) => {
                session.screen.complain(&reason);
                return 1;
            }
        };
        editor = used;
        match read {
            Ok(line) => {
                for due in line.split('\n').flat_map(|line| lines.push(line)) {
                    match run(&mut session, &mut editor, &mut history, &due).await {
                        Ending::Left => return 0,
                        Ending::Unread => return Ending::Unread.code(),
                        // Nothing else of what was pasted runs.
                        Ending::Interrupted => break,
                        Ending::Done | Ending::Failed => {}
                    }
                }
                known.refresh(&session);
            }
            // Ctrl-C drops what is typed, Ctrl-D leaves.
            Err(ReadlineError::Interrupted) => {
                if lines.pending().is_empty() {
                    session.screen.complain("(`exit` or Ctrl-D leaves)");
                }
                lines = Lines::default();
            }
            Err(ReadlineError::Eof) => return 0,
            Err(error) => {
                session.screen.complain(&error.to_string());
                return 1;
            }
        }
    }
}

fn open_editor(known: Arc<Known>) -> Result<ShellEditor, ReadlineError> {
    let config = Config::builder()
        .max_history_size(HISTORY_LENGTH)?
        .auto_add_history(false)
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .completion_prompt_limit(LISTED_AT_ONCE)
        .build();
    let mut editor = ShellEditor::with_config(config)?;
    editor.set_helper(Some(ShellHelper::new(known)));
    Ok(editor)
}

type Read = (ShellEditor, Result<String, ReadlineError>);

async fn read_line(mut editor: ShellEditor, prompt: String) -> Result<Read, String> {
    let read = move || {
        let line = editor.readline(&prompt);
        (editor, line)
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| format!("the terminal can't be used: {error}"))
}

/// Runs what is complete, once it stands in the history.
async fn run(session: &mut Session, editor: &mut ShellEditor, history: &mut HistoryFile, due: &Due) -> Ending {
    let (Piece::Command(text) | Piece::Sql(text)) = &due.piece;
    let text = text.trim();
    history.add(editor, session, text);
    if session.screen.record(&format!("{PROMPT}{text}")).is_err() {
        session.screen.complain("the spool file can't be written any more");
    }
    // What was typed has its own lines, from 1.
    let ending = session.run(&Due { piece: due.piece.clone(), line: 1 }, None).await;
    if session.screen.flush().is_err() { Ending::Unread } else { ending }
}

/// The prompt for what is open.
fn prompt(open: Option<Open>) -> String {
    let sign = match open {
        None => return PROMPT.to_owned(),
        Some(Open::Statement) => '-',
        Some(Open::Quote(quote)) => quote,
        Some(Open::Comment) => '*',
        Some(Open::Paren) => '(',
        Some(Open::Bracket) => '[',
    };
    format!("{}{sign}> ", " ".repeat(PROMPT.len() - "-> ".len()))
}

/// The file that the history is kept in; without a home there is none.
struct HistoryFile(Option<PathBuf>);

impl HistoryFile {
    fn open(editor: &mut ShellEditor, session: &mut Session) -> Self {
        let file = std::env::var_os("HOME").map(|home| Path::new(&home).join(".tidemill").join("history"));
        if let Some(file) = &file {
            if let Some(folder) = file.parent() {
                // Said once it matters: when something is to be kept.
                let _ = std::fs::create_dir_all(folder);
            }
            // The first start has none.
            let _ = editor.load_history(file);
        }
        let history = editor.history();
        let entries = (0..history.len()).filter_map(|at| history.get(at, SearchDirection::Forward).ok().flatten());
        session.typed = Some(entries.map(|found| found.entry.into_owned()).collect());
        HistoryFile(file)
    }

    /// Adds what was typed, and writes it at once: a shell that is killed loses nothing. What holds a secret is not kept.
    fn add(&mut self, editor: &mut ShellEditor, session: &mut Session, text: &str) {
        if holds_secret(text) {
            return;
        }
        if !matches!(editor.add_history_entry(text), Ok(true)) {
            return;
        }
        session.typed.get_or_insert_default().push(text.to_owned());
        if let Some(file) = &self.0
            && let Err(error) = editor.append_history(file)
        {
            session.screen.complain(&format!("the history can't be kept in {}: {error}", file.display()));
            self.0 = None;
        }
    }
}

/// Whether a statement gives a secret away: a connector's properties, or a property or a variable whose name says so.
fn holds_secret(text: &str) -> bool {
    if tidemill_parser::hide_values(text) != text {
        return true;
    }
    let mut words = text.split_ascii_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    let sets = ["SET", "DEFINE"].iter().any(|word| is(first, word)) || (is(first, "ALTER") && is(second, "SYSTEM"));
    sets && text.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '=')).any(is_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_give_secrets_away_are_known() {
        for text in [
            "SET 'sasl.password'='x';",
            "set 'sasl.jaas.config' = 'x';",
            "DEFINE password = 'x';",
            "ALTER SYSTEM 'ssl.key.password'='x';",
            "CREATE SINK CONNECTOR c WITH ('connector.class'='X', 'connection.password'='y');",
        ] {
            assert!(holds_secret(text), "{text}");
        }
        for text in ["SET 'auto.offset.reset'='earliest';", "DEFINE a = 'b';", "SHOW STREAMS;", "SELECT password FROM users EMIT CHANGES;"]
        {
            assert!(!holds_secret(text), "{text}");
        }
    }

    #[test]
    fn prompts_are_of_one_width() {
        assert_eq!(prompt(None), "tidemill> ");
        assert_eq!(prompt(Some(Open::Statement)), "       -> ");
        assert_eq!(prompt(Some(Open::Quote('\''))), "       '> ");
        assert_eq!(prompt(Some(Open::Paren)), "       (> ");
    }
}
