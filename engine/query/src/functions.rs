//! The dialect's scalar functions as DataFusion's: every function of the registry, evaluated as continuous queries do it, on
//! the rows of a batch. A function that fails on a row is null there.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, NullArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tidemill_engine::expr::{self, Compiled, Env, Scope};
use tidemill_engine::functions::{registry, scalar};
use tidemill_engine::row::RowMeta;
use tidemill_engine::types::{Column, Schema, SqlType, Value};
use tidemill_parser::ast::{Expr, ExprKind, Ident};

use crate::columns::ColumnBuilder;
use crate::error::{QueryError, external};
use crate::types::{arrow_type, sql_type};
use crate::values::values;

/// What stands for the first argument in the text of a call, and so on.
const ARGUMENT: &str = "__A";

/// An expression of the dialect over some arguments.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DialectFunction {
    /// As DataFusion looks for it: in lower case.
    name: String,
    /// The call where it is not just the name with the arguments: `TRANSFORM(__A0, (X) => X + __A1)`.
    template: Option<String>,
    signature: Signature,
}

/// Every scalar function of the dialect.
pub(crate) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    scalar::all().map(|function| of(function.name.to_lowercase(), None))
}

/// Whether DataFusion has a function of that name, in any case of letters.
pub fn is_function(name: &str) -> bool {
    static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let scalar = SessionStateDefaults::default_scalar_functions().into_iter().map(|f| f.name().to_owned());
        let aggregate = SessionStateDefaults::default_aggregate_functions().into_iter().map(|f| f.name().to_owned());
        scalar.chain(aggregate).collect()
    });
    names.contains(&name.to_lowercase())
}

/// A call that DataFusion has no way to write, under a name of its own.
pub(crate) fn template(name: String, template: String) -> Arc<ScalarUDF> {
    of(name, Some(template))
}

/// The argument of a template.
pub(crate) fn argument(index: usize) -> String {
    format!("{ARGUMENT}{index}")
}

fn of(name: String, template: Option<String>) -> Arc<ScalarUDF> {
    // Functions without arguments may give something else each time.
    let by_itself = registry::scalar(&name).is_some_and(|function| function.variants.iter().any(|v| v.params.is_empty()));
    let volatility = if by_itself { Volatility::Volatile } else { Volatility::Immutable };
    let signature = Signature::one_of(vec![TypeSignature::VariadicAny, TypeSignature::Nullary], volatility);
    Arc::new(ScalarUDF::new_from_impl(DialectFunction { name, template, signature }))
}

/// A call whose arguments are known by their types, or their values.
struct Call {
    compiled: Compiled,
    /// Which arguments stand in the slots of a row.
    slots: Vec<usize>,
}

impl DialectFunction {
    fn compile(&self, arguments: &[(&DataType, Option<&ScalarValue>)]) -> Result<Call> {
        let mut schema = Schema::default();
        let mut slots = Vec::new();
        let mut exprs = Vec::with_capacity(arguments.len());
        for (index, (data_type, constant)) in arguments.iter().enumerate() {
            if **data_type == DataType::Null {
                exprs.push(Expr::new(ExprKind::Null));
                continue;
            }
            match constant.and_then(literal) {
                Some(kind) => exprs.push(Expr::new(kind)),
                None => {
                    schema.value.push(Column::new(argument(index), sql_type(data_type)));
                    slots.push(index);
                    exprs.push(Expr::column(argument(index)));
                }
            }
        }
        let call = match &self.template {
            None => Expr::new(ExprKind::Call { name: Ident::new(self.name.to_uppercase()), args: exprs }),
            Some(template) => {
                let parsed = tidemill_parser::parse_expression(template).map_err(|error| external(QueryError::user(error.to_string())))?;
                parsed.transform(&mut |node| match &node.kind {
                    ExprKind::Column(column) => match place(&column.name.name).and_then(|index| exprs.get(index)) {
                        Some(argument) => argument.clone(),
                        None => node,
                    },
                    _ => node,
                })
            }
        };
        let compiled = expr::compile(&call, &Scope::new(&schema, false)).map_err(|error| external(QueryError::user(error.to_string())))?;
        Ok(Call { compiled, slots })
    }
}

/// Which argument a name stands for.
fn place(name: &str) -> Option<usize> {
    name.strip_prefix(ARGUMENT)?.parse().ok()
}

/// A constant as a literal of the dialect, where it can be written as one.
pub(crate) fn literal(value: &ScalarValue) -> Option<ExprKind> {
    Some(match value {
        ScalarValue::Boolean(Some(v)) => ExprKind::Boolean(*v),
        ScalarValue::Int32(Some(v)) => ExprKind::Integer(*v),
        ScalarValue::Int64(Some(v)) => ExprKind::BigInt(*v),
        ScalarValue::Float64(Some(v)) if v.is_finite() => ExprKind::Double(*v),
        ScalarValue::Utf8(Some(v)) => ExprKind::String(v.clone()),
        _ => return None,
    })
}

impl Call {
    /// The type of the result; `None`: nothing but null comes out.
    fn result(&self) -> Option<&SqlType> {
        self.compiled.sql_type.as_ref()
    }

    fn run(&self, columns: Vec<Vec<Value>>, rows: usize) -> Result<ArrayRef> {
        let Some(result) = self.result() else { return Ok(Arc::new(NullArray::new(rows))) };
        let mut builder = ColumnBuilder::new(result, rows);
        let meta = RowMeta::default();
        let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
        let mut row = vec![Value::Null; columns.len()];
        for _ in 0..rows {
            for (slot, column) in row.iter_mut().zip(&mut columns) {
                *slot = column.next().unwrap_or_default();
            }
            builder.push(&self.compiled.eval_value(&Env::new(&row, &meta)).unwrap_or_default());
        }
        expr::take_swallowed();
        builder.finish().map_err(DataFusionError::from)
    }
}

impl ScalarUDFImpl for DialectFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let arguments: Vec<_> = types.iter().map(|data_type| (data_type, None)).collect();
        Ok(self.compile(&arguments)?.result().map_or(DataType::Null, arrow_type))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given = args.arg_fields.iter().zip(args.scalar_arguments);
        let arguments: Vec<_> = given.map(|(field, constant)| (field.data_type(), *constant)).collect();
        let result = self.compile(&arguments)?.result().map_or(DataType::Null, arrow_type);
        Ok(Arc::new(Field::new(&self.name, result, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arguments: Vec<_> = args
            .arg_fields
            .iter()
            .zip(&args.args)
            .map(|(field, value)| {
                let constant = if let ColumnarValue::Scalar(scalar) = value { Some(scalar) } else { None };
                (field.data_type(), constant)
            })
            .collect();
        let call = self.compile(&arguments)?;
        let is_constant = !args.args.is_empty() && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let column = |slot: &usize| match args.args.get(*slot) {
            Some(value) => Ok(values(&value.to_array(rows)?)?),
            None => Ok(Vec::new()),
        };
        let columns = call.slots.iter().map(column).collect::<Result<Vec<_>>>()?;
        let result = call.run(columns, rows)?;
        if is_constant { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)) } else { Ok(ColumnarValue::Array(result)) }
    }
}
