//! The moment that a query reads its tables at: one for all of them, taken when the first row of any is asked for, which is
//! when all are planned.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use tidemill_engine::Engine;
use tidemill_engine::analyze::WindowBounds;
use tidemill_engine::engine::peers;
use tidemill_engine::live::{self, LiveTable, TableSnapshot};
use tidemill_engine::log::PartitionId;
use tidemill_engine::state::KeyRange;

use crate::error::QueryError;
use crate::remote::{Answers, RemoteScan, ScanPeers, ScanQuestion};
use crate::running::Progress;

/// See the module.
pub(crate) struct SharedMoment {
    pub engine: Arc<Engine>,
    pub progress: Arc<Progress>,
    /// The way to what other servers have, where there is one.
    peers: Option<Arc<dyn ScanPeers>>,
    /// Answers in the place of another server what has come to this one.
    here: Arc<Answers>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Tables and what is wanted of their keys.
    wanted: Vec<(Arc<LiveTable>, Vec<KeyRange>)>,
    taken: Option<Result<live::Moment, QueryError>>,
}

impl std::fmt::Debug for SharedMoment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedMoment")
    }
}

impl SharedMoment {
    pub fn new(engine: Arc<Engine>, progress: Arc<Progress>, peers: Option<Arc<dyn ScanPeers>>, here: Arc<Answers>) -> Self {
        SharedMoment { engine, progress, peers, here, state: Mutex::default() }
    }

    /// The scan of what is elsewhere of a table. Blocks where it is not known who has it.
    ///
    /// # Errors
    /// There is no way to other servers, or it can't be found out which they are.
    pub fn remote(
        &self,
        table: &LiveTable,
        elsewhere: &[PartitionId],
        columns: Vec<(String, String)>,
        schema: &SchemaRef,
        (ranges, windows): (&[KeyRange], WindowBounds),
        limit: Option<usize>,
    ) -> Result<RemoteScan, QueryError> {
        let name = &table.source.name;
        let given_up = |reason: &str| QueryError::from(peers::given_up(name, &format!("{}: {reason}", peers::named(elsewhere))));
        let query_id = table.source.created_by.as_deref().unwrap_or_default();
        let Some(peers) = &self.peers else { return Err(given_up("they are not here, and other servers are not asked")) };
        let owners = self.engine.owners(query_id, elsewhere, None);
        let owners =
            owners.map_err(|error| given_up(&format!("the servers that share the service can't be looked at ({})", error.message)))?;
        let question = ScanQuestion {
            scan: "".into(),
            table: name.as_str().into(),
            query_id: query_id.into(),
            columns: columns.into(),
            partition_count: table.partition_count(),
            left: Vec::new(),
            ranges: ranges.into(),
            windows,
            limit,
        };
        Ok(RemoteScan {
            engine: self.engine.clone(),
            peers: peers.clone(),
            here: self.here.clone(),
            progress: self.progress.clone(),
            question,
            schema: schema.clone(),
            shares: owners.into_iter().map(|(_, partitions)| partitions).collect(),
        })
    }

    /// A table will be read; what to ask [`Self::snapshot`] for.
    pub fn add(&self, table: Arc<LiveTable>, ranges: Vec<KeyRange>) -> usize {
        let mut state = self.state.lock();
        state.wanted.push((table, ranges));
        state.wanted.len() - 1
    }

    /// A table as it was at the moment. The first call takes the moment, which may block.
    pub fn snapshot(&self, index: usize) -> Result<Arc<TableSnapshot>, QueryError> {
        let mut state = self.state.lock();
        if state.taken.is_none() {
            let taken = live::take(&state.wanted).map_err(|error| QueryError::from(tidemill_engine::EngineError::from(error)));
            // What was taken is worth nothing where another server may have had it by then.
            let table = state.wanted.first().map(|(table, _)| table.source.name.as_str()).unwrap_or_default();
            let is_valid = self.engine.check_member(table);
            state.taken = Some(taken.and_then(|moment| is_valid.map(|()| moment).map_err(QueryError::from)));
        }
        match &state.taken {
            Some(Ok(moment)) => {
                moment.get(index).cloned().ok_or_else(|| QueryError::internal("a table was planned after the query had begun to read"))
            }
            Some(Err(error)) => Err(error.clone()),
            None => Err(QueryError::internal("no moment was taken")),
        }
    }
}
