//! Registering a schema: found where it is known already, else held against the versions before it and given an id.

use std::sync::Arc;

use serde_json::Value as Json;

use super::content::{Content, Version, digest};
use super::context::{self, DEFAULT_CONTEXT, context_of};
use super::record::{Config, Key, Link, Mode};
use super::{OwnError, OwnRegistry, VersionId};
use crate::registry::compatibility::{self, Level, Previous};
use crate::registry::language::{self, ParsedSchema};
use crate::registry::{Schema, SchemaKind};

/// Bytes of a schema's text at most: what one record of a topic holds.
pub(super) const MAX_SCHEMA_BYTES: usize = 1_000_000;
/// References of one schema at most.
const MAX_LINKS: usize = 500;
/// The last id that may be imported: ids go on behind the highest one, and a million are left behind this.
pub(super) const LAST_IMPORTED_ID: i32 = i32::MAX - 1_000_000;
/// Versions of a subject at most.
const MAX_VERSIONS: usize = 10_000;

/// A schema as it is sent.
#[derive(Debug, Clone)]
pub struct NewSchema {
    pub kind: SchemaKind,
    /// Empty: that of the version before.
    pub text: String,
    pub references: Vec<Link>,
    pub metadata: Option<Json>,
    pub rule_set: Option<Json>,
    /// In mode IMPORT: under which id it is to be known.
    pub id: Option<i32>,
    /// Which version it must become.
    pub version: Option<i32>,
}

impl NewSchema {
    pub fn new(kind: SchemaKind, text: impl Into<String>) -> Self {
        NewSchema { kind, text: text.into(), references: Vec::new(), metadata: None, rule_set: None, id: None, version: None }
    }

    /// A topic with another place could not be read again.
    fn check_place(&self) -> Result<(), OwnError> {
        match (self.id, self.version) {
            (Some(id), _) if id < 0 => Err(OwnError::InvalidSchema(format!("{id} is no id: ids count from 0"))),
            (Some(id), _) if id > LAST_IMPORTED_ID => Err(OwnError::InvalidSchema(format!(
                "Schemas are imported under ids up to {LAST_IMPORTED_ID}, not under {id}: ids of new schemas count on from the highest one"
            ))),
            (_, Some(version)) if version < 1 => Err(OwnError::InvalidSchema(format!("{version} is no version: versions count from 1"))),
            _ => Ok(()),
        }
    }

    pub(super) fn check_size(&self) -> Result<(), OwnError> {
        if self.text.len() > MAX_SCHEMA_BYTES {
            return Err(OwnError::TooLarge { bytes: self.text.len(), limit: MAX_SCHEMA_BYTES });
        }
        if self.references.len() > MAX_LINKS {
            return Err(OwnError::InvalidSchema(format!(
                "The schema has {} references; at most {MAX_LINKS} are taken",
                self.references.len()
            )));
        }
        Ok(())
    }
}

/// A schema that was read, with what it refers to.
pub(super) struct Candidate {
    pub parsed: ParsedSchema,
    pub references: Vec<Link>,
    pub metadata: Option<Json>,
    pub rule_set: Option<Json>,
}

impl Candidate {
    pub fn digest(&self) -> [u8; 16] {
        digest(self.parsed.kind(), &self.parsed.canonical, &self.references, self.metadata.as_ref(), self.rule_set.as_ref())
    }

    /// Whether a version says the same, written otherwise.
    pub fn is(&self, version: &Version, content: &Content) -> bool {
        if version.kind != self.parsed.kind() || version.metadata != self.metadata || version.rule_set != self.rule_set {
            return false;
        }
        let same_references = version.references == self.references;
        if version.text == self.parsed.canonical {
            return same_references;
        }
        same_references
            && content
                .resolved(version)
                .is_ok_and(|schema| language::parse(&schema, false).is_ok_and(|known| known.identity == self.parsed.identity))
    }
}

impl OwnRegistry {
    /// Registers a schema under a subject, where it is not there yet.
    ///
    /// # Errors
    /// It is no schema, does not follow the versions before it, or may not be written.
    pub fn register(&self, subject: &str, new: &NewSchema, normalize: bool) -> Result<Arc<Version>, OwnError> {
        context::check(subject)?;
        new.check_size()?;
        new.check_place()?;
        let subject = context::normal(subject);
        let mut change = self.change()?;
        let content = self.content.read();
        let mode = content.mode_in_scope(subject);
        // A schema that is there already is found in any mode.
        let is_frozen = matches!(mode, Mode::ReadOnly | Mode::ReadOnlyOverride);
        if !is_frozen {
            check_mode(subject, mode, new.id.is_some())?;
        }
        let versions: Vec<Arc<Version>> = content.versions(subject).cloned().collect();
        let live: Vec<&Arc<Version>> = versions.iter().filter(|version| !version.deleted).collect();
        let config = content.config_in_scope(subject);
        let candidate = candidate(&content, subject, new, live.last().copied(), &config, normalize)?;
        let digest = candidate.digest();
        let context_name = context_of(subject);
        let known = content.id_of(context_name, &digest).filter(|known| new.id.is_none_or(|id| id == *known));
        if new.version.is_none() {
            let same_id = |version: &&&Arc<Version>| Some(version.id) == known;
            let same = |version: &&&Arc<Version>| new.id.is_none_or(|id| id == version.id) && candidate.is(version, &content);
            if let Some(found) = live.iter().rev().find(same_id).or_else(|| live.iter().rev().find(same)) {
                return Ok((*found).clone());
            }
        }
        check_mode(subject, mode, new.id.is_some())?;
        if mode != Mode::Import {
            let reasons = reasons(&content, &config, &candidate.parsed, &live)?;
            if !reasons.is_empty() {
                return Err(OwnError::Incompatible { subject: subject.to_owned(), reasons });
            }
        }
        if versions.len() >= MAX_VERSIONS {
            return Err(OwnError::NotPermitted(format!("Subject '{subject}' has {MAX_VERSIONS} versions, as many as there may be")));
        }
        let next = versions.last().map_or(1, |last| last.version.saturating_add(1));
        let version = match new.version {
            Some(version) if version != next && mode != Mode::Import => {
                return Err(OwnError::InvalidSchema("Version is not one more than previous version".to_owned()));
            }
            Some(version) => version,
            None => next,
        };
        let id = match (new.id, known) {
            (Some(id), _) => {
                let taken = content.versions_of_id(context_name, id).first().is_some_and(|other| other.digest() != digest);
                if taken {
                    let message = format!("Overwrite new schema with id {id} in context {context_name} is not permitted.");
                    return Err(OwnError::NotPermitted(message));
                }
                id
            }
            (None, Some(known)) => known,
            (None, None) => {
                content.next_id(context_name).ok_or_else(|| OwnError::Store(format!("There are no more ids in context {context_name}")))?
            }
        };
        let is_new_context = !content.knows_context(context_name);
        drop(content);
        if is_new_context && context_name != DEFAULT_CONTEXT {
            change.put(&Key::Context(context_name.to_owned()), &serde_json::json!({ "tenant": "default", "context": context_name }))?;
        }
        let schema = Version {
            subject: subject.to_owned(),
            version,
            id,
            kind: candidate.parsed.kind(),
            references: candidate.references,
            metadata: candidate.metadata,
            rule_set: candidate.rule_set,
            text: candidate.parsed.canonical,
            deleted: false,
        };
        change.put(&Key::Schema { subject: subject.to_owned(), version }, &schema.to_record())?;
        // The same schema as a deleted version takes that one's place.
        for gone in versions.iter().filter(|earlier| earlier.deleted && earlier.id == id && earlier.version < version) {
            change.remove(&Key::Schema { subject: subject.to_owned(), version: gone.version })?;
        }
        Ok(Arc::new(schema))
    }

    /// Why a schema could not follow a version of a subject, or (without one) those that its level looks at; none: it could.
    ///
    /// # Errors
    /// It is no schema, or there is no such version.
    pub fn incompatibilities(
        &self,
        subject: &str,
        version: Option<VersionId>,
        new: &NewSchema,
        normalize: bool,
    ) -> Result<Vec<String>, OwnError> {
        new.check_size()?;
        let content = self.content.read();
        let versions: Vec<Arc<Version>> = match version {
            None => content.versions(subject).filter(|version| !version.deleted).cloned().collect(),
            Some(VersionId::Latest) => content.latest(subject).cloned().into_iter().collect(),
            Some(VersionId::Number(number)) => {
                let found = content.version(subject, number).filter(|version| !version.deleted);
                vec![found.cloned().ok_or(OwnError::VersionNotFound(number))?]
            }
        };
        let config = content.config_in_scope(subject);
        let candidate = candidate(&content, subject, new, None, &config, normalize)?;
        reasons(&content, &config, &candidate.parsed, &versions.iter().collect::<Vec<_>>())
    }
}

fn check_mode(subject: &str, mode: Mode, has_id: bool) -> Result<(), OwnError> {
    let context = context_of(subject);
    let not = |what: &str| Err(OwnError::NotPermitted(format!("Subject {subject} in context {context} {what}")));
    match mode {
        Mode::ReadOnly | Mode::ReadOnlyOverride => not("is in read-only mode"),
        Mode::ReadWrite if has_id => not("is not in import mode"),
        Mode::Import if !has_id => not("is not in read-write mode"),
        Mode::ReadWrite | Mode::Import => Ok(()),
    }
}

/// Reads a schema; what it leaves out is as in the version before it.
pub(super) fn candidate(
    content: &Content,
    subject: &str,
    new: &NewSchema,
    previous: Option<&Arc<Version>>,
    config: &Config,
    normalize: bool,
) -> Result<Candidate, OwnError> {
    let (kind, text, links) = match previous {
        Some(previous) if new.text.trim().is_empty() => (previous.kind, previous.text.clone(), previous.references.clone()),
        _ if new.text.trim().is_empty() => return Err(OwnError::InvalidSchema("Empty schema".to_owned())),
        _ => (new.kind, new.text.clone(), new.references.clone()),
    };
    let schema: Schema = content.schema(kind, text, subject, &links)?;
    let normalize = normalize || config.normalize == Some(true);
    let parsed = language::parse(&schema, normalize)
        .map_err(|why| OwnError::InvalidSchema(format!("Invalid schema of type {}, details: {why}", kind_name(kind))))?;
    // The newest version is referred to by its number.
    let mut references: Vec<Link> =
        links.into_iter().zip(&schema.references).map(|(link, found)| Link { version: found.version, ..link }).collect();
    if normalize {
        references.sort();
        references.dedup();
    }
    Ok(Candidate {
        parsed,
        references,
        metadata: new.metadata.clone().or_else(|| previous.and_then(|previous| previous.metadata.clone())),
        rule_set: new.rule_set.clone().or_else(|| previous.and_then(|previous| previous.rule_set.clone())),
    })
}

fn reasons(content: &Content, config: &Config, schema: &ParsedSchema, live: &[&Arc<Version>]) -> Result<Vec<String>, OwnError> {
    let level = config.compatibility_level.unwrap_or_default();
    if level == Level::None {
        return Ok(Vec::new());
    }
    // One that looks at the newest version only needs no other to be read.
    let considered = if level.is_transitive() { live } else { live.split_at(live.len().saturating_sub(1)).1 };
    let mut previous = Vec::with_capacity(considered.len());
    for version in considered {
        let read = content.resolved(version).and_then(|schema| language::parse(&schema, false).map_err(OwnError::InvalidSchema));
        match read {
            Ok(schema) => previous.push(Previous { version: version.version, schema }),
            Err(why) => {
                return Ok(vec![format!("Version {} of the subject can't be read to compare with it: {why}", version.version)]);
            }
        }
    }
    Ok(compatibility::check(level, schema, &previous))
}

/// As clients name it.
pub(super) fn kind_name(kind: SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Avro => "AVRO",
        SchemaKind::Json => "JSON",
        SchemaKind::Protobuf => "PROTOBUF",
    }
}
