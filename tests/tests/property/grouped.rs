//! Aggregates, over streams (with windows or without) and over tables.

use tidemill_engine::types::SqlType;

use crate::case::{Case, Order, Output, Source, Wishes, one_after_another, sink_formats};
use crate::expression::Scope;
use crate::random::Random;

/// An aggregate in both dialects, with its type.
type Aggregate = (String, String, SqlType);

pub fn of_stream(random: &mut Random) -> Case {
    let key_type = random.pick(&[SqlType::Int, SqlType::String]).clone();
    let wishes = Wishes { is_table: false, carried: 0, rows: 40, null_keys: true, tombstones: true, joins: false };
    let source = Source::random(random, "s", &key_type, wishes);
    let columns = source.scope("");
    let scope = Scope { columns: &columns };
    let groups = groups(random, &source);
    let aggregates: Vec<Aggregate> = (0..1 + random.below(3)).map(|_| aggregate(random, &source, true)).collect();
    let condition = random.percent(50).then(|| scope.condition(random, 1));
    let having = random.percent(25).then(|| 1 + random.below(3));
    let window = random.below(4);
    let types: Vec<SqlType> = groups.iter().map(|(_, sql_type)| sql_type.clone()).collect();
    let value_types: Vec<SqlType> = aggregates.iter().map(|(.., sql_type)| sql_type.clone()).collect();
    let with = sink_formats(random, &types, &value_types);
    let names: Vec<&str> = groups.iter().map(|(name, _)| name.as_str()).collect();
    let ksql: Vec<String> = aggregates.iter().enumerate().map(|(index, (ksql, ..))| format!("{ksql} AS x{index}")).collect();
    let over = match window {
        2 => " WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 10 DAYS)",
        3 => " WINDOW HOPPING (SIZE 20 SECONDS, ADVANCE BY 10 SECONDS, GRACE PERIOD 10 DAYS)",
        _ => "",
    };
    let filter = condition.as_ref().map(|c| format!(" WHERE {}", c.ksql)).unwrap_or_default();
    let kept = having.map(|least| format!(" HAVING COUNT(*) > {least}")).unwrap_or_default();
    let statement = format!(
        "CREATE TABLE o {with} AS SELECT {}, {} FROM s{over}{filter} GROUP BY {}{kept};",
        names.join(", "),
        ksql.join(", "),
        names.join(", ")
    );
    let there: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
    let filter = condition.map(|c| format!(" AND {}", c.batch)).unwrap_or_default();
    // A row is in as many hopping windows as fit.
    let starts = match window {
        2 => "SELECT *, ts - ts % 10000 AS wstart FROM s",
        3 => {
            "SELECT *, ts - ts % 10000 AS wstart FROM s UNION ALL SELECT *, ts - ts % 10000 - 10000 AS wstart FROM s WHERE ts - ts % 10000 >= 10000"
        }
        _ => "SELECT * FROM s",
    };
    let is_windowed = window >= 2;
    let first = if is_windowed { "wstart, " } else { "" };
    let selected: Vec<String> = aggregates.iter().enumerate().map(|(index, (_, batch, _))| format!("{batch} AS x{index}")).collect();
    let batch = format!(
        "SELECT {first}{}, {} FROM ({starts}) WHERE has_value AND {}{filter} GROUP BY {first}{}{kept}",
        names.join(", "),
        selected.join(", "),
        there.join(" AND "),
        names.join(", ")
    );
    finished(source, statement, batch, types, value_types, is_windowed)
}

pub fn of_table(random: &mut Random) -> Case {
    let key_type = random.pick(&[SqlType::Int, SqlType::String]).clone();
    let wishes = Wishes { is_table: true, carried: 0, rows: 40, null_keys: false, tombstones: true, joins: false };
    let source = Source::random(random, "s", &key_type, wishes);
    let group = random.pick(&source.scope("")[1..]).clone();
    let (name, group_type) = if group.1 == SqlType::Double { source.scope("")[0].clone() } else { group };
    let aggregates: Vec<Aggregate> = (0..1 + random.below(3)).map(|_| aggregate(random, &source, false)).collect();
    let value_types: Vec<SqlType> = aggregates.iter().map(|(.., sql_type)| sql_type.clone()).collect();
    let types = vec![group_type];
    let with = sink_formats(random, &types, &value_types);
    let ksql: Vec<String> = aggregates.iter().enumerate().map(|(index, (ksql, ..))| format!("{ksql} AS x{index}")).collect();
    let statement = format!("CREATE TABLE o {with} AS SELECT {name}, {} FROM s GROUP BY {name};", ksql.join(", "));
    let selected: Vec<String> = aggregates.iter().enumerate().map(|(index, (_, batch, _))| format!("{batch} AS x{index}")).collect();
    // A group that lost its last row stays.
    let batch = format!(
        "SELECT g, {} FROM (SELECT DISTINCT {name} AS g FROM s WHERE has_value AND {name} IS NOT NULL) LEFT JOIN s_latest ON {name} = g \
         GROUP BY g",
        selected.join(", ")
    );
    finished(source, statement, batch, types, value_types, false)
}

fn finished(source: Source, statement: String, batch: String, keys: Vec<SqlType>, values: Vec<SqlType>, is_windowed: bool) -> Case {
    Case {
        statements: vec![source.declaration(), statement],
        batch,
        arrivals: one_after_another(std::slice::from_ref(&source)),
        sources: vec![source],
        sink: "O".to_owned(),
        order: Order::Table,
        keys: keys.len(),
        outputs: keys.into_iter().chain(values).map(Output::Computed).collect(),
        is_windowed,
        has_presence: false,
    }
}

/// One or two columns to group by.
fn groups(random: &mut Random, source: &Source) -> Vec<(String, SqlType)> {
    let able: Vec<(String, SqlType)> = source.scope("").into_iter().filter(|(_, sql_type)| *sql_type != SqlType::Double).collect();
    let first = random.pick(&able).clone();
    let second = random.pick(&able).clone();
    if random.percent(40) && first.0 != second.0 { vec![first, second] } else { vec![first] }
}

/// An aggregate; `of_stream`: one that need not be undone.
fn aggregate(random: &mut Random, source: &Source, of_stream: bool) -> Aggregate {
    let columns = source.scope("");
    let (name, sql_type) = random.pick(&columns[1..]).clone();
    let is_number = matches!(sql_type, SqlType::BigInt | SqlType::Double);
    // Aggregates that keep more than a number need a format that nests, in between.
    let nests = !matches!(source.value_format, "DELIMITED" | "KAFKA");
    match random.below(if of_stream { 8 } else { 4 }) {
        1 | 2 if is_number => {
            let zero = if sql_type == SqlType::Double { "CAST(0 AS DOUBLE)" } else { "CAST(0 AS BIGINT)" };
            (format!("SUM({name})"), format!("coalesce(sum({name}), {zero})"), sql_type)
        }
        3 if is_number && nests => (format!("AVG({name})"), format!("coalesce(avg({name}), CAST(0 AS DOUBLE))"), SqlType::Double),
        4 | 5 if matches!(sql_type, SqlType::Int | SqlType::BigInt | SqlType::Double) => {
            let (ksql, batch) = *random.pick(&[("MIN", "min"), ("MAX", "max")]);
            (format!("{ksql}({name})"), format!("{batch}({name})"), sql_type)
        }
        6 if nests => {
            (format!("LATEST_BY_OFFSET({name})"), format!("last_value({name} ORDER BY rid) FILTER (WHERE {name} IS NOT NULL)"), sql_type)
        }
        7 if nests => {
            (format!("EARLIEST_BY_OFFSET({name})"), format!("first_value({name} ORDER BY rid) FILTER (WHERE {name} IS NOT NULL)"), sql_type)
        }
        0 if of_stream => ("COUNT(*)".to_owned(), "count(rid)".to_owned(), SqlType::BigInt),
        _ => (format!("COUNT({name})"), format!("count({name})"), SqlType::BigInt),
    }
}
