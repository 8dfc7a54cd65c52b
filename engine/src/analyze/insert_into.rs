//! INSERT INTO … SELECT: whether the result fits the sink.

use tidemill_parser::ast::{CastTarget, Expr, ExprKind};

use super::error::{Problem, Problems};
use crate::catalog::{Source, SourceKind};
use crate::plan::{Step, StepKind};
use crate::types::{Column, Schema, SqlType};

/// Whether a query may write into the source.
pub(crate) fn check_target(target: &Source) -> Result<(), Problem> {
    let name = &target.name;
    if target.kind == SourceKind::Table {
        let message = format!("INSERT INTO can only be used to insert into a stream. {name} is a table.");
        return Err(Problem::new(message).while_(super::error::QUALIFYING));
    }
    if target.read_only {
        return Err(Problem::new(format!("Cannot insert into read-only stream: {name}")));
    }
    if !target.headers.is_empty() {
        return Err(Problem::new(format!("Cannot insert into {name} because it has header columns")));
    }
    Ok(())
}

/// The steps with their columns in the types of the sink: numbers are widened, all else must be the same.
pub(crate) fn fit(step: Step, target: &Source, problems: &mut Problems) -> Step {
    if step.windowed_key() != target.format.windowed_key {
        let said = |windowed: bool| if windowed { "windowed" } else { "not windowed" };
        problems.add(Problem::new(format!(
            "Incompatible windows between results and sink. The result is {}, {} is {}.",
            said(step.windowed_key().is_some()),
            target.name,
            said(target.is_windowed())
        )));
    }
    let fits = |from: &[Column], to: &[Column]| {
        from.len() == to.len()
            && from.iter().zip(to).all(|(f, t)| f.name == t.name && (f.sql_type == t.sql_type || widens(&f.sql_type, &t.sql_type)))
    };
    if !fits(&step.schema.key, &target.schema.key) || !fits(&step.schema.value, &target.schema.value) {
        problems.add(Problem::new(format!(
            "Incompatible schema between results and sink.\nResult schema is {}\nSink schema is {}",
            step.schema, target.schema
        )));
        return step;
    }
    if step.schema == target.schema {
        return step;
    }
    cast(step, &target.schema)
}

/// Whether a number of one type fits another without loss, as ksqlDB widens them.
fn widens(from: &SqlType, to: &SqlType) -> bool {
    use SqlType::{BigInt, Decimal, Double, Int};
    match (from, to) {
        (Int, BigInt | Double) | (BigInt, Double) | (Decimal { .. }, Double) => true,
        (Int, Decimal { precision, scale }) => precision.saturating_sub(*scale) >= 10,
        (BigInt, Decimal { precision, scale }) => precision.saturating_sub(*scale) >= 19,
        (Decimal { precision: p, scale: s }, Decimal { precision, scale }) => {
            scale >= s && precision.saturating_sub(*scale) >= p.saturating_sub(*s)
        }
        _ => false,
    }
}

/// A step behind the projection that casts what differs.
fn cast(input: Step, to: &Schema) -> Step {
    let cast_to = |from: &Column, to: &Column| {
        let column = Expr::column(from.name.clone());
        if from.sql_type == to.sql_type {
            return column;
        }
        Expr::new(ExprKind::Cast {
            expr: Box::new(column),
            to: CastTarget { data_type: to.sql_type.to_ast(), span: tidemill_parser::ast::Span::default() },
        })
    };
    let input = if input.schema.key == to.key {
        input
    } else {
        let named = input.schema.key.iter().zip(&to.key);
        let keys = named.map(|(f, t)| crate::plan::NamedExpr { name: t.name.clone(), expr: cast_to(f, t).to_string() }).collect();
        let schema = Schema { key: to.key.clone(), value: input.schema.value.clone() };
        Step { kind: StepKind::SelectKey { input: Box::new(input), keys, repartition: None }, schema }
    };
    let items = input.schema.value.iter().zip(&to.value).map(|(f, t)| (t.clone(), cast_to(f, t))).collect();
    let key_names = input.schema.key.iter().map(|c| c.name.clone()).collect();
    super::steps::select(input, key_names, items)
}
