//! From types as written to types: user types are looked up, parameters are checked.

use tidemill_parser::ast::{DataType, Span};

use super::Catalog;
use crate::types::SqlType;

/// Digits of a DECIMAL at most.
const MAX_DECIMAL_PRECISION: u32 = 10_000;
/// Levels of a type: as many as can be written at once. User types in user types would nest without end.
const MAX_DEPTH: usize = 201;
/// Fields and items of a type, on all levels. A user type that has two fields of another one has twice as many as that.
const MAX_PARTS: usize = 100_000;

/// Why a type as written is none, and where it stands (only user types know their place).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    pub message: String,
    pub span: Option<Span>,
}

impl TypeError {
    fn new(message: impl Into<String>) -> Self {
        TypeError { message: message.into(), span: None }
    }
}

impl Catalog {
    /// The type that `written` means.
    ///
    /// # Errors
    /// A user type that is not there, a DECIMAL with impossible digits, a STRUCT with a field twice; a type that is too large
    /// once its user types stand in it.
    pub fn resolve_type(&self, written: &DataType) -> Result<SqlType, TypeError> {
        let sql_type = self.resolve(written)?;
        check_size(&sql_type)?;
        Ok(sql_type)
    }

    fn resolve(&self, written: &DataType) -> Result<SqlType, TypeError> {
        Ok(match written {
            DataType::Boolean => SqlType::Boolean,
            DataType::Int => SqlType::Int,
            DataType::BigInt => SqlType::BigInt,
            DataType::Double => SqlType::Double,
            DataType::Decimal { precision, scale } => decimal(*precision, *scale)?,
            DataType::String => SqlType::String,
            DataType::Bytes => SqlType::Bytes,
            DataType::Time => SqlType::Time,
            DataType::Date => SqlType::Date,
            DataType::Timestamp => SqlType::Timestamp,
            DataType::Array(item) => SqlType::array(self.resolve(item)?),
            DataType::Map(key, value) => SqlType::map(self.resolve(key)?, self.resolve(value)?),
            DataType::Struct(fields) => {
                let mut resolved: Vec<(String, SqlType)> = Vec::with_capacity(fields.len());
                for (name, data_type) in fields {
                    let sql_type = self.resolve(data_type)?;
                    if let Some((_, first)) = resolved.iter().find(|(n, _)| *n == name.name) {
                        let name = &name.name;
                        return Err(TypeError::new(format!(
                            "Duplicate field names found in STRUCT: '`{name}` {first}' and '`{name}` {sql_type}'"
                        )));
                    }
                    resolved.push((name.name.clone(), sql_type));
                }
                SqlType::structure(resolved)
            }
            DataType::Custom(name) => match self.user_type(&name.name) {
                Some(sql_type) => sql_type.clone(),
                None => {
                    let mut message = format!("Cannot resolve unknown type: {}", name.name);
                    let known = self.user_types().map(|(n, _)| n).chain(BUILT_IN);
                    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == name.name).map(|(_, ours)| *ours);
                    if let Some(near) = elsewhere.or_else(|| tidemill_parser::did_you_mean(&name.name, known)) {
                        message.push_str(&format!(". Did you mean {near}?"));
                    }
                    return Err(TypeError { message, span: Some(name.span) });
                }
            },
        })
    }
}

/// Names that types have in other databases, and in messages of ksqlDB's.
const ELSEWHERE: [(&str, &str); 14] = [
    ("BLOB", "BYTES"),
    ("BOOL", "BOOLEAN"),
    ("BYTEA", "BYTES"),
    ("CHAR", "STRING"),
    ("DATETIME", "TIMESTAMP"),
    ("FLOAT", "DOUBLE"),
    ("INT64", "BIGINT"),
    ("JSON", "STRING"),
    ("LONG", "BIGINT"),
    ("NUMBER", "DECIMAL"),
    ("NUMERIC", "DECIMAL"),
    ("REAL", "DOUBLE"),
    ("SMALLINT", "INT"),
    ("TEXT", "STRING"),
];

/// Names of built-in types, for "did you mean".
const BUILT_IN: [&str; 14] = [
    "BOOLEAN",
    "INT",
    "INTEGER",
    "BIGINT",
    "DOUBLE",
    "DECIMAL",
    "STRING",
    "VARCHAR",
    "BYTES",
    "TIME",
    "DATE",
    "TIMESTAMP",
    "ARRAY",
    "STRUCT",
];

/// Whether a type is one that all else can work with: expressions can nest the columns of a query, whose columns those of
/// the next one can nest, and so on.
///
/// # Errors
/// It has too many levels or parts.
pub fn check_size(sql_type: &SqlType) -> Result<(), TypeError> {
    if fits(sql_type, MAX_DEPTH, &mut { MAX_PARTS }) {
        return Ok(());
    }
    Err(TypeError::new(format!("A type nests at most {MAX_DEPTH} levels deep and has at most {MAX_PARTS} fields and items")))
}

/// Whether a type ends within so many levels, and within the parts that are left, which it takes.
fn fits(sql_type: &SqlType, levels: usize, left: &mut usize) -> bool {
    let (Some(levels), Some(fewer)) = (levels.checked_sub(1), left.checked_sub(1)) else { return false };
    *left = fewer;
    match sql_type {
        SqlType::Array(item) => fits(item, levels, left),
        SqlType::Map(key, value) => fits(key, levels, left) && fits(value, levels, left),
        SqlType::Struct(fields) => fields.iter().all(|field| fits(&field.sql_type, levels, left)),
        _ => true,
    }
}

fn decimal(precision: u32, scale: u32) -> Result<SqlType, TypeError> {
    if precision < 1 {
        return Err(TypeError::new(format!("DECIMAL precision must be >= 1: DECIMAL({precision},{scale})")));
    }
    if precision < scale {
        return Err(TypeError::new(format!("DECIMAL precision must be >= scale: DECIMAL({precision},{scale})")));
    }
    if precision > MAX_DECIMAL_PRECISION {
        return Err(TypeError::new(format!("DECIMAL precision must be <= {MAX_DECIMAL_PRECISION}: DECIMAL({precision},{scale})")));
    }
    Ok(SqlType::Decimal { precision, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a type of the one before it, again and again; how often it can, and why not once more.
    fn made(first: SqlType, next: impl Fn(DataType) -> DataType) -> (usize, String) {
        let name = tidemill_parser::ast::Ident::new("T");
        let mut catalog = Catalog::default();
        let mut last = first;
        for count in 0..1_000 {
            catalog = catalog.with_type("T", last).expect("one of that name is replaced");
            match catalog.resolve_type(&next(DataType::Custom(name.clone()))) {
                Ok(sql_type) => last = sql_type,
                Err(error) => return (count, error.message),
            }
            catalog = catalog.without_type("T").expect("it is there");
        }
        panic!("there is no end to it");
    }

    #[test]
    fn types_of_types_come_to_an_end() {
        let field = |name: &str, data_type| (tidemill_parser::ast::Ident::new(name), data_type);
        let (count, why) = made(SqlType::Int, |t| DataType::Struct(vec![field("A", t.clone()), field("B", t)]));
        assert_eq!(count, 15, "2^16 fields, and the structs around them");
        assert!(why.contains("at most 100000 fields"), "{why}");
        let (count, _) = made(SqlType::Int, |t| DataType::Array(Box::new(t)));
        assert_eq!(count, 200);
    }
}
