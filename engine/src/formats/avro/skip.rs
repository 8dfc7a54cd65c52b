//! Passing over values that nobody reads.

use super::cursor::{Cursor, Read};

/// How far a value reaches.
#[derive(Debug, Clone)]
pub(super) enum Skip {
    /// So many bytes; of a null, none.
    Bytes(usize),
    /// An int or a long.
    Number,
    /// Bytes or a string, behind their length.
    Sized,
    /// The items of an array, one after another.
    Array(Box<Skip>),
    /// The values of a map, each behind its key.
    Map(Box<Skip>),
    /// Fields, one after another.
    Record(Box<[Skip]>),
    /// One of these, behind its index.
    Union(Box<[Skip]>),
}

impl Skip {
    /// Fields as one step: neighbours of fixed size are passed over together.
    pub fn record(fields: impl IntoIterator<Item = Skip>) -> Skip {
        let mut joined: Vec<Skip> = Vec::new();
        for field in fields {
            match (joined.last_mut(), field) {
                (Some(Skip::Bytes(before)), Skip::Bytes(more)) => *before = before.saturating_add(more),
                (_, field) => joined.push(field),
            }
        }
        match joined.len() {
            1 => joined.remove(0),
            _ => Skip::Record(joined.into()),
        }
    }

    #[inline]
    pub fn run(&self, cursor: &mut Cursor<'_>) -> Read<()> {
        match self {
            Skip::Bytes(0) => Ok(()),
            Skip::Bytes(count) => cursor.take(*count).map(drop),
            Skip::Number => cursor.long().map(drop),
            Skip::Sized => cursor.bytes().map(drop),
            Skip::Array(item) => cursor.skip_blocks(|cursor| item.run(cursor)),
            Skip::Map(value) => cursor.skip_blocks(|cursor| {
                cursor.bytes()?;
                value.run(cursor)
            }),
            Skip::Record(fields) => fields.iter().try_for_each(|field| field.run(cursor)),
            Skip::Union(branches) => {
                let index = cursor.index(branches.len())?;
                branches.get(index).map_or(Ok(()), |branch| branch.run(cursor))
            }
        }
    }
}
