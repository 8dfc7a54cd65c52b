//! Names that Kafka takes for a topic. They are checked here, so that a name that it would refuse is told as the statement's
//! mistake, and alike over Kafka and over embedded topics.

/// Characters of a topic's name at most.
const MAX_LENGTH: usize = 249;

/// # Errors
/// Kafka takes no topic of that name; what would be right.
pub(super) fn check_topic_name(name: &str) -> Result<(), String> {
    let why = match name {
        "" => "it is empty".to_owned(),
        "." | ".." => "it may not be '.' or '..'".to_owned(),
        _ => match name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
            Some(wrong) => format!("it has {wrong:?}; letters, digits, '.', '_' and '-' are possible"),
            None if name.len() > MAX_LENGTH => format!("it has {} characters; {MAX_LENGTH} are possible", name.len()),
            None => return Ok(()),
        },
    };
    Err(format!("Invalid topic name '{name}': {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_kafka_takes() {
        for good in ["a", "A.b_c-9", "...", &"x".repeat(MAX_LENGTH)] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", "is empty"),
            (".", "'.' or '..'"),
            ("..", "'.' or '..'"),
            ("bad topic", "it has ' '"),
            ("a/b", "it has '/'"),
            ("é", "it has 'é'"),
            (&"x".repeat(MAX_LENGTH + 1), "250 characters"),
        ] {
            assert!(check_topic_name(bad).is_err_and(|message| message.contains(why)), "{bad}");
        }
    }
}
