//! "Did you mean": the nearest of some names to a mistyped one.

/// The candidate nearest to `word`, if one is near enough to be a slip of the keyboard: case aside, at most one edit in
/// words of up to five letters, and one more for each further three. A candidate equal to `word` but for case counts.
pub fn did_you_mean<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const MAX_WORD_CHARS: usize = 64;
    let word = word.to_uppercase();
    let length = word.chars().count();
    if !(2..=MAX_WORD_CHARS).contains(&length) {
        return None;
    }
    let allowed = 1 + length.saturating_sub(3) / 3;
    candidates
        .filter(|c| c.chars().count().abs_diff(length) <= allowed)
        .map(|c| (strsim::damerau_levenshtein(&word, &c.to_uppercase()), c))
        .filter(|(distance, _)| *distance <= allowed && *distance < length.max(2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_strangers_are_not() {
        let words = ["SELECT", "FROM", "STREAM", "TABLE", "WHERE", "orders", "by"];
        for (typed, expected) in [
            ("SELCT", Some("SELECT")),
            ("FORM", Some("FROM")),
            ("strem", Some("STREAM")),
            ("WEHRE", Some("WHERE")),
            ("ORDRES", Some("orders")),
            ("BANANA", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(typed, words.iter().copied()), expected, "{typed}");
        }
    }
}
