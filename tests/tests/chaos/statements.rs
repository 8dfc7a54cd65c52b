//! Statements in the middle of which the server dies: done or not done afterwards, and never in between.

use serde_json::{Value as Json, json};
use tidemill_engine::points::Point;
use tidemill_tests::server::ServerProcess;

use super::arena::PATIENCE;

fn run(server: &ServerProcess, sql: &str) -> Option<(u16, String)> {
    server.request("POST", "/ksql", Some(&json!({"ksql": sql}))).ok()
}

/// Runs statements that pass the point. The names say which point and round they are of.
pub fn until_it_dies(server: &mut ServerProcess, point: Point, round: usize) {
    let name = format!("{point:?}_{round}").to_uppercase();
    let topic = format!("{name}-{}", server.pid());
    let made = format!("CREATE STREAM {name} WITH (KAFKA_TOPIC='{topic}', PARTITIONS=1, VALUE_FORMAT='JSON') AS SELECT * FROM clicks;");
    let statements = match point {
        Point::TopicDeleteBefore | Point::TopicDeleteAfter | Point::DropAppended | Point::DropDone => {
            vec![made, format!("DROP STREAM {name} DELETE TOPIC;")]
        }
        _ => vec![made],
    };
    for sql in statements {
        match run(server, &sql) {
            Some((200, _)) => {}
            // Its answer died with it.
            None | Some((500..=599, _)) => return,
            Some((status, said)) => panic!("{sql}: {status} {said}"),
        }
    }
    // It may die behind its answer.
    let _ = server.is_up(PATIENCE);
}

/// What is left of the statements: each stream that is listed can be dropped with its query and topic.
pub fn left_over(server: &ServerProcess) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed: Vec<String> = server.ksql("SHOW STREAMS;")[0]["streams"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stream| stream["name"].as_str().map(str::to_owned))
        .filter(|name| Point::ALL.iter().any(|point| name.starts_with(&format!("{point:?}_").to_uppercase())))
        .collect();
    for name in listed {
        let said = run(server, &format!("DROP STREAM {name} DELETE TOPIC;"));
        if !matches!(said, Some((200, _))) {
            wrong.push(format!("{name} can't be dropped: {said:?}"));
        }
    }
    let queries: Vec<Json> = server.ksql("SHOW QUERIES;")[0]["queries"].as_array().cloned().unwrap_or_default();
    if queries.len() != super::model::Sink::ALL.len() {
        wrong.push(format!("{} queries are left", queries.len()));
    }
    wrong
}
