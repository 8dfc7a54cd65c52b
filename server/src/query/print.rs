//! PRINT: a topic's records as text, with the formats that its bytes suggest.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use hyper::header::HeaderValue;
use tidemill_engine::formats::{FormatDetector, ShownSchemas};
use tidemill_engine::log::{ArrivedBatch, Log, LogError, LogReader, OffsetSpec, Subscription, TopicPartition};
use tidemill_engine::registry::{RegistryError, SchemaRegistry};
use tidemill_engine::types::text::{to_text, write_timestamp};
use tidemill_parser::ast::Print;
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::access::{Asker, Held, Role};
use crate::app::App;
use crate::blocking::Kind;
use crate::error::{ApiError, ErrorCode};
use crate::net::ReplyBody;
use crate::reply::{self, Reply};

/// Bytes of a topic that may wait unread.
const MAX_BUFFERED_BYTES: usize = 4 << 20;
/// Records that are looked at together for their formats.
const MAX_RECORDS_AT_ONCE: usize = 500;
/// Schemas that are asked for together.
const MAX_SCHEMAS_AT_ONCE: usize = 100;
/// How long to wait before a broker that is away is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// The topics that there are.
pub struct Known(Vec<String>);

impl Known {
    /// The topic that was meant, where one is near.
    fn near(&self, topic: &str) -> String {
        match tidemill_parser::did_you_mean(topic, self.0.iter().map(String::as_str)) {
            Some(meant) if meant.eq_ignore_ascii_case(topic) => format!("Did you mean '{meant}'? Topic names are case-sensitive."),
            Some(meant) => format!("Did you mean '{meant}'?"),
            None => "SHOW TOPICS lists those that there are; topic names are case-sensitive.".to_owned(),
        }
    }
}

/// How the two query endpoints differ.
pub struct PrintOptions {
    /// Whether the formats are named.
    pub names_formats: bool,
    pub content_type: Option<HeaderValue>,
    /// What is said of a topic that is not there.
    pub unknown_topic: fn(&str, &Known) -> ApiError,
}

impl PrintOptions {
    /// Of `/query`.
    pub fn query() -> Self {
        PrintOptions {
            names_formats: true,
            content_type: Some(reply::JSON),
            unknown_topic: |topic, known| {
                ApiError::bad_request(format!(
                    "Could not find topic '{topic}', or the KSQL user does not have permissions to list the topic. {}",
                    known.near(topic)
                ))
            },
        }
    }

    /// Of `/query-stream`.
    pub fn query_stream() -> Self {
        PrintOptions {
            names_formats: false,
            content_type: None,
            unknown_topic: |topic, known| {
                ApiError::generic(ErrorCode::BAD_STATEMENT, format!("Topic does not exist: {topic}. {}", known.near(topic)))
            },
        }
    }
}

/// # Errors
/// There is no such topic, or the log is away.
pub async fn print(app: Arc<App>, print: Print, text: String, options: PrintOptions, asker: &Asker) -> Result<Reply, ApiError> {
    let permit = app.push_permit()?;
    let closing = app.closing();
    let unknown_topic = options.unknown_topic;
    let asked = app.clone();
    let opened = app.blocking.run(Kind::Query, move || open(&asked, &print).map(|reader| (reader, print))).await;
    let (opened, print) = match opened {
        Ok(Ok((Some(opened), print))) => (opened, print),
        Ok(Ok((None, print))) => {
            let names = app
                .blocking
                .run(Kind::Query, {
                    let app = app.clone();
                    move || app.engine.log().list_topics()
                })
                .await;
            let known = names.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(|topic| topic.name).collect();
            return Err(unknown_topic(&print.topic.name, &Known(known)));
        }
        Ok(Err(error)) => return Err(ApiError::engine(error.into(), &text)),
        Err(error) => return Err(ApiError::generic(ErrorCode::SERVER_ERROR, format!("PRINT broke off: {error}"))),
    };
    let printing = Printing {
        look_at: Instant::now() + opened.max_age,
        opened: Some(opened),
        keys: FormatDetector::new(true),
        values: FormatDetector::new(false),
        registry: app.engine.registry().clone(),
        schemas: ShownSchemas::default(),
        named: None,
        names_formats: options.names_formats,
        every: print.interval.unwrap_or(1).max(1),
        seen: 0,
        left: print.limit,
        ready: Vec::new().into_iter(),
        closing,
        _permit: permit,
    };
    let (lines, ousted) = (stream::unfold(printing, Printing::next), asker.principal.ousted(Role::Read));
    Ok(reply::stream(options.content_type, ReplyBody::stream(Held::new(lines, ousted, |why| format!("{why}\n").into()))))
}

/// A topic that is being read.
struct Opened {
    log: Arc<dyn Log>,
    topic: String,
    /// The first reads the partitions that were there; each of the others what came at once later on.
    readers: Vec<Opening>,
    arrived: Arc<Notify>,
    /// How often partitions are looked for that came since.
    max_age: Duration,
}

/// Some partitions of the topic.
struct Opening {
    reader: Box<dyn LogReader>,
    partitions: Vec<i32>,
}

/// `None`: there is no such topic.
fn open(app: &App, print: &Print) -> Result<Option<Opened>, LogError> {
    let log = app.engine.log();
    let Some(info) = log.describe_topic(&print.topic.name)? else { return Ok(None) };
    let spec = if print.from_beginning { OffsetSpec::Earliest } else { OffsetSpec::Latest };
    let max_age = Duration::from_millis(app.engine.config().metadata_max_age_ms);
    let mut opened =
        Opened { log: log.clone(), topic: print.topic.name.clone(), readers: Vec::new(), arrived: Arc::new(Notify::new()), max_age };
    opened.readers.push(opening(&**log, info.all_partitions(), spec, &opened.arrived)?);
    Ok(Some(opened))
}

fn opening(log: &dyn Log, partitions: Vec<TopicPartition>, spec: OffsetSpec, arrived: &Arc<Notify>) -> Result<Opening, LogError> {
    let numbers = partitions.iter().map(|p| p.partition).collect();
    let offsets = log.offsets(&partitions, spec)?;
    let wake = arrived.clone();
    let reader = log.subscribe(Subscription {
        partitions: partitions.into_iter().zip(offsets).collect(),
        wake: Arc::new(move || wake.notify_one()),
        max_buffered_bytes: MAX_BUFFERED_BYTES,
    })?;
    Ok(Opening { reader, partitions: numbers })
}

impl Opened {
    /// What arrives next, with its partition's number.
    fn poll(&mut self) -> Result<Option<(i32, ArrivedBatch)>, LogError> {
        for opening in &mut self.readers {
            if let Some(batch) = opening.reader.poll()? {
                return Ok(Some((opening.partitions.get(batch.source).copied().unwrap_or_default(), batch)));
            }
        }
        Ok(None)
    }

    /// Looks for partitions that came since, which are read from their first record. Blocks.
    fn grow(&mut self) -> Result<(), LogError> {
        let known: usize = self.readers.iter().map(|opening| opening.partitions.len()).sum();
        let Some(info) = self.log.describe_topic(&self.topic)? else { return Ok(()) };
        let new: Vec<TopicPartition> = info.all_partitions().into_iter().skip(known).collect();
        if !new.is_empty() {
            self.readers.push(opening(&*self.log, new, OffsetSpec::Earliest, &self.arrived)?);
        }
        Ok(())
    }
}

/// An answer under way.
struct Printing {
    /// Out of hand only while new partitions are looked for.
    opened: Option<Opened>,
    /// When that is due.
    look_at: Instant,
    keys: FormatDetector,
    values: FormatDetector,
    /// Who knows the schemas that records name, and what it said.
    registry: Arc<dyn SchemaRegistry>,
    schemas: ShownSchemas,
    /// The formats as they were last named.
    named: Option<(String, String)>,
    names_formats: bool,
    /// Every n-th record is shown.
    every: u64,
    seen: u64,
    /// Records still to show; `None`: without end.
    left: Option<u64>,
    ready: std::vec::IntoIter<Bytes>,
    closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Printing {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(chunk) = self.ready.next() {
                return Some((chunk, self));
            }
            if self.left == Some(0) || *self.closing.borrow() {
                return None;
            }
            if Instant::now() >= self.look_at {
                self.grow().await?;
            }
            let opened = self.opened.as_mut()?;
            match opened.poll() {
                Ok(Some(batch)) => {
                    let arrived = self.gather(batch);
                    self.meet_schemas(&arrived).await;
                    self.show(&arrived);
                }
                Ok(None) => {
                    tokio::select! {
                        () = opened.arrived.notified() => {}
                        () = tokio::time::sleep_until(self.look_at.into()) => {}
                        () = closed(&mut self.closing) => return None,
                    }
                }
                Err(LogError::Retriable(_)) => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    let last = Bytes::from(format!("{error}\n"));
                    self.left = Some(0);
                    return Some((last, self));
                }
            }
        }
    }

    /// Takes up partitions that came since; what can't be asked now is asked the next time.
    async fn grow(&mut self) -> Option<()> {
        let mut opened = self.opened.take()?;
        self.look_at = Instant::now() + opened.max_age;
        let looked = tokio::task::spawn_blocking(move || {
            if let Err(error) = opened.grow() {
                tracing::debug!(topic = opened.topic, %error, "new partitions can't be looked for");
            }
            opened
        });
        self.opened = Some(looked.await.ok()?);
        Some(())
    }

    /// A batch with those that are there behind it: the more records are seen, the surer are the formats.
    fn gather(&mut self, first: (i32, ArrivedBatch)) -> Vec<(i32, ArrivedBatch)> {
        let mut count = first.1.batch.len();
        let mut arrived = vec![first];
        // What is wrong with the log comes up again at the next poll.
        while count < MAX_RECORDS_AT_ONCE
            && let Some(Ok(Some(next))) = self.opened.as_mut().map(Opened::poll)
        {
            count += next.1.batch.len();
            arrived.push(next);
        }
        arrived
    }

    /// Asks for the schemas that records may name. Where the registry is away, they are shown as those of a schema that nobody
    /// knows; later ones are asked for again.
    async fn meet_schemas(&mut self, arrived: &[(i32, ArrivedBatch)]) {
        let mut missing = BTreeSet::new();
        for (_, batch) in arrived {
            for record in (batch.first..batch.batch.len()).map(|index| batch.batch.record(index)) {
                missing.extend([record.key, record.value].into_iter().filter_map(|bytes| self.schemas.missing(bytes)));
            }
        }
        if missing.is_empty() {
            return;
        }
        let registry = self.registry.clone();
        let ask = move || -> Vec<_> {
            let mut answers = Vec::new();
            for id in missing.into_iter().take(MAX_SCHEMAS_AT_ONCE) {
                match registry.by_id(id) {
                    Ok(schema) => answers.push((id, Some(schema))),
                    Err(RegistryError::UnknownId(_) | RegistryError::Refused(_) | RegistryError::NotConfigured) => answers.push((id, None)),
                    Err(RegistryError::Away(_)) => break,
                }
            }
            answers
        };
        for (id, schema) in tokio::task::spawn_blocking(ask).await.unwrap_or_default() {
            self.schemas.learn(id, schema);
        }
    }

    /// Turns batches into chunks: the formats where they changed, then a line a record.
    fn show(&mut self, arrived: &[(i32, ArrivedBatch)]) {
        let mut chunks = Vec::new();
        let of = |arrived: &ArrivedBatch| arrived.first..arrived.batch.len();
        let records = || arrived.iter().flat_map(|(partition, a)| of(a).map(|i| (*partition, a.batch.record(i))));
        for (_, record) in records() {
            self.keys.observe(record.key, &self.schemas);
            self.values.observe(record.value, &self.schemas);
        }
        let names = (self.keys.names(), self.values.names());
        if self.names_formats && self.named.as_ref() != Some(&names) {
            chunks.push(Bytes::from_static(b"Key format: "));
            chunks.push(format!("{}\n", names.0).into());
            chunks.push(Bytes::from_static(b"Value format: "));
            chunks.push(format!("{}\n", names.1).into());
            self.named = Some(names);
        }
        for (partition, record) in records() {
            if self.left == Some(0) {
                break;
            }
            let shown = self.seen.is_multiple_of(self.every);
            self.seen += 1;
            if !shown {
                continue;
            }
            self.left = self.left.map(|left| left - 1);
            let mut line = format!("rowtime: {}, ", rowtime(record.timestamp));
            let (key, value) = (self.keys.show(record.key, &self.schemas), self.values.show(record.value, &self.schemas));
            let _ = writeln!(line, "key: {key}, value: {value}, partition: {partition}");
            chunks.push(line.into());
        }
        self.ready = chunks.into_iter();
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// `2020/09/13 12:26:40.000 Z`.
fn rowtime(ms: i64) -> String {
    if ms < 0 {
        return "N/A".to_owned();
    }
    let iso = to_text(|out| write_timestamp(ms, out));
    format!("{} Z", iso.replace("-", "/").replace("T", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_ksqldb_does() {
        assert_eq!(rowtime(1_600_000_000_000), "2020/09/13 12:26:40.000 Z");
        assert_eq!(rowtime(-1), "N/A");
    }

    #[test]
    fn a_near_miss_of_a_topic_is_told() {
        let known = Known(vec!["orders".to_owned(), "Payments".to_owned()]);
        assert_eq!(known.near("ordres"), "Did you mean 'orders'?");
        assert_eq!(known.near("payments"), "Did you mean 'Payments'? Topic names are case-sensitive.");
        assert!(known.near("clicks").starts_with("SHOW TOPICS lists"));
    }
}
