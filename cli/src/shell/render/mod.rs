//! How results look: as tables, row by row, upright, or for other programs.

mod cell;
mod delimited;
mod live;
mod rows;
mod table;
mod vertical;
mod width;

use clap::ValueEnum;
use serde_json::Value as Json;

pub use cell::{Cell, escaped, text};
pub use rows::Rows;
pub use width::terminal_size;

/// The form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables drawn to the terminal's width
    #[value(alias = "tabular")]
    Table,
    /// A line for each column of each row
    Vertical,
    /// Comma-separated values; NULL is empty, an empty text is ""
    Csv,
    /// Tab-separated values; NULL is \N
    Tsv,
    /// One JSON document a line, as the server sends it
    Json,
}

impl Output {
    /// Whether another program reads the results, so that nothing but them may be written among them.
    pub fn is_for_programs(self) -> bool {
        matches!(self, Output::Csv | Output::Tsv | Output::Json)
    }
}

/// Everything that decides how a result looks.
#[derive(Debug, Clone, Copy)]
pub struct Display {
    pub output: Output,
    /// Tables turn upright where their rows could not be read in the width.
    pub auto_vertical: bool,
    /// Long values go on in further lines; else they are cut.
    pub wrap: bool,
    /// Terminal columns that a column of a table takes; `None`: shared out over the width.
    pub column_width: Option<usize>,
    /// The terminal's columns; `None` where the output is no terminal.
    pub width: Option<usize>,
}

impl Display {
    pub fn new(output: Output, width: Option<usize>) -> Self {
        Display { output, auto_vertical: width.is_some(), wrap: true, column_width: None, width }
    }
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Text(String),
    Table(Table),
}

/// Named columns and rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new(header: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        Table { header: header.iter().map(|h| (*h).to_owned()).collect(), rows: rows.into_iter().collect() }
    }

    /// The table as text in the display's form.
    pub fn draw(&self, display: &Display) -> String {
        match display.output {
            Output::Csv => self.lines(delimited::csv),
            Output::Tsv => self.lines(delimited::tsv),
            Output::Json => {
                let object = |row: &Vec<Cell>| {
                    let fields = self.header.iter().zip(row).map(|(name, cell)| (name.clone(), cell.json()));
                    Json::Object(fields.collect()).to_string()
                };
                self.rows.iter().map(object).collect::<Vec<_>>().join("\n")
            }
            Output::Vertical => vertical::draw(&self.header, &self.rows, 1, display),
            Output::Table if display.auto_vertical && !table::is_readable(&self.header, &self.rows, display) => {
                vertical::draw(&self.header, &self.rows, 1, display)
            }
            Output::Table => table::draw(&self.header, &self.rows, display),
        }
    }

    fn lines(&self, line: fn(&[Cell]) -> String) -> String {
        let header: Vec<Cell> = self.header.iter().cloned().map(Cell::Text).collect();
        let lines: Vec<String> = std::iter::once(line(&header)).chain(self.rows.iter().map(|row| line(row))).collect();
        lines.join("\n")
    }
}
