//! Secrets on the command line, where everybody on the machine can read them (`ps`): a program that was given one starts anew at once,
//! in its own place, with `[hidden]` there. The secret goes along in the environment, which only its owner can read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What stands for a secret. One of that very text can't be given.
const HIDDEN: &str = "[hidden]";
const PASSWORD_VARIABLE: &str = "TIDEMILL_GIVEN_PASSWORD";
const TOKEN_VARIABLE: &str = "TIDEMILL_GIVEN_TOKEN";
/// The commands that log in.
const COMMANDS: [&str; 4] = ["shell", "run", "test", "datagen"];
/// Flags whose value is a secret, as they stand before it, and the variable that it goes to.
const FLAGS: [(&str, &str); 3] = [("-p", PASSWORD_VARIABLE), ("--password", PASSWORD_VARIABLE), ("--token", TOKEN_VARIABLE)];

/// Starts anew where the command line holds a secret; goes on where it holds none, or that can't be.
pub fn hide_secrets() {
    let mut arguments = std::env::args_os();
    let Some(name) = arguments.next() else { return };
    let (shown, secrets) = hidden(arguments);
    if secrets.is_empty() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        // It returns only where it can't.
        let error = Command::new(program).arg0(name).args(shown).envs(secrets).exec();
        tracing::debug!(%error, "the secret of the command line can't be hidden");
    }
}

/// A flag's value, as it was before it was hidden.
pub fn given_password(flag: Option<String>) -> Option<String> {
    given(flag, PASSWORD_VARIABLE)
}

/// As [`given_password`].
pub fn given_token(flag: Option<String>) -> Option<String> {
    given(flag, TOKEN_VARIABLE)
}

fn given(flag: Option<String>, variable: &str) -> Option<String> {
    if flag.as_deref() == Some(HIDDEN) { std::env::var(variable).ok().or(flag) } else { flag }
}

/// The arguments with `[hidden]` for secrets, and the secrets by the variables that they go to.
fn hidden(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Vec<(&'static str, OsString)>) {
    let mut shown: Vec<OsString> = Vec::new();
    let mut secrets = Vec::new();
    let mut logs_in = false;
    // The flag whose value comes next.
    let mut behind = None;
    let mut hide = |variable: &'static str, secret: &OsStr| {
        if secret == HIDDEN {
            return;
        }
        secrets.retain(|(name, _)| *name != variable);
        secrets.push((variable, secret.to_owned()));
    };
    for argument in arguments {
        if shown.is_empty() {
            logs_in = COMMANDS.iter().any(|command| argument == *command);
        }
        if let Some(variable) = behind.take() {
            hide(variable, &argument);
            shown.push(HIDDEN.into());
            continue;
        }
        let joined = FLAGS.iter().filter(|_| logs_in).find_map(|(flag, variable)| {
            let value = argument.as_bytes().strip_prefix(flag.as_bytes())?;
            let (prefix, value) = match value {
                [] => return Some((None, *variable)),
                [b'=', value @ ..] => (format!("{flag}="), value),
                value if !flag.starts_with("--") => ((*flag).to_owned(), value),
                _ => return None,
            };
            Some((Some((prefix, value.to_vec())), *variable))
        });
        match joined {
            Some((Some((prefix, value)), variable)) => {
                hide(variable, OsStr::from_bytes(&value));
                shown.push((prefix + HIDDEN).into());
            }
            Some((None, variable)) => {
                behind = Some(variable);
                shown.push(argument);
            }
            None => shown.push(argument),
        }
    }
    (shown, secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &str, expected: &str, secrets: &[(&str, &str)]) {
        let (shown, found) = hidden(arguments.split(' ').map(OsString::from));
        let shown: Vec<String> = shown.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        assert_eq!(shown.join(" "), expected);
        let found: Vec<(&str, String)> = found.iter().map(|(name, secret)| (*name, secret.to_string_lossy().into_owned())).collect();
        assert_eq!(found, secrets.iter().map(|(name, secret)| (*name, (*secret).to_owned())).collect::<Vec<_>>());
    }

    #[test]
    fn secrets_are_hidden_where_a_command_logs_in() {
        let password = [(PASSWORD_VARIABLE, "word")];
        check("shell -u word -p word", "shell -u word -p [hidden]", &password);
        check("shell -u a -pword", "shell -u a -p[hidden]", &password);
        check("run -u a --password=word -f x", "run -u a --password=[hidden] -f x", &password);
        check("test --token word .", "test --token [hidden] .", &[(TOKEN_VARIABLE, "word")]);
        check("datagen -u a --password word", "datagen -u a --password [hidden]", &password);
        // Nothing more is hidden, and nothing twice: the program that starts anew goes on.
        check("shell -u word -p [hidden]", "shell -u word -p [hidden]", &[]);
        check("shell --passwords word -e x", "shell --passwords word -e x", &[]);
        check("migrations -p word", "migrations -p word", &[]);
    }
}
