//! Faults on a real Apache Kafka: kills, named points, networks, brokers, disks. Whatever happens, what readers of committed
//! records see is compared with a model that is computed apart, and each test shows that its faults happened.
//!
//! `make chaos` runs the counts of `docs/reliability.md` (`TIDEMILL_CHAOS_ROUNDS` is the factor). Without it, with every build, these
//! are short rounds: 30 kills and a few of each other fault. `TIDEMILL_CHAOS_SEED` repeats a test's choices; what the machine makes
//! of them in time differs, of course.

mod arena;
mod brokers;
mod check;
mod corrupt;
mod disk;
mod end;
mod kills;
mod load;
mod model;
mod network;
mod planted;
mod points;
mod random;
mod report;
mod sinks;
mod statements;
mod zombie;
