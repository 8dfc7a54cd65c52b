//! Answers other servers: pages of the partitions that are here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{Field, Schema};
use tidemill_engine::Engine;
use tidemill_engine::engine::{EngineError, NotAnswered, peers};
use tidemill_engine::live::{self, LiveTable, TableSnapshot};
use tidemill_engine::log::PartitionId;
use tidemill_engine::state::KeyRange;
use tidemill_engine::types::Column;

use super::held::Held;
use super::{Rest, ScanPage, ScanQuestion};
use crate::batch::Wanted;
use crate::error::{QueryError, QueryErrorKind};
use crate::filling::Filling;
use crate::table::{self, Role};
use crate::table_scan::narrowed;
use crate::types::arrow_type;

/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// Entries that are looked at for a page, so that it comes soon where few of them are wanted.
const PAGE_LOOKS: usize = 500_000;
/// Whoever asks has understood what is asked.
const UNHEARD: &str = "it has not carried out a statement yet that others have";

/// See the module.
pub(crate) struct Answers {
    engine: Arc<Engine>,
    held: Held<Part>,
    batch_rows: usize,
}

/// Partitions of a table as of one moment.
pub(crate) struct Part {
    table: Arc<LiveTable>,
    wanted: Arc<Wanted>,
    snapshot: Arc<TableSnapshot>,
    query_id: Arc<str>,
    columns: Arc<[(String, String)]>,
    ranges: Arc<[KeyRange]>,
    partitions: Vec<PartitionId>,
}

fn not_now(reason: impl Into<String>) -> NotAnswered {
    NotAnswered::NotNow(reason.into())
}

impl Answers {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self::in_batches_of(engine, BATCH_ROWS)
    }

    /// With batches, and so pages, of fewer rows.
    pub fn in_batches_of(engine: Arc<Engine>, batch_rows: usize) -> Self {
        Answers { engine, held: Held::default(), batch_rows }
    }

    /// A page of what is asked for. Blocks.
    ///
    /// # Errors
    /// Some of it is not here; the state can't be read.
    pub fn answer(&self, question: &ScanQuestion) -> Result<ScanPage, NotAnswered> {
        self.engine.check_member(&question.table).map_err(|error| not_now(error.message))?;
        let kept = self.held.take(&question.scan).filter(|part| part.is_of(question));
        let has_begun = question.left.iter().any(|rest| rest.from.is_some());
        let part = match kept {
            Some(part) => part,
            None => {
                let part = self.begin(question)?;
                if has_begun && part.table.key_stores() > 1 {
                    return Err(not_now("the moment at which its table was joined is gone, and a part of it was read as of that"));
                }
                part
            }
        };
        let page = part.page(question, self.batch_rows).map_err(failed)?;
        if !page.left.is_empty() {
            self.held.keep(question.scan.clone(), part, Instant::now());
        }
        Ok(page)
    }

    /// A scan wants nothing more, not even the page that may be read for it just now.
    pub fn end(&self, scan: &str) {
        self.held.end(scan.into(), Instant::now());
    }

    /// Lets go of what nobody has come back for; how long the next one is still kept, where one is.
    pub fn forget(&self) -> Option<Duration> {
        self.held.forget(Instant::now())
    }

    /// Scans that a snapshot is kept for.
    pub fn held(&self) -> usize {
        self.held.count()
    }

    fn begin(&self, question: &ScanQuestion) -> Result<Part, NotAnswered> {
        let mut table = self.engine.live_table(&question.table).map_err(|error| not_now(error.message))?;
        let is_known = table.source.created_by.as_deref() == Some(&*question.query_id);
        let columns = columns(&table, &question.columns).filter(|_| is_known).ok_or_else(|| not_now(UNHEARD))?;
        if table.partition_count() != question.partition_count {
            return Err(not_now(format!("its table has {} partitions there", table.partition_count())));
        }
        let partitions: Vec<PartitionId> = question.left.iter().map(|rest| rest.partition).collect();
        let mut lacking = table.elsewhere();
        lacking.retain(|partition| partitions.contains(partition));
        if !lacking.is_empty() {
            let restoring = self.engine.not_here_yet(&table).map(|error| error.message);
            return Err(not_now(restoring.unwrap_or_else(|| format!("{} not there", peers::named(&lacking)))));
        }
        table.keep(&partitions);
        let columns = narrowed(&mut table, columns);
        let field = |(column, _): &(Column, Role)| Field::new(&column.name, arrow_type(&column.sql_type), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let table = Arc::new(table);
        let taken = live::take(&[(table.clone(), question.ranges.to_vec())]).map_err(|error| not_now(EngineError::from(error).message))?;
        let snapshot = taken.into_iter().next().ok_or_else(|| not_now("no moment was taken"))?;
        let (query_id, ranges) = (question.query_id.clone(), question.ranges.clone());
        let columns_asked = question.columns.clone();
        Ok(Part { table, wanted: Arc::new(Wanted::new(schema, columns)), snapshot, query_id, columns: columns_asked, ranges, partitions })
    }
}

fn failed(error: QueryError) -> NotAnswered {
    match error.kind {
        QueryErrorKind::External => NotAnswered::NotNow(error.message),
        QueryErrorKind::User => NotAnswered::Failed(EngineError::user(error.message)),
        QueryErrorKind::Limit | QueryErrorKind::Internal => NotAnswered::Failed(EngineError::internal(error.message)),
    }
}

/// The columns of a table that go by these names and have these types.
fn columns(table: &LiveTable, asked: &[(String, String)]) -> Option<Vec<(Column, Role)>> {
    let all = table::columns(&table.source).0;
    let find = |(name, sql_type): &(String, String)| {
        all.iter().find(|(column, _)| column.name == *name && column.sql_type.to_string() == *sql_type).cloned()
    };
    asked.iter().map(find).collect()
}

impl Part {
    fn is_of(&self, question: &ScanQuestion) -> bool {
        *self.table.source.name == *question.table
            && self.query_id == question.query_id
            && self.columns == question.columns
            && self.ranges == question.ranges
            && question.left.iter().all(|rest| self.partitions.contains(&rest.partition))
    }

    fn page(&self, question: &ScanQuestion, batch_rows: usize) -> Result<ScanPage, QueryError> {
        let mut filling = Filling::new(self.wanted.clone(), batch_rows, question.limit.unwrap_or(usize::MAX));
        let (mut left, mut looks) = (question.left.clone(), PAGE_LOOKS);
        let mut done = 0;
        for Rest { partition, from } in &mut left {
            if filling.has_ended() || looks == 0 {
                break;
            }
            let place = usize::try_from(*partition).map_err(|_| QueryError::user(format!("there is no partition {partition}")))?;
            let mut cursor = self.table.cursor(place, &self.ranges, question.windows);
            if let Some(from) = from {
                cursor.go_on_from(from);
            }
            cursor.look_at_most(looks);
            self.table.read(&self.snapshot, &mut cursor, &mut |shown| filling.take(shown))?;
            looks = cursor.looks_left();
            *from = cursor.place();
            if from.is_some() {
                break;
            }
            done += 1;
        }
        left.drain(..done);
        if filling.left() == 0 {
            left.clear();
        }
        Ok(ScanPage { batches: filling.finish()?, left, wire_bytes: 0 })
    }
}
