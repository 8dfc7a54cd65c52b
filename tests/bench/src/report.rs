//! The table and the JSON: medians of the runs, with what they are held against.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::latency::Latency;
use crate::pairs::{Runs, Spread};
use crate::serving::Served;
use crate::statements::Statements;
use crate::workload::{Goal, Measurement};

/// All runs of one workload.
pub struct Row {
    pub name: &'static str,
    pub describe: &'static str,
    pub goal: Option<Goal>,
    pub runs: Runs,
    /// Runs that did not count, and why.
    pub failures: Vec<String>,
}

impl Row {
    fn krps(&self) -> Option<f64> {
        Some(Spread::of(self.runs.values().map(Measurement::krps))?.median)
    }

    fn cpu_us(&self) -> Option<f64> {
        Some(Spread::of(self.runs.values().map(Measurement::cpu_us))?.median)
    }

    fn broker_us(&self) -> Option<f64> {
        Some(Spread::of(self.runs.values().filter_map(Measurement::broker_us))?.median)
    }

    fn output(&self) -> Option<u64> {
        self.runs.last_key_value().map(|(_, run)| run.output)
    }
}

/// What a row takes of what its limit does.
struct Shares {
    throughput: Option<Spread>,
    cpu: Option<Spread>,
    broker: Option<Spread>,
}

/// The rows that were measured on one log.
pub struct Section {
    /// `Apache Kafka` or `Embedded log`.
    pub log: &'static str,
    pub rows: Vec<Row>,
}

impl Section {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// What a row is held against; where there is no bare client (embedded), the log by itself.
    fn limit(&self, row: &Row) -> Option<&Row> {
        let goal = row.goal?;
        let own = if goal.limit == "L1" { "log" } else { "read" };
        self.row(goal.limit).or_else(|| self.row(own)).filter(|limit| limit.name != row.name)
    }

    fn shares(&self, row: &Row) -> Shares {
        let share = |value: fn(&Measurement) -> Option<f64>| Spread::of_pairs(&row.runs, &self.limit(row)?.runs, value);
        Shares { throughput: share(|run| Some(run.krps())), cpu: share(|run| Some(run.cpu_us())), broker: share(Measurement::broker_us) }
    }

    fn table(&self) -> String {
        let mut out = format!(
            "### {}\n\n| | thousand records a second | engine CPU, µs a record | broker CPU | records out | throughput, of the limit | CPU, of the limit | broker CPU | what |\n|---|---:|---:|---:|---:|---|---|---|---|\n",
            self.log
        );
        for row in &self.rows {
            let number = |value: Option<f64>, digits: usize| value.map_or("–".into(), |value| format!("{value:.digits$}"));
            let Shares { throughput, cpu, broker } = self.shares(row);
            let limit = self.limit(row).map_or("", |limit| limit.name);
            let goal = row.goal.filter(|goal| goal.limit == limit);
            let share = throughput.map_or(String::new(), |share| {
                let wanted =
                    goal.map_or(String::new(), |goal| format!(" (goal {}{})", goal.throughput, mark(share.median >= goal.throughput)));
                format!("{:.2} × {limit} {}{wanted}", share.median, share.quartiles())
            });
            let cpu_share = cpu.map_or(String::new(), |share| {
                let wanted =
                    goal.and_then(|goal| goal.cpu).map_or(String::new(), |most| format!(" (goal {most}{})", mark(share.median <= most)));
                format!("{:.2} × {}{wanted}", share.median, share.quartiles())
            });
            let broker = broker.map_or(String::new(), |share| format!("{:.2} × {}", share.median, share.quartiles()));
            let output = row.output().unwrap_or(0);
            let (krps, cpu_us, broker_us) = (number(row.krps(), 0), number(row.cpu_us(), 2), number(row.broker_us(), 2));
            out += &format!(
                "| {} | {krps} | {cpu_us} | {broker_us} | {output} | {share} | {cpu_share} | {broker} | {} |\n",
                row.name, row.describe
            );
        }
        for row in &self.rows {
            for failure in &row.failures {
                out += &format!("\nA run of {} did not count: {failure}\n", row.name);
            }
        }
        out
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let Shares { throughput, cpu, broker } = self.shares(row);
            let quartiles = |share: Option<Spread>| share.map(|share| json!([share.low, share.high]));
            json!({
                "name": row.name,
                "what": row.describe,
                "k_records_per_s": row.krps(),
                "cpu_us_per_record": row.cpu_us(),
                "broker_cpu_us_per_record": row.broker_us(),
                "output": row.output(),
                "limit": self.limit(row).map(|limit| limit.name),
                "share_of_limit": throughput.map(|share| share.median),
                "share_quartiles": quartiles(throughput),
                "goal": row.goal.map(|goal| goal.throughput),
                "cpu_of_limit": cpu.map(|share| share.median),
                "cpu_quartiles": quartiles(cpu),
                "broker_cpu_of_limit": broker.map(|share| share.median),
                "cpu_goal": row.goal.and_then(|goal| goal.cpu),
                "runs": row.runs.iter().map(|(round, run)| json!({
                    "round": round, "wall_s": run.wall.as_secs_f64(), "cpu_s": run.cpu.own.as_secs_f64(),
                    "broker_cpu_s": run.cpu.broker.as_secs_f64(),
                })).collect::<Vec<_>>(),
                "failures": row.failures,
            })
        });
        json!({ "log": self.log, "rows": rows.collect::<Vec<_>>() })
    }
}

/// Whether a goal was reached.
pub fn mark(reached: bool) -> &'static str {
    if reached { " ✓" } else { " ✗" }
}

/// Everything that one invocation measured.
#[derive(Default)]
pub struct Report {
    pub bids: u64,
    pub bid_bytes: u64,
    pub cores: usize,
    pub sections: Vec<Section>,
    pub latencies: BTreeMap<&'static str, Latency>,
    /// CPU time of a reader that waits, milliseconds a second.
    pub idle_cpu_ms: Option<f64>,
    /// The server beside its queries.
    pub served: Option<Served>,
    /// INSERT and CREATE beside many queries.
    pub statements: Option<Statements>,
}

impl Report {
    /// The tables for people, in Markdown.
    pub fn table(&self) -> String {
        let mut out = format!(
            "{} bids of {} bytes on average in 4 partitions; {} cores shared with the broker; medians of {} runs, and of the ratios of runs that stood beside each other [quartiles].\n\n",
            self.bids,
            self.bid_bytes,
            self.cores,
            self.sections.iter().flat_map(|section| &section.rows).map(|row| row.runs.len()).max().unwrap_or(0)
        );
        for section in &self.sections {
            out += &section.table();
            out += "\n";
        }
        if !self.latencies.is_empty() {
            let rate = crate::latency::rate();
            out += &format!("### Latency\n\n| from produce to output, {rate}, ms | p50 | p90 | p99 | max |\n|---|---:|---:|---:|---:|\n");
            for (name, Latency { p50, p90, p99, max, .. }) in &self.latencies {
                out += &format!("| {name} | {p50:.2} | {p90:.2} | {p99:.2} | {max:.2} |\n");
            }
            if let (Some(bare), Some(filter)) = (self.latencies.get(crate::latency::KAFKA), self.latencies.get(crate::latency::FILTER)) {
                let above = filter.p99 - bare.p99;
                out += &format!("\nThe filter's p99 is {above:.2} ms above bare Kafka's (goal 5{}).\n", mark(above <= 5.0));
            }
            if let Some(once) = self.latencies.get(crate::latency::FILTER_ONCE) {
                let goal = crate::latency::ONCE_COMMIT_MS as f64 + crate::latency::ONCE_GOAL_MS;
                out += &format!("\nWith exactly once the filter's p50 is {:.1} ms (goal {goal:.0}{}).\n", once.p50, mark(once.p50 <= goal));
            }
        }
        if let Some(idle) = self.idle_cpu_ms {
            out += &format!("\nA reader that waits takes {idle:.1} ms of CPU a second.\n");
        }
        if let Some(statements) = &self.statements {
            out += &statements.table();
        }
        if let Some(Served { started_ms, idle_mb, pulls, pull_limit }) = &self.served {
            let connections = crate::pull::CONNECTIONS;
            out += "\n### Server on the embedded log\n\n| | | goal |\n|---|---:|---|\n";
            out += &format!("| start to `/info`, ms | {started_ms:.0} | 300{} |\n", mark(*started_ms <= 300.0));
            out += &format!("| resident memory when idle, MB | {idle_mb:.0} | 60{} |\n", mark(*idle_mb <= 60.0));
            let per_second = pulls.per_second;
            out += &format!(
                "| pull queries by key a second, HTTP/1.1, {connections} connections | {per_second:.0} | 20000{} |\n",
                mark(per_second >= 20_000.0)
            );
            out += &format!("| … p50, ms | {:.2} | |\n| … p99, ms | {:.2} | |\n", pulls.p50_ms, pulls.p99_ms);
            out += &format!("| … server CPU a query, µs | {:.1} | |\n", pulls.cpu_us);
            out += &format!("| for scale: `GET /info` a second, the same way | {:.0} | |\n", pull_limit.per_second);
        }
        out
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let latencies: BTreeMap<&str, Value> = self
            .latencies
            .iter()
            .map(|(name, l)| (*name, json!({ "records": l.records, "p50_ms": l.p50, "p90_ms": l.p90, "p99_ms": l.p99, "max_ms": l.max })))
            .collect();
        let served = self.served.map(|served| {
            let Served { started_ms, idle_mb, pulls, pull_limit } = served;
            json!({
                "started_ms": started_ms, "idle_mb": idle_mb, "pulls_per_s": pulls.per_second, "pull_p50_ms": pulls.p50_ms,
                "pull_p99_ms": pulls.p99_ms, "pull_cpu_us": pulls.cpu_us, "info_per_s": pull_limit.per_second,
            })
        });
        let sections: Vec<Value> = self.sections.iter().map(Section::json).collect();
        json!({
            "bids": self.bids, "bid_bytes": self.bid_bytes, "cores": self.cores, "logs": sections, "latency": latencies,
            "idle_cpu_ms_per_s": self.idle_cpu_ms, "server": served,
            "statements": self.statements.as_ref().map(Statements::json),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cpu::Used;

    fn row(name: &'static str, wall_ms: &[u64], goal: Option<Goal>) -> Row {
        let runs = wall_ms
            .iter()
            .map(|wall| {
                let wall = Duration::from_millis(*wall);
                Measurement { records: 1_000_000, output: 1, wall, cpu: Used { own: 2 * wall, broker: wall } }
            })
            .enumerate()
            .collect();
        Row { name, describe: "", goal, runs, failures: vec![] }
    }

    #[test]
    fn medians_are_held_against_the_limit() {
        let goal = Goal { limit: "L1", throughput: 0.75, cpu: None };
        let rows = vec![row("L1", &[900, 1_000, 5_000], None), row("q1", &[1_800, 2_000, 2_500], Some(goal))];
        let section = Section { log: "Apache Kafka", rows };
        assert_eq!(section.shares(&section.rows[1]).throughput, Some(Spread { low: 0.5, median: 0.5, high: 2.0 }));
        assert!(section.table().contains("0.50 × L1 [0.50–2.00] (goal 0.75 ✗)"));
        let report = Report { sections: vec![section], ..Report::default() };
        assert_eq!(report.json()["logs"][0]["rows"][1]["share_of_limit"], 0.5);
    }

    #[test]
    fn without_a_bare_client_the_log_is_the_limit() {
        let goal = Goal { limit: "L1", throughput: 0.75, cpu: None };
        let section = Section { log: "embedded log", rows: vec![row("log", &[1_000], None), row("q1", &[2_000], Some(goal))] };
        assert!(section.table().contains("0.50 × log [0.50–0.50] |"));
    }
}
