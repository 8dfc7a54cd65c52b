//! The session of one request: its properties and variables, as SET and DEFINE inside it change them.

use tidemill_engine::engine::SessionProperties;

use crate::app::App;
use crate::config::OverrideError;
use crate::request::{Settings, define, undefine};

/// The property that says whether `${name}` stands for a variable's value.
pub const SUBSTITUTION: &str = tidemill_parser::SUBSTITUTION_PROPERTY;

#[derive(Debug, Clone)]
pub struct Session {
    /// As the client gave them.
    overrides: Settings,
    /// Those that bear on statements, over the server's.
    properties: SessionProperties,
    variables: Settings,
    substitution: bool,
}

impl Session {
    /// # Errors
    /// A property can't be set.
    pub fn new(app: &App, overrides: &Settings, variables: Settings) -> Result<Self, OverrideError> {
        let resolved = app.config.overrides.resolve(overrides)?;
        if !overrides.is_empty() && app.config.flag("ksql.properties.overrides.log") {
            let names: Vec<&str> = overrides.keys().map(String::as_str).collect();
            tracing::info!("a session sets {}", names.join(", "));
        }
        Ok(Self::with(app, overrides.clone(), &resolved, variables))
    }

    /// The session of a pull query, which few properties bear on.
    ///
    /// # Errors
    /// A property can't be set.
    pub fn for_pull(app: &App, overrides: &Settings, variables: Settings) -> Result<Self, OverrideError> {
        let resolved = app.config.overrides.resolve_for_pull(overrides)?;
        Ok(Self::with(app, overrides.clone(), &resolved, variables))
    }

    fn with(app: &App, overrides: Settings, resolved: &Settings, variables: Settings) -> Self {
        let properties = app.engine.session(resolved);
        let off = properties.0.get(SUBSTITUTION).is_some_and(|v| v.eq_ignore_ascii_case("false"));
        Session { overrides, properties, variables, substitution: !off }
    }

    pub fn properties(&self) -> &SessionProperties {
        &self.properties
    }

    pub fn overrides(&self) -> &Settings {
        &self.overrides
    }

    /// # Errors
    /// The property can't be set.
    pub fn set(&mut self, app: &App, name: &str, value: &str) -> Result<(), OverrideError> {
        app.config.overrides.check(name, value)?;
        let mut overrides = self.overrides.clone();
        overrides.insert(name.to_owned(), value.to_owned());
        *self = Self::new(app, &overrides, std::mem::take(&mut self.variables))?;
        Ok(())
    }

    /// Forgets a property that was set, or all.
    pub fn unset(&mut self, app: &App, name: Option<&str>) -> Result<(), OverrideError> {
        let mut overrides = self.overrides.clone();
        match name {
            Some(name) => {
                overrides.remove(name);
            }
            None => overrides.clear(),
        }
        *self = Self::new(app, &overrides, std::mem::take(&mut self.variables))?;
        Ok(())
    }

    pub fn variables(&self) -> &Settings {
        &self.variables
    }

    pub fn define(&mut self, name: &str, value: &str) {
        define(&mut self.variables, name.to_owned(), value.to_owned());
    }

    pub fn undefine(&mut self, name: &str) {
        undefine(&mut self.variables, name);
    }

    /// Whether variables have a part in a text.
    pub fn substitutes(&self, text: &str) -> bool {
        self.substitution && text.contains("${")
    }
}
