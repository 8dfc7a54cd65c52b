//! A finished result as one table.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{ContentArrangement, Table};

use super::width::{cut, width, wrapped};
use super::{Cell, Display};

/// A column that must be narrower than this, and than its values, can't be read.
pub const READABLE_COLUMNS: usize = 10;

/// Whether each column gets enough of the terminal's width.
pub fn is_readable(header: &[String], rows: &[Vec<Cell>], display: &Display) -> bool {
    let Some(terminal) = display.width else { return true };
    if display.column_width.is_some() {
        return true;
    }
    let column = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(&cell.shown()));
        cells.chain(header.get(at).map(|name| width(name))).max().unwrap_or(0).min(READABLE_COLUMNS)
    };
    // A blank on either side, and a line.
    (0..header.len()).map(|at| column(at) + 3).sum::<usize>() < terminal
}

/// Draws the table, wrapped to the terminal's width; in Markdown's form where the output is no terminal.
pub fn draw(header: &[String], rows: &[Vec<Cell>], display: &Display) -> String {
    let mut table = Table::new();
    match display.width {
        Some(columns) => {
            table.load_preset(UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
        }
        None => {
            table.load_preset(ASCII_MARKDOWN);
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    let limit = display.column_width.or_else(|| match (display.wrap, display.width) {
        (false, Some(columns)) => Some((columns / header.len().max(1)).saturating_sub(3).max(1)),
        _ => None,
    });
    let fitted = |text: &str| match limit {
        Some(limit) if !display.wrap => cut(text, limit),
        Some(limit) => wrapped(text, limit).join("\n"),
        None => text.to_owned(),
    };
    table.set_header(header.iter().map(|name| fitted(name)));
    for row in rows {
        table.add_row(row.iter().map(|cell| fitted(&cell.shown())));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::*;

    fn display(columns: usize) -> Display {
        Display::new(Output::Table, Some(columns))
    }

    #[test]
    fn many_columns_are_not_readable() {
        let header: Vec<String> = (0..20).map(|n| format!("COLUMN_{n:02}")).collect();
        let row = vec![Cell::Text("x".into()); 20];
        assert!(!is_readable(&header, std::slice::from_ref(&row), &display(80)));
        assert!(is_readable(&header, std::slice::from_ref(&row), &display(300)));
        // One long value wraps, and can be read.
        assert!(is_readable(&["A".to_owned()], &[vec![Cell::Text("x".repeat(500))]], &display(80)));
    }

    #[test]
    fn values_are_wrapped_or_cut() {
        let (header, rows) = (["A".to_owned()], [vec![Cell::Text("abcdefgh".into())]]);
        let narrow = Display { column_width: Some(4), ..display(80) };
        let text = draw(&header, &rows, &narrow);
        assert!(text.contains("abcd") && text.contains("efgh"), "{text}");
        let text = draw(&header, &rows, &Display { wrap: false, ..narrow });
        assert!(text.contains("abc…") && !text.contains("efgh"), "{text}");
    }
}
