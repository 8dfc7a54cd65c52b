//! PostgreSQL's own settings, as drivers ask for them and set them. Few of them have an effect here; a value that promises
//! another behaviour than the one there is, is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{NOT_SUPPORTED, PgError, UNKNOWN_SETTING, WRONG_VALUE};

/// The version that clients are told: its protocol and its system catalog are what they may count on.
pub const SERVER_VERSION: &str = "15.0";
/// Characters of a value at most.
const MAX_VALUE_CHARS: usize = 1_000;
/// Settings of a client's own (`app.user`) at most.
const MAX_CUSTOM: usize = 100;

/// How a setting may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// To anything.
    Any,
    /// To its default, and what means the same.
    Only(&'static [&'static str]),
    /// Never.
    Not,
}

struct Known {
    name: &'static str,
    default: &'static str,
    may: May,
    /// Whether clients are told of every change.
    reported: bool,
}

const fn known(name: &'static str, default: &'static str, may: May) -> Known {
    Known { name, default, may, reported: false }
}

const fn told(name: &'static str, default: &'static str, may: May) -> Known {
    Known { name, default, may, reported: true }
}

const KNOWN: &[Known] = &[
    told("application_name", "", May::Any),
    known("bytea_output", "hex", May::Only(&["hex"])),
    known("client_min_messages", "notice", May::Any),
    told("client_encoding", "UTF8", May::Only(&["utf8", "utf-8", "unicode"])),
    told("DateStyle", "ISO, MDY", May::Only(&["iso", "iso, mdy", "iso, dmy", "iso, ymd", "iso,mdy"])),
    known("default_transaction_isolation", "read committed", May::Any),
    known("default_transaction_read_only", "off", May::Only(&["off", "false"])),
    known("extra_float_digits", "3", May::Any),
    known("idle_in_transaction_session_timeout", "0", May::Any),
    known("in_hot_standby", "off", May::Not),
    told("integer_datetimes", "on", May::Not),
    told("IntervalStyle", "postgres", May::Any),
    known("jit", "off", May::Any),
    known("lc_collate", "C", May::Not),
    known("lc_ctype", "C.UTF-8", May::Not),
    known("lc_messages", "C", May::Any),
    known("lc_monetary", "C", May::Any),
    known("lc_numeric", "C", May::Any),
    known("lock_timeout", "0", May::Any),
    known("max_identifier_length", "63", May::Not),
    known("row_security", "off", May::Any),
    known("search_path", "public", May::Any),
    told("server_encoding", "UTF8", May::Not),
    told("server_version", SERVER_VERSION, May::Not),
    known("server_version_num", "150000", May::Not),
    told("standard_conforming_strings", "on", May::Only(&["on", "true"])),
    known("statement_timeout", "0", May::Any),
    known("synchronous_commit", "on", May::Any),
    told("TimeZone", "UTC", May::Any),
    known("transaction_isolation", "read committed", May::Any),
    known("transaction_read_only", "off", May::Only(&["off", "false"])),
];

/// The settings of a connection.
#[derive(Default)]
pub struct Settings {
    set: BTreeMap<String, String>,
    pub statement_timeout: Option<Duration>,
}

impl Settings {
    /// The value of a setting by its name, in any case of letters.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn show(&self, name: &str) -> Result<(String, String), PgError> {
        let lower = name.to_ascii_lowercase();
        let spelled = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name));
        match (self.set.get(&lower), spelled) {
            (Some(value), Some(known)) => Ok((known.name.to_owned(), value.clone())),
            (Some(value), None) => Ok((lower, value.clone())),
            (None, Some(known)) => Ok((known.name.to_owned(), known.default.to_owned())),
            (None, None) => Err(unknown(name)),
        }
    }

    /// All of them, in order.
    pub fn all(&self) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = KNOWN.iter().map(|known| (known.name.to_owned(), known.default.to_owned())).collect();
        for (name, value) in &self.set {
            let spelled = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)).map_or(name.as_str(), |known| known.name);
            all.insert(spelled.to_owned(), value.clone());
        }
        all.into_iter().collect()
    }

    /// What a client is told of at the start.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        let told = KNOWN.iter().filter(|known| known.reported);
        told.map(|known| (known.name, self.set.get(&known.name.to_ascii_lowercase()).cloned().unwrap_or_else(|| known.default.to_owned())))
            .collect()
    }

    /// Sets a setting, or (without a value) its default. What the client is to be told of.
    ///
    /// # Errors
    /// There is none of that name, or it can't have that value.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Option<(&'static str, String)>, PgError> {
        let lower = name.to_ascii_lowercase();
        let Some(known) = KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name)) else {
            // Names with a dot are clients' own.
            if !lower.contains('.') || lower.starts_with("ksql.") || lower.starts_with("tidemill.") {
                return Err(unknown(name));
            }
            match value {
                Some(_) if self.set.len() >= MAX_CUSTOM => return Err(PgError::new("54000", format!("more than {MAX_CUSTOM} settings"))),
                Some(value) => drop(self.set.insert(lower, shortened(value))),
                None => drop(self.set.remove(&lower)),
            }
            return Ok(None);
        };
        if let Some(value) = value {
            let may = match known.may {
                May::Any => true,
                May::Only(values) => values.iter().any(|allowed| allowed.eq_ignore_ascii_case(value.trim())),
                May::Not => return Err(PgError::new("55P02", format!("parameter \"{}\" cannot be changed", known.name))),
            };
            if !may {
                let message = format!("{} can't be '{}' here; it is {}", known.name, shortened(value), known.default);
                return Err(PgError::new(NOT_SUPPORTED, message));
            }
        }
        if known.name == "statement_timeout" {
            self.statement_timeout = value.map(duration).transpose()?.flatten();
        }
        match (value, known.may) {
            (Some(value), May::Any) => drop(self.set.insert(lower.clone(), shortened(value))),
            // What means the default is the default.
            _ => drop(self.set.remove(&lower)),
        }
        let now = self.set.get(&lower).cloned().unwrap_or_else(|| known.default.to_owned());
        Ok(known.reported.then_some((known.name, now)))
    }

    /// Sets everything back. What the client is to be told of.
    pub fn reset(&mut self) -> Vec<(&'static str, String)> {
        let before = self.reported();
        let application = self.set.remove("application_name");
        self.set.clear();
        self.statement_timeout = None;
        self.set.extend(application.map(|value| ("application_name".to_owned(), value)));
        self.reported().into_iter().zip(before).filter(|(now, before)| now.1 != before.1).map(|(now, _)| now).collect()
    }
}

fn shortened(value: &str) -> String {
    value.chars().take(MAX_VALUE_CHARS).collect()
}

fn unknown(name: &str) -> PgError {
    let near = tidemill_parser::did_you_mean(name, KNOWN.iter().map(|known| known.name));
    let hint = near.map(|near| format!("Did you mean {near}? ")).unwrap_or_default();
    PgError::new(UNKNOWN_SETTING, format!("unrecognized configuration parameter \"{}\"", shortened(name)))
        .hint(format!("{hint}Properties of the dialect stand in quotes: SET 'auto.offset.reset' = 'earliest'; SHOW PROPERTIES lists them."))
}

/// `5s`, `100ms`, `2min`, or milliseconds; `None`: no limit.
fn duration(text: &str) -> Result<Option<Duration>, PgError> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let number = digits.trim().parse::<u64>().ok();
    let unit_ms = match text.get(digits.len()..).unwrap_or_default().trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    match number.zip(unit_ms).and_then(|(number, unit)| number.checked_mul(unit)) {
        Some(0) => Ok(None),
        Some(ms) => Ok(Some(Duration::from_millis(ms))),
        None => {
            let message = format!("invalid value for parameter \"statement_timeout\": \"{}\"", shortened(text));
            Err(PgError::new(WRONG_VALUE, message).hint("Valid units are \"ms\", \"s\", \"min\", \"h\", and \"d\"."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_what_drivers_expect() {
        let mut settings = Settings::default();
        assert_eq!(settings.show("timezone").expect("known"), ("TimeZone".to_owned(), "UTC".to_owned()));
        assert_eq!(settings.set("timezone", Some("Europe/Berlin")).expect("set"), Some(("TimeZone", "Europe/Berlin".to_owned())));
        assert_eq!(settings.show("TimeZone").expect("known").1, "Europe/Berlin");
        assert_eq!(settings.set("extra_float_digits", Some("3")).expect("set"), None);
        assert_eq!(settings.set("client_encoding", Some("utf-8")).expect("set"), Some(("client_encoding", "UTF8".to_owned())));
        assert_eq!(settings.set("client_encoding", Some("LATIN1")).expect_err("refused").code, NOT_SUPPORTED);
        assert_eq!(settings.set("server_version", Some("9")).expect_err("refused").code, "55P02");
        let error = settings.set("time_zone", Some("UTC")).expect_err("unknown");
        assert!(error.code == UNKNOWN_SETTING && error.hint.is_some_and(|hint| hint.contains("TimeZone")));
        settings.set("my.name", Some("x")).expect("a client's own");
        assert_eq!(settings.show("MY.name").expect("set").1, "x");
        assert_eq!(settings.reset(), [("TimeZone", "UTC".to_owned())]);
        assert!(settings.show("my.name").is_err());
    }

    #[test]
    fn timeouts_have_units() {
        for (text, ms) in [("0", None), ("250", Some(250)), ("2s", Some(2_000)), ("1 min", Some(60_000)), ("5ms", Some(5))] {
            assert_eq!(duration(text).expect("a time"), ms.map(Duration::from_millis), "{text}");
        }
        for text in ["", "s", "1 year", "-1", "99999999999999999999", "9999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
