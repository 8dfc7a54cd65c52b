//! SHOW STREAMS and SHOW TABLES.

use tidemill_engine::catalog::{Source, SourceKind};

use crate::app::App;
use crate::entities::{Common, KsqlEntity, ListedSource, SourceList};

pub fn streams(app: &App, text: String) -> KsqlEntity {
    KsqlEntity::Streams(SourceList { sources: listed(app, SourceKind::Stream), common: common(app, text) })
}

pub fn tables(app: &App, text: String) -> KsqlEntity {
    KsqlEntity::Tables(SourceList { sources: listed(app, SourceKind::Table), common: common(app, text) })
}

/// With what is wrong with the command log: what is listed may not be all.
fn common(app: &App, text: String) -> Common {
    Common::with_warnings(text, app.engine.command_log_problem())
}

fn listed(app: &App, kind: SourceKind) -> Vec<ListedSource> {
    app.engine.catalog().sources().filter(|s| s.kind == kind).map(|s| line(s)).collect()
}

fn line(source: &Source) -> ListedSource {
    ListedSource {
        kind: source.kind.upper(),
        name: source.name.clone(),
        topic: source.format.topic.clone(),
        key_format: source.format.key.name.clone(),
        value_format: source.format.value.name.clone(),
        is_windowed: source.is_windowed(),
    }
}
