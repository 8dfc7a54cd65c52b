//! The decoder: a JSON object into the slots of a row.
//!
//! Producers write the members of their objects in the same order again and again. So the decoder remembers each name
//! that it has seen, byte for byte and with its quotes, what became of it, and which name came next. A name that comes as
//! foreseen costs one comparison, whether somebody reads it or not, and however its letters are cased.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::dialect::{DecimalTexts, Dialect};
use super::scan::{COMMA_IN_OBJECT, Fault, QuotedName, Scanned, Scanner};
use super::value::{read_value, spelled, to_int, wrong_shape};
use crate::formats::warnings::warn;
use crate::formats::{DecodeError, Decoder, Field, Layout, Span};
use crate::types::{SqlType, Value};

/// Names that a decoder remembers. Objects whose names are data (of which few are columns) would fill it for nothing.
const MAX_KNOWN_NAMES: usize = 1024;

pub(in crate::formats) struct JsonDecoder {
    dialect: Dialect,
    /// The last payload had a text for a DECIMAL of which it is undecided what it means.
    met_undecided: bool,
    /// The columns that somebody reads.
    wanted: Vec<Wanted>,
    /// The only column stands without an object around it; it may be one that nobody reads.
    unwrapped: Option<SqlType>,
    is_key: bool,
    /// All columns, for error texts.
    shape: String,
    known: Vec<Name>,
    by_text: HashMap<Box<[u8]>, usize, FixedState>,
    /// Index into `known` of the name that the last object began with.
    first: usize,
    /// One bit for each wanted column: in this object a member of exactly its name was there. The first 64 bits stand
    /// apart, for most schemas need no more.
    exact: u64,
    exact_more: Vec<u64>,
}

struct Wanted {
    name: String,
    sql_type: SqlType,
    slot: usize,
    carried: Option<usize>,
    decimals: DecimalTexts,
    /// A number beyond the column's type was told of.
    warned: bool,
}

impl Wanted {
    /// Tells of the first number that was cut to the column's type, and of no other.
    #[cold]
    fn warn_of_wrapping(&mut self) {
        if !std::mem::replace(&mut self.warned, true) {
            let Wanted { name, sql_type, .. } = self;
            warn(format!(
                "Column `{name}` ({sql_type}): a number is beyond its type and was cut to it, as in ksqlDB. Further ones of this column \
                 are not told of. A wider type (BIGINT, DECIMAL) takes them whole."
            ));
        }
    }
}

/// A name as it stands in the payload, quotes and escapes included.
struct Name {
    text: QuotedName,
    meaning: Option<Meaning>,
    /// Index into `known` of the name that came behind it the last time.
    next: usize,
}

/// Which wanted column a name stands for.
#[derive(Clone, Copy)]
struct Meaning {
    column: usize,
    /// The column's own name, not just one that is the same in upper case.
    is_exact: bool,
}

impl JsonDecoder {
    pub(in crate::formats) fn new(layout: &Layout, dialect: Dialect) -> Self {
        let wanted: Vec<Wanted> = layout
            .fields
            .iter()
            .filter_map(|field| {
                let Field { column, slot, carried } = field;
                Some(Wanted {
                    name: column.name.clone(),
                    sql_type: column.sql_type.clone(),
                    slot: (*slot)?,
                    carried: *carried,
                    decimals: dialect.decimals,
                    warned: false,
                })
            })
            .collect();
        let unwrapped = match layout.fields.as_slice() {
            [only] if layout.unwrapped => Some(only.column.sql_type.clone()),
            _ => None,
        };
        let columns = layout.fields.iter().map(|field| (field.column.name.clone(), field.column.sql_type.clone()));
        JsonDecoder {
            dialect,
            met_undecided: false,
            exact: 0,
            exact_more: vec![0; wanted.len().saturating_sub(1) / 64],
            wanted,
            unwrapped,
            is_key: layout.is_key,
            shape: spelled(&SqlType::structure(columns)),
            known: Vec::new(),
            by_text: HashMap::default(),
            first: 0,
        }
    }

    /// Says, for each column that is read, what a text means where a DECIMAL should stand.
    pub(in crate::formats) fn set_decimals(&mut self, meaning: impl Fn(&str, &SqlType) -> DecimalTexts) {
        for column in &mut self.wanted {
            column.decimals = meaning(&column.name, &column.sql_type);
        }
    }

    /// Whether the last payload failed for want of a decision what a DECIMAL's text means.
    pub(in crate::formats) fn take_undecided(&mut self) -> bool {
        std::mem::take(&mut self.met_undecided)
    }

    /// A bare value for the only column.
    fn decode_unwrapped(&mut self, scanner: &mut Scanner<'_>, row: &mut [Value]) -> Scanned<bool> {
        let Some(sql_type) = &self.unwrapped else { return Ok(false) };
        scanner.set_decimals(self.wanted.first().map(|only| only.decimals).unwrap_or_default());
        let value = read_value(scanner, sql_type)?;
        scanner.end_of_root()?;
        let has_value = !(self.is_key && value.is_null());
        if let Some(only) = self.wanted.first_mut() {
            if scanner.take_wrapped() {
                only.warn_of_wrapping();
            }
            if let Some(place) = row.get_mut(only.slot) {
                *place = value;
            }
        }
        Ok(has_value)
    }

    fn decode_object(&mut self, scanner: &mut Scanner<'_>, row: &mut [Value], spans: &mut [Span]) -> Scanned<()> {
        self.exact = 0;
        if !self.exact_more.is_empty() {
            self.exact_more.fill(0);
        }
        for column in &self.wanted {
            // Rows mostly come with nulls.
            if let Some(place) = row.get_mut(column.slot).filter(|place| !place.is_null()) {
                *place = Value::Null;
            }
        }
        scanner.skip_blanks();
        if scanner.take_byte(b'}') {
            return Ok(());
        }
        let mut foreseen = self.first;
        let mut previous = None;
        loop {
            let meaning = match self.known.get(foreseen) {
                Some(name) if scanner.take_name(&name.text) => {
                    previous = Some(foreseen);
                    foreseen = name.next;
                    name.meaning
                }
                _ => {
                    let (meaning, index) = self.look_up(scanner)?;
                    if let Some(index) = index {
                        match previous.and_then(|previous| self.known.get_mut(previous)) {
                            Some(name) => name.next = index,
                            None => self.first = index,
                        }
                        foreseen = self.known.get(index).map_or(0, |name| name.next);
                    }
                    previous = index;
                    meaning
                }
            };
            scanner.colon()?;
            match meaning {
                Some(meaning) => self.decode_member(scanner, meaning, row, spans)?,
                None => scanner.skip_value()?,
            }
            scanner.skip_blanks();
            if scanner.take_byte(b',') {
                scanner.skip_blanks();
            } else if scanner.take_byte(b'}') {
                return Ok(());
            } else {
                return Err(scanner.unexpected(COMMA_IN_OBJECT));
            }
        }
    }

    #[inline]
    fn decode_member(&mut self, scanner: &mut Scanner<'_>, meaning: Meaning, row: &mut [Value], spans: &mut [Span]) -> Scanned<()> {
        let Some(column) = self.wanted.get(meaning.column) else { return scanner.skip_value() };
        let span = column.carried.and_then(|index| spans.get_mut(index));
        let found = if span.is_some() { scanner.verbatim(&column.sql_type) } else { None };
        let value = match column.sql_type {
            _ if found.is_some() => Some(Value::Null),
            SqlType::BigInt => scanner.short_integer().map(Value::BigInt),
            SqlType::Int => scanner.short_integer().map(|value| Value::Int(to_int(scanner, value))),
            _ => None,
        };
        let value = match value {
            Some(value) => value,
            None => {
                scanner.set_decimals(column.decimals);
                read_value(scanner, &column.sql_type).map_err(|fault| fault.within(|| format!(".{}", column.name)))?
            }
        };
        let wrapped = scanner.take_wrapped();
        // A member of exactly the column's name wins over others, wherever it stands; else the last one does.
        let word = match meaning.column / 64 {
            0 => Some(&mut self.exact),
            more => self.exact_more.get_mut(more - 1),
        };
        if let Some(word) = word {
            let bit = 1 << (meaning.column % 64);
            if meaning.is_exact {
                *word |= bit;
            } else if *word & bit != 0 {
                return Ok(());
            }
        }
        if let Some(span) = span {
            *span = found.unwrap_or_default();
        }
        if let Some(place) = row.get_mut(column.slot) {
            *place = value;
        }
        if wrapped && let Some(column) = self.wanted.get_mut(meaning.column) {
            column.warn_of_wrapping();
        }
        Ok(())
    }

    /// The meaning of the name that begins here, and its index where it is remembered.
    #[cold]
    fn look_up(&mut self, scanner: &mut Scanner<'_>) -> Scanned<(Option<Meaning>, Option<usize>)> {
        let start = scanner.position();
        let name = scanner.text()?;
        let text = scanner.since(start);
        if let Some(index) = self.by_text.get(text) {
            return Ok((self.known.get(*index).and_then(|name| name.meaning), Some(*index)));
        }
        let exact = self.wanted.iter().position(|column| column.name == name);
        let meaning = match exact {
            Some(column) => Some(Meaning { column, is_exact: true }),
            None => {
                let upper = name.to_uppercase();
                self.wanted.iter().position(|column| column.name == upper).map(|column| Meaning { column, is_exact: false })
            }
        };
        if self.known.len() >= MAX_KNOWN_NAMES {
            return Ok((meaning, None));
        }
        let index = self.known.len();
        self.known.push(Name { text: QuotedName::new(text), meaning, next: index + 1 });
        self.by_text.insert(text.into(), index);
        Ok((meaning, Some(index)))
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payload: &[u8], row: &mut [Value]) -> Result<bool, DecodeError> {
        self.decode_carrying(payload, row, &mut [])
    }

    fn decode_carrying(&mut self, payload: &[u8], row: &mut [Value], spans: &mut [Span]) -> Result<bool, DecodeError> {
        let mut scanner = Scanner::new(payload).with(self.dialect);
        if self.unwrapped.is_some() {
            let decoded = self.decode_unwrapped(&mut scanner, row);
            self.met_undecided = scanner.met_undecided();
            return Ok(decoded?);
        }
        if scanner.take_byte(b'{') {
            // Spans count from the payload's first byte; a byte order mark before it is too rare to be counted.
            let spans = if scanner.length() == payload.len() { spans } else { &mut [] };
            let decoded = self.decode_object(&mut scanner, row, spans);
            self.met_undecided = scanner.met_undecided();
            decoded?;
            return Ok(true);
        }
        let fault: Box<Fault> = match scanner.peek() {
            b'n' => match scanner.literal("null").and_then(|()| scanner.end_of_root()) {
                Ok(()) => return Ok(false),
                Err(fault) => fault,
            },
            _ => wrong_shape(&scanner, &self.shape),
        };
        Err(fault.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::JSON;
    use super::*;
    use crate::formats::Format;
    use crate::types::Column;

    /// A decoder of columns A INT, B STRING, `c` BIGINT (each with its slot or none) and a row for it.
    fn decoder(slots: [Option<usize>; 3], unwrapped: bool) -> (Box<dyn Decoder>, Vec<Value>) {
        let columns = [("A", SqlType::Int), ("B", SqlType::String), ("c", SqlType::BigInt)];
        let fields = columns.into_iter().zip(slots).map(|((name, sql_type), slot)| Field::new(Column::new(name, sql_type), slot));
        let fields: Vec<Field> = if unwrapped { fields.take(1).collect() } else { fields.collect() };
        let layout = Layout { fields, unwrapped, is_key: false, delimiter: None, schemas: None };
        (JSON.decoder(&layout).unwrap(), vec![Value::Null; 3])
    }

    fn row(a: Option<i32>, b: Option<&str>, c: Option<i64>) -> Vec<Value> {
        vec![a.map_or(Value::Null, Value::Int), b.map_or(Value::Null, Value::string), c.map_or(Value::Null, Value::BigInt)]
    }

    #[test]
    fn members_in_any_order_and_case() {
        let (mut decoder, mut slots) = decoder([Some(0), Some(1), Some(2)], false);
        // Twice, so that the second time the names are known.
        for _ in 0..2 {
            for (json, expected) in [
                (r#"{"A":1,"B":"x","c":3}"#, row(Some(1), Some("x"), Some(3))),
                (r#" { "c" : 3 , "A" : 1 } "#, row(Some(1), None, Some(3))),
                (r#"{"a":1,"b":"x","C":3}"#, row(Some(1), Some("x"), None)),
                (r#"{"A":1,"a":2}"#, row(Some(1), None, None)),
                (r#"{"a":2,"A":1}"#, row(Some(1), None, None)),
                (r#"{"a":2,"a":3}"#, row(Some(3), None, None)),
                (r#"{"\u0041":5,"x\"y":{}}"#, row(Some(5), None, None)),
                (r#"{"other":[{"A":9}],"A":7,"A2":8}"#, row(Some(7), None, None)),
                (r#"{"A":null,"B":{"q":1}}"#, row(None, Some("{\"q\":1}"), None)),
                ("{}", row(None, None, None)),
                ("\u{feff}{\"A\":1}trailing", row(Some(1), None, None)),
            ] {
                assert_eq!(decoder.decode(json.as_bytes(), &mut slots), Ok(true), "{json}");
                assert_eq!(slots, expected, "{json}");
            }
        }
    }

    #[test]
    fn only_wanted_columns_are_written_and_the_rest_is_checked() {
        let (mut decoder, mut slots) = decoder([None, Some(1), None], false);
        slots[0] = Value::Int(42);
        decoder.decode(br#"{"A":"not a number","B":"x","c":[1]}"#, &mut slots).unwrap();
        assert_eq!(slots, vec![Value::Int(42), Value::string("x"), Value::Null]);
        for broken in [r#"{"A":,"B":"x"}"#, r#"{"A":1,"B":"x""#, r#"{"A":tru,"B":"x"}"#, r#"{"A" 1}"#, r#"{"A":1 "B":"x"}"#] {
            assert!(decoder.decode(broken.as_bytes(), &mut slots).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_is_no_object() {
        let (mut decoder, mut slots) = decoder([Some(0), Some(1), Some(2)], false);
        assert_eq!(decoder.decode(b"null", &mut slots), Ok(false));
        for (payload, reason) in [
            (
                &b"not json"[..],
                "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
            (b"[1,2]", "Can't convert type. sourceType: ArrayNode, requiredType: STRUCT<A INT, B VARCHAR, c BIGINT>, path: $"),
            (b"17", "sourceType: IntNode"),
            (b"\"text\"", "sourceType: TextNode"),
            (b"{\"A\":\"text\"}", "Can't coerce string to type. targetType: INTEGER, path: $.A"),
            (b"nullx", "Unrecognized token"),
            (b"", "end-of-input"),
        ] {
            let error = decoder.decode(payload, &mut slots).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn bare_values() {
        let (mut decoder, mut slots) = decoder([Some(0), None, None], true);
        for (json, expected) in [("10", Value::Int(10)), (" \"7\" ", Value::Int(7)), ("null", Value::Null)] {
            assert_eq!(decoder.decode(json.as_bytes(), &mut slots), Ok(true));
            assert_eq!(slots[0], expected);
        }
        for broken in ["10x", "{}", "1 2 3x", "tru", ""] {
            assert_eq!(decoder.decode(broken.as_bytes(), &mut slots).is_ok(), broken == "1 2 3x", "{broken}");
        }
    }

    #[test]
    fn the_first_number_beyond_its_type_is_told_of() {
        use crate::formats::take_warnings;
        take_warnings();
        let (mut decoder, mut slots) = decoder([Some(0), Some(1), Some(2)], false);
        let mut told = |json: &str| {
            decoder.decode(json.as_bytes(), &mut slots).unwrap();
            (slots.clone(), take_warnings())
        };
        assert_eq!(told(r#"{"A":2147483647,"c":-9223372036854775808}"#).1, Vec::<String>::new());
        let (row, warnings) = told(r#"{"A":3000000000,"c":1}"#);
        assert_eq!(row[0], Value::Int(-1_294_967_296));
        assert!(matches!(warnings.as_slice(), [only] if only.contains("Column `A` (INTEGER)")), "{warnings:?}");
        let (row, warnings) = told(r#"{"A":3000000000,"c":9223372036854775808}"#);
        assert_eq!(row[2], Value::BigInt(i64::MIN));
        assert!(matches!(warnings.as_slice(), [only] if only.contains("Column `c` (BIGINT)")), "{warnings:?}");
        assert_eq!(told(r#"{"A":-3000000000,"c":1e30}"#).1, Vec::<String>::new());
        let array = Field::new(Column::new("L", SqlType::array(SqlType::Int)), Some(0));
        let layout = Layout { fields: vec![array], unwrapped: true, is_key: false, delimiter: None, schemas: None };
        JSON.decoder(&layout).unwrap().decode(b"[1,3000000000]", &mut slots).unwrap();
        assert!(take_warnings().iter().any(|w| w.contains("Column `L` (ARRAY<INTEGER>)")));
    }

    #[test]
    fn exact_names_win_in_wide_schemas() {
        for width in [1usize, 64, 65, 200] {
            let fields = (0..width).map(|i| Field::new(Column::new(format!("C{i}"), SqlType::Int), Some(i)));
            let layout = Layout { fields: fields.collect(), unwrapped: false, is_key: false, delimiter: None, schemas: None };
            let mut row = vec![Value::Null; width];
            let last = width - 1;
            let json = format!("{{\"C{last}\":1,\"c{last}\":2}}");
            JSON.decoder(&layout).unwrap().decode(json.as_bytes(), &mut row).unwrap();
            assert_eq!(row[last], Value::Int(1));
        }
    }

    #[test]
    fn names_past_the_limit_are_still_read() {
        let (mut decoder, mut slots) = decoder([Some(0), None, None], false);
        let many: Vec<String> = (0..MAX_KNOWN_NAMES * 2).map(|i| format!("\"n{i}\":{i}")).collect();
        let json = format!("{{{},\"a\":5}}", many.join(","));
        for _ in 0..2 {
            slots[0] = Value::Null;
            decoder.decode(json.as_bytes(), &mut slots).unwrap();
            assert_eq!(slots[0], Value::Int(5));
        }
    }
}
