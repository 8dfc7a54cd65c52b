//! What can be measured. A workload is one row of the table: it reads the loaded input, and says what it cost.

use std::time::Duration;

use crate::cpu::Used;
use crate::input::Input;

/// One run of one workload.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// Records of the input that were worked through.
    pub records: u64,
    /// Records that came out, checked against what must come out.
    pub output: u64,
    /// From the start (for a query: the statement) to the last output.
    pub wall: Duration,
    /// CPU time of the measured process in between, and of the broker.
    pub cpu: Used,
}

impl Measurement {
    /// Thousand records a second.
    pub fn krps(&self) -> f64 {
        self.records as f64 / self.wall.as_secs_f64() / 1_000.0
    }

    /// CPU microseconds a record.
    pub fn cpu_us(&self) -> f64 {
        self.cpu.own.as_secs_f64() * 1e6 / self.records.max(1) as f64
    }

    /// The broker's; `None` where it is not known.
    pub fn broker_us(&self) -> Option<f64> {
        (!self.cpu.broker.is_zero()).then(|| self.cpu.broker.as_secs_f64() * 1e6 / self.records.max(1) as f64)
    }
}

/// What a workload's throughput is held against.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The name of the workload that is the limit.
    pub limit: &'static str,
    /// The least share of the limit's throughput.
    pub throughput: f64,
    /// The largest multiple of the limit's CPU time, if that is a goal too.
    pub cpu: Option<f64>,
}

pub trait Workload {
    fn name(&self) -> &'static str;
    /// In a few words, for the table's legend.
    fn describe(&self) -> &'static str;
    fn goal(&self) -> Option<Goal> {
        None
    }
    /// Whether it writes transactions on Kafka.
    fn is_transactional(&self) -> bool {
        false
    }
    /// Runs once, from nothing, and cleans up. `run` numbers the runs of all workloads, for names of topics.
    ///
    /// # Errors
    /// Where something failed or the output is not what it must be: the run does not count.
    fn run(&mut self, input: &Input, run: usize) -> Result<Measurement, String>;
}
