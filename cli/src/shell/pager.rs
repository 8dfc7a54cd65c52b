//! The program that shows what is longer than the screen: `$TIDEMILL_PAGER`, else `$PAGER`, else `less`.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use super::screen::ScreenError;

/// What `less` does unless `$LESS` says otherwise: quit where all fits, pass colours on, keep the screen, and cut long lines
/// rather than break tables.
const LESS: &str = "FRXS";

pub struct Pager(Child);

impl Pager {
    pub fn start() -> Result<Self, ScreenError> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let program = set("TIDEMILL_PAGER").or_else(|| set("PAGER")).unwrap_or_else(|| "less".to_owned());
        // A machine without the program still shows the result.
        let script = format!("{program} || cat");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        if set("LESS").is_none() {
            command.env("LESS", LESS);
        }
        Ok(Pager(command.spawn()?))
    }

    pub fn write(&mut self, text: &str) -> Result<(), ScreenError> {
        let Some(input) = &mut self.0.stdin else { return Err(ScreenError::PagerLeft) };
        match writeln!(input, "{text}") {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                let _ = self.0.wait();
                Err(ScreenError::PagerLeft)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it is left.
    pub fn wait(mut self) {
        drop(self.0.stdin.take());
        // How it ended does not matter to the result.
        let _ = self.0.wait();
    }
}
