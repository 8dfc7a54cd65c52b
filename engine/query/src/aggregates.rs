//! The dialect's aggregate functions that SQL has no counterpart of, as DataFusion's: their states are values, as in a store.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;
use tidemill_engine::expr::{self, CompiledAggregate, Env, Scope};
use tidemill_engine::row::RowMeta;
use tidemill_engine::types::{Column, Schema, SqlType, Value};
use tidemill_parser::ast::{Expr, ExprKind, Ident};

use crate::columns::ColumnBuilder;
use crate::error::{QueryError, external};
use crate::functions::literal;
use crate::types::{arrow_type, sql_type};
use crate::values::values;

/// Those whose result does not depend on the order in which rows come. `EARLIEST_BY_OFFSET` and `LATEST_BY_OFFSET` have no
/// meaning over several partitions and tables; `COUNT`, `SUM`, `AVG`, `MIN` and `MAX` are DataFusion's.
const NAMES: &[&str] = &[
    "ATTR",
    "COLLECT_LIST",
    "COLLECT_SET",
    "CORRELATION",
    "COUNT_DISTINCT",
    "HISTOGRAM",
    "STDDEV_SAMP",
    "STDDEV_SAMPLE",
    "SUM_LIST",
    "TOPK",
    "TOPKDISTINCT",
];

/// See the module.
pub(crate) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    NAMES.iter().map(|name| {
        let function = DialectAggregate { name: name.to_lowercase(), signature: Signature::variadic_any(Volatility::Immutable) };
        Arc::new(AggregateUDF::new_from_impl(function))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DialectAggregate {
    name: String,
    signature: Signature,
}

impl DialectAggregate {
    /// The call over columns; of arguments that must be literals with their values, or with any where those are not known yet.
    fn compile(&self, arguments: &[(&DataType, Option<&ScalarValue>)]) -> Result<CompiledAggregate> {
        let mut schema = Schema::default();
        let mut args = Vec::with_capacity(arguments.len());
        for (index, (data_type, constant)) in arguments.iter().enumerate() {
            let name = format!("A{index}");
            args.push(match constant.and_then(literal) {
                Some(kind) if index > 0 => Expr::new(kind),
                _ => Expr::column(name.clone()),
            });
            schema.value.push(Column::new(name, sql_type(data_type)));
        }
        let call = |args| Expr::new(ExprKind::Call { name: Ident::new(self.name.to_uppercase()), args });
        let scope = Scope::new(&schema, false);
        let compiled = expr::compile_aggregate(&call(args.clone()), &scope, &Default::default());
        let compiled = compiled.or_else(|error| {
            // The literals are not known yet: their types are.
            let with_literals =
                args.into_iter().zip(arguments).enumerate().map(|(index, (arg, (data_type, _)))| match sql_type(data_type) {
                    SqlType::Int if index > 0 => Expr::new(ExprKind::Integer(1)),
                    SqlType::BigInt if index > 0 => Expr::new(ExprKind::Integer(1)),
                    SqlType::Boolean if index > 0 => Expr::new(ExprKind::Boolean(true)),
                    _ => arg,
                });
            expr::compile_aggregate(&call(with_literals.collect()), &scope, &Default::default()).map_err(|_| error)
        });
        compiled.map_err(|error| external(QueryError::user(error.to_string())))
    }
}

impl AggregateUDFImpl for DialectAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let arguments: Vec<_> = types.iter().map(|data_type| (data_type, None)).collect();
        Ok(arrow_type(&self.compile(&arguments)?.aggregator.return_type()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let arguments: Vec<_> = args.input_fields.iter().map(|field| (field.data_type(), None)).collect();
        let state = arrow_type(&self.compile(&arguments)?.aggregator.state_type());
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), state, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            let message =
                format!("{}(DISTINCT …) is not supported: COLLECT_SET and TOPKDISTINCT take each value once", self.name.to_uppercase());
            return Err(external(QueryError::user(message)));
        }
        let constants: Vec<Option<ScalarValue>> = args
            .exprs
            .iter()
            .map(|expr| (&**expr as &dyn std::any::Any).downcast_ref::<Literal>().map(|literal| short(literal.value())))
            .collect();
        let arguments: Vec<_> =
            args.expr_fields.iter().zip(&constants).map(|(field, constant)| (field.data_type(), constant.as_ref())).collect();
        let call = self.compile(&arguments)?;
        let state = call.aggregator.initial();
        Ok(Box::new(Accumulated { call, state, rows: 0 }))
    }
}

/// A whole number is an INTEGER where it fits one.
fn short(value: &ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Int64(Some(number)) => {
            i32::try_from(*number).map_or_else(|_| value.clone(), |number| ScalarValue::Int32(Some(number)))
        }
        other => other.clone(),
    }
}

/// One group.
struct Accumulated {
    call: CompiledAggregate,
    state: Value,
    rows: i64,
}

impl fmt::Debug for Accumulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accumulated")
    }
}

impl Accumulator for Accumulated {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let rows = columns.first().map_or(0, |column| column.len());
        let mut columns: Vec<_> = columns.iter().map(|column| Ok(values(column)?.into_iter())).collect::<Result<_>>()?;
        let mut row = vec![Value::Null; columns.len()];
        let meta = RowMeta::default();
        for _ in 0..rows {
            for (slot, column) in row.iter_mut().zip(&mut columns) {
                *slot = column.next().unwrap_or_default();
            }
            let env = Env::new(&row, &meta);
            let args: Vec<Value> = self.call.args.iter().map(|arg| arg.eval_value(&env).unwrap_or_default()).collect();
            self.rows += 1;
            // A row that can't be added is left out, as in a continuous query.
            let _ = self.call.aggregator.add(&mut self.state, &args, self.rows);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = self.call.aggregator.result(&self.state).unwrap_or_default();
        scalar(&result, &self.call.aggregator.return_type())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.state.heap_bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![scalar(&self.state, &self.call.aggregator.state_type())?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first() else { return Ok(()) };
        for state in values(states)? {
            let own = std::mem::take(&mut self.state);
            self.state = self.call.aggregator.merge(own, state).map_err(|error| external(QueryError::user(error.to_string())))?;
        }
        Ok(())
    }
}

/// A value as DataFusion's.
pub(crate) fn scalar(value: &Value, sql_type: &SqlType) -> Result<ScalarValue> {
    let mut builder = ColumnBuilder::new(sql_type, 1);
    builder.push(value);
    ScalarValue::try_from_array(&builder.finish()?, 0)
}
