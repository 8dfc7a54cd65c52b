//! ASSERT TOPIC: waits until a topic is there (or is gone), and has the settings that are named.

use std::time::{Duration, Instant};

use tidemill_engine::log::TopicInfo;
use tidemill_parser::ast::{Ident, Interval, IntervalUnit, Properties};

use crate::app::App;
use crate::entities::{AssertTopic, Common, KsqlEntity};
use crate::error::{ApiError, ErrorCode};

/// How often the topic is looked for.
const POLL: Duration = Duration::from_millis(50);
/// The longest that a statement may wait.
const MAX_WAIT: Duration = Duration::from_secs(300);

pub fn run(
    app: &App,
    topic: &Ident,
    exists: bool,
    properties: &Properties,
    timeout: Option<Interval>,
    text: String,
) -> Result<KsqlEntity, ApiError> {
    let wanted = wanted(properties, &text)?;
    let default = app.config.value("ksql.assert.topic.default.timeout.ms").and_then(|v| v.trim().parse().ok()).unwrap_or(1_000);
    let patience = timeout.map_or(Duration::from_millis(default), duration).min(MAX_WAIT);
    let name = &topic.name;
    let started = Instant::now();
    loop {
        let found = app.engine.log().describe_topic(name).map_err(|error| ApiError::engine(error.into(), &text))?;
        let failure = match (exists, &found) {
            (true, None) => Some(format!("Topic {name} does not exist")),
            (true, Some(info)) => mismatch(name, info, &wanted),
            (false, Some(_)) => Some(format!("Topic {name} exists")),
            (false, None) => None,
        };
        match failure {
            None => return Ok(KsqlEntity::AssertTopic(AssertTopic { topic_name: name.clone(), exists, common: Common::new(text) })),
            Some(message) if started.elapsed() >= patience => return Err(ApiError::generic(ErrorCode::ASSERTION_FAILED, message)),
            Some(_) => std::thread::sleep(POLL),
        }
    }
}

/// PARTITIONS and REPLICAS, where they are named.
fn wanted(properties: &Properties, text: &str) -> Result<Vec<(&'static str, u32)>, ApiError> {
    let wrong = |message: String| ApiError::statement(ErrorCode::BAD_STATEMENT, message, text);
    let mut wanted = Vec::new();
    for property in &properties.entries {
        let name = match property.name.name.as_str() {
            "PARTITIONS" => "partitions",
            "REPLICAS" => "replicas",
            other => return Err(wrong(format!("Cannot assert unknown topic property: {other}. Known ones are PARTITIONS and REPLICAS"))),
        };
        let count =
            property.value.to_string().parse().map_err(|_| wrong(format!("{name} must be a whole number, not {}", property.value)))?;
        wanted.push((name, count));
    }
    Ok(wanted)
}

fn mismatch(topic: &str, info: &TopicInfo, wanted: &[(&str, u32)]) -> Option<String> {
    wanted.iter().find_map(|(name, count)| {
        let actual = if *name == "partitions" { info.partitions } else { u32::from(info.replicas) };
        (actual != *count).then(|| format!("Mismatched configuration for topic {topic}: For config {name}, expected {count} got {actual}"))
    })
}

fn duration(interval: Interval) -> Duration {
    let seconds = match interval.unit {
        IntervalUnit::Milliseconds => return Duration::from_millis(interval.value),
        IntervalUnit::Seconds => 1,
        IntervalUnit::Minutes => 60,
        IntervalUnit::Hours => 3_600,
        _ => 86_400,
    };
    Duration::from_secs(interval.value.saturating_mul(seconds))
}
