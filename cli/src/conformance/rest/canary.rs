//! Expectations that were altered on purpose: a runner that lets one pass would let a defect pass.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::case::{Expected, RestCase, load};
use super::requests::{PATIENCE, run};

/// An altered case is as wrong in a moment as for ever.
const MOMENT: Duration = Duration::from_millis(300);

fn own_cases() -> Vec<RestCase> {
    load(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance/rest/basics.json")).expect("cases")
}

#[test]
fn own_cases_pass() {
    for case in own_cases() {
        assert_eq!(run(&case, PATIENCE), Ok(()), "{}", case.plain.name);
    }
}

/// Every altered form of a case.
fn altered(case: &RestCase) -> Vec<(String, RestCase)> {
    let mut planted = Vec::new();
    let mut add = |what: String, change: &dyn Fn(&mut RestCase)| {
        let mut altered = case.clone();
        change(&mut altered);
        planted.push((format!("{}: {what}", case.plain.name), altered));
    };
    if case.expected_error.is_some() {
        add("no error".into(), &|c| c.expected_error = None);
        add("another message".into(), &|c| c.expected_error.as_mut().expect("an error").message.push('?'));
        add("another status".into(), &|c| c.expected_error.as_mut().expect("an error").status = Some(418));
        add("another kind".into(), &|c| c.expected_error.as_mut().expect("an error").kind = Some("planted_error"));
    }
    if !case.plain.outputs.is_empty() {
        add("another output".into(), &|c| c.plain.outputs[0].value["PLANTED"] = json!(7));
        add("an output too many".into(), &|c| c.plain.outputs.push(c.plain.outputs[0].clone()));
    }
    for (index, response) in case.responses.iter().enumerate() {
        let entries = |c: &mut RestCase, change: &dyn Fn(&mut Vec<Json>)| match &mut c.responses[index] {
            Expected::Query(entries) | Expected::Messages(entries) => change(entries),
            Expected::Admin(admin) => admin["@type"] = json!("planted"),
        };
        add(format!("response {index} without its last entry"), &|c| entries(c, &|entries| drop(entries.pop())));
        if matches!(response, Expected::Admin(_)) {
            continue;
        }
        add(format!("response {index} with a row twice"), &|c| entries(c, &|entries| entries.insert(1, entries[1].clone())));
        add(format!("response {index} with another schema"), &|c| {
            entries(c, &|entries| entries[0]["header"]["schema"] = json!("`X` INTEGER"))
        });
        add(format!("response {index} with another row"), &|c| {
            entries(c, &|entries| match &mut entries[1]["row"] {
                Json::String(text) => text.push_str("PLANTED: 1\n"),
                row => row["columns"][0] = json!("planted"),
            });
        });
        if case.verifies_order {
            add(format!("response {index} in another order"), &|c| entries(c, &|entries| entries.swap(1, 2)));
        }
    }
    planted
}

#[test]
fn altered_expectations_fail() {
    let planted: Vec<_> = own_cases().iter().flat_map(altered).collect();
    assert!(planted.len() > 20, "{}", planted.len());
    for (what, case) in planted {
        assert!(run(&case, MOMENT).is_err(), "{what} passes");
    }
}
