//! DataFusion's functions that make much of little (`REPEAT('x', 2000000000)`), which its accounting of memory does not see:
//! each says before it runs what it would make of a batch, and is refused where that is too much.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use crate::error::{QueryError, external};

/// What one call may make of a batch of rows, in bytes.
const MAX_BYTES: u64 = 1 << 28;
/// An item of a list, at least.
const ITEM_BYTES: u64 = 8;

/// A whole number for each row; one for all of them where it is constant.
struct Numbers(Vec<i64>);

impl Numbers {
    /// `None`: the argument is no number.
    fn of(argument: Option<&ColumnarValue>, rows: usize) -> Option<Self> {
        let array = materialized(argument?, rows)?;
        let array = cast(&array, &DataType::Int64).ok()?;
        let numbers = array.as_primitive_opt::<Int64Type>()?;
        Some(Numbers(numbers.iter().map(Option::unwrap_or_default).collect()))
    }

    /// The lengths of texts in bytes, or of lists in items.
    fn lengths(argument: Option<&ColumnarValue>, rows: usize) -> Option<Self> {
        let lengths = length(&materialized(argument?, rows)?).ok()?;
        Self::of(Some(&ColumnarValue::Array(lengths)), rows)
    }

    fn at(&self, row: usize) -> u64 {
        self.signed(row).max(0).unsigned_abs()
    }

    fn signed(&self, row: usize) -> i64 {
        let at = if self.0.len() == 1 { 0 } else { row };
        self.0.get(at).copied().unwrap_or_default()
    }
}

fn materialized(argument: &ColumnarValue, rows: usize) -> Option<ArrayRef> {
    argument.to_array(if matches!(argument, ColumnarValue::Scalar(_)) { 1 } else { rows }).ok()
}

/// The bytes that a call makes of a row, as far as its arguments say so; `None`: they don't.
type Cost = fn(&[ColumnarValue], usize) -> Option<Box<dyn Fn(usize) -> u64>>;

/// By the names that DataFusion has for them.
const BOUNDED: [(&str, Cost); 5] = [
    ("repeat", |args, rows| {
        let (text, times) = (Numbers::lengths(args.first(), rows)?, Numbers::of(args.get(1), rows)?);
        Some(Box::new(move |row| text.at(row).saturating_mul(times.at(row))))
    }),
    ("array_repeat", |args, rows| {
        let times = Numbers::of(args.get(1), rows)?;
        // An item that is a text or a list is as large as its share of the column.
        let item = materialized(args.first()?, rows)?;
        let item_bytes = (item.get_array_memory_size() / item.len().max(1)) as u64;
        Some(Box::new(move |row| times.at(row).saturating_mul(item_bytes.max(ITEM_BYTES))))
    }),
    ("array_resize", |args, rows| {
        let items = Numbers::of(args.get(1), rows)?;
        Some(Box::new(move |row| items.at(row).saturating_mul(ITEM_BYTES)))
    }),
    ("array_to_string", |args, rows| {
        let (items, delimiter) = (Numbers::lengths(args.first(), rows)?, Numbers::lengths(args.get(1), rows)?);
        Some(Box::new(move |row| items.at(row).saturating_mul(delimiter.at(row))))
    }),
    ("range", |args, rows| {
        let first = Numbers::of(args.first(), rows)?;
        let Some(last) = Numbers::of(args.get(1), rows) else {
            return Some(Box::new(move |row| first.at(row).saturating_mul(ITEM_BYTES)));
        };
        let step = Numbers::of(args.get(2), rows).unwrap_or(Numbers(vec![1]));
        Some(Box::new(move |row| {
            let items = first.signed(row).abs_diff(last.signed(row)) / step.signed(row).unsigned_abs().max(1);
            items.saturating_mul(ITEM_BYTES)
        }))
    }),
];

/// Those of the given functions that are bounded, as such. They take the places of those that are not.
pub(crate) fn all(known: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let bounded = |(name, cost): (&str, Cost)| Some(Arc::new(ScalarUDF::new_from_impl(Bounded { inner: known(name)?, cost })));
    BOUNDED.into_iter().filter_map(bounded).collect()
}

#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    cost: Cost,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        if let Some(bytes) = (self.cost)(&args.args, rows) {
            let bytes = (0..rows).map(bytes).fold(0, u64::saturating_add);
            if bytes > MAX_BYTES {
                let name = self.inner.name().to_uppercase();
                let message = format!("{name} would make {bytes} bytes of {rows} rows: {MAX_BYTES} are possible at once");
                return Err(external(QueryError::limit(message)));
            }
        }
        self.inner.invoke_with_args(args)
    }
}
