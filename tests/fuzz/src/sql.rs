//! Random statements: they mostly follow the grammar, and are mostly wrong in their types.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use tidemill_engine::functions::{aggregate, scalar, table};

/// How deep expressions nest.
const MAX_DEPTH: u32 = 4;

const SOURCES: &[&str] = &["s", "r", "two", "tb", "tt", "w"];
const COLUMNS: &[&str] = &[
    "id",
    "a",
    "b",
    "d",
    "t",
    "f",
    "m",
    "ar",
    "mp",
    "st",
    "ts",
    "da",
    "ti",
    "bt",
    "k",
    "k1",
    "k2",
    "fk",
    "n",
    "ROWTIME",
    "ROWPARTITION",
    "ROWOFFSET",
    "WINDOWSTART",
    "WINDOWEND",
    "nope",
    "*",
];
const LITERALS: &[&str] =
    &["1", "-1", "0", "2.50", "1e3", "9223372036854775807", "'x'", "''", "'2020-01-01'", "TRUE", "NULL", "'1'", "'a,b'"];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "||", "=", "<>", "<", "<=", ">", ">=", "AND", "OR", "IS DISTINCT FROM", "LIKE"];
const TYPES: &[&str] = &[
    "INT",
    "BIGINT",
    "DOUBLE",
    "STRING",
    "BOOLEAN",
    "DECIMAL(6,2)",
    "TIMESTAMP",
    "DATE",
    "TIME",
    "BYTES",
    "ARRAY<INT>",
    "MAP<STRING, INT>",
    "STRUCT<x INT>",
];
const INTERVALS: &[&str] = &["1 SECOND", "10 SECONDS", "1 MINUTE", "1 HOUR", "0 SECONDS", "9223372036854775807 DAYS"];

fn functions() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(|| {
        let scalar = scalar::all().map(|f| f.name.to_owned());
        let others = aggregate::ALL.iter().map(|f| f.name.to_owned()).chain(table::ALL.iter().map(|f| f.name.to_owned()));
        scalar.chain(others).collect()
    })
}

/// A statement with its semicolon.
pub fn statement(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.int_in_range(0..=9)? {
        0 => format!("{};", query(u)?),
        1 => format!("INSERT INTO {} {};", u.choose(SOURCES)?, query(u)?),
        2 => {
            let columns =
                if u.arbitrary()? { String::new() } else { format!("({}) ", list(u, |u| u.choose(COLUMNS).map(|c| (*c).to_owned()))?) };
            format!("INSERT INTO {} {columns}VALUES ({});", u.choose(SOURCES)?, list(u, |u| expression(u, 0))?)
        }
        3 => create_source(u)?,
        _ => {
            let kind = *u.choose(&["STREAM", "TABLE"])?;
            let replace = if u.ratio(1, 8)? { "OR REPLACE " } else { "" };
            format!("CREATE {replace}{kind} x {} AS {};", with(u)?, query(u)?)
        }
    })
}

fn with(u: &mut Unstructured<'_>) -> Result<String> {
    const PROPERTIES: &[&str] = &[
        "KAFKA_TOPIC='x'",
        "VALUE_FORMAT='JSON'",
        "VALUE_FORMAT='DELIMITED'",
        "VALUE_FORMAT='KAFKA'",
        "KEY_FORMAT='JSON'",
        "FORMAT='AVRO'",
        "PARTITIONS=3",
        "PARTITIONS=-1",
        "REPLICAS=1",
        "TIMESTAMP='ts'",
        "TIMESTAMP_FORMAT='yyyy'",
        "WRAP_SINGLE_VALUE=false",
        "VALUE_DELIMITER='|'",
        "WINDOW_TYPE='SESSION'",
        "WINDOW_SIZE='1 SECOND'",
        "KEY_SCHEMA_ID=1",
        "RETENTION_MS=5",
        "NOPE=1",
    ];
    if u.arbitrary()? { Ok(String::new()) } else { Ok(format!("WITH ({})", list(u, |u| u.choose(PROPERTIES).map(|p| (*p).to_owned()))?)) }
}

fn create_source(u: &mut Unstructured<'_>) -> Result<String> {
    const ROLES: &[&str] = &["", "", "", "KEY", "PRIMARY KEY", "HEADERS", "HEADER('h')"];
    let columns = list(u, |u| Ok(format!("{} {} {}", u.choose(COLUMNS)?, u.choose(TYPES)?, u.choose(ROLES)?)))?;
    Ok(format!("CREATE {} x ({columns}) {};", u.choose(&["STREAM", "TABLE", "SOURCE TABLE", "SOURCE STREAM"])?, with(u)?))
}

fn query(u: &mut Unstructured<'_>) -> Result<String> {
    let mut sql = format!("SELECT {} FROM {}", list(u, item)?, from(u)?);
    if u.ratio(1, 4)? {
        let interval = u.choose(INTERVALS)?;
        let window = match u.int_in_range(0..=2)? {
            0 => format!("TUMBLING (SIZE {interval}"),
            1 => format!("HOPPING (SIZE {interval}, ADVANCE BY {}", u.choose(INTERVALS)?),
            _ => format!("SESSION ({interval}"),
        };
        let grace = if u.arbitrary()? { format!(", GRACE PERIOD {}", u.choose(INTERVALS)?) } else { String::new() };
        sql += &format!(" WINDOW {window}{grace})");
    }
    if u.ratio(1, 3)? {
        sql += &format!(" WHERE {}", expression(u, 0)?);
    }
    for (clause, one_in) in [("PARTITION BY", 6), ("GROUP BY", 3), ("HAVING", 6)] {
        if u.ratio(1, one_in)? {
            sql += &format!(" {clause} {}", list(u, |u| expression(u, 2))?);
        }
    }
    sql += *u.choose(&[" EMIT CHANGES", " EMIT CHANGES", "", " EMIT FINAL", " EMIT CHANGES LIMIT 3"])?;
    Ok(sql)
}

fn item(u: &mut Unstructured<'_>) -> Result<String> {
    let expression = expression(u, 0)?;
    Ok(if u.ratio(1, 3)? { format!("{expression} AS {}", u.choose(COLUMNS)?) } else { expression })
}

fn from(u: &mut Unstructured<'_>) -> Result<String> {
    let mut from = (*u.choose(SOURCES)?).to_owned();
    for _ in 0..u.int_in_range(0..=2)? {
        if u.arbitrary()? {
            break;
        }
        let (join, right) = (u.choose(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL OUTER JOIN"])?, u.choose(SOURCES)?);
        let within = if u.arbitrary()? { format!("WITHIN {}", u.choose(INTERVALS)?) } else { String::new() };
        let on = if u.ratio(3, 4)? {
            format!("{}.{} = {right}.{}", u.choose(SOURCES)?, u.choose(COLUMNS)?, u.choose(COLUMNS)?)
        } else {
            expression(u, 2)?
        };
        from += &format!(" {join} {right} {within} ON {on}");
    }
    Ok(from)
}

fn list(u: &mut Unstructured<'_>, one: impl Fn(&mut Unstructured<'_>) -> Result<String>) -> Result<String> {
    let items = (0..u.int_in_range(1..=3)?).map(|_| one(u)).collect::<Result<Vec<_>>>()?;
    Ok(items.join(", "))
}

fn expression(u: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    let inner = |u: &mut Unstructured<'_>| expression(u, depth + 1);
    let kinds = if depth < MAX_DEPTH { 14 } else { 4 };
    Ok(match u.int_in_range(0..=kinds - 1)? {
        0 | 1 => (*u.choose(COLUMNS)?).to_owned(),
        2 => format!("{}.{}", u.choose(SOURCES)?, u.choose(COLUMNS)?),
        3 => (*u.choose(LITERALS)?).to_owned(),
        4 | 5 => format!("({} {} {})", inner(u)?, u.choose(OPERATORS)?, inner(u)?),
        6 | 7 => format!("{}({})", u.choose(functions())?, list(u, |u| if u.ratio(1, 6)? { lambda(u, depth) } else { inner(u) })?),
        8 => format!("CAST({} AS {})", inner(u)?, u.choose(TYPES)?),
        9 => format!("CASE WHEN {} THEN {} ELSE {} END", inner(u)?, inner(u)?, inner(u)?),
        10 => format!("{} {}", inner(u)?, u.choose(&["IS NULL", "IS NOT NULL", "IN (1, 2)", "BETWEEN 1 AND 5", "NOT IN ('x')"])?),
        11 => format!("{}{}", inner(u)?, u.choose(&["->x", "->y->z", "[1]", "['k']", "->*"])?),
        12 => match u.int_in_range(0..=2)? {
            0 => format!("ARRAY[{}]", list(u, inner)?),
            1 => format!("MAP('k' := {}, 'l' := {})", inner(u)?, inner(u)?),
            _ => format!("STRUCT(x := {}, y := {})", inner(u)?, inner(u)?),
        },
        _ => format!("NOT {}", inner(u)?),
    })
}

fn lambda(u: &mut Unstructured<'_>, depth: u32) -> Result<String> {
    let parameters = u.choose(&["x", "(x, y)", "(x, y, z)"])?;
    Ok(format!("{parameters} => {}", expression(u, depth + 1)?))
}
