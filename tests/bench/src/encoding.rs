//! The formats that bids come in, and the numbers of an output in each: read here by hand, so that nothing that is measured
//! checks itself.

use crate::check::{Check, big_endian, number};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    Avro,
    Protobuf,
}

/// A column of an output.
#[derive(Clone, Copy)]
enum Kind {
    Long,
    Decimal,
    Text,
}

/// The columns of q1's output and of q2's.
const CONVERTED: &[(&str, Kind)] = &[
    ("AUCTION", Kind::Long),
    ("BIDDER", Kind::Long),
    ("PRICE", Kind::Decimal),
    ("CHANNEL", Kind::Text),
    ("URL", Kind::Text),
    ("DATE_TIME", Kind::Long),
    ("EXTRA", Kind::Text),
];
const FILTERED: &[(&str, Kind)] = &[("AUCTION", Kind::Long), ("PRICE", Kind::Long)];

/// The magic byte and the id of the schema.
const HEADER_BYTES: usize = 5;

impl Encoding {
    /// As in VALUE_FORMAT.
    pub fn format(self) -> &'static str {
        match self {
            Encoding::Json => "JSON",
            Encoding::Avro => "AVRO",
            Encoding::Protobuf => "PROTOBUF",
        }
    }

    /// The stream of bids in this format, and its topic.
    pub fn bids(self) -> &'static str {
        match self {
            Encoding::Json => "bids",
            Encoding::Avro => "bids_avro",
            Encoding::Protobuf => "bids_protobuf",
        }
    }

    /// The number in a column of an output; a decimal's point is left out.
    ///
    /// # Errors
    /// It is not there.
    pub fn number(self, check: Check, value: &[u8], name: &str) -> Result<u64, String> {
        let columns = if check == Check::Converted { CONVERTED } else { FILTERED };
        let found = match self {
            Encoding::Json => return number(value, name),
            Encoding::Avro => avro(columns, value, name),
            Encoding::Protobuf => protobuf(columns, value, name),
        };
        found.ok_or_else(|| format!("no number {name} in a record of {} bytes", value.len()))
    }
}

/// Fields in their order, each a union of null and its type.
fn avro(columns: &[(&str, Kind)], value: &[u8], name: &str) -> Option<u64> {
    let mut rest = value.get(HEADER_BYTES..)?;
    for (column, kind) in columns {
        if varint(&mut rest)? != 2 {
            return None;
        }
        let number = varint(&mut rest)?;
        let found = match kind {
            Kind::Long => number >> 1,
            Kind::Decimal | Kind::Text => big_endian(split(&mut rest, number >> 1)?),
        };
        if *column == name {
            return Some(found);
        }
    }
    None
}

/// Fields by their numbers, which are those of the columns; a decimal is a message whose first field is its bytes.
fn protobuf(columns: &[(&str, Kind)], value: &[u8], name: &str) -> Option<u64> {
    // Behind the id stands which message it is: the first.
    let mut rest = value.get(HEADER_BYTES + 1..)?;
    while !rest.is_empty() {
        let (tag, number) = (varint(&mut rest)?, varint(&mut rest)?);
        let bytes = if tag & 7 == 2 { split(&mut rest, number)? } else { &[] };
        let (column, kind) = columns.get(usize::try_from(tag >> 3).ok()?.checked_sub(1)?)?;
        if *column != name {
            continue;
        }
        return match kind {
            Kind::Long => Some(number),
            Kind::Text => None,
            Kind::Decimal => {
                let mut inner = bytes;
                let (_, length) = (varint(&mut inner)?, varint(&mut inner)?);
                Some(big_endian(split(&mut inner, length)?))
            }
        };
    }
    None
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(rest: &mut &'a [u8], count: u64) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(usize::try_from(count).ok()?)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_outputs() {
        // Auction 300, bidder 2, price 65.535 and texts of two bytes; then a time.
        let avro = [&[0, 0, 0, 0, 1, 2, 0xd8, 4, 2, 4, 2, 4, 0xff, 0xff][..], &[2, 4, b'a', b'b'].repeat(2), &[2, 14, 2, 0]].concat();
        let decimal = [10, 2, 0xff, 0xff, 16, 4];
        let proto = [&[0, 0, 0, 0, 1, 0, 8, 0xac, 2, 16, 2, 26, 6][..], &decimal, &[34, 2, b'a', b'b', 48, 7]].concat();
        for (encoding, value) in [(Encoding::Avro, avro), (Encoding::Protobuf, proto)] {
            let of = |name| encoding.number(Check::Converted, &value, name);
            assert_eq!((of("AUCTION"), of("BIDDER"), of("PRICE"), of("DATE_TIME")), (Ok(300), Ok(2), Ok(65_535), Ok(7)));
            assert!(encoding.number(Check::Converted, &value[..9], "DATE_TIME").is_err());
        }
    }
}
