//! Which push queries ksqlDB serves from what a running query writes ("scalable" ones), where it is told to. Here all push queries
//! run alike: only the names that clients see tell those.

use tidemill_parser::ast::{Emit, Query, Relation, SelectItemKind};

use super::rewrite;
use crate::catalog::Catalog;

/// Whether a push query reads one source, which one query writes, row by row and without asking where a row came from.
pub fn is_scalable(query: &Query, catalog: &Catalog) -> bool {
    let Relation::Source { name, .. } = &query.from else { return false };
    let is_by_row = query.window.is_none() && query.group_by.is_none() && query.partition_by.is_none() && query.having.is_none();
    let projected = query.items.iter().filter_map(|item| match &item.kind {
        SelectItemKind::Expr { expr, .. } => Some(expr),
        SelectItemKind::Wildcard { .. } => None,
    });
    let mut columns = projected.chain(&query.selection).flat_map(|expr| rewrite::columns(expr));
    query.emit == Some(Emit::Changes)
        && is_by_row
        && catalog.writers(&name.name).count() == 1
        && !columns.any(|column| matches!(column, "ROWPARTITION" | "ROWOFFSET"))
}
