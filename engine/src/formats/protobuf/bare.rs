//! PROTOBUF_NOSR: the message that its columns make, which nobody registers. A single value without a row around it is
//! Google's wrapper of it, or the message that stands for a decimal or a time.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

use super::parse::{message, parse};
use super::schema;
use crate::formats::Layout;
use crate::plan::NullRepresentation;
use crate::registry::{Schema, SchemaKind};
use crate::types::SqlType;

pub(super) enum Shape {
    Row(MessageDescriptor),
    Single { field: FieldDescriptor, sql_type: SqlType, slot: Option<usize> },
}

/// What a layout's payloads are.
///
/// # Errors
/// The columns can't be held: a sentence for the user.
pub(super) fn shape(layout: &Layout) -> Result<Shape, String> {
    let nulls = layout.schemas.as_ref().and_then(|schemas| schemas.spec.nulls);
    match layout.fields.as_slice() {
        [only] if layout.unwrapped => {
            let sql_type = &only.column.sql_type;
            check_single(sql_type)?;
            // Within a struct nulls are as they are chosen; a value that stands alone is always wrapped.
            let nulls = if matches!(sql_type, SqlType::Struct(_)) { nulls } else { Some(NullRepresentation::Wrapper) };
            let row = row([("VALUE", sql_type)], nulls)?;
            let field = row.fields().next().ok_or("PROTOBUF_NOSR made a message without a field")?;
            Ok(Shape::Single { field, sql_type: sql_type.clone(), slot: only.slot })
        }
        fields => Ok(Shape::Row(row(fields.iter().map(|field| (&*field.column.name, &field.column.sql_type)), nulls)?)),
    }
}

/// Whether a value can stand without a row around it.
pub(super) fn check_single(sql_type: &SqlType) -> Result<(), String> {
    match sql_type {
        SqlType::Array(_) | SqlType::Map(..) => Err(format!("Unsupported root schema of type {}", sql_type.base_name())),
        _ => Ok(()),
    }
}

fn row<'c>(
    columns: impl IntoIterator<Item = (&'c str, &'c SqlType)>,
    nulls: Option<NullRepresentation>,
) -> Result<MessageDescriptor, String> {
    let text = schema::of_columns(columns, None, nulls)?;
    message(&parse(&Schema::new(SchemaKind::Protobuf, text))?, None).ok_or_else(|| "PROTOBUF_NOSR made no message".to_owned())
}
