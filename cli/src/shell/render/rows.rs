//! The rows of one query on their way to the screen.

use super::live::RowPrinter;
use super::{Cell, Display, Output, Table, delimited, vertical};

/// Rows of a finished result that are drawn as one table; longer results are drawn row by row.
const MAX_TABLE_ROWS: usize = 1_000;

/// Draws a query's rows. Each call gives the text that is due, if any is.
pub struct Rows {
    names: Vec<String>,
    display: Display,
    way: Way,
    count: u64,
}

enum Way {
    /// Nothing is drawn before all is there, or there is too much of it.
    Waiting(Vec<Vec<Cell>>),
    Columns(RowPrinter),
    Upright,
    Csv,
    Tsv,
}

impl Rows {
    /// `live`: rows are drawn as they come.
    pub fn new(names: Vec<String>, display: Display, live: bool) -> Self {
        let way = match display.output {
            Output::Csv => Way::Csv,
            Output::Tsv => Way::Tsv,
            Output::Vertical => Way::Upright,
            Output::Table | Output::Json if live => Self::live(&names, &display),
            Output::Table | Output::Json => Way::Waiting(Vec::new()),
        };
        Rows { names, display, way, count: 0 }
    }

    fn live(names: &[String], display: &Display) -> Way {
        if display.auto_vertical && !RowPrinter::is_readable(names.len(), display) {
            return Way::Upright;
        }
        Way::Columns(RowPrinter::new(names.len(), display))
    }

    /// What stands above the rows.
    pub fn start(&self) -> Option<String> {
        let names = || self.names.iter().cloned().map(Cell::Text).collect::<Vec<_>>();
        match &self.way {
            Way::Waiting(_) | Way::Upright => None,
            Way::Columns(printer) => Some(printer.header(&self.names)),
            Way::Csv => Some(delimited::csv(&names())),
            Way::Tsv => Some(delimited::tsv(&names())),
        }
    }

    pub fn row(&mut self, cells: Vec<Cell>) -> Option<String> {
        self.count += 1;
        match &mut self.way {
            Way::Waiting(waiting) => {
                waiting.push(cells);
                if waiting.len() <= MAX_TABLE_ROWS {
                    return None;
                }
                let waiting = std::mem::take(waiting);
                self.way = Self::live(&self.names, &self.display);
                let drawn = (1..).zip(&waiting).map(|(number, row)| self.draw(row, number));
                let lines: Vec<String> = self.start().into_iter().chain(drawn).collect();
                Some(lines.join("\n"))
            }
            _ => Some(self.draw(&cells, self.count)),
        }
    }

    fn draw(&self, cells: &[Cell], number: u64) -> String {
        match &self.way {
            Way::Columns(printer) => printer.row(cells),
            Way::Csv => delimited::csv(cells),
            Way::Tsv => delimited::tsv(cells),
            Way::Upright | Way::Waiting(_) => vertical::draw_row(&self.names, cells, number, &self.display),
        }
    }

    /// What is left when all rows are there.
    pub fn finish(&mut self) -> Option<String> {
        match &mut self.way {
            Way::Waiting(waiting) => {
                let table = Table { header: self.names.clone(), rows: std::mem::take(waiting) };
                Some(table.draw(&self.display))
            }
            _ => None,
        }
    }

    /// Rows so far.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(output: Output, live: bool, count: usize) -> String {
        let mut rows = Rows::new(vec!["A".into()], Display::new(output, None), live);
        let mut lines: Vec<String> = rows.start().into_iter().collect();
        for n in 0..count {
            lines.extend(rows.row(vec![Cell::Text(n.to_string())]));
        }
        lines.extend(rows.finish());
        lines.join("\n")
    }

    #[test]
    fn short_results_wait_and_long_ones_do_not() {
        assert_eq!(rows(Output::Table, false, 1), "| A |\n|---|\n| 0 |");
        let long = rows(Output::Table, false, MAX_TABLE_ROWS + 5);
        assert_eq!(long.lines().count(), MAX_TABLE_ROWS + 5 + 3);
        assert!(long.starts_with('+'));
        assert_eq!(rows(Output::Csv, true, 2), "A\n0\n1");
        assert!(rows(Output::Vertical, true, 2).contains("-[ 2 ]"));
    }
}
