//! The shell's line editor: when a statement is complete, and what the word under the cursor could become.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;
use rustyline::completion::{Completer, Pair};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter};

use super::run::is_shell_command;

/// What the server knows: streams, tables, their columns, functions.
#[derive(Debug, Default)]
pub struct Names(RwLock<BTreeSet<String>>);

impl Names {
    pub fn replace(&self, names: BTreeSet<String>) {
        *self.0.write() = names;
    }
}

#[derive(Helper, Highlighter, Hinter)]
pub struct ShellHelper {
    names: Arc<Names>,
}

impl ShellHelper {
    pub fn new(names: Arc<Names>) -> Self {
        ShellHelper { names }
    }
}

impl Validator for ShellHelper {
    /// Enter runs the text once a semicolon closes it; before that it begins a new line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let complete = text.is_empty()
            || is_shell_command(text)
            || tidemill_parser::split_script(text).last().is_none_or(|statement| statement.terminated);
        Ok(if complete { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..position).unwrap_or(line);
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        Ok((start, candidates(word, &self.names)))
    }
}

/// Keywords and names that begin with the word, in its case.
fn candidates(word: &str, names: &Names) -> Vec<Pair> {
    if word.is_empty() {
        return Vec::new();
    }
    let upper = word.to_uppercase();
    let lower_case = word.chars().all(|c| !c.is_uppercase());
    let mut found: BTreeSet<String> =
        tidemill_parser::keywords().iter().filter(|k| k.starts_with(&upper)).map(|k| (*k).to_owned()).collect();
    found.extend(names.0.read().iter().filter(|n| n.to_uppercase().starts_with(&upper)).cloned());
    found
        .into_iter()
        .map(|name| {
            // Upper-case names may be typed in lower case; others keep theirs.
            let replacement = if lower_case && name == name.to_uppercase() { name.to_lowercase() } else { name.clone() };
            Pair { display: name, replacement }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_knows_keywords_and_names() {
        let names = Names::default();
        names.replace(BTreeSet::from(["SELLERS".to_owned(), "camelCase".to_owned()]));
        let found = |word: &str| candidates(word, &names).into_iter().map(|p| p.replacement).collect::<Vec<_>>();
        assert_eq!(found("SELE"), ["SELECT"]);
        assert_eq!(found("sel"), ["select", "sellers"]);
        assert_eq!(found("CAM"), ["camelCase"]);
        assert!(found("").is_empty());
    }
}
