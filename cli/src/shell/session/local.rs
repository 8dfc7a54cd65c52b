//! What stays in the session: properties, variables, and the shell's own commands.

use std::io::Write;

use clap::ValueEnum;

use super::{Failure, Session};
use crate::client::Client;
use crate::shell::commands::{self, Command, HELP};
use crate::shell::render::Output;

impl Session {
    pub(super) async fn set(&mut self, name: String, value: String) -> Result<(), Failure> {
        self.check_property(&name, &value).await?;
        let note = match self.properties.insert(name.clone(), value.clone()) {
            Some(before) => format!("{name} is now '{value}' (it was '{before}')."),
            None => format!("{name} is now '{value}'."),
        };
        self.note(&note)
    }

    pub(super) fn unset(&mut self, name: Option<&str>) -> Result<(), Failure> {
        let note = match name {
            None => {
                self.properties.clear();
                "All properties are as the server has them.".to_owned()
            }
            Some(name) => match self.properties.shift_remove(name) {
                Some(value) => format!("{name} is no longer '{value}'; the server's value holds."),
                None => match tidemill_parser::did_you_mean(name, self.properties.keys().map(String::as_str)) {
                    Some(meant) => format!("{name} was not set. Did you mean '{meant}'?"),
                    None => format!("{name} was not set."),
                },
            },
        };
        self.note(&note)
    }

    pub(super) fn define(&mut self, name: String, value: String) -> Result<(), Failure> {
        let note = format!("${{{name}}} stands for '{value}'.");
        self.put_variable(name, value);
        self.note(&note)
    }

    pub(super) fn undefine(&mut self, name: &str) -> Result<(), Failure> {
        let note = match self.remove_variable(name) {
            true => format!("${{{name}}} is no longer defined."),
            false => format!("{name} was not defined."),
        };
        self.note(&note)
    }

    /// Sets a variable, in whichever case it was named before.
    pub fn put_variable(&mut self, name: String, value: String) {
        self.remove_variable(&name);
        self.variables.insert(name, value);
    }

    /// Forgets a variable, in whichever case it is named. Whether there was one.
    fn remove_variable(&mut self, name: &str) -> bool {
        let defined = tidemill_parser::same_variable(name, self.variables.keys()).cloned();
        defined.is_some_and(|defined| self.variables.shift_remove(&defined).is_some())
    }

    /// A command of the shell.
    pub(super) async fn command(&mut self, text: &str) -> Result<(), Failure> {
        let command = match commands::parse(text) {
            Some(Ok(command)) => command,
            Some(Err(reason)) => return Err(Failure::Other(reason)),
            None => return Err(Failure::Other(format!("{text} is no command of the shell"))),
        };
        match command {
            Command::Help => Ok(self.screen.line(HELP)?),
            Command::Exit => Err(Failure::Left),
            Command::Version => Ok(self.screen.line(&format!("tidemill {}", env!("CARGO_PKG_VERSION")))?),
            Command::Clear => {
                if self.screen.is_terminal() {
                    self.screen.flush()?;
                    let mut out = std::io::stdout();
                    // A terminal that can't be written to shows nothing anyway.
                    let _ = out.write_all(b"\x1b[H\x1b[2J\x1b[3J").and_then(|()| out.flush());
                }
                Ok(())
            }
            Command::History(count) => self.show_history(count),
            Command::Server(None) => Ok(self.screen.line(self.client.url().to_owned().as_str())?),
            Command::Server(Some(url)) => self.change_server(&url).await,
            Command::Output(None) => {
                let forms: Vec<String> =
                    Output::value_variants().iter().filter_map(ValueEnum::to_possible_value).map(|v| v.get_name().to_owned()).collect();
                Ok(self.screen.line(&format!("Output is one of {}.", forms.join(", ")))?)
            }
            Command::Output(Some(output)) => {
                self.display.output = output;
                self.note(&format!("Results are shown as {}.", name(output)))
            }
            Command::ToggleVertical => {
                let on = self.display.output != Output::Vertical;
                self.vertical(Some(on))
            }
            Command::Vertical(on) => self.vertical(on),
            Command::Wrap(on) => {
                self.display.wrap = on;
                self.note(if on { "Long values go on in further lines." } else { "Long values are cut." })
            }
            Command::ColumnWidth(width) => {
                self.display.column_width = width;
                self.note(&width.map_or("Columns share out the width.".to_owned(), |width| format!("Columns are {width} wide.")))
            }
            Command::Pager(on) => {
                self.screen.paging = on && self.screen.is_terminal();
                self.note(if self.screen.paging { "Long results go to the pager." } else { "Long results are not paged." })
            }
            // Scripts for ksqlDB's shell set it.
            Command::RequestPipelining(Some(true)) => {
                self.note("Statements are run one behind the other all the same: each waits for those before it.")
            }
            Command::RequestPipelining(_) => self.note("Each statement waits for those before it (REQUEST_PIPELINING is OFF)."),
            Command::Spool(path) => {
                self.screen.spool_to(&path)?;
                self.note(&format!("Everything is written to {} as well.", path.display()))
            }
            Command::SpoolOff => {
                let note = match self.screen.spool_off() {
                    Some(path) => format!("Nothing more is written to {}.", path.display()),
                    None => "Nothing was being written to a file.".to_owned(),
                };
                self.note(&note)
            }
            Command::RunScript(path) => self.run_script(&path).await,
        }
    }

    fn vertical(&mut self, on: Option<bool>) -> Result<(), Failure> {
        self.display.output = if on == Some(true) { Output::Vertical } else { Output::Table };
        self.display.auto_vertical = on.is_none();
        self.note(match on {
            Some(true) => "Rows are shown upright.",
            Some(false) => "Rows are shown as tables.",
            None => "Rows are shown upright where they could not be read as tables.",
        })
    }

    fn show_history(&mut self, count: Option<usize>) -> Result<(), Failure> {
        let Some(typed) = &self.typed else {
            return Err(Failure::Other("There is no history: nothing is typed here".to_owned()));
        };
        let first = typed.len().saturating_sub(count.unwrap_or(usize::MAX));
        let lines: Vec<String> = typed.iter().enumerate().skip(first).map(|(at, text)| format!("{:>5}  {text}", at + 1)).collect();
        self.screen.begin_section();
        for line in lines {
            self.screen.line(&line)?;
        }
        Ok(self.screen.end_section()?)
    }

    async fn change_server(&mut self, url: &str) -> Result<(), Failure> {
        let client: Client = self.client.at(url)?;
        self.limited(client.info()).await?;
        self.client = client;
        let note = format!("Statements go to {} from now on.", self.client.url());
        self.note(&note)
    }
}

fn name(output: Output) -> String {
    output.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
