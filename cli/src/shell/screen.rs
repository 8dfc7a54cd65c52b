//! Where the session writes: standard output, a pager for what is longer than the screen, and the spool file beside it.
//! Nothing here panics: a reader that left and a full disk are errors like others.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use super::pager::Pager;
use super::render::terminal_size;

/// Why something could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// Whoever read the output has left.
    #[error("nobody reads the output any more")]
    Closed,
    /// The pager was left: its reader has seen enough.
    #[error("the pager was left")]
    PagerLeft,
    #[error("the output can't be written: {0}")]
    Failed(io::Error),
    #[error("the spool file {} can't be written: {error}", path.display())]
    Spool { path: PathBuf, error: io::Error },
}

impl From<io::Error> for ScreenError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => ScreenError::Closed,
            _ => ScreenError::Failed(error),
        }
    }
}

/// What a result is written to until it is known whether it fits the screen.
enum Section {
    /// Text that fits so far, with the lines that it takes.
    Held {
        text: String,
        lines: usize,
    },
    Paged(Pager),
}

pub struct Screen {
    out: BufWriter<Stdout>,
    terminal: bool,
    /// Whether long results go to a pager; only at a terminal where somebody types.
    pub paging: bool,
    section: Option<Section>,
    spool: Option<(PathBuf, File)>,
}

impl Screen {
    pub fn new(interactive: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Screen { out: BufWriter::new(io::stdout()), terminal, paging: interactive && terminal, section: None, spool: None }
    }

    /// The terminal's columns; `None` where the output is no terminal.
    pub fn width(&self) -> Option<usize> {
        self.terminal.then(|| terminal_size().0)
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a text and ends the line.
    pub fn line(&mut self, text: &str) -> Result<(), ScreenError> {
        self.record(text)?;
        if let Some(section) = &mut self.section {
            let result = section.line(text);
            if !matches!(result, Ok(())) {
                self.section = None;
            }
            return result;
        }
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    /// What was written so far is shown.
    pub fn flush(&mut self) -> Result<(), ScreenError> {
        Ok(self.out.flush()?)
    }

    /// From here to [`Self::end_section`] is one result: a pager shows it if it is longer than the screen.
    pub fn begin_section(&mut self) {
        if self.paging {
            self.section = Some(Section::Held { text: String::new(), lines: 0 });
        }
    }

    /// Shows what was held back, or waits until the pager is left.
    pub fn end_section(&mut self) -> Result<(), ScreenError> {
        match self.section.take() {
            Some(Section::Held { text, .. }) => self.out.write_all(text.as_bytes())?,
            Some(Section::Paged(pager)) => pager.wait(),
            None => {}
        }
        self.flush()
    }

    /// An error or a note beside the results: on standard error, and in the spool file.
    pub fn complain(&mut self, text: &str) {
        // In the order in which things happened. Nobody can be told where neither can be written.
        let _ = self.out.flush();
        let _ = writeln!(io::stderr(), "{text}");
        let _ = self.record(text);
    }

    /// Begins to write everything to a file as well.
    pub fn spool_to(&mut self, path: &Path) -> Result<(), ScreenError> {
        let file = File::create(path).map_err(|error| ScreenError::Spool { path: path.to_owned(), error })?;
        self.spool = Some((path.to_owned(), file));
        Ok(())
    }

    /// Ends that; the file's name, if there was one.
    pub fn spool_off(&mut self) -> Option<PathBuf> {
        self.spool.take().map(|(path, _)| path)
    }

    /// Writes to the spool file alone: what was typed.
    pub fn record(&mut self, text: &str) -> Result<(), ScreenError> {
        let Some((_, file)) = &mut self.spool else { return Ok(()) };
        let written = writeln!(file, "{text}");
        match (written, self.spool.take()) {
            (Err(error), Some((path, _))) => Err(ScreenError::Spool { path, error }),
            (_, spool) => {
                self.spool = spool;
                Ok(())
            }
        }
    }
}

impl Section {
    fn line(&mut self, text: &str) -> Result<(), ScreenError> {
        match self {
            Section::Paged(pager) => pager.write(text),
            Section::Held { text: held, lines } => {
                held.push_str(text);
                held.push('\n');
                *lines += text.lines().count().max(1);
                // The prompt takes a line.
                if *lines < terminal_size().1.saturating_sub(1) {
                    return Ok(());
                }
                let mut pager = Pager::start()?;
                pager.write(held.trim_end_matches('\n'))?;
                *self = Section::Paged(pager);
                Ok(())
            }
        }
    }
}
