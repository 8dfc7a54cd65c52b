//! The blocks that HTTP/2's headers come in (RFC 7541), as far as paths are concerned.
//!
//! Nothing is kept between two blocks. A path is known by its name in the static table, as every client spells it; and as one
//! character stands for another the receiver's table stays as large as the sender takes it to be.

use std::borrow::Cow;

use super::huffman;
use super::watched::RAW_QUOTE;

const PATH: &[u8] = b":path";
/// Where the static table has the path's name.
const PATH_INDEXES: [usize; 2] = [4, 5];
/// Set where a text is spelled in the code of [`huffman`].
const CODED: u8 = 0x80;

/// A block whose path was spelled with back-quotes, without. `None`: there is nothing to change, or nothing that could be read.
pub fn without_back_quotes(block: &[u8]) -> Option<Vec<u8>> {
    let mut rest = block;
    while let Some(&first) = rest.first() {
        // What an entry is, and how many bits of its first byte are a number.
        let (is_literal, bits) = match first {
            0x80.. => (false, 7),
            0x40.. => (true, 6),
            0x20.. => (false, 5),
            _ => (true, 4),
        };
        let index = number(&mut rest, bits)?;
        if !is_literal {
            continue;
        }
        let is_path = if index == 0 { text(&mut rest)?.as_ref() == PATH } else { PATH_INDEXES.contains(&index) };
        let before = rest;
        let value = text(&mut rest)?;
        if is_path && value.contains(&b'`') {
            let spelled: Vec<u8> = value.iter().map(|byte| if *byte == b'`' { RAW_QUOTE as u8 } else { *byte }).collect();
            let mut out = block.strip_suffix(before)?.to_vec();
            write_text(&spelled, &mut out);
            out.extend_from_slice(rest);
            return Some(out);
        }
    }
    None
}

/// Appends a header that no table is to remember.
pub fn write(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    write_text(name, out);
    write_text(value, out);
}

/// A number that begins with some bits of the first byte.
fn number(rest: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, mut tail) = rest.split_first()?;
    let most = (1usize << bits) - 1;
    let mut number = usize::from(*first) & most;
    if number == most {
        // Three more bytes are more than any text may be long.
        for shift in [0, 7, 14] {
            let (next, behind) = tail.split_first()?;
            tail = behind;
            number += usize::from(next & 0x7f) << shift;
            if next & 0x80 == 0 {
                *rest = tail;
                return Some(number);
            }
        }
        return None;
    }
    *rest = tail;
    Some(number)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let is_coded = rest.first()? & CODED != 0;
    let length = number(rest, 7)?;
    let (spelled, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    if is_coded { huffman::decode(spelled).map(Cow::Owned) } else { Some(Cow::Borrowed(spelled)) }
}

fn write_text(text: &[u8], out: &mut Vec<u8>) {
    const MOST: usize = 0x7f;
    match u8::try_from(text.len()) {
        Ok(length) if usize::from(length) < MOST => out.push(length),
        _ => {
            out.push(MOST as u8);
            let mut left = text.len() - MOST;
            while left >= 0x80 {
                out.push((left & 0x7f) as u8 | 0x80);
                left >>= 7;
            }
            out.push(left as u8);
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// :method GET, :path as it is spelled, :scheme http, a header that is remembered.
    fn block(path: &[u8]) -> Vec<u8> {
        [&[0x82][..], path, &[0x86, 0x41, 0x03], b"a`b"].concat()
    }

    #[test]
    fn back_quotes_of_paths_become_double_quotes() {
        for (path, spelled) in [
            (&[&[0x04, 4][..], b"/`a`"].concat(), &[&[0x04, 4][..], b"/\"a\""].concat()),
            (&[&[0x45, 2][..], b"/`"].concat(), &[&[0x45, 2][..], b"/\""].concat()),
            (&[&[0x10, 5][..], b":path", &[2], b"/`"].concat(), &[&[0x10, 5][..], b":path", &[2], b"/\""].concat()),
            // Spelled in the code, and so by another length.
            (&vec![0x44, 0x83, 0x63, 0xff, 0xef], &vec![0x44, 2, b'/', b'"']),
        ] {
            assert_eq!(without_back_quotes(&block(path)), Some(block(spelled)), "{path:x?}");
        }
        let long = format!("/{}`", "x".repeat(300));
        let mut written = vec![0x04];
        write_text(long.as_bytes(), &mut written);
        let mut expected = vec![0x04];
        write_text(long.replace('`', "\"").as_bytes(), &mut expected);
        assert_eq!(without_back_quotes(&block(&written)), Some(block(&expected)));
    }

    #[test]
    fn all_else_is_left_alone() {
        for whole in [
            block(&[0x84]),
            block(&[&[0x04, 2][..], b"/a"].concat()),
            // Another header, a size of the table, texts that end too soon, numbers without end.
            [&[0x0f, 0x00, 1][..], b"`"].concat(),
            vec![0x3f, 0xe1, 0x1f],
            vec![0x04, 5, b'`'],
            vec![0x04, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0xff],
            vec![0x04],
            vec![0x04, 0x81, 0x00],
            Vec::new(),
        ] {
            assert_eq!(without_back_quotes(&whole), None, "{whole:x?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 126, 127, 128, 254, 255, 256, 16_000] {
            let mut written = Vec::new();
            write(b"name", "v".repeat(length).as_bytes(), &mut written);
            let mut rest = &written[1..];
            assert_eq!(text(&mut rest).as_deref(), Some(&b"name"[..]));
            assert_eq!(text(&mut rest).map(|value| value.len()), Some(length));
            assert!(rest.is_empty());
        }
    }
}
