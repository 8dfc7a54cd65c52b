//! Deleting: softly at first (the id stays known, so that records can still be read), then for good.

use super::content::{Deleted, Version};
use super::context::{context_of, normal};
use super::record::{DeleteRecord, Key, Mode};
use super::{OwnError, OwnRegistry, VersionId};

impl OwnRegistry {
    /// Deletes a subject; the numbers of the versions that went.
    ///
    /// # Errors
    /// There is none, others refer to it, or it may not be written.
    pub fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<i32>, OwnError> {
        let mut change = self.change()?;
        let subject = normal(subject);
        let content = self.content.read();
        if !content.has_subject(subject, Deleted::Include) {
            return Err(OwnError::SubjectNotFound(subject.to_owned()));
        }
        if !permanent && !content.has_subject(subject, Deleted::Exclude) {
            return Err(OwnError::SubjectSoftDeleted(subject.to_owned()));
        }
        check_mode(subject, content.mode_in_scope(subject))?;
        let filter = if permanent { Deleted::Include } else { Deleted::Exclude };
        let gone: Vec<_> = content.versions(subject).filter(|version| filter.takes(version.deleted)).cloned().collect();
        for version in &gone {
            if !content.referrers(subject, version.version).is_empty() {
                return Err(OwnError::ReferenceExists(subject.to_owned(), version.version));
            }
            if permanent && !version.deleted {
                return Err(OwnError::SubjectNotSoftDeleted(subject.to_owned()));
            }
        }
        let settings = (content.config(Some(subject)).is_some(), content.mode(Some(subject)).is_some());
        drop(content);
        let numbers: Vec<i32> = gone.iter().map(|version| version.version).collect();
        if permanent {
            for version in &numbers {
                change.remove(&Key::Schema { subject: subject.to_owned(), version: *version })?;
            }
            return Ok(numbers);
        }
        let last = numbers.last().copied().unwrap_or_default();
        change.put(&Key::DeleteSubject(subject.to_owned()), &DeleteRecord { subject: subject.to_owned(), version: last })?;
        forget_settings(&mut change, subject, settings)?;
        Ok(numbers)
    }

    /// Deletes a version of a subject; its number.
    ///
    /// # Errors
    /// There is none, others refer to it, or it may not be written.
    pub fn delete_version(&self, subject: &str, version: VersionId, permanent: bool) -> Result<i32, OwnError> {
        let mut change = self.change()?;
        let subject = normal(subject);
        let content = self.content.read();
        let found = match version {
            VersionId::Latest => content.latest(subject),
            VersionId::Number(number) => content.version(subject, number),
        };
        let Some(found) = found.cloned() else {
            return Err(match content.has_subject(subject, Deleted::Include) {
                true => OwnError::VersionNotFound(version.number()),
                false => OwnError::SubjectNotFound(subject.to_owned()),
            });
        };
        if !permanent && found.deleted {
            return Err(OwnError::VersionSoftDeleted(subject.to_owned(), found.version));
        }
        check_mode(subject, content.mode_in_scope(subject))?;
        if !content.referrers(subject, found.version).is_empty() {
            return Err(OwnError::ReferenceExists(subject.to_owned(), found.version));
        }
        if permanent && !found.deleted {
            return Err(OwnError::VersionNotSoftDeleted(subject.to_owned(), found.version));
        }
        let is_last = content.versions(subject).all(|other| other.deleted || other.version == found.version);
        let settings = (content.config(Some(subject)).is_some(), content.mode(Some(subject)).is_some());
        drop(content);
        let key = Key::Schema { subject: subject.to_owned(), version: found.version };
        if permanent {
            change.remove(&key)?;
        } else {
            change.put(&key, &Version { deleted: true, ..(*found).clone() }.to_record())?;
            if is_last {
                forget_settings(&mut change, subject, settings)?;
            }
        }
        Ok(found.version)
    }
}

/// What was set for a subject goes with its last version.
fn forget_settings(change: &mut super::change::Change<'_>, subject: &str, (config, mode): (bool, bool)) -> Result<(), OwnError> {
    if mode {
        change.remove(&Key::Mode(Some(subject.to_owned())))?;
    }
    if config {
        change.remove(&Key::Config(Some(subject.to_owned())))?;
    }
    Ok(())
}

fn check_mode(subject: &str, mode: Mode) -> Result<(), OwnError> {
    if matches!(mode, Mode::ReadOnly | Mode::ReadOnlyOverride) {
        return Err(OwnError::NotPermitted(format!("Subject {subject} in context {} is in read-only mode", context_of(subject))));
    }
    Ok(())
}
