//! SHOW PROPERTIES: what the server was given, defaults, and what this session changed.

use super::Session;
use crate::app::App;
use crate::config::streams::{self, STREAMS};
use crate::config::{Kind, PROPERTIES, Role};
use crate::entities::{Common, KsqlEntity, ListedProperty, Properties};

/// Shown in the place of a secret.
const HIDDEN: &str = "[hidden]";

pub fn run(app: &App, session: &Session, text: String) -> KsqlEntity {
    let mut properties = Vec::new();
    let mut default_properties = Vec::new();
    for property in PROPERTIES.iter().filter(|p| p.listed || app.config.values.contains_key(p.name)) {
        let set = app.config.values.get(property.name).map(String::as_str);
        let set = session.overrides().get(property.name).map(String::as_str).filter(|_| property.role == Role::Session).or(set);
        if set.is_none() {
            default_properties.push(property.name.to_owned());
        }
        let editable = property.role == Role::Session;
        properties.push(ListedProperty {
            name: property.name.to_owned(),
            scope: "KSQL",
            value: set.or(property.default).map(|v| if property.kind == Kind::Secret { HIDDEN } else { v }.to_owned()),
            editable,
            level: if editable { "QUERY" } else { "SERVER" },
        });
    }
    for property in STREAMS {
        let name = format!("{}{}", streams::PREFIX, property.name);
        let given = [name.as_str(), property.name];
        let session_value = given.iter().find_map(|n| session.overrides().get(*n)).filter(|_| property.role == Role::Session);
        let value = session_value.or_else(|| given.iter().find_map(|n| app.config.values.get(*n)));
        let Some(value) = value.map(String::as_str).or(property.listed) else { continue };
        let value = if property.kind == Kind::Secret { HIDDEN } else { value };
        let editable = property.role == Role::Session;
        properties.push(ListedProperty { name, scope: "KSQL", value: Some(value.to_owned()), editable, level: "SERVER" });
    }
    let overwritten_properties = session.overrides().keys().cloned().collect();
    KsqlEntity::Properties(Properties { properties, overwritten_properties, default_properties, common: Common::new(text) })
}
