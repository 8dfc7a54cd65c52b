//! The log as one server sees it. Before each call others may have their turn, however long that takes: so whatever a server is at, it
//! may stand still in the middle of it, and go on when others have taken its place. A server that is dead does nothing to the log any
//! more; one that is cut off waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Cluster;
use crate::log::simulated::SimulatedLog;
use crate::log::{
    ArrivedBatch, Commit, Delivery, GroupOffsets, Log, LogError, LogReader, LogWriter, Loss, Offset, OffsetSpec, OutRecord, Subscription,
    TopicHandle, TopicIdentity, TopicInfo, TopicPartition, TopicSpec, TransactionalId,
};
use crate::state::StateDb;

/// See the module.
#[derive(Clone)]
pub(super) struct Wire(Arc<Ends>);

struct Ends {
    cluster: Weak<Cluster>,
    /// Which server's it is.
    server: usize,
    log: SimulatedLog,
    state: StateDb,
    is_dead: AtomicBool,
    is_cut: AtomicBool,
}

fn dead() -> LogError {
    LogError::Fatal("simulated fault: the process has died".into())
}

impl Wire {
    pub fn new(cluster: &Arc<Cluster>, server: usize, state: StateDb) -> Self {
        let (is_dead, is_cut) = (AtomicBool::new(false), AtomicBool::new(false));
        Wire(Arc::new(Ends { cluster: Arc::downgrade(cluster), server, log: cluster.log.clone(), state, is_dead, is_cut }))
    }

    pub fn is_dead(&self) -> bool {
        self.0.is_dead.load(Ordering::Acquire)
    }

    pub fn kill(&self) {
        self.0.is_dead.store(true, Ordering::Release);
    }

    pub fn cut(&self, is_cut: bool) {
        self.0.is_cut.store(is_cut, Ordering::Release);
    }

    /// Others have their turn; then whether the log can be reached.
    fn reach(&self) -> Result<(), LogError> {
        if self.is_dead() {
            return Err(dead());
        }
        if let Some(cluster) = self.0.cluster.upgrade() {
            cluster.interrupt(self.0.server, self.0.is_cut.load(Ordering::Acquire));
        }
        if self.is_dead() {
            return Err(dead());
        }
        if self.0.is_cut.load(Ordering::Acquire) {
            return Err(LogError::Retriable("simulated fault: the log can't be reached".into()));
        }
        Ok(())
    }

    /// Makes a call that the process may die in.
    fn call<T>(&self, f: impl FnOnce(&SimulatedLog) -> Result<T, LogError>) -> Result<T, LogError> {
        self.reach()?;
        let result = self.within(|| f(&self.0.log));
        if self.is_dead() { Err(dead()) } else { result }
    }

    /// What is done now is this server's.
    fn within<T>(&self, f: impl FnOnce() -> T) -> T {
        let Some(cluster) = self.0.cluster.upgrade() else { return f() };
        cluster.at_work(&self.0.state, self.0.server);
        let result = f();
        if self.0.log.is_dead() {
            self.0.log.revive();
            self.kill();
        }
        result
    }

    fn writer_of(&self, inner: Box<dyn LogWriter>) -> Box<dyn LogWriter> {
        Box::new(WireWriter { inner: Some(inner), wire: self.clone() })
    }
}

impl Log for Wire {
    fn is_atomic(&self) -> bool {
        false
    }

    fn kind(&self) -> &'static str {
        "simulated"
    }

    fn cluster_id(&self) -> String {
        self.0.log.cluster_id()
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<(), LogError> {
        self.call(|log| log.create_topic(spec))
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.call(|log| log.delete_topic(name))
    }

    fn describe_topic(&self, name: &str) -> Result<Option<TopicInfo>, LogError> {
        self.call(|log| log.describe_topic(name))
    }

    fn identify(&self, names: &[&str]) -> Result<Vec<Option<TopicIdentity>>, LogError> {
        self.call(|log| log.identify(names))
    }

    fn list_topics(&self) -> Result<Vec<TopicInfo>, LogError> {
        self.call(|log| log.list_topics())
    }

    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec) -> Result<Vec<Offset>, LogError> {
        self.call(|log| log.offsets(partitions, spec))
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, LogError> {
        self.call(|log| log.committed(group, partitions))
    }

    fn delete_group(&self, group: &str) -> Result<(), LogError> {
        self.call(|log| log.delete_group(group))
    }

    fn topic(&self, name: &str) -> Result<(TopicHandle, u32), LogError> {
        self.call(|log| log.topic(name))
    }

    fn subscribe(&self, subscription: Subscription) -> Result<Box<dyn LogReader>, LogError> {
        let inner = self.call(|log| log.subscribe(subscription))?;
        Ok(Box::new(WireReader { inner, wire: self.clone() }))
    }

    fn writer(&self) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(self.writer_of(self.call(|log| log.writer())?))
    }

    fn transactional_writer(&self, id: &TransactionalId) -> Result<Box<dyn LogWriter>, LogError> {
        Ok(self.writer_of(self.call(|log| log.transactional_writer(id))?))
    }

    fn delete_before(&self, offsets: GroupOffsets) {
        let _ = self.call(|log| {
            log.delete_before(offsets);
            Ok(())
        });
    }

    fn ping(&self, timeout: Duration) -> Result<(), LogError> {
        self.call(|log| log.ping(timeout))
    }
}

struct WireReader {
    inner: Box<dyn LogReader>,
    wire: Wire,
}

impl LogReader for WireReader {
    fn poll_from(&mut self, wanted: &dyn Fn(usize) -> bool) -> Result<Option<ArrivedBatch>, LogError> {
        let inner = &mut self.inner;
        self.wire.call(|_| inner.poll_from(wanted))
    }

    fn caught_up(&self, source: usize) -> bool {
        self.inner.caught_up(source)
    }

    fn passed(&self, source: usize) -> Option<Offset> {
        self.inner.passed(source)
    }

    fn take_losses(&mut self) -> Vec<Loss> {
        self.inner.take_losses()
    }

    fn seek(&mut self, offsets: &[Offset]) -> Result<(), LogError> {
        self.inner.seek(offsets)
    }
}

struct WireWriter {
    /// There until it is dropped.
    inner: Option<Box<dyn LogWriter>>,
    wire: Wire,
}

impl WireWriter {
    fn call<T>(&mut self, f: impl FnOnce(&mut dyn LogWriter) -> Result<T, LogError>) -> Result<T, LogError> {
        let inner = self.inner.as_deref_mut();
        self.wire.call(|_| f(inner.unwrap_or_else(|| unreachable!("it is there until it is dropped"))))
    }
}

impl LogWriter for WireWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        self.call(|writer| writer.send(topic, record))
    }

    fn hint_idle(&mut self) {
        let _ = self.call(|writer| {
            writer.hint_idle();
            Ok(())
        });
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.call(|writer| writer.flush())
    }

    fn remembers(&mut self, group: &Arc<str>, inputs: &[(TopicPartition, Offset)]) {
        if let Some(writer) = &mut self.inner {
            writer.remembers(group, inputs);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.call(|writer| writer.commit(commit))
    }

    fn begin_commit(&mut self, commit: Commit) -> Result<Delivery, LogError> {
        self.call(|writer| writer.begin_commit(commit))
    }

    fn follow(&mut self, delivery: Delivery) {
        if let Some(writer) = &mut self.inner {
            writer.follow(delivery);
        }
    }

    fn commit_ended(&mut self, waits: bool) -> Option<Result<(), LogError>> {
        let ended = self.call(|writer| Ok(writer.commit_ended(waits)));
        match ended {
            Ok(ended) => ended,
            Err(LogError::Retriable(_)) if !waits => None,
            // Whoever waits hears of it when the log is back; here it is at once, for nothing else is known of the process.
            Err(LogError::Retriable(_)) => {
                let Some(writer) = &mut self.inner else { return Some(Err(dead())) };
                self.wire.within(|| writer.commit_ended(waits))
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn verdict(&mut self) -> Option<LogError> {
        self.inner.as_mut().and_then(|writer| writer.verdict())
    }

    fn close(&mut self) {
        if let Some(writer) = &mut self.inner {
            writer.close();
        }
    }
}

impl Drop for WireWriter {
    /// What a process that has died had on its way is that of one that dies.
    fn drop(&mut self) {
        let is_dead = self.wire.is_dead();
        if is_dead {
            self.wire.0.log.is_dying();
        }
        self.inner = None;
        if is_dead {
            self.wire.0.log.revive();
        }
    }
}
