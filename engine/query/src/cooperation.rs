//! Has operators that make many rows of few give way to others, and to the query's end, every few batches.
//!
//! A join by comparisons looks at all pairs of a batch before it gives way, which may be for seconds where few of them match. It is
//! done as a product with a filter behind it instead: the product gives way, whatever becomes of its rows.

use std::sync::Arc;

use datafusion::common::{JoinSide, JoinType};

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};

/// Operators whose output may be far more than their input.
const MULTIPLYING: &[&str] = &[
    "CrossJoinExec",
    "NestedLoopJoinExec",
    "HashJoinExec",
    "SortMergeJoinExec",
    "PiecewiseMergeJoinExec",
    "UnnestExec",
    "RecursiveQueryExec",
];

/// The last rule of planning.
#[derive(Debug)]
pub(crate) struct Yielding;

impl PhysicalOptimizerRule for Yielding {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let wrapped = plan.transform_up(|node| {
            if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
                && let Some(filtered) = filtered_product(join)?
            {
                return Ok(Transformed::yes(filtered));
            }
            if MULTIPLYING.contains(&node.name()) {
                Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>))
            } else {
                Ok(Transformed::no(node))
            }
        });
        wrapped.map(|wrapped| wrapped.data)
    }

    fn name(&self) -> &str {
        "yielding"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An inner join by comparisons as a product that is filtered.
fn filtered_product(join: &NestedLoopJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (JoinType::Inner, Some(filter)) = (join.join_type(), join.filter()) else { return Ok(None) };
    let left_columns = join.left().schema().fields().len();
    let product = Arc::new(CrossJoinExec::new(join.left().clone(), join.right().clone()));
    let schema = product.schema();
    let in_product = |expression: Arc<dyn PhysicalExpr>| {
        let Some(place) = expression.downcast_ref::<Column>().and_then(|column| filter.column_indices().get(column.index())) else {
            return Ok(Transformed::no(expression));
        };
        let index = if place.side == JoinSide::Left { place.index } else { left_columns + place.index };
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(schema.field(index).name(), index));
        Ok(Transformed::yes(column))
    };
    let condition = filter.expression().clone().transform_up(in_product)?.data;
    let product = Arc::new(CooperativeExec::new(product));
    let filtered = FilterExecBuilder::new(condition, product).apply_projection_by_ref(join.projection().as_ref())?.build()?;
    Ok(Some(Arc::new(filtered)))
}
