//! Tests of analysis: scripts run against a catalog, and what comes out is compared.

mod ddl;
mod inserts;
mod plans;
mod pulls;
mod queries;
pub(crate) mod world;
