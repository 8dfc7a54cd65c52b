//! The table and the JSON: medians of the runs, with what they are held against.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::latency::Latency;
use crate::serving::Served;
use crate::workload::{Goal, Measurement};

/// All runs of one workload.
pub struct Row {
    pub name: &'static str,
    pub describe: &'static str,
    pub goal: Option<Goal>,
    pub runs: Vec<Measurement>,
    /// Runs that did not count, and why.
    pub failures: Vec<String>,
}

impl Row {
    fn krps(&self) -> Option<f64> {
        median(self.runs.iter().map(Measurement::krps))
    }

    fn cpu_us(&self) -> Option<f64> {
        median(self.runs.iter().map(Measurement::cpu_us))
    }
}

/// Everything that one invocation measured.
pub struct Report {
    pub bids: u64,
    pub bid_bytes: u64,
    pub cores: usize,
    pub rows: Vec<Row>,
    pub latencies: BTreeMap<&'static str, Latency>,
    /// CPU time of a reader that waits, milliseconds a second.
    pub idle_cpu_ms: Option<f64>,
    /// The server beside its queries.
    pub served: Option<Served>,
}

impl Report {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Throughput and CPU of a row as shares of its limit's.
    fn shares(&self, row: &Row) -> (Option<f64>, Option<f64>) {
        let limit = row.goal.and_then(|goal| self.row(goal.limit));
        let ratio = |own: Option<f64>, other: Option<f64>| Some(own? / other?);
        (ratio(row.krps(), limit.and_then(Row::krps)), ratio(row.cpu_us(), limit.and_then(Row::cpu_us)))
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let mut out = format!(
            "{} bids of {} bytes on average, 4 partitions, {} cores shared with the broker\n\n{:<8} {:>10} {:>10} {:>10}  {:<22} {}\n",
            self.bids, self.bid_bytes, self.cores, "", "k rec/s", "CPU µs", "output", "against", "what"
        );
        for row in &self.rows {
            let number = |value: Option<f64>, digits: usize| value.map_or("-".into(), |value| format!("{value:.digits$}"));
            let (throughput, cpu) = self.shares(row);
            let against = row.goal.map_or(String::new(), |goal| {
                format!("{} × {} (goal {}), CPU {} ×", number(throughput, 2), goal.limit, goal.throughput, number(cpu, 2))
            });
            let output = row.runs.last().map_or(0, |run| run.output);
            out += &format!(
                "{:<8} {:>10} {:>10} {:>10}  {:<22} {}\n",
                row.name,
                number(row.krps(), 0),
                number(row.cpu_us(), 2),
                output,
                against,
                row.describe
            );
            for failure in &row.failures {
                out += &format!("         a run did not count: {failure}\n");
            }
        }
        if !self.latencies.is_empty() {
            out += &format!(
                "\nfrom produce to output, {}, milliseconds\n{:<8} {:>8} {:>8} {:>8} {:>8}\n",
                crate::latency::rate(),
                "",
                "p50",
                "p90",
                "p99",
                "max"
            );
            for (name, Latency { p50, p90, p99, max, .. }) in &self.latencies {
                out += &format!("{name:<8} {p50:>8.2} {p90:>8.2} {p99:>8.2} {max:>8.2}\n");
            }
        }
        if let Some(idle) = self.idle_cpu_ms {
            out += &format!("\na reader that waits takes {idle:.1} ms of CPU a second\n");
        }
        if let Some(Served { started_ms, idle_mb, pulls }) = &self.served {
            out += &format!("\na server on the embedded log answers {started_ms:.0} ms after its start and takes {idle_mb:.0} MB idle\n");
            out += &format!(
                "pull queries by key over HTTP/1.1 at {} connections: {:.0} a second, p50 {:.2} ms, p99 {:.2} ms\n",
                crate::pull::CONNECTIONS,
                pulls.per_second,
                pulls.p50_ms,
                pulls.p99_ms
            );
        }
        out
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let (throughput, cpu) = self.shares(row);
                json!({
                    "name": row.name,
                    "what": row.describe,
                    "k_records_per_s": row.krps(),
                    "cpu_us_per_record": row.cpu_us(),
                    "output": row.runs.last().map(|run| run.output),
                    "limit": row.goal.map(|goal| goal.limit),
                    "share_of_limit": throughput,
                    "goal": row.goal.map(|goal| goal.throughput),
                    "cpu_of_limit": cpu,
                    "cpu_goal": row.goal.and_then(|goal| goal.cpu),
                    "runs": row.runs.iter().map(|run| json!({ "wall_s": run.wall.as_secs_f64(), "cpu_s": run.cpu.as_secs_f64() })).collect::<Vec<_>>(),
                    "failures": row.failures,
                })
            })
            .collect();
        let latencies: BTreeMap<&str, Value> = self
            .latencies
            .iter()
            .map(|(name, l)| (*name, json!({ "records": l.records, "p50_ms": l.p50, "p90_ms": l.p90, "p99_ms": l.p99, "max_ms": l.max })))
            .collect();
        let served = self.served.map(|served| {
            let Served { started_ms, idle_mb, pulls } = served;
            json!({ "started_ms": started_ms, "idle_mb": idle_mb, "pulls_per_s": pulls.per_second, "pull_p50_ms": pulls.p50_ms, "pull_p99_ms": pulls.p99_ms })
        });
        json!({ "bids": self.bids, "bid_bytes": self.bid_bytes, "cores": self.cores, "rows": rows, "latency": latencies, "idle_cpu_ms_per_s": self.idle_cpu_ms, "server": served })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(name: &'static str, wall_ms: &[u64], goal: Option<Goal>) -> Row {
        let runs = wall_ms
            .iter()
            .map(|wall| Measurement {
                records: 1_000_000,
                output: 1,
                wall: Duration::from_millis(*wall),
                cpu: Duration::from_millis(2 * wall),
            })
            .collect();
        Row { name, describe: "", goal, runs, failures: vec![] }
    }

    #[test]
    fn medians_are_held_against_the_limit() {
        let goal = Goal { limit: "L1", throughput: 0.75, cpu: None };
        let rows = vec![row("L1", &[900, 1_000, 5_000], None), row("q1", &[2_000, 1_000, 3_000], Some(goal))];
        let report = Report { bids: 1, bid_bytes: 1, cores: 2, rows, latencies: BTreeMap::new(), idle_cpu_ms: None, served: None };
        assert_eq!(report.shares(&report.rows[1]).0, Some(0.5));
        assert!(report.table().contains("0.50 × L1"));
        assert_eq!(report.json()["rows"][1]["share_of_limit"], 0.5);
    }
}
