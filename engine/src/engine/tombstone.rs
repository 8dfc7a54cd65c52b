//! What a push query shows of a row that was deleted: the columns that are its key and the bounds of its window. All
//! others are null.

use tidemill_parser::ast::ExprKind;

use crate::plan::{Step, StepKind};
use crate::row::Row;
use crate::types::{Column, Value};

/// Where a column's value comes from when the row is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    /// A key column's slot.
    Key(usize),
    WindowStart,
    WindowEnd,
}

impl Kept {
    /// For each of a push query's columns; `root` is the plan's last step.
    pub fn of(columns: &[Column], root: &Step) -> Vec<Self> {
        let last = root.inputs().into_iter().next().unwrap_or(root);
        columns.iter().map(|column| kept(&column.name, last)).collect()
    }

    pub fn value(self, row: &Row) -> Value {
        match self {
            Kept::Nothing => Value::Null,
            Kept::Key(slot) => row.values.get(slot).cloned().unwrap_or_default(),
            Kept::WindowStart => row.meta.window.map_or(Value::Null, |window| Value::BigInt(window.start)),
            Kept::WindowEnd => row.meta.window.map_or(Value::Null, |window| Value::BigInt(window.end)),
        }
    }
}

/// What is kept of a column of a step: it is a key column, or a projection's other name for one.
fn kept(name: &str, step: &Step) -> Kept {
    let (source, behind) = match &step.kind {
        StepKind::Select { input, items, .. } => match items.iter().find(|item| item.name == name) {
            Some(item) => (column_in(&item.expr), &**input),
            None => (Some(name.to_owned()), &**input),
        },
        _ => (Some(name.to_owned()), step),
    };
    let Some(source) = source else { return Kept::Nothing };
    if behind.schema.value.iter().any(|column| column.name == source) {
        return Kept::Nothing;
    }
    match behind.schema.key.iter().position(|column| column.name == source) {
        Some(slot) => Kept::Key(slot),
        None if behind.windowed_key().is_none() => Kept::Nothing,
        None if source == "WINDOWSTART" => Kept::WindowStart,
        None if source == "WINDOWEND" => Kept::WindowEnd,
        None => Kept::Nothing,
    }
}

/// The column that an expression is, if it is one and nothing more.
fn column_in(expr: &str) -> Option<String> {
    match tidemill_parser::parse_expression(expr).ok()?.kind {
        ExprKind::Column(reference) if reference.source.is_none() => Some(reference.name.name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FormatSpec, NamedExpr, SourceStep, TopicFormat, WindowedKey};
    use crate::row::{RowMeta, Window};
    use crate::types::{Schema, SqlType};

    #[test]
    fn key_columns_and_bounds_are_kept() {
        let column = |name: &str| Column::new(name, SqlType::BigInt);
        let spec = FormatSpec { name: "JSON".into(), unwrapped: false, delimiter: None, schema: None };
        let windowed_key = Some(WindowedKey::Time { size_ms: 1000 });
        let format = TopicFormat { topic: "t".into(), key: spec.clone(), value: spec, windowed_key };
        let source = SourceStep { source: "T".into(), format, timestamp: None, headers: Vec::new(), store: None };
        let schema = Schema { key: vec![column("K"), column("L")], value: vec![column("V")] };
        let input = Box::new(Step { kind: StepKind::TableSource(source), schema });
        let names = ["L", "WINDOWSTART", "V", "X", "Y", "E"];
        let exprs = ["L", "WINDOWSTART", "V", "K", "K + 1", "WINDOWEND"];
        let items = names.iter().zip(exprs).map(|(name, expr)| NamedExpr { name: (*name).into(), expr: expr.into() }).collect();
        let columns: Vec<Column> = names.iter().map(|name| column(name)).collect();
        let key_names = vec!["K".into(), "L".into()];
        let select_schema = Schema { key: input.schema.key.clone(), value: columns.clone() };
        let select = Step { kind: StepKind::Select { input, key_names, items }, schema: select_schema.clone() };
        let root = Step { kind: StepKind::Collect { input: Box::new(select), limit: None }, schema: select_schema };
        let meta = RowMeta { window: Some(Window { start: 0, end: 1000 }), ..RowMeta::default() };
        let row = Row { values: vec![Value::BigInt(10), Value::BigInt(11)], old: None, meta };
        let values: Vec<Value> = Kept::of(&columns, &root).into_iter().map(|kept| kept.value(&row)).collect();
        let number = Value::BigInt;
        assert_eq!(values, [number(11), number(0), Value::Null, number(10), Value::Null, number(1000)]);
    }
}
