//! Tables on the terminal: whole ones for finished results, row by row for push queries.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{ContentArrangement, Table};
use serde_json::Value as Json;

/// Width where the output is no terminal, characters.
const DEFAULT_WIDTH: usize = 120;
/// A column of a push query is never narrower, characters.
const MIN_COLUMN_WIDTH: usize = 6;

/// The terminal's width in characters.
pub fn width() -> usize {
    let table = Table::new();
    table.width().map_or(DEFAULT_WIDTH, usize::from)
}

/// Draws a finished table, wrapped to the terminal's width.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(if table.is_tty() { UTF8_FULL_CONDENSED } else { ASCII_MARKDOWN });
    table.set_content_arrangement(if table.is_tty() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled });
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// A value as a cell shows it: texts bare, null as `null`, the rest as JSON.
pub fn cell(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Draws rows one by one, in columns of equal width.
pub struct RowPrinter {
    column_width: usize,
    columns: usize,
}

impl RowPrinter {
    pub fn new(columns: usize) -> Self {
        let columns = columns.max(1);
        let column_width = (width().saturating_sub(columns + 1) / columns).max(MIN_COLUMN_WIDTH);
        RowPrinter { column_width, columns }
    }

    /// The names over a line.
    pub fn header(&self, names: &[String]) -> String {
        let line = format!("+{}", format!("{}+", "-".repeat(self.column_width)).repeat(self.columns));
        format!("{line}\n{}\n{line}", self.row(names))
    }

    /// A row; long values go on in further lines.
    pub fn row(&self, cells: &[String]) -> String {
        let wrapped: Vec<Vec<String>> = cells.iter().map(|c| wrap(c, self.column_width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(1);
        let mut lines = Vec::with_capacity(height);
        for line in 0..height {
            let mut text = String::from("|");
            for cell in &wrapped {
                let part = cell.get(line).map_or("", String::as_str);
                text.push_str(part);
                text.push_str(&" ".repeat(self.column_width.saturating_sub(part.chars().count())));
                text.push('|');
            }
            lines.push(text);
        }
        lines.join("\n")
    }
}

/// Parts a text into pieces of at most `width` characters; its own line ends part it too.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    for line in text.lines() {
        let characters: Vec<char> = line.chars().collect();
        pieces.extend(characters.chunks(width).map(|piece| piece.iter().collect::<String>()));
    }
    if pieces.is_empty() {
        pieces.push(String::new());
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_wrap() {
        let printer = RowPrinter { column_width: 4, columns: 2 };
        assert_eq!(printer.row(&["abcdef".into(), "x".into()]), "|abcd|x   |\n|ef  |    |");
        assert_eq!(printer.header(&["A".into(), "B".into()]), "+----+----+\n|A   |B   |\n+----+----+");
    }
}
