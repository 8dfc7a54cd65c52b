//! Calls of aggregate and of table functions: their arguments compiled, their variant chosen.

use std::collections::BTreeMap;

use tidemill_parser::ast::{Expr, ExprKind, Ident};

use crate::functions::resolve::{ArgType, concrete, resolve, target};
use crate::functions::{AggregateCall, Aggregator, EvalError, registry};
use crate::types::{SqlType, Value};

use super::call::{given, return_type};
use super::coerce::coerce_to;
use super::compile::compile;
use super::{Compiled, Env, ExprError, Scope};

/// An aggregate with its column arguments.
pub struct CompiledAggregate {
    /// What the aggregator's `add` and `undo` take, in order.
    pub args: Vec<Compiled>,
    pub aggregator: Box<dyn Aggregator>,
}

/// Compiles a call of an aggregate function. `properties` are those of the query.
///
/// # Errors
/// `call` is no such call, or its arguments don't suit the function.
pub fn compile_aggregate(call: &Expr, scope: &Scope<'_>, properties: &BTreeMap<String, String>) -> Result<CompiledAggregate, ExprError> {
    let (name, args) = parts(call)?;
    let Some(function) = registry::aggregate(&name.name) else {
        return Err(ExprError::new(format!("{} is not an aggregate function: {call}", name.name), name.span));
    };
    let args: Vec<&Expr> = args.iter().filter(|arg| arg.kind != ExprKind::Star).collect();
    let compiled = args.iter().map(|arg| compile(arg, scope)).collect::<Result<Vec<_>, ExprError>>()?;
    let types: Vec<ArgType> = compiled.iter().map(|c| c.sql_type.clone().map_or(ArgType::Null, ArgType::Sql)).collect();
    let resolved = resolve(function.spelling, function.variants, &types, false).map_err(|message| ExprError::new(message, call.span))?;
    let variant = resolved.variant;

    let columns = compiled.len().saturating_sub(variant.constants);
    let mut column_args = Vec::with_capacity(columns);
    let mut column_types = Vec::with_capacity(columns);
    let mut constants = Vec::with_capacity(variant.constants);
    for (index, ((arg, expr), param)) in compiled.into_iter().zip(&args).zip(&resolved.params).enumerate() {
        if index >= columns {
            constants.push(literal(&arg, expr, index, function.spelling)?);
            continue;
        }
        let found = arg.sql_type.clone().or_else(|| concrete(param, &resolved.vars)).unwrap_or(SqlType::String);
        let to = target(param, &found, &resolved.vars);
        column_args.push(coerce_to(arg, &to)?);
        column_types.push(to);
    }
    let aggregate_call = AggregateCall { types: &column_types, constants: &constants, properties };
    let aggregator = (variant.build)(&aggregate_call).map_err(|message| ExprError::new(message, call.span))?;
    Ok(CompiledAggregate { args: column_args, aggregator })
}

/// The value of an argument that must be a literal.
fn literal(arg: &Compiled, expr: &Expr, index: usize, spelling: &str) -> Result<Value, ExprError> {
    match arg.constant() {
        Some(value) => Ok(value.clone()),
        None => {
            let message =
                format!("Parameter {} passed to function {spelling} must be a literal constant, but was expression: '{expr}'", index + 1);
            Err(ExprError::new(message, expr.span))
        }
    }
}

/// A table function with its arguments.
pub struct CompiledTableFunction {
    pub args: Vec<Compiled>,
    /// The type of the column that it makes.
    pub sql_type: SqlType,
    pub eval: fn(&[Value]) -> Result<Vec<Value>, EvalError>,
}

impl CompiledTableFunction {
    /// The values that a row becomes, in order.
    pub fn rows(&self, env: &Env<'_>) -> Result<Vec<Value>, EvalError> {
        let args = self.args.iter().map(|arg| arg.eval_value(env)).collect::<Result<Vec<_>, _>>()?;
        (self.eval)(&args)
    }
}

/// Compiles a call of a table function.
///
/// # Errors
/// `call` is no such call, or its arguments don't suit the function.
pub fn compile_table_function(call: &Expr, scope: &Scope<'_>) -> Result<CompiledTableFunction, ExprError> {
    let (name, args) = parts(call)?;
    let Some(function) = registry::table(&name.name) else {
        return Err(ExprError::new(format!("{} is not a table function: {call}", name.name), name.span));
    };
    let given = given(&args.iter().collect::<Vec<_>>(), scope)?;
    let types: Vec<ArgType> = given.iter().map(super::call::Given::arg_type).collect();
    let resolved = resolve(function.spelling, function.variants, &types, false).map_err(|message| ExprError::new(message, call.span))?;
    let mut compiled = Vec::with_capacity(given.len());
    let mut arg_types = Vec::with_capacity(given.len());
    for (given, param) in given.into_iter().zip(&resolved.params) {
        let super::call::Given::Value { compiled: arg, .. } = given else {
            return Err(ExprError::new(format!("Function '{}' takes neither lambdas nor units of time.", function.spelling), call.span));
        };
        let to = arg.sql_type.as_ref().map(|found| target(param, found, &resolved.vars));
        compiled.push(match &to {
            Some(to) => coerce_to(arg, to)?,
            None => arg,
        });
        arg_types.push(to);
    }
    let sql_type =
        return_type(&resolved.variant.returns, &arg_types, &resolved.vars).map_err(|message| ExprError::new(message, call.span))?;
    let Some(sql_type) = sql_type else {
        let message = format!("The type of {call} doesn't follow from its arguments. CAST null arguments to a type.");
        return Err(ExprError::new(message, call.span));
    };
    Ok(CompiledTableFunction { args: compiled, sql_type, eval: resolved.variant.eval })
}

fn parts(call: &Expr) -> Result<(&Ident, &[Expr]), ExprError> {
    match &call.kind {
        ExprKind::Call { name, args } => Ok((name, args)),
        _ => Err(ExprError::new(format!("Expected the call of a function, got: {call}"), call.span)),
    }
}
