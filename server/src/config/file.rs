//! Properties files, as Java reads them: `name=value`, `name: value` or `name value`; comments with `#` or `!`; a
//! backslash at a line's end goes on in the next; `\t`, `\n`, `\uXXXX` and `\` before any character.

/// A property as the file gives it, with the line it stands in (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub line: usize,
    pub name: String,
    pub value: String,
}

/// A file's bytes without the mark that some editors put before UTF-8: it would be taken for part of the first name.
pub fn unmarked(mut bytes: Vec<u8>) -> Vec<u8> {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    bytes
}

/// The text of a file's bytes.
///
/// # Errors
/// They are not UTF-8; the text names the line.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(unmarked(bytes)).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line}: not UTF-8: save the file as UTF-8, or write the character as \\uXXXX")
    })
}

/// The properties of a file's text, in order. Every text has some reading, so nothing can fail but an escape.
///
/// # Errors
/// A `\u` without four hexadecimal digits; the text names the line.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let start = line.trim_start_matches([' ', '\t', '\u{c}']);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while continues(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches([' ', '\t', '\u{c}'])),
                None => break,
            }
        }
        let (name, value) = split(&logical);
        let line = index + 1;
        entries.push(Entry { line, name: unescape(name, line)?, value: unescape(value, line)?.trim_end().to_owned() });
    }
    Ok(entries)
}

/// Whether a line ends with an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// The name and the value, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}') {
            let (name, rest) = line.split_at(at);
            let rest = rest.trim_start_matches([' ', '\t', '\u{c}']);
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (name, rest.trim_start_matches([' ', '\t', '\u{c}']));
        }
    }
    (line, "")
}

fn unescape(text: &str, line: usize) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                let c = code.and_then(char::from_u32).ok_or_else(|| format!("line {line}: \\u needs four hexadecimal digits"))?;
                out.push(c);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_before_utf8_is_no_part_of_a_name() {
        let text = text("\u{feff}a=1\n".as_bytes().to_vec()).expect("UTF-8");
        let entries = parse(&text).expect("good");
        assert!(matches!(&entries[..], [Entry { name, .. }] if name == "a"), "{entries:?}");
    }

    #[test]
    fn reads_what_java_reads() {
        let text = "# comment\n! too\n\na=1\n  b : two words \nc three\nd\\=e=f\\\n   g\nh=\\u0041\\tx\\\\\nempty=\nlone";
        let entries = parse(text).expect("parses");
        let found: Vec<(usize, &str, &str)> = entries.iter().map(|e| (e.line, e.name.as_str(), e.value.as_str())).collect();
        assert_eq!(
            found,
            [
                (4, "a", "1"),
                (5, "b", "two words"),
                (6, "c", "three"),
                (7, "d=e", "fg"),
                (9, "h", "A\tx\\"),
                (10, "empty", ""),
                (11, "lone", ""),
            ]
        );
        assert!(parse("a=\\u12").is_err());
    }
}
