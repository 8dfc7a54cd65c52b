//! COUNT_DISTINCT: how many different values a group has. Exact for few, an estimate for many (HyperLogLog).

use super::support::{arg, bad_state, items, peek_items};
use super::{AggregateCall, AggregateFunction, AggregateVariant, Aggregator};
use crate::functions::{Category, EvalError, ParamType, example, param};
use crate::types::{SqlType, Value};

pub static FUNCTION: AggregateFunction = AggregateFunction {
    name: "COUNT_DISTINCT",
    spelling: "COUNT_DISTINCT",
    category: Category::Aggregate,
    description: "Counts the different values that are not null: exactly up to 256, beyond that by an estimate whose standard error is 1.6 %.",
    examples: &[example("COUNT_DISTINCT(x) over 1, 2, 1, NULL", "2")],
    variants: &[AggregateVariant::new("Counts different values.", &[param("val", ParamType::Var('T'), "The values.")], build)],
};

/// Values whose hashes are kept one by one.
const EXACT: usize = 256;
/// Bits of a hash that choose its register.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Registers in one item of the state.
const PER_ITEM: usize = 8;
/// Items of a state that estimates; one that counts exactly has at most [`EXACT`].
const DENSE_ITEMS: usize = REGISTERS / PER_ITEM;

fn build(_call: &AggregateCall<'_>) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(CountDistinct))
}

/// State: ARRAY<BIGINT>. Up to 256 items: the hashes of the values, sorted. 512 items: 4096 registers, eight an item.
struct CountDistinct;

impl Aggregator for CountDistinct {
    fn state_type(&self) -> SqlType {
        SqlType::array(SqlType::BigInt)
    }

    fn return_type(&self) -> SqlType {
        SqlType::BigInt
    }

    fn initial(&self) -> Value {
        Value::array(Vec::new())
    }

    fn add(&self, state: &mut Value, args: &[Value], _arrival: i64) -> Result<(), EvalError> {
        let value = arg(args, 0);
        if value.is_null() { Ok(()) } else { insert(state, hash(value)) }
    }

    fn merge(&self, mut left: Value, mut right: Value) -> Result<Value, EvalError> {
        if peek_items(&left)?.len() < peek_items(&right)?.len() {
            std::mem::swap(&mut left, &mut right);
        }
        let others = peek_items(&right)?;
        if others.len() == DENSE_ITEMS {
            let registers = items(&mut left)?;
            for (mine, other) in registers.iter_mut().zip(others) {
                let (a, b) = (word(mine)?.to_be_bytes(), word(other)?.to_be_bytes());
                *mine = Value::BigInt(i64::from_be_bytes(std::array::from_fn(|i| a[i].max(b[i]))));
            }
        } else {
            for other in others {
                insert(&mut left, word(other)?.cast_unsigned())?;
            }
        }
        Ok(left)
    }

    fn result(&self, state: &Value) -> Result<Value, EvalError> {
        let words = peek_items(state)?;
        if words.len() != DENSE_ITEMS {
            return i64::try_from(words.len()).map(Value::BigInt).map_err(|_| bad_state());
        }
        estimate(words).map(Value::BigInt)
    }
}

fn word(item: &Value) -> Result<i64, EvalError> {
    match item {
        Value::BigInt(word) => Ok(*word),
        _ => Err(bad_state()),
    }
}

fn insert(state: &mut Value, hash: u64) -> Result<(), EvalError> {
    let words = peek_items(state)?;
    if words.len() == DENSE_ITEMS {
        return raise(items(state)?, hash);
    }
    let key = hash.cast_signed();
    let Err(at) = words.binary_search_by(|item| word(item).unwrap_or(i64::MIN).cmp(&key)) else { return Ok(()) };
    if words.len() < EXACT {
        items(state)?.insert(at, Value::BigInt(key));
        return Ok(());
    }
    let mut registers = vec![Value::BigInt(0); DENSE_ITEMS];
    for item in words {
        raise(&mut registers, word(item)?.cast_unsigned())?;
    }
    raise(&mut registers, hash)?;
    *state = Value::array(registers);
    Ok(())
}

/// Raises the hash's register to the number of its leading zeros, plus one.
fn raise(registers: &mut [Value], hash: u64) -> Result<(), EvalError> {
    let index = usize::try_from(hash >> (64 - INDEX_BITS)).map_err(|_| bad_state())?;
    let rank = u8::try_from((hash << INDEX_BITS | 1 << (INDEX_BITS - 1)).leading_zeros() + 1).unwrap_or(u8::MAX);
    let item = registers.get_mut(index / PER_ITEM).ok_or_else(bad_state)?;
    let mut bytes = word(item)?.to_be_bytes();
    let register = &mut bytes[index % PER_ITEM];
    *register = rank.max(*register);
    *item = Value::BigInt(i64::from_be_bytes(bytes));
    Ok(())
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn estimate(words: &[Value]) -> Result<i64, EvalError> {
    let (mut sum, mut zeros) = (0.0, 0_u32);
    for item in words {
        for register in word(item)?.to_be_bytes() {
            sum += 2_f64.powi(-i32::from(register));
            zeros += u32::from(register == 0);
        }
    }
    let m = REGISTERS as f64;
    let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
    // Below 2.5 m the number of untouched registers says more.
    let estimate = if raw <= 2.5 * m && zeros > 0 { m * (m / f64::from(zeros)).ln() } else { raw };
    Ok(estimate.round() as i64)
}

/// A hash that stays the same in every version: states outlive programs.
fn hash(value: &Value) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    feed(value, &mut hash);
    // Spreads the bits (splitmix64).
    let mut z = hash.0;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        for byte in std::iter::once(&tag).chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn feed(value: &Value, hash: &mut Fnv) {
    match value {
        Value::Null => hash.bytes(0, &[]),
        Value::Boolean(v) => hash.bytes(1, &[u8::from(*v)]),
        Value::Int(v) => hash.bytes(2, &v.to_be_bytes()),
        Value::BigInt(v) => hash.bytes(3, &v.to_be_bytes()),
        Value::Double(v) => hash.bytes(4, &v.to_bits().to_be_bytes()),
        Value::Decimal(v) => hash.bytes(5, v.to_string().as_bytes()),
        Value::String(v) => hash.bytes(6, v.as_bytes()),
        Value::Bytes(v) => hash.bytes(7, v),
        Value::Time(v) => hash.bytes(8, &v.to_be_bytes()),
        Value::Date(v) => hash.bytes(9, &v.to_be_bytes()),
        Value::Timestamp(v) => hash.bytes(10, &v.to_be_bytes()),
        Value::Array(items) => feed_all(11, items, hash),
        Value::Struct(fields) => feed_all(12, fields, hash),
        Value::Map(map) => {
            // Entries add up, so that their order does not matter.
            let entries = map.iter().fold(0_u64, |sum, (key, item)| {
                let mut entry = Fnv(0xcbf2_9ce4_8422_2325);
                feed(key, &mut entry);
                feed(item, &mut entry);
                sum.wrapping_add(entry.0)
            });
            hash.bytes(13, &entries.to_be_bytes());
        }
    }
}

fn feed_all(tag: u8, values: &[Value], hash: &mut Fnv) {
    hash.bytes(tag, &values.len().to_be_bytes());
    values.iter().for_each(|value| feed(value, hash));
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn counted(values: impl Iterator<Item = i32>) -> (Value, i64) {
        let mut state = CountDistinct.initial();
        for value in values {
            CountDistinct.add(&mut state, &[Value::Int(value)], 0).unwrap();
        }
        let result = CountDistinct.result(&state).unwrap();
        (state, word(&result).unwrap())
    }

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        let distinct = testing::build(&FUNCTION, &[SqlType::String], &[]);
        let got = testing::column(&*distinct, &["x", "y", "x", ""].map(Value::string));
        assert_eq!(got, [1, 2, 2, 3].map(Value::BigInt));
        assert_eq!(testing::column(&*distinct, &[Value::Null]), [Value::BigInt(0)]);
        for n in [10, 256, 257, 1000, 20_000, 300_000] {
            let (state, count) = counted((0..n).chain(0..n));
            assert!((count - i64::from(n)).abs() * 20 <= i64::from(n), "{n}: {count}");
            assert!(n > 256 || count == i64::from(n));
            assert!(peek_items(&state).unwrap().len() <= DENSE_ITEMS);
        }
    }

    #[test]
    fn merging_counts_shared_values_once() {
        for (a, b, expected) in [(0..10, 5..20, 20), (0..200, 100..300, 300), (0..2000, 100..200, 2000), (0..2000, 1000..3000, 3000)] {
            let merged = CountDistinct.merge(counted(a.clone()).0, counted(b.clone()).0).unwrap();
            assert_eq!(merged, counted(a.chain(b)).0);
            let count = word(&CountDistinct.result(&merged).unwrap()).unwrap();
            assert!((count - expected).abs() * 20 <= expected, "{count} {expected}");
        }
    }
}
