//! Round trips and order, over random values of every type.

use std::cmp::Ordering;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use num_bigint::BigInt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::row::Window;
use crate::types::{MapValue, Value};

const KINDS: u32 = 13;

/// A value of one type (null now and then); edges and near neighbours are likely.
fn random(kind: u32, depth: u32, rng: &mut StdRng) -> Value {
    if rng.random_ratio(1, 12) {
        return Value::Null;
    }
    let int = match rng.random_range(0..4) {
        0 => rng.random(),
        1 => [i32::MIN, -1, 0, i32::MAX][rng.random_range(0..4)],
        _ => rng.random_range(-70..70),
    };
    let long = if rng.random() { i64::from(int) } else { [i64::MIN, i64::MAX, rng.random()][rng.random_range(0..3)] };
    let inner = (kind * 7 + depth) % 9;
    let items = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| random(inner, depth + 1, rng)).collect::<Vec<_>>();
    match kind {
        0 => Value::Boolean(rng.random()),
        1 => Value::Int(int),
        2 => Value::BigInt(long),
        3 => Value::Double(
            [f64::from(int), rng.random::<f64>(), f64::NAN, -0.0, 0.0, f64::INFINITY, f64::MIN_POSITIVE][rng.random_range(0..7)],
        ),
        4 => Value::decimal(BigDecimal::new(BigInt::from(if rng.random() { long } else { i64::from(int) }), rng.random_range(-2..6))),
        5 => {
            let letters = ['\0', '\u{1}', 'a', 'b', 'é', '\u{10ffff}', '\u{ff}'];
            Value::string((0..rng.random_range(0..5)).map(|_| letters[rng.random_range(0..letters.len())]).collect::<String>())
        }
        6 => Value::bytes((0..rng.random_range(0..90)).map(|_| [0, 1, 2, 255][rng.random_range(0..4)]).collect::<Vec<u8>>()),
        7 => Value::Time(int),
        8 => Value::Date(int),
        9 => Value::Timestamp(long),
        10 => Value::array(items(rng)),
        11 => Value::structure(vec![random(2, depth + 1, rng), random(5, depth + 1, rng), random(inner, depth + 1, rng)]),
        _ => Value::Map(Arc::new(items(rng).into_iter().map(|key| (key, random(1, depth + 1, rng))).collect::<MapValue>())),
    }
}

/// How values of one type are ordered; `None` where no order is promised (maps).
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    use Value::*;
    Some(match (a, b) {
        (Null, Null) => Ordering::Equal,
        (Null, _) => Ordering::Less,
        (_, Null) => Ordering::Greater,
        (Boolean(a), Boolean(b)) => a.cmp(b),
        (Int(a), Int(b)) | (Time(a), Time(b)) | (Date(a), Date(b)) => a.cmp(b),
        (BigInt(a), BigInt(b)) | (Timestamp(a), Timestamp(b)) => a.cmp(b),
        (Double(a), Double(b)) => a.total_cmp(b),
        (Decimal(a), Decimal(b)) => a.cmp(b).then(a.as_bigint_and_scale().1.cmp(&b.as_bigint_and_scale().1)),
        (String(a), String(b)) => a.cmp(b),
        (Bytes(a), Bytes(b)) => a.cmp(b),
        (Array(a), Array(b)) => return compare_all(a, b),
        (Struct(a), Struct(b)) => return compare_all(a, b),
        _ => return None,
    })
}

fn compare_all(a: &[Value], b: &[Value]) -> Option<Ordering> {
    for (a, b) in a.iter().zip(b) {
        match compare(a, b)? {
            Ordering::Equal => {}
            other => return Some(other),
        }
    }
    Some(a.len().cmp(&b.len()))
}

#[test]
fn rows_and_keys_come_back() {
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..20_000 {
        let values: Vec<Value> = (0..rng.random_range(0..6)).map(|_| random(rng.random_range(0..KINDS), 0, &mut rng)).collect();
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        encode_values(&values, &mut bytes);
        decode_values(&bytes, &mut back).unwrap();
        assert_eq!(back, values);

        let window = Window { start: rng.random(), end: rng.random() };
        let (mut bytes, mut back) = (Vec::new(), Vec::new());
        encode_windowed_key(&values, window, &mut bytes);
        assert_eq!(decode_windowed_key(&bytes, &mut back).unwrap(), window);
        assert_eq!(back, values);
    }
}

#[test]
fn parts_are_what_they_are_of_the_whole() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut fields = 0;
    for _ in 0..20_000 {
        let values: Vec<Value> = (0..rng.random_range(0..6)).map(|_| random(rng.random_range(0..KINDS), 0, &mut rng)).collect();
        let mut bytes = Vec::new();
        encode_entry(rng.random(), &values, &mut bytes);
        let part = |value: &Value| match (rng.random_range(0..3), value) {
            (0, _) => (Part::Nothing, Value::Null),
            (1, Value::Null) => (Part::Field(1), Value::Null),
            (1, Value::Struct(of)) => {
                fields += 1;
                let index = rng.random_range(0..4);
                (Part::Field(index), of.get(index).cloned().unwrap_or_default())
            }
            (_, value) => (Part::Whole, value.clone()),
        };
        let (mut parts, mut expected): (Vec<Part>, Vec<Value>) = values.iter().map(part).unzip();
        let (mut whole, mut found) = (Vec::new(), Vec::new());
        let time = decode_entry(&bytes, &[], &mut whole).unwrap();
        assert_eq!((decode_parts(&bytes, &parts, &mut found).unwrap(), &found), (time, &expected), "{values:?} {parts:?}");
        let mut shown = vec![Value::Null; values.len()];
        let mut places = Vec::new();
        let show = |place: usize, stored: Stored<'_>| {
            places.push(place);
            shown[place] = stored.into();
        };
        assert_eq!(visit_parts(&bytes, &parts, show), Ok(time));
        assert_eq!(shown, expected, "where it is stored: {values:?} {parts:?}");
        let wanted = (0..parts.len()).filter(|place| parts[*place] != Part::Nothing).collect::<Vec<_>>();
        assert_eq!(places, wanted);
        let mut beyond = Vec::new();
        let longer = [&parts[..], &[Part::Whole, Part::Nothing, Part::Field(0)]].concat();
        visit_parts(&bytes, &longer, |place, stored| beyond.push((place, stored))).unwrap();
        beyond.retain(|(place, _)| *place >= parts.len());
        assert_eq!(beyond, [(parts.len(), Stored::Null), (parts.len() + 2, Stored::Null)], "past the end");
        let named = rng.random_range(0..=parts.len());
        parts.truncate(named);
        expected.truncate(named);
        found.clear();
        decode_parts(&bytes, &parts, &mut found).unwrap();
        assert_eq!(found, expected);
        // Cut off, it ends in an error or in fewer values, never otherwise.
        for end in 0..bytes.len() {
            let _ = decode_parts(&bytes[..end], &vec![Part::Nothing; values.len()], &mut Vec::new());
            let _ = visit_parts(&bytes[..end], &vec![Part::Whole; values.len()], |_, _| {});
        }
    }
    assert!(fields > 1_000, "{fields} fields were taken");
    let mut bytes = Vec::new();
    encode_entry(0, &[Value::Int(1)], &mut bytes);
    assert!(decode_parts(&bytes, &[Part::Field(0)], &mut Vec::new()).is_err(), "a number has no fields");
}

#[test]
fn what_is_stepped_over_has_bounds() {
    let mut bytes = Vec::new();
    encode_entry(0, &[], &mut bytes);
    // An array of one item, which is an array of one item …
    bytes.extend([12, 1].repeat(1_000));
    bytes.push(0);
    assert!(decode_parts(&bytes, &[Part::Nothing], &mut Vec::new()).is_err());
    let mut bytes = Vec::new();
    encode_entry(0, &[], &mut bytes);
    // As many items as nobody has.
    bytes.extend([13, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
    assert!(decode_parts(&bytes, &[Part::Nothing], &mut Vec::new()).is_err());
}

#[test]
fn keys_are_ordered_as_their_values() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut decided = 0;
    for _ in 0..100_000 {
        let kinds: Vec<u32> = (0..rng.random_range(1..3)).map(|_| rng.random_range(0..KINDS)).collect();
        let mut keys: Vec<Vec<Value>> = (0..2).map(|_| kinds.iter().map(|kind| random(*kind, 0, &mut rng)).collect()).collect();
        if rng.random_ratio(1, 4) {
            keys[1] = keys[0].clone();
        }
        let windows: Vec<Window> = (0..2).map(|_| Window { start: rng.random_range(-2..2), end: rng.random_range(-2..2) }).collect();
        let encoded: Vec<Vec<u8>> = (0..2)
            .map(|i| {
                let mut bytes = Vec::new();
                encode_windowed_key(&keys[i], windows[i], &mut bytes);
                bytes
            })
            .collect();
        let Some(order) = compare_all(&keys[0], &keys[1]) else { continue };
        assert_eq!(encoded[0].cmp(&encoded[1]), order.then(windows[0].cmp(&windows[1])), "{keys:?} {windows:?}");
        if order != Ordering::Equal {
            let plain = encoded.map_key_parts();
            assert!(!plain[0].starts_with(plain[1]) && !plain[1].starts_with(plain[0]), "a key is a prefix: {keys:?}");
            decided += 1;
        }
    }
    assert!(decided > 50_000);
}

trait KeyParts {
    fn map_key_parts(&self) -> Vec<&[u8]>;
}

impl KeyParts for Vec<Vec<u8>> {
    /// The keys without their windows.
    fn map_key_parts(&self) -> Vec<&[u8]> {
        self.iter().map(|key| &key[..key.len() - 16]).collect()
    }
}

#[test]
fn damaged_bytes_are_refused_or_read_but_never_panic() {
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..50_000 {
        let values: Vec<Value> = (0..3).map(|_| random(rng.random_range(0..KINDS), 0, &mut rng)).collect();
        let (mut row, mut key) = (Vec::new(), Vec::new());
        encode_values(&values, &mut row);
        encode_key(&values, &mut key);
        for bytes in [&mut row, &mut key] {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
            bytes.truncate(rng.random_range(0..=bytes.len()));
        }
        let _ = decode_values(&row, &mut Vec::new());
        let _ = decode_key(&key, &mut Vec::new());
    }
    let deep: Vec<u8> = std::iter::once(1).chain([12, 1].repeat(100_000)).collect();
    assert_eq!(decode_values(&deep, &mut Vec::new()), Err(CodecError("nested too deeply")));
    assert_eq!(decode_key(&[0x30; 100_000], &mut Vec::new()), Err(CodecError("nested too deeply")));
    assert_eq!(decode_values(&[9], &mut Vec::new()), Err(CodecError("unknown version")));
}

#[test]
fn the_end_of_a_prefix() {
    for (prefix, end) in [(&b"a"[..], Some(&b"b"[..])), (b"a\xff", Some(b"b")), (b"\xff\xff", None), (b"", None)] {
        assert_eq!(prefix_end(prefix).as_deref(), end);
    }
}

#[test]
fn entries_come_back_with_their_timestamp_and_only_what_is_wanted() {
    let mut rng = StdRng::seed_from_u64(5);
    for round in 0..500 {
        let values: Vec<Value> = (0..rng.random_range(0..8)).map(|_| random(rng.random_range(0..KINDS), 0, &mut rng)).collect();
        let timestamp = rng.random();
        let mut bytes = Vec::new();
        encode_entry(timestamp, &values, &mut bytes);
        let mut plain = Vec::new();
        decode_values(&bytes, &mut plain).unwrap();
        assert_eq!(plain.first(), Some(&Value::BigInt(timestamp)));
        assert_eq!(plain[1..], values[..], "round {round}");
        let wanted: Vec<bool> = (0..rng.random_range(0..8)).map(|_| rng.random()).collect();
        let mut some = Vec::new();
        assert_eq!(decode_entry(&bytes, &wanted, &mut some), Ok(timestamp));
        let expected: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(index, value)| if wanted.get(index) == Some(&false) { Value::Null } else { value.clone() })
            .collect();
        assert_eq!(some, expected, "round {round}");
        for end in 0..bytes.len() {
            let _ = decode_entry(&bytes[..end], &wanted, &mut Vec::new());
        }
    }
}
