//! What fuzzing found, each once.

use std::sync::Arc;

use tidemill_engine::clock::SystemClock;
use tidemill_engine::log::Log;
use tidemill_engine::log::simulated::{SimulatedLog, SimulationOptions};
use tidemill_engine::registry::SchemaKind;
use tidemill_engine::registry::own::{Deleted, Mode, NewSchema, OwnRegistry};

/// In mode IMPORT a schema could take a version or an id that the topic's readers refuse: it was gone after a restart.
#[test]
fn a_schema_is_imported_where_it_can_be_found_again() {
    let log: Arc<dyn Log> = Arc::new(SimulatedLog::new(SimulationOptions::default()));
    let open = || OwnRegistry::open(log.clone(), Arc::new(SystemClock), "_schemas", 1).expect("opens");
    let registry = open();
    registry.set_mode(None, Mode::Import, true).expect("a mode");
    for (id, version) in [(4, -1), (4, 0), (4, -2), (-1, 1)] {
        let mut new = NewSchema::new(SchemaKind::Avro, "\"string\"");
        (new.id, new.version) = (Some(id), Some(version));
        assert!(registry.register("s", &new, false).is_err(), "id {id}, version {version}");
    }
    let mut new = NewSchema::new(SchemaKind::Avro, "\"string\"");
    (new.id, new.version) = (Some(4), Some(7));
    registry.register("s", &new, false).expect("imported");
    assert_eq!(open().versions("s", Deleted::Exclude), Ok(vec![7]));
}
