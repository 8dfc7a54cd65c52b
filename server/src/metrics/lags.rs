//! How far queries are behind: positions and ends are asked of the log, by one thread at a time and not more often than every few
//! seconds, however many ask here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::app::App;
use crate::statements::queries::offsets;

/// How long what was found holds.
const FRESH: Duration = Duration::from_secs(2);
/// How long who asks waits for it; then what was found before is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// Of one partition that a query reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    pub topic: String,
    pub partition: i32,
    /// Records between the query's last commit and the end.
    pub records: i64,
}

/// By query.
pub type Found = Arc<BTreeMap<String, Vec<Lag>>>;

/// See the module.
#[derive(Default)]
pub struct Lags(Mutex<State>);

#[derive(Default)]
struct State {
    found: Found,
    at: Option<Instant>,
    asking: Option<watch::Receiver<bool>>,
}

impl Lags {
    /// What is known, found anew where that is old and the log answers.
    pub async fn look(&self, app: &Arc<App>) -> Found {
        let asking = {
            let mut state = self.0.lock();
            let is_fresh = state.at.is_some_and(|at| at.elapsed() < FRESH);
            if is_fresh || app.engine.log().outage().is_some() { None } else { Some(state.asking.get_or_insert_with(|| ask(app)).clone()) }
        };
        if let Some(mut asking) = asking {
            // Whether it is done or not, what is known is told.
            let _ = tokio::time::timeout(PATIENCE, asking.wait_for(|done| *done)).await;
        }
        self.0.lock().found.clone()
    }
}

fn ask(app: &Arc<App>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let app = app.clone();
    tokio::spawn(async move {
        let asked = app.clone();
        let found = tokio::task::spawn_blocking(move || find(&asked)).await;
        {
            let mut state = app.lags.0.lock();
            (state.at, state.asking) = (Some(Instant::now()), None);
            match found {
                Ok(found) => state.found = Arc::new(found),
                Err(error) => tracing::warn!(%error, "how far queries are behind could not be found"),
            }
        }
        sender.send_replace(true);
    });
    receiver
}

fn find(app: &App) -> BTreeMap<String, Vec<Lag>> {
    let mut found = BTreeMap::new();
    for query in app.engine.queries().persistent() {
        if app.engine.log().outage().is_some() {
            break;
        }
        let mut lags = Vec::new();
        for topic in offsets(&app.engine, &query).topic_summaries {
            lags.extend(topic.offsets.iter().map(|at| Lag {
                topic: topic.kafka_topic.clone(),
                partition: at.partition,
                records: (at.log_end_offset - at.consumer_offset.max(at.log_start_offset)).max(0),
            }));
        }
        found.insert(query.id.clone(), lags);
    }
    found
}
