//! What is costly to make of a text (a compiled pattern, a time zone), made once: for a literal before the first row,
//! for texts of the rows in a small cache.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::functions::EvalError;
use crate::types::{Text, Value};

/// Texts remembered at a time; when it is full, all are forgotten.
const MAX_ENTRIES: usize = 1000;

/// Makes a `T` of a text, or says why it can't.
pub type Make<T> = fn(&str) -> Result<T, EvalError>;

/// A maker of `T`s that remembers.
pub struct Memo<T> {
    make: Make<T>,
    /// The literal, if the argument is one, with what it makes.
    constant: Option<(Text, Result<Arc<T>, EvalError>)>,
    made: Mutex<HashMap<Text, Result<Arc<T>, EvalError>>>,
}

impl<T> Memo<T> {
    /// `constant` is the argument's value where it is a literal.
    pub fn new(constant: Option<&Value>, make: Make<T>) -> Self {
        let constant = match constant {
            Some(Value::String(text)) => Some((text.clone(), make(text).map(Arc::new))),
            _ => None,
        };
        Memo { make, constant, made: Mutex::default() }
    }

    /// What `text` makes.
    ///
    /// # Errors
    /// Those of the maker.
    pub fn get(&self, text: &str) -> Result<Arc<T>, EvalError> {
        if let Some((constant, made)) = &self.constant
            && constant == text
        {
            return made.clone();
        }
        let mut memory = self.made.lock();
        if let Some(made) = memory.get(text) {
            return made.clone();
        }
        let made = (self.make)(text).map(Arc::new);
        if memory.len() >= MAX_ENTRIES {
            memory.clear();
        }
        memory.insert(Text::from(text), made.clone());
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_and_later_texts_are_made_once() {
        let memo = Memo::new(Some(&Value::string("7")), |text| text.parse::<i32>().map_err(|e| EvalError::new(e.to_string())));
        assert!(Arc::ptr_eq(&memo.get("7").unwrap(), &memo.get("7").unwrap()));
        assert!(Arc::ptr_eq(&memo.get("8").unwrap(), &memo.get("8").unwrap()));
        assert_eq!(memo.get("x"), memo.get("x"));
        for i in 0..MAX_ENTRIES + 10 {
            memo.get(&i.to_string()).unwrap();
        }
        assert!(memo.made.lock().len() <= MAX_ENTRIES);
    }
}
