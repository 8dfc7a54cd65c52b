//! Files of users and of tokens: `name: credential,role,role`, a line each, as PropertyFileLoginModule reads them.

use std::path::Path;

use crate::config::file::parse;

/// The largest file that is read, bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: usize,
    pub name: String,
    pub credential: String,
    pub roles: Vec<String>,
}

/// The lines of a file.
///
/// # Errors
/// It can't be read; a sentence that names the property, the file and the line, and nothing of what stands there but the name.
pub fn read(property: &str, path: &Path) -> Result<Vec<Line>, String> {
    let wrong = |what: String| format!("{property}: {}: {what}", path.display());
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(wrong(format!("{size} bytes are more than any such file")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut lines: Vec<Line> = Vec::new();
    for entry in parse(&text).map_err(wrong)? {
        let at = |what: &str| wrong(format!("line {}: {what}", entry.line));
        let (credential, roles) = parted(&entry.value);
        if entry.name.is_empty() || credential.is_empty() {
            return Err(at("write name: password,role"));
        }
        if let Some(earlier) = lines.iter().find(|line| line.name == entry.name) {
            return Err(at(&format!("'{}' stands in line {} as well", entry.name, earlier.number)));
        }
        let roles = roles.split(',').map(|role| role.trim().to_owned()).filter(|role| !role.is_empty()).collect();
        lines.push(Line { number: entry.line, credential: credential.to_owned(), roles, name: entry.name });
    }
    Ok(lines)
}

/// The credential and the roles. A hash of argon2 has commas of its own, before its last `$`.
fn parted(value: &str) -> (&str, &str) {
    let from = if value.starts_with("$argon2") { value.rfind('$').unwrap_or(0) } else { 0 };
    let comma = value.get(from..).and_then(|rest| rest.find(',')).map(|at| from + at);
    match comma.map(|at| value.split_at(at)) {
        Some((credential, roles)) => (credential.trim(), roles.trim_start_matches(',')),
        None => (value.trim(), ""),
    }
}

/// A file's text with an entry of this name in the place of an earlier one; everything else as it stands.
pub fn with_entry(text: &str, name: &str, value: &str) -> String {
    let mut out = without_entry(text, name).0;
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&format!("{}: {value}\n", escaped(name)));
    out
}

/// A file's text without the entry of this name, and whether there was one.
pub fn without_entry(text: &str, name: &str) -> (String, bool) {
    let (mut out, mut found) = (String::with_capacity(text.len()), false);
    let mut lines = text.split_inclusive('\n');
    while let Some(first) = lines.next() {
        let mut entry = first.to_owned();
        while is_continued(&entry) {
            match lines.next() {
                Some(next) => entry.push_str(next),
                None => break,
            }
        }
        let is_meant = parse(&entry).is_ok_and(|entries| entries.iter().any(|entry| entry.name == name));
        found |= is_meant;
        if !is_meant {
            out.push_str(&entry);
        }
    }
    (out, found)
}

fn is_continued(text: &str) -> bool {
    let last = text.trim_end_matches(['\n', '\r']);
    let line = last.rsplit('\n').next().unwrap_or(last);
    text.ends_with('\n') && !line.trim_start().starts_with(['#', '!']) && line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// A name as it is written in such a file.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if matches!(c, ' ' | ':' | '=' | '\\' | '#' | '!' | '\t') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_the_login_module_reads_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users");
        let argon = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA";
        std::fs::write(&path, format!("# users\nann: secret,admin,other\nbob=MD5:abc\n\neve: {argon}, read\n")).expect("written");
        let line = |number, name: &str, credential: &str, roles: &[&str]| Line {
            number,
            name: name.to_owned(),
            credential: credential.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        let expected = [line(2, "ann", "secret", &["admin", "other"]), line(3, "bob", "MD5:abc", &[]), line(5, "eve", argon, &["read"])];
        assert_eq!(read("p", &path), Ok(expected.to_vec()));
        for (text, expected) in [
            ("a: x\nb:\n", "users: line 2: write name"),
            ("a: hush\nb: y\na: z\n", "line 3: 'a' stands in line 1"),
            ("a: \\u00\n", "line 1"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = read("p", &path).expect_err(text);
            assert!(error.starts_with("p: ") && error.contains(expected) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn entries_are_replaced_and_all_else_stays() {
        let text = "# mine\nann: a,\\\n  read\nbob: b";
        assert_eq!(with_entry(text, "ann", "x,write"), "# mine\nbob: b\nann: x,write\n");
        assert_eq!(with_entry("", "a b:c", "x"), "a\\ b\\:c: x\n");
        assert_eq!(without_entry(text, "bob"), ("# mine\nann: a,\\\n  read\n".to_owned(), true));
        assert_eq!(without_entry(text, "eve"), (text.to_owned(), false));
    }
}
