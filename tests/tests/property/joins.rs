//! Joins of streams and tables on their keys.

use tidemill_engine::types::SqlType;

use crate::case::{Case, Order, Output, Source, Wishes, mixed, one_after_another, sink_formats};
use crate::expression::Scope;
use crate::random::Random;
use crate::rows::TAME;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    StreamTable,
    TableTable,
    StreamStream,
}

pub fn case(random: &mut Random, sides: Sides) -> Case {
    let key_type = random.pick(&[SqlType::Int, SqlType::BigInt, SqlType::String]).clone();
    let wishes = |is_table| Wishes { is_table, carried: 2, rows: 20, null_keys: false, tombstones: true, joins: true };
    let mut left = Source::random(random, "a", &key_type, wishes(sides == Sides::TableTable));
    let mut right = Source::random(random, "b", &key_type, wishes(sides != Sides::StreamStream));
    right.key_format = left.key_format;
    // Keys that meet.
    let keys: Vec<_> = left.rows.iter().filter_map(|row| row.key.clone()).collect();
    if !keys.is_empty() {
        for row in right.rows.iter_mut() {
            if random.percent(85) {
                row.key = Some(random.pick(&keys).clone());
            }
        }
    }
    if random.percent(20) {
        left.rows.truncate(1);
    }
    let is_left = sides != Sides::StreamStream && random.percent(50);
    let columns: Vec<(String, SqlType)> = left.scope("a.").into_iter().chain(right.scope("b.")).collect();
    let scope = Scope { columns: &columns };
    let mut outputs = vec![Output::Carried { source: 0, column: 0 }];
    let (mut ksql, mut batch, mut types) = (vec!["a.k AS k".to_owned()], vec!["a.rid".to_owned()], Vec::new());
    for index in 0..1 + random.below(3) {
        let sql_type = random.pick(TAME).clone();
        let value = scope.value(random, &sql_type, 1);
        ksql.push(format!("{} AS x{index}", value.ksql));
        batch.push(value.batch);
        outputs.push(Output::Computed(sql_type.clone()));
        types.push(sql_type);
    }
    for (source, of, name) in [(0, &left, "a"), (1, &right, "b")] {
        for column in of.carried() {
            let own = of.columns[column].name.to_lowercase();
            ksql.push(format!("{name}.{own} AS {name}_{own}"));
            batch.push(format!("{name}.rid"));
            outputs.push(Output::Carried { source, column });
            types.push(of.columns[column].sql_type.clone());
        }
    }
    let with = sink_formats(random, &[key_type], &types);
    let word = if is_left { "LEFT JOIN" } else { "JOIN" };
    let within = if sides == Sides::StreamStream { " WITHIN 30 SECONDS GRACE PERIOD 1 DAY" } else { "" };
    let kind = if sides == Sides::TableTable { "TABLE" } else { "STREAM" };
    let statement = format!("CREATE {kind} o {with} AS SELECT {} FROM a {word} b{within} ON a.k = b.k;", ksql.join(", "));
    let selected: Vec<String> = batch.iter().enumerate().map(|(index, text)| format!("{text} AS y{index}")).collect();
    let (from, on, order) = match sides {
        Sides::StreamTable => ("(SELECT * FROM a WHERE has_value) a", "b_latest b ON a.k = b.k", Order::Rows),
        Sides::TableTable => ("a_latest a", "b_latest b ON a.k = b.k", Order::Table),
        Sides::StreamStream => (
            "(SELECT * FROM a WHERE has_value) a",
            "(SELECT * FROM b WHERE has_value) b ON a.k = b.k AND abs(a.ts - b.ts) <= 30000",
            Order::AnyRows,
        ),
    };
    let batch = format!("SELECT {} FROM {from} {word} {on} ORDER BY a.rid", selected.join(", "));
    let statements = vec![left.declaration(), right.declaration(), statement];
    let sources = vec![left, right];
    // A stream's row meets what its table holds by then: here, all.
    let arrivals = match sides {
        Sides::StreamTable => one_after_another(&sources).into_iter().rev().collect::<Vec<_>>(),
        _ => mixed(random, &sources),
    };
    let arrivals = if sides == Sides::StreamTable { in_order(arrivals) } else { arrivals };
    Case { statements, batch, arrivals, sources, sink: "O".to_owned(), order, outputs, is_windowed: false, has_presence: false, keys: 1 }
}

/// The second source's rows, then the first's.
fn in_order(mut arrivals: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    arrivals.sort_by_key(|(source, row)| (usize::MAX - source, *row));
    arrivals
}
