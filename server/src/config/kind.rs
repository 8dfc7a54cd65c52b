//! What values a property takes, and what is said of others.

use super::places;

/// Copies of a topic at most, as Kafka counts them.
const MOST_COPIES: i32 = 32_767;

/// The values that a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int { min: i32 },
    /// A whole number of 64 bits.
    Long { min: i64 },
    /// A whole number that something is made or kept by (threads, partitions, bytes), and so has an upper bound.
    Within { min: i64, max: i64 },
    /// A number, not below zero.
    Double,
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Some of these words, by commas.
    SomeOf(&'static [&'static str]),
    /// `earliest` or `latest`.
    OffsetReset,
    /// A topic's name, or what is part of one: letters, digits, `.`, `_` and `-`, so many at most.
    TopicPart { most: usize },
    /// Copies of topics: -1 for as many as the broker makes, or a number.
    Copies { least: i32 },
    /// Patterns of whole names, by commas.
    Patterns,
    /// Origins of pages, `scheme://host[:port]`, `*`, or patterns of them; by commas.
    Origins,
    /// Paths that begin with `/` or `*`, by commas.
    Paths,
    /// Words that may stand in a header of HTTP as names do, by commas.
    Tokens,
    /// `host:port` or `http(s)://host[:port]`, where others reach a server.
    Reached,
    /// Kafka brokers, `host:port`, by commas.
    Brokers,
    /// A name without letters that can't be seen.
    Label,
    /// The name of a stream.
    Source,
    /// Names parted by commas.
    List,
    /// A secret: never shown.
    Secret,
}

impl Kind {
    /// Whether its values are numbers or words of a list, of which none can be a secret.
    pub fn is_closed(self) -> bool {
        matches!(
            self,
            Kind::Bool
                | Kind::Int { .. }
                | Kind::Long { .. }
                | Kind::Within { .. }
                | Kind::Double
                | Kind::OneOf(_)
                | Kind::SomeOf(_)
                | Kind::OffsetReset
                | Kind::Copies { .. }
        )
    }

    /// Whether `value` is one of them.
    ///
    /// # Errors
    /// What is wrong, as a sentence that follows the property's name and value.
    pub fn check(self, value: &str) -> Result<(), String> {
        match self {
            Kind::Bool if !matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "false") => {
                Err("Expected value to be either true or false".to_owned())
            }
            Kind::Int { min } => match value.trim().parse::<i32>() {
                Err(_) => Err("Not a number of type INT".to_owned()),
                Ok(number) if number < min => Err(format!("Value must be at least {min}")),
                Ok(_) => Ok(()),
            },
            Kind::Long { min } => match value.trim().parse::<i64>() {
                Err(_) => Err("Not a number of type LONG".to_owned()),
                Ok(number) if number < min => Err(format!("Value must be at least {min}")),
                Ok(_) => Ok(()),
            },
            Kind::Within { min, max } => match value.trim().parse::<i64>() {
                Ok(number) if (min..=max).contains(&number) => Ok(()),
                _ => Err(format!("Value must be a whole number from {min} to {max}")),
            },
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if number >= 0.0 => Ok(()),
                Ok(_) => Err("Value must be at least 0".to_owned()),
                Err(_) => Err("Not a number of type DOUBLE".to_owned()),
            },
            Kind::OneOf(words) if !words.iter().any(|w| w.eq_ignore_ascii_case(value.trim())) => {
                Err(format!("String must be one of: {}", words.join(", ")))
            }
            Kind::SomeOf(words) => {
                let named = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                let unknown = named.into_iter().find(|name| !words.iter().any(|word| word.eq_ignore_ascii_case(name)));
                unknown.map_or(Ok(()), |unknown| Err(format!("'{unknown}' must be one of: {}", words.join(", "))))
            }
            Kind::TopicPart { most } => places::topic_part(value.trim(), most),
            Kind::Copies { least } => match value.trim().parse::<i32>() {
                Ok(copies) if (copies == -1 && least == -1) || (1..=MOST_COPIES).contains(&copies) => Ok(()),
                _ => Err(format!("Value must be {}a whole number from 1 to {MOST_COPIES}", if least == -1 { "-1, or " } else { "" })),
            },
            Kind::Patterns => items(value).try_for_each(|pattern| match regex::Regex::new(&format!("^(?:{pattern})$")) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("'{pattern}' is no pattern: {}", error.to_string().replace('\n', " "))),
            }),
            Kind::Origins => items(value).try_for_each(places::origin),
            Kind::Paths => items(value).try_for_each(places::path),
            Kind::Tokens => items(value).try_for_each(places::token),
            Kind::Reached => places::reached(value.trim()),
            Kind::Brokers => items(value).try_for_each(places::broker),
            Kind::Label => places::label(value.trim()),
            Kind::Source if value.contains('`') || value.chars().any(char::is_control) => {
                Err("A stream's name has no back-quotes and nothing that can't be seen".to_owned())
            }
            Kind::OffsetReset if value.trim().eq_ignore_ascii_case("none") => {
                Err("'none' is not valid for this property within KSQL: say 'earliest' or 'latest'".to_owned())
            }
            Kind::OffsetReset if is_duration(value.trim()) => {
                Err("Queries can't begin at a time: say 'earliest', with a condition on ROWTIME, or 'latest'".to_owned())
            }
            Kind::OffsetReset if !is_offset_reset(value.trim()) => Err(format!(
                "Invalid value `{value}` for configuration auto.offset.reset. The value must be either 'earliest', 'latest', 'none' \
                 or of the format 'by_duration:<PnDTnHnMn.nS.>'."
            )),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Kind {
    /// As the manual says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Bool => f.write_str("true or false"),
            Kind::Int { .. } => f.write_str("INT"),
            Kind::Long { .. } => f.write_str("LONG"),
            Kind::Within { min, max } => write!(f, "{min} to {max}"),
            Kind::Double => f.write_str("DOUBLE"),
            Kind::Text => f.write_str("text"),
            Kind::OneOf(words) => f.write_str(&words.join(", ")),
            Kind::SomeOf(words) => write!(f, "list of {}", words.join(", ")),
            Kind::OffsetReset => f.write_str("earliest, latest"),
            Kind::TopicPart { .. } => f.write_str("letters, digits, '.', '_', '-'"),
            Kind::Copies { least: -1 } => write!(f, "-1, 1 to {MOST_COPIES}"),
            Kind::Copies { .. } => write!(f, "1 to {MOST_COPIES}"),
            Kind::Patterns => f.write_str("list of patterns"),
            Kind::Origins => f.write_str("list of origins"),
            Kind::Paths => f.write_str("list of paths"),
            Kind::Reached => f.write_str("host:port or URL"),
            Kind::Brokers => f.write_str("list of host:port"),
            Kind::Label | Kind::Source => f.write_str("text"),
            Kind::List | Kind::Tokens => f.write_str("list"),
            Kind::Secret => f.write_str("secret"),
        }
    }
}

fn is_offset_reset(value: &str) -> bool {
    value.eq_ignore_ascii_case("earliest") || value.eq_ignore_ascii_case("latest")
}

/// Kafka's clients can begin so long ago.
fn is_duration(value: &str) -> bool {
    value.to_ascii_lowercase().strip_prefix("by_duration:").is_some_and(|duration| duration.starts_with('p'))
}

/// What stands between commas.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        for (kind, good, bad) in [
            (Kind::Bool, "TRUE", "banana"),
            (Kind::Int { min: 1 }, "4", "0"),
            (Kind::Int { min: 1 }, "4", "x"),
            (Kind::Long { min: 0 }, "9999999999", "-1"),
            (Kind::Within { min: 1, max: 4 }, " 4 ", "5"),
            (Kind::Within { min: 1, max: 4 }, "1", "0"),
            (Kind::Within { min: 1, max: 4 }, "1", "99999999999999999999"),
            (Kind::Double, "0.5", "-1"),
            (Kind::OneOf(&["at_least_once", "exactly_once_v2"]), "exactly_once_v2", "nope"),
            (Kind::SomeOf(&["late", "failed"]), "failed, LATE", "late,lost"),
            (Kind::OffsetReset, "earliest", "banana"),
            (Kind::OffsetReset, "Latest", "by_duration:P1D"),
            (Kind::OffsetReset, "latest", "none"),
            (Kind::TopicPart { most: 4 }, "a-._", "a b"),
            (Kind::TopicPart { most: 4 }, "", "abcde"),
            (Kind::Copies { least: -1 }, "-1", "0"),
            (Kind::Copies { least: 1 }, "3", "-1"),
            (Kind::Copies { least: 1 }, "1", "70000"),
            (Kind::Patterns, "a.*, b", "a, ("),
            (Kind::Source, "LOG", "a`b"),
        ] {
            assert_eq!(kind.check(good), Ok(()), "{kind:?} {good}");
            assert!(kind.check(bad).is_err(), "{kind:?} {bad}");
        }
        assert_eq!(Kind::Text.check("anything"), Ok(()));
    }
}
