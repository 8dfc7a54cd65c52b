//! The shell's flags.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgMatches, Args, FromArgMatches};
use tidemill_server::config::file::Entry;

use super::Session;
use super::login::LoginArgs;
use super::render::Output;
use super::session::Limits;
use crate::client::{Client, ClientError};
use crate::properties_file;

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The server
    #[arg(default_value = "http://127.0.0.1:8088", env = "TIDEMILL_SERVER")]
    pub url: String,
    #[command(flatten)]
    scripts: Scripts,
    /// How results are shown
    #[arg(long, value_enum, ignore_case = true, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

impl ShellArgs {
    /// What -e and -f ask for, in the order in which they were given.
    pub fn scripts(&self) -> Vec<Script> {
        self.scripts.0.clone()
    }
}

/// How a server is spoken to, and what a session begins with.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    #[command(flatten)]
    login: LoginArgs,
    /// Defines a variable, as DEFINE does
    #[arg(short = 'd', long = "define", value_name = "NAME=VALUE")]
    define: Vec<String>,
    /// Properties of the session, as SET gives them; also ssl.… and tidemill.client.user, .password, .token
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Rows after which a query is stopped
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    query_row_limit: Option<u64>,
    /// Time after which a query is stopped and a statement given up, milliseconds
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    query_timeout: Option<u64>,
}

impl ConnectArgs {
    /// # Errors
    /// The URL is none, a name has no password, or a certificate can't be used.
    pub fn client(&self, url: &str) -> Result<Client, ClientError> {
        self.login.client(url, &self.entries().map_err(ClientError::Url)?)
    }

    /// What stands in the configuration file.
    fn entries(&self) -> Result<Vec<Entry>, String> {
        let Some(path) = &self.config_file else { return Ok(Vec::new()) };
        let entries = properties_file::read(path)?;
        match entries.iter().find_map(|entry| LoginArgs::unknown(&entry.name).map(|reason| (entry.line, reason))) {
            Some((line, reason)) => Err(format!("{}:{line}: {reason}", path.display())),
            None => Ok(entries),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits { rows: self.query_row_limit, time: self.query_timeout.map(Duration::from_millis) }
    }

    /// Gives the session its properties and variables.
    ///
    /// # Errors
    /// A file that can't be read, a property that the server refuses, a variable that is written wrong; the text says which.
    pub async fn prepare(&self, session: &mut Session) -> Result<(), String> {
        let path = self.config_file.as_deref().unwrap_or(Path::new("")).display();
        for entry in self.entries()?.into_iter().filter(|entry| !LoginArgs::takes(&entry.name)) {
            let refused = |reason: String| format!("{path}:{}: {reason}", entry.line);
            session.check_property(&entry.name, &entry.value).await.map_err(|failure| refused(failure.to_string()))?;
            session.properties.insert(entry.name, entry.value);
        }
        for text in &self.define {
            let (name, value) = definition(text)?;
            session.put_variable(name, value);
        }
        Ok(())
    }
}

/// The name and the value of a variable, as `--define` has them.
///
/// # Errors
/// What is wrong with the text.
pub fn definition(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("--define {text}: write name=value"))?;
    let (name, value) = (name.trim(), unquoted(value.trim()));
    let statement = format!("DEFINE {name} = '{}';", value.replace('\'', "''"));
    tidemill_parser::parse_statement(&statement)
        .map_err(|_| format!("--define {text}: '{name}' is no name: letters, digits and _, and no digit first"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A value without the single quotes that it would have in SQL.
fn unquoted(value: &str) -> &str {
    value.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')).unwrap_or(value)
}

/// SQL to run before leaving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    Text(String),
    File(PathBuf),
}

/// -e and -f, in the order in which they were given.
#[derive(Debug, Clone, Default)]
struct Scripts(Vec<Script>);

#[derive(Debug, Args)]
struct ScriptArgs {
    /// Run this SQL and leave; with -f, in the order given
    #[arg(short = 'e', long = "execute", value_name = "SQL")]
    execute: Vec<String>,
    /// Run this file and leave (-: standard input)
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
}

impl FromArgMatches for Scripts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let args = ScriptArgs::from_arg_matches(matches)?;
        let places = |id: &str| matches.indices_of(id).into_iter().flatten();
        let texts = places("execute").zip(args.execute.into_iter().map(Script::Text));
        let files = places("file").zip(args.file.into_iter().map(Script::File));
        let mut scripts: Vec<(usize, Script)> = texts.chain(files).collect();
        scripts.sort_by_key(|(place, _)| *place);
        Ok(Scripts(scripts.into_iter().map(|(_, script)| script).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Scripts {
    fn augment_args(command: clap::Command) -> clap::Command {
        ScriptArgs::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ScriptArgs::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: ShellArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<ShellArgs, clap::Error> {
        let program = std::iter::once("shell").chain(arguments.iter().copied());
        <Cli as clap::Parser>::try_parse_from(program).map(|cli| cli.args)
    }

    #[test]
    fn texts_and_files_keep_their_order() {
        let args = parsed(&["-e", "A;", "-f", "x.sql", "-f", "-", "-e", "B;"]).expect("parses");
        let (text, file) = (|t: &str| Script::Text(t.into()), |f: &str| Script::File(f.into()));
        assert_eq!(args.scripts(), [text("A;"), file("x.sql"), file("-"), text("B;")]);
    }

    #[test]
    fn a_password_needs_a_name() {
        assert!(parsed(&["-p", "x"]).is_err() && parsed(&["-u", "x", "-p", "y"]).is_ok());
        assert!(parsed(&["--query-row-limit", "0"]).is_err());
        assert_eq!(parsed(&["--output", "TABULAR"]).expect("parses").output, Output::Table);
    }
}
