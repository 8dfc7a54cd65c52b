//! The columns of a layout, as plans are compiled for them.

use crate::formats::{Field, Layout};
use crate::types::SqlType;

/// A column, or a field of a struct, that is read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'c> {
    pub name: &'c str,
    pub sql_type: &'c SqlType,
    /// `None`: nobody reads it, but its type is checked.
    pub slot: Option<usize>,
    /// The number under which it may be carried.
    pub carried: Option<usize>,
}

/// A column, or a field of a struct, that is written.
#[derive(Debug, Clone, Copy)]
pub struct Source<'c> {
    pub name: &'c str,
    pub sql_type: &'c SqlType,
    /// Of the row, or of the struct.
    pub slot: usize,
    /// The number under which it may be carried.
    pub carried: Option<usize>,
}

/// The columns that are read.
pub fn wanted<'f>(fields: &'f [Field]) -> Vec<Wanted<'f>> {
    let of_field = |Field { column, slot, carried }: &'f Field| Wanted {
        name: &column.name,
        sql_type: &column.sql_type,
        slot: *slot,
        carried: *carried,
    };
    fields.iter().map(of_field).collect()
}

/// The columns that are written.
///
/// # Errors
/// One has no slot.
pub fn sources<'f>(fields: &'f [Field]) -> Result<Vec<Source<'f>>, String> {
    let of_field = |Field { column, slot, carried }: &'f Field| match slot {
        Some(slot) => Ok(Source { name: &column.name, sql_type: &column.sql_type, slot: *slot, carried: *carried }),
        None => Err("a column to write has no slot".to_owned()),
    };
    fields.iter().map(of_field).collect()
}

/// The only column of an unwrapped layout.
pub fn only_column(layout: &Layout) -> Option<&SqlType> {
    match layout.fields.as_slice() {
        [only] if layout.unwrapped => Some(&only.column.sql_type),
        _ => None,
    }
}
