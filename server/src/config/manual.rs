//! `docs/configuration.md`: its tables are written from the properties' own, so that they can't go stale.

use super::streams;
use super::table::{GROUPS, PREFIXES, Role};

/// Where in the page the tables stand.
const BEGIN: &str = "<!-- From here on written by `cargo test -p tidemill-server manual` with TIDEMILL_WRITE_MANUAL=1 -->";

fn role(role: Role) -> &'static str {
    match role {
        Role::Server => "at the start",
        Role::Session => "at the start, by SET",
        Role::Client => "at the start, for Kafka",
        Role::Tuning => "at the start, for Kafka: speed only",
        Role::Inert => "no meaning here",
        Role::Refused => "refused",
    }
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn default(value: Option<&str>) -> String {
    value.filter(|v| !v.is_empty()).map(|v| format!("`{}`", cell(v))).unwrap_or_default()
}

fn tables() -> String {
    let mut out = String::new();
    let mut table = |heading: &str, rows: Vec<[String; 5]>| {
        out.push_str(&format!("\n\n## {heading}\n\n| property | default | values | heeded | |\n|---|---|---|---|---|"));
        for row in rows {
            out.push_str(&format!("\n| {} |", row.join(" | ")));
        }
    };
    for (heading, properties) in GROUPS {
        let rows = properties
            .iter()
            .map(|p| [format!("`{}`", p.name), default(p.default), cell(&p.kind.to_string()), role(p.role).to_owned(), cell(p.doc)]);
        table(heading, rows.collect());
    }
    let prefixes =
        PREFIXES.iter().map(|(name, r, doc)| [format!("`{}…`", name), String::new(), "text".to_owned(), role(*r).to_owned(), cell(doc)]);
    table("Names that begin so", prefixes.collect());
    for (heading, properties) in streams::GROUPS {
        let rows = properties
            .iter()
            .map(|p| [format!("`{}`", p.name), default(p.listed), cell(&p.kind.to_string()), role(p.role).to_owned(), cell(p.doc)]);
        table(heading, rows.collect());
    }
    out.push('\n');
    out
}

#[test]
fn the_manual_lists_every_property_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = std::fs::read_to_string(path).expect("docs/configuration.md");
    let (prose, listed) = page.split_once(BEGIN).expect("the mark in docs/configuration.md");
    if std::env::var_os("TIDEMILL_WRITE_MANUAL").is_some() {
        std::fs::write(path, format!("{prose}{BEGIN}{}", tables())).expect("docs/configuration.md");
        return;
    }
    let (listed, tables): (Vec<&str>, String) = (listed.trim().lines().collect(), tables());
    let tables: Vec<&str> = tables.trim().lines().collect();
    for (at, (found, expected)) in listed.iter().zip(&tables).enumerate() {
        assert_eq!(found, expected, "line {at} of the tables: run this test with TIDEMILL_WRITE_MANUAL=1");
    }
    assert_eq!(listed.len(), tables.len(), "run this test with TIDEMILL_WRITE_MANUAL=1");
}
