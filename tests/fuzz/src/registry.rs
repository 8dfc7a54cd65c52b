//! The server's own registry: schemas of the three languages, changed here and there, are registered, compared, looked up and
//! deleted under levels and modes. What the topic keeps adds up to the same again.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use serde_json::json;
use tidemill_engine::clock::SystemClock;
use tidemill_engine::log::Log;
use tidemill_engine::log::simulated::{SimulatedLog, SimulationOptions};
use tidemill_engine::registry::Schema;
use tidemill_engine::registry::own::{Deleted, Link, Mode, NewSchema, OwnRegistry, VersionId};

use super::schemas;

/// Requests of one case.
const MAX_REQUESTS: usize = 24;
const SUBJECTS: &[&str] = &["a", "b-value", ":.ctx:c", "", "é", "*"];
const LEVELS: &[&str] = &["NONE", "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE"];

pub fn registry(data: &[u8]) {
    // An end of the bytes ends the case.
    let _ = one(&mut Unstructured::new(data));
}

/// Opens the registry of one log, as often as it is called.
pub(super) fn on_a_log() -> impl Fn() -> OwnRegistry {
    let log: Arc<dyn Log> = Arc::new(SimulatedLog::new(SimulationOptions::default()));
    move || OwnRegistry::open(log.clone(), Arc::new(SystemClock), "_schemas", 1).unwrap_or_else(|error| panic!("{error}"))
}

fn new_schema(u: &mut Unstructured<'_>) -> Result<NewSchema> {
    let schema = schemas::any(u)?;
    let mut new = NewSchema::new(schema.kind, schema.text);
    if u.ratio(1, 6)? {
        let subject = (*u.choose(SUBJECTS)?).to_owned();
        new.references.push(Link {
            name: (*u.choose(&["n.s.R", "p.proto", "other.json"])?).to_owned(),
            subject,
            version: u.int_in_range(-1..=2)?,
        });
    }
    if u.ratio(1, 8)? {
        (new.id, new.version) = (Some(u.int_in_range(-1..=5)?), Some(u.int_in_range(-1..=5)?));
    }
    Ok(new)
}

fn one(u: &mut Unstructured<'_>) -> Result<()> {
    let open = on_a_log();
    let registry = open();
    for _ in 0..MAX_REQUESTS {
        if u.is_empty() {
            break;
        }
        let subject = *u.choose(SUBJECTS)?;
        let version = *u.choose(&[VersionId::Latest, VersionId::Number(1), VersionId::Number(2), VersionId::Number(-1)])?;
        let (flag, other) = (u.arbitrary()?, u.arbitrary()?);
        match u.int_in_range(0..=11)? {
            0..=4 => {
                let new = new_schema(u)?;
                if let Ok(made) = registry.register(subject, &new, flag) {
                    let found = registry.by_id(made.id, Some(subject));
                    assert!(found.is_ok(), "{subject} {new:?} became {made:?}, but {found:?}");
                }
                schemas::become_columns(&Schema::new(new.kind, new.text.clone()));
            }
            5 => drop(registry.incompatibilities(subject, flag.then_some(version), &new_schema(u)?, other)),
            6 => drop(registry.look_up(subject, &new_schema(u)?, flag, other)),
            7 => drop(registry.delete_subject(subject, flag)),
            8 => drop(registry.delete_version(subject, version, flag)),
            9 => {
                if let Ok(config) = serde_json::from_value(json!({"compatibilityLevel": u.choose(LEVELS)?, "normalize": flag})) {
                    let _ = registry.set_config(other.then_some(subject), &config);
                }
            }
            10 => {
                let mode = *u.choose(&[Mode::ReadWrite, Mode::ReadWrite, Mode::Import, Mode::ReadOnly])?;
                let _ = registry.set_mode(other.then_some(subject), mode, flag);
            }
            _ => {
                if let Ok(found) = registry.version(subject, version, flag) {
                    for format in ["", "resolved", "serialized", "nope"] {
                        let _ = registry.formatted(&found, format);
                    }
                }
                let _ = (registry.schemas(subject, flag, other), registry.contexts(), registry.referrers(subject, version));
            }
        }
    }
    let all = |registry: &OwnRegistry| {
        let schemas = registry.schemas("", true, false);
        let kept: Vec<_> = schemas.iter().map(|v| (v.subject.clone(), v.version, v.id, v.deleted, v.text.clone())).collect();
        (kept, registry.subjects("", Deleted::Include), registry.contexts(), registry.max_id(None))
    };
    assert_eq!(all(&registry), all(&open()), "what the topic adds up to");
    Ok(())
}
