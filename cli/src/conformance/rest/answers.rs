//! Whether an answer is the expected one. What is expected is a part of what is answered: members that are not listed are not
//! compared, and one named `x|starts_with` says how `x` begins. Within a row everything counts.

use serde_json::Value as Json;

use crate::conformance::compare::same_number;

/// Stands for the text of the statement that is answered.
const STATEMENT: &str = "{STATEMENT}";
/// Behind the name of a member whose beginning is told.
const STARTS_WITH: &str = "|starts_with";

/// The first difference between an entity and what is expected of it.
pub(super) fn admin_difference(expected: &Json, actual: &Json, statement: &str) -> Option<String> {
    part("$", expected, actual, statement)
}

/// The first difference between the entries of an answer and the expected ones. Rows come in any order unless `in_order`.
pub(super) fn query_difference(expected: &[Json], actual: &[Json], statement: &str, in_order: bool) -> Option<String> {
    let is_row = |entry: &&Json| entry.get("row").is_some();
    let (wanted, found): (Vec<&Json>, Vec<&Json>) = (expected.iter().filter(is_row).collect(), actual.iter().filter(is_row).collect());
    let rows = |rows: &[&Json]| rows.iter().map(|row| row["row"].to_string()).collect::<Vec<_>>().join(", ");
    if wanted.len() != found.len() {
        return Some(format!("{} rows expected, got {}: [{}]", wanted.len(), found.len(), rows(&found)));
    }
    let others = |entries: &[Json]| entries.iter().filter(|entry| !is_row(entry)).cloned().collect::<Vec<_>>();
    let (wanted_others, found_others) = (others(expected), others(actual));
    if wanted_others.len() != found_others.len() {
        return Some(format!("besides rows expected {}, got {}", Json::Array(wanted_others), Json::Array(found_others)));
    }
    for (wanted, found) in wanted_others.iter().zip(&found_others) {
        if let Some(difference) = part("$", wanted, found, statement) {
            return Some(difference);
        }
    }
    if in_order {
        return wanted.iter().zip(&found).find_map(|(wanted, found)| part("$", wanted, found, statement));
    }
    let mut left = found.clone();
    for row in wanted {
        match left.iter().position(|found| part("$", row, found, statement).is_none()) {
            Some(index) => drop(left.swap_remove(index)),
            None => return Some(format!("no row is {}; got [{}]", row["row"], rows(&found))),
        }
    }
    None
}

/// The first difference, where members that are not expected do not count.
fn part(path: &str, expected: &Json, actual: &Json, statement: &str) -> Option<String> {
    let Json::Object(expected) = expected else { return exact(path, expected, actual, statement) };
    expected.iter().find_map(|(name, value)| match (name.strip_suffix(STARTS_WITH), value.as_str()) {
        (Some(name), Some(beginning)) => {
            let found = actual.get(name).and_then(Json::as_str).unwrap_or_default();
            (!found.starts_with(beginning)).then(|| format!("{path}.{name}: expected to begin with {beginning}, got {found}"))
        }
        _ => match actual.get(name) {
            Some(found) => part(&format!("{path}.{name}"), value, found, statement),
            None => (!value.is_null()).then(|| format!("{path}.{name}: missing, expected {value}")),
        },
    })
}

/// The first difference, where everything counts.
fn exact(path: &str, expected: &Json, actual: &Json, statement: &str) -> Option<String> {
    let different = || Some(format!("{path}: expected {expected}, got {actual}"));
    match (expected, actual) {
        (Json::Array(wanted), Json::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).enumerate().find_map(|(i, (wanted, found))| exact(&format!("{path}[{i}]"), wanted, found, statement))
        }
        (Json::Object(wanted), Json::Object(found)) if wanted.len() == found.len() => wanted.iter().find_map(|(name, wanted)| {
            let path = format!("{path}.{name}");
            match found.get(name) {
                Some(found) => exact(&path, wanted, found, statement),
                None => Some(format!("{path}: missing, expected {wanted}")),
            }
        }),
        (Json::Number(wanted), Json::Number(found)) if same_number(&wanted.to_string(), &found.to_string()) => None,
        (Json::String(wanted), Json::String(found)) if wanted.replace(STATEMENT, statement) == *found => None,
        _ if expected == actual => None,
        _ => different(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_listed_does_not_count_outside_of_rows() {
        for (expected, actual, agree) in [
            (json!({"@type": "currentStatus"}), json!({"@type": "currentStatus", "warnings": []}), true),
            (json!({"@type": "currentStatus"}), json!({"@type": "streams"}), false),
            (json!({"statementText": "{STATEMENT}"}), json!({"statementText": "SHOW STREAMS;"}), true),
            (json!({"statementText": "{STATEMENT}"}), json!({"statementText": "SHOW TABLES;"}), false),
            (json!({"queryId|starts_with": "CTAS_"}), json!({"queryId": "CTAS_T_1"}), true),
            (json!({"queryId|starts_with": "CTAS_"}), json!({"queryId": "CSAS_T_1"}), false),
            (json!({"queryId|starts_with": "CTAS_"}), json!({}), false),
            (json!({"row": {"columns": [{"A": 1}]}}), json!({"row": {"columns": [{"A": 1, "B": 2}]}}), false),
            (json!({"row": {"columns": [1.50]}}), json!({"row": {"columns": [1.5]}}), true),
            (json!({"row": {"columns": [1]}}), json!({"row": {"columns": ["1"]}}), false),
        ] {
            assert_eq!(admin_difference(&expected, &actual, "SHOW STREAMS;").is_none(), agree, "{expected} {actual}");
        }
    }

    #[test]
    fn rows_come_in_any_order_unless_that_counts() {
        let row = |n: i32| json!({"row": {"columns": [n]}});
        let header = json!({"header": {"schema": "`A` INTEGER"}});
        let expected = [header.clone(), row(1), row(2), row(2)];
        for (actual, any, ordered) in [
            (vec![header.clone(), row(1), row(2), row(2)], true, true),
            (vec![header.clone(), row(2), row(1), row(2)], true, false),
            (vec![header.clone(), row(1), row(1), row(2)], false, false),
            (vec![header.clone(), row(1), row(2)], false, false),
            (vec![header.clone(), row(1), row(2), row(2), json!({"finalMessage": "Limit Reached"})], false, false),
            (vec![json!({"header": {"schema": "`B` INTEGER"}}), row(1), row(2), row(2)], false, false),
        ] {
            assert_eq!(query_difference(&expected, &actual, "", false).is_none(), any, "{actual:?}");
            assert_eq!(query_difference(&expected, &actual, "", true).is_none(), ordered, "{actual:?}");
        }
    }
}
