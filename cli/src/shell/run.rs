//! A session: runs statements in order, each at the endpoint that it belongs to, and shows what comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use serde_json::Value as Json;
use tidemill_parser::ast::Statement;
use tidemill_parser::{ParseError, split_script};

use super::Output;
use super::complete::Names;
use super::entities::describe;
use super::place::located;
use super::render::{RowPrinter, cell, table};
use crate::client::{Client, ClientError, Lines, Settings};

/// How deep RUN SCRIPT may nest.
const MAX_SCRIPT_DEPTH: usize = 8;
/// Rows of a finished result that are drawn as one table; longer ones are drawn row by row.
const MAX_TABLE_ROWS: usize = 1_000;

const HELP: &str = "\
Statements end with `;` and may span lines. Some to begin with:

  SHOW TOPICS;  SHOW STREAMS;  SHOW TABLES;  SHOW QUERIES;  SHOW FUNCTIONS;
  DESCRIBE name [EXTENDED];    DESCRIBE FUNCTION name;      EXPLAIN query;
  PRINT topic FROM BEGINNING LIMIT 3;
  CREATE STREAM s (id VARCHAR KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
  INSERT INTO s (id, v) VALUES ('a', 1);
  CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;
  SELECT * FROM t WHERE id = 'a';          what the table holds now
  SELECT * FROM t EMIT CHANGES;            every change from now on; Ctrl-C stops it
  SET 'auto.offset.reset'='earliest';      begin at the first record instead

Commands of the shell:
  help    this text            output table|json   how results are shown
  server  which server         RUN SCRIPT 'file';  runs a file
  clear   an empty screen      exit                leaves (so does Ctrl-D)";

/// Whether a line is for the shell itself and needs no semicolon.
pub fn is_shell_command(line: &str) -> bool {
    let mut words = line.trim_end_matches(';').split_whitespace();
    let first = words.next().unwrap_or("").to_ascii_lowercase();
    matches!(first.as_str(), "help" | "exit" | "quit" | "clear" | "server" | "version" | "output")
}

pub struct Session {
    client: Client,
    output: Output,
    properties: Settings,
    variables: Settings,
    before_pull: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Session {
    pub fn new(client: Client, output: Output) -> Self {
        Session { client, output, properties: Settings::new(), variables: Settings::new(), before_pull: None }
    }

    /// Calls `action`, which may block, before each pull query.
    pub fn before_pull(mut self, action: impl Fn() + Send + Sync + 'static) -> Self {
        self.before_pull = Some(Box::new(action));
        self
    }

    /// Runs what was typed: a command of the shell or SQL.
    pub async fn run_interactive(&mut self, text: &str) {
        if !is_shell_command(text) {
            self.run_text(text, None).await;
            return;
        }
        let mut words = text.trim_end_matches(';').split_whitespace();
        let first = words.next().unwrap_or("").to_ascii_lowercase();
        match (first.as_str(), words.next().map(str::to_ascii_lowercase).as_deref()) {
            ("help", _) => println!("{HELP}"),
            ("clear", _) => {
                print!("\x1b[2J\x1b[H");
                // A terminal that can't be written to shows nothing anyway.
                let _ = std::io::stdout().flush();
            }
            ("server", _) => println!("{}", self.client.url()),
            ("version", _) => println!("tidemill {}", env!("CARGO_PKG_VERSION")),
            ("output", Some("table")) => self.output = Output::Table,
            ("output", Some("json")) => self.output = Output::Json,
            _ => println!("output table, or output json"),
        }
    }

    /// Runs a file; false: something failed.
    pub async fn run_file(&mut self, file: &Path) -> bool {
        self.run_file_at(file, 0).await
    }

    async fn run_file_at(&mut self, file: &Path, depth: usize) -> bool {
        match std::fs::read_to_string(file) {
            Ok(text) => self.run_text_at(&text, Some(file), depth).await,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                false
            }
        }
    }

    /// Runs statements until one fails; false: one did.
    pub async fn run_text(&mut self, text: &str, file: Option<&Path>) -> bool {
        self.run_text_at(text, file, 0).await
    }

    async fn run_text_at(&mut self, text: &str, file: Option<&Path>, depth: usize) -> bool {
        for raw in split_script(text) {
            let result = match self.substituted(&raw.text) {
                Ok(sql) => self.run_statement(&sql, depth).await,
                Err(error) => Err(Failure::Parse(error)),
            };
            if let Err(failure) = result {
                let file = file.map(|file| file.display().to_string());
                eprintln!("{}", located(&failure.to_string(), &raw.text, raw.span.start, file.as_deref()));
                return false;
            }
        }
        true
    }

    fn substituted(&self, sql: &str) -> Result<String, ParseError> {
        let variables: BTreeMap<String, String> = self.variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        tidemill_parser::substitute(sql, &variables)
    }

    async fn run_statement(&mut self, sql: &str, depth: usize) -> Result<(), Failure> {
        let raw = split_script(sql);
        let Some(raw) = raw.first() else { return Ok(()) };
        let parsed = raw.parse_as(tidemill_parser::Statements::Test).map_err(Failure::Parse)?;
        let sql = format!("{sql};");
        match parsed.statement {
            Statement::SetProperty { name, value } => {
                println!("{name} is now '{value}'.");
                self.properties.insert(name, value);
            }
            Statement::UnsetProperty { name: Some(name) } => {
                self.properties.shift_remove(&name);
            }
            Statement::UnsetProperty { name: None } => self.properties.clear(),
            Statement::DefineVariable { name, value } => {
                self.variables.insert(name, value);
            }
            Statement::UndefineVariable { name } => {
                self.variables.shift_remove(&name);
            }
            Statement::RunScript { .. } if depth >= MAX_SCRIPT_DEPTH => {
                return Err(Failure::Other(format!("RUN SCRIPT nests deeper than {MAX_SCRIPT_DEPTH}")));
            }
            Statement::RunScript { path } => {
                if !Box::pin(self.run_file_at(Path::new(&path), depth + 1)).await {
                    return Err(Failure::Other(format!("'{path}' failed")));
                }
            }
            Statement::Select(_) => self.select(&sql).await?,
            Statement::Print(_) => {
                let lines = self.client.print(&sql, &self.properties, &self.variables).await?;
                stream(lines, |line| println!("{line}")).await?;
            }
            _ => {
                for entity in self.client.statements(&sql, &self.properties, &self.variables).await? {
                    match self.output {
                        Output::Table => println!("{}", describe(&entity)),
                        Output::Json => println!("{entity}"),
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows a query's rows until it ends or Ctrl-C.
    async fn select(&self, sql: &str) -> Result<(), Failure> {
        let is_push = !sql_is_pull(sql);
        if let Some(action) = &self.before_pull
            && !is_push
        {
            tokio::task::block_in_place(action);
        }
        let mut lines = self.client.query(sql, &self.properties, &self.variables).await?;
        let Some(header) = lines.next().await? else { return Ok(()) };
        if self.output == Output::Json {
            println!("{header}");
            stream(lines, |line| println!("{line}")).await?;
            return Ok(());
        }
        let header: Json = serde_json::from_str(&header).map_err(|_| ClientError::Garbled(header))?;
        let names: Vec<String> = header["columnNames"].as_array().into_iter().flatten().map(cell).collect();
        let query_id = header["queryId"].as_str().unwrap_or("").to_owned();
        let mut result = Rows { names, printer: None, waiting: Vec::new(), failure: None };
        if is_push {
            result.start();
        }
        let stopped = stream(lines, |line| result.take(line)).await;
        if matches!(stopped, Ok(End::Interrupted)) && is_push {
            // The server may have ended the query by itself meanwhile.
            let _ = self.client.close(&query_id).await;
            println!("Query stopped.");
        }
        if let Some(failure) = result.failure.take() {
            return Err(Failure::Other(failure));
        }
        result.finish();
        stopped.map(|_| ())
    }

    /// Asks the server for what completion should know.
    pub async fn learn_names(&self, names: &Names) {
        let sql = "DESCRIBE STREAMS; DESCRIBE TABLES;";
        let Ok(entities) = self.client.statements(sql, &Settings::new(), &Settings::new()).await else { return };
        let mut found = BTreeSet::new();
        for source in entities.iter().flat_map(|e| e["sourceDescriptions"].as_array().into_iter().flatten()) {
            found.insert(cell(&source["name"]));
            found.extend(source["fields"].as_array().into_iter().flatten().map(|f| cell(&f["name"])));
        }
        names.replace(found);
    }
}

fn sql_is_pull(sql: &str) -> bool {
    matches!(tidemill_parser::parse_statement(sql).map(|s| s.statement), Ok(Statement::Select(query)) if query.emit.is_none())
}

/// Rows of a query on their way to the screen.
struct Rows {
    names: Vec<String>,
    /// Set once rows are drawn one by one.
    printer: Option<RowPrinter>,
    waiting: Vec<Vec<String>>,
    /// What broke the query.
    failure: Option<String>,
}

impl Rows {
    fn start(&mut self) {
        let printer = RowPrinter::new(self.names.len());
        println!("{}", printer.header(&self.names));
        for row in self.waiting.drain(..) {
            println!("{}", printer.row(&row));
        }
        self.printer = Some(printer);
    }

    fn take(&mut self, line: &str) {
        let cells = match serde_json::from_str(line) {
            Ok(Json::Array(values)) => values.iter().map(cell).collect(),
            // The last line of an answer: why the query ended, or what broke it.
            Ok(Json::Object(last)) => {
                match last.get("message") {
                    Some(message) => self.failure = Some(cell(message)),
                    None => eprintln!("{}", last.get("finalMessage").map_or_else(|| line.to_owned(), cell)),
                }
                return;
            }
            _ if line.is_empty() => return,
            _ => vec![line.to_owned()],
        };
        match &self.printer {
            Some(printer) => println!("{}", printer.row(&cells)),
            None => {
                self.waiting.push(cells);
                if self.waiting.len() > MAX_TABLE_ROWS {
                    self.start();
                }
            }
        }
    }

    fn finish(self) {
        if self.printer.is_none() {
            let header: Vec<&str> = self.names.iter().map(String::as_str).collect();
            let count = self.waiting.len();
            println!("{}", table(&header, self.waiting));
            println!("{count} row{}", if count == 1 { "" } else { "s" });
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    Interrupted,
}

/// Hands lines on until the answer ends or Ctrl-C.
async fn stream(mut lines: Lines, mut take: impl FnMut(&str)) -> Result<End, Failure> {
    loop {
        tokio::select! {
            line = lines.next() => match line? {
                Some(line) => take(&line),
                None => return Ok(End::Complete),
            },
            _ = tokio::signal::ctrl_c() => return Ok(End::Interrupted),
        }
    }
}

/// Why a statement did not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Parse(ParseError),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Other(String),
}
