//! A writer of transactions, whose end nobody has to wait for: the writer proper goes to a thread that delivers what is left, ends
//! the transaction and hands over the state, and comes back from there. Of two such writers that take turns, the one that follows
//! keeps its records back until those of the other are delivered, so that in each partition they come behind them.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::held::{Held, Room};
use super::hub::Hub;
use super::writer::KafkaWriter;
use super::{Shared, StateSink};
use crate::log::{Commit, Delivery, LogError, LogWriter, Offset, OutRecord, TopicHandle, TopicPartition, TransactionalId};

/// One step of waiting until records may be sent.
const STEP: Duration = Duration::from_micros(200);

/// See the module.
pub(super) struct TransactionalWriter {
    /// Not here while its transaction ends.
    writer: Option<Box<KafkaWriter>>,
    ender: Ender,
    held: Option<Held>,
    /// What the last ones were kept in, while there is more to do.
    room: Room,
    /// Why what was kept back could not be sent.
    late: Option<LogError>,
    verdict: Option<LogError>,
}

/// A transaction that ends: its writer, what it commits, and who is to know when all of it is delivered.
type Ending = (Box<KafkaWriter>, Commit, Delivery);
type Ended = (Box<KafkaWriter>, Result<(), LogError>);

/// The thread of a writer.
struct Ender {
    endings: Sender<Ending>,
    ended: Receiver<Ended>,
}

impl Ender {
    /// Begins it; it ends with its writer.
    fn start() -> Result<Ender, LogError> {
        let (endings, inbox) = bounded::<Ending>(1);
        let (outbox, ended) = bounded::<Ended>(1);
        let work = move || {
            for (mut writer, commit, delivery) in inbox {
                let result = writer.commit_transaction(commit, &delivery);
                if result.is_err() && delivery.is_awaited() {
                    delivery.tell(false);
                }
                if outbox.send((writer, result)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("transactions".into()).spawn(work);
        thread.map_err(|error| LogError::Retriable(format!("there can be no thread for transactions ({error})")))?;
        Ok(Ender { endings, ended })
    }
}

impl TransactionalWriter {
    pub(super) fn new(shared: Arc<Shared>, hub: Arc<Hub>, state: StateSink, id: &TransactionalId) -> Result<Self, LogError> {
        let writer = Box::new(KafkaWriter::transactional(shared, hub, state, id)?);
        Ok(TransactionalWriter {
            writer: Some(writer),
            ender: Ender::start()?,
            held: None,
            room: Room::default(),
            late: None,
            verdict: None,
        })
    }

    fn writer(&mut self) -> Result<&mut KafkaWriter, LogError> {
        self.writer.as_deref_mut().ok_or_else(|| LogError::Fatal("Kafka: a transaction that ends takes no records".into()))
    }

    /// Sends what was kept back, where the time for it has come.
    fn release(&mut self) -> Result<(), LogError> {
        if let Some(error) = self.late.take() {
            return Err(self.refused(error));
        }
        let Some(held) = self.held.take_if(|held| !held.is_awaited()) else { return Ok(()) };
        if held.is_in_vain() {
            return Err(LogError::Retriable("Kafka: the transaction before failed".into()));
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        match held.send(&mut **writer) {
            Ok(room) => self.room = room,
            Err(error) => return Err(self.refused(error)),
        }
        Ok(())
    }

    /// A record was refused that another task may have sent.
    fn refused(&mut self, error: LogError) -> LogError {
        let reason = format!("Kafka: a transaction has to begin anew: {error}");
        self.verdict = Some(error);
        LogError::Retriable(reason)
    }

    /// Waits until the records may be sent, and sends them.
    fn await_turn(&mut self) -> Result<(), LogError> {
        while self.held.as_ref().is_some_and(Held::is_awaited) {
            std::thread::sleep(STEP);
        }
        self.release()
    }

    fn take_back(&mut self, (writer, result): Ended) -> Result<(), LogError> {
        self.writer = Some(writer);
        result
    }
}

impl LogWriter for TransactionalWriter {
    fn send(&mut self, topic: TopicHandle, record: OutRecord<'_>) -> Result<(), LogError> {
        if self.held.is_some() || self.late.is_some() {
            if let Some(held) = self.held.as_mut().filter(|held| held.is_awaited()) {
                held.push(topic, &record);
                return Ok(());
            }
            self.release()?;
        }
        self.writer()?.send(topic, record)
    }

    fn has_room(&mut self) -> bool {
        match &self.held {
            Some(held) if held.is_awaited() => held.has_room(),
            _ => self.writer.as_mut().is_some_and(|writer| writer.has_room()),
        }
    }

    fn hint_idle(&mut self) {
        if self.late.is_some() || self.held.as_ref().is_some_and(Held::is_awaited) {
            return;
        }
        if let Err(error) = self.release() {
            // Told to who sends or commits next.
            self.late = Some(self.verdict.take().unwrap_or(error));
        }
        self.room = Room::default();
        if let Some(writer) = &mut self.writer {
            writer.hint_idle();
        }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.await_turn()?;
        self.writer()?.flush()
    }

    fn remembers(&mut self, group: &Arc<str>, inputs: &[(TopicPartition, Offset)]) {
        if let Some(writer) = &mut self.writer {
            writer.remembers(group, inputs);
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.begin_commit(commit)?;
        self.commit_ended(true).unwrap_or(Ok(()))
    }

    fn follow(&mut self, delivery: Delivery) {
        self.held = Some(Held::new(delivery, std::mem::take(&mut self.room)));
    }

    fn begin_commit(&mut self, commit: Commit) -> Result<Delivery, LogError> {
        if let Err(error) = self.await_turn() {
            return Err(self.verdict.take().unwrap_or(error));
        }
        let gone = || LogError::Fatal("Kafka: the thread for transactions is gone".into());
        let (delivery, writer) = (Delivery::default(), self.writer.take().ok_or_else(gone)?);
        self.ender.endings.send((writer, commit, delivery.clone())).map_err(|_| gone())?;
        Ok(delivery)
    }

    fn commit_ended(&mut self, waits: bool) -> Option<Result<(), LogError>> {
        let lost = || LogError::Fatal("Kafka: it is not known whether a transaction was committed: its thread is gone".into());
        let ended = if waits { self.ender.ended.recv().map_err(|_| TryRecvError::Disconnected) } else { self.ender.ended.try_recv() };
        match ended {
            Ok(ended) => Some(self.take_back(ended)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(lost())),
        }
    }

    fn verdict(&mut self) -> Option<LogError> {
        self.verdict.take().or_else(|| self.writer.as_mut()?.verdict())
    }

    fn close(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.close();
        }
    }
}
