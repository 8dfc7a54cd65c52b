//! What payloads are read by: a plan for each schema, compiled when the first payload of it comes.

use super::frame::{HEADER_BYTES, id_of};
use crate::formats::{DecodeError, LayoutSchemas};
use crate::registry::{RegistryError, Schema, SchemaId};

/// Schemas that a decoder remembers. A topic has few; one with more has them compiled again and again.
const MAX_PLANS: usize = 256;

/// A format that reads each payload by its schema.
pub trait Planned {
    /// How the payloads of a schema are read.
    type Plan;
    /// The language of its schemas, for errors.
    const LANGUAGE: &'static str;

    /// How many bytes behind the schema's id say more about the payload.
    ///
    /// # Errors
    /// What stands there says nothing.
    fn more_bytes(&self, _behind: &[u8]) -> Result<usize, DecodeError> {
        Ok(0)
    }

    /// The plan of a schema, and of what stands behind its id.
    ///
    /// # Errors
    /// What of the schema can't be read as which column.
    fn compile(&self, schema: &Schema, more: &[u8]) -> Result<Self::Plan, String>;
}

/// The plans of the schemas that were met.
pub struct Plans<F: Planned> {
    pub format: F,
    schemas: LayoutSchemas,
    /// The last one used is the first; or why there is none.
    known: Vec<Known<F::Plan>>,
}

struct Known<P> {
    header: [u8; HEADER_BYTES],
    more: Box<[u8]>,
    plan: Result<P, String>,
}

impl<P> Known<P> {
    #[inline]
    fn is_of(&self, payload: &[u8]) -> bool {
        match payload.split_first_chunk::<HEADER_BYTES>() {
            Some((header, behind)) => *header == self.header && (self.more.is_empty() || behind.starts_with(&self.more)),
            None => false,
        }
    }
}

impl<F: Planned> Plans<F> {
    pub fn new(format: F, schemas: &LayoutSchemas) -> Self {
        Plans { format, schemas: schemas.clone(), known: Vec::new() }
    }

    /// How a payload is read, and where its content begins. Nothing is looked up where it has the schema of the one before.
    ///
    /// # Errors
    /// It has no schema, one that nobody knows (yet), or one that can't be read as the columns.
    #[inline]
    pub fn of(&mut self, payload: &[u8]) -> Result<(&F::Plan, usize), DecodeError> {
        if !self.known.first().is_some_and(|last| last.is_of(payload)) {
            self.find(payload)?;
        }
        match self.known.first() {
            Some(Known { more, plan: Ok(plan), .. }) => Ok((plan, HEADER_BYTES + more.len())),
            Some(Known { plan: Err(why), .. }) => Err(DecodeError::new(why.as_str())),
            None => Err(DecodeError::new("no plan")),
        }
    }

    /// Brings the plan of a payload to the front.
    #[cold]
    fn find(&mut self, payload: &[u8]) -> Result<(), DecodeError> {
        let id = id_of(payload)?;
        match self.known.iter().position(|known| known.is_of(payload)) {
            Some(index) => self.known.swap(0, index),
            None => {
                let (header, behind) = payload.split_first_chunk().ok_or_else(|| DecodeError::new("the payload has no header"))?;
                let more = behind.get(..self.format.more_bytes(behind)?).unwrap_or_default();
                let plan = self.meet(id, more)?;
                self.known.truncate(MAX_PLANS - 1);
                self.known.insert(0, Known { header: *header, more: more.into(), plan });
            }
        }
        Ok(())
    }

    /// Asks for a schema that was not met yet and compiles it.
    fn meet(&self, id: SchemaId, more: &[u8]) -> Result<Result<F::Plan, String>, DecodeError> {
        let (SchemaId(number), language) = (id, F::LANGUAGE);
        match self.schemas.poll(id) {
            Ok(Some(schema)) => Ok(self.format.compile(&schema, more)),
            Ok(None) => Err(DecodeError::not_yet(format!("waiting for schema {number} of the registry"))),
            // Not remembered: the registry knows best for how long.
            Err(RegistryError::UnknownId(_)) => {
                Err(DecodeError::new(format!("Error retrieving {language} schema for id {number}: Schema {number} not found")))
            }
            Err(error) => Err(DecodeError::new(format!("Error retrieving {language} schema for id {number}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::header;
    use super::*;
    use crate::plan::SchemaSpec;
    use crate::registry::{MemoryRegistry, SchemaKind, SchemaRegistry};

    /// Plans are the schema's text; an `a` behind the id belongs to the header, and a schema "bad" has no plan.
    struct Texts;

    impl Planned for Texts {
        type Plan = String;
        const LANGUAGE: &'static str = "Text";

        fn more_bytes(&self, behind: &[u8]) -> Result<usize, DecodeError> {
            Ok(usize::from(behind.first() == Some(&b'a')))
        }

        fn compile(&self, schema: &Schema, more: &[u8]) -> Result<String, String> {
            if schema.text == "bad" { Err("it is bad".to_owned()) } else { Ok(format!("{}{}", schema.text, more.len())) }
        }
    }

    #[test]
    fn each_payload_has_the_plan_of_its_schema() {
        let registry = Arc::new(MemoryRegistry::default());
        let id = |text: &str| registry.register("t-value", &Schema::new(SchemaKind::Avro, text)).unwrap();
        let (one, two, bad) = (id("one"), id("two"), id("bad"));
        let mut plans = Plans::new(Texts, &LayoutSchemas { registry, spec: SchemaSpec::default() });
        let mut of = |id: SchemaId, body: &[u8]| {
            let payload = [&header(id), body].concat();
            plans.of(&payload).map(|(plan, begins)| (plan.clone(), begins)).map_err(|error| error.to_string())
        };
        for _ in 0..2 {
            assert_eq!(of(one, b""), Ok(("one0".to_owned(), 5)));
            assert_eq!(of(two, b"x"), Ok(("two0".to_owned(), 5)));
            assert_eq!(of(bad, b"x"), Err("it is bad".to_owned()));
            assert_eq!(of(SchemaId(99), b""), Err("Error retrieving Text schema for id 99: Schema 99 not found".to_owned()));
        }
        assert!(plans.of(&[1, 0, 0, 0, 0]).is_err());
    }

    #[test]
    fn what_stands_behind_the_id_may_be_part_of_it() {
        let registry = Arc::new(MemoryRegistry::default());
        let id = registry.register("t-value", &Schema::new(SchemaKind::Avro, "one")).unwrap();
        let mut plans = Plans::new(Texts, &LayoutSchemas { registry, spec: SchemaSpec::default() });
        let payload = [&header(id)[..], b"abc"].concat();
        assert_eq!(plans.of(&payload).unwrap(), (&"one1".to_owned(), 6));
    }

    #[test]
    fn more_schemas_than_are_kept_are_compiled_again() {
        let registry = Arc::new(MemoryRegistry::default());
        let ids: Vec<SchemaId> =
            (0..MAX_PLANS + 20).map(|n| registry.register("t-value", &Schema::new(SchemaKind::Avro, n.to_string())).unwrap()).collect();
        let mut plans = Plans::new(Texts, &LayoutSchemas { registry, spec: SchemaSpec::default() });
        for _ in 0..2 {
            for (number, id) in ids.iter().enumerate() {
                assert_eq!(plans.of(&header(*id)).unwrap().0, &format!("{number}0"));
            }
        }
        assert_eq!(plans.known.len(), MAX_PLANS);
    }
}
