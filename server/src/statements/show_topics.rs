//! SHOW TOPICS.

use tidemill_engine::log::TopicInfo;

use crate::app::App;
use crate::entities::{Common, ExtendedTopic, KsqlEntity, Topic, Topics};
use crate::error::ApiError;

/// `all`: internal topics as well.
pub fn run(app: &App, all: bool, extended: bool, text: String) -> Result<KsqlEntity, ApiError> {
    let found = app.engine.log().list_topics().map_err(|error| ApiError::engine(error.into(), &text))?;
    let hidden = |name: &str| app.hidden_topics.iter().any(|pattern| pattern.is_match(name));
    let shown = found.into_iter().filter(|topic| all || !hidden(&topic.name));
    let common = Common::new(text);
    if !extended {
        return Ok(KsqlEntity::Topics(Topics { topics: shown.map(topic).collect(), common }));
    }
    let queries = app.engine.queries().persistent();
    let catalog = app.engine.catalog();
    let consumers = |name: &str| {
        let reads = |source: &String| catalog.source(source).is_some_and(|s| s.format.topic == name);
        u32::try_from(queries.iter().filter(|q| q.plan.sources.iter().any(reads)).count()).unwrap_or(u32::MAX)
    };
    let topics = shown.map(|info| {
        let count = consumers(&info.name);
        ExtendedTopic { topic: topic(info), consumer_count: count, consumer_group_count: count }
    });
    Ok(KsqlEntity::ExtendedTopics(Topics { topics: topics.collect(), common }))
}

fn topic(info: TopicInfo) -> Topic {
    Topic { replica_info: (0..info.partitions).map(|_| info.replicas).collect(), name: info.name }
}
