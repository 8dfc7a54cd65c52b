//! Texts in a terminal's columns: wide characters take two, combining ones none.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Where a terminal does not say how many columns it has (or says none).
const DEFAULT_COLUMNS: usize = 80;
/// Where a terminal does not say how many lines it has.
const DEFAULT_LINES: usize = 24;

/// The terminal's columns and lines.
pub fn terminal_size() -> (usize, usize) {
    let (columns, lines) = crossterm::terminal::size().map_or((0, 0), |(columns, lines)| (usize::from(columns), usize::from(lines)));
    let or = |size: usize, default: usize| if size == 0 { default } else { size };
    (or(columns, DEFAULT_COLUMNS), or(lines, DEFAULT_LINES))
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text with blanks behind it up to a width.
pub fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text in pieces of at most `columns` each (but at least a character). Always one piece or more.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let (mut piece, mut taken) = (String::new(), 0);
    for c in text.chars() {
        let takes = c.width().unwrap_or(0);
        if taken + takes > columns && !piece.is_empty() {
            pieces.push(std::mem::take(&mut piece));
            taken = 0;
        }
        piece.push(c);
        taken += takes;
    }
    pieces.push(piece);
    pieces
}

/// The text, its end replaced by `…` where it is wider than `columns`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut first = wrapped(text, columns.saturating_sub(1).max(1)).swap_remove(0);
    first.push('…');
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(width("漢字a"), 5);
        assert_eq!(padded("漢字", 6), "漢字  ");
        assert_eq!(wrapped("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(wrapped("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("漢", 1), ["漢"]);
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("abc", 3), "abc");
    }
}
