//! Tests of analysis: scripts run against a catalog, and what comes out is compared.

mod ddl;
mod inserts;
mod plans;
mod pulls;
mod queries;
mod schemas;
pub(crate) mod world;
