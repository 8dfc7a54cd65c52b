//! The login by tokens, which all of Kafka's clients share.

use std::collections::BTreeMap;

use super::{jaas, uses_sasl};
use crate::kafka_login::Settings;

/// Where tokens come from, for the clients that are set so; `None`: they log in otherwise, or not at all.
///
/// # Errors
/// As of [`Settings::new`].
pub(super) fn settings(set: &BTreeMap<&str, &str>) -> Result<Option<Settings>, String> {
    if !jaas::is_by_tokens(set) || !uses_sasl(set) {
        return match set.get("sasl.login.callback.handler.class").filter(|class| !class.is_empty()) {
            Some(class) if uses_sasl(set) => Err(format!(
                "sasl.login.callback.handler.class={class} can't be used: it is Java; Kafka's own of OAUTHBEARER are carried out with \
                 sasl.mechanism=OAUTHBEARER"
            )),
            _ => Ok(None),
        };
    }
    let options = jaas::token_options(set)?;
    Settings::new(set, &options).map(Some)
}
