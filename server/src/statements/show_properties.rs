//! SHOW PROPERTIES: what the server was given, defaults, and what this session changed.

use super::Session;
use crate::app::App;
use crate::config::streams;
use crate::config::{Role, properties, shown};
use crate::entities::{Common, KsqlEntity, ListedProperty, Properties};

pub fn run(app: &App, session: &Session, text: String) -> KsqlEntity {
    let set = &app.config.values;
    let mut listed = Vec::new();
    let mut default_properties = Vec::new();
    for property in properties().filter(|p| p.listed || set.contains_key(p.name)) {
        let editable = property.role == Role::Session;
        let of_session = session.overrides().get(property.name).filter(|_| editable).map(|value| shown(property.name, value));
        let own = of_session.or_else(|| set.get(property.name).map(|value| app.config.shown(property.name, value)));
        if own.is_none() {
            default_properties.push(property.name.to_owned());
        }
        let value = own.or_else(|| property.default.map(|value| shown(property.name, value)));
        listed.push(entry(property.name, value, editable, if editable { "QUERY" } else { "SERVER" }));
    }
    for property in streams::properties() {
        let name = format!("{}{}", streams::PREFIX, property.name);
        let given = [name.as_str(), property.name];
        let editable = property.role == Role::Session;
        let of_session = given.iter().find_map(|n| session.overrides().get(*n)).filter(|_| editable).map(|value| shown(&name, value));
        let own = of_session.or_else(|| given.iter().find_map(|n| set.get(*n)).map(|value| app.config.shown(&name, value)));
        if let Some(value) = own.or_else(|| property.listed.map(|value| shown(&name, value))) {
            listed.push(entry(&name, Some(value), editable, "SERVER"));
        }
    }
    // Whatever else was set: for one kind of client, for functions, for plug-ins.
    for (name, value) in set {
        let full =
            if streams::find(name).is_some() && !name.starts_with("ksql.") { format!("{}{name}", streams::PREFIX) } else { name.clone() };
        if !listed.iter().any(|p| p.name == full || p.name == *name) {
            listed.push(entry(&full, Some(app.config.shown(&full, value)), false, "SERVER"));
        }
    }
    let overwritten_properties = session.overrides().keys().cloned().collect();
    KsqlEntity::Properties(Properties { properties: listed, overwritten_properties, default_properties, common: Common::new(text) })
}

/// `value` as it may be shown.
fn entry(name: &str, value: Option<&str>, editable: bool, level: &'static str) -> ListedProperty {
    ListedProperty { name: name.to_owned(), scope: "KSQL", value: value.map(str::to_owned), editable, level }
}
