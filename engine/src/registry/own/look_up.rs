//! Questions. None of them waits for the log.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::content::{Content, Deleted, SubjectVersion, Version};
use super::context::{self, DEFAULT_CONTEXT, context_of};
use super::register::candidate;
use super::{NewSchema, OwnError, OwnRegistry, VersionId};
use crate::registry::language;
use crate::registry::{Schema, SchemaKind};

impl OwnRegistry {
    /// Subjects that begin so; `:*:` stands for all contexts.
    pub fn subjects(&self, prefix: &str, deleted: Deleted) -> Vec<String> {
        let content = self.content.read();
        let found = content.with_prefix(prefix).filter(|(_, versions)| deleted.takes(versions.values().all(|version| version.deleted)));
        found.map(|(subject, _)| subject.clone()).collect()
    }

    /// The numbers of a subject's versions.
    ///
    /// # Errors
    /// There is no such subject.
    pub fn versions(&self, subject: &str, deleted: Deleted) -> Result<Vec<i32>, OwnError> {
        let content = self.content.read();
        let lookup = if deleted == Deleted::Exclude { Deleted::Exclude } else { Deleted::Include };
        if !content.has_subject(subject, lookup) {
            return Err(OwnError::SubjectNotFound(subject.to_owned()));
        }
        Ok(content.versions(subject).filter(|version| deleted.takes(version.deleted)).map(|version| version.version).collect())
    }

    /// A version of a subject; deleted ones where they are asked for.
    ///
    /// # Errors
    /// There is none.
    pub fn version(&self, subject: &str, version: VersionId, deleted: bool) -> Result<Arc<Version>, OwnError> {
        let content = self.content.read();
        let missing = |content: &Content| {
            let lookup = if deleted { Deleted::Include } else { Deleted::Exclude };
            match content.has_subject(subject, lookup) {
                true => OwnError::VersionNotFound(version.number()),
                false => OwnError::SubjectNotFound(subject.to_owned()),
            }
        };
        find(&content, subject, version, deleted).ok_or_else(|| missing(&content))
    }

    /// The ids of schemas that refer to a version.
    ///
    /// # Errors
    /// There is no such version.
    pub fn referrers(&self, subject: &str, version: VersionId) -> Result<Vec<i32>, OwnError> {
        let found = self.version(subject, version, true)?;
        Ok(self.content.read().referrers(&found.subject, found.version))
    }

    /// The version of a subject that says what a schema says.
    ///
    /// # Errors
    /// There is none, or it is no schema.
    pub fn look_up(&self, subject: &str, new: &NewSchema, normalize: bool, deleted: bool) -> Result<Arc<Version>, OwnError> {
        new.check_size()?;
        let content = self.content.read();
        let lookup = if deleted { Deleted::Include } else { Deleted::Exclude };
        if !content.has_subject(subject, lookup) {
            return Err(OwnError::SubjectNotFound(subject.to_owned()));
        }
        let versions: Vec<&Arc<Version>> = content.versions(subject).filter(|version| lookup.takes(version.deleted)).collect();
        let config = content.config_in_scope(subject);
        // As it would be registered: what it leaves out is taken from the version before.
        for previous in [None, versions.last().copied().filter(|last| last.metadata.is_some() || last.rule_set.is_some())] {
            let candidate = candidate(&content, subject, new, previous, &config, normalize)?;
            let known = content.id_of(context_of(subject), &candidate.digest());
            let by_id = versions.iter().rev().find(|version| Some(version.id) == known);
            if let Some(found) = by_id.or_else(|| versions.iter().rev().find(|version| candidate.is(version, &content))) {
                return Ok((*found).clone());
            }
        }
        Err(OwnError::SchemaNotFound)
    }

    /// The schema of an id: where a subject is named, one of its context, its own before others'.
    ///
    /// # Errors
    /// There is none.
    pub fn by_id(&self, id: i32, subject: Option<&str>) -> Result<Arc<Version>, OwnError> {
        // A change that waits for a long look-up keeps nobody who reads records.
        let content = self.content.read_recursive();
        find_id(&content, id, subject).ok_or(OwnError::IdNotFound(id))
    }

    /// The largest id that was given in the context of a subject.
    pub fn max_id(&self, subject: Option<&str>) -> i32 {
        self.content.read().max_id(subject.map_or(DEFAULT_CONTEXT, context_of))
    }

    /// Where the schema of an id stands.
    ///
    /// # Errors
    /// There is none.
    pub fn places(&self, id: i32, subject: Option<&str>, deleted: bool) -> Result<Vec<SubjectVersion>, OwnError> {
        let content = self.content.read();
        let found = find_id(&content, id, subject).ok_or(OwnError::IdNotFound(id))?;
        let lookup = if deleted { Deleted::Include } else { Deleted::Exclude };
        let mut places: Vec<SubjectVersion> = content
            .versions_of_id(context_of(&found.subject), id)
            .into_iter()
            .filter(|version| lookup.takes(version.deleted))
            .map(|version| SubjectVersion { subject: version.subject.clone(), version: version.version })
            .collect();
        places.sort();
        Ok(places)
    }

    /// Schemas of subjects that begin so.
    pub fn schemas(&self, prefix: &str, deleted: bool, latest_only: bool) -> Vec<Arc<Version>> {
        let content = self.content.read();
        let lookup = if deleted { Deleted::Include } else { Deleted::Exclude };
        let mut found = Vec::new();
        for (_, versions) in content.with_prefix(prefix) {
            let mut kept = versions.values().filter(|version| lookup.takes(version.deleted));
            if latest_only { found.extend(kept.next_back().cloned()) } else { found.extend(kept.cloned()) }
        }
        found
    }

    pub fn contexts(&self) -> Vec<String> {
        self.content.read().contexts()
    }

    /// A version's text in a form: `resolved` (AVRO, with all that it refers to within it), `serialized` (PROTOBUF, as a
    /// descriptor in base64); any other is as it is.
    ///
    /// # Errors
    /// What it refers to is gone.
    pub fn formatted(&self, version: &Version, format: &str) -> Result<String, OwnError> {
        let schema = || self.content.read().resolved(version);
        match (version.kind, format) {
            (SchemaKind::Avro, "resolved") => language::avro::resolved_text(&schema()?).map_err(OwnError::InvalidSchema),
            (SchemaKind::Protobuf, "serialized") => language::protobuf::serialized(&schema()?).map_err(OwnError::InvalidSchema),
            _ => Ok(version.text.clone()),
        }
    }

    /// A version with all that it refers to.
    ///
    /// # Errors
    /// What it refers to is gone.
    pub(super) fn resolved(&self, version: &Version) -> Result<Arc<Schema>, OwnError> {
        self.content.read_recursive().resolved(version).map(Arc::new)
    }
}

/// Looked for in the subject's own context; a subject without one, in the others as well.
fn find(content: &Content, subject: &str, version: VersionId, deleted: bool) -> Option<Arc<Version>> {
    let within = |subject: &str| match version {
        VersionId::Latest => content.latest(subject).cloned(),
        VersionId::Number(number) => content.version(subject, number).filter(|version| deleted || !version.deleted).cloned(),
    };
    within(subject).or_else(|| {
        let others = content.contexts().into_iter().filter(|context| context != DEFAULT_CONTEXT && context_of(subject) == DEFAULT_CONTEXT);
        others.map(|context| context::qualified(&context, context::normal(subject))).find_map(|subject| within(&subject))
    })
}

fn find_id(content: &Content, id: i32, subject: Option<&str>) -> Option<Arc<Version>> {
    let subject = subject.unwrap_or_default();
    let name = context::parted(subject).1;
    let in_context = |context: &str, name: &str| {
        let versions = content.versions_of_id(context, id);
        let own = versions.iter().find(|version| context::parted(&version.subject).1 == name);
        own.or_else(|| versions.iter().find(|version| name.is_empty() && !version.deleted))
            .or_else(|| versions.first().filter(|_| name.is_empty()))
            .map(|v| (*v).clone())
    };
    let context = context_of(subject);
    if let Some(found) = in_context(context, name) {
        return Some(found);
    }
    // A subject that names no context may be another's; at last, whoever has the id where it was looked for.
    let contexts: BTreeSet<String> = content.contexts().into_iter().collect();
    let others = contexts.iter().filter(|other| context == DEFAULT_CONTEXT && !name.is_empty() && *other != DEFAULT_CONTEXT);
    others.into_iter().find_map(|other| in_context(other, name)).or_else(|| in_context(context, ""))
}
