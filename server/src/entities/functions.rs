//! Functions: SHOW FUNCTIONS and DESCRIBE FUNCTION.

use serde::Serialize;

use super::Common;

#[derive(Debug, Clone, Serialize)]
pub struct FunctionName {
    pub name: &'static str,
    /// `SCALAR`, `AGGREGATE` or `TABLE`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub category: &'static str,
}

#[derive(Debug, Clone, Serialize)]
pub struct FunctionNames {
    pub functions: Vec<FunctionName>,
    #[serde(flatten)]
    pub common: Common,
}

#[derive(Debug, Clone, Serialize)]
pub struct DescribeFunction {
    pub name: &'static str,
    pub description: &'static str,
    pub author: &'static str,
    pub version: &'static str,
    /// Where it was loaded from; always `internal`.
    pub path: &'static str,
    pub functions: Vec<Signature>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(flatten)]
    pub common: Common,
}

/// One way of calling a function.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    pub arguments: Vec<Argument>,
    pub return_type: String,
    pub description: &'static str,
    pub argument_types: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    pub name: String,
    #[serde(rename = "type")]
    pub argument_type: String,
    pub description: &'static str,
    pub is_variadic: bool,
}
