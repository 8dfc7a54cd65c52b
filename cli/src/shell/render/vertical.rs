//! Rows upright: a line for each column.

use super::width::{padded, width, wrapped};
use super::{Cell, Display};

/// The line above a row, where it is not the terminal's width that says how long it is.
const RULE: usize = 40;

/// Draws rows; `first` is the number of the first.
pub fn draw(header: &[String], rows: &[Vec<Cell>], first: u64, display: &Display) -> String {
    let parts: Vec<String> = (first..).zip(rows).map(|(number, row)| draw_row(header, row, number, display)).collect();
    parts.join("\n")
}

/// Draws one row under its number.
pub fn draw_row(header: &[String], row: &[Cell], number: u64, display: &Display) -> String {
    let names = header.iter().map(|name| width(name)).max().unwrap_or(0);
    let title = format!("-[ {number} ]");
    let mut lines = vec![format!("{title}{}", "-".repeat(RULE.saturating_sub(title.len())))];
    for (name, cell) in header.iter().zip(row) {
        let shown = cell.shown();
        let room = display.width.and_then(|width| width.checked_sub(names + 3)).filter(|room| *room > 0);
        let pieces = room.map_or_else(|| vec![shown.clone()], |room| wrapped(&shown, room));
        for (at, piece) in pieces.iter().enumerate() {
            let name = if at == 0 { name.as_str() } else { "" };
            lines.push(format!("{} | {piece}", padded(name, names)).trim_end().to_owned());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Output;
    use super::*;

    #[test]
    fn each_column_has_its_line() {
        let header = ["ID".to_owned(), "NAME".to_owned()];
        let row = vec![Cell::Text("1".into()), Cell::Text("abcdefgh".into())];
        let text = draw_row(&header, &row, 2, &Display::new(Output::Vertical, Some(12)));
        assert_eq!(text, format!("-[ 2 ]{}\nID   | 1\nNAME | abcde\n     | fgh", "-".repeat(34)));
    }
}
