//! Versions as JSON.

use serde::Serialize;
use serde_json::Value as Json;
use tidemill_engine::registry::SchemaKind;
use tidemill_engine::registry::own::{Link, Version};

/// A version of a subject.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionView<'v> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'v str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// AVRO goes without saying.
    #[serde(skip_serializing_if = "is_avro")]
    pub schema_type: SchemaKind,
    #[serde(skip_serializing_if = "<[Link]>::is_empty")]
    pub references: &'v [Link],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'v Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<&'v Json>,
    pub schema: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<i32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_avro(kind: &SchemaKind) -> bool {
    *kind == SchemaKind::Avro
}

impl<'v> VersionView<'v> {
    /// With the place.
    pub fn of(version: &'v Version) -> Self {
        VersionView {
            subject: Some(&version.subject),
            version: Some(version.version),
            id: Some(version.id),
            ..Self::schema(version, &version.text)
        }
    }

    /// The schema alone.
    pub fn schema(version: &'v Version, text: &'v str) -> Self {
        VersionView {
            subject: None,
            version: None,
            id: None,
            schema_type: version.kind,
            references: &version.references,
            metadata: version.metadata.as_ref(),
            rule_set: version.rule_set.as_ref(),
            schema: text,
            max_id: None,
        }
    }
}
