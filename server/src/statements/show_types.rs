//! SHOW TYPES.

use crate::app::App;
use crate::entities::{Common, KsqlEntity, SchemaInfo, TypeList};

pub fn run(app: &App, text: String) -> KsqlEntity {
    let catalog = app.engine.catalog();
    let types = catalog.user_types().map(|(name, sql_type)| (name.to_owned(), SchemaInfo::from(sql_type))).collect();
    KsqlEntity::TypeList(TypeList { types, common: Common::new(text) })
}
