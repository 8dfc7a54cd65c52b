//! Which variant of a function a call means, by the types of its arguments.
//!
//! Exact types win over widened ones (INTEGER to BIGINT to DECIMAL to DOUBLE, also inside arrays and maps; STRING to
//! DATE, TIME and TIMESTAMP). Of several
//! that take the arguments, those without repeating parameters and with fewer type variables win, then the narrowest,
//! then the first. Variants with repeating parameters that are no better than each other are ambiguous: an error.

use std::collections::BTreeMap;
use std::fmt;

use super::{AggregateVariant, Param, ParamType, ScalarVariant, TableVariant};
use crate::types::SqlType;

/// What is known of an argument before the variant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgType {
    /// A bare null, which is of every type.
    Null,
    Sql(SqlType),
    /// A lambda with that many parameters.
    Lambda(usize),
    /// A unit of time.
    Unit,
}

impl fmt::Display for ArgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArgType::Null => f.write_str("null"),
            ArgType::Sql(sql_type) => sql_type.fmt(f),
            ArgType::Lambda(_) => f.write_str("LAMBDA"),
            ArgType::Unit => f.write_str("INTERVALUNIT"),
        }
    }
}

/// A signature among several.
pub trait Signature {
    fn params(&self) -> &'static [Param];
    /// The index of the parameter that may repeat.
    fn variadic(&self) -> Option<usize>;
}

impl Signature for ScalarVariant {
    fn params(&self) -> &'static [Param] {
        self.params
    }
    fn variadic(&self) -> Option<usize> {
        self.variadic
    }
}

impl Signature for AggregateVariant {
    fn params(&self) -> &'static [Param] {
        self.params
    }
    fn variadic(&self) -> Option<usize> {
        self.variadic
    }
}

impl Signature for TableVariant {
    fn params(&self) -> &'static [Param] {
        self.params
    }
    fn variadic(&self) -> Option<usize> {
        None
    }
}

/// What type variables stand for in a call.
pub type Vars = BTreeMap<char, SqlType>;

/// The variant that a call means.
#[derive(Debug)]
pub struct Resolved<V: 'static> {
    pub variant: &'static V,
    /// The parameter of each argument.
    pub params: Vec<ParamType>,
    /// What the arguments that aren't lambdas say of the type variables.
    pub vars: Vars,
}

/// Chooses a variant; `widening` lets numbers widen (aggregates and table functions take exact types only).
///
/// # Errors
/// None takes the arguments, or several do equally well; the text names the function by its `spelling`.
pub fn resolve<V: Signature>(spelling: &str, variants: &'static [V], args: &[ArgType], widening: bool) -> Result<Resolved<V>, String> {
    for widen in [false, true].into_iter().take(1 + usize::from(widening)) {
        let mut candidates: Vec<(Rank, Resolved<V>)> = variants.iter().filter_map(|v| candidate(v, args, widen)).collect();
        // Stable: equals stay in the order of declaration.
        candidates.sort_by_key(|(rank, _)| *rank);
        let mut candidates = candidates.into_iter();
        if let Some((best, resolved)) = candidates.next() {
            let ambiguous = best.variadic && candidates.next().is_some_and(|(next, _)| best.is_no_better(&next));
            if ambiguous {
                return Err(format!("Function '{spelling}' cannot be resolved due to ambiguous method parameters ({}).", list(args)));
            }
            return Ok(resolved);
        }
    }
    let alternatives: String = variants.iter().map(|v| format!("\n{}", signature(spelling, v))).collect();
    Err(format!(
        "Function '{spelling}' does not accept parameters ({}).\nValid alternatives are:{alternatives}\nFor detailed information on a function run: DESCRIBE FUNCTION <Function-Name>;",
        list(args)
    ))
}

fn list(args: &[ArgType]) -> String {
    args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How good a candidate is; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    variadic: bool,
    variables: usize,
    /// Steps of widening over all arguments.
    widened: u32,
}

impl Rank {
    fn is_no_better(&self, other: &Rank) -> bool {
        (self.variadic, self.variables) == (other.variadic, other.variables)
    }
}

fn candidate<V: Signature>(variant: &'static V, args: &[ArgType], widen: bool) -> Option<(Rank, Resolved<V>)> {
    let params = (0..args.len()).map(|index| param_at(variant, index, args.len())).collect::<Option<Vec<_>>>()?;
    let least = variant.params().len() - usize::from(variant.variadic().is_some());
    if args.len() < least {
        return None;
    }
    let mut vars = Vars::new();
    let mut widened = 0;
    for (param, arg) in params.iter().zip(args) {
        widened += match (param, arg) {
            (ParamType::Lambda(inputs, _), ArgType::Lambda(count)) if inputs.len() == *count => 0,
            (ParamType::Lambda(..), _) | (_, ArgType::Lambda(_)) => return None,
            (ParamType::Unit, ArgType::Unit) => 0,
            (ParamType::Unit, _) | (_, ArgType::Unit) => return None,
            (_, ArgType::Null) => 0,
            (param, ArgType::Sql(sql_type)) => takes(param, sql_type, widen, &mut vars)?,
        };
    }
    let variables = variant.params().iter().map(|p| variables(&p.param_type)).sum();
    Some((Rank { variadic: variant.variadic().is_some(), variables, widened }, Resolved { variant, params, vars }))
}

/// The parameter that argument `index` of `count` goes to.
fn param_at<V: Signature>(variant: &V, index: usize, count: usize) -> Option<ParamType> {
    let params = variant.params();
    let at = match variant.variadic() {
        Some(repeated) if index >= repeated => {
            let behind = params.len() - repeated - 1;
            // Those behind the repeating one are counted from the end.
            if index + behind >= count { (index + params.len()).checked_sub(count)? } else { repeated }
        }
        _ => index,
    };
    params.get(at).map(|p| p.param_type)
}

fn variables(param: &ParamType) -> usize {
    match param {
        ParamType::Var(_) | ParamType::Any => 1,
        ParamType::Array(item) => variables(item),
        ParamType::Map(key, item) => variables(key) + variables(item),
        _ => 0,
    }
}

/// The steps of widening by which a parameter takes a type; `None` where it doesn't. Notes type variables.
fn takes(param: &ParamType, found: &SqlType, widen: bool, vars: &mut Vars) -> Option<u32> {
    match (param, found) {
        (ParamType::Any, _) | (ParamType::Struct, SqlType::Struct(_)) => Some(0),
        (ParamType::Var(name), _) => bind(*name, found, vars).then_some(0),
        (ParamType::Array(item), SqlType::Array(found)) => takes(item, found, widen, vars),
        (ParamType::Map(key, item), SqlType::Map(found_key, found)) => {
            Some(takes(key, found_key, widen, vars)? + takes(item, found, widen, vars)?)
        }
        _ => {
            if matches!(param, ParamType::Decimal) && matches!(found, SqlType::Decimal { .. }) || simple(param).as_ref() == Some(found) {
                return Some(0);
            }
            if *found == SqlType::String && matches!(param, ParamType::Date | ParamType::Time | ParamType::Timestamp) {
                return widen.then_some(1);
            }
            let step = |from: u32, to: u32| (widen && from < to).then(|| to - from);
            step(number_rank_of_type(found)?, number_rank(param)?)
        }
    }
}

/// Notes that a type variable stands for a type. False where it stands for another one already; a DECIMAL grows to hold both.
pub fn bind(name: char, found: &SqlType, vars: &mut Vars) -> bool {
    let Some(known) = vars.get_mut(&name) else {
        vars.insert(name, found.clone());
        return true;
    };
    match (&*known, found) {
        (SqlType::Decimal { precision: p1, scale: s1 }, SqlType::Decimal { precision: p2, scale: s2 }) => {
            let scale = *s1.max(s2);
            *known = SqlType::Decimal { precision: (p1 - s1).max(p2 - s2) + scale, scale };
            true
        }
        (known, found) => known == found,
    }
}

/// Notes what a lambda's body says of the type variables in the type it was declared with. False where they don't fit.
pub fn bind_result(declared: &ParamType, found: &SqlType, vars: &mut Vars) -> bool {
    takes(declared, found, true, vars).is_some()
}

fn number_rank(param: &ParamType) -> Option<u32> {
    match param {
        ParamType::Int => Some(0),
        ParamType::BigInt => Some(1),
        ParamType::Decimal => Some(2),
        ParamType::Double => Some(3),
        _ => None,
    }
}

fn number_rank_of_type(sql_type: &SqlType) -> Option<u32> {
    match sql_type {
        SqlType::Int => Some(0),
        SqlType::BigInt => Some(1),
        SqlType::Decimal { .. } => Some(2),
        SqlType::Double => Some(3),
        _ => None,
    }
}

/// The SQL type that a parameter type names all by itself.
fn simple(param: &ParamType) -> Option<SqlType> {
    Some(match param {
        ParamType::Boolean => SqlType::Boolean,
        ParamType::Int => SqlType::Int,
        ParamType::BigInt => SqlType::BigInt,
        ParamType::Double => SqlType::Double,
        ParamType::String => SqlType::String,
        ParamType::Bytes => SqlType::Bytes,
        ParamType::Time => SqlType::Time,
        ParamType::Date => SqlType::Date,
        ParamType::Timestamp => SqlType::Timestamp,
        _ => return None,
    })
}

/// The SQL type that a parameter type stands for; `None` where nothing says so (a variable that only nulls went to, a
/// DECIMAL of unknown precision).
pub fn concrete(param: &ParamType, vars: &Vars) -> Option<SqlType> {
    match param {
        ParamType::Var(name) => vars.get(name).cloned(),
        ParamType::Array(item) => concrete(item, vars).map(SqlType::array),
        ParamType::Map(key, item) => Some(SqlType::map(concrete(key, vars)?, concrete(item, vars)?)),
        other => simple(other),
    }
}

/// The type that an argument is converted to for its parameter.
pub fn target(param: &ParamType, found: &SqlType, vars: &Vars) -> SqlType {
    match (param, found) {
        (ParamType::Var(name), _) => vars.get(name).unwrap_or(found).clone(),
        (ParamType::Array(item), SqlType::Array(found)) => SqlType::array(target(item, found, vars)),
        (ParamType::Map(key, item), SqlType::Map(found_key, found)) => {
            SqlType::map(target(key, found_key, vars), target(item, found, vars))
        }
        (ParamType::Decimal, SqlType::Int) => SqlType::Decimal { precision: 10, scale: 0 },
        (ParamType::Decimal, SqlType::BigInt) => SqlType::Decimal { precision: 19, scale: 0 },
        _ => simple(param).unwrap_or_else(|| found.clone()),
    }
}

/// A variant as ksqlDB's messages show it: `substring(VARCHAR str, INT pos)`.
fn signature<V: Signature>(spelling: &str, variant: &V) -> String {
    let params = variant.params().iter().enumerate().map(|(i, p)| {
        let repeats = if variant.variadic() == Some(i) { "..." } else { "" };
        format!("{}{repeats} {}", Spelled(&p.param_type), p.name)
    });
    format!("{spelling}({})", params.collect::<Vec<_>>().join(", "))
}

/// A parameter type as messages and DESCRIBE FUNCTION spell it.
pub struct Spelled<'a>(pub &'a ParamType);

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ParamType::Boolean => f.write_str("BOOLEAN"),
            ParamType::Int => f.write_str("INT"),
            ParamType::BigInt => f.write_str("BIGINT"),
            ParamType::Double => f.write_str("DOUBLE"),
            ParamType::Decimal => f.write_str("DECIMAL"),
            ParamType::String => f.write_str("VARCHAR"),
            ParamType::Bytes => f.write_str("BYTES"),
            ParamType::Time => f.write_str("TIME"),
            ParamType::Date => f.write_str("DATE"),
            ParamType::Timestamp => f.write_str("TIMESTAMP"),
            ParamType::Unit => f.write_str("INTERVALUNIT"),
            ParamType::Var(name) => write!(f, "{name}"),
            ParamType::Array(item) => write!(f, "ARRAY<{}>", Spelled(item)),
            ParamType::Map(key, item) => write!(f, "MAP<{}, {}>", Spelled(key), Spelled(item)),
            ParamType::Struct => f.write_str("STRUCT"),
            ParamType::Lambda(inputs, body) => {
                let inputs: Vec<String> = inputs.iter().map(|p| Spelled(p).to_string()).collect();
                write!(f, "LAMBDA ({}) => {}", inputs.join(", "), Spelled(body))
            }
            ParamType::Any => f.write_str("ANY"),
        }
    }
}
