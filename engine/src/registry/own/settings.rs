//! What is asked of versions, and what may be done with subjects: of all, of a context (`:.name:`) or of one subject.

use super::context::normal;
use super::record::{Config, Key, Mode, ModeRecord};
use super::{OwnError, OwnRegistry};
use crate::registry::compatibility::Level;

/// `None` and the default context's name mean all.
fn scope(subject: Option<&str>) -> Option<String> {
    subject.map(normal).filter(|subject| !subject.is_empty()).map(str::to_owned)
}

impl OwnRegistry {
    /// What is set for a subject, or for all; with what is said further out where `in_scope`.
    ///
    /// # Errors
    /// Nothing is set.
    pub fn config(&self, subject: Option<&str>, in_scope: bool) -> Result<Config, OwnError> {
        let content = self.content.read();
        match scope(subject) {
            Some(subject) if in_scope => Ok(content.config_in_scope(&subject)),
            Some(subject) => content.config(Some(&subject)).cloned().ok_or(OwnError::CompatibilityNotConfigured(subject)),
            None => {
                let default = Config { compatibility_level: Some(Level::default()), normalize: None };
                Ok(content.config(None).map_or_else(|| default.clone(), |config| config.within(&default)))
            }
        }
    }

    /// Sets what is given and keeps the rest; what then holds.
    ///
    /// # Errors
    /// It may not be written.
    pub fn set_config(&self, subject: Option<&str>, given: &Config) -> Result<Config, OwnError> {
        let mut change = self.change()?;
        let subject = scope(subject);
        check_subject(subject.as_deref())?;
        let content = self.content.read();
        check_mode(content.mode_in_scope(subject.as_deref().unwrap_or_default()), subject.as_deref())?;
        let config = content.config(subject.as_deref()).map_or_else(|| given.clone(), |known| given.within(known));
        drop(content);
        change.put(&Key::Config(subject), &config)?;
        Ok(config)
    }

    /// Forgets what was set; what that was.
    ///
    /// # Errors
    /// Nothing was, or it may not be written.
    pub fn delete_config(&self, subject: Option<&str>) -> Result<Config, OwnError> {
        let mut change = self.change()?;
        let subject = scope(subject);
        let content = self.content.read();
        check_mode(content.mode_in_scope(subject.as_deref().unwrap_or_default()), subject.as_deref())?;
        let known = content.config(subject.as_deref()).cloned();
        drop(content);
        match (known, &subject) {
            (Some(known), _) => {
                change.remove(&Key::Config(subject))?;
                Ok(known)
            }
            (None, Some(subject)) => Err(OwnError::SubjectNotFound(subject.clone())),
            (None, None) => self.config(None, false),
        }
    }

    /// The mode of a subject, or of all; what is said further out where `in_scope`.
    ///
    /// # Errors
    /// None is set.
    pub fn mode(&self, subject: Option<&str>, in_scope: bool) -> Result<Mode, OwnError> {
        let content = self.content.read();
        match scope(subject) {
            Some(subject) if in_scope => Ok(content.mode_in_scope(&subject)),
            Some(subject) => content.mode(Some(&subject)).ok_or(OwnError::ModeNotConfigured(subject)),
            None => Ok(content.mode(None).unwrap_or_default()),
        }
    }

    /// # Errors
    /// IMPORT where there are schemas already, unless forced; or it may not be written.
    pub fn set_mode(&self, subject: Option<&str>, mode: Mode, force: bool) -> Result<(), OwnError> {
        let mut change = self.change()?;
        let subject = scope(subject);
        check_subject(subject.as_deref())?;
        let content = self.content.read();
        let current = content.mode_in_scope(subject.as_deref().unwrap_or_default());
        let begins_import = mode == Mode::Import && current != Mode::Import && !force;
        if begins_import && content.has_within(subject.as_deref()) {
            return Err(OwnError::NotPermitted("Cannot import since found existing subjects".to_owned()));
        }
        drop(content);
        if begins_import {
            change.put(&Key::ClearSubject(subject.clone()), &serde_json::json!({ "subject": subject }))?;
        }
        change.put(&Key::Mode(subject), &ModeRecord { mode })
    }

    /// Forgets the mode of a subject; which that was.
    ///
    /// # Errors
    /// None was set, or it may not be written.
    pub fn delete_mode(&self, subject: Option<&str>) -> Result<Mode, OwnError> {
        let mut change = self.change()?;
        let subject = scope(subject);
        let known = self.content.read().mode(subject.as_deref());
        match (known, &subject) {
            (Some(known), _) => {
                change.remove(&Key::Mode(subject))?;
                Ok(known)
            }
            (None, Some(subject)) => Err(OwnError::SubjectNotFound(subject.clone())),
            (None, None) => Ok(Mode::default()),
        }
    }
}

fn check_subject(subject: Option<&str>) -> Result<(), OwnError> {
    match subject {
        // Of a whole context.
        Some(subject) if subject.starts_with(":.") && subject.ends_with(':') => super::context::check(&format!("{subject}x")),
        Some(subject) => super::context::check(subject),
        None => Ok(()),
    }
}

fn check_mode(mode: Mode, subject: Option<&str>) -> Result<(), OwnError> {
    if matches!(mode, Mode::ReadOnly | Mode::ReadOnlyOverride) {
        let of = subject.map_or_else(|| "The registry".to_owned(), |subject| format!("Subject {subject}"));
        return Err(OwnError::NotPermitted(format!("{of} is in read-only mode")));
    }
    Ok(())
}
