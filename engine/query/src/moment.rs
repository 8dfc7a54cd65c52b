//! The moment that a query reads its tables at: one for all of them, taken when the first row of any is asked for, which is
//! when all are planned.

use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_engine::Engine;
use tidemill_engine::live::{self, LiveTable, TableSnapshot};
use tidemill_engine::state::KeyRange;

use crate::error::QueryError;
use crate::running::Progress;

/// See the module.
pub(crate) struct SharedMoment {
    pub engine: Arc<Engine>,
    pub progress: Arc<Progress>,
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
    pub fn new(engine: Arc<Engine>, progress: Arc<Progress>) -> Self {
        SharedMoment { engine, progress, state: Mutex::default() }
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
            state.taken = Some(taken);
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
