//! A plan's steps as a text, the last first, each indented under the one that takes its rows.

use std::fmt::Write;

use tidemill_engine::plan::{QueryPlan, Step, StepKind};
use tidemill_engine::types::Column;

/// ``> [ SINK ] | Schema: K STRING KEY, … | Logger: CSAS_S_1.S``, a line a step.
pub fn text(plan: &QueryPlan) -> String {
    let mut out = String::new();
    write(plan, &plan.root, 0, &mut out);
    out
}

/// What every record brings with it. Behind a source it can be read by name, and so can the key, as a value.
const METADATA: [&str; 3] = ["ROWTIME BIGINT", "ROWPARTITION INTEGER", "ROWOFFSET BIGINT"];

fn reads_metadata(step: &Step) -> bool {
    match &step.kind {
        StepKind::StreamSource(_) | StepKind::TableSource(_) => true,
        StepKind::Filter { input, .. } => reads_metadata(input),
        _ => false,
    }
}

/// A column with its type; names inside of types go without quotes, as ksqlDB has them here.
fn column(column: &Column) -> String {
    format!("{} {}", column.name, column.sql_type.to_string().replace('`', ""))
}

fn write(plan: &QueryPlan, step: &Step, depth: usize, out: &mut String) {
    let (kind, logger) = match &step.kind {
        // Handing rows to a client is no step of its own.
        StepKind::Collect { input, .. } => return write(plan, input, depth, out),
        StepKind::StreamSource(_) | StepKind::TableSource(_) => ("SOURCE", "KsqlTopic.Source"),
        StepKind::Filter { .. } => ("FILTER", "WhereFilter"),
        StepKind::Select { .. } => ("PROJECT", "Project"),
        StepKind::SelectKey { .. } => ("REKEY", "PartitionBy"),
        StepKind::FlatMap { .. } => ("FLAT_MAP", "FlatMap"),
        StepKind::StreamGroupBy { .. } | StepKind::TableGroupBy { .. } => ("GROUP_BY", "Aggregate.GroupBy"),
        StepKind::Aggregate(_) => ("AGGREGATE", "Aggregate.Aggregate"),
        StepKind::Suppress { .. } => ("SUPPRESS", "Suppress"),
        StepKind::StreamTableJoin { .. } | StepKind::TableTableJoin { .. } | StepKind::StreamStreamJoin(_) => ("JOIN", "Join"),
        StepKind::TableRekey { .. } => ("REKEY", "SelectKey"),
        StepKind::ForeignKeySubscribe { .. } => ("FK_SUBSCRIBE", "Join"),
        StepKind::ForeignKeyJoin { .. } => ("FK_JOIN", "Join"),
        StepKind::ForeignKeyResolve { .. } => ("FK_RESOLVE", "Join"),
        StepKind::Sink { .. } => ("SINK", plan.sink.as_deref().unwrap_or_default()),
    };
    let mut columns: Vec<String> = step.schema.columns().map(column).collect();
    for key in columns.iter_mut().take(step.schema.key.len()) {
        key.push_str(" KEY");
    }
    if reads_metadata(step) {
        columns.extend(METADATA.map(str::to_owned));
        columns.extend(step.schema.key.iter().map(column));
    }
    let schema = columns.join(", ");
    let _ = writeln!(out, "{} > [ {kind} ] | Schema: {schema} | Logger: {}.{logger}", "\t\t".repeat(depth), plan.query_id);
    for input in step.inputs() {
        write(plan, input, depth + 1, out);
    }
}
