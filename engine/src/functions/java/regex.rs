//! Regular expressions as `java.util.regex` writes them, translated for the crate `fancy-regex`: `\d`, `\w` and `\s` know
//! ASCII only, `.` stops at every line terminator, `$` stands before a last one, `\p{Alpha}` and `\Q…\E` have their Java
//! meaning. What has no counterpart (`\G`, blocks such as `\p{InGreek}`) is refused.

use fancy_regex::Regex;

/// A match with its groups.
pub type RegexMatch<'t> = fancy_regex::Captures<'t>;

/// Characters that end a line in Java, for use in a class.
const LINE_ENDS: &str = r"\n\r\x{85}\x{2028}\x{2029}";
const SPACE: &str = r" \t\n\x0B\x0C\r";
const HORIZONTAL: &str = r" \t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}";
const VERTICAL: &str = r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}";

/// A compiled Java pattern.
#[derive(Debug)]
pub struct JavaRegex(Regex);

impl JavaRegex {
    /// # Errors
    /// The pattern is wrong, or uses what is not supported.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let translated = Translator::new(pattern).translate()?;
        Regex::new(&translated).map(JavaRegex).map_err(|why| format!("Invalid regular expression pattern: {pattern}: {why}"))
    }

    /// How many groups the pattern has, not counting the whole.
    pub fn groups(&self) -> usize {
        self.0.captures_len().saturating_sub(1)
    }

    /// The group of a name.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.0.capture_names().position(|other| other == Some(name))
    }

    /// The first match.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn first<'t>(&self, text: &'t str) -> Result<Option<RegexMatch<'t>>, String> {
        self.0.captures(text).map_err(|why| why.to_string())
    }

    /// The first match that begins at a byte of the text or behind it; what stands before is seen by `^`, `\b` and the like.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn first_from<'t>(&self, text: &'t str, at: usize) -> Result<Option<RegexMatch<'t>>, String> {
        if at > text.len() {
            return Ok(None);
        }
        self.0.captures_from_pos(text, at).map_err(|why| why.to_string())
    }

    /// All matches, none overlapping. As Java's `Matcher.find` has them, and other than `captures_iter`: an empty match may
    /// stand right behind one that is not empty.
    pub fn all<'t>(&self, text: &'t str) -> impl Iterator<Item = Result<RegexMatch<'t>, String>> {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let found = self.first_from(text, at?).transpose()?;
            at = found
                .as_ref()
                .ok()
                .and_then(|captures| captures.get(0))
                .map(|whole| if whole.start() == whole.end() { behind(text, whole.end()) } else { whole.end() });
            Some(found)
        })
    }

    /// The parts of a text between matches, as Java's `Pattern.split`: an empty match at the beginning parts nothing, empty
    /// parts at the end are left out.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn split<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, String> {
        let (mut parts, mut copied) = (Vec::new(), 0);
        for found in self.all(text) {
            if let Some(whole) = found?.get(0).filter(|whole| whole.end() > 0) {
                parts.push(text.get(copied..whole.start()).unwrap_or_default());
                copied = whole.end();
            }
        }
        if copied == 0 {
            return Ok(vec![text]);
        }
        parts.push(text.get(copied..).unwrap_or_default());
        let kept = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        parts.truncate(kept);
        Ok(parts)
    }

    /// The parts of a text between matches, as Guava's `Splitter.on`: empty parts stay, an empty match where a part begins
    /// parts nothing, and no empty part follows an empty match at the end.
    ///
    /// # Errors
    /// The search took too many steps.
    pub fn split_all<'t>(&self, text: &'t str) -> Result<Vec<&'t str>, String> {
        let (mut parts, mut copied, mut at) = (Vec::new(), 0, 0);
        while at <= text.len() {
            let found = self.first_from(text, at)?;
            let Some(whole) = found.as_ref().and_then(|captures| captures.get(0)) else {
                parts.push(text.get(copied..).unwrap_or_default());
                break;
            };
            at = whole.end();
            if at == copied {
                at = behind(text, at);
                continue;
            }
            parts.push(text.get(copied..whole.start()).unwrap_or_default());
            copied = at;
        }
        Ok(parts)
    }
}

/// Where the character at a byte of the text ends; behind the end for the end.
fn behind(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

struct Translator<'p> {
    pattern: &'p str,
    chars: Vec<char>,
    at: usize,
    out: String,
    dot_all: bool,
    multi_line: bool,
}

impl<'p> Translator<'p> {
    fn new(pattern: &'p str) -> Self {
        let flag = |letter: char| {
            pattern.match_indices("(?").any(|(at, _)| {
                let flags: String = pattern.get(at + 2..).unwrap_or_default().chars().take_while(char::is_ascii_lowercase).collect();
                flags.contains(letter)
            })
        };
        Translator { pattern, chars: pattern.chars().collect(), at: 0, out: String::new(), dot_all: flag('s'), multi_line: flag('m') }
    }

    fn translate(mut self) -> Result<String, String> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '.' if !self.dot_all => self.push(&format!("[^{LINE_ENDS}]")),
                '$' if !self.multi_line => self.push(&format!(r"(?=(?:\r\n|[{LINE_ENDS}])?\z)")),
                other => self.out.push(other),
            }
        }
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += usize::from(c.is_some());
        c
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn unsupported(&self, what: &str) -> String {
        format!("Invalid regular expression pattern: {}: {what} is not supported", self.pattern)
    }

    /// A class, up to the bracket that closes it.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        loop {
            match self.next().ok_or_else(|| format!("Invalid regular expression pattern: {}: unclosed character class", self.pattern))? {
                ']' => break,
                '[' => self.class()?,
                '\\' => self.escape(true)?,
                '~' => self.push(r"\~"),
                other => self.out.push(other),
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// What stands behind a backslash.
    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let c = self.next().ok_or_else(|| format!("Invalid regular expression pattern: {}: ends with a backslash", self.pattern))?;
        let negated = c.is_ascii_uppercase();
        let class = match c {
            'd' | 'D' => "0-9",
            'w' | 'W' => "a-zA-Z0-9_",
            's' | 'S' => SPACE,
            'h' | 'H' => HORIZONTAL,
            'v' | 'V' => VERTICAL,
            'p' | 'P' => return self.property(negated),
            _ => return self.simple_escape(c, in_class),
        };
        self.push_class(class, negated);
        Ok(())
    }

    fn push_class(&mut self, class: &str, negated: bool) {
        self.push(&format!("[{}{class}]", if negated { "^" } else { "" }));
    }

    fn simple_escape(&mut self, c: char, in_class: bool) -> Result<(), String> {
        match c {
            'Q' => {
                while let Some(quoted) = self.next() {
                    if quoted == '\\' && self.peek() == Some('E') {
                        self.at += 1;
                        break;
                    }
                    self.literal(quoted);
                }
            }
            'Z' if !in_class => self.push(&format!(r"(?=(?:\r\n|[{LINE_ENDS}])?\z)")),
            'R' if !in_class => self.push(&format!(r"(?:\r\n|[{VERTICAL}])")),
            'b' | 'B' | 'A' | 'z' if !in_class => self.push(&format!("\\{c}")),
            'k' if !in_class => self.push(r"\k"),
            '1'..='9' if !in_class => self.push(&format!("\\{c}")),
            'e' => self.push(r"\x1B"),
            'a' => self.push(r"\x07"),
            'f' => self.push(r"\x0C"),
            't' | 'n' | 'r' => self.push(&format!("\\{c}")),
            'c' => {
                let control = self.next().ok_or_else(|| self.unsupported("\\c at the end"))?;
                self.code(u32::from(control) ^ 64)?;
            }
            '0' => {
                let digits = self.take(3, |c| ('0'..='7').contains(&c));
                self.code(u32::from_str_radix(&digits, 8).map_err(|_| self.unsupported("\\0 without octal digits"))?)?;
            }
            'x' if self.peek() == Some('{') => {
                self.at += 1;
                let digits = self.take(8, |c| c.is_ascii_hexdigit());
                self.at += 1;
                self.code(u32::from_str_radix(&digits, 16).map_err(|_| self.unsupported("\\x without hexadecimal digits"))?)?;
            }
            'x' => {
                let digits = self.take(2, |c| c.is_ascii_hexdigit());
                self.code(u32::from_str_radix(&digits, 16).map_err(|_| self.unsupported("\\x without hexadecimal digits"))?)?;
            }
            'u' => {
                let first = self.unit()?;
                let code = if (0xD800..0xDC00).contains(&first) && self.peek() == Some('\\') {
                    self.at += 2;
                    0x10000 + ((first - 0xD800) << 10) + self.unit()?.wrapping_sub(0xDC00)
                } else {
                    first
                };
                self.code(code)?;
            }
            letter if letter.is_ascii_alphanumeric() => return Err(self.unsupported(&format!("\\{letter}"))),
            other => self.literal(other),
        }
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, String> {
        let digits = self.take(4, |c| c.is_ascii_hexdigit());
        u32::from_str_radix(&digits, 16).map_err(|_| self.unsupported("\\u without hexadecimal digits"))
    }

    fn take(&mut self, most: usize, belongs: impl Fn(char) -> bool) -> String {
        let taken: String = self.chars.iter().skip(self.at).take(most).take_while(|c| belongs(**c)).collect();
        self.at += taken.chars().count();
        taken
    }

    fn code(&mut self, code: u32) -> Result<(), String> {
        let c = char::from_u32(code).ok_or_else(|| self.unsupported("a lone surrogate"))?;
        self.literal(c);
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.push(&::regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// `\p{Name}` or `\pL`.
    fn property(&mut self, negated: bool) -> Result<(), String> {
        let name = if self.peek() == Some('{') {
            self.at += 1;
            let name = self.take(usize::MAX, |c| c != '}');
            self.at += 1;
            name
        } else {
            self.next().map(String::from).unwrap_or_default()
        };
        let class = match name.as_str() {
            "Lower" => "a-z",
            "Upper" => "A-Z",
            "ASCII" => r"\x00-\x7F",
            "Alpha" => "a-zA-Z",
            "Digit" => "0-9",
            "Alnum" => "a-zA-Z0-9",
            "Punct" => r"!-/:-@\[-`{-~",
            "Graph" => "!-~",
            "Print" => " -~",
            "Blank" => r" \t",
            "Cntrl" => r"\x00-\x1F\x7F",
            "XDigit" => "0-9a-fA-F",
            "Space" => SPACE,
            "javaLowerCase" => r"\p{Lowercase}",
            "javaUpperCase" => r"\p{Uppercase}",
            "javaWhitespace" => r"\p{White_Space}",
            "javaMirrored" => return Err(self.unsupported("\\p{javaMirrored}")),
            block if block.starts_with("In") || block.contains("block=") || block.contains("blk=") => {
                return Err(self.unsupported(&format!("\\p{{{block}}}")));
            }
            other => {
                let plain = other.strip_prefix("Is").unwrap_or(other);
                self.push(&format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' }));
                return Ok(());
            }
        };
        self.push_class(class, negated);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> Option<String> {
        let regex = JavaRegex::compile(pattern).unwrap_or_else(|why| panic!("{why}"));
        regex.first(text).unwrap().map(|captures| captures.get(0).unwrap().as_str().to_owned())
    }

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        for (pattern, text, expected) in [
            (r"\w+", "é@x1", Some("x1")),
            (r"[\w@]+", "é@x1", Some("@x1")),
            (r"[^\d]+", "12ab3", Some("ab")),
            (r"\D+", "12ab3", Some("ab")),
            (r"[\D&&[^a]]+", "1ab", Some("b")),
            (r"a.b", "a\rb", None),
            (r"(?s)a.b", "a\rb", Some("a\rb")),
            (r"b$", "ab\n", Some("b")),
            (r"b\z", "ab\n", None),
            (r"(?m)^b$", "a\nb\nc", Some("b")),
            (r"\Qa.b\E+", "xa.bb", Some("a.bb")),
            (r"a\<b", "a<b", Some("a<b")),
            (r"(?<=a)b(?!c)", "abc abd", Some("b")),
            (r"a++b", "aaab", Some("aaab")),
            (r"(\w)\1", "abccd", Some("cc")),
            (r"(?<q>b)\k<q>", "abb", Some("bb")),
            (r"\p{Alpha}+", "éab", Some("ab")),
            (r"\p{L}+", "éab1", Some("éab")),
            (r"\p{IsLatin}+", "漢ab", Some("ab")),
            (r"[\p{Punct}]+", "a-_!b", Some("-_!")),
            (r"\u6f22\x41\x{42}", "漢AB", Some("漢AB")),
            (r"\ud83d\ude00", "x😀", Some("😀")),
            (r"a{2,3}", "aaaa", Some("aaa")),
            (r"\/\-\@\", "", None),
        ] {
            if pattern.ends_with('\\') {
                assert!(JavaRegex::compile(pattern).is_err());
                continue;
            }
            assert_eq!(found(pattern, text).as_deref(), expected, "{pattern} {text}");
        }
        for pattern in ["(", "[", r"\Gx", r"\p{InGreek}", "*", r"\y", r"\p{Nonsense}"] {
            assert!(JavaRegex::compile(pattern).is_err(), "{pattern}");
        }
        let regex = JavaRegex::compile("(a)(?<n>b)?").unwrap();
        assert_eq!((regex.groups(), regex.group_named("n"), regex.group_named("x")), (2, Some(2), None));
    }

    #[test]
    fn an_empty_match_may_follow_one_that_is_not() {
        for (pattern, text, expected) in [
            ("a*", "baac", &["", "aa", "", ""][..]),
            ("a*", "aaa", &["aaa", ""]),
            ("a*", "", &[""]),
            ("", "é😀", &["", "", ""]),
            ("(?=a)a*(?!a)", "baac", &["aa"]),
            ("^a?", "aab", &["a"]),
            (r"\ba*", "aa b", &["aa", "", "", ""]),
        ] {
            let regex = JavaRegex::compile(pattern).unwrap();
            let found: Vec<&str> = regex.all(text).map(|found| found.unwrap().get(0).unwrap().as_str()).collect();
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_search_that_explodes_is_given_up() {
        let regex = JavaRegex::compile(r"(?=(a+)+$)(a|aa)+b\1").unwrap();
        assert!(regex.first(&"a".repeat(60)).is_err_and(|why| why.to_lowercase().contains("limit")));
    }
}
