//! What all leaves of a plan have in common: no inputs, rows of one schema, and a stream for each partition.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::stream::{self, Batches};

/// What is read of a table or a topic.
pub(crate) trait Scan: Send + Sync + 'static {
    /// What plans show it as; see [`crate::explain`].
    const NAME: &'static str;

    fn partitions(&self) -> usize;

    /// What it reads, behind its name.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The rows of a partition.
    fn read(&self, partition: usize) -> impl Batches;

    /// The same as a stream.
    fn stream(
        &self,
        schema: SchemaRef,
        partition: usize,
        metrics: &ExecutionPlanMetricsSet,
        _context: &TaskContext,
    ) -> SendableRecordBatchStream {
        stream::of(schema, self.read(partition), BaselineMetrics::new(metrics, partition))
    }
}

/// A scan as a part of a plan.
pub(crate) struct Leaf<S> {
    scan: S,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl<S: Scan> Leaf<S> {
    pub fn new(scan: S, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(scan.partitions().max(1)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Leaf { scan, schema, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl<S: Scan> fmt::Debug for Leaf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", S::NAME)?;
        self.scan.describe(f)
    }
}

impl<S: Scan> DisplayAs for Leaf<S> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl<S: Scan> ExecutionPlan for Leaf<S> {
    fn name(&self) -> &str {
        S::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(self.scan.stream(self.schema.clone(), partition, &self.metrics, &context))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
