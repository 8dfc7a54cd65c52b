//! Types of expressions, and the words that errors in them begin with.

use std::collections::BTreeMap;

use tidemill_parser::ast::{Expr, ExprKind};

use super::error::Problem;
use super::scope::Scope;
use crate::expr;
use crate::functions::{Aggregator, aggregate, registry, table};
use crate::plan::Step;
use crate::types::{Column, Schema, SqlType};

/// Where an expression stands, as far as messages tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Select,
    Where,
    /// The bounds of BETWEEN in the WHERE of a pull query, which ksqlDB looks at later than at all else.
    Between,
    Having,
    GroupBy,
    PartitionBy,
    JoinOn,
}

impl Place {
    pub fn clause_name(self) -> &'static str {
        match self {
            Place::Select => "SELECT",
            Place::Where | Place::Between => "WHERE",
            Place::Having => "HAVING",
            Place::GroupBy => "GROUP BY",
            Place::PartitionBy => "PARTITION BY",
            Place::JoinOn => "JOIN ON",
        }
    }

    /// What ksqlDB writes before an error of this phase.
    fn beginning(self, phase: expr::Phase) -> String {
        match (self, phase) {
            (Place::Where | Place::Having, expr::Phase::Types) => format!("Error in {} expression: ", self.clause_name()),
            (Place::Between, expr::Phase::Types) => "Invalid expression: ".to_string(),
            (Place::Where | Place::Between | Place::Having, expr::Phase::Code) => "Invalid Predicate: ".to_string(),
            (Place::Select, expr::Phase::Code) => "Invalid Select: ".to_string(),
            (Place::GroupBy, expr::Phase::Code) => "Invalid Group By: ".to_string(),
            (Place::PartitionBy, expr::Phase::Code) => "Invalid Partition By: ".to_string(),
            (Place::JoinOn, expr::Phase::Code) => "Invalid Join On: ".to_string(),
            (_, expr::Phase::Types) => String::new(),
        }
    }
}

/// The type of an expression with internal names over what a step puts out; `None` for a bare null.
pub(crate) fn over_step(expr: &Expr, input: &Step, place: Place) -> Result<Option<SqlType>, Problem> {
    over_schema(expr, &input.schema, input.windowed_key().is_some(), place)
}

/// The type of an expression over a schema.
pub(crate) fn over_schema(expr: &Expr, schema: &Schema, windowed: bool, place: Place) -> Result<Option<SqlType>, Problem> {
    expr::type_of(expr, &expr::Scope::new(schema, windowed)).map_err(|error| problem(&error, expr, place))
}

fn problem(error: &expr::ExprError, expr: &Expr, place: Place) -> Problem {
    let beginning = place.beginning(error.phase);
    let problem = Problem::new(format!("{beginning}{}\nexpression: {expr}", error.message)).at(error.span);
    match error.phase {
        expr::Phase::Types => problem.of_types(),
        expr::Phase::Code => problem,
    }
}

/// The type of a qualified expression over all sources of a query.
pub(crate) fn type_in_scope(scope: &Scope, expr: &Expr) -> Result<Option<SqlType>, Problem> {
    let mut value = Vec::new();
    for side in &scope.sides {
        let own = side.source.schema.columns().cloned();
        let pseudo = [("ROWTIME", SqlType::BigInt), ("ROWPARTITION", SqlType::Int), ("ROWOFFSET", SqlType::BigInt)];
        let bounds = [("WINDOWSTART", SqlType::BigInt), ("WINDOWEND", SqlType::BigInt)];
        let bounds = bounds.into_iter().filter(|_| side.source.is_windowed());
        let pseudo = pseudo.into_iter().chain(bounds).map(|(name, sql_type)| Column::new(name, sql_type));
        value.extend(own.chain(pseudo).map(|c| Column::new(scope.internal_name(&side.alias, &c.name), c.sql_type)));
    }
    over_schema(&scope.internal(expr), &Schema { key: Vec::new(), value }, false, Place::Select)
}

/// What is said of a column that could only be null.
pub(crate) fn untyped_null(expr: &Expr) -> Problem {
    let message = "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).";
    Problem::new(message).at(expr.span)
}

/// Whether a function is an aggregate.
pub(crate) fn is_aggregate(name: &str) -> bool {
    aggregate::ALL.iter().any(|f| f.name == name)
}

/// Whether a function makes several rows of one.
pub(crate) fn is_table_function(name: &str) -> bool {
    table::ALL.iter().any(|f| f.name == name)
}

/// Whether there is no function of that name.
pub(crate) fn is_unknown(name: &str) -> bool {
    registry::scalar(name).is_none() && !is_aggregate(name) && !is_table_function(name)
}

/// The aggregator of a call over what a step puts out.
pub(crate) fn aggregator(call: &Expr, input: &Step, properties: &BTreeMap<String, String>) -> Result<Box<dyn Aggregator>, Problem> {
    let scope = expr::Scope::new(&input.schema, input.windowed_key().is_some());
    match expr::compile_aggregate(call, &scope, properties) {
        Ok(compiled) => Ok(compiled.aggregator),
        Err(error) => Err(problem(&error, call, Place::Select)),
    }
}

/// The type of the column that a table function makes.
pub(crate) fn table_function_type(call: &Expr, input: &Step) -> Result<SqlType, Problem> {
    let scope = expr::Scope::new(&input.schema, input.windowed_key().is_some());
    match expr::compile_table_function(call, &scope) {
        Ok(compiled) => Ok(compiled.sql_type),
        Err(error) => Err(problem(&error, call, Place::Select)),
    }
}

/// Whether a text is a pattern of Java's DateTimeFormatter; the reason if not.
pub(crate) fn check_time_pattern(pattern: &str) -> Result<(), String> {
    crate::functions::time_format::TimePattern::compile(pattern).map(|_| ())
}

/// Whether an expression is the literal NULL.
pub(crate) fn is_null_literal(expr: &Expr) -> bool {
    expr.kind == ExprKind::Null
}
