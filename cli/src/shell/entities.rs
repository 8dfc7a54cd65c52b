//! What `/ksql` answers, as tables and texts for each kind of entity.

use serde_json::Value as Json;

use super::render::{Block, Cell, Table, escaped, text};

/// An entity by its `@type`. A type that is not known is shown as JSON, so nothing is ever hidden.
pub fn describe(entity: &Json) -> Vec<Block> {
    let mut blocks = match entity["@type"].as_str().unwrap_or("") {
        "currentStatus" => vec![said(status(entity))],
        "streams" => vec![list(&entity["streams"], &SOURCE_COLUMNS)],
        "tables" => vec![list(&entity["tables"], &SOURCE_COLUMNS)],
        "kafka_topics" => vec![topics(&entity["topics"])],
        "kafka_topics_extended" => vec![topics_with_readers(&entity["topics"])],
        "queries" => queries(&entity["queries"]),
        "properties" => vec![list(&entity["properties"], &[("Property", "name"), ("Scope", "scope"), ("Value", "value")])],
        "function_names" => vec![list(&entity["functions"], &[("Function", "name"), ("Category", "category")])],
        "variables" => vec![list(&entity["variables"], &[("Variable", "name"), ("Value", "value")])],
        "type_list" => vec![types(&entity["types"])],
        "sourceDescription" => source(&entity["sourceDescription"]),
        "source_descriptions" => each(&entity["sourceDescriptions"], source),
        "query_descriptions" | "queryDescriptions" => each(&entity["queryDescriptions"], query),
        "queryDescription" => query(&entity["queryDescription"]),
        "describe_function" => vec![said(function(entity))],
        "assert_topic" | "assert_schema" => vec![said("Assertion holds.".to_owned())],
        "warning_entity" => vec![said(text(&entity["message"]))],
        "connector_info" => vec![said(format!("Created connector {}", text(&entity["info"]["name"])))],
        "drop_connector" => vec![said(format!("Dropped connector {}", text(&entity["connectorName"])))],
        "connector_list" => {
            let columns = [("Connector", "name"), ("Type", "type"), ("Class", "className"), ("Status", "state")];
            vec![list(&entity["connectors"], &columns)]
        }
        "connector_plugins_list" => {
            vec![list(&entity["connectorsPlugins"], &[("Class", "className"), ("Type", "type"), ("Version", "version")])]
        }
        "dead_letters" => vec![dead_letters(&entity["letters"])],
        "servers" => vec![servers(&entity["servers"])],
        "connector_description" => connector(entity),
        _ => vec![said(serde_json::to_string_pretty(entity).unwrap_or_default())],
    };
    let warnings = array(&entity["warnings"]).iter();
    blocks.extend(warnings.map(|warning| said(format!("WARNING: {}", text(&warning["message"])))));
    blocks
}

/// The queries of an answer that don't run as they should and for whose reasons the server must be asked: ksqlDB does not
/// give them in the list.
pub fn failed_queries(entity: &Json) -> Vec<String> {
    let state = |query: &Json| match query["statusCount"].as_object() {
        Some(counts) => counts.keys().any(|state| !matches!(state.as_str(), "RUNNING" | "PAUSED")),
        None => false,
    };
    array(&entity["queries"])
        .iter()
        .filter(|query| state(query) && array(&query["queryErrors"]).is_empty())
        .map(|query| text(&query["id"]))
        .collect()
}

/// Why the query of an answer to EXPLAIN failed.
pub fn reason(entity: &Json) -> Option<String> {
    let errors = array(&entity["queryDescription"]["queryErrors"]);
    errors.last().map(|error| text(&error["errorMessage"])).filter(|reason| !reason.is_empty())
}

/// A text of several lines, each as a terminal shows it.
fn said(text: String) -> Block {
    let line = |line: &str| line.split('\t').map(escaped).collect::<Vec<_>>().join("\t");
    Block::Text(text.lines().map(line).collect::<Vec<_>>().join("\n"))
}

const SOURCE_COLUMNS: [(&str, &str); 5] =
    [("Name", "name"), ("Topic", "topic"), ("Key format", "keyFormat"), ("Value format", "valueFormat"), ("Windowed", "isWindowed")];

fn list(items: &Json, columns: &[(&str, &str)]) -> Block {
    let header: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    let mut rows: Vec<Vec<Cell>> =
        array(items).iter().map(|item| columns.iter().map(|(_, field)| Cell::of(&item[*field])).collect()).collect();
    rows.sort();
    Block::Table(Table::new(&header, rows))
}

fn array(items: &Json) -> &[Json] {
    items.as_array().map_or(&[], Vec::as_slice)
}

fn each(items: &Json, describe: fn(&Json) -> Vec<Block>) -> Vec<Block> {
    let described: Vec<Vec<Block>> = array(items).iter().map(describe).collect();
    described.join(&[said(String::new())][..])
}

/// A row of texts.
fn row(texts: impl IntoIterator<Item = String>) -> Vec<Cell> {
    texts.into_iter().map(Cell::Text).collect()
}

fn joined(items: &Json) -> String {
    array(items).iter().map(text).collect::<Vec<_>>().join(", ")
}

fn status(entity: &Json) -> String {
    let status = &entity["commandStatus"];
    match status["status"].as_str() {
        Some("SUCCESS") => text(&status["message"]),
        _ => format!("{}: {}", text(&status["status"]), text(&status["message"])),
    }
}

fn topics(topics: &Json) -> Block {
    Block::Table(Table::new(&["Topic", "Partitions", "Replicas"], array(topics).iter().map(|found| row(topic(found)))))
}

fn topics_with_readers(topics: &Json) -> Block {
    let rows = array(topics).iter().map(|found| {
        let [name, partitions, replicas] = topic(found);
        row([name, partitions, replicas, text(&found["consumerCount"]), text(&found["consumerGroupCount"])])
    });
    Block::Table(Table::new(&["Topic", "Partitions", "Replicas", "Consumers", "Consumer groups"], rows))
}

/// Its name, partitions and replicas.
fn topic(topic: &Json) -> [String; 3] {
    let replicas = array(&topic["replicaInfo"]);
    [text(&topic["name"]), replicas.len().to_string(), replicas.first().map_or_else(String::new, text)]
}

fn queries(queries: &Json) -> Vec<Block> {
    let rows = array(queries).iter().map(|query| {
        let state = query["statusCount"].as_object().and_then(|counts| counts.keys().next().cloned());
        let state = state.unwrap_or_else(|| text(&query["state"]));
        let statement = text(&query["queryString"]).split_whitespace().collect::<Vec<_>>().join(" ");
        row([text(&query["id"]), text(&query["queryType"]), state, joined(&query["sinks"]), statement])
    });
    let mut blocks = vec![Block::Table(Table::new(&["Query", "Type", "Status", "Writes", "Statement"], rows))];
    for query in array(queries) {
        let errors = array(&query["queryErrors"]).iter();
        blocks.extend(errors.map(|error| said(format!("{} failed: {}", text(&query["id"]), text(&error["errorMessage"])))));
    }
    blocks
}

fn dead_letters(letters: &Json) -> Block {
    let place = |letter: &Json| format!("{}:{}:{}", text(&letter["topic"]), text(&letter["partition"]), text(&letter["offset"]));
    let rows = array(letters).iter().map(|letter| {
        let field = |name: &str| text(&letter[name]);
        row([field("queryId"), place(letter), field("kind"), field("reason"), field("key"), field("value")])
    });
    Block::Table(Table::new(&["Query", "Record", "Kind", "Reason", "Key", "Value"], rows))
}

/// The server that was asked bears a mark.
fn servers(servers: &Json) -> Block {
    let rows = array(servers).iter().map(|server| {
        let field = |name: &str| text(&server[name]);
        let mark = if server["isAsked"] == true { " *" } else { "" };
        let (standby_tasks, lag) = (field("standbyTasks"), field("standbyLag"));
        let (tasks, restore_lag) = (field("tasks"), field("restoreLag"));
        let own = [field("id") + mark, field("address"), field("slots"), tasks, restore_lag];
        row(own.into_iter().chain([standby_tasks, lag, field("version"), field("state")]))
    });
    Block::Table(Table::new(
        &["Server", "Address", "Slots", "Tasks", "To restore", "Standby tasks", "Standby lag", "Version", "State"],
        rows,
    ))
}

/// What a query did since it was started; nothing where that was not asked for.
fn metrics(metrics: &Json) -> Option<Block> {
    let number = |name: &str| text(&metrics[name]);
    metrics.as_object()?;
    let mut lines = vec![
        format!("Read: {} records, {} bytes", number("recordsRead"), number("bytesRead")),
        format!("Written: {} records, {} bytes", number("recordsWritten"), number("bytesWritten")),
    ];
    for (title, field) in [("Errors", "errors"), ("Left out", "leftOut")] {
        let kinds: Vec<String> =
            metrics[field].as_object().into_iter().flatten().map(|(kind, count)| format!("{kind} {}", text(count))).collect();
        if !kinds.is_empty() {
            lines.push(format!("{title}: {}", kinds.join(", ")));
        }
    }
    lines.push(format!("Dead letters: {}", number("deadLetters")));
    lines.push(format!("Commits: {} in {} ms", number("commits"), number("commitMs")));
    lines.push(format!("State on the disk: about {} bytes", number("stateDiskBytes")));
    if let [done, total] = array(&metrics["restored"]) {
        lines.push(format!("Restoring: {} of {} records", text(done), text(total)));
    }
    Some(said(lines.join("\n")))
}

fn types(types: &Json) -> Block {
    let rows = types.as_object().into_iter().flatten().map(|(name, schema)| row([name.clone(), type_name(schema)]));
    Block::Table(Table::new(&["Type", "Schema"], rows))
}

fn type_name(schema: &Json) -> String {
    let name = text(&schema["type"]);
    match name.as_str() {
        "ARRAY" => format!("ARRAY<{}>", type_name(&schema["memberSchema"])),
        "MAP" => format!("MAP<STRING, {}>", type_name(&schema["memberSchema"])),
        "STRUCT" => {
            let fields = array(&schema["fields"]).iter().map(|f| format!("{} {}", text(&f["name"]), type_name(&f["schema"])));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        "DECIMAL" => {
            let parameters = &schema["parameters"];
            format!("DECIMAL({}, {})", text(&parameters["precision"]), text(&parameters["scale"]))
        }
        _ => name,
    }
}

/// Columns; the key of a table is its primary key.
fn fields(fields: &Json, of_table: bool) -> Block {
    let rows = array(fields).iter().map(|field| {
        let role = match field["type"].as_str() {
            Some("KEY") if of_table => " (primary key)".to_owned(),
            Some(role) => format!(" ({})", role.to_lowercase()),
            None => String::new(),
        };
        row([text(&field["name"]), format!("{}{role}", type_name(&field["schema"]))])
    });
    Block::Table(Table::new(&["Field", "Type"], rows))
}

fn source(source: &Json) -> Vec<Block> {
    let mut details = Vec::new();
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
            let value = text(&source[field]);
            if !value.is_empty() {
                details.push(format!("{title}: {value}"));
            }
        }
        for (title, field) in [("Read by", "readQueries"), ("Written by", "writeQueries")] {
            let ids: Vec<String> = array(&source[field]).iter().map(|q| text(&q["id"])).collect();
            if !ids.is_empty() {
                details.push(format!("{title}: {}", ids.join(", ")));
            }
        }
    } else {
        details.push(format!("For statistics and details: DESCRIBE {} EXTENDED;", text(&source["name"])));
    }
    let title = format!("{} {}", text(&source["type"]), text(&source["name"]));
    vec![said(title), fields(&source["fields"], source["type"] == "TABLE"), said(details.join("\n"))]
}

fn connector(entity: &Json) -> Vec<Block> {
    let status = &entity["status"];
    let state = &status["connector"];
    let mut details = Vec::new();
    for (title, value) in [
        ("Class", &entity["connectorClass"]),
        ("Type", &status["type"]),
        ("State", &state["state"]),
        ("Worker", &state["worker_id"]),
        ("Failed", &state["trace"]),
    ] {
        let value = text(value);
        if !value.is_empty() {
            details.push(format!("{title}: {value}"));
        }
    }
    let mut blocks = vec![said(format!("CONNECTOR {}\n{}", text(&status["name"]), details.join("\n")))];
    let tasks = array(&status["tasks"]);
    if !tasks.is_empty() {
        blocks.push(list(&status["tasks"], &[("Task", "id"), ("State", "state"), ("Worker", "worker_id")]));
    }
    for task in tasks {
        let trace = text(&task["trace"]);
        if !trace.is_empty() {
            blocks.push(said(format!("Task {} failed: {trace}", text(&task["id"]))));
        }
    }
    if !array(&entity["sources"]).is_empty() {
        blocks.push(list(&entity["sources"], &[("Name", "name"), ("Topic", "topic"), ("Type", "type")]));
    }
    let topics = joined(&entity["topics"]);
    if !topics.is_empty() {
        blocks.push(said(format!("Topics: {topics}")));
    }
    blocks
}

fn query(query: &Json) -> Vec<Block> {
    let mut blocks = vec![said(format!("{}\n{}", text(&query["id"]), text(&query["statementText"])))];
    for error in array(&query["queryErrors"]) {
        blocks.push(said(format!("Failed: {}", text(&error["errorMessage"]))));
    }
    if !array(&query["fields"]).is_empty() {
        blocks.push(fields(&query["fields"], false));
    }
    for (title, field) in [("Reads", "sources"), ("Writes", "sinks")] {
        let names = joined(&query[field]);
        if !names.is_empty() {
            blocks.push(said(format!("{title}: {names}")));
        }
    }
    blocks.extend(metrics(&query["metrics"]));
    for (title, field) in [("Topology", "topology"), ("Plan", "executionPlan")] {
        let value = text(&query[field]);
        if !value.is_empty() {
            blocks.push(said(format!("{title}:\n{value}")));
        }
    }
    blocks
}

fn function(entity: &Json) -> String {
    let mut shown = format!("{}\n{}", text(&entity["name"]), text(&entity["description"]));
    for variant in array(&entity["functions"]) {
        let arguments: Vec<String> = array(&variant["arguments"])
            .iter()
            .map(|a| {
                let dots = if a["isVariadic"].as_bool() == Some(true) { "..." } else { "" };
                format!("{} {}{dots}", text(&a["name"]), text(&a["type"]))
            })
            .collect();
        shown.push_str(&format!(
            "\n\n  {}({}) returns {}\n    {}",
            text(&entity["name"]),
            arguments.join(", "),
            text(&variant["returnType"]),
            text(&variant["description"])
        ));
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failed_queries_have_their_reasons() {
        let entity = json!({"@type": "queries", "queries": [
            {"id": "A", "statusCount": {"RUNNING": 1}},
            {"id": "B", "statusCount": {"ERROR": 1}},
            {"id": "C", "statusCount": {"PAUSED": 1}},
            {"id": "D", "statusCount": {"ERROR": 1}, "queryErrors": [{"errorMessage": "no"}]},
        ]});
        assert_eq!(describe(&entity).last(), Some(&Block::Text("D failed: no".to_owned())));
        assert_eq!(failed_queries(&entity), ["B"]);
        let explained = json!({"queryDescription": {"queryErrors": [{"errorMessage": "the topic has gone"}]}});
        assert_eq!(reason(&explained).as_deref(), Some("the topic has gone"));
        assert_eq!(reason(&json!({"queryDescription": {"queryErrors": []}})), None);
    }

    #[test]
    fn extended_topics_show_who_reads_them() {
        let topic = json!({"name": "s", "replicaInfo": [1, 1], "consumerCount": 3, "consumerGroupCount": 2});
        let of = |kind: &str| describe(&json!({"@type": kind, "topics": [topic]}));
        let cells = |texts: &[&str]| row(texts.iter().map(|text| (*text).to_owned()));
        let plain = Table::new(&["Topic", "Partitions", "Replicas"], [cells(&["s", "2", "1"])]);
        assert_eq!(of("kafka_topics"), [Block::Table(plain)]);
        let names = ["Topic", "Partitions", "Replicas", "Consumers", "Consumer groups"];
        assert_eq!(of("kafka_topics_extended"), [Block::Table(Table::new(&names, [cells(&["s", "2", "1", "3", "2"])]))]);
    }

    #[test]
    fn a_connector_is_described_with_its_tasks() {
        let entity = json!({"@type": "connector_description", "connectorClass": "org.X", "sources": [], "topics": ["a", "b"],
            "status": {"name": "C", "type": "source", "connector": {"state": "RUNNING", "worker_id": "w:1"},
                       "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w:1", "trace": "no file"}]}});
        let blocks = describe(&entity);
        assert_eq!(blocks.first(), Some(&Block::Text("CONNECTOR C\nClass: org.X\nType: source\nState: RUNNING\nWorker: w:1".to_owned())));
        assert!(blocks.contains(&Block::Text("Task 0 failed: no file".to_owned())), "{blocks:?}");
        assert_eq!(blocks.last(), Some(&Block::Text("Topics: a, b".to_owned())));
        let listed = describe(&json!({"@type": "connector_list", "connectors": [{"name": "C", "type": "unknown"}],
            "warnings": [{"message": "Could not describe connector C: no"}]}));
        assert!(matches!(listed.as_slice(), [Block::Table(_), Block::Text(warning)] if warning.ends_with("C: no")), "{listed:?}");
    }

    #[test]
    fn texts_of_the_server_do_not_steer_the_terminal() {
        let blocks = describe(&json!({"@type": "warning_entity", "message": "a\u{1b}[2J\nb"}));
        assert_eq!(blocks, [Block::Text("a\\u{1b}[2J\nb".to_owned())]);
    }
}
