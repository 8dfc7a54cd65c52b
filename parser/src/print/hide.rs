//! Texts that can't be parsed, with the values of connectors, of ALTER SYSTEM and of passwords hidden: such a text is quoted in errors,
//! and errors travel.
//!
//! It is judged without the grammar, which the text does not follow, so rather too much is hidden than too little: what
//! stands after a `=`, texts in single quotes that no `=` follows, and between the parentheses all that is no name. Names and a
//! connector's class stay.

use std::borrow::Cow;
use std::ops::Range;

use crate::secrets::names_secret;
use crate::suggest::did_you_mean;

/// The one value that is no secret.
const CLASS: &str = "connector.class";
/// What stands in a hidden value's place.
const HIDDEN: &str = "'[string]'";

/// Whether SET of a property sets a secret. A name without a dot may be anything, such as a column; settings of functions may be secrets.
pub(super) fn sets_secret(name: &str) -> bool {
    name.contains('.') && (names_secret(name) || name.to_ascii_lowercase().contains("ksql.functions."))
}

/// Whether a text may hold a secret: a connector's properties, what ALTER SYSTEM sets, or the name of a property that is one.
fn may_hold_secrets(text: &str) -> bool {
    let is_end = |c: char| !c.is_alphanumeric() && !"._-".contains(c);
    concerns_connectors(text) || text.split(is_end).any(sets_secret)
}

/// Whether a text may hold a connector's properties: it says so, if misspelt, or makes a source or sink of something that is
/// neither stream nor table. Or what ALTER SYSTEM sets.
fn concerns_connectors(text: &str) -> bool {
    let connector = b"connector";
    if text.as_bytes().windows(connector.len()).any(|window| window.eq_ignore_ascii_case(connector)) {
        return true;
    }
    let is_like = |word: &str, meant: &[&str]| did_you_mean(word, meant.iter().copied()).is_some();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or("");
        let makes = is_like(before, &["CREATE"]) && is_like(word, &["SOURCE", "SINK"]) && !is_like(next, &["STREAM", "TABLE"]);
        let alters = is_like(before, &["ALTER"]) && is_like(word, &["SYSTEM"]);
        if makes || alters || (is_like(before, &["CREATE", "SOURCE", "SINK"]) && is_like(word, &["CONNECTOR"])) {
            return true;
        }
        before = word;
    }
    false
}

/// What of a text must not be repeated elsewhere, for messages that repeat parts of it.
pub(crate) struct Secrets<'a> {
    /// Whole values, and the words that they are made of.
    parts: Vec<&'a str>,
}

/// Words of this many letters are looked for within others, too.
const LONG: usize = 4;

impl<'a> Secrets<'a> {
    pub fn of(text: &'a str) -> Self {
        let mut parts = Vec::new();
        if may_hold_secrets(text) {
            for value in values(text).into_iter().filter_map(|range| text.get(range)) {
                parts.push(value.trim().trim_matches(['\'', '"', '`']));
                parts.extend(value.split(|c: char| c.is_whitespace() || "'\"`=,;()".contains(c)));
                parts.extend(value.split(|c: char| !c.is_alphanumeric()));
            }
            parts.retain(|part| !part.is_empty());
        }
        Secrets { parts }
    }

    /// A message without them: with `…` where a text is quoted, or without any detail.
    pub fn without(&self, message: String) -> String {
        if !self.are_in(&message) {
            return message;
        }
        // What stands in quotes is the text's; what was expected is the grammar's.
        let head = message.split('\'').next().unwrap_or_default();
        let tail = message.rfind("xpecting {").map_or("", |at| message.get(at..).unwrap_or_default());
        let expecting = if tail.is_empty() { String::new() } else { format!(" e{tail}") };
        let shortened = format!("{head}'…'{expecting}");
        if self.are_in(&shortened) {
            "This can't be read. What stands here may be a secret, and is not shown.".to_owned()
        } else {
            shortened
        }
    }

    fn are_in(&self, message: &str) -> bool {
        let message = message.to_lowercase();
        self.parts.iter().any(|part| {
            let part = part.to_lowercase();
            let is_long = part.chars().count() >= LONG;
            message.match_indices(&part).any(|(at, _)| {
                let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
                let before = message.get(..at).and_then(|text| text.chars().next_back());
                let after = message.get(at + part.len()..).and_then(|text| text.chars().next());
                is_long || (!is_part(before) && !is_part(after))
            })
        })
    }
}

/// The text of a statement (or of a script) that was refused unread, as it may be shown: where it may hold secrets, the values of
/// properties are `'[string]'`.
pub fn hide_values(text: &str) -> Cow<'_, str> {
    hide(text, |_| HIDDEN.to_owned())
}

/// The text of INSERT INTO … VALUES with each value masked, in the form that a statement which can be read is masked in; any other text
/// as it is. For what is well formed and has a value that can't be.
pub fn hide_row(text: &str) -> Cow<'_, str> {
    let mut pieces = Pieces { text, at: 0 }.map(|(kind, piece)| (kind, text.get(piece.clone()).unwrap_or(""), piece.end));
    if !pieces.next().is_some_and(|(_, word, _)| word.eq_ignore_ascii_case("INSERT")) {
        return Cow::Borrowed(text);
    }
    let mut names = Vec::new();
    for (kind, word, _) in pieces.by_ref() {
        match kind {
            Kind::Other if word.eq_ignore_ascii_case("VALUES") => {
                let values = vec!["'[value]'"; count_values(pieces.map(|(kind, word, _)| (kind, word)))].join(", ");
                let mut names = names.into_iter();
                let target: String = names.next().unwrap_or_default();
                let columns = names.collect::<Vec<_>>().join(", ");
                let columns = if columns.is_empty() { columns } else { format!("({columns}) ") };
                return Cow::Owned(format!("INSERT INTO {target} {columns}VALUES ({values});"));
            }
            Kind::Other if word.eq_ignore_ascii_case("INTO") && names.is_empty() => {}
            Kind::Other => names.push(format!("`{}`", word.to_uppercase())),
            Kind::Quoted(_) => names.push(format!("`{}`", word.trim_matches(['"', '`']))),
            Kind::Mark(_) => {}
        }
    }
    Cow::Borrowed(text)
}

/// How many values stand in the parentheses that a text begins with.
fn count_values<'a>(pieces: impl Iterator<Item = (Kind, &'a str)>) -> usize {
    let (mut depth, mut count) = (0_usize, 0_usize);
    for (kind, word) in pieces {
        match kind {
            Kind::Mark('(') => {
                depth += 1;
                count = count.max(1);
            }
            Kind::Mark(')') if depth <= 1 => break,
            Kind::Mark(')') => depth -= 1,
            Kind::Mark(',') if depth == 1 => count += 1,
            Kind::Other => depth = (depth + word.matches('[').count()).saturating_sub(word.matches(']').count()),
            _ => {}
        }
    }
    count.max(1)
}

/// As [`hide_values`], but every character keeps its place, so that a caret under it stands right.
pub(crate) fn blot_values(text: &str) -> Cow<'_, str> {
    let blot = |c: char| if c.is_whitespace() || c == '\'' { c } else { '*' };
    hide(text, |value| value.chars().map(blot).collect())
}

fn hide(text: &str, instead: impl Fn(&str) -> String) -> Cow<'_, str> {
    if !may_hold_secrets(text) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for value in values(text) {
        result += text.get(end..value.start).unwrap_or("");
        result += &instead(text.get(value.clone()).unwrap_or(""));
        end = value.end;
    }
    result += text.get(end..).unwrap_or("");
    Cow::Owned(result)
}

/// Where values stand, in order.
fn values(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let quoted = || Pieces { text, at: 0 }.filter(|(kind, _)| matches!(kind, Kind::Quoted(_)));
    // Where the quotes don't pair up, what is within and what is without may be the other way round.
    if let (Some((_, first)), Some((_, last))) = (quoted().next(), quoted().last())
        && !is_closed(text.get(last).unwrap_or(""))
    {
        found.push(first.start..text.len());
        return found;
    }
    let mut pieces = Pieces { text, at: 0 }.peekable();
    // The name before a `=`, and from where its value may begin.
    let (mut name, mut value): (&str, Option<Range<usize>>) = ("", None);
    let mut is_class = false;
    // Between the parentheses of the properties.
    let mut inside = false;
    while let Some((kind, piece)) = pieces.next() {
        let part = text.get(piece.clone()).unwrap_or("");
        let followed_by_equals = matches!(pieces.peek(), Some((Kind::Mark('='), _))) && may_be_name(part);
        inside = match kind {
            Kind::Mark('(') => true,
            Kind::Mark(')') => false,
            _ => inside,
        };
        match (kind, &mut value) {
            (Kind::Mark(',' | ')' | ';'), Some(_)) => found.extend(value.take().filter(|v| !is_class && v.start < v.end)),
            (_, Some(value)) => {
                if value.start == value.end {
                    value.start = piece.start;
                }
                value.end = piece.end;
                // Only a text on its own is a class.
                is_class &= value.start == piece.start;
            }
            (Kind::Mark('='), None) => {
                is_class = std::mem::take(&mut name).trim_matches(['\'', '"', '`']) == CLASS;
                value = Some(piece.end..piece.end);
            }
            (Kind::Quoted('\''), None) if !followed_by_equals => {
                found.push(piece);
                name = "";
            }
            (Kind::Quoted(_) | Kind::Other, None) if inside && !followed_by_equals => {
                found.push(piece);
                name = "";
            }
            (Kind::Quoted(_) | Kind::Other, None) => name = part,
            _ => {}
        }
    }
    found.extend(value.filter(|v| !is_class && v.start < v.end));
    found
}

/// Whether a quote is closed at the end of what it begins. Doubled, it stands for itself.
fn is_closed(quoted: &str) -> bool {
    let Some(quote) = quoted.chars().next() else { return false };
    quoted.chars().skip(1).filter(|c| *c == quote).count() % 2 == 1
}

/// Whether a property could be called so; a text with other characters may hold a value.
fn may_be_name(part: &str) -> bool {
    part.trim_matches(['\'', '"', '`']).chars().all(|c| c.is_alphanumeric() || "._-$".contains(c))
}

/// What a stretch of text is.
#[derive(Clone, Copy)]
enum Kind {
    /// In these quotes, which belong to it; the last may not be closed.
    Quoted(char),
    /// One character that bears on where values stand.
    Mark(char),
    Other,
}

/// A text in pieces, without white space and comments.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl Iterator for Pieces<'_> {
    type Item = (Kind, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = rest.chars().next()?;
            let start = self.at;
            let after = |pattern: &str, from: usize| {
                let found = rest.get(from..).and_then(|tail| tail.find(pattern));
                found.map_or(rest.len(), |at| from + at + pattern.len())
            };
            let is_mark = |c: char| matches!(c, '=' | ',' | '(' | ')' | ';' | '\'' | '"' | '`') || c.is_whitespace();
            let (kind, length) = match first {
                _ if first.is_whitespace() => (None, first.len_utf8()),
                _ if rest.starts_with("--") => (None, after("\n", 2)),
                _ if rest.starts_with("/*") => (None, after("*/", 2)),
                '\'' | '"' | '`' => (Some(Kind::Quoted(first)), quoted(rest, first)),
                _ if is_mark(first) => (Some(Kind::Mark(first)), first.len_utf8()),
                // A comment may begin within: what follows is then hidden with it, or not looked at.
                _ => (Some(Kind::Other), rest.find(is_mark).unwrap_or(rest.len())),
            };
            self.at += length;
            if let Some(kind) = kind {
                return Some((kind, start..self.at));
            }
        }
    }
}

/// The length of what begins with a quote, up to the quote that closes it. A doubled quote is part of it.
fn quoted(text: &str, quote: char) -> usize {
    let mut from = quote.len_utf8();
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(quote)) {
        from += at + quote.len_utf8();
        if !text.get(from..).is_some_and(|rest| rest.starts_with(quote)) {
            return from;
        }
        from += quote.len_utf8();
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_connectors_are_hidden_in_what_cannot_be_parsed() {
        for (text, expected) in [
            ("CREATE STREAM s WITH (kafka_topic='t'", "CREATE STREAM s WITH (kafka_topic='t'"),
            (
                "CREATE SOURCE CONNECTOR c WITH ('a.b'='s3', \"c\" = 'it''s')",
                "CREATE SOURCE CONNECTOR c WITH ('a.b'='[string]', \"c\" = '[string]')",
            ),
            (
                "CREATE SINK CONNECTR `c` WITH ('connector.class'='X', p = bare\n)",
                "CREATE SINK CONNECTR `c` WITH ('connector.class'='X', p = '[string]'\n)",
            ),
            ("create source connector c with ('p' 's3')", "create source connector c with ('[string]' '[string]')"),
            ("create source connector c with ('p' = 's3, 'q'='x');", "create source connector c with ('[string]'"),
            ("create source connector c with ('p' = /* ) */ -5, 'q'='open", "create source connector c with ('[string]'"),
            (
                "create source connector c with ('p' = /* ) */ -5, q='x')",
                "create source connector c with ('p' = /* ) */ '[string]', q='[string]')",
            ),
            ("create source connector c with ('a=s3, b'='x')", "create source connector c with ('[string]'='[string]')"),
            ("connector connector.class = 'X' y", "connector connector.class = '[string]'"),
            ("ALTER SYSTEM 'a.b'='s3", "ALTER SYSTEM '[string]'"),
            ("ALTER SYSTM 'a.b'='s3' x", "ALTER SYSTM 'a.b'='[string]'"),
            ("SET 'sasl.password' 's3';", "SET '[string]' '[string]';"),
            ("SELECT 1; SET 'sasl.jaas.config'='a b;'", "SELECT 1; SET 'sasl.jaas.config'='[string]'"),
            ("SET 'auto.offset.reset'='earliest' x", "SET 'auto.offset.reset'='earliest' x"),
            ("SELECT password FROM s WHERE a = 'x' y", "SELECT password FROM s WHERE a = 'x' y"),
        ] {
            assert_eq!(hide_values(text), expected, "{text}");
        }
    }

    #[test]
    fn a_row_is_hidden_whole() {
        for (text, expected) in [
            ("insert into s (k, `values`) values ('a', 1E400);", "INSERT INTO `S` (`K`, `values`) VALUES ('[value]', '[value]');"),
            ("INSERT INTO s VALUES(1)", "INSERT INTO `S` VALUES ('[value]');"),
            ("INSERT INTO s VALUES (ARRAY[1, 2], f(1, 'a, b)'), 1E400", "INSERT INTO `S` VALUES ('[value]', '[value]', '[value]');"),
            ("INSERT INTO s SELECT * FROM t;", "INSERT INTO s SELECT * FROM t;"),
            ("SELECT 'INSERT', VALUES (1)", "SELECT 'INSERT', VALUES (1)"),
        ] {
            assert_eq!(hide_row(text), expected);
        }
    }

    #[test]
    fn what_is_blotted_keeps_its_place() {
        let text = "CREATE SOURCE CONNECTOR c\nWITH ('p'='sécret\nx', 'q' : 5)";
        let blotted = blot_values(text);
        assert_eq!(blotted, "CREATE SOURCE CONNECTOR c\nWITH ('p'='******\n*', '*' * *)");
        assert_eq!(blotted.chars().count(), text.chars().count());
    }

    #[test]
    fn statements_about_connectors_are_known_if_misspelt() {
        for text in
            ["CREATE SINK CONECTOR c", "create source conector", "CREAT SOURCE c WITH ('a'='b')", "CREATE SUORCE c", "create conecttor c"]
        {
            assert!(concerns_connectors(text), "{text}");
        }
        for text in
            ["CREATE SOURCE STREAM s (a INT)", "CREATE SOURCE TABEL s", "SELECT source FROM sink", "INSERT INTO s VALUES ('collector')"]
        {
            assert!(!concerns_connectors(text), "{text}");
        }
    }

    /// However such a statement is broken: no error shows a value, whatever it says.
    #[test]
    fn no_error_shows_a_value() {
        const VALUES: [&str; 3] = ["hunter2", "tr0ub4dor", "x9"];
        let good = "CREATE SOURCE CONNECTOR c WITH ('connector.class'='org.X', 'a.password'='hunter2', \"b\"='tr0ub4dor', 'c' = 'x9')";
        let sets = ["ALTER SYSTEM 'a.b'='hunter2'", "SET 'sasl.password'='hunter2'"];
        let mut texts = Vec::new();
        for good in sets {
            texts.extend([format!("{good} x;"), format!("SELEC 1; {good};"), format!("EXPLAIN {good};")]);
            // After the name, of which nothing must be missing.
            for (at, removed) in good.char_indices().skip_while(|(at, _)| good.get(*at..).is_some_and(|rest| rest.contains("'='"))) {
                texts.push(format!("{}{};", &good[..at], &good[at + removed.len_utf8()..]));
                texts.push(format!("{}'{};", &good[..at], &good[at..]));
                texts.push(format!("{});{};", &good[..at], &good[at..]));
            }
        }
        texts.extend([
            good.to_owned(),
            format!("{good} SELECT * FROM s;"),
            format!("{good}; SELEC 1;"),
            format!("SELEC 1; {good};"),
            format!("EXPLAIN {good}"),
            format!("EXPLAIN {good} x;"),
            good.replace("CONNECTOR", "CONECTR"),
            good.replace("CONNECTOR ", "").replace("connector.class", "class"),
            good.replace("='", " '"),
            good.replace("='", ":'"),
            good.replace("'", ""),
            good.replace("'=", "="),
            good.replace("='", "=\""),
            good.replace(", ", " "),
        ]);
        // Without one of its characters, and cut off anywhere.
        for (at, removed) in good.char_indices() {
            texts.push(format!("{}{};", &good[..at], &good[at + removed.len_utf8()..]));
            texts.push(format!("{};", &good[..at]));
            texts.push(format!("{}'{};", &good[..at], &good[at..]));
            texts.push(format!("{});{};", &good[..at], &good[at..]));
        }
        for text in texts {
            let mut said = vec![hide_values(&text).into_owned()];
            said.extend(crate::parse_statement(&text).err().map(|error| error.to_string()));
            for raw in crate::split_script(&text) {
                said.extend([raw.parse().err(), raw.check_terminated().err()].into_iter().flatten().map(|error| error.to_string()));
            }
            for said in said {
                // Of a value that was cut off or broken there may be an end that means nothing.
                assert!(!VALUES.iter().any(|value| said.contains(value)), "{text}\nsays\n{said}");
            }
        }
    }

    #[test]
    fn any_text_is_taken() {
        for text in ["connector '", "connector = ", "connector=='", "connector /*", "connector é='é", "connector ''''='''", ""] {
            let _ = (hide_values(text), blot_values(text), Secrets::of(text).without(text.to_owned()));
        }
    }
}
