//! ALTER SYSTEM is refused: what a server is started with stays. What is said besides is what does help, which depends on the property.

use super::Session;
use crate::app::App;
use crate::config::{OverrideError, Standing, near, shown, standing};
use crate::error::{ApiError, ErrorCode};

pub fn refused(app: &App, session: &Session, name: &str, value: &str, text: String) -> ApiError {
    let set = session.clone().set(app, name, value);
    let message = format!("ALTER SYSTEM is not built. {}", advice(name, value, set, app.config.engine.is_shared));
    ApiError::statement(ErrorCode::SERVER_ERROR, message, text)
}

/// What helps; `set` is what comes of a SET of the same.
fn advice(name: &str, value: &str, set: Result<(), OverrideError>, is_shared: bool) -> String {
    let place = if is_shared {
        "the configuration of each server of the service, and start them again"
    } else {
        "the server's configuration, and start it again"
    };
    let hidden = shown(name, value) != value;
    match standing(name) {
        None => format!("Unknown property: '{name}'{}", near(name)),
        Some(Standing::Inert(doc)) => format!("'{name}' has no effect here: {doc}"),
        Some(Standing::Refused(doc)) => format!("'{name}' can't be used: {doc}"),
        Some(Standing::Start) => format!("'{name}' is read when a server starts: set it in {place}."),
        Some(Standing::Session) => match set {
            Ok(()) if hidden => format!("For one session: SET it. For all: set '{name}' in {place}."),
            Ok(()) => format!("For one session: SET '{name}'='{}'; For all: set it in {place}.", value.replace('\'', "''")),
            Err(OverrideError::Prohibited(_)) => {
                format!("The server's configuration does not let sessions set '{name}'. For all: set it in {place}.")
            }
            Err(error) => error.message(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OverrideRules;

    /// What SET says is found as a session would find it.
    fn said(name: &str, value: &str, is_shared: bool) -> String {
        let rules = OverrideRules::new("cache.max.bytes.buffering", None);
        advice(name, value, rules.check(name, value), is_shared)
    }

    #[test]
    fn what_is_advised_holds() {
        for (name, value, expected) in [
            ("auto.offset.reset", "earliest", "For one session: SET 'auto.offset.reset'='earliest'; For all: set it in the server's"),
            ("ksql.streams.auto.offset.reset", "earliest", "For one session: SET 'ksql.streams.auto.offset.reset'="),
            ("auto.offset.reset", "banana", "must be either 'earliest'"),
            ("cache.max.bytes.buffering", "5", "does not let sessions set 'cache.max.bytes.buffering'. For all: set it in the server's"),
            ("ksql.functions.my.key", "s3cret", "For one session: SET it."),
            ("ksql.query.pull.max.qps", "5", "is read when a server starts: set it in the server's configuration, and start it again."),
            ("commit.interval.ms", "5", "is read when a server starts"),
            ("tidemill.slots", "5", "is read when a server starts"),
            ("sasl.jaas.config", "s3cret", "is read when a server starts"),
            ("ssl.keystore.location", "/k", "is read when a server starts"),
            ("bootstrap.servers", "k:9092", "is read when a server starts"),
            ("producer.linger.ms", "5", "is read when a server starts"),
            ("queued.max.messages.kbytes", "5", "is read when a server starts"),
            ("ksql.udfs.enabled", "false", "has no effect here: Java functions can't be loaded."),
            ("confluent.x", "y", "has no effect here"),
            ("ksql.lambdas.enabled", "false", "can't be used: Lambdas can't be switched off."),
            ("auto.ofset.reset", "earliest", "Unknown property: 'auto.ofset.reset'. Did you mean 'auto.offset.reset'?"),
        ] {
            let said = said(name, value, false);
            assert!(said.contains(expected), "{name}={value}: {said}");
            assert!(!said.contains("s3cret"), "{said}");
            // A SET that is advised is one that a session takes.
            if said.contains("SET '") {
                assert_eq!(OverrideRules::new("", None).check(name, value), Ok(()), "{said}");
            }
        }
        assert!(said("tidemill.slots", "5", true).contains("the configuration of each server of the service"));
    }

    /// No property is advised to be SET that a session can't set, whatever table it stands in.
    #[test]
    fn set_is_advised_of_nothing_that_refuses_it() {
        let rules = OverrideRules::new("", None);
        let names = crate::config::properties().map(|p| p.name).chain(crate::config::streams::properties().map(|p| p.name));
        for name in names {
            let kinds_value = match standing(name) {
                Some(Standing::Session) => {
                    ["true", "1", "earliest", "exactly_once_v2", "late", "JSON"].iter().find(|v| rules.check(name, v).is_ok())
                }
                _ => None,
            };
            let said = advice(name, "x", rules.check(name, "x"), false);
            assert!(!said.contains("SET '") || rules.check(name, "x").is_ok(), "{said}");
            let is_session = matches!(standing(name), Some(Standing::Session));
            assert_eq!(kinds_value.is_some(), is_session, "{name}");
        }
    }
}
