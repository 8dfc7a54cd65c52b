//! SHOW VARIABLES.

use super::Session;
use crate::entities::{Common, KsqlEntity, Variable, Variables};

pub fn run(session: &Session, text: String) -> KsqlEntity {
    let variables = session.variables().iter().map(|(name, value)| Variable { name: name.clone(), value: value.clone() });
    KsqlEntity::Variables(Variables { variables: variables.collect(), common: Common::new(text) })
}
