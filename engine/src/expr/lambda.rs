//! Lambdas: `x => body`, `(x, y) => body`.

use tidemill_parser::ast::{Expr, Ident};

use crate::functions::EvalError;
use crate::types::{SqlType, Value};

use super::compile::compile as compile_expr;
use super::{Compiled, Env, ExprError, Scope};

/// A lambda whose body is compiled.
pub(super) struct Lambda {
    body: Compiled,
    /// Whether lambdas stand around this one, whose arguments the body may read.
    nested: bool,
}

impl Lambda {
    /// The type of the body; `None` for a bare null.
    pub(super) fn result_type(&self) -> Option<&SqlType> {
        self.body.sql_type.as_ref()
    }

    /// Calls the lambda over the row of `env`.
    pub(super) fn call(&self, env: &Env<'_>, args: &[Value]) -> Result<Value, EvalError> {
        if self.nested {
            let all: Vec<Value> = env.lambda_args.iter().chain(args).cloned().collect();
            return self.body.eval_value(&Env { lambda_args: &all, ..*env });
        }
        self.body.eval_value(&Env { lambda_args: args, ..*env })
    }
}

/// What is wrong with a lambda's parameters, whatever they stand for.
pub(super) fn check(expr: &Expr, params: &[Ident], scope: &Scope<'_>) -> Result<(), ExprError> {
    if let Some(param) = params.iter().find(|p| scope.has_column(&p.name)) {
        return Err(ExprError::new(format!("Lambda function argument can't be a column name: {}", param.name), param.span));
    }
    let names: Vec<&str> = params.iter().map(|p| p.name.as_str()).collect();
    if names.iter().enumerate().any(|(i, name)| names.iter().take(i).any(|earlier| earlier == name)) {
        return Err(ExprError::new(format!("Lambda arguments have duplicates: [{}]", names.join(", ")), expr.span));
    }
    Ok(())
}

/// Compiles a lambda whose parameters have the given types.
pub(super) fn compile(params: &[Ident], types: Vec<SqlType>, body: &Expr, scope: &Scope<'_>) -> Result<Lambda, ExprError> {
    let nested = scope.lambda_depth() > 0;
    let inner = scope.with_params(params.iter().map(|p| p.name.clone()).zip(types));
    Ok(Lambda { body: compile_expr(body, &inner)?, nested })
}
