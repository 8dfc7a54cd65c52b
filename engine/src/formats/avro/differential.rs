//! What Avro's own library writes by random schemas, read by ours; and what ours writes, read by the library.

use std::sync::Arc;

use apache_avro::types::Value as Avro;
use serde_json::{Value as Json, json};

use super::tests::{decode, encode, foreign, layout};
use crate::registry::{MemoryRegistry, SchemaId, SchemaRegistry};
use crate::types::{MapValue, SqlType, Value};

/// A generator of numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small numbers, large ones, and both ends.
    fn long(&mut self) -> i64 {
        match self.below(6) {
            0 => 0,
            1 => i64::MAX,
            2 => i64::MIN,
            3 => self.next() as i64,
            _ => self.below(400) as i64 - 200,
        }
    }

    fn int(&mut self) -> i32 {
        match self.below(4) {
            0 => i32::MIN,
            1 => i32::MAX,
            _ => self.below(400) as i32 - 200,
        }
    }

    fn text(&mut self) -> String {
        const WORDS: &[&str] = &["", "a", "grün", "😀", "longer than what fits in place", "\u{0}", "x\ny"];
        (0..self.below(4)).map(|_| WORDS[self.below(WORDS.len() as u64) as usize]).collect()
    }
}

type Make = Box<dyn Fn(&mut Random) -> (Avro, Value)>;

/// A writer's type: its schema, the column's type, and values as the library and as we have them.
struct Kind {
    schema: Json,
    sql: SqlType,
    make: Make,
}

fn kind(schema: Json, sql: SqlType, make: impl Fn(&mut Random) -> (Avro, Value) + 'static) -> Kind {
    Kind { schema, sql, make: Box::new(make) }
}

/// A scalar; `name` is free for a named type.
fn scalar(random: &mut Random, name: &str) -> Kind {
    let logical = |base: &str, logical: &str| json!({ "type": base, "logicalType": logical });
    match random.below(18) {
        0 => kind(json!("boolean"), SqlType::Boolean, |r| {
            let v = r.below(2) == 0;
            (Avro::Boolean(v), Value::Boolean(v))
        }),
        1 => kind(json!("int"), SqlType::Int, |r| {
            let v = r.int();
            (Avro::Int(v), Value::Int(v))
        }),
        2 => kind(json!("int"), SqlType::BigInt, |r| {
            let v = r.int();
            (Avro::Int(v), Value::BigInt(v.into()))
        }),
        3 => kind(json!("long"), SqlType::BigInt, |r| {
            let v = r.long();
            (Avro::Long(v), Value::BigInt(v))
        }),
        4 => kind(json!("long"), SqlType::String, |r| {
            let v = r.long();
            (Avro::Long(v), Value::string(v.to_string()))
        }),
        5 => kind(json!("float"), SqlType::Double, |r| {
            let v = r.int() as f32 / 8.0;
            (Avro::Float(v), Value::Double(v.into()))
        }),
        6 => kind(json!("double"), SqlType::Double, |r| {
            let v = r.long() as f64 / 7.0;
            (Avro::Double(v), Value::Double(v))
        }),
        7 | 8 => kind(json!("string"), SqlType::String, |r| {
            let v = r.text();
            (Avro::String(v.clone()), Value::string(v))
        }),
        9 => kind(json!("bytes"), SqlType::Bytes, |r| {
            let v = r.text().into_bytes();
            (Avro::Bytes(v.clone()), Value::bytes(v))
        }),
        10 => kind(json!({ "type": "enum", "name": name, "symbols": ["A", "B", "C"] }), SqlType::String, |r| {
            let index = r.below(3) as u32;
            let symbol = ["A", "B", "C"][index as usize];
            (Avro::Enum(index, symbol.into()), Value::string(symbol))
        }),
        11 => kind(json!({ "type": "fixed", "name": name, "size": 3 }), SqlType::Bytes, |r| {
            let v = r.next().to_le_bytes()[..3].to_vec();
            (Avro::Fixed(3, v.clone()), Value::bytes(v))
        }),
        12 => decimal(json!({ "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 })),
        13 => {
            decimal(json!({ "type": { "type": "fixed", "name": name, "size": 6 }, "logicalType": "decimal", "precision": 9, "scale": 2 }))
        }
        14 => kind(logical("int", "date"), SqlType::Date, |r| {
            let v = r.int();
            (Avro::Date(v), Value::Date(v))
        }),
        15 => kind(logical("int", "time-millis"), SqlType::Time, |r| {
            let v = r.below(86_400_000) as i32;
            (Avro::TimeMillis(v), Value::Time(v))
        }),
        16 => kind(logical("long", "timestamp-millis"), SqlType::Timestamp, |r| {
            let v = r.long();
            (Avro::TimestampMillis(v), Value::Timestamp(v))
        }),
        _ => kind(logical("long", "timestamp-micros"), SqlType::Timestamp, |r| {
            let v = r.long();
            (Avro::TimestampMicros(v), Value::Timestamp(v.div_euclid(1000)))
        }),
    }
}

fn decimal(schema: Json) -> Kind {
    let is_fixed = schema["type"].is_object();
    kind(schema, SqlType::Decimal { precision: 9, scale: 2 }, move |r| {
        let unscaled = r.below(1_999_999_999) as i64 - 999_999_999;
        let bytes = num_bigint::BigInt::from(unscaled).to_signed_bytes_be();
        let filled = if is_fixed {
            let sign = if unscaled < 0 { 0xff } else { 0 };
            [vec![sign; 6 - bytes.len()], bytes].concat()
        } else {
            bytes
        };
        let number = bigdecimal::BigDecimal::new(unscaled.into(), 2);
        (Avro::Decimal(apache_avro::Decimal::from(filled)), Value::decimal(number))
    })
}

fn any(random: &mut Random, name: &str, depth: u32) -> Kind {
    let inner = |random: &mut Random, suffix: &str| any(random, &format!("{name}{suffix}"), depth - 1);
    match if depth == 0 { 9 } else { random.below(12) } {
        0 => nullable(inner(random, "n"), random.below(2) == 0),
        1 => {
            let item = inner(random, "i");
            kind(json!({ "type": "array", "items": item.schema }), SqlType::array(item.sql), move |r| {
                let (avro, own): (Vec<_>, Vec<_>) = (0..r.below(4)).map(|_| (item.make)(r)).unzip();
                (Avro::Array(avro), Value::array(own))
            })
        }
        2 => {
            let value = inner(random, "v");
            kind(json!({ "type": "map", "values": value.schema }), SqlType::map(SqlType::String, value.sql), move |r| {
                // The library's maps have no order, ours have: one entry at most.
                let entry: Vec<_> = (0..r.below(2)).map(|_| (r.text(), (value.make)(r))).collect();
                let own: MapValue = entry.iter().map(|(key, (_, own))| (Value::string(key.clone()), own.clone())).collect();
                (Avro::Map(entry.into_iter().map(|(key, (avro, _))| (key, avro)).collect()), Value::Map(Arc::new(own)))
            })
        }
        3 => {
            let value = inner(random, "v");
            let entry = json!({ "type": "record", "name": name, "connect.internal.type": "MapEntry", "fields": [
                { "name": "key", "type": "long" }, { "name": "value", "type": value.schema },
            ] });
            kind(json!({ "type": "array", "items": entry }), SqlType::map(SqlType::String, value.sql), move |r| {
                let keys: std::collections::BTreeSet<i64> = (0..r.below(3)).map(|_| r.long()).collect();
                let entries: Vec<_> = keys.into_iter().map(|key| (key, (value.make)(r))).collect();
                let own: MapValue = entries.iter().map(|(key, (_, own))| (Value::string(key.to_string()), own.clone())).collect();
                let entry = |(key, (avro, _))| Avro::Record(vec![("key".into(), Avro::Long(key)), ("value".into(), avro)]);
                (Avro::Array(entries.into_iter().map(entry).collect()), Value::Map(Arc::new(own)))
            })
        }
        4 | 5 => record(random, name, depth),
        6 => {
            let first = scalar(random, &format!("{name}f"));
            let sql =
                SqlType::structure([("R".to_owned(), SqlType::structure([("A".to_owned(), first.sql)])), ("LONG".into(), SqlType::BigInt)]);
            let branch = json!({ "type": "record", "name": "R", "namespace": name, "fields": [{ "name": "a", "type": first.schema }] });
            kind(json!(["null", branch, "long"]), sql, move |r| match r.below(3) {
                0 => (Avro::Union(0, Box::new(Avro::Null)), Value::Null),
                1 => {
                    let (avro, own) = (first.make)(r);
                    let avro = Avro::Record(vec![("a".into(), avro)]);
                    (Avro::Union(1, Box::new(avro)), Value::structure(vec![Value::structure(vec![own]), Value::Null]))
                }
                _ => (Avro::Union(2, Box::new(Avro::Long(5))), Value::structure(vec![Value::Null, Value::BigInt(5)])),
            })
        }
        _ => scalar(random, name),
    }
}

fn nullable(inner: Kind, null_first: bool) -> Kind {
    if inner.schema.is_array() {
        return inner;
    }
    let schema = if null_first { json!(["null", inner.schema]) } else { json!([inner.schema, "null"]) };
    let (null, some) = if null_first { (0, 1) } else { (1, 0) };
    kind(schema, inner.sql, move |r| match r.below(3) {
        0 => (Avro::Union(null, Box::new(Avro::Null)), Value::Null),
        _ => {
            let (avro, own) = (inner.make)(r);
            (Avro::Union(some, Box::new(avro)), own)
        }
    })
}

/// A record, of which the STRUCT has some fields, in another order.
fn record(random: &mut Random, name: &str, depth: u32) -> Kind {
    let fields: Vec<(Kind, bool)> =
        (0..1 + random.below(6)).map(|i| (any(random, &format!("{name}{i}"), depth.saturating_sub(1)), random.below(4) > 0)).collect();
    let listed: Vec<Json> =
        fields.iter().enumerate().map(|(i, (kind, _))| json!({ "name": format!("f{i}"), "type": kind.schema })).collect();
    let wanted: Vec<usize> = (0..fields.len()).rev().filter(|i| fields[*i].1).collect();
    let sql = wanted.iter().map(|i| (format!("F{i}"), fields[*i].0.sql.clone())).chain([("GONE".to_owned(), SqlType::Int)]);
    let sql = SqlType::structure(sql.collect::<Vec<_>>());
    kind(json!({ "type": "record", "name": name, "fields": listed }), sql, move |r| {
        let values: Vec<_> = fields.iter().map(|(kind, _)| (kind.make)(r)).collect();
        let own = wanted.iter().map(|i| values[*i].1.clone()).chain([Value::Null]).collect();
        let avro = values.into_iter().enumerate().map(|(i, (avro, _))| (format!("f{i}"), avro)).collect();
        (Avro::Record(avro), Value::structure(own))
    })
}

#[test]
fn what_the_library_writes_is_read() {
    for seed in 1..250u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = record(&mut random, "r", 3);
        let SqlType::Struct(fields) = &kind.sql else { panic!() };
        let registry = Arc::new(MemoryRegistry::default());
        let columns: Vec<(&str, SqlType)> = fields.iter().map(|field| (&*field.name, field.sql_type.clone())).collect();
        let layout = layout(&columns, &registry);
        for _ in 0..3 {
            let (avro, own) = (kind.make)(&mut random);
            let Value::Struct(own) = &own else { panic!() };
            let payload = foreign(&registry, kind.schema.clone(), avro);
            let read = decode(&layout, &payload).unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", kind.schema));
            assert_eq!(read, own.to_vec(), "seed {seed}\n{}", kind.schema);
            // What is cut anywhere is an error or, by chance, another value: never a panic.
            for end in 5..payload.len() {
                let _ = decode(&layout, &payload[..end]);
            }
        }
    }
}

#[test]
fn what_we_write_is_read_by_the_library_and_by_us() {
    for seed in 1..250u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = record(&mut random, "r", 3);
        let SqlType::Struct(fields) = &kind.sql else { panic!() };
        let registry = Arc::new(MemoryRegistry::default());
        let columns: Vec<(&str, SqlType)> = fields.iter().map(|field| (&*field.name, field.sql_type.clone())).collect();
        let layout = layout(&columns, &registry);
        let (_, own) = (kind.make)(&mut random);
        let Value::Struct(own) = &own else { panic!() };
        let payload = encode(&layout, own);
        assert_eq!(decode(&layout, &payload).unwrap(), own.to_vec(), "seed {seed}");
        let id = SchemaId(i32::from_be_bytes(payload[1..5].try_into().unwrap()));
        let schema = apache_avro::Schema::parse_str(&registry.by_id(id).unwrap().text).unwrap();
        let mut rest = &payload[5..];
        apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "seed {seed}: {} bytes are left", rest.len());
    }
}

/// Bytes turned into others: an answer or an error each time, and soon.
#[test]
fn mutated_payloads_are_errors_or_other_values() {
    let begun = std::time::Instant::now();
    for seed in 1..300u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = record(&mut random, "r", 3);
        let SqlType::Struct(fields) = &kind.sql else { panic!() };
        let registry = Arc::new(MemoryRegistry::default());
        let columns: Vec<(&str, SqlType)> = fields.iter().map(|field| (&*field.name, field.sql_type.clone())).collect();
        let layout = layout(&columns, &registry);
        let (avro, _) = (kind.make)(&mut random);
        let payload = foreign(&registry, kind.schema.clone(), avro);
        for _ in 0..100 {
            let mut mutated = payload.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(mutated.len() as u64) as usize;
                match random.below(4) {
                    0 => mutated[at] = random.next() as u8,
                    1 => mutated.insert(at, [0xff, 0x7f, 0x80, 0x01][random.below(4) as usize]),
                    2 if mutated.len() > 1 => drop(mutated.remove(at)),
                    _ => mutated[at] ^= 1 << random.below(8),
                }
            }
            let _ = decode(&layout, &mutated);
        }
    }
    assert!(begun.elapsed().as_secs() < 300);
}
