//! Which names an expression may use, and where their values stand.

use tidemill_parser::ast::{ColumnRef, Span};
use tidemill_parser::did_you_mean;

use crate::types::{Schema, SqlType};

use super::{Compiled, Env, ExprError, column};

/// Columns, pseudo-columns and, inside a lambda, its parameters.
#[derive(Debug, Clone)]
pub struct Scope<'s> {
    schema: &'s Schema,
    windowed: bool,
    /// Parameters of the lambdas around the expression, outermost first: the order of [`Env::lambda_args`].
    lambda_params: Vec<(String, SqlType)>,
    /// Set where columns can't be used at all: the beginning of the message that says so.
    no_columns: Option<&'static str>,
}

/// A schema without columns.
static EMPTY: Schema = Schema { key: Vec::new(), value: Vec::new() };

impl<'s> Scope<'s> {
    /// The columns of a schema and the pseudo-columns; `windowed` adds WINDOWSTART and WINDOWEND. A column of the schema
    /// wins over the pseudo-column of the same name.
    pub fn new(schema: &'s Schema, windowed: bool) -> Self {
        Scope { schema, windowed, lambda_params: Vec::new(), no_columns: None }
    }

    /// No columns: for literals. A column in the expression is refused with `message`, followed by its name.
    pub fn literals(message: &'static str) -> Scope<'static> {
        Scope { schema: &EMPTY, windowed: false, lambda_params: Vec::new(), no_columns: Some(message) }
    }

    /// This scope inside a lambda.
    pub(super) fn with_params(&self, params: impl IntoIterator<Item = (String, SqlType)>) -> Self {
        let mut scope = self.clone();
        scope.lambda_params.extend(params);
        scope
    }

    /// How many arguments the lambdas around the expression have.
    pub(super) fn lambda_depth(&self) -> usize {
        self.lambda_params.len()
    }

    /// Whether the schema has a column of that name.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.schema.slot(name).is_some()
    }

    /// Whether a name stands for a pseudo-column of milliseconds, which may be compared with a timestamp's text.
    pub(super) fn is_timestamp_pseudo_column(&self, name: &str) -> bool {
        matches!(name, "ROWTIME" | "WINDOWSTART" | "WINDOWEND") && !self.lambda_params.iter().any(|(param, _)| param == name)
    }

    /// The value of a name.
    pub(super) fn resolve(&self, reference: &ColumnRef, span: Span) -> Result<Compiled, ExprError> {
        let name = reference.name.name.as_str();
        if let Some(source) = &reference.source {
            return Err(ExprError::new(format!("Column '{}.{name}' cannot be resolved.", source.name), span));
        }
        if let Some(index) = self.lambda_params.iter().rposition(|(param, _)| param == name)
            && let Some((_, sql_type)) = self.lambda_params.get(index)
        {
            return Ok(column::lambda_arg(index, sql_type.clone()));
        }
        if let Some(slot) = self.schema.slot(name)
            && let Some(found) = self.schema.column(slot)
        {
            return Ok(column::slot(slot, found.sql_type.clone()));
        }
        if let Some(message) = self.no_columns {
            return Err(ExprError::new(format!("{message}{name}"), span));
        }
        match name {
            "ROWTIME" => Ok(column::big_int(|env: &Env<'_>| Some(env.meta.timestamp))),
            "ROWPARTITION" => Ok(column::int(|env: &Env<'_>| Some(env.meta.partition))),
            "ROWOFFSET" => Ok(column::big_int(|env: &Env<'_>| Some(env.meta.offset))),
            "WINDOWSTART" if self.windowed => Ok(column::big_int(|env: &Env<'_>| env.meta.window.map(|w| w.start))),
            "WINDOWEND" if self.windowed => Ok(column::big_int(|env: &Env<'_>| env.meta.window.map(|w| w.end))),
            "WINDOWSTART" | "WINDOWEND" => {
                Err(ExprError::new(format!("Unknown column {name}. Only rows of windowed sources and aggregations have it."), span))
            }
            _ => Err(ExprError::new(format!("Column '{name}' cannot be resolved.{}", self.suggestion(name)), span)),
        }
    }

    fn suggestion(&self, name: &str) -> String {
        let names = self.lambda_params.iter().map(|(param, _)| param.as_str()).chain(self.schema.columns().map(|c| c.name.as_str()));
        did_you_mean(name, names).map(|near| format!(" Did you mean '{near}'?")).unwrap_or_default()
    }
}
