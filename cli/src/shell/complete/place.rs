//! Where the cursor stands: the word, the words before it, and what is open around it.

/// A place in what is typed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// What is typed of the word, a back-quote that opens it included; within single quotes all of the text.
    pub word: String,
    /// The words of the statement before it, nearest last: names and keywords in upper case, texts in their quotes, signs
    /// one by one.
    pub before: Vec<String>,
    /// The words behind the cursor.
    pub after: Vec<String>,
    /// Within a text in single quotes.
    pub in_text: bool,
    /// Within a comment, where nothing is completed.
    pub in_comment: bool,
}

impl Place {
    /// Whether the nearest words before the cursor are these.
    pub fn follows(&self, words: &[&str]) -> bool {
        self.before.iter().rev().zip(words.iter().rev()).filter(|(a, b)| a == b).count() == words.len()
    }

    /// The nth word of the statement.
    pub fn nth(&self, n: usize) -> &str {
        self.before.get(n).map_or("", String::as_str)
    }

    pub fn last(&self) -> &str {
        self.before.last().map_or("", String::as_str)
    }

    /// Whether a parenthesis is open that follows this word.
    pub fn is_within(&self, word: &str) -> bool {
        let mut closed = 0_usize;
        for (at, sign) in self.before.iter().enumerate().rev() {
            match sign.as_str() {
                ")" => closed += 1,
                "(" if closed > 0 => closed -= 1,
                "(" if at.checked_sub(1).is_some_and(|before| self.nth(before) == word) => return true,
                _ => {}
            }
        }
        false
    }
}

/// The place at the end of `text`; `after` is what stands behind the cursor.
pub fn find(text: &str, after: &str) -> Place {
    let mut place = scan(text);
    place.after = scan(&format!("{after} ")).before;
    place
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '\\')
}

fn scan(text: &str) -> Place {
    let mut place = Place::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ';' => {
                place.before.clear();
                1
            }
            _ if rest.starts_with("--") => match rest.find('\n') {
                Some(end) => end,
                None => return Place { in_comment: true, ..place },
            },
            _ if rest.starts_with("/*") => match rest.find("*/") {
                Some(end) => end + 2,
                None => return Place { in_comment: true, ..place },
            },
            '\'' | '`' | '"' => match rest[1..].find(first) {
                Some(end) => {
                    place.before.push(rest[..end + 2].to_owned());
                    end + 2
                }
                None if first == '\'' => return Place { word: rest[1..].to_owned(), in_text: true, ..place },
                None => return Place { word: rest.to_owned(), ..place },
            },
            _ if is_name(first) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                if end == rest.len() {
                    return Place { word: rest.to_owned(), ..place };
                }
                place.before.push(rest[..end].to_uppercase());
                end
            }
            _ if first.is_whitespace() => first.len_utf8(),
            _ => {
                place.before.push(first.to_string());
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_and_what_is_around_it() {
        let place = find("SHOW TOPICS; select a.", " FROM s a");
        assert_eq!((place.word.as_str(), place.before.join(" ")), ("", "SELECT A .".to_owned()));
        assert_eq!(place.after, ["FROM", "S", "A"]);
        let place = find("SET 'auto.off", "");
        assert!(place.in_text && place.word == "auto.off" && place.last() == "SET");
        assert_eq!(find("SELECT `cam", "").word, "`cam");
        assert!(find("SELECT 1 -- x", "").in_comment);
        assert!(find("WITH (a='b', k", "").is_within("WITH") && !find("WITH (a='b') k", "").is_within("WITH"));
        assert_eq!(find("\\", "").word, "\\");
    }
}
