//! The JSON decoder under bytes of any kind: nothing makes it panic, and what it takes for JSON is JSON.

use super::JSON;
use crate::formats::{Carried, Decoder, Encoder, Field, Format, Layout};
use crate::types::{Column, SqlType, Value};

const SEEDS: &[&str] = &[
    r#"{"A":1,"B":"text","C":1.5,"D":true,"E":"YWI=","F":[1,2,null],"G":{"k":"v"},"H":{"X":1,"Y":[{"Z":"é"}]},"I":12.34}"#,
    r#"{"other":{"deep":[[[{"a":[]}]]],"s":"\u00e9\ud83d\ude00\n\"\\"},"b":"x","a":-12345678901234567890,"c":1e-5}"#,
    "{ \"A\" : null , \"B\" : [ 1 , \"x\" ] , \"G\" : { } , \"J\" : 1709164800123 , \"K\" : 86399999 , \"L\" : \"19782\" }",
    r#"[{"A":1},2,"3",false]"#,
    "123.456e2",
    "\"just text\"",
    "null",
];

/// Bytes that change the meaning of JSON wherever they land.
const SHARP: &[u8] = b"{}[]\",:\\0-.eEtfnu \n\x00\x1f\x80\xff\xc3\xed";

/// A small generator, so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

fn types() -> Vec<SqlType> {
    let inner = SqlType::structure([("Z".to_string(), SqlType::String)]);
    vec![
        SqlType::Int,
        SqlType::String,
        SqlType::Double,
        SqlType::Boolean,
        SqlType::Bytes,
        SqlType::array(SqlType::BigInt),
        SqlType::map(SqlType::String, SqlType::String),
        SqlType::structure([("X".to_string(), SqlType::Int), ("Y".to_string(), SqlType::array(inner))]),
        SqlType::Decimal { precision: 4, scale: 2 },
        SqlType::Timestamp,
        SqlType::Time,
        SqlType::Date,
    ]
}

fn layout(types: &[SqlType], unwrapped: bool, wanted: bool) -> Layout {
    let fields = types.iter().enumerate().map(|(i, sql_type)| {
        let name = char::from(b'A' + i as u8).to_string();
        Field::new(Column::new(name, sql_type.clone()), wanted.then_some(i))
    });
    Layout { fields: fields.collect(), unwrapped, is_key: false, delimiter: None, schemas: None }
}

fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, SHARP[random.below(SHARP.len())]),
            2 if at < bytes.len() => bytes[at] = SHARP[random.below(SHARP.len())],
            3 if at < bytes.len() => drop(bytes.remove(at)),
            _ => {
                let from = random.below(bytes.len() + 1);
                let piece: Vec<u8> = bytes[from.min(at)..from.max(at)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn no_bytes_make_it_panic_and_it_takes_only_json() {
    let types = types();
    let mut all: Vec<(Box<dyn Decoder>, Box<dyn Encoder>)> = Vec::new();
    all.push((JSON.decoder(&layout(&types, false, true)).unwrap(), JSON.encoder(&layout(&types, false, true)).unwrap()));
    for sql_type in &types {
        let single = layout(std::slice::from_ref(sql_type), true, true);
        all.push((JSON.decoder(&single).unwrap(), JSON.encoder(&single).unwrap()));
    }
    let mut skipping = JSON.decoder(&layout(&types, false, false)).unwrap();
    let mut random = Random(42);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..20_000 {
        let seed = SEEDS[round % SEEDS.len()].as_bytes();
        let payload = mutate(seed, &mut random);
        let mut row = vec![Value::Null; types.len()];
        for (decoder, encoder) in &mut all {
            let decoded = decoder.decode(&payload, &mut row);
            if decoded == Ok(true) {
                let mut out = Vec::new();
                encoder.encode(&row, &mut out).unwrap();
                assert!(out.is_empty() || serde_json::from_slice::<serde_json::Value>(&out).is_ok());
            }
        }
        // A decoder that wants nothing only checks: it must agree with another parser on what an object is.
        if payload.first() == Some(&b'{') {
            let mine = skipping.decode(&payload, &mut row);
            let theirs = serde_json::Deserializer::from_slice(&payload).into_iter::<serde_json::Value>().next();
            let theirs = theirs.is_some_and(|first| first.is_ok());
            // Half surrogates are the one thing that we take and serde_json does not.
            let has_surrogate = payload.windows(3).any(|w| w.eq_ignore_ascii_case(b"\\ud"));
            assert!(mine.is_ok() == theirs || has_surrogate, "{mine:?} against {theirs} for {}", String::from_utf8_lossy(&payload));
            if theirs { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 500 && refused > 500, "the payloads are of both kinds: {taken} good, {refused} bad");
}

#[test]
fn every_prefix_of_an_object_is_refused() {
    let types = types();
    let mut decoders = [JSON.decoder(&layout(&types, false, true)).unwrap(), JSON.decoder(&layout(&types, false, false)).unwrap()];
    for seed in SEEDS.iter().filter(|seed| seed.starts_with('{')) {
        for end in 0..seed.len() {
            for decoder in &mut decoders {
                assert!(
                    decoder.decode(&seed.as_bytes()[..end], &mut vec![Value::Null; types.len()]).is_err(),
                    "{}",
                    &seed.as_bytes()[..end].escape_ascii()
                );
            }
        }
    }
}

/// Whatever a payload holds: what is carried comes out as if it had been decoded and written again.
#[test]
fn carried_values_are_written_as_decoded_ones() {
    let types = types();
    let plain = layout(&types, false, true);
    let mut carrying = plain.clone();
    for (number, field) in carrying.fields.iter_mut().enumerate() {
        field.carried = Some(number);
    }
    let seeds = [
        r#"{"A":1,"B":"text","J":5,"b":"\u0041","a":-0,"K":0}"#,
        "\u{feff}{\"A\":17,\"B\":\"é\",\"J\":-3}",
        r#"{"B":"","a":2147483648,"A":-2147483648,"J":999999999999999999,"b":12}"#,
        r#"{"b":"lower","B":null,"B":"upper","J":"5","A":07}"#,
    ];
    let (mut decoder, mut encoder) = (JSON.decoder(&plain).unwrap(), JSON.encoder(&plain).unwrap());
    let (mut carrier, mut copier) = (JSON.decoder(&carrying).unwrap(), JSON.encoder(&carrying).unwrap());
    let mut random = Random(7);
    let (mut copied, mut carried) = (0, Carried::default());
    for round in 0..20_000 {
        let seed = SEEDS.iter().chain(&seeds).nth(round % (SEEDS.len() + seeds.len())).map_or("", |seed| seed);
        let payload = if round < 100 { seed.as_bytes().to_vec() } else { mutate(seed.as_bytes(), &mut random) };
        let (mut expected_row, mut row) = (vec![Value::Null; types.len()], vec![Value::Null; types.len()]);
        let expected = decoder.decode(&payload, &mut expected_row);
        let spans = carried.begin(types.len());
        let actual = carrier.decode_carrying(&payload, &mut row, spans);
        assert_eq!(actual, expected, "{}", payload.escape_ascii());
        if expected != Ok(true) {
            continue;
        }
        carried.keep(&payload);
        copied += (0..types.len()).filter(|number| carried.get(*number).is_some()).count();
        let (mut expected, mut actual) = (Vec::new(), Vec::new());
        encoder.encode(&expected_row, &mut expected).unwrap();
        copier.encode_carrying(&row, &carried, &mut actual).unwrap();
        assert_eq!(String::from_utf8_lossy(&actual), String::from_utf8_lossy(&expected), "{}", payload.escape_ascii());
    }
    assert!(copied > 1_000, "only {copied} values were copied");
}
