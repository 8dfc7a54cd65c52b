//! The current version, and of each file what became of it.

use std::path::Path;

use tidemill_engine::types::text::{to_text, write_timestamp};

use super::metadata::{Metadata, Recorded};
use super::{files, tell};

const HEADERS: [&str; 7] = ["Version", "Name", "State", "Previous Version", "Started On", "Completed On", "Error Reason"];
const NOT_YET: &str = "N/A";

/// # Errors
/// The metadata is not there, or can't be asked.
pub async fn run(metadata: &Metadata, folder: &Path) -> Result<(), String> {
    metadata.check_initialized().await?;
    tell(&format!("Current migration version: {}", metadata.current().await?));
    let mut rows = Vec::new();
    for file in files::all(folder)?.into_values() {
        let pending =
            || Recorded { version: file.version.to_string(), name: file.name.clone(), state: "PENDING".to_owned(), ..Recorded::default() };
        rows.push(row(metadata.recorded(&file.version.to_string()).await?.unwrap_or_else(pending)));
    }
    if rows.is_empty() {
        tell("No migrations files found");
    } else {
        tell(&table(&rows));
    }
    Ok(())
}

fn row(recorded: Recorded) -> [String; 7] {
    let or_not_yet = |text: String| if text.is_empty() { NOT_YET.to_owned() } else { text };
    [
        recorded.version,
        recorded.name,
        recorded.state,
        or_not_yet(recorded.previous),
        or_not_yet(time(&recorded.started_on)),
        or_not_yet(time(&recorded.completed_on)),
        or_not_yet(recorded.error_reason),
    ]
}

/// Milliseconds as a date and a time.
fn time(millis: &str) -> String {
    millis.parse().map_or_else(|_| millis.to_owned(), |millis: i64| format!("{} UTC", to_text(|out| write_timestamp(millis, out))))
}

/// Columns as wide as what they hold.
pub fn table(rows: &[[String; 7]]) -> String {
    let headers = HEADERS.map(str::to_owned);
    let width = |at: usize| rows.iter().chain([&headers]).filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADERS.len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
        format!(" {}", cells.collect::<Vec<_>>().join(" | ")).trim_end().to_owned()
    };
    let rule = "-".repeat(widths.iter().sum::<usize>() + 3 * HEADERS.len() - 1);
    let body: Vec<String> = rows.iter().map(line).collect();
    format!("{rule}\n{}\n{rule}\n{}\n{rule}", line(&headers), body.join("\n"))
}
