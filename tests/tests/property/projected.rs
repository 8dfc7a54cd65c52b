//! Filters and projections of a stream or a table.

use tidemill_engine::types::SqlType;

use crate::case::{Case, Order, Output, Source, Wishes, one_after_another, sink_formats};
use crate::expression::Scope;
use crate::random::Random;
use crate::rows::TAME;

pub fn case(random: &mut Random, is_table: bool) -> Case {
    let key_type = random.pick(&[SqlType::Int, SqlType::BigInt, SqlType::String]).clone();
    let wishes = Wishes { is_table, carried: 4, rows: 30, null_keys: !is_table, tombstones: true, joins: false };
    let source = Source::random(random, "s", &key_type, wishes);
    let columns = source.scope("");
    let scope = Scope { columns: &columns };
    let (mut outputs, mut types) = (vec![Output::Carried { source: 0, column: 0 }], Vec::new());
    let (mut ksql, mut batch) = (vec!["k".to_owned()], vec!["rid".to_owned()]);
    for index in 0..1 + random.below(3) {
        let sql_type = random.pick(TAME).clone();
        let value = scope.value(random, &sql_type, 2);
        ksql.push(format!("{} AS x{index}", value.ksql));
        batch.push(format!("{} AS x{index}", value.batch));
        outputs.push(Output::Computed(sql_type.clone()));
        types.push(sql_type);
    }
    for column in source.carried() {
        ksql.push(source.columns[column].name.to_lowercase());
        batch.push("rid".to_owned());
        outputs.push(Output::Carried { source: 0, column });
        types.push(source.columns[column].sql_type.clone());
    }
    let condition = random.percent(70).then(|| scope.condition(random, 2));
    let with = sink_formats(random, &[key_type], &types);
    let kind = if is_table { "TABLE" } else { "STREAM" };
    let filter = condition.as_ref().map(|c| format!(" WHERE {}", c.ksql)).unwrap_or_default();
    let statement = format!("CREATE {kind} o {with} AS SELECT {} FROM s{filter};", ksql.join(", "));
    let from = if is_table { "s_latest" } else { "s" };
    // A row without a value passes where nothing is asked of it.
    let filter = condition.map(|c| format!(" WHERE has_value AND {}", c.batch)).unwrap_or_default();
    Case {
        statements: vec![source.declaration(), statement],
        batch: format!("SELECT has_value, {} FROM {from}{filter} ORDER BY rid", numbered(&batch)),
        arrivals: one_after_another(std::slice::from_ref(&source)),
        sources: vec![source],
        sink: "O".to_owned(),
        order: if is_table { Order::Table } else { Order::Rows },
        outputs,
        is_windowed: false,
        has_presence: true,
        keys: 1,
    }
}

/// Each column under a name of its own.
pub fn numbered(columns: &[String]) -> String {
    let bare = |text: &String| text.rsplit_once(" AS x").map_or_else(|| text.clone(), |(bare, _)| bare.to_owned());
    columns.iter().enumerate().map(|(index, text)| format!("{} AS y{index}", bare(text))).collect::<Vec<_>>().join(", ")
}
