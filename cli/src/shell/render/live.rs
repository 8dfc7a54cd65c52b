//! Rows as they come, in columns of equal width.

use super::table::READABLE_COLUMNS;
use super::width::{cut, padded, wrapped};
use super::{Cell, Display};

/// Width of lines where the output is no terminal.
const DEFAULT_LINE: usize = 120;
/// A column is never narrower.
const MIN_COLUMN: usize = 6;

/// Draws rows one by one.
pub struct RowPrinter {
    column: usize,
    columns: usize,
    wrap: bool,
}

impl RowPrinter {
    pub fn new(columns: usize, display: &Display) -> Self {
        let columns = columns.max(1);
        let shared = display.width.unwrap_or(DEFAULT_LINE).saturating_sub(columns + 1) / columns;
        let column = display.column_width.unwrap_or(shared).max(if display.column_width.is_some() { 1 } else { MIN_COLUMN });
        RowPrinter { column, columns, wrap: display.wrap }
    }

    /// Whether columns shared out over the width can be read.
    pub fn is_readable(columns: usize, display: &Display) -> bool {
        display.width.is_none_or(|width| display.column_width.is_some() || (READABLE_COLUMNS - 1) * columns < width)
    }

    /// The names over a line.
    pub fn header(&self, names: &[String]) -> String {
        let line = format!("+{}", format!("{}+", "-".repeat(self.column)).repeat(self.columns));
        format!("{line}\n{}\n{line}", self.texts(names))
    }

    /// A row; long values go on in further lines, or are cut.
    pub fn row(&self, cells: &[Cell]) -> String {
        self.texts(&cells.iter().map(Cell::shown).collect::<Vec<_>>())
    }

    fn texts(&self, texts: &[String]) -> String {
        let pieces: Vec<Vec<String>> =
            texts.iter().map(|text| if self.wrap { wrapped(text, self.column) } else { vec![cut(text, self.column)] }).collect();
        let height = pieces.iter().map(Vec::len).max().unwrap_or(1);
        let line = |at: usize| {
            let parts = pieces.iter().map(|cell| padded(cell.get(at).map_or("", String::as_str), self.column));
            format!("|{}", parts.map(|part| format!("{part}|")).collect::<String>())
        };
        (0..height).map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::*;

    fn printer(wrap: bool) -> RowPrinter {
        RowPrinter { column: 4, columns: 2, wrap }
    }

    #[test]
    fn long_and_wide_values_keep_the_columns() {
        let row = |texts: [&str; 2]| printer(true).row(&texts.map(|t| Cell::Text(t.to_owned())));
        assert_eq!(row(["abcdef", "x"]), "|abcd|x   |\n|ef  |    |");
        assert_eq!(row(["漢字漢", "a\nb"]), "|漢字|a\\nb|\n|漢  |    |");
        assert_eq!(printer(false).row(&[Cell::Text("abcdef".into()), Cell::Null]), "|abc…|null|");
        assert_eq!(printer(true).header(&["A".into(), "B".into()]), "+----+----+\n|A   |B   |\n+----+----+");
    }

    #[test]
    fn a_row_must_be_readable() {
        let display = Display::new(Output::Table, Some(80));
        assert!(RowPrinter::is_readable(8, &display) && !RowPrinter::is_readable(9, &display));
        assert!(RowPrinter::is_readable(50, &Display { width: None, ..display }));
    }
}
