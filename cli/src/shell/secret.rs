//! Asking for a password without showing it.

use std::io::{Read, Write};

/// The longest that is taken, bytes.
const MAX_BYTES: usize = 1024;
const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACES: [u8; 2] = [8, 127];

/// Asks at the terminal.
///
/// # Errors
/// There is no terminal, or whoever sits there gave up.
pub fn ask_password(prompt: &str) -> Result<String, String> {
    let say = |text: &str| {
        let mut out = std::io::stderr();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    };
    say(prompt);
    crossterm::terminal::enable_raw_mode().map_err(|error| format!("the terminal can't be told to hide a password: {error}"))?;
    let typed = typed(&mut std::io::stdin().lock());
    let restored = crossterm::terminal::disable_raw_mode();
    say("\r\n");
    restored.map_err(|error| format!("the terminal can't be put back: {error}"))?;
    let typed = typed?;
    String::from_utf8(typed).map_err(|_| "what was typed is not UTF-8".to_owned())
}

/// What is typed up to the end of the line.
fn typed(input: &mut impl Read) -> Result<Vec<u8>, String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        let length = input.read(&mut byte).map_err(|error| error.to_string())?;
        match byte[0] {
            _ if length == 0 => return Err("no password was given".to_owned()),
            b'\r' | b'\n' => return Ok(line),
            INTERRUPT | END => return Err("no password was given".to_owned()),
            typed if BACKSPACES.contains(&typed) => {
                // A character may have several bytes.
                while line.pop().is_some_and(|last: u8| last & 0xc0 == 0x80) {}
            }
            _ if line.len() >= MAX_BYTES => return Err(format!("a password has at most {MAX_BYTES} bytes")),
            typed => line.push(typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_corrected() {
        let of = |bytes: &[u8]| typed(&mut &bytes[..]).map(|line| String::from_utf8_lossy(&line).into_owned());
        assert_eq!(of(b"secret\rrest"), Ok("secret".to_owned()));
        assert_eq!(of("aä\u{7f}\u{7f}b\n".as_bytes()), Ok("b".to_owned()));
        assert!(of(b"half").is_err() && of(b"x\x03").is_err());
    }
}
