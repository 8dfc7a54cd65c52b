//! Warms up a broker for transactions. Its compiler needs thousands of them, and workloads commit a few dozen a second: without this
//! the first minutes of exactly once would measure the compiler, which takes more of the broker's CPU than the transactions do. What
//! else it does for the workloads is compiled by these themselves, in rounds that do not count.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::cpu::Process;
use crate::input::{Input, PARTITIONS, text};
use crate::workload::Workload;

/// Producers at once: many, since a broker lets each wait a while before its next transaction.
const PRODUCERS: usize = 24;
/// Transactions of each.
const TRANSACTIONS: usize = 500;
const TOPIC: &str = "warming-transactions";
const PATIENCE: Duration = Duration::from_secs(30);

/// Rounds of the workloads at most, and the share of the broker's CPU below which its compiler is done.
const MAX_ROUNDS: usize = 12;
const COMPILED: f64 = 0.05;

/// Runs the workloads with transactions until the broker's compiler has little to do with them; where the broker's process is not
/// known, once. `number` numbers the runs of all workloads.
///
/// # Errors
/// What a workload says.
pub fn rounds(input: &Input, workloads: &mut [Box<dyn Workload>], number: &mut usize) -> Result<(), String> {
    let used = |process: &Process| (process.compilers(), process.cpu());
    for round in 1..=MAX_ROUNDS {
        let before = input.broker.as_ref().map(used);
        for workload in workloads.iter_mut().filter(|workload| workload.is_transactional()) {
            *number += 1;
            workload.run(input, *number)?;
        }
        let Some((before, broker)) = before.zip(input.broker.as_ref()) else { break };
        let (compilers, all) = used(broker);
        let share = compilers.saturating_sub(before.0).as_secs_f64() / all.saturating_sub(before.1).as_secs_f64().max(f64::EPSILON);
        eprintln!("warming up, round {round}: the broker's compiler takes {:.0}% of its CPU", share * 100.0);
        if share < COMPILED {
            break;
        }
    }
    Ok(())
}

/// Has the broker carry out [`PRODUCERS`] × [`TRANSACTIONS`] transactions, each with a record for every partition of a topic.
///
/// # Errors
/// Where one can't be committed.
pub fn transactions(input: &Input) -> Result<(), String> {
    let bootstrap = input.bootstrap()?;
    input.create(TOPIC)?;
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS).map(|number| scope.spawn(move || produce(bootstrap, number))).collect();
        producers.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a producer panicked".to_owned())?)
    })?;
    input.delete(TOPIC)
}

fn produce(bootstrap: &str, number: usize) -> Result<(), String> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("transactional.id", format!("{TOPIC}-{number}")).set("linger.ms", "0");
    let producer: BaseProducer = config.create().map_err(text)?;
    producer.init_transactions(PATIENCE).map_err(text)?;
    for _ in 0..TRANSACTIONS {
        producer.begin_transaction().map_err(text)?;
        for partition in 0..PARTITIONS {
            let record = BaseRecord::<(), [u8]>::to(TOPIC).partition(partition as i32).payload(b"warm");
            producer.send(record).map_err(|(error, _)| text(error))?;
        }
        producer.commit_transaction(PATIENCE).map_err(text)?;
    }
    Ok(())
}
