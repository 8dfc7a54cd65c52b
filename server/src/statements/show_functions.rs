//! SHOW FUNCTIONS.

use tidemill_engine::functions::{Category, aggregate, scalar, table};

use crate::entities::{Common, FunctionName, FunctionNames, KsqlEntity};

pub fn run(text: String) -> KsqlEntity {
    let scalars = scalar::all().map(|f| (f.name, "SCALAR", f.category));
    let aggregates = aggregate::ALL.iter().map(|f| (f.name, "AGGREGATE", f.category));
    let tables = table::ALL.iter().map(|f| (f.name, "TABLE", f.category));
    let functions = scalars.chain(aggregates).chain(tables).map(|(name, kind, category)| FunctionName {
        name,
        kind,
        category: category_name(name, category),
    });
    KsqlEntity::FunctionNames(FunctionNames { functions: functions.collect(), common: Common::new(text) })
}

/// ksqlDB's section of a function. Its sections part some of ours.
fn category_name(name: &str, category: Category) -> &'static str {
    match category {
        Category::Mathematical if name == "GEO_DISTANCE" => "OTHER",
        Category::Mathematical => "MATHEMATICAL",
        Category::String if name.starts_with("REGEXP_") => "REGULAR EXPRESSION",
        Category::String => "STRING",
        Category::Collections if name.contains("MAP") || name == "ENTRIES" => "MAP",
        Category::Collections => "ARRAY",
        Category::Lambda => "LAMBDA",
        Category::Json => "JSON",
        Category::Bytes if matches!(name, "TO_BYTES" | "FROM_BYTES") => "STRING",
        Category::Bytes => "CONVERSIONS",
        Category::Conditional if matches!(name, "GREATEST" | "LEAST") => "MATHEMATICAL",
        Category::Conditional => "CONDITIONAL",
        Category::DateTime => "DATE / TIME",
        Category::Url => "URL",
        Category::Aggregate => "AGGREGATE",
        Category::Table => "TABLE",
        Category::Other => "OTHER",
    }
}
