//! Calls of scalar functions, and `||`.
//!
//! Arguments are converted to what the variant takes. Where an argument is null, a function that takes no nulls isn't
//! called: its result is null. As in ksqlDB, an argument that fails is null where it is the call of a function, a field of
//! a struct or converted to another type; any other (arithmetic) fails the expression, whatever the function makes of nulls.

use tidemill_parser::ast::{Expr, ExprKind, Ident, IntervalUnit};

use crate::functions::resolve::{ArgType, Resolved, Vars, bind_result, concrete, resolve, target};
use crate::functions::{Args, ConstArgs, EvalError, Kernel, LambdaFn, ParamType, Returns, ScalarImpl, limits, registry};
use crate::types::{SqlType, Value};

use super::coerce::coerce_to;
use super::compile::compile as compile_expr;
use super::lambda::Lambda;
use super::operand::AnyOperand;
use super::{Compiled, Env, ExprError, Scope, cast, column, lambda, swallowed};

/// `left || right`.
pub(super) fn concat(expr: &Expr, left: &Expr, right: &Expr, scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    call(expr, "CONCAT", &[left, right], scope)
}

/// `name(args)`.
pub(super) fn compile(expr: &Expr, name: &Ident, args: &[Expr], scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    call(expr, &name.name, &args.iter().collect::<Vec<_>>(), scope)
}

/// An argument as far as it is known before the variant is.
pub(super) enum Given<'e> {
    Value { compiled: Compiled, expr: &'e Expr },
    Lambda { params: &'e [Ident], body: &'e Expr },
    Unit(&'static str),
}

impl Given<'_> {
    pub(super) fn arg_type(&self) -> ArgType {
        match self {
            Given::Value { compiled, .. } => compiled.sql_type.clone().map_or(ArgType::Null, ArgType::Sql),
            Given::Lambda { params, .. } => ArgType::Lambda(params.len()),
            Given::Unit(_) => ArgType::Unit,
        }
    }
}

/// Compiles what can be without knowing the variant. `*` stands for no argument.
pub(super) fn given<'e>(args: &[&'e Expr], scope: &Scope<'_>) -> Result<Vec<Given<'e>>, ExprError> {
    let mut given = Vec::with_capacity(args.len());
    for arg in args {
        match &arg.kind {
            ExprKind::Star => {}
            ExprKind::Lambda { params, body } => {
                lambda::check(arg, params, scope)?;
                given.push(Given::Lambda { params, body });
            }
            ExprKind::Unit(unit) => given.push(Given::Unit(fixed_unit(*unit).map_err(|reason| ExprError::new(reason, arg.span))?)),
            _ => given.push(Given::Value { compiled: compile_expr(arg, scope)?, expr: arg }),
        }
    }
    Ok(given)
}

/// The name of a unit that functions take: each has one length, whatever the date.
fn fixed_unit(unit: IntervalUnit) -> Result<&'static str, String> {
    match unit {
        IntervalUnit::Milliseconds => Ok("MILLISECONDS"),
        IntervalUnit::Seconds => Ok("SECONDS"),
        IntervalUnit::Minutes => Ok("MINUTES"),
        IntervalUnit::Hours => Ok("HOURS"),
        IntervalUnit::Days => Ok("DAYS"),
        IntervalUnit::Weeks | IntervalUnit::Months | IntervalUnit::Years => {
            Err(format!("{unit} is no unit of intervals here: use DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS."))
        }
    }
}

/// An argument that is ready to run.
enum Ready {
    Value {
        operand: AnyOperand,
        forgiven: bool,
    },
    /// Null in its slot; the lambda stands with the lambdas.
    Lambda,
}

/// An operand, and whether it is null where it fails.
fn ready(compiled: Compiled, forgiven: bool) -> Ready {
    let forgiven = forgiven && compiled.may_fail();
    Ready::Value { operand: AnyOperand::new(compiled), forgiven }
}

fn call(expr: &Expr, name: &str, args: &[&Expr], scope: &Scope<'_>) -> Result<Compiled, ExprError> {
    let Some(function) = registry::scalar(name) else {
        return Err(ExprError::new(registry::unknown(name), expr.span));
    };
    let given = given(args, scope)?;
    let types: Vec<ArgType> = given.iter().map(Given::arg_type).collect();
    let resolved = resolve(function.spelling, function.variants, &types, true).map_err(|message| ExprError::new(message, expr.span))?;
    let Resolved { variant, params, mut vars } = resolved;
    let fails = |message: String| ExprError::code(format!("{}: {message}. expression: {expr}", function.spelling), expr.span);

    let mut args = Vec::with_capacity(given.len());
    let mut lambdas = Vec::new();
    let mut arg_types: Vec<Option<SqlType>> = Vec::with_capacity(given.len());
    let mut constants = Vec::with_capacity(given.len());
    for (given, param) in given.into_iter().zip(&params) {
        match given {
            Given::Value { compiled, expr: arg } => {
                let to = compiled.sql_type.as_ref().map(|found| target(param, found, &vars)).or_else(|| concrete(param, &vars));
                let converted = to.is_some() && compiled.sql_type != to;
                let forgiven = converted || matches!(arg.kind, ExprKind::Call { .. } | ExprKind::Field { .. });
                let compiled = match &to {
                    // Text in ISO-8601 goes for a time.
                    Some(to) if compiled.sql_type == Some(SqlType::String) && to.is_temporal() => {
                        let constant = compiled.is_constant();
                        cast::cast(compiled, to).map_err(&fails)?.folded(constant)
                    }
                    Some(to) => coerce_to(compiled, to).map_err(|error| fails(error.message))?,
                    None => compiled,
                };
                constants.push(compiled.constant().cloned());
                arg_types.push(to);
                args.push(ready(compiled, forgiven));
            }
            Given::Unit(unit) => {
                let unit = Value::string(unit);
                constants.push(Some(unit.clone()));
                arg_types.push(Some(SqlType::String));
                args.push(ready(column::constant(Some(SqlType::String), unit), false));
            }
            Given::Lambda { params: names, body } => {
                let compiled = compile_lambda(names, body, param, &mut vars, scope, function.spelling)?;
                constants.push(None);
                arg_types.push(compiled.result_type().cloned());
                lambdas.push(compiled);
                args.push(Ready::Lambda);
            }
        }
    }
    let Some(return_type) = return_type(&variant.returns, &arg_types, &vars).map_err(&fails)? else {
        // Nothing but nulls went in, so nothing else comes out.
        return Ok(column::constant(None, Value::Null));
    };
    let kernel: Kernel = match variant.implementation {
        ScalarImpl::Plain(eval) => Box::new(eval),
        ScalarImpl::Prepared(prepare) => {
            let known = ConstArgs { types: &arg_types, constants: &constants, return_type: &return_type };
            prepare(&known).map_err(|error| fails(error.to_string()))?
        }
    };
    // Functions without arguments may give something else each time.
    let constant = !args.is_empty() && lambdas.is_empty() && constants.iter().all(Option::is_some);
    Ok(run(return_type, Call { args, lambdas, kernel, takes_null: variant.called_on_null }).folded(constant))
}

/// Compiles a lambda argument: its parameters' types follow from the arguments before it.
fn compile_lambda(
    names: &[Ident],
    body: &Expr,
    param: &ParamType,
    vars: &mut Vars,
    scope: &Scope<'_>,
    spelling: &str,
) -> Result<Lambda, ExprError> {
    let ParamType::Lambda(inputs, result) = param else {
        return Err(ExprError::new(format!("Function '{spelling}' takes no lambda here."), body.span));
    };
    let types: Option<Vec<SqlType>> = inputs.iter().map(|input| concrete(input, vars)).collect();
    let Some(types) = types else {
        let message = format!(
            "The types of the lambda's parameters don't follow from the other arguments of '{spelling}'. CAST null arguments to a type."
        );
        return Err(ExprError::new(message, body.span));
    };
    let compiled = lambda::compile(names, types, body, scope)?;
    if let Some(found) = compiled.result_type()
        && !bind_result(result, found, vars)
    {
        let expected = concrete(result, vars).map_or_else(|| "another type".to_string(), |t| t.to_string());
        let message = format!("Expected the lambda {body} of function '{spelling}' to return {expected}, but it returns {found}.");
        return Err(ExprError::new(message, body.span));
    }
    Ok(compiled)
}

/// The type of the result; `None` where only nulls could say it.
pub(super) fn return_type(returns: &Returns, args: &[Option<SqlType>], vars: &Vars) -> Result<Option<SqlType>, String> {
    match returns {
        Returns::Type(declared) => Ok(concrete(declared, vars)),
        Returns::By(by) => {
            // A null of unknown type goes for text.
            let types: Vec<SqlType> = args.iter().map(|t| t.clone().unwrap_or(SqlType::String)).collect();
            by(&types).map(Some)
        }
    }
}

struct Call {
    args: Vec<Ready>,
    lambdas: Vec<Lambda>,
    kernel: Kernel,
    takes_null: bool,
}

impl Call {
    /// Fills the arguments in. False: one is null that must not be.
    fn fill(&self, values: &mut [Value], env: &Env<'_>) -> Result<bool, EvalError> {
        for (slot, arg) in values.iter_mut().zip(&self.args) {
            let Ready::Value { operand, forgiven } = arg else {
                continue;
            };
            let value = operand.get(env);
            *slot = if *forgiven { swallowed::or_null(value) } else { value? };
            if slot.is_null() && !self.takes_null {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn run(&self, values: &mut [Value], env: &Env<'_>) -> Result<Value, EvalError> {
        if !self.fill(values, env)? {
            return Ok(Value::Null);
        }
        if self.lambdas.is_empty() {
            return limits::checked((self.kernel)(&mut Args { values, lambdas: &[] })?);
        }
        let closures: Vec<_> = self.lambdas.iter().map(|lambda| move |args: &[Value]| lambda.call(env, args)).collect();
        let lambdas: Vec<&LambdaFn<'_>> = closures.iter().map(|closure| closure as &LambdaFn<'_>).collect();
        limits::checked((self.kernel)(&mut Args { values, lambdas: &lambdas })?)
    }

    fn run_sized<const N: usize>(&self, env: &Env<'_>) -> Result<Value, EvalError> {
        self.run(&mut [const { Value::Null }; N], env)
    }
}

/// Arguments of short calls stand on the stack.
fn run(return_type: SqlType, call: Call) -> Compiled {
    match call.args.len() {
        0 => Compiled::from_values(return_type, move |env| call.run_sized::<0>(env)),
        1 => Compiled::from_values(return_type, move |env| call.run_sized::<1>(env)),
        2 => Compiled::from_values(return_type, move |env| call.run_sized::<2>(env)),
        3 => Compiled::from_values(return_type, move |env| call.run_sized::<3>(env)),
        4 => Compiled::from_values(return_type, move |env| call.run_sized::<4>(env)),
        n => Compiled::from_values(return_type, move |env| call.run(&mut vec![Value::Null; n], env)),
    }
}
