//! `docs/configuration.md`: its tables are written from the properties' own, so that they can't go stale.

use super::kind::Kind;
use super::table::{self, GROUPS, PREFIXES, Role};
use super::{ConfigBuilder, streams};

/// Every name in ksqlDB's configuration reference and in the classes that it reads its configuration with.
const NAMES_OF_KSQLDB: &str = include_str!("ksqldb_names.txt");

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
    out + &without_effect() + "\n"
}

/// The names that nothing comes of, and those that are refused, by their reasons, as they come in the tables.
fn without_effect() -> String {
    let own = GROUPS.iter().flat_map(|(_, properties)| *properties).map(|p| (p.name.to_owned(), p.role, p.doc));
    let begins = PREFIXES.iter().map(|(name, role, doc)| (format!("{name}…"), *role, *doc));
    let clients = streams::GROUPS.iter().flat_map(|(_, properties)| *properties).map(|p| (p.name.to_owned(), p.role, p.doc));
    let all: Vec<(String, Role, &str)> = own.chain(begins).chain(clients).collect();
    let mut out = "\n\n## All that has no effect".to_owned();
    for (wanted, heading) in
        [(Role::Inert, "Taken, and nothing comes of it"), (Role::Refused, "Refused where it asks for something else than the default")]
    {
        let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
        let mut count = 0;
        for (name, _, doc) in all.iter().filter(|(_, role, _)| *role == wanted) {
            count += 1;
            match reasons.iter_mut().find(|(known, _)| known == doc) {
                Some((_, names)) => names.push(format!("`{name}`")),
                None => reasons.push((*doc, vec![format!("`{name}`")])),
            }
        }
        out.push_str(&format!("\n\n{heading} ({count}):\n\n| why | properties |\n|---|---|"));
        for (doc, names) in reasons {
            out.push_str(&format!("\n| {} | {} |", cell(doc), names.join(", ")));
        }
    }
    out
}

/// What the chapters say in prose goes stale first: a property that they name must be one, of the server or of a client's file.
#[test]
fn every_property_that_a_chapter_names_is_there() {
    const OF_CLIENTS: [&str; 4] = ["tidemill.client.", "ksql.server.url", "ksql.auth.basic.", "ksql.migrations."];
    /// Headers of dead letters.
    const HEADERS: &str = "tidemill.letter.";
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    let (mut unknown, mut named) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).expect("docs").map(|entry| entry.expect("an entry").path()) {
        if entry.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let page = std::fs::read_to_string(&entry).expect("a chapter");
        // What stands between back quotes, every other piece of a line.
        for quoted in page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
            let name = quoted.split('=').next().unwrap_or_default();
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.') && !name.ends_with('.');
            if !is_name || !(name.starts_with("ksql.") || name.starts_with("tidemill.")) || name.starts_with(HEADERS) {
                continue;
            }
            named += 1;
            let is_there = table::property(name).is_some() || streams::find(name).is_some();
            if !is_there && !OF_CLIENTS.iter().any(|of| name.starts_with(of)) {
                unknown.push(format!("{}: {name}", entry.display()));
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new());
    assert!(named > 300, "only {named} names are found in the chapters");
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

/// A property as the manual has it: the name of its row, and what is said there.
struct Row {
    name: String,
    kind: Kind,
    role: Role,
    doc: &'static str,
    default: Option<&'static str>,
}

/// The row of a name: its own, or that of how it begins.
fn row(name: &str) -> Option<Row> {
    if let Some(p) = table::property(name) {
        return Some(Row { name: p.name.to_owned(), kind: p.kind, role: p.role, doc: p.doc, default: p.default });
    }
    if let Some(p) = streams::find(name) {
        return Some(Row { name: p.name.to_owned(), kind: p.kind, role: p.role, doc: p.doc, default: p.listed });
    }
    let (begins, role, doc) = PREFIXES.iter().find(|(begins, ..)| name.starts_with(begins))?;
    Some(Row { name: format!("{begins}…"), kind: Kind::Text, role: *role, doc, default: None })
}

/// A value that a property takes and that says more than its default.
fn other(kind: Kind, default: Option<&str>) -> String {
    let default = default.unwrap_or_default();
    let one_of = |words: &[&str]| words.iter().find(|word| !word.eq_ignore_ascii_case(default)).copied().unwrap_or_default().to_owned();
    match kind {
        Kind::Bool => one_of(&["true", "false"]),
        Kind::Int { min } => one_of(&[&min.saturating_add(7).to_string(), &min.to_string()]),
        Kind::Long { min } => one_of(&[&min.saturating_add(7).to_string(), &min.to_string()]),
        Kind::Within { min, max } => one_of(&[&max.to_string(), &min.to_string()]),
        Kind::Double => one_of(&["0.5", "0.25"]),
        Kind::OneOf(words) | Kind::SomeOf(words) => one_of(words),
        Kind::OffsetReset => one_of(&["latest", "earliest"]),
        Kind::Copies { .. } => one_of(&["1", "2"]),
        Kind::Origins => "https://app.example.com".to_owned(),
        Kind::Paths => "/info".to_owned(),
        Kind::Reached | Kind::Brokers => "host:9092".to_owned(),
        Kind::Text | Kind::List | Kind::Secret | Kind::TopicPart { .. } | Kind::Patterns | Kind::Tokens | Kind::Label | Kind::Source => {
            "x".to_owned()
        }
    }
}

#[test]
fn every_name_of_ksqldb_stands_in_the_manual_and_comes_to_what_it_says() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md")).expect("docs/configuration.md");
    for name in NAMES_OF_KSQLDB.split_whitespace() {
        let row = row(name).unwrap_or_else(|| panic!("{name} is unknown"));
        let begins = format!("| `{}` |", row.name);
        let says = |line: &str| line.ends_with(&format!("| {} | {} |", role(row.role), cell(row.doc)));
        assert!(row.doc.ends_with('.'), "{name}: a sentence says what it does, or why nothing: {}", row.doc);
        assert!(page.lines().any(|line| line.starts_with(&begins) && says(line)), "{name} has no row {begins}");

        let value = other(row.kind, row.default);
        if value.is_empty() {
            // There is one value only.
            continue;
        }
        match (row.role, ConfigBuilder::new().set("bootstrap.servers", "broker:9092", "line 1").set(name, &value, "line 2").build()) {
            (Role::Refused, Ok(_)) => panic!("{name}={value} starts"),
            (Role::Inert, Err(error)) => panic!("{name}={value}: {error}"),
            // Some are of use only beside others, and say so.
            (_, Err(error)) => assert!(error.0.contains(name) || error.0.contains(streams::bare(name)), "{name}={value}: {error}"),
            (Role::Inert, Ok(config)) => {
                let told = config.warnings.iter().any(|warning| warning.contains(&format!("{name} (")) && warning.contains(row.doc));
                assert!(told, "{name}={value} is taken without a word: {:?}", config.warnings);
            }
            (_, Ok(config)) => {
                let told = config.warnings.iter().any(|warning| warning.starts_with("no effect here") && warning.contains(name));
                assert!(!told, "{name}={value} is listed as heeded: {:?}", config.warnings);
            }
        }
    }
}
