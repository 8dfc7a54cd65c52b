//! The streams and tables of the engine's catalog, as one query sees them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider, TableProvider,
};
use datafusion::error::{DataFusionError, Result};
use tidemill_engine::catalog::{Catalog, SourceKind};
use tidemill_engine::engine::{EngineError, SessionProperties, TOKEN};

use crate::error::external;
use crate::moment::SharedMoment;
use crate::table::LiveSource;

/// Names that DataFusion wants to have.
pub(crate) const CATALOG: &str = "tidemill";
pub(crate) const SCHEMA: &str = "public";

struct Sources {
    catalog: Arc<Catalog>,
    moment: Arc<SharedMoment>,
    session: SessionProperties,
    all_columns: bool,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// See the module.
pub(crate) fn of(
    catalog: &Arc<Catalog>,
    moment: &Arc<SharedMoment>,
    session: &SessionProperties,
    all_columns: bool,
) -> Arc<dyn CatalogProviderList> {
    let sources = Sources { catalog: catalog.clone(), moment: moment.clone(), session: session.clone(), all_columns };
    let provider = MemoryCatalogProvider::new();
    // Only a schema that is there twice is refused.
    let _ = provider.register_schema(SCHEMA, Arc::new(sources));
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(provider));
    Arc::new(list)
}

#[async_trait]
impl SchemaProvider for Sources {
    fn table_names(&self) -> Vec<String> {
        self.catalog.sources().map(|source| source.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(source) = self.catalog.source(name) else { return Ok(None) };
        if source.kind == SourceKind::Table && self.session.0.contains_key(TOKEN) {
            // The moment that is read is taken behind this.
            let (engine, session, table) = (self.moment.engine.clone(), self.session.clone(), source.name.clone());
            let waited = tokio::task::spawn_blocking(move || engine.await_fresh(&table, &session)).await;
            let waited = waited.unwrap_or_else(|error| Err(EngineError::internal(format!("waiting broke off: {error}"))));
            waited.map_err(external)?;
        }
        let live = LiveSource::new(source.clone(), self.moment.clone(), self.session.clone(), self.all_columns);
        Ok(Some(Arc::new(live)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog.source(name).is_some()
    }
}
