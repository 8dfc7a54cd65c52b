//! Public client libraries for ksqlDB, unmodified, and what of them works; `docs/clients.md` holds the table.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value as Json;
use tidemill_tests::broker::BrokerError;
use tidemill_tests::libraries::Libraries;
use tidemill_tests::server::ServerProcess;

/// The clients, with the language that they are of.
const CLIENTS: [(&str, &str); 9] = [
    ("PyPI", "ksql-python-ng"),
    ("PyPI", "ksqldb"),
    ("PyPI", "ksqldb-client"),
    ("PyPI", "jetblack-ksql-dbapi"),
    ("npm", "ksqldb-js"),
    ("npm", "ksqldb-client"),
    ("npm", "ksqldb-client-node"),
    ("npm", "cubejs-ksql-driver"),
    ("crate", "ksqldb"),
];
/// What does not work, and why.
const KNOWN: [(&str, &str, &str, &str); 4] = [
    ("PyPI", "ksqldb", "stop: hang up", "the library keeps its connection until the process ends"),
    ("PyPI", "jetblack-ksql-dbapi", "stop: hang up", "the library keeps its connection until it is closed"),
    ("npm", "ksqldb-client", "INSERT VALUES", "the library reads the first of no answers"),
    ("npm", "ksqldb-client", "stop: TERMINATE", "the library can't read the answer about a push query; its own call to end one works"),
];
const BEGIN: &str = "<!-- table: the tests write it -->\n";
const END: &str = "<!-- end of the table -->\n";

#[test]
fn public_clients_work_unmodified() {
    let languages = [("PyPI", Libraries::python()), ("npm", Libraries::node()), ("crate", Libraries::rust())];
    for (language, libraries) in &languages {
        match libraries {
            Ok(_) => {}
            Err(BrokerError::Missing(why)) => return say(&format!("\nSKIPPED: public_clients_work_unmodified: {language}: {why}")),
            Err(error) => panic!("{language}: {error:?}"),
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = ServerProcess::start(&folder.path().join("data"), &[]);
    let url = format!("http://{}", server.address());
    let mut rows = Vec::new();
    let mut is_whole = true;
    let mut wrong = Vec::new();
    for (language, client) in CLIENTS {
        let (_, libraries) = languages.iter().find(|(l, _)| *l == language).expect("its language");
        if !libraries.as_ref().expect("checked").has(client) {
            say(&format!("{client} needs a newer Python than there is; the table of clients is not compared"));
            is_whole = false;
            continue;
        }
        let outcome = libraries.as_ref().expect("checked").drive(client, &url).unwrap_or_else(|e| panic!("{e:?}\n{}", server.log()));
        let outcome = outcome.as_object().cloned().expect("an object");
        for (call, said) in &outcome {
            let known = known(language, client, call);
            match (said.as_str(), known) {
                (Some("ok"), Some(_)) => wrong.push(format!("{client}: {call} works; it is listed as if not")),
                (Some("ok" | "-"), _) | (_, Some(_)) => {}
                (said, None) => wrong.push(format!("{client}: {call}: {said:?}")),
            }
        }
        rows.push((language, client, outcome));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    if is_whole {
        check_page(&table(&rows));
    }
}

/// Past the test harness's capture.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn known(language: &str, client: &str, call: &str) -> Option<usize> {
    KNOWN.iter().position(|(l, of, what, _)| (*l, *of, *what) == (language, client, call))
}

fn table(rows: &[(&str, &str, serde_json::Map<String, Json>)]) -> String {
    let mut out = String::from("| call |");
    for (language, client, _) in rows {
        write!(out, " {language} {client} |").expect("a text");
    }
    out += "\n|---|";
    out += &"---|".repeat(rows.len());
    for call in rows.first().map(|(.., outcome)| outcome.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
        write!(out, "\n| {call} |").expect("a text");
        for (language, client, outcome) in rows {
            let cell = match (outcome.get(&call).and_then(Json::as_str), known(language, client, &call)) {
                (_, Some(at)) => format!("no ({})", at + 1),
                (Some("ok"), None) => "yes".to_owned(),
                _ => "–".to_owned(),
            };
            write!(out, " {cell} |").expect("a text");
        }
    }
    out += "\n\n";
    for (at, (.., why)) in KNOWN.iter().enumerate() {
        writeln!(out, "{}. {why}", at + 1).expect("a text");
    }
    out
}

/// The table stands in the page as it was found; `TIDEMILL_WRITE_MANUAL=1` writes it there.
fn check_page(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");
    let page = std::fs::read_to_string(path).expect("docs/clients.md");
    let (head, rest) = page.split_once(BEGIN).expect("the mark before the table");
    let (found, tail) = rest.split_once(END).expect("the mark behind the table");
    if std::env::var_os("TIDEMILL_WRITE_MANUAL").is_some() {
        std::fs::write(path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("docs/clients.md");
        return;
    }
    assert_eq!(found, table, "run this test with TIDEMILL_WRITE_MANUAL=1");
}
