//! The named types of a schema, so that references to them can be followed.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::Name;

/// Records, enums and fixed types by their full names.
#[derive(Default)]
pub(super) struct Names<'s>(HashMap<String, &'s Schema>);

/// How deep a schema may nest.
pub(super) const MAX_DEPTH: usize = 64;

impl<'s> Names<'s> {
    /// The names of a schema and of those that it refers to.
    pub fn of(schemas: impl IntoIterator<Item = &'s Schema>) -> Self {
        let mut names = Names::default();
        for schema in schemas {
            names.add(schema, None);
        }
        names
    }

    fn add(&mut self, schema: &'s Schema, namespace: Option<&str>) {
        match schema {
            Schema::Record(record) => {
                let full = record.name.fullname(namespace);
                let inner = full.rsplit_once('.').map(|(space, _)| space.to_owned());
                self.0.insert(full, schema);
                for field in &record.fields {
                    self.add(&field.schema, inner.as_deref());
                }
            }
            Schema::Enum(of) => {
                self.0.insert(of.name.fullname(namespace), schema);
            }
            Schema::Fixed(of) => {
                self.0.insert(of.name.fullname(namespace), schema);
            }
            Schema::Array(array) => self.add(&array.items, namespace),
            Schema::Map(map) => self.add(&map.types, namespace),
            Schema::Union(union) => union.variants().iter().for_each(|branch| self.add(branch, namespace)),
            _ => {}
        }
    }

    /// What a reference leads to.
    pub fn find(&self, name: &Name, namespace: Option<&str>) -> Option<&'s Schema> {
        self.0.get(&name.fullname(namespace)).or_else(|| self.0.get(&name.fullname(None))).copied()
    }
}

/// The namespace that holds inside of a named type.
pub(super) fn namespace_of(name: &Name, enclosing: Option<&str>) -> Option<String> {
    name.fullname(enclosing).rsplit_once('.').map(|(space, _)| space.to_owned())
}

/// The name of the record of a source's keys: `io.confluent.ksql.avro_schemas.MyTableKey` for `MY_TABLE`.
pub(super) fn of_key(source: &str) -> String {
    let mut name = String::from("io.confluent.ksql.avro_schemas.");
    for word in source.split('_') {
        let mut chars = word.chars();
        name.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        name.extend(chars.map(|c| c.to_ascii_lowercase()));
    }
    name.push_str("Key");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_after_their_source() {
        for (source, name) in [("S1", "S1Key"), ("MY_TABLE", "MyTableKey"), ("a_bC", "ABcKey"), ("", "Key")] {
            assert_eq!(of_key(source), format!("io.confluent.ksql.avro_schemas.{name}"));
        }
    }
}
