//! Random types and values.

use std::sync::Arc;

use tidemill_engine::types::{MapValue, SqlType, Value};

use crate::random::Random;

/// What values may be.
#[derive(Debug, Clone, Copy)]
pub struct Wildness {
    /// Nulls within arrays, maps and structs.
    pub inner_nulls: bool,
    /// Texts and times that only some formats hold.
    pub is_odd: bool,
}

/// Types that expressions are made of: both sides say the same of them.
pub const TAME: &[SqlType] = &[SqlType::Boolean, SqlType::Int, SqlType::BigInt, SqlType::Double, SqlType::String];

/// Any type, nested so deep.
pub fn any_type(random: &mut Random, depth: usize) -> SqlType {
    match random.below(if depth == 0 { 10 } else { 13 }) {
        0 => SqlType::Boolean,
        1 => SqlType::Int,
        2 => SqlType::BigInt,
        3 => SqlType::Double,
        4 => SqlType::String,
        5 => SqlType::Bytes,
        6 => SqlType::Time,
        7 => SqlType::Date,
        8 => SqlType::Timestamp,
        9 => {
            let precision = 1 + random.below(20) as u32;
            SqlType::Decimal { precision, scale: random.below(precision as usize + 1) as u32 }
        }
        10 => SqlType::array(any_type(random, depth - 1)),
        11 => SqlType::map(SqlType::String, any_type(random, depth - 1)),
        _ => {
            let count = 1 + random.below(3);
            SqlType::structure((0..count).map(|index| (format!("F{index}"), any_type(random, depth - 1))))
        }
    }
}

/// The type as a statement spells it.
pub fn spelled(sql_type: &SqlType) -> String {
    match sql_type {
        SqlType::Array(item) => format!("ARRAY<{}>", spelled(item)),
        SqlType::Map(key, value) => format!("MAP<{}, {}>", spelled(key), spelled(value)),
        SqlType::Struct(fields) => {
            let fields: Vec<String> = fields.iter().map(|field| format!("{} {}", field.name, spelled(&field.sql_type))).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A value that both sides compute with alike: numbers that stay exact, texts of the basic plane.
pub fn tame(random: &mut Random, sql_type: &SqlType) -> Value {
    match sql_type {
        SqlType::Boolean => Value::Boolean(random.percent(50)),
        SqlType::Int => Value::Int(match random.below(10) {
            0 => i32::MAX,
            1 => i32::MIN,
            2 => random.next() as i32,
            _ => random.below(10) as i32 - 4,
        }),
        SqlType::BigInt => Value::BigInt(match random.below(10) {
            0 => (1 << 40) + random.below(3) as i64,
            1 => -(1 << 40),
            _ => random.below(12) as i64 - 5,
        }),
        // Quarters: their sums are exact in any order. No negative zero: the two sides order it differently.
        SqlType::Double => Value::Double(random.below(4_000) as f64 / 4.0 - if random.percent(50) { 500.0 } else { 0.0 }),
        SqlType::String => {
            const LETTERS: &[&str] = &["a", "b", "X", "Z", "é", "ß", "Ж", "日", " ", "0", "a", "b"];
            let length = random.below(6);
            Value::string((0..length).map(|_| *random.pick(LETTERS)).collect::<String>())
        }
        other => unreachable!("{other} is not computed with"),
    }
}

/// Any value of a type, extremes included.
pub fn wild(random: &mut Random, sql_type: &SqlType, wildness: Wildness) -> Value {
    match sql_type {
        SqlType::Boolean => Value::Boolean(random.percent(50)),
        SqlType::Int => Value::Int(*random.pick(&[0, 1, -1, i32::MAX, i32::MIN, 7_654_321])),
        SqlType::BigInt => Value::BigInt(*random.pick(&[0, 1, -1, i64::MAX, i64::MIN, 1 << 53, -(1 << 53) - 1, 2_147_483_648])),
        SqlType::Double => {
            let extremes = [0.0, -0.0, 1.5, -1e-300, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 1e21, 123_456_789.125];
            let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            Value::Double(if wildness.is_odd && random.percent(20) { *random.pick(&odd) } else { *random.pick(&extremes) })
        }
        SqlType::String => Value::string(text(random, wildness)),
        SqlType::Bytes => {
            let length = random.below(6);
            Value::bytes((0..length).map(|_| random.next() as u8).collect::<Vec<u8>>())
        }
        SqlType::Time => Value::Time(*random.pick(&[0, 1, 3_600_000, 86_399_999])),
        SqlType::Date => Value::Date(*random.pick(&[0, 1, -1, 19_782, -25_567, 40_000])),
        SqlType::Timestamp => Value::Timestamp(*random.pick(&[0, 1, -1, 1_709_164_800_123, -2_208_988_800_000, 4_000_000_000_000])),
        SqlType::Decimal { precision, scale } => {
            let digits = 1 + random.below(*precision as usize);
            let unscaled: String = (0..digits).map(|_| char::from(b'0' + random.below(10) as u8)).collect();
            let sign = if random.percent(40) { "-" } else { "" };
            let padded = format!("{unscaled:0>width$}", width = *scale as usize + 1);
            let (whole, fraction) = padded.split_at(padded.len() - *scale as usize);
            let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            Value::decimal(text.parse().expect("a decimal"))
        }
        SqlType::Array(item) => {
            let count = random.below(4);
            Value::array((0..count).map(|_| inner(random, item, wildness)).collect())
        }
        SqlType::Map(_, item) => {
            let count = random.below(4);
            let entries: MapValue = (0..count).map(|_| (Value::string(text(random, wildness)), inner(random, item, wildness))).collect();
            Value::Map(Arc::new(entries))
        }
        SqlType::Struct(fields) => Value::structure(fields.iter().map(|field| inner(random, &field.sql_type, wildness)).collect()),
    }
}

fn inner(random: &mut Random, sql_type: &SqlType, wildness: Wildness) -> Value {
    if wildness.inner_nulls && random.percent(15) { Value::Null } else { wild(random, sql_type, wildness) }
}

fn text(random: &mut Random, wildness: Wildness) -> String {
    const LETTERS: &[&str] = &["a", "Z", "é", "日", "😀", "\u{10ffff}", " ", "'", "0"];
    const ODD: &[&str] = &["\"", "\\", ",", "\t", "\n", "\r", "\u{0}", "\u{7f}", "/", "\u{2028}"];
    let most = if random.percent(5) { 60 } else { 8 };
    let length = 1 + random.below(most);
    let letters = |random: &mut Random| {
        if wildness.is_odd && random.percent(25) { *random.pick(ODD) } else { *random.pick(LETTERS) }
    };
    (0..length).map(|_| letters(random)).collect()
}
