//! EXPLAIN of a query: its operators, one a line, each indented below the one that takes its rows, as plans of continuous queries
//! are written; after EXPLAIN ANALYZE with the rows, bytes and time that running it took.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;

use crate::dialect::Explain;
use crate::remote::{REMOTE_BYTES, REMOTE_ROWS};
use crate::service::Planned;

/// The plan as an answer of one column.
pub(crate) async fn explain(plan: &Planned, kind: Explain) -> Result<RecordBatch> {
    if kind == Explain::Analyze {
        let mut stream = execute_stream(plan.physical.clone(), plan.state.task_ctx())?;
        while let Some(batch) = stream.next().await {
            batch?;
        }
    }
    let mut lines = Vec::new();
    show(&plan.physical, 0, kind == Explain::Analyze, &mut lines);
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    Ok(RecordBatch::try_new(schema(), vec![column])?)
}

/// What the answer consists of.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("PLAN", DataType::Utf8, true)]))
}

fn show(node: &Arc<dyn ExecutionPlan>, depth: usize, measured: bool, lines: &mut Vec<String>) {
    // Operators that only pass batches on say nothing of the query.
    let passes = matches!(node.name(), "CooperativeExec");
    if !passes {
        let text = DisplayableExecutionPlan::new(&**node).one_line().to_string();
        let (name, detail) = text.trim_end().split_once(':').unwrap_or((text.trim_end(), ""));
        let detail = if detail.is_empty() { String::new() } else { format!(" | {}", detail.trim_start()) };
        let metrics = if measured { node.metrics().map(|metrics| measures(&metrics)).unwrap_or_default() } else { String::new() };
        lines.push(format!("{} > [ {} ]{detail}{metrics}", "    ".repeat(depth), words(name)));
    }
    for child in node.children() {
        show(child, if passes { depth } else { depth + 1 }, measured, lines);
    }
}

fn measures(metrics: &MetricsSet) -> String {
    let metrics = metrics.aggregate_by_name();
    let mut shown = Vec::new();
    if let Some(rows) = metrics.output_rows() {
        shown.push(format!("Rows: {rows}"));
    }
    if let Some(bytes) = metrics.sum_by_name("output_bytes") {
        shown.push(format!("Bytes: {}", bytes.as_usize()));
    }
    // What other servers gave, and what that took on its way.
    for (name, shown_as) in [(REMOTE_ROWS, "Remote rows"), (REMOTE_BYTES, "Remote bytes")] {
        if let Some(count) = metrics.sum_by_name(name) {
            shown.push(format!("{shown_as}: {}", count.as_usize()));
        }
    }
    if let Some(spilled) = metrics.spilled_bytes().filter(|bytes| *bytes > 0) {
        shown.push(format!("Spilled bytes: {spilled}"));
    }
    if let Some(nanoseconds) = metrics.elapsed_compute() {
        shown.push(format!("Time: {}.{:03} ms", nanoseconds / 1_000_000, nanoseconds / 1_000 % 1_000));
    }
    if shown.is_empty() { String::new() } else { format!(" | {}", shown.join(" | ")) }
}

/// `TableScan` as `TABLE_SCAN`, `SortExec` as `SORT`: operators are written as in the plans of continuous queries.
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    for (index, letter) in name.strip_suffix("Exec").unwrap_or(name).char_indices() {
        if index > 0 && letter.is_uppercase() {
            words.push('_');
        }
        words.extend(letter.to_uppercase());
    }
    words
}
