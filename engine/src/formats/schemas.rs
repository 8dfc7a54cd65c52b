//! What a format whose payloads have schemas can do with them, besides reading and writing records.

use super::LayoutSchemas;
use crate::plan::SchemaSpec;
use crate::registry::{Schema, SchemaId, SchemaKind};
use crate::types::{Column, SqlType};

/// How a schema is laid over columns.
#[derive(Debug, Clone, Default)]
pub struct SchemaShape<'a> {
    pub is_key: bool,
    /// A single column stands without a record around it.
    pub unwrapped: bool,
    /// Names of columns are those of the fields as they stand, instead of in upper case: the statement chose the schema by its
    /// id.
    pub keeps_case: bool,
    pub spec: Option<&'a SchemaSpec>,
}

impl SchemaShape<'_> {
    /// The name of the record or message, where one is set.
    pub fn full_name(&self) -> Option<&str> {
        self.spec.and_then(|spec| spec.full_name.as_deref())
    }
}

/// What a schema says of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inferred {
    /// A record: its fields are columns.
    Columns(Vec<Column>),
    /// A single value.
    Value(SqlType),
}

/// Schemas of a format: from columns and to columns.
pub trait SchemaSupport: Send + Sync {
    /// The language of its schemas; `None`: they are never registered (PROTOBUF_NOSR).
    fn kind(&self) -> Option<SchemaKind>;

    /// The schema that ksqlDB registers for columns.
    ///
    /// # Errors
    /// Columns that the format can't hold: a sentence for the user.
    fn schema_of(&self, columns: &[Column], shape: &SchemaShape<'_>) -> Result<Schema, String>;

    /// The columns that a registered schema declares, as ksqlDB infers them.
    ///
    /// # Errors
    /// The schema is not well formed, refers to what is not there, or has what no SQL type holds: a sentence for the user.
    fn columns_of(&self, schema: &Schema, shape: &SchemaShape<'_>) -> Result<Inferred, String>;
}

impl LayoutSchemas {
    /// The id and the schema to write with.
    ///
    /// # Errors
    /// None was registered for what is to be written.
    pub(super) fn write_schema(&self) -> Result<(SchemaId, &Schema), String> {
        self.spec.writes.as_ref().map(|writes| (writes.id, &writes.schema)).ok_or_else(|| "no schema is registered for it".to_owned())
    }
}
