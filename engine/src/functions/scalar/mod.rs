//! Scalar functions: one value from the arguments of one row.

mod abs;
mod acos;
pub mod args;
mod array_concat;
mod array_contains;
mod array_distinct;
mod array_except;
mod array_intersect;
mod array_join;
mod array_length;
mod array_max;
mod array_min;
mod array_remove;
mod array_sort;
mod array_union;
mod as_map;
mod as_value;
mod asin;
mod atan;
mod atan2;
mod bigint_from_bytes;
mod byte_order;
mod cbrt;
mod ceil;
mod chr;
mod coalesce;
mod concat;
mod concat_ws;
mod convert_tz;
mod cos;
mod cosh;
mod cot;
mod dateadd;
mod datesub;
mod datetostring;
mod degrees;
mod double_from_bytes;
mod elt;
mod encode;
mod encodings;
mod entries;
mod exp;
mod extractjsonfield;
mod extreme;
mod field;
mod filter;
mod floor;
mod format_date;
mod format_time;
mod format_timestamp;
mod from_bytes;
mod from_days;
mod from_unixtime;
mod generate_series;
mod geo_distance;
mod greatest;
mod ifnull;
mod initcap;
mod instr;
mod int_from_bytes;
mod is_json_string;
mod json;
mod json_array_contains;
mod json_array_length;
mod json_concat;
mod json_items;
mod json_keys;
mod json_path;
mod json_records;
mod lambdas;
mod lcase;
mod least;
mod len;
mod ln;
mod log;
mod lpad;
mod map_keys;
mod map_union;
mod map_values;
mod mask;
mod mask_keep_left;
mod mask_keep_right;
mod mask_left;
mod mask_right;
mod masking;
mod md5;
pub mod memo;
mod nullif;
mod pad;
mod parse_date;
mod parse_time;
mod parse_timestamp;
mod pi;
mod power;
mod prelude;
mod radians;
mod random;
mod reduce;
mod regexp_extract;
mod regexp_extract_all;
mod regexp_replace;
mod regexp_split_to_array;
mod regexps;
mod replace;
mod round;
mod rpad;
mod sets;
mod sign;
mod sin;
mod sinh;
mod slice;
mod split;
mod split_to_map;
mod sqrt;
mod stringtodate;
mod stringtotimestamp;
mod substring;
mod tan;
mod tanh;
#[cfg(test)]
mod testing;
mod timeadd;
mod times;
mod timestampadd;
mod timestampsub;
mod timestamptostring;
mod timesub;
mod to_bytes;
mod to_json_string;
mod transform;
mod trim;
mod trunc;
mod ucase;
mod unix_date;
mod unix_timestamp;
mod url_decode_param;
mod url_encode_param;
mod url_extract_fragment;
mod url_extract_host;
mod url_extract_parameter;
mod url_extract_path;
mod url_extract_port;
mod url_extract_protocol;
mod url_extract_query;
mod uuid;

use super::{Category, EvalError, Example, Param, Returns};
use crate::types::Value;

/// Every scalar function, by name. Adding one is its file and one line here.
pub static ALL: &[&ScalarFunction] = &[
    &abs::FUNCTION,
    &acos::FUNCTION,
    &array_concat::FUNCTION,
    &array_contains::FUNCTION,
    &array_distinct::FUNCTION,
    &array_except::FUNCTION,
    &array_intersect::FUNCTION,
    &array_join::FUNCTION,
    &array_length::FUNCTION,
    &array_max::FUNCTION,
    &array_min::FUNCTION,
    &array_remove::FUNCTION,
    &array_sort::FUNCTION,
    &array_union::FUNCTION,
    &asin::FUNCTION,
    &as_map::FUNCTION,
    &as_value::FUNCTION,
    &atan::FUNCTION,
    &atan2::FUNCTION,
    &bigint_from_bytes::FUNCTION,
    &cbrt::FUNCTION,
    &ceil::FUNCTION,
    &chr::FUNCTION,
    &coalesce::FUNCTION,
    &concat::FUNCTION,
    &concat_ws::FUNCTION,
    &convert_tz::FUNCTION,
    &cos::FUNCTION,
    &cosh::FUNCTION,
    &cot::FUNCTION,
    &dateadd::FUNCTION,
    &datesub::FUNCTION,
    &datetostring::FUNCTION,
    &degrees::FUNCTION,
    &double_from_bytes::FUNCTION,
    &elt::FUNCTION,
    &encode::FUNCTION,
    &entries::FUNCTION,
    &exp::FUNCTION,
    &extractjsonfield::FUNCTION,
    &field::FUNCTION,
    &filter::FUNCTION,
    &floor::FUNCTION,
    &format_date::FUNCTION,
    &format_time::FUNCTION,
    &format_timestamp::FUNCTION,
    &from_bytes::FUNCTION,
    &from_days::FUNCTION,
    &from_unixtime::FUNCTION,
    &generate_series::FUNCTION,
    &geo_distance::FUNCTION,
    &greatest::FUNCTION,
    &ifnull::FUNCTION,
    &initcap::FUNCTION,
    &instr::FUNCTION,
    &int_from_bytes::FUNCTION,
    &is_json_string::FUNCTION,
    &json_array_contains::FUNCTION,
    &json_array_length::FUNCTION,
    &json_concat::FUNCTION,
    &json_items::FUNCTION,
    &json_keys::FUNCTION,
    &json_records::FUNCTION,
    &lcase::FUNCTION,
    &least::FUNCTION,
    &len::FUNCTION,
    &ln::FUNCTION,
    &log::FUNCTION,
    &lpad::FUNCTION,
    &map_keys::FUNCTION,
    &map_union::FUNCTION,
    &map_values::FUNCTION,
    &mask::FUNCTION,
    &mask_keep_left::FUNCTION,
    &mask_keep_right::FUNCTION,
    &mask_left::FUNCTION,
    &mask_right::FUNCTION,
    &md5::FUNCTION,
    &nullif::FUNCTION,
    &parse_date::FUNCTION,
    &parse_time::FUNCTION,
    &parse_timestamp::FUNCTION,
    &pi::FUNCTION,
    &power::FUNCTION,
    &radians::FUNCTION,
    &random::FUNCTION,
    &reduce::FUNCTION,
    &regexp_extract::FUNCTION,
    &regexp_extract_all::FUNCTION,
    &regexp_replace::FUNCTION,
    &regexp_split_to_array::FUNCTION,
    &replace::FUNCTION,
    &round::FUNCTION,
    &rpad::FUNCTION,
    &sign::FUNCTION,
    &sin::FUNCTION,
    &sinh::FUNCTION,
    &slice::FUNCTION,
    &split::FUNCTION,
    &split_to_map::FUNCTION,
    &sqrt::FUNCTION,
    &stringtodate::FUNCTION,
    &stringtotimestamp::FUNCTION,
    &substring::FUNCTION,
    &tan::FUNCTION,
    &tanh::FUNCTION,
    &timeadd::FUNCTION,
    &timestampadd::FUNCTION,
    &timestampsub::FUNCTION,
    &timestamptostring::FUNCTION,
    &timesub::FUNCTION,
    &to_bytes::FUNCTION,
    &to_json_string::FUNCTION,
    &transform::FUNCTION,
    &trim::FUNCTION,
    &trunc::FUNCTION,
    &ucase::FUNCTION,
    &unix_date::FUNCTION,
    &unix_timestamp::FUNCTION,
    &url_decode_param::FUNCTION,
    &url_encode_param::FUNCTION,
    &url_extract_fragment::FUNCTION,
    &url_extract_host::FUNCTION,
    &url_extract_parameter::FUNCTION,
    &url_extract_path::FUNCTION,
    &url_extract_port::FUNCTION,
    &url_extract_protocol::FUNCTION,
    &url_extract_query::FUNCTION,
    &uuid::FUNCTION,
];

/// A scalar function: its documentation and its variants (overloads).
#[derive(Debug)]
pub struct ScalarFunction {
    /// Upper case.
    pub name: &'static str,
    /// The name as ksqlDB's messages write it: `ucase`, but `SUM`. Clients look for these texts.
    pub spelling: &'static str,
    pub category: Category,
    pub description: &'static str,
    pub examples: &'static [Example],
    pub variants: &'static [ScalarVariant],
}

/// One signature of a function.
#[derive(Debug)]
pub struct ScalarVariant {
    pub description: &'static str,
    pub params: &'static [Param],
    /// The index of the parameter that may repeat (any number of times, also none).
    pub variadic: Option<usize>,
    pub returns: Returns,
    /// True: the implementation is called even where an argument is null. False: a null argument makes the result null.
    pub called_on_null: bool,
    /// True: an argument that fails counts as null (as in `IFNULL(CAST(x AS DATE), …)`). False: it fails the call.
    pub forgives: bool,
    pub implementation: ScalarImpl,
}

impl ScalarVariant {
    /// A variant that is a plain function of its arguments.
    pub const fn plain(
        description: &'static str,
        params: &'static [Param],
        returns: Returns,
        eval: fn(&mut Args<'_>) -> Result<Value, EvalError>,
    ) -> Self {
        ScalarVariant {
            description,
            params,
            variadic: None,
            returns,
            called_on_null: false,
            forgives: false,
            implementation: ScalarImpl::Plain(eval),
        }
    }

    /// A variant that is prepared once per expression.
    pub const fn prepared(
        description: &'static str,
        params: &'static [Param],
        returns: Returns,
        prepare: fn(&ConstArgs<'_>) -> Result<Kernel, EvalError>,
    ) -> Self {
        ScalarVariant {
            description,
            params,
            variadic: None,
            returns,
            called_on_null: false,
            forgives: false,
            implementation: ScalarImpl::Prepared(prepare),
        }
    }

    /// The parameter at `index` may repeat, also not at all.
    pub const fn variadic(mut self, index: usize) -> Self {
        self.variadic = Some(index);
        self
    }

    /// Null arguments are the implementation's business.
    pub const fn called_on_null(mut self) -> Self {
        self.called_on_null = true;
        self
    }

    /// Arguments that fail are null, which is the implementation's business.
    pub const fn forgiving(mut self) -> Self {
        self.forgives = true;
        self.called_on_null()
    }
}

/// How a variant calculates.
#[derive(Debug, Clone, Copy)]
pub enum ScalarImpl {
    /// A plain function of the arguments.
    Plain(fn(&mut Args<'_>) -> Result<Value, EvalError>),
    /// Prepared once per expression, from what is known then (types and constant arguments: a compiled pattern, a time zone).
    Prepared(fn(&ConstArgs<'_>) -> Result<Kernel, EvalError>),
}

/// A prepared implementation.
pub type Kernel = Box<dyn Fn(&mut Args<'_>) -> Result<Value, EvalError> + Send + Sync>;

/// A lambda argument, closed over the row that it is used in.
pub type LambdaFn<'a> = dyn Fn(&[Value]) -> Result<Value, EvalError> + 'a;

/// The arguments of one call. A lambda's slot in `values` is null; the lambda stands in `lambdas`, in order. A unit's
/// slot holds its name as a string, upper case and plural (`DAYS`).
pub struct Args<'a> {
    pub values: &'a mut [Value],
    pub lambdas: &'a [&'a LambdaFn<'a>],
}

/// What is known of a call before any row.
pub struct ConstArgs<'a> {
    pub types: &'a [Option<crate::types::SqlType>],
    /// The value of each argument that is a literal.
    pub constants: &'a [Option<Value>],
    pub return_type: &'a crate::types::SqlType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_documented_once() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name), "names are unique and sorted");
        for function in ALL {
            let name = function.name;
            assert!(function.spelling.eq_ignore_ascii_case(name) && name == name.to_uppercase(), "{name}");
            assert!(!matches!(function.category, Category::Aggregate | Category::Table), "{name}");
            assert!(!function.description.is_empty() && !function.examples.is_empty() && !function.variants.is_empty(), "{name}");
            assert!(function.examples.iter().all(|example| example.sql.contains(name) && !example.result.is_empty()), "{name}");
            for variant in function.variants {
                assert!(!variant.description.is_empty(), "{name}");
                assert!(variant.params.iter().all(|p| !p.name.is_empty() && !p.description.is_empty()), "{name}");
                assert!(variant.variadic.is_none_or(|index| index < variant.params.len()), "{name}");
            }
        }
    }

    /// Every example of the documentation, evaluated.
    #[test]
    fn examples_hold() {
        use crate::expr::{Env, Scope, compile, text::write_value};
        let meta = crate::row::RowMeta::default();
        for (name, example) in ALL.iter().flat_map(|function| function.examples.iter().map(|example| (function.name, example))) {
            let parsed = tidemill_parser::parse_expression(example.sql).unwrap_or_else(|why| panic!("{name}: {why}"));
            let compiled = compile(&parsed, &Scope::literals("no column here: ")).unwrap_or_else(|why| panic!("{name}: {why}"));
            let value = compiled.eval_value(&Env::new(&[], &meta)).unwrap_or_else(|why| panic!("{name}: {why}"));
            let sql_type = compiled.sql_type.unwrap_or(crate::types::SqlType::String);
            let mut shown = String::new();
            write_value(&value, &sql_type, &mut shown);
            assert_eq!(shown, example.result, "{name}: {}", example.sql);
        }
    }
}
