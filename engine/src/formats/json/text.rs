//! Any JSON value as the text that a STRING column takes, as ksqlDB spells it: strings bare, numbers as Java prints them,
//! arrays as `[1, a]` (their strings bare as well), objects as compact JSON with their names in the order of the text.

use serde_json::Value as Tree;

use super::number::Number;
use super::scan::{ANY_VALUE, Fault, Scanned, Scanner, too_deep};
use super::value::each_item;
use super::write_json_string;
use crate::types::Text;

/// Arrays inside one another that are spelled out; each takes a call.
const MAX_ARRAY_DEPTH: usize = 128;

/// The text of the value that begins here, which is not `null`.
pub(super) fn read_text(scanner: &mut Scanner<'_>) -> Scanned<Text> {
    match scanner.peek() {
        b'"' => scanner.text().map(|text| Text::from(&*text)),
        b'-' | b'0'..=b'9' => number_text(scanner.number()?),
        b't' => scanner.literal("true").map(|()| Text::from("true")),
        b'f' => scanner.literal("false").map(|()| Text::from("false")),
        b'{' | b'[' => {
            let mut out = String::new();
            append(scanner, &mut out, MAX_ARRAY_DEPTH)?;
            Ok(Text::from(out))
        }
        _ => Err(scanner.unexpected(ANY_VALUE)),
    }
}

fn number_text(number: Number<'_>) -> Scanned<Text> {
    number.to_text().ok_or_else(|| Fault::value("A number's exponent is too large".into()))
}

fn append(scanner: &mut Scanner<'_>, out: &mut String, depth_left: usize) -> Scanned<()> {
    match scanner.peek() {
        b'n' => {
            scanner.literal("null")?;
            out.push_str("null");
        }
        b'[' => {
            let depth_left = depth_left.checked_sub(1).ok_or_else(too_deep)?;
            out.push('[');
            each_item(scanner, |scanner, index| {
                if index > 0 {
                    out.push_str(", ");
                }
                append(scanner, out, depth_left)
            })?;
            out.push(']');
        }
        b'{' => {
            let start = scanner.position();
            scanner.skip_value()?;
            // Rare enough for a tree: of equal names only the last one counts.
            let tree: Tree = serde_json::from_slice(scanner.since(start)).map_err(|e| Fault::syntax(e.to_string()))?;
            append_tree(&tree, out)?;
        }
        _ => out.push_str(&read_text(scanner)?),
    }
    Ok(())
}

fn append_tree(tree: &Tree, out: &mut String) -> Scanned<()> {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Tree::Number(number) => {
            let text = number.to_string();
            let number = Number::scan(text.as_bytes()).map_err(|_| Fault::value(format!("Not a number: {text}")))?;
            out.push_str(&number_text(number)?);
        }
        Tree::String(text) => write_json_string(text, out),
        Tree::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                append_tree(item, out)?;
            }
            out.push(']');
        }
        Tree::Object(members) => {
            out.push('{');
            for (i, (name, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_string(name, out);
                out.push(':');
                append_tree(member, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_text() {
        for (json, text) in [
            ("\"a\\n\"", "a\n"),
            ("-12", "-12"),
            ("1e2", "1E+2"),
            ("false", "false"),
            ("[]", "[]"),
            ("[1,\"a\",null,[true, 2.50],{\"b\":1,\"a\":[1,\"x\"]}]", "[1, a, null, [true, 2.50], {\"b\":1,\"a\":[1,\"x\"]}]"),
            ("{\"z\" : {\"b\":null,\"a\":\"q\\\"\"}, \"y\":1.0}", "{\"z\":{\"b\":null,\"a\":\"q\\\"\"},\"y\":1.0}"),
        ] {
            assert_eq!(read_text(&mut Scanner::new(json.as_bytes())).unwrap(), text, "{json}");
        }
        let deep = [vec![b'['; 200], vec![b']'; 200]].concat();
        assert!(read_text(&mut Scanner::new(&deep)).is_err());
        assert!(read_text(&mut Scanner::new(b"{\"a\":")).is_err());
    }
}
