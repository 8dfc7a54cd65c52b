//! A session: runs what comes in, in order, each statement at the endpoint that it belongs to, and shows what comes back.

mod failure;
mod interrupts;
mod local;
mod progress;
mod query;
mod statement;
mod stream;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidemill_parser::ast::Location;
use tidemill_parser::{SUBSTITUTION_PROPERTY, split_script};

use super::lines::{Due, Lines, Piece};
use super::place::Source;
use super::render::{Display, Output};
use super::screen::{Screen, ScreenError};
use crate::client::{Client, Settings};
pub use failure::Ending;
use failure::Failure;
use interrupts::Interrupts;
pub use stream::bare;

/// How deep RUN SCRIPT may nest.
const MAX_SCRIPT_DEPTH: usize = 8;
/// The name of standard input where a file is asked for.
pub const STANDARD_INPUT: &str = "-";

/// What a query or statement may take, where it is limited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Rows of a query.
    pub rows: Option<u64>,
    /// Time of a query or statement.
    pub time: Option<Duration>,
}

type Action = Arc<dyn Fn() + Send + Sync>;

pub struct Session {
    client: Client,
    pub screen: Screen,
    display: Display,
    pub properties: Settings,
    pub variables: Settings,
    limits: Limits,
    interrupts: Interrupts,
    before_pull: Option<Action>,
    /// What was typed, oldest first; `None` where nobody types.
    pub typed: Option<Vec<String>>,
    /// Scripts in one another.
    depth: usize,
}

impl Session {
    /// Needs a runtime that is entered: the session listens for Ctrl-C.
    pub fn new(client: Client, screen: Screen, output: Output, limits: Limits) -> Self {
        let display = Display::new(output, screen.width());
        Session {
            client,
            screen,
            display,
            properties: Settings::new(),
            variables: Settings::new(),
            limits,
            interrupts: Interrupts::new(),
            before_pull: None,
            typed: None,
            depth: 0,
        }
    }

    /// Calls `action`, which may block, before each pull query.
    pub fn before_pull(mut self, action: impl Fn() + Send + Sync + 'static) -> Self {
        self.before_pull = Some(Arc::new(action));
        self
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The display with the terminal's width as it is now.
    fn display(&self) -> Display {
        Display { width: self.screen.width(), ..self.display }
    }

    /// Runs a file, or standard input where the name is `-`.
    pub async fn run_file(&mut self, file: &Path) -> Ending {
        let is_stdin = file.as_os_str() == STANDARD_INPUT;
        let (text, name) = if is_stdin {
            let mut bytes = Vec::new();
            (std::io::stdin().read_to_end(&mut bytes).map(|_| bytes), "stdin".to_owned())
        } else {
            (std::fs::read(file), file.display().to_string())
        };
        match text.map(String::from_utf8) {
            Ok(Ok(text)) => self.run_text(text.trim_start_matches('\u{feff}'), Some(&name)).await,
            Ok(Err(error)) => {
                self.screen.complain(&format!("{name}: not UTF-8 at byte {}", error.utf8_error().valid_up_to()));
                Ending::Failed
            }
            Err(error) => {
                self.screen.complain(&format!("{name}: {error}"));
                Ending::Failed
            }
        }
    }

    /// Runs a whole text until something fails. `name`: of the file that it comes from.
    pub async fn run_text(&mut self, text: &str, name: Option<&str>) -> Ending {
        let mut lines = Lines::default();
        for line in text.lines() {
            for due in lines.push(line) {
                let ending = self.run(&due, name).await;
                if ending != Ending::Done {
                    return ending;
                }
            }
        }
        match lines.end() {
            Some(due) => self.run(&due, name).await,
            None => Ending::Done,
        }
    }

    /// Runs a piece of a text until something fails, and says what.
    pub async fn run(&mut self, due: &Due, name: Option<&str>) -> Ending {
        let result = match &due.piece {
            Piece::Command(command) => {
                let source = Source { text: command, first_line: due.line, file: name };
                let result = Box::pin(self.command(command)).await;
                result.map_err(|failure| failure.at(Location { line: 1, column: 1 }, source))
            }
            Piece::Sql(sql) => self.run_statements(sql, due.line, name).await,
        };
        // What was held back comes before the complaint.
        let shown = self.screen.end_section();
        match result.and_then(|()| shown.map_err(Failure::from)) {
            Ok(()) => Ending::Done,
            Err(failure) => self.fail(failure),
        }
    }

    async fn run_statements(&mut self, sql: &str, first_line: u32, name: Option<&str>) -> Result<(), Failure> {
        let source = Source { text: sql, first_line, file: name };
        for raw in split_script(sql) {
            self.run_statement(&raw).await.map_err(|failure| failure.at(raw.span.start, source))?;
        }
        Ok(())
    }

    /// Says what failed.
    fn fail(&mut self, failure: Failure) -> Ending {
        match failure {
            Failure::Left => Ending::Left,
            Failure::Said => Ending::Failed,
            Failure::Interrupted => Ending::Interrupted,
            // Who left has no need of a message.
            Failure::Screen(ScreenError::Closed) => Ending::Unread,
            Failure::Screen(ScreenError::PagerLeft) => Ending::Done,
            other => {
                self.screen.complain(&other.to_string());
                Ending::Failed
            }
        }
    }

    /// The text with the values of variables, where substitution is on. The server puts them in by itself: this is for
    /// what the shell must understand of a statement.
    fn substituted(&self, sql: &str) -> Result<String, Failure> {
        let off = self.properties.get(SUBSTITUTION_PROPERTY).is_some_and(|value| value.eq_ignore_ascii_case("false"));
        if off || !sql.contains("${") {
            return Ok(sql.to_owned());
        }
        let variables: BTreeMap<String, String> = self.variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        tidemill_parser::substitute(sql, &variables).map_err(Failure::Parse)
    }

    /// A message about what was done. Beside results for other programs it goes to standard error.
    fn note(&mut self, text: &str) -> Result<(), Failure> {
        if self.display.output.is_for_programs() {
            self.screen.complain(text);
            return Ok(());
        }
        Ok(self.screen.line(text)?)
    }
}
