//! Drives a server with the crate `ksqldb` as it is, call by call.
//!
//!     ksqldb-client HOST:PORT
//!
//! Prints one JSON object: of each call `ok`, `-` where the library has none, or what went wrong. Its readers of some lists expect the
//! fields of a ksqlDB of 2020: those the library's raw call asks for.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use ksqldb::KsqlDB;
use serde_json::{Map, Value as Json, json};

const PATIENCE: Duration = Duration::from_secs(30);
const STREAM: &str = "crate_ksqldb_s";
const TABLE: &str = "crate_ksqldb_t";

type Outcome = Result<(), String>;

fn none() -> HashMap<String, String> {
    HashMap::new()
}

fn failed(error: impl Display) -> String {
    error.to_string()
}

fn check(holds: bool, found: impl std::fmt::Debug) -> Outcome {
    if holds { Ok(()) } else { Err(format!("{found:?}")) }
}

/// Statements whose answers the library has no reader for.
async fn raw(api: &KsqlDB, sql: &str) -> Result<Json, String> {
    api.execute_statement_raw(sql, &none(), None).await.map_err(failed)
}

async fn until<F: Future<Output = Result<bool, String>>>(what: &str, mut so: impl FnMut() -> F) -> Outcome {
    let began = Instant::now();
    while !so().await? {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what}: not in time"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn push_queries(api: &KsqlDB) -> Result<Vec<String>, String> {
    let answer = raw(api, "SHOW QUERIES;").await?;
    let queries = answer[0]["queries"].as_array().cloned().unwrap_or_default();
    let push = queries.iter().filter(|query| query["queryType"] == "PUSH");
    Ok(push.filter_map(|query| query["id"].as_str().map(str::to_owned)).collect())
}

async fn create(api: &KsqlDB) -> Outcome {
    let sql = format!("CREATE STREAM {STREAM} (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{STREAM}', PARTITIONS=1, VALUE_FORMAT='JSON');");
    let made = api.create(&sql, &none(), None).await.map_err(failed)?;
    check(made.first().is_some_and(|made| made.command_id.is_some() && made.command_status.is_some()), made)
}

async fn create_as(api: &KsqlDB) -> Outcome {
    // The library sends a session's properties by a name that ksqlDB does not know.
    let sql = format!("SET 'auto.offset.reset'='earliest'; CREATE TABLE {TABLE} AS SELECT k, SUM(n) AS total FROM {STREAM} GROUP BY k;");
    let made = api.create(&sql, &none(), None).await.map_err(failed)?;
    check(made.last().is_some_and(|made| made.command_status.is_some()), made)
}

async fn insert(api: &KsqlDB) -> Outcome {
    let sql = format!("INSERT INTO {STREAM} (k, n) VALUES ('a', 1);");
    let made = api.create(&sql, &none(), None).await.map_err(failed)?;
    check(made.is_empty(), made)
}

async fn pull(api: &KsqlDB) -> Outcome {
    let sql = format!("SELECT k, total FROM {TABLE} WHERE k = 'a';");
    until("the row", || async {
        let mut rows = pin!(api.select::<Json>(&sql, &none()).await.map_err(failed)?);
        match rows.next().await {
            Some(Ok(row)) => Ok(row == json!({"k": "a", "total": 1})),
            Some(Err(error)) => Err(failed(error)),
            None => Ok(false),
        }
    })
    .await
}

/// Reads the first row of a push query, then ends it; whether the query is gone in the end.
async fn push(api: &KsqlDB, by_statement: bool) -> Outcome {
    let earliest = HashMap::from([("auto.offset.reset".to_owned(), "earliest".to_owned())]);
    let sql = format!("SELECT k, n FROM {STREAM} EMIT CHANGES;");
    {
        let mut rows = pin!(api.select::<Json>(&sql, &earliest).await.map_err(failed)?);
        let first = rows.next().await.ok_or("no row")?.map_err(failed)?;
        check(first == json!({"k": "a", "n": 1}), first)?;
        if by_statement {
            let id = push_queries(api).await?.pop().ok_or("the query is not listed")?;
            api.terminate(&format!("TERMINATE {id};"), &none(), None).await.map_err(failed)?;
            // What comes behind the rows is the end, in words.
            while let Some(Ok(_)) = rows.next().await {}
        }
    }
    until("the query ends", || async { Ok(push_queries(api).await?.is_empty()) }).await
}

async fn lists(api: &KsqlDB) -> Outcome {
    let streams = api.list_streams("SHOW STREAMS EXTENDED;", &none(), None).await.map_err(failed)?;
    let named = streams.first().is_some_and(|list| list.source_descriptions.iter().any(|s| s.name.eq_ignore_ascii_case(STREAM)));
    check(named, streams)
}

async fn describe(api: &KsqlDB) -> Outcome {
    // Of one that no query reads: the library takes the names of queries for texts.
    let sql = format!("CREATE STREAM {STREAM}2 (k STRING KEY, n INT) WITH (KAFKA_TOPIC='{STREAM}', VALUE_FORMAT='JSON');");
    api.create(&sql, &none(), None).await.map_err(failed)?;
    let described = api.describe(&format!("DESCRIBE {STREAM}2;"), &none(), None).await.map_err(failed)?;
    check(described.first().is_some_and(|d| d.source_description.fields.len() == 2), described)
}

async fn terminate(api: &KsqlDB) -> Outcome {
    let answer = raw(api, "SHOW QUERIES;").await?;
    let queries = answer[0]["queries"].as_array().cloned().unwrap_or_default();
    let query = queries.iter().find(|query| query["sinks"][0].as_str().is_some_and(|sink| sink.eq_ignore_ascii_case(TABLE)));
    let id = query.and_then(|query| query["id"].as_str()).ok_or("the query is not listed")?.to_owned();
    api.terminate(&format!("TERMINATE {id};"), &none(), None).await.map_err(failed)?;
    let answer = raw(api, "SHOW QUERIES;").await?;
    check(!answer.to_string().contains(&format!("\"{id}\"")), answer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("HOST:PORT");
    let address = address.trim_start_matches("http://").to_owned();
    let api = KsqlDB::new(address, reqwest::Client::builder(), false).expect("a client");
    let mut outcome = Map::new();
    let mut note = |call: &str, became: Outcome| {
        outcome.insert(call.to_owned(), Json::from(became.err().unwrap_or_else(|| "ok".to_owned())));
    };
    note("info", Err("-".to_owned()));
    note("CREATE STREAM", create(&api).await);
    note("CREATE TABLE AS", create_as(&api).await);
    note("INSERT VALUES", insert(&api).await);
    note("insert API", Err("-".to_owned()));
    note("pull", pull(&api).await);
    note("push", push(&api, false).await);
    note("stop: close", Err("-".to_owned()));
    note("stop: TERMINATE", push(&api, true).await);
    note("stop: hang up", push(&api, false).await);
    note("lists", lists(&api).await);
    note("describe", describe(&api).await);
    note("status", Err("-".to_owned()));
    note("TERMINATE", terminate(&api).await);
    println!("{}", Json::Object(outcome));
}
