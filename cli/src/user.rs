//! `tidemill user`: the file of users (`tidemill.auth.users.file`) and that of tokens (`tidemill.auth.tokens.file`). A running server
//! reads either again by itself.

use std::fs::{OpenOptions, Permissions};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::{Args, Subcommand, ValueEnum};
use rand::TryRngCore;
use rand::rngs::OsRng;
use tidemill_server::access;
use tidemill_server::config::file;

use crate::logging;
use crate::shell::ask_password;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;
/// Only the owner may read a file that is made.
const MODE: u32 = 0o600;

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a user, or change password and roles of one; the password is asked for, or read from standard input
    Add(AddArgs),
    /// Add a holder of a token, or give one another; the token is shown once
    Token(AddArgs),
    /// Remove a user, or a holder of a token
    Remove {
        name: String,
        /// File of users or of tokens
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List names and roles
    List {
        /// File of users or of tokens
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    name: String,
    /// What it may do; each role includes those before it
    #[arg(long, value_enum)]
    role: RoleName,
    /// File of users or of tokens; made where it is missing
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// Lists, descriptions, queries
    Read,
    /// Streams, tables, queries and rows
    Write,
    /// Everything
    Admin,
}

impl RoleName {
    fn role(self) -> access::Role {
        match self {
            RoleName::Read => access::Role::Read,
            RoleName::Write => access::Role::Write,
            RoleName::Admin => access::Role::Admin,
        }
    }
}

/// The exit code.
pub fn run(args: UserArgs) -> i32 {
    match carry_out(args.command) {
        Ok(()) => 0,
        Err(reason) => {
            logging::say(&format!("tidemill: {reason}"));
            1
        }
    }
}

fn carry_out(command: Command) -> Result<(), String> {
    match command {
        Command::Add(args) => {
            check_name(&args.name)?;
            let password = password(&args.name)?;
            if password.is_empty() {
                return Err("the password is empty".to_owned());
            }
            if password.len() > access::MAX_PASSWORD_BYTES {
                return Err(format!("the password has more than {} bytes, which no server looks at", access::MAX_PASSWORD_BYTES));
            }
            let value = format!("{},{}", access::hashed(&password)?, args.role.role());
            change(&args.file, |text| {
                check_kind(&args.file, text, access::is_hash_of_token, "tokens, and users")?;
                Ok(access::with_entry(text, &args.name, &value))
            })
        }
        Command::Token(args) => {
            check_name(&args.name)?;
            let mut random = [0; TOKEN_BYTES];
            OsRng.try_fill_bytes(&mut random).map_err(|error| format!("the system gives no random numbers: {error}"))?;
            let token = BASE64_URL_SAFE_NO_PAD.encode(random);
            let value = format!("{},{}", access::fingerprint_of_token(&token), args.role.role());
            change(&args.file, |text| {
                check_kind(&args.file, text, access::is_hash_of_password, "users, and tokens")?;
                Ok(access::with_entry(text, &args.name, &value))
            })?;
            out(&token)
        }
        Command::Remove { name, file } => change(&file, |text| match access::without_entry(text, &name) {
            (rest, true) => Ok(rest),
            (_, false) => Err(format!("{}: there is no '{name}'", file.display())),
        }),
        Command::List { file } => {
            std::fs::metadata(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let entries = file::parse(&read(&file)?).map_err(|error| format!("{}: {error}", file.display()))?;
            entries.iter().try_for_each(|entry| {
                // A hash has commas of its own, before its last `$`.
                let from = if entry.value.starts_with('$') { entry.value.rfind('$').unwrap_or(0) } else { 0 };
                let roles = entry.value.get(from..).and_then(|rest| rest.split_once(',')).map_or("", |(_, roles)| roles);
                out(&format!("{}: {roles}", entry.name))
            })
        }
    }
}

/// A file holds users or tokens, and the hash of the one is nothing for the other.
fn check_kind(file: &Path, text: &str, is_other: fn(&str) -> bool, others: &str) -> Result<(), String> {
    let entries = file::parse(text).map_err(|error| format!("{}: {error}", file.display()))?;
    if entries.iter().any(|entry| is_other(&entry.value)) {
        return Err(format!("{} is a file of {others} have one of their own", file.display()));
    }
    Ok(())
}

/// Whether somebody can be called so: in a login a colon ends the name, and in a file of users a line does.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if name.trim() != name || name.contains(|c: char| c == ':' || c.is_control()) {
        return Err(format!("{name:?}: a name has no colon, no line break, and no spaces at its ends"));
    }
    Ok(())
}

/// Asked for at the terminal, twice; else the first line of standard input.
fn password(name: &str) -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        let first = ask_password(&format!("Password of {name}: "))?;
        let second = ask_password("Once more: ")?;
        return if first == second { Ok(first) } else { Err("the two are not the same".to_owned()) };
    }
    let mut text = String::new();
    std::io::stdin().lock().take(1 << 16).read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn out(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("standard output: {error}"))
}

/// The text of a file; empty where it is missing.
fn read(file: &Path) -> Result<String, String> {
    match std::fs::read(file) {
        Ok(bytes) => file::text(bytes).map_err(|error| format!("{}: {error}", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Replaces a file as a whole, so that a server that reads it meanwhile finds the old one or the new one. Who may read it stays as it was,
/// and a link to it stays one.
fn change(file: &Path, new: impl FnOnce(&str) -> Result<String, String>) -> Result<(), String> {
    let text = new(&read(file)?)?;
    let wrong = |error: std::io::Error| format!("{}: {error}", file.display());
    let file = &match std::fs::canonicalize(file) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(wrong(error)),
    };
    let before = std::fs::metadata(file).ok();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut written = OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&beside).map_err(wrong)?;
    // One that was left behind may have had other rights.
    written.set_permissions(Permissions::from_mode(MODE)).map_err(wrong)?;
    if let Some(before) = before {
        let new = written.metadata().map_err(wrong)?;
        if (before.uid(), before.gid()) != (new.uid(), new.gid()) {
            fchown(&written, Some(before.uid()), Some(before.gid())).map_err(|error| {
                let _ = std::fs::remove_file(&beside);
                format!("{}: it would not stay its owner's ({error}): change it as that user, or as root", file.display())
            })?;
        }
        written.set_permissions(Permissions::from_mode(before.mode() & 0o7777)).map_err(wrong)?;
    }
    written.write_all(text.as_bytes()).and_then(|()| written.sync_all()).map_err(wrong)?;
    std::fs::rename(&beside, file).map_err(wrong)
}
