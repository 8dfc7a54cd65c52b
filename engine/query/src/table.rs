//! Streams and tables as DataFusion's tables.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use tidemill_engine::catalog::{Source, SourceKind};
use tidemill_engine::engine::SessionProperties;
use tidemill_engine::types::{Column, SqlType};

use crate::bounds::{self, Bounds};
use crate::error::{QueryError, external};
use crate::leaf::Leaf;
use crate::moment::SharedMoment;
use crate::table_scan::TableScan;
use crate::topic_scan::TopicScan;
use crate::types::arrow_type;

/// Where a column of a source comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A slot of the row.
    Slot(usize),
    RowTime,
    RowPartition,
    RowOffset,
    WindowStart,
    WindowEnd,
}

/// The columns that a query may name of a source, in order; `SELECT *` shows those before `visible`.
pub(crate) fn columns(source: &Source) -> (Vec<(Column, Role)>, usize) {
    let mut all: Vec<(Column, Role)> = Vec::new();
    let keys = source.schema.key.len();
    let slots = source.schema.columns().cloned().enumerate().map(|(slot, column)| (column, Role::Slot(slot)));
    let (key, value): (Vec<_>, Vec<_>) = slots.partition(|(_, role)| matches!(role, Role::Slot(slot) if *slot < keys));
    all.extend(key);
    if source.is_windowed() {
        all.push((Column::new("WINDOWSTART", SqlType::BigInt), Role::WindowStart));
        all.push((Column::new("WINDOWEND", SqlType::BigInt), Role::WindowEnd));
    }
    all.extend(value);
    let visible = all.len();
    let mut pseudo = vec![(Column::new("ROWTIME", SqlType::BigInt), Role::RowTime)];
    if source.kind == SourceKind::Stream {
        pseudo.push((Column::new("ROWPARTITION", SqlType::Int), Role::RowPartition));
        pseudo.push((Column::new("ROWOFFSET", SqlType::BigInt), Role::RowOffset));
    }
    pseudo.retain(|(column, _)| source.schema.slot(&column.name).is_none());
    all.extend(pseudo);
    (all, visible)
}

/// What `SELECT *` shows of a source.
pub(crate) fn visible_columns(source: &Source) -> Vec<String> {
    let (all, visible) = columns(source);
    all.into_iter().take(visible).map(|(column, _)| column.name).collect()
}

/// A stream or table in one query.
#[derive(Debug)]
pub(crate) struct LiveSource {
    pub source: Arc<Source>,
    moment: Arc<SharedMoment>,
    session: SessionProperties,
    columns: Vec<(Column, Role)>,
    schema: SchemaRef,
}

impl LiveSource {
    /// `all_columns`: with those that every row has besides the schema's.
    pub fn new(source: Arc<Source>, moment: Arc<SharedMoment>, session: SessionProperties, all_columns: bool) -> Self {
        let (mut columns, visible) = columns(&source);
        if !all_columns {
            columns.truncate(visible);
        }
        let fields: Vec<Field> = columns.iter().map(|(column, _)| Field::new(&column.name, arrow_type(&column.sql_type), true)).collect();
        LiveSource { source, moment, session, columns, schema: Arc::new(ArrowSchema::new(fields)) }
    }

    fn bounds(&self, filters: &[Expr]) -> Bounds {
        bounds::of(filters, &self.columns, self.source.schema.key.len())
    }
}

#[async_trait]
impl TableProvider for LiveSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// What bounds the reading is told to the scan; rows are filtered all the same.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let said = |filter: &&Expr| {
            if self.bounds(std::slice::from_ref(*filter)).is_all() {
                TableProviderFilterPushDown::Unsupported
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(said).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds = self.bounds(filters);
        // A filter behind the scan may want more rows than the limit says.
        let limit = limit.filter(|_| filters.is_empty());
        let wanted: Vec<(Column, Role)> = match projection {
            Some(indexes) => indexes.iter().filter_map(|index| self.columns.get(*index)).cloned().collect(),
            None => self.columns.clone(),
        };
        let schema = match projection {
            Some(indexes) => Arc::new(self.schema.project(indexes)?),
            None => self.schema.clone(),
        };
        let config = state.config().clone();
        let (source, moment, session) = (self.source.clone(), self.moment.clone(), self.session.clone());
        // Planning a topic's scan asks the log.
        let planned = tokio::task::spawn_blocking(move || -> Result<Arc<dyn ExecutionPlan>, QueryError> {
            Ok(match source.kind {
                SourceKind::Table => {
                    Arc::new(Leaf::new(TableScan::new(&source, moment, wanted, schema.clone(), bounds, limit, &config)?, schema))
                }
                SourceKind::Stream => Arc::new(Leaf::new(
                    TopicScan::new(&source, &moment, &session, wanted, schema.clone(), bounds, limit, config.batch_size())?,
                    schema,
                )),
            })
        });
        match planned.await {
            Ok(planned) => planned.map_err(external),
            Err(error) => Err(external(QueryError::internal(format!("planning broke off: {error}")))),
        }
    }
}
