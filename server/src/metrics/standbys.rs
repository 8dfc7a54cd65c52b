//! What is read of changelogs, for tasks that come to this server and for those of others whose state it follows.

use std::collections::BTreeMap;

use super::page::{Kind, Page};
use crate::app::App;

pub fn write(app: &App, page: &mut Page) {
    let runtime = app.engine.runtime();
    let (restored, followed) = runtime.restored_entries();
    let help = "Entries of changelogs that were read before tasks could run here.";
    page.one("tidemill_restored_entries_total", Kind::Counter, help, restored);
    if !runtime.config().is_shared {
        return;
    }
    page.one("tidemill_tasks", Kind::Gauge, "Tasks of persistent queries that run here or are being made.", runtime.tasks());
    page.one("tidemill_standby_tasks", Kind::Gauge, "Tasks of other servers whose state is followed here.", runtime.standby_tasks());
    page.one("tidemill_standby_entries_total", Kind::Counter, "Entries of their changelogs that were read.", followed);
    let mut behind: BTreeMap<_, u64> = BTreeMap::new();
    for lag in runtime.standby_lags() {
        let sum = behind.entry(lag.query.clone()).or_default();
        *sum = sum.saturating_add(lag.offsets());
    }
    let name = "tidemill_standby_lag";
    page.family(name, Kind::Gauge, "Offsets of their changelogs that their state here does not include, as of the last look.");
    for (query, offsets) in behind {
        page.sample(name, &[("query", &query)], offsets);
    }
}
