//! Files of users and of tokens: `name: credential,role,role`, a line each, as PropertyFileLoginModule reads them.

use std::path::Path;

use crate::config::file::{parse, text};

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

/// The lines of a file; `credential_name` is what stands behind a name, for messages: `password`.
///
/// # Errors
/// It can't be read; a sentence that names the property, the file and the line, and nothing of what stands there but the name.
pub fn read(property: &str, path: &Path, credential_name: &str) -> Result<Vec<Line>, String> {
    let wrong = |what: String| format!("{property}: {}: {what}", path.display());
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(wrong(format!("{size} bytes are more than any such file")));
    }
    let text = text(std::fs::read(path).map_err(|error| wrong(error.to_string()))?).map_err(wrong)?;
    let mut lines: Vec<Line> = Vec::new();
    for entry in parse(&text).map_err(wrong)? {
        let at = |what: &str| wrong(format!("line {}: {what}", entry.line));
        let (credential, roles) = parted(&entry.value);
        if entry.name.is_empty() || credential.is_empty() {
            return Err(at(&format!("write name: {credential_name},role")));
        }
        if let Some(earlier) = lines.iter().find(|line| line.name == entry.name) {
            return Err(at(&format!("'{}' stands in line {} as well", entry.name, earlier.number)));
        }
        let roles = roles.split(',').map(|role| role.trim().to_owned()).filter(|role| !role.is_empty()).collect();
        lines.push(Line { number: entry.line, credential: credential.to_owned(), roles, name: entry.name });
    }
    Ok(lines)
}

/// What is to be said of who may read or write a file of logins. A group's right to read it is left alone: that is how a service that
/// does not own its files is given them.
pub fn warning(property: &str, path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let shown = path.display();
    if mode & 0o022 != 0 {
        return Some(format!("{property}: others on this machine may write {shown}, and let in whom they like: chmod 640, or 600"));
    }
    (mode & 0o007 != 0).then(|| format!("{property}: everybody on this machine may read {shown}: chmod 640, or 600"))
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
        assert_eq!(read("p", &path, "password"), Ok(expected.to_vec()));
        for (text, expected) in [
            ("a: x\nb:\n", "users: line 2: write name: token,role"),
            ("a: hush\nb: y\na: z\n", "line 3: 'a' stands in line 1"),
            ("a: \\u00\n", "line 1"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = read("p", &path, "token").expect_err(text);
            assert!(error.starts_with("p: ") && error.contains(expected) && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_said_by_their_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users");
        std::fs::write(&path, b"# mine\nann: x\nb\xfcb: hush\n").expect("written");
        let error = read("p", &path, "password").expect_err("Latin-1");
        assert!(error.contains("users: line 3: not UTF-8") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn files_that_others_read_or_write_are_warned_about() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().expect("a file");
        for (mode, said) in [
            (0o600, None),
            (0o640, None),
            (0o440, None),
            (0o644, Some("everybody on this machine may read")),
            (0o604, Some("everybody on this machine may read")),
            (0o660, Some("may write")),
            (0o602, Some("may write")),
        ] {
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("set");
            let found = warning("p", file.path());
            match said {
                None => assert_eq!(found, None, "{mode:o}"),
                Some(said) => assert!(found.is_some_and(|found| found.starts_with("p: ") && found.contains(said)), "{mode:o}"),
            }
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
