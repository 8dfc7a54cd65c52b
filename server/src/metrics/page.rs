//! Prometheus's text format.

use std::fmt::{Display, Write};

use metrics_exporter_prometheus::formatting::{sanitize_label_value, write_help_line, write_type_line};

/// What a number is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process or the query is started anew.
    Counter,
    Gauge,
    Histogram,
}

/// A page in the making.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        write_help_line(&mut self.0, name, None, None, help);
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write_type_line(&mut self.0, name, None, None, kind);
    }

    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            // Writing to a text can't fail.
            let _ = write!(self.0, "{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, sanitize_label_value(text));
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family of one sample.
    pub fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_can_not_break_out() {
        let mut page = Page::default();
        page.family("x_total", Kind::Counter, "Counts.\nTwo lines.");
        page.sample("x_total", &[("query", "a\"} 1\nb 2"), ("kind", "k")], 3);
        page.one("y", Kind::Gauge, "One.", 0.5);
        let expected = "# HELP x_total Counts.\\nTwo lines.\n# TYPE x_total counter\nx_total{query=\"a\\\"} 1\\nb 2\",kind=\"k\"} 3\n\
                        # HELP y One.\n# TYPE y gauge\ny 0.5\n";
        assert_eq!(page.into_text(), expected);
    }
}
