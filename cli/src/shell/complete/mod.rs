//! What the word under the cursor could become.

mod candidates;
mod known;
mod place;

use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::hint::{Hint, Hinter};
use rustyline::{Context, Helper, Highlighter, Validator};

pub use known::Known;

/// Completes from what is known. Lines are taken as they are: what is complete is decided elsewhere.
#[derive(Helper, Highlighter, Validator)]
pub struct ShellHelper {
    known: Arc<Known>,
}

impl ShellHelper {
    pub fn new(known: Arc<Known>) -> Self {
        ShellHelper { known }
    }
}

impl Completer for ShellHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..position).unwrap_or(line);
        let after = line.get(position..).unwrap_or("");
        let facts = self.known.facts();
        let text = format!("{}\n{before}", facts.typed);
        let place = place::find(&text, after);
        // The word stands in this line: nothing of a word is in an earlier one.
        let start = before.len().saturating_sub(place.word.len());
        Ok((start, candidates::find(&place, &facts)))
    }
}

/// The arguments of a function whose parenthesis was just opened.
pub struct Arguments(String);

impl Hint for Arguments {
    fn display(&self) -> &str {
        &self.0
    }

    /// It is to be read, not to be taken over.
    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for ShellHelper {
    type Hint = Arguments;

    fn hint(&self, line: &str, position: usize, _context: &Context<'_>) -> Option<Arguments> {
        let call = line.get(..position)?.strip_suffix('(')?;
        if position < line.len() {
            return None;
        }
        let name = call.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next()?.to_uppercase();
        let facts = self.known.facts();
        let signatures = facts.functions.get(&name)?;
        let first = signatures.first()?;
        let more = match signatures.len() {
            0 | 1 => String::new(),
            count => format!("   and {} more", count - 1),
        };
        Some(Arguments(format!("   {first}{more}")))
    }
}
