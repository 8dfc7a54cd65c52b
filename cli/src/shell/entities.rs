//! What `/ksql` answers, as text: one table or a line for each kind of entity.

use serde_json::Value as Json;

use super::render::{cell, table};

/// Draws an entity by its `@type`. A type that is not known is shown as JSON, so nothing is ever hidden.
pub fn describe(entity: &Json) -> String {
    let mut text = match entity["@type"].as_str().unwrap_or("") {
        "currentStatus" => status(entity),
        "streams" => list(&entity["streams"], &SOURCE_COLUMNS),
        "tables" => list(&entity["tables"], &SOURCE_COLUMNS),
        "kafka_topics" | "kafka_topics_extended" => topics(&entity["topics"]),
        "queries" => queries(&entity["queries"]),
        "properties" => list(&entity["properties"], &[("Property", "name"), ("Scope", "scope"), ("Value", "value")]),
        "function_names" => list(&entity["functions"], &[("Function", "name"), ("Category", "category")]),
        "variables" => list(&entity["variables"], &[("Variable", "name"), ("Value", "value")]),
        "type_list" => types(&entity["types"]),
        "sourceDescription" => source(&entity["sourceDescription"]),
        "source_descriptions" => each(&entity["sourceDescriptions"], source),
        "query_descriptions" | "queryDescriptions" => each(&entity["queryDescriptions"], query),
        "queryDescription" => query(&entity["queryDescription"]),
        "describe_function" => function(entity),
        "assert_topic" | "assert_schema" => "Assertion holds.".to_owned(),
        "warning_entity" => cell(&entity["message"]),
        _ => serde_json::to_string_pretty(entity).unwrap_or_default(),
    };
    for warning in entity["warnings"].as_array().into_iter().flatten() {
        text.push_str(&format!("\nWARNING: {}", cell(&warning["message"])));
    }
    text
}

const SOURCE_COLUMNS: [(&str, &str); 5] =
    [("Name", "name"), ("Topic", "topic"), ("Key format", "keyFormat"), ("Value format", "valueFormat"), ("Windowed", "isWindowed")];

fn list(items: &Json, columns: &[(&str, &str)]) -> String {
    let header: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let mut rows: Vec<Vec<String>> =
        array(items).iter().map(|item| columns.iter().map(|(_, field)| cell(&item[*field])).collect()).collect();
    rows.sort();
    table(&header, rows)
}

fn array(items: &Json) -> &[Json] {
    items.as_array().map_or(&[], Vec::as_slice)
}

fn each(items: &Json, draw: fn(&Json) -> String) -> String {
    array(items).iter().map(draw).collect::<Vec<_>>().join("\n\n")
}

fn joined(items: &Json) -> String {
    array(items).iter().map(cell).collect::<Vec<_>>().join(", ")
}

fn status(entity: &Json) -> String {
    let status = &entity["commandStatus"];
    match status["status"].as_str() {
        Some("SUCCESS") => cell(&status["message"]),
        _ => format!("{}: {}", cell(&status["status"]), cell(&status["message"])),
    }
}

fn topics(topics: &Json) -> String {
    let rows = array(topics).iter().map(|topic| {
        let replicas = array(&topic["replicaInfo"]);
        vec![cell(&topic["name"]), replicas.len().to_string(), replicas.first().map_or_else(String::new, cell)]
    });
    table(&["Topic", "Partitions", "Replicas"], rows)
}

fn queries(queries: &Json) -> String {
    let rows = array(queries).iter().map(|query| {
        let state = query["statusCount"].as_object().and_then(|counts| counts.keys().next().cloned());
        let state = state.unwrap_or_else(|| cell(&query["state"]));
        let text = cell(&query["queryString"]).split_whitespace().collect::<Vec<_>>().join(" ");
        vec![cell(&query["id"]), cell(&query["queryType"]), state, joined(&query["sinks"]), text]
    });
    let mut text = table(&["Query", "Type", "Status", "Writes", "Statement"], rows);
    for query in array(queries) {
        for error in array(&query["queryErrors"]) {
            text.push_str(&format!("\n{} failed: {}", cell(&query["id"]), cell(&error["errorMessage"])));
        }
    }
    text
}

fn types(types: &Json) -> String {
    let rows = types.as_object().into_iter().flatten().map(|(name, schema)| vec![name.clone(), type_name(schema)]);
    table(&["Type", "Schema"], rows)
}

fn type_name(schema: &Json) -> String {
    let name = cell(&schema["type"]);
    match name.as_str() {
        "ARRAY" => format!("ARRAY<{}>", type_name(&schema["memberSchema"])),
        "MAP" => format!("MAP<STRING, {}>", type_name(&schema["memberSchema"])),
        "STRUCT" => {
            let fields = array(&schema["fields"]).iter().map(|f| format!("{} {}", cell(&f["name"]), type_name(&f["schema"])));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        "DECIMAL" => {
            let parameters = &schema["parameters"];
            format!("DECIMAL({}, {})", cell(&parameters["precision"]), cell(&parameters["scale"]))
        }
        _ => name,
    }
}

fn fields(fields: &Json) -> String {
    let rows = array(fields).iter().map(|field| {
        let role = field["type"].as_str().map(|role| format!(" ({})", role.to_lowercase())).unwrap_or_default();
        vec![cell(&field["name"]), format!("{}{role}", type_name(&field["schema"]))]
    });
    table(&["Field", "Type"], rows)
}

fn source(source: &Json) -> String {
    let mut text = format!("{} {}\n{}", cell(&source["type"]), cell(&source["name"]), fields(&source["fields"]));
    if source["extended"].as_bool() == Some(true) {
        for (title, field) in [
            ("Topic", "topic"),
            ("Partitions", "partitions"),
            ("Key format", "keyFormat"),
            ("Value format", "valueFormat"),
            ("Timestamp column", "timestamp"),
            ("Statement", "statement"),
            ("Statistics", "statistics"),
            ("Errors", "errorStats"),
        ] {
            let value = cell(&source[field]);
            if !value.is_empty() {
                text.push_str(&format!("\n{title}: {value}"));
            }
        }
        for (title, field) in [("Read by", "readQueries"), ("Written by", "writeQueries")] {
            let ids: Vec<String> = array(&source[field]).iter().map(|q| cell(&q["id"])).collect();
            if !ids.is_empty() {
                text.push_str(&format!("\n{title}: {}", ids.join(", ")));
            }
        }
    } else {
        text.push_str(&format!("\nFor statistics and details: DESCRIBE {} EXTENDED;", cell(&source["name"])));
    }
    text
}

fn query(query: &Json) -> String {
    let mut text = format!("{}\n{}", cell(&query["id"]), cell(&query["statementText"]));
    if !array(&query["fields"]).is_empty() {
        text.push_str(&format!("\n{}", fields(&query["fields"])));
    }
    for (title, field) in [("Reads", "sources"), ("Writes", "sinks")] {
        let names = joined(&query[field]);
        if !names.is_empty() {
            text.push_str(&format!("\n{title}: {names}"));
        }
    }
    for (title, field) in [("Topology", "topology"), ("Plan", "executionPlan")] {
        let value = cell(&query[field]);
        if !value.is_empty() && value != "null" {
            text.push_str(&format!("\n{title}:\n{value}"));
        }
    }
    text
}

fn function(entity: &Json) -> String {
    let mut text = format!("{}\n{}", cell(&entity["name"]), cell(&entity["description"]));
    for variant in array(&entity["functions"]) {
        let arguments: Vec<String> = array(&variant["arguments"])
            .iter()
            .map(|a| {
                let dots = if a["isVariadic"].as_bool() == Some(true) { "..." } else { "" };
                format!("{} {}{dots}", cell(&a["name"]), cell(&a["type"]))
            })
            .collect();
        text.push_str(&format!(
            "\n\n  {}({}) returns {}\n    {}",
            cell(&entity["name"]),
            arguments.join(", "),
            cell(&variant["returnType"]),
            cell(&variant["description"])
        ));
    }
    text
}
