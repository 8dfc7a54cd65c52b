//! Rows through a chain of queries that only pass them on, each hop in another format: JSON in, AVRO through, PROTOBUF out,
//! and back.

use tidemill_engine::types::{Column, SqlType};

use crate::case::{Case, Order, Output, Source, Wishes, one_after_another};
use crate::formats::{holds, key_format};
use crate::random::Random;
use crate::rows::any_type;

const FORMATS: &[&str] = &["JSON", "AVRO", "PROTOBUF", "PROTOBUF_NOSR", "JSON_SR", "DELIMITED", "KAFKA"];

pub fn case(random: &mut Random) -> Case {
    let key_type = random.pick(&[SqlType::Int, SqlType::BigInt, SqlType::String]).clone();
    let mut columns = vec![Column::new("K", key_type)];
    let count = 1 + random.below(5);
    while columns.len() <= count {
        columns.push(Column::new(format!("W{}", columns.len()), any_type(random, 2)));
    }
    let able: Vec<&'static str> = FORMATS.iter().copied().filter(|format| holds(format, &columns[1..], false)).collect();
    let hops: Vec<&'static str> = (0..2 + random.below(4)).map(|_| *random.pick(&able)).collect();
    let mut source = Source {
        name: "s".to_owned(),
        is_table: false,
        key_format: key_format(random, &columns[..1]),
        value_format: hops[0],
        columns,
        rows: Vec::new(),
    };
    let wishes = Wishes { is_table: false, carried: 0, rows: 12, null_keys: true, tombstones: true, joins: false };
    source.fill(random, wishes, &hops);
    let mut statements = vec![source.declaration()];
    let mut from = "s".to_owned();
    for (index, format) in hops.iter().enumerate().skip(1) {
        let name = format!("o{index}");
        let key_format = key_format(random, &source.columns[..1]);
        statements.push(format!("CREATE STREAM {name} WITH (KEY_FORMAT='{key_format}', VALUE_FORMAT='{format}') AS SELECT * FROM {from};"));
        from = name;
    }
    let outputs: Vec<Output> = (0..source.columns.len()).map(|column| Output::Carried { source: 0, column }).collect();
    let selected: Vec<String> = (0..outputs.len()).map(|index| format!("rid AS y{index}")).collect();
    Case {
        statements,
        batch: format!("SELECT has_value, {} FROM s ORDER BY rid", selected.join(", ")),
        arrivals: one_after_another(std::slice::from_ref(&source)),
        sources: vec![source],
        sink: from.to_uppercase(),
        order: Order::Rows,
        outputs,
        is_windowed: false,
        has_presence: true,
        keys: 1,
    }
}
