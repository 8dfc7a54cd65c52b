//! What the topic's records add up to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use md5::{Digest as _, Md5};
use serde_json::Value as Json;

use super::OwnError;
use super::context::{ALL_CONTEXTS, DEFAULT_CONTEXT, context_of, normal, parted};
use super::record::{Config, DeleteRecord, Key, Link, Mode, ModeRecord, SchemaRecord};
use super::register::LAST_IMPORTED_ID;
use crate::registry::compatibility::Level;
use crate::registry::{Reference, Schema, SchemaKind};

/// References of references at most.
const MAX_REFERENCE_DEPTH: usize = 16;
/// Schemas that one refers to in all, directly or not.
const MAX_REFERENCES: usize = 1_000;

/// Which of the softly deleted are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Exclude,
    Include,
    Only,
}

impl Deleted {
    pub(super) fn takes(self, deleted: bool) -> bool {
        match self {
            Deleted::Exclude => !deleted,
            Deleted::Include => true,
            Deleted::Only => deleted,
        }
    }
}

/// A version of a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    pub kind: SchemaKind,
    pub references: Vec<Link>,
    pub metadata: Option<Json>,
    pub rule_set: Option<Json>,
    pub text: String,
    pub deleted: bool,
}

/// A version by its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectVersion {
    pub subject: String,
    pub version: i32,
}

/// By which schemas are told apart: a digest of the text, the references and what goes with them.
pub(super) type Digest = [u8; 16];

/// The ids of a context.
#[derive(Debug, Default)]
struct Ids {
    /// Who has an id.
    holders: HashMap<i32, BTreeSet<SubjectVersion>>,
    by_digest: HashMap<Digest, i32>,
    last: i32,
}

#[derive(Debug, Default)]
pub(super) struct Content {
    subjects: BTreeMap<String, BTreeMap<i32, Arc<Version>>>,
    ids: HashMap<String, Ids>,
    /// Who refers to a version.
    referrers: HashMap<SubjectVersion, BTreeSet<i32>>,
    configs: BTreeMap<Option<String>, Config>,
    modes: BTreeMap<Option<String>, Mode>,
    contexts: BTreeSet<String>,
}

impl Version {
    pub(super) fn digest(&self) -> Digest {
        digest(self.kind, &self.text, &self.references, self.metadata.as_ref(), self.rule_set.as_ref())
    }

    pub(super) fn to_record(&self) -> SchemaRecord {
        SchemaRecord {
            subject: self.subject.clone(),
            version: self.version,
            id: self.id,
            schema_type: self.kind,
            references: self.references.clone(),
            metadata: self.metadata.clone(),
            rule_set: self.rule_set.clone(),
            schema: self.text.clone(),
            deleted: self.deleted,
        }
    }

    fn of_record(record: SchemaRecord) -> Self {
        Version {
            subject: record.subject,
            version: record.version,
            id: record.id,
            kind: record.schema_type,
            references: record.references,
            metadata: record.metadata.filter(|metadata| !metadata.is_null()),
            rule_set: record.rule_set.filter(|rules| !rules.is_null()),
            text: record.schema,
            deleted: record.deleted,
        }
    }
}

pub(super) fn digest(kind: SchemaKind, text: &str, references: &[Link], metadata: Option<&Json>, rule_set: Option<&Json>) -> Digest {
    let mut digest = Md5::new();
    let mut part = |bytes: &[u8]| {
        digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(bytes);
    };
    part(format!("{kind:?}").as_bytes());
    part(text.as_bytes());
    for link in references {
        part(link.name.as_bytes());
        part(link.subject.as_bytes());
        part(&link.version.to_be_bytes());
    }
    for json in [metadata, rule_set] {
        part(json.map(Json::to_string).unwrap_or_default().as_bytes());
    }
    digest.finalize().into()
}

impl Content {
    /// # Errors
    /// The value does not fit the key: why. Nothing has changed then.
    pub fn apply(&mut self, key: &Key, value: Option<&[u8]>) -> Result<(), String> {
        fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
            serde_json::from_slice(value).map_err(|error| error.to_string())
        }
        match (key, value) {
            (Key::Schema { subject, version }, Some(value)) => {
                let record: SchemaRecord = read(value)?;
                if record.id < 0 {
                    return Err(format!("the id {} is none", record.id));
                }
                let schema = Version { subject: normal(subject).to_owned(), version: *version, ..Version::of_record(record) };
                self.put(schema);
            }
            (Key::Schema { subject, version }, None) => self.remove(normal(subject), *version),
            (Key::Config(subject), Some(value)) => {
                self.configs.insert(subject.clone(), read(value)?);
            }
            (Key::Config(subject), None) => {
                self.configs.remove(subject);
            }
            (Key::Mode(subject), Some(value)) => {
                let record: ModeRecord = read(value)?;
                self.modes.insert(subject.clone(), record.mode);
            }
            (Key::Mode(subject), None) => {
                self.modes.remove(subject);
            }
            (Key::DeleteSubject(subject), Some(value)) => {
                let record: DeleteRecord = read(value)?;
                self.delete_up_to(normal(subject), record.version);
            }
            (Key::ClearSubject(subject), Some(_)) => self.clear(subject.as_deref()),
            (Key::Context(context), Some(_)) => {
                self.contexts.insert(context.clone());
            }
            (Key::Context(context), None) => {
                self.contexts.remove(context);
            }
            (Key::DeleteSubject(_) | Key::ClearSubject(_), None) | (Key::Noop, _) => {}
        }
        Ok(())
    }

    fn put(&mut self, schema: Version) {
        let known = self.subjects.get(&schema.subject).and_then(|versions| versions.get(&schema.version));
        if known.is_some() {
            self.remove(&schema.subject.clone(), schema.version);
        }
        let place = SubjectVersion { subject: schema.subject.clone(), version: schema.version };
        let context = context_of(&schema.subject).to_owned();
        if context != DEFAULT_CONTEXT {
            self.contexts.insert(context.clone());
        }
        let ids = self.ids.entry(context).or_default();
        ids.holders.entry(schema.id).or_default().insert(place);
        ids.by_digest.insert(schema.digest(), schema.id);
        ids.last = ids.last.max(schema.id);
        // Softly deleted schemas refer to nothing any more.
        if !schema.deleted {
            for link in &schema.references {
                let target = SubjectVersion { subject: self.target(&schema.subject, &link.subject), version: link.version };
                self.referrers.entry(target).or_default().insert(schema.id);
            }
        }
        self.subjects.entry(schema.subject.clone()).or_default().insert(schema.version, Arc::new(schema));
    }

    fn remove(&mut self, subject: &str, version: i32) {
        let Some(versions) = self.subjects.get_mut(subject) else { return };
        let Some(gone) = versions.remove(&version) else { return };
        if versions.is_empty() {
            self.subjects.remove(subject);
        }
        let is_held = self.ids.get_mut(context_of(subject)).is_some_and(|ids| {
            let Some(holders) = ids.holders.get_mut(&gone.id) else { return false };
            holders.remove(&SubjectVersion { subject: subject.to_owned(), version });
            if holders.is_empty() {
                ids.holders.remove(&gone.id);
                ids.by_digest.retain(|_, id| *id != gone.id);
                return false;
            }
            true
        });
        let refers_still = is_held && self.versions_of_id(context_of(subject), gone.id).iter().any(|other| !other.deleted);
        if !refers_still {
            self.forget_links(&gone);
        }
    }

    fn forget_links(&mut self, schema: &Version) {
        for link in &schema.references {
            let target = SubjectVersion { subject: self.target(&schema.subject, &link.subject), version: link.version };
            if let Some(ids) = self.referrers.get_mut(&target) {
                ids.remove(&schema.id);
                if ids.is_empty() {
                    self.referrers.remove(&target);
                }
            }
        }
    }

    fn delete_up_to(&mut self, subject: &str, last: i32) {
        let versions: Vec<Arc<Version>> = self.versions(subject).filter(|v| v.version <= last && !v.deleted).cloned().collect();
        for version in versions {
            self.put(Version { deleted: true, ..(*version).clone() });
        }
    }

    fn clear(&mut self, subject: Option<&str>) {
        let gone: Vec<SubjectVersion> = self
            .all()
            .filter(|version| version.deleted && subject.is_none_or(|subject| is_within(&version.subject, subject)))
            .map(|version| SubjectVersion { subject: version.subject.clone(), version: version.version })
            .collect();
        for place in gone {
            self.remove(&place.subject, place.version);
        }
    }

    /// The subject that a link means: one that names no context is in that of the schema, where it is there.
    pub fn target(&self, subject: &str, linked: &str) -> String {
        let context = context_of(subject);
        if context == DEFAULT_CONTEXT || linked.starts_with(":.") {
            return normal(linked).to_owned();
        }
        super::context::qualified(context, linked)
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.subjects.values().flat_map(BTreeMap::values)
    }

    /// The subjects that begin so, with their versions.
    pub fn with_prefix<'c>(&'c self, prefix: &'c str) -> impl Iterator<Item = (&'c String, &'c BTreeMap<i32, Arc<Version>>)> {
        let (all, rest) = match prefix.strip_prefix(ALL_CONTEXTS) {
            Some(rest) => (true, rest),
            None => (false, normal(prefix)),
        };
        self.subjects.iter().filter(move |(subject, _)| match all {
            true => parted(subject).1.starts_with(rest),
            false => subject.starts_with(rest) && (rest.starts_with(":.") || context_of(subject) == DEFAULT_CONTEXT),
        })
    }

    /// All versions of a subject, oldest first.
    pub fn versions(&self, subject: &str) -> impl DoubleEndedIterator<Item = &Arc<Version>> {
        self.subjects.get(normal(subject)).into_iter().flat_map(BTreeMap::values)
    }

    pub fn version(&self, subject: &str, version: i32) -> Option<&Arc<Version>> {
        self.subjects.get(normal(subject))?.get(&version)
    }

    /// The newest version that is not deleted.
    pub fn latest(&self, subject: &str) -> Option<&Arc<Version>> {
        self.versions(subject).rev().find(|version| !version.deleted)
    }

    pub fn has_subject(&self, subject: &str, deleted: Deleted) -> bool {
        self.versions(subject).any(|version| deleted.takes(version.deleted))
    }

    /// Whether there are versions in a subject; in a context where it names one; or at all.
    pub fn has_within(&self, scope: Option<&str>) -> bool {
        self.all().any(|version| !version.deleted && scope.is_none_or(|scope| is_within(&version.subject, scope)))
    }

    pub fn id_of(&self, context: &str, digest: &Digest) -> Option<i32> {
        self.ids.get(context)?.by_digest.get(digest).copied()
    }

    pub fn versions_of_id(&self, context: &str, id: i32) -> Vec<&Arc<Version>> {
        let holders = self.ids.get(context).and_then(|ids| ids.holders.get(&id));
        holders.into_iter().flatten().filter_map(|place| self.version(&place.subject, place.version)).collect()
    }

    pub fn max_id(&self, context: &str) -> i32 {
        self.ids.get(context).map_or(0, |ids| ids.last)
    }

    /// The id of a schema that comes next. Where somebody has taken the very last one (in a topic that was taken over), ids go on
    /// below those that can't be imported.
    pub fn next_id(&self, context: &str) -> Option<i32> {
        let Some(ids) = self.ids.get(context) else { return Some(1) };
        ids.last.checked_add(1).or_else(|| {
            let highest = ids.holders.keys().filter(|id| **id <= LAST_IMPORTED_ID).max();
            Some(highest.map_or(1, |id| id.saturating_add(1))).filter(|id| !ids.holders.contains_key(id))
        })
    }

    /// The ids of schemas that refer to a version.
    pub fn referrers(&self, subject: &str, version: i32) -> Vec<i32> {
        let place = SubjectVersion { subject: normal(subject).to_owned(), version };
        self.referrers.get(&place).into_iter().flatten().copied().collect()
    }

    pub fn contexts(&self) -> Vec<String> {
        std::iter::once(DEFAULT_CONTEXT.to_owned()).chain(self.contexts.iter().cloned()).collect()
    }

    pub fn knows_context(&self, context: &str) -> bool {
        context == DEFAULT_CONTEXT || self.contexts.contains(context)
    }

    pub fn config(&self, subject: Option<&str>) -> Option<&Config> {
        self.configs.get(&subject.map(str::to_owned))
    }

    pub fn mode(&self, subject: Option<&str>) -> Option<Mode> {
        self.modes.get(&subject.map(str::to_owned)).copied()
    }

    /// What holds for a subject: its own, its context's, that of all.
    pub fn config_in_scope(&self, subject: &str) -> Config {
        let default = Config { compatibility_level: Some(Level::default()), normalize: None };
        let global = self.config(None).map_or_else(|| default.clone(), |config| config.within(&default));
        let context = self.config(Some(&context_scope(subject))).map_or_else(|| global.clone(), |config| config.within(&global));
        self.config(Some(normal(subject))).map_or_else(|| context.clone(), |config| config.within(&context))
    }

    pub fn mode_in_scope(&self, subject: &str) -> Mode {
        if self.mode(None) == Some(Mode::ReadOnlyOverride) {
            return Mode::ReadOnlyOverride;
        }
        let scopes = [Some(normal(subject).to_owned()), Some(context_scope(subject)), None];
        scopes.iter().find_map(|scope| self.modes.get(scope)).copied().unwrap_or_default()
    }

    /// A version with all that it refers to.
    ///
    /// # Errors
    /// A schema that it refers to is not there.
    pub fn resolved(&self, version: &Version) -> Result<Schema, OwnError> {
        self.schema(version.kind, version.text.clone(), &version.subject, &version.references)
    }

    /// A schema with all that it refers to.
    ///
    /// # Errors
    /// As for [`Self::resolved`].
    pub fn schema(&self, kind: SchemaKind, text: String, subject: &str, links: &[Link]) -> Result<Schema, OwnError> {
        let mut budget = MAX_REFERENCES;
        let references = self.references(subject, links, MAX_REFERENCE_DEPTH, &mut budget)?;
        Ok(Schema { kind, text, references })
    }

    fn references(&self, subject: &str, links: &[Link], depth: usize, budget: &mut usize) -> Result<Vec<Reference>, OwnError> {
        let too_many =
            || OwnError::InvalidSchema(format!("References are more than {MAX_REFERENCES} or deeper than {MAX_REFERENCE_DEPTH}"));
        let resolve = |link: &Link| {
            *budget = budget.checked_sub(1).ok_or_else(too_many)?;
            let depth = depth.checked_sub(1).ok_or_else(too_many)?;
            let target = self.target(subject, &link.subject);
            let found = match link.version {
                -1 => self.latest(&target),
                number => self.version(&target, number),
            };
            let found = found.ok_or_else(|| {
                OwnError::InvalidSchema(format!("No schema reference found for subject \"{}\" and version {}", link.subject, link.version))
            })?;
            let references = self.references(&found.subject, &found.references, depth, budget)?;
            let schema = Schema { kind: found.kind, text: found.text.clone(), references };
            Ok(Reference { name: link.name.clone(), subject: link.subject.clone(), version: found.version, schema: Arc::new(schema) })
        };
        links.iter().map(resolve).collect()
    }
}

/// What a context is called where configs and modes are kept.
fn context_scope(subject: &str) -> String {
    format!(":{}:", context_of(subject))
}

/// Whether a subject is the one, or in the context, that a scope names.
fn is_within(subject: &str, scope: &str) -> bool {
    match parted(scope) {
        (context, "") => context_of(subject) == context,
        _ => subject == normal(scope),
    }
}
