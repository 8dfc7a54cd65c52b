//! The languages that schemas are written in, as a registry needs them: whether a text is a schema, its canonical form (by
//! which schemas are told apart), and a model for the checks of compatibility.

pub mod avro;
pub mod json;
pub mod protobuf;

use super::{Reference, Schema, SchemaKind};

/// References of references at most: what goes deeper refers to itself or is no schema of a person's.
const MAX_REFERENCE_DEPTH: usize = 32;

/// A schema that was read.
#[derive(Debug)]
pub struct ParsedSchema {
    /// The text as a registry keeps it.
    pub canonical: String,
    /// Equal for schemas that say the same (but for references, which are apart).
    pub identity: String,
    pub model: Model,
}

/// What compatibility is judged by.
#[derive(Debug)]
pub enum Model {
    Avro(avro::AvroModel),
    Json(json::JsonModel),
    Protobuf(Box<protobuf::ProtobufModel>),
}

impl ParsedSchema {
    pub fn kind(&self) -> SchemaKind {
        match self.model {
            Model::Avro(_) => SchemaKind::Avro,
            Model::Json(_) => SchemaKind::Json,
            Model::Protobuf(_) => SchemaKind::Protobuf,
        }
    }
}

/// Reads a schema. `normalize`: what differs in the order of attributes alone is written alike.
///
/// # Errors
/// It is not one: a sentence for the user.
pub fn parse(schema: &Schema, normalize: bool) -> Result<ParsedSchema, String> {
    match schema.kind {
        SchemaKind::Avro => avro::parse(schema, normalize),
        SchemaKind::Json => json::parse(schema, normalize),
        SchemaKind::Protobuf => protobuf::parse(schema),
    }
}

/// Everything that a schema refers to, what is referred to before what refers, each once.
fn all_references(schema: &Schema) -> Result<Vec<&Reference>, String> {
    fn gather<'s>(schema: &'s Schema, depth: usize, found: &mut Vec<&'s Reference>) -> Result<(), String> {
        if depth > MAX_REFERENCE_DEPTH {
            return Err(format!("References are nested deeper than {MAX_REFERENCE_DEPTH}"));
        }
        for reference in &schema.references {
            if found
                .iter()
                .any(|known| known.subject == reference.subject && known.version == reference.version && known.name == reference.name)
            {
                continue;
            }
            gather(&reference.schema, depth + 1, found)?;
            found.push(reference);
        }
        Ok(())
    }
    let mut found = Vec::new();
    gather(schema, 0, &mut found)?;
    Ok(found)
}
