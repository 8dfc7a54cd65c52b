//! Values and rows as a failed assertion shows them: values as they would be written in a statement, rows side by side.

use tidemill_engine::types::text::{to_text, write_base64, write_date, write_decimal, write_double, write_time, write_timestamp};
use tidemill_engine::types::{SqlType, Value};
use unicode_width::UnicodeWidthStr;

/// Longest value that a row shows, characters.
const MAX_SHOWN: usize = 200;

/// A value as a statement would have it.
pub fn literal(value: &Value, sql_type: &SqlType) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match (value, sql_type) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Boolean(true), _) => "TRUE".to_owned(),
        (Value::Boolean(false), _) => "FALSE".to_owned(),
        (Value::Int(n), _) => n.to_string(),
        (Value::BigInt(n), _) => n.to_string(),
        (Value::Double(n), _) => to_text(|out| write_double(*n, out)).to_string(),
        (Value::Decimal(n), _) => to_text(|out| write_decimal(n, out)).to_string(),
        (Value::String(text), _) => quoted(text),
        (Value::Bytes(bytes), _) => format!("TO_BYTES('{}', 'base64')", to_text(|out| write_base64(bytes, out))),
        (Value::Time(t), _) => quoted(&to_text(|out| write_time(*t, out))),
        (Value::Date(d), _) => quoted(&to_text(|out| write_date(*d, out))),
        (Value::Timestamp(t), _) => quoted(&to_text(|out| write_timestamp(*t, out))),
        (Value::Array(items), SqlType::Array(item)) => {
            format!("ARRAY[{}]", items.iter().map(|v| literal(v, item)).collect::<Vec<_>>().join(", "))
        }
        (Value::Map(entries), SqlType::Map(key, item)) => {
            let entries = entries.iter().map(|(k, v)| format!("{} := {}", literal(k, key), literal(v, item)));
            format!("MAP({})", entries.collect::<Vec<_>>().join(", "))
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            let fields = values.iter().zip(fields.iter()).map(|(v, f)| format!("{} := {}", f.name, literal(v, &f.sql_type)));
            format!("STRUCT({})", fields.collect::<Vec<_>>().join(", "))
        }
        (other, _) => format!("{other:?}"),
    }
}

/// A line of a table.
pub struct Line {
    pub label: String,
    pub cells: Vec<String>,
}

/// Lines below a header, in columns; a `^` stands below the cells of the last line that are marked.
pub fn table(header: &[String], lines: &[Line], marked: &[bool]) -> String {
    let cut = |text: &str| match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    };
    let rows: Vec<(String, Vec<String>)> = std::iter::once((String::new(), header.to_vec()))
        .chain(lines.iter().map(|line| (line.label.clone(), line.cells.iter().map(|c| cut(&c.replace('\n', "\\n"))).collect())))
        .collect();
    let label_width = rows.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len())
        .map(|column| rows.iter().filter_map(|(_, cells)| cells.get(column)).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let padded = |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(text.width())));
    let mut out = String::new();
    for (label, cells) in &rows {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| padded(cell, *width)).collect();
        let line = format!("  {}  {}", padded(label, label_width), cells.join(" | "));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if marked.contains(&true) {
        let marks: Vec<String> = marked
            .iter()
            .zip(&widths)
            .map(|(marked, width)| if *marked { "^".repeat((*width).max(1)) } else { " ".repeat(*width) })
            .collect();
        out.push_str(format!("  {}  {}", " ".repeat(label_width), marks.join("   ")).trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literals() {
        let text = Value::string("it's");
        assert_eq!(literal(&text, &SqlType::String), "'it''s'");
        assert_eq!(literal(&Value::array(vec![Value::Int(1), Value::Null]), &SqlType::array(SqlType::Int)), "ARRAY[1, NULL]");
        assert_eq!(literal(&Value::Date(1), &SqlType::Date), "'1970-01-02'");
    }

    #[test]
    fn marks_stand_below_their_cells() {
        let texts = |cells: &[&str]| cells.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        let lines = [
            Line { label: "expected".into(), cells: texts(&["1", "'a'"]) },
            Line { label: "actual".into(), cells: texts(&["1", "'bcd'"]) },
        ];
        let shown = table(&texts(&["ID", "NAME"]), &lines, &[false, true]);
        assert_eq!(shown, "            ID | NAME\n  expected  1  | 'a'\n  actual    1  | 'bcd'\n                 ^^^^^\n");
    }
}
