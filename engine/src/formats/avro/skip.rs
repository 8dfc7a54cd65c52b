//! Passing over values that nobody reads.

use super::cursor::{Cursor, Read};

/// How far a value reaches.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Skip {
    /// So many bytes; of a null, none.
    Bytes(usize),
    /// An int or a long.
    Number,
    /// Bytes or a string, behind their length.
    Sized,
    /// A string that must be one.
    Text,
    /// A boolean that must be one.
    Boolean,
    /// A number that must be one of 32 bits.
    Int,
    /// The items of an array, one after another, by whole blocks where their sizes are stated.
    Array(Box<Skip>),
    /// The items of an array, each of them.
    Items(Box<Skip>),
    /// The values of a map, each behind its key.
    Map(Box<Skip>),
    /// Fields, one after another.
    Record(Box<[Skip]>),
    /// Null, or this behind the byte `some`.
    Nullable { some: u8, value: Box<Skip> },
    /// One of these, behind its index.
    Union(Box<[Skip]>),
    /// A record that contains itself: the cursor knows it under this number.
    Again(usize),
}

impl Skip {
    /// Fields as one step: neighbours of fixed size are passed over together.
    pub fn record(fields: impl IntoIterator<Item = Skip>) -> Skip {
        let mut joined: Vec<Skip> = Vec::new();
        for field in fields {
            match (joined.last_mut(), field) {
                (_, Skip::Bytes(0)) => {}
                (Some(Skip::Bytes(before)), Skip::Bytes(more)) => *before = before.saturating_add(more),
                (_, Skip::Record(fields)) => joined.extend(fields),
                (_, field) => joined.push(field),
            }
        }
        match joined.len() {
            0 => Skip::Bytes(0),
            1 => joined.remove(0),
            _ => Skip::Record(joined.into()),
        }
    }

    #[inline]
    pub fn run(&self, cursor: &mut Cursor<'_>) -> Read<()> {
        match self {
            Skip::Nullable { some, value } => {
                if cursor.is_some(*some)? {
                    value.run_value(cursor)?;
                }
                Ok(())
            }
            Skip::Record(fields) => fields.iter().try_for_each(|field| field.run_value(cursor)),
            _ => self.run_value(cursor),
        }
    }

    fn run_value(&self, cursor: &mut Cursor<'_>) -> Read<()> {
        match self {
            Skip::Sized => cursor.bytes().map(drop),
            Skip::Number => cursor.long().map(drop),
            Skip::Bytes(count) => cursor.take(*count).map(drop),
            Skip::Nullable { some, value } => {
                if cursor.is_some(*some)? {
                    value.run_value(cursor)?;
                }
                Ok(())
            }
            Skip::Text => cursor.pass_text(),
            Skip::Boolean => cursor.boolean().map(drop),
            Skip::Int => cursor.int().map(drop),
            Skip::Array(item) => cursor.skip_blocks(|cursor| item.run_value(cursor)),
            Skip::Items(item) => cursor.blocks(|cursor| item.run_value(cursor)),
            Skip::Map(value) => cursor.skip_blocks(|cursor| {
                cursor.bytes()?;
                value.run_value(cursor)
            }),
            Skip::Record(fields) => fields.iter().try_for_each(|field| field.run_value(cursor)),
            Skip::Union(branches) => {
                let index = cursor.index(branches.len())?;
                branches.get(index).map_or(Ok(()), |branch| branch.run_value(cursor))
            }
            Skip::Again(index) => cursor.again(*index),
        }
    }
}
