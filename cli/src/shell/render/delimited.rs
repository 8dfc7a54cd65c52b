//! Rows for other programs, in the forms that databases read: CSV (RFC 4180) and tab-separated values.

use super::Cell;

/// NULL is empty; an empty text and whatever could be mistaken for a part of the form stands in quotes.
pub fn csv(row: &[Cell]) -> String {
    let field = |cell: &Cell| match cell {
        Cell::Null => String::new(),
        Cell::Text(text) if text.is_empty() || text.contains(['"', ',', '\n', '\r']) || text.trim() != text => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Cell::Text(text) => text.clone(),
    };
    row.iter().map(field).collect::<Vec<_>>().join(",")
}

/// NULL is `\N`; backslash, tab and the ends of lines are escaped.
pub fn tsv(row: &[Cell]) -> String {
    let field = |cell: &Cell| match cell {
        Cell::Null => "\\N".to_owned(),
        Cell::Text(text) => text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r"),
    };
    row.iter().map(field).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_what_parts_fields_can_be_told() {
        let row = ["a", "", "b,\"c\"\nd\t", "null", "\\N"].map(|t| Cell::Text(t.to_owned()));
        let row: Vec<Cell> = row.into_iter().chain([Cell::Null]).collect();
        assert_eq!(csv(&row), "a,\"\",\"b,\"\"c\"\"\nd\t\",null,\\N,");
        assert_eq!(tsv(&row), "a\t\tb,\"c\"\\nd\\t\tnull\t\\\\N\t\\N");
    }
}
