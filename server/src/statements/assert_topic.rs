//! ASSERT TOPIC: waits until a topic is there (or is gone), and has the settings that are named.

use tidemill_engine::log::TopicInfo;
use tidemill_parser::ast::{Ident, Interval, Properties};

use super::asserting;
use crate::app::App;
use crate::entities::{AssertTopic, Common, KsqlEntity};
use crate::error::ApiError;

pub fn run(
    app: &App,
    topic: &Ident,
    exists: bool,
    properties: &Properties,
    timeout: Option<Interval>,
    text: String,
) -> Result<KsqlEntity, ApiError> {
    let name = &topic.name;
    asserting::wait(asserting::patience(app, timeout, "ksql.assert.topic.default.timeout.ms"), || {
        let found = app.engine.log().describe_topic(name).map_err(|error| ApiError::engine(error.into(), &text))?;
        Ok(match (exists, &found) {
            (true, None) => Some(format!("Topic {name} does not exist")),
            (true, Some(info)) => mismatches(name, info, properties),
            // What the settings of a topic that is not there should be has no meaning.
            (false, Some(_)) => Some(format!("Topic {name} exists")),
            (false, None) => None,
        })
    })?;
    Ok(KsqlEntity::AssertTopic(AssertTopic { topic_name: name.clone(), exists, common: Common::new(text) }))
}

/// Everything that is not as the properties say, a line each.
fn mismatches(topic: &str, info: &TopicInfo, properties: &Properties) -> Option<String> {
    let wrong = properties.entries.iter().filter_map(|property| {
        let (name, actual) = match property.name.name.as_str() {
            "PARTITIONS" => ("partitions", info.partitions),
            "REPLICAS" => ("replicas", u32::from(info.replicas)),
            other => return Some(format!("Cannot assert unknown topic property: {other}")),
        };
        let expected = property.value.to_string();
        let is_as_expected = expected.parse() == Ok(actual);
        (!is_as_expected)
            .then(|| format!("Mismatched configuration for topic {topic}: For config {name}, expected {expected} got {actual}"))
    });
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| wrong.join("\n"))
}
