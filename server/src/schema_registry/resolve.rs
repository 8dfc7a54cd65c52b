//! A schema with all that it refers to, asked for one by one.
//!
//! A registry may be wrong: what a schema refers to has bounds in depth and number (each counted as often as it is referred
//! to, since that is how often readers meet it), and nothing may refer to itself.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tidemill_engine::registry::{Reference, Schema};

use super::Shared;
use super::answers::{Failure, ReferenceAnswer, SchemaAnswer, is_not_there};
use super::transport::Request;

/// How deep references may go.
const MAX_DEPTH: usize = 32;
/// Schemas that one may consist of.
const MAX_SCHEMAS: usize = 1_000;

/// A schema and how many it consists of.
type Whole = (Arc<Schema>, usize);

/// Gathers what a schema refers to.
pub(super) async fn resolve(shared: &Shared, answer: SchemaAnswer) -> Result<Arc<Schema>, Failure> {
    let mut gathering = Gathering { shared, known: HashMap::new(), path: Vec::new() };
    Ok(gathering.whole(answer).await?.0)
}

struct Gathering<'a> {
    shared: &'a Shared,
    known: HashMap<(String, i32), Whole>,
    /// From the schema that was asked for to the one at hand.
    path: Vec<(String, i32)>,
}

impl Gathering<'_> {
    fn whole(&mut self, answer: SchemaAnswer) -> Pin<Box<dyn Future<Output = Result<Whole, Failure>> + Send + '_>> {
        Box::pin(async move {
            let kind = answer.kind()?;
            let mut references = Vec::new();
            let mut count = 1;
            for reference in answer.references.unwrap_or_default() {
                let (schema, size) = self.referenced(&reference).await?;
                count += size;
                if count > MAX_SCHEMAS {
                    return Err(Failure::refused(format!(
                        "A schema refers to more than {MAX_SCHEMAS} others, which is more than is taken"
                    )));
                }
                let ReferenceAnswer { name, subject, version } = reference;
                references.push(Reference { name, subject, version, schema });
            }
            Ok((Arc::new(Schema { kind, text: answer.schema, references }), count))
        })
    }

    async fn referenced(&mut self, reference: &ReferenceAnswer) -> Result<Whole, Failure> {
        let key = (reference.subject.clone(), reference.version);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let place = format!("version {} of subject '{}'", reference.version, reference.subject);
        if self.path.contains(&key) {
            return Err(Failure::refused(format!("A schema refers to itself, by {place}")));
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(Failure::refused(format!("A schema's references go deeper than {MAX_DEPTH}, at {place}")));
        }
        let request = Request::referenced(&reference.subject, reference.version);
        let answer = match self.shared.transport.ask(&request).await {
            Ok(answer) => self.shared.transport.understood(answer)?,
            Err(Failure::Refused { code, .. }) if is_not_there(code) => {
                return Err(Failure::refused(format!("A schema refers to {place}, which the schema registry does not have")));
            }
            Err(failure) => return Err(failure),
        };
        self.path.push(key.clone());
        let found = self.whole(answer).await?;
        self.path.pop();
        self.known.insert(key, found.clone());
        Ok(found)
    }
}
