//! What there is: streams and tables with their columns and keys, and what the server is, in the batches that the protocol asks for.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::Result as Encoded;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, SqlInfo,
    SqlSupportedTransaction,
};
use tidemill_engine::catalog::{Catalog, Source, SourceKind};
use tidemill_query::arrow_type;

/// The names that everything is in.
const CATALOG: &str = "tidemill";
const SCHEMA: &str = "public";
/// What there is.
const TABLE_TYPES: [&str; 2] = ["STREAM", "TABLE"];

pub fn catalogs(command: CommandGetCatalogs) -> Encoded<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(CATALOG);
    builder.build()
}

pub fn schemas(command: CommandGetDbSchemas) -> Encoded<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(CATALOG, SCHEMA);
    builder.build()
}

pub fn tables(command: CommandGetTables, catalog: &Catalog) -> Encoded<RecordBatch> {
    let mut builder = command.into_builder();
    for source in catalog.sources() {
        let [stream, table] = TABLE_TYPES;
        let kind = if source.kind == SourceKind::Table { table } else { stream };
        builder.append(CATALOG, SCHEMA, &source.name, kind, &schema_of(source))?;
    }
    builder.build()
}

fn schema_of(source: &Source) -> Schema {
    let field = |column: &tidemill_engine::types::Column| {
        let is_required = source.kind == SourceKind::Table && source.schema.is_key(&column.name);
        Field::new(&*column.name, arrow_type(&column.sql_type), !is_required)
    };
    Schema::new(source.schema.columns().map(field).collect::<Vec<_>>())
}

pub fn keys_schema() -> SchemaRef {
    let text = |name: &str, nullable: bool| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// The key of a table; a stream's key tells no rows apart.
pub fn primary_keys(command: &CommandGetPrimaryKeys, catalog: &Catalog) -> Encoded<RecordBatch> {
    let is_here =
        command.catalog.as_deref().is_none_or(|name| name == CATALOG) && command.db_schema.as_deref().is_none_or(|name| name == SCHEMA);
    let source = catalog.source(&command.table).filter(|source| is_here && source.kind == SourceKind::Table);
    let names: Vec<&str> = source.iter().flat_map(|source| source.schema.key.iter()).map(|column| column.name.as_str()).collect();
    let all = |value: &str| Arc::new(StringArray::from(vec![value; names.len()])) as ArrayRef;
    let numbers = Int32Array::from_iter_values((1..).take(names.len()));
    let columns: Vec<ArrayRef> = vec![
        all(CATALOG),
        all(SCHEMA),
        all(&command.table),
        Arc::new(StringArray::from(names.clone())),
        Arc::new(StringArray::new_null(names.len())),
        Arc::new(numbers),
    ];
    Ok(RecordBatch::try_new(keys_schema(), columns)?)
}

pub fn table_types(command: CommandGetTableTypes) -> Encoded<RecordBatch> {
    let mut builder = command.into_builder();
    TABLE_TYPES.iter().for_each(|kind| builder.append(kind));
    builder.build()
}

pub fn info(command: CommandGetSqlInfo) -> Encoded<RecordBatch> {
    command.into_builder(&known()?).build()
}

/// What the server is.
fn known() -> Encoded<SqlInfoData> {
    let mut builder = SqlInfoDataBuilder::new();
    builder.append(SqlInfo::FlightSqlServerName, "Tidemill");
    builder.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    builder.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    builder.append(SqlInfo::FlightSqlServerReadOnly, false);
    builder.append(SqlInfo::FlightSqlServerSql, true);
    builder.append(SqlInfo::FlightSqlServerSubstrait, false);
    builder.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    builder.append(SqlInfo::FlightSqlServerCancel, false);
    builder.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    builder.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    builder.append(SqlInfo::SqlDdlCatalog, false);
    builder.append(SqlInfo::SqlDdlSchema, false);
    builder.append(SqlInfo::SqlDdlTable, true);
    builder.append(SqlInfo::SqlIdentifierQuoteChar, "`");
    builder.build()
}
