//! `docs/functions.md`: written from the functions' own data, so that it can't go stale.

use tidemill_engine::functions::registry;
use tidemill_parser::ast::Ident;

use super::describe_function;
use crate::entities::{DescribeFunction, KsqlEntity, Signature};

/// Where in the page the functions stand.
const BEGIN: &str = "<!-- From here on written by `cargo test -p tidemill-server manual` with TIDEMILL_WRITE_MANUAL=1 -->";

fn described(name: &str) -> DescribeFunction {
    match describe_function::run(&Ident::new(name), String::new()) {
        Ok(KsqlEntity::DescribeFunction(function)) => function,
        other => panic!("{name}: {other:?}"),
    }
}

/// `NAME(first TYPE, more TYPE…) → TYPE`.
fn call(name: &str, signature: &Signature) -> String {
    let arguments = signature.arguments.iter().map(|argument| {
        let more = if argument.is_variadic { "…" } else { "" };
        format!("{} {}{more}", argument.name, argument.argument_type)
    });
    format!("{name}({}) → {}", arguments.collect::<Vec<_>>().join(", "), signature.return_type)
}

fn functions() -> String {
    let mut names: Vec<&str> = registry::names().collect();
    names.sort_unstable();
    let all: Vec<DescribeFunction> = names.into_iter().map(described).collect();
    let mut out = String::new();
    for (heading, kind) in [("Scalar functions", "SCALAR"), ("Aggregate functions", "AGGREGATE"), ("Table functions", "TABLE")] {
        out.push_str(&format!("\n\n## {heading}"));
        for function in all.iter().filter(|function| function.kind == kind) {
            let calls: Vec<String> = function.functions.iter().map(|signature| call(function.name, signature)).collect();
            out.push_str(&format!("\n\n### {}\n\n{}\n\n```text\n{}\n```", function.name, function.description, calls.join("\n")));
        }
    }
    out.push('\n');
    out
}

#[test]
fn the_manual_lists_every_function_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/functions.md");
    let page = std::fs::read_to_string(path).expect("docs/functions.md");
    let (prose, listed) = page.split_once(BEGIN).expect("the mark in docs/functions.md");
    if std::env::var_os("TIDEMILL_WRITE_MANUAL").is_some() {
        std::fs::write(path, format!("{prose}{BEGIN}{}", functions())).expect("docs/functions.md");
        return;
    }
    assert!(
        listed.trim() == functions().trim(),
        "docs/functions.md is not what the functions say: run this test with TIDEMILL_WRITE_MANUAL=1"
    );
}
