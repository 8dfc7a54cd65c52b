//! Key look-ups that were asked for before: parsed and planned once by their text, as long as nothing was created or dropped since.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tidemill_engine::engine::{Engine, PlannedLookUp};

/// Texts that are kept …
const MAX_TEXTS: usize = 8_192;
/// … and their length, bytes.
const MAX_TEXT_BYTES: usize = 512;

/// A look-up that is known.
pub struct Known {
    pub plan: PlannedLookUp,
    /// With its semicolon, as errors quote it.
    pub text: String,
    pub limit: Option<u64>,
}

/// See the module. Only of requests without properties and variables, which could change what a text means.
#[derive(Default)]
pub struct KnownLookUps(Mutex<Generations>);

/// What was asked for lately is in the young one. When that is full, it becomes the old one, whose texts are forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<String, Arc<Known>>,
    old: HashMap<String, Arc<Known>>,
}

impl KnownLookUps {
    pub fn get(&self, sql: &str, engine: &Engine) -> Option<Arc<Known>> {
        if sql.len() > MAX_TEXT_BYTES {
            return None;
        }
        let mut generations = self.0.lock();
        let found = match generations.young.get(sql) {
            Some(found) => found.clone(),
            None => {
                let (text, found) = generations.old.remove_entry(sql)?;
                generations.keep(text, found.clone());
                found
            }
        };
        if engine.is_current(&found.plan) {
            return Some(found);
        }
        // All of them were planned before.
        *generations = Generations::default();
        None
    }

    pub fn add(&self, sql: String, known: Arc<Known>) {
        if sql.len() <= MAX_TEXT_BYTES {
            self.0.lock().keep(sql, known);
        }
    }
}

impl Generations {
    fn keep(&mut self, sql: String, known: Arc<Known>) {
        if self.young.len() >= MAX_TEXTS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(sql, known);
    }
}
