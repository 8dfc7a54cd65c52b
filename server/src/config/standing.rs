//! Where a property can be set, if anywhere.

use super::overrides::is_slip;
use super::table::{Role, prefix, property};
use super::{env, streams};

/// Where a property can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In a session, and in the configuration for all.
    Session,
    /// In the configuration, which is read at the start.
    Start,
    /// Where one likes, in vain; with why.
    Inert(&'static str),
    /// Nowhere; with why.
    Refused(&'static str),
}

/// A session may set it, as in ksqlDB, but all queries commit in one rhythm.
const SERVERS_ALONE: [&str; 1] = ["commit.interval.ms"];

/// `None`: there is no such property.
pub fn standing(name: &str) -> Option<Standing> {
    let of = |role: Role, doc: &'static str| match role {
        Role::Session if !SERVERS_ALONE.contains(&streams::bare(name)) => Standing::Session,
        Role::Session | Role::Server | Role::Client | Role::Tuning => Standing::Start,
        Role::Inert => Standing::Inert(doc),
        Role::Refused => Standing::Refused(doc),
    };
    if let Some(found) = property(name) {
        return Some(of(found.role, found.doc));
    }
    if let Some(found) = streams::find(name) {
        return Some(of(found.role, found.doc));
    }
    if streams::is_librdkafka(name) {
        return Some(Standing::Start);
    }
    match prefix(name) {
        Some((role, doc)) => Some(of(role, doc)),
        None if env::is_of_the_image(name) => Some(Standing::Inert(env::OF_THE_IMAGE)),
        None if streams::bare(name).starts_with("confluent.") => Some(Standing::Inert("Confluent's plug-ins are Java.")),
        None if name.starts_with(streams::PREFIX) && !is_slip(name) => Some(Standing::Inert(streams::UNKNOWN)),
        None => None,
    }
}
