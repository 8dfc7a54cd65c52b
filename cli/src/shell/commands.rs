//! Commands of the shell itself: they begin a line, need no semicolon and never reach the server.

use std::path::PathBuf;

use clap::ValueEnum;

use super::render::Output;

pub const HELP: &str = "\
Statements end with `;` and may span lines. Some to begin with:

  SHOW TOPICS;  SHOW STREAMS;  SHOW TABLES;  SHOW QUERIES;  SHOW FUNCTIONS;
  DESCRIBE name [EXTENDED];    DESCRIBE FUNCTION name;      EXPLAIN query;
  PRINT topic FROM BEGINNING LIMIT 3;
  CREATE STREAM s (id VARCHAR KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
  INSERT INTO s (id, v) VALUES ('a', 1);
  CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;
  SELECT * FROM t WHERE id = 'a';          what the table holds now
  SELECT * FROM t EMIT CHANGES;            a table's rows, then every change; Ctrl-C stops it
  SET 'auto.offset.reset'='earliest';      begin at the first record instead
  DEFINE topic = 's';                      ${topic} stands for it from now on

Commands of the shell, which need no semicolon:
  help, \\?                 this text
  exit, quit, \\q           leaves (so does Ctrl-D)
  history [n], \\s          the statements typed so far, or the last n
  output table|vertical|csv|tsv|json
                           how results are shown
  \\x                       rows upright, or as tables again (SET CLI VERTICAL ON|OFF|AUTO)
  SET CLI WRAP ON|OFF      long values go on in further lines, or are cut
  SET CLI COLUMN-WIDTH n   how wide a column is (0: shared out)
  SET CLI PAGER ON|OFF     long results go to $PAGER
  SPOOL 'file', SPOOL OFF  writes everything to a file as well
  RUN SCRIPT 'file', \\i    runs a file
  server [url]             which server; or talks to another one
  clear                    an empty screen
  version                  of the shell

Tab completes names and keywords. Ctrl-C cancels what is typed or under way.";

/// What can follow SET CLI.
pub const CLI_SETTINGS: [&str; 4] = ["WRAP", "COLUMN-WIDTH", "VERTICAL", "PAGER"];
/// First words of commands, as they are offered.
pub const COMMANDS: [&str; 10] = ["HELP", "EXIT", "QUIT", "HISTORY", "OUTPUT", "SPOOL", "RUN SCRIPT", "SERVER", "CLEAR", "VERSION"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Help,
    Exit,
    Clear,
    Version,
    /// The last so many statements, or all.
    History(Option<usize>),
    /// The server's address, or another server.
    Server(Option<String>),
    /// The form of results, or what it can be.
    Output(Option<Output>),
    /// Upright rows on or off.
    ToggleVertical,
    Spool(PathBuf),
    SpoolOff,
    RunScript(PathBuf),
    Wrap(bool),
    /// Terminal columns; none: shared out.
    ColumnWidth(Option<usize>),
    /// `None`: as the width asks for.
    Vertical(Option<bool>),
    Pager(bool),
    /// Of ksqlDB's shell: whether a statement waits for those before it, or, without a word, which of the two.
    RequestPipelining(Option<bool>),
}

/// The command that a text is; `None` where it is SQL.
///
/// # Errors
/// A command that is written wrong; the text says what would be right.
pub fn parse(text: &str) -> Option<Result<Command, String>> {
    let words = words(text);
    let mut rest = words.iter().map(String::as_str);
    let first = rest.next()?.to_ascii_lowercase();
    let arguments: Vec<&str> = rest.collect();
    let second = arguments.first().map(|word| word.to_ascii_uppercase());
    let command = match (first.as_str(), second.as_deref()) {
        ("set" | "unset", Some("CLI")) => return Some(cli_setting(arguments.get(1..).unwrap_or_default())),
        ("run", Some("SCRIPT")) | ("\\i", _) => {
            let file = if first == "run" { arguments.get(1..) } else { arguments.get(..) };
            match file {
                Some([file]) => Ok(Command::RunScript(file.into())),
                _ => Err("Write RUN SCRIPT 'file';".to_owned()),
            }
        }
        ("help" | "\\?" | "\\h", _) => Ok(Command::Help),
        ("exit" | "quit" | "\\q", None) => Ok(Command::Exit),
        ("clear", None) => Ok(Command::Clear),
        ("version", None) => Ok(Command::Version),
        ("\\x", None) => Ok(Command::ToggleVertical),
        ("\\x", Some(_)) => return Some(cli_setting(&["VERTICAL", arguments.first().unwrap_or(&"")])),
        ("history" | "\\s", None) => Ok(Command::History(None)),
        ("history" | "\\s", Some(count)) => count
            .parse()
            .map(|count| Command::History(Some(count)))
            .map_err(|_| "Write history, or history and how many statements".to_owned()),
        ("server", None) => Ok(Command::Server(None)),
        ("server", Some(_)) if arguments.len() == 1 => Ok(Command::Server(arguments.first().map(|url| (*url).to_owned()))),
        ("output", None) => Ok(Command::Output(None)),
        ("output", Some(form)) => Output::from_str(form, true).map(|form| Command::Output(Some(form))).map_err(|_| {
            let forms: Vec<String> =
                Output::value_variants().iter().filter_map(|o| o.to_possible_value()).map(|v| v.get_name().to_owned()).collect();
            format!("Output is one of {}", forms.join(", "))
        }),
        ("spool" | "\\o", Some("OFF")) | ("\\o", None) => Ok(Command::SpoolOff),
        ("spool" | "\\o", Some(_)) if arguments.len() == 1 => Ok(Command::Spool(arguments.first().unwrap_or(&"").into())),
        ("request_pipelining", None) => Ok(Command::RequestPipelining(None)),
        ("request_pipelining", Some(value)) => {
            on(value).map(|on| Command::RequestPipelining(Some(on))).ok_or_else(|| "Write REQUEST_PIPELINING ON or OFF".to_owned())
        }
        ("spool", _) => Err("Write SPOOL 'file' or SPOOL OFF".to_owned()),
        _ if first.starts_with('\\') => Err(format!("There is no command {first}; help lists those that there are")),
        _ => return None,
    };
    Some(command)
}

fn on(value: &str) -> Option<bool> {
    match value {
        "ON" | "TRUE" => Some(true),
        "OFF" | "FALSE" => Some(false),
        _ => None,
    }
}

/// What follows SET CLI.
fn cli_setting(words: &[&str]) -> Result<Command, String> {
    let words: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "=" && *word != "TO").collect();
    match words.as_slice() {
        ["WRAP", value] => on(value).map(Command::Wrap).ok_or_else(|| "Write SET CLI WRAP ON or OFF".to_owned()),
        ["PAGER", value] => on(value).map(Command::Pager).ok_or_else(|| "Write SET CLI PAGER ON or OFF".to_owned()),
        ["VERTICAL", "AUTO"] => Ok(Command::Vertical(None)),
        ["VERTICAL", value] => {
            on(value).map(|on| Command::Vertical(Some(on))).ok_or_else(|| "Write SET CLI VERTICAL ON, OFF or AUTO".to_owned())
        }
        ["COLUMN-WIDTH", value] => match value.parse::<u16>() {
            Ok(0) => Ok(Command::ColumnWidth(None)),
            Ok(width) => Ok(Command::ColumnWidth(Some(width.into()))),
            Err(_) => Err("Write SET CLI COLUMN-WIDTH and a number of terminal columns; 0 shares out the width".to_owned()),
        },
        _ => Err(format!("SET CLI takes one of {}, and a value", CLI_SETTINGS.join(", "))),
    }
}

/// The words of a line; those in quotes whole, without them.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim().trim_end_matches(';').trim();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '\'' | '"' | '`').then(|| rest[1..].find(first)).flatten();
        let (word, after) = match quoted {
            Some(end) => (&rest[1..=end], &rest[end + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_need_no_semicolon_and_know_no_case() {
        let spool = Command::Spool("a b.txt".into());
        for (text, expected) in [
            ("\\q", Command::Exit),
            ("EXIT;", Command::Exit),
            (" quit ; ", Command::Exit),
            ("help", Command::Help),
            ("History 5", Command::History(Some(5))),
            ("\\x", Command::ToggleVertical),
            ("\\x auto", Command::Vertical(None)),
            ("output TABULAR;", Command::Output(Some(Output::Table))),
            ("OUTPUT json", Command::Output(Some(Output::Json))),
            ("spool 'a b.txt';", spool),
            ("SPOOL OFF;", Command::SpoolOff),
            ("run script 'x.sql';", Command::RunScript("x.sql".into())),
            ("SET CLI WRAP off", Command::Wrap(false)),
            ("set cli column-width 0;", Command::ColumnWidth(None)),
            ("SET CLI COLUMN-WIDTH 12", Command::ColumnWidth(Some(12))),
            ("request_pipelining off", Command::RequestPipelining(Some(false))),
            ("server http://x:1;", Command::Server(Some("http://x:1".into()))),
        ] {
            assert_eq!(parse(text), Some(Ok(expected)), "{text}");
        }
    }

    #[test]
    fn sql_is_none_and_slips_are_told() {
        for text in ["SET 'a'='b';", "SELECT 1;", "", "CREATE STREAM exit", "exit now please", "UNSET 'a';"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in
            ["\\nope", "SET CLI WRAP maybe", "SET CLI FONT 3", "output xml", "spool", "REQUEST_PIPELINING x", "history x", "RUN SCRIPT"]
        {
            assert!(parse(text).is_some_and(|parsed| parsed.is_err()), "{text}");
        }
    }
}
