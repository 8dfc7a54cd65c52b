use super::*;
use crate::clock::SystemClock;
use crate::log::embedded::EmbeddedLog;
use crate::log::{OutRecord, TopicSpec};
use crate::registry::compatibility::Level;
use crate::registry::{RegistryError, Schema, SchemaId, SchemaKind, SchemaRegistry};
use crate::state::{StateDb, StateLimits};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn log(&self) -> Arc<dyn Log> {
        let state = StateDb::open(self.folder.path(), StateLimits::default()).expect("opens");
        Arc::new(EmbeddedLog::open(state, Arc::new(SystemClock)).expect("opens"))
    }

    fn registry(&self) -> OwnRegistry {
        open(self.log())
    }
}

fn open(log: Arc<dyn Log>) -> OwnRegistry {
    OwnRegistry::open(log, Arc::new(SystemClock), "_schemas", 1).expect("opens")
}

fn avro(text: &str) -> NewSchema {
    NewSchema::new(SchemaKind::Avro, text)
}

fn record(fields: &str) -> NewSchema {
    avro(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
}

fn place(version: &Version) -> (i32, i32) {
    (version.id, version.version)
}

const A: &str = r#"{"name":"a","type":"int"}"#;
const A_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":0}"#;

#[test]
fn schemas_have_an_id_and_subjects_have_versions() {
    let registry = Place::new().registry();
    let register = |subject: &str, new: &NewSchema| registry.register(subject, new, false).map(|found| place(&found));
    assert_eq!(register("a-value", &record(A)), Ok((1, 1)));
    assert_eq!(register("a-value", &record(A_B)), Ok((2, 2)));
    assert_eq!(register("a-value", &record(A)), Ok((1, 1)), "it is there already");
    assert_eq!(register("b-value", &record(A_B)), Ok((2, 1)), "the same schema has the same id");
    // Written otherwise, it is the same.
    assert_eq!(
        register(
            "b-value",
            &avro(r#"{"name":"R", "fields":[{"type":"int","name":"a"},{"type":"int","default":0,"name":"b"}],"type":"record"}"#)
        ),
        Ok((2, 1))
    );
    assert_eq!(registry.subjects("", Deleted::Exclude), ["a-value", "b-value"]);
    assert_eq!(registry.versions("a-value", Deleted::Exclude), Ok(vec![1, 2]));
    assert_eq!(registry.versions("c", Deleted::Exclude), Err(OwnError::SubjectNotFound("c".into())));
    assert_eq!(registry.version("a-value", VersionId::Number(3), false), Err(OwnError::VersionNotFound(3)));
    assert_eq!(registry.version("a-value", VersionId::Latest, false).map(|v| place(&v)), Ok((2, 2)));
    let places = registry.places(2, None, false).expect("there");
    assert_eq!(places.iter().map(|p| (p.subject.as_str(), p.version)).collect::<Vec<_>>(), [("a-value", 2), ("b-value", 1)]);
    assert_eq!(registry.by_id(9, None), Err(OwnError::IdNotFound(9)));
    assert_eq!(registry.look_up("b-value", &record(A), false, false), Err(OwnError::SchemaNotFound));
    assert_eq!(registry.look_up("a-value", &record(A), false, false).map(|v| place(&v)), Ok((1, 1)));
    assert_eq!(registry.schemas("", false, true).iter().map(|v| v.subject.as_str()).collect::<Vec<_>>(), ["a-value", "b-value"]);
    let empty = registry.register("a-value", &avro(" "), false).map(|v| place(&v));
    assert_eq!(empty, Ok((2, 2)), "nothing is said: the version before");
    assert!(matches!(registry.register("x", &avro(" "), false), Err(OwnError::InvalidSchema(why)) if why == "Empty schema"));
    assert!(matches!(registry.register("x", &avro("5"), false), Err(OwnError::InvalidSchema(_))));
    assert!(matches!(registry.register("", &record(A), false), Err(OwnError::InvalidSubject(_))));
    let large = avro(&format!("\"{}\"", "x".repeat(1_000_001)));
    assert!(matches!(registry.register("x", &large, false), Err(OwnError::TooLarge { .. })));
}

#[test]
fn versions_are_held_to_the_level_of_their_subject() {
    let registry = Place::new().registry();
    registry.register("s", &record(A), false).expect("taken");
    let worse = record(r#"{"name":"a","type":"int"},{"name":"c","type":"int"}"#);
    let Err(OwnError::Incompatible { subject, reasons }) = registry.register("s", &worse, false) else { panic!("refused") };
    assert_eq!(subject, "s");
    assert!(reasons[0].starts_with("{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE'"), "{reasons:?}");
    assert_eq!(reasons.last().map(String::as_str), Some("{validateFields: 'false', compatibility: 'BACKWARD'}"));
    let checked = |version| registry.incompatibilities("s", version, &worse, false);
    assert_eq!(checked(None), Ok(reasons.clone()));
    assert_eq!(checked(Some(VersionId::Latest)), Ok(reasons));
    assert_eq!(checked(Some(VersionId::Number(7))), Err(OwnError::VersionNotFound(7)));
    assert_eq!(registry.incompatibilities("new", Some(VersionId::Latest), &worse, false), Ok(vec![]));
    let level = |level| Config { compatibility_level: Some(level), normalize: None };
    assert_eq!(registry.config(Some("s"), false), Err(OwnError::CompatibilityNotConfigured("s".into())));
    registry.set_config(Some("s"), &level(Level::Forward)).expect("set");
    assert_eq!(registry.register("s", &worse, false).map(|v| place(&v)), Ok((2, 2)));
    registry.set_config(None, &level(Level::None)).expect("set");
    assert_eq!(registry.config(Some("t"), true), Ok(level(Level::None)));
    assert_eq!(registry.config(Some("s"), true), Ok(level(Level::Forward)));
    assert_eq!(registry.delete_config(Some("s")), Ok(level(Level::Forward)));
    assert_eq!(registry.delete_config(Some("s")), Err(OwnError::SubjectNotFound("s".into())));
    registry.register("s", &avro("\"string\""), false).expect("everything goes");
    assert_eq!(registry.delete_config(None), Ok(level(Level::None)));
    assert_eq!(registry.config(None, false), Ok(level(Level::Backward)));
}

#[test]
fn deleting_is_soft_at_first() {
    let registry = Place::new().registry();
    registry.register("s", &record(A), false).expect("taken");
    registry.register("s", &record(A_B), false).expect("taken");
    registry.set_mode(Some("s"), Mode::ReadWrite, false).expect("set");
    assert_eq!(registry.delete_version("s", VersionId::Number(1), true), Err(OwnError::VersionNotSoftDeleted("s".into(), 1)));
    assert_eq!(registry.delete_version("s", VersionId::Number(1), false), Ok(1));
    assert_eq!(registry.delete_version("s", VersionId::Number(1), false), Err(OwnError::VersionSoftDeleted("s".into(), 1)));
    assert_eq!(registry.delete_version("s", VersionId::Number(5), false), Err(OwnError::VersionNotFound(5)));
    assert_eq!((registry.versions("s", Deleted::Exclude), registry.versions("s", Deleted::Only)), (Ok(vec![2]), Ok(vec![1])));
    assert_eq!(registry.version("s", VersionId::Number(1), true).map(|v| place(&v)), Ok((1, 1)));
    assert!(registry.by_id(1, None).is_ok(), "records can still be read");
    assert_eq!(registry.delete_subject("s", true), Err(OwnError::SubjectNotSoftDeleted("s".into())));
    assert_eq!(registry.delete_subject("s", false), Ok(vec![2]));
    assert_eq!(registry.mode(Some("s"), false), Err(OwnError::ModeNotConfigured("s".into())), "its settings went with it");
    assert_eq!(registry.delete_subject("s", false), Err(OwnError::SubjectSoftDeleted("s".into())));
    assert_eq!(registry.subjects("", Deleted::Exclude), Vec::<String>::new());
    assert_eq!(registry.subjects("", Deleted::Only), ["s"]);
    assert_eq!(registry.register("s", &record(A), false).map(|v| place(&v)), Ok((1, 3)), "again, with its id and a version of its own");
    assert_eq!(registry.versions("s", Deleted::Include), Ok(vec![2, 3]), "in the place of the deleted one");
    registry.delete_subject("s", false).expect("deletes");
    assert_eq!(registry.delete_subject("s", true), Ok(vec![2, 3]));
    assert_eq!(registry.by_id(1, None), Err(OwnError::IdNotFound(1)));
    assert_eq!(registry.delete_subject("s", true), Err(OwnError::SubjectNotFound("s".into())));
    assert_eq!(registry.register("s", &record(A), false).map(|v| place(&v)), Ok((3, 1)), "ids are not given twice");
}

#[test]
fn what_others_refer_to_stays() {
    let registry = Place::new().registry();
    registry.register("inner", &avro(r#"{"type":"record","name":"Inner","fields":[]}"#), false).expect("taken");
    let text = r#"{"type":"record","name":"Outer","fields":[{"name":"i","type":"Inner"}]}"#;
    assert!(matches!(registry.register("outer", &avro(text), false), Err(OwnError::InvalidSchema(why)) if why.contains("Inner")));
    let link = |version| vec![Link { name: "Inner".into(), subject: "inner".into(), version }];
    let with = |version| NewSchema { references: link(version), ..avro(text) };
    assert!(
        matches!(registry.register("outer", &with(7), false), Err(OwnError::InvalidSchema(why)) if why == "No schema reference found for subject \"inner\" and version 7")
    );
    assert_eq!(registry.register("outer", &with(-1), false).map(|v| place(&v)), Ok((2, 1)));
    assert_eq!(registry.version("outer", VersionId::Latest, false).map(|v| v.references.clone()), Ok(link(1)));
    assert_eq!(registry.referrers("inner", VersionId::Latest), Ok(vec![2]));
    assert_eq!(registry.delete_subject("inner", false), Err(OwnError::ReferenceExists("inner".into(), 1)));
    assert_eq!(registry.delete_version("inner", VersionId::Latest, false), Err(OwnError::ReferenceExists("inner".into(), 1)));
    let outer = SchemaRegistry::by_id(&registry, SchemaId(2)).expect("there");
    assert_eq!(outer.references[0].schema.text, r#"{"type":"record","name":"Inner","fields":[]}"#);
    let found = registry.version("outer", VersionId::Latest, false).expect("there");
    assert!(registry.formatted(&found, "resolved").expect("resolves").contains(r#""type":{"type":"record","name":"Inner""#));
    registry.delete_subject("outer", false).expect("deletes");
    assert_eq!(registry.delete_subject("inner", false), Ok(vec![1]));
}

#[test]
fn modes_say_what_may_be_done() {
    let registry = Place::new().registry();
    let known = registry.register("known", &record(A), false).expect("registered");
    registry.set_mode(Some("known"), Mode::ReadOnly, false).expect("set");
    assert_eq!(registry.register("known", &record(A), false).map(|v| place(&v)), Ok(place(&known)), "it is there already");
    assert!(matches!(registry.register("known", &record(A_B), false), Err(OwnError::NotPermitted(_))));
    registry.delete_mode(Some("known")).expect("reset");
    registry.delete_subject("known", false).expect("deleted");
    registry.delete_subject("known", true).expect("deleted");
    registry.set_mode(Some("s"), Mode::ReadOnly, false).expect("set");
    let refused = |result: Result<Arc<Version>, OwnError>| matches!(result, Err(OwnError::NotPermitted(_)));
    assert!(refused(registry.register("s", &record(A), false)));
    assert_eq!(registry.mode(Some("s"), false), Ok(Mode::ReadOnly));
    assert_eq!(registry.delete_mode(Some("s")), Ok(Mode::ReadOnly));
    let imported = |id, version| NewSchema { id: Some(id), version: Some(version), ..record(A) };
    assert!(refused(registry.register("s", &imported(40, 7), false)), "not in import mode");
    registry.set_mode(Some("s"), Mode::Import, false).expect("set");
    assert!(refused(registry.register("s", &record(A), false)), "in import mode");
    assert_eq!(registry.register("s", &imported(40, 7), false).map(|v| place(&v)), Ok((40, 7)));
    let other = NewSchema { id: Some(40), version: Some(8), ..record(A_B) };
    assert!(refused(registry.register("s", &other, false)), "the id is taken");
    assert_eq!(
        registry.set_mode(None, Mode::Import, false),
        Err(OwnError::NotPermitted("Cannot import since found existing subjects".into()))
    );
    registry.set_mode(None, Mode::Import, true).expect("forced");
    registry.set_mode(None, Mode::ReadOnlyOverride, false).expect("set");
    assert_eq!(registry.mode(Some("s"), true), Ok(Mode::ReadOnlyOverride));
    registry.set_mode(None, Mode::ReadWrite, false).expect("set");
    assert_eq!(registry.register("t", &record(A_B), false).map(|v| place(&v)), Ok((41, 1)), "ids go on behind");
}

#[test]
fn contexts_have_ids_of_their_own() {
    let registry = Place::new().registry();
    registry.register("s", &record(A), false).expect("taken");
    assert_eq!(registry.register(":.c:s", &record(A_B), false).map(|v| place(&v)), Ok((1, 1)));
    assert_eq!(registry.contexts(), [".", ".c"]);
    assert_eq!(registry.subjects("", Deleted::Exclude), ["s"]);
    assert_eq!(registry.subjects(":*:", Deleted::Exclude), [":.c:s", "s"]);
    assert_eq!(registry.subjects(":.c:", Deleted::Exclude), [":.c:s"]);
    assert_eq!(registry.by_id(1, Some(":.c:")).map(|v| v.subject.clone()), Ok(":.c:s".into()));
    assert_eq!(registry.by_id(1, None).map(|v| v.subject.clone()), Ok("s".into()));
    registry.set_config(Some(":.c:"), &Config { compatibility_level: Some(Level::Full), normalize: None }).expect("set");
    assert_eq!(registry.config(Some(":.c:s"), true).map(|c| c.compatibility_level), Ok(Some(Level::Full)));
    assert_eq!(registry.config(Some("s"), true).map(|c| c.compatibility_level), Ok(Some(Level::Backward)));
}

#[test]
fn all_languages_are_kept() {
    let registry = Place::new().registry();
    let proto = NewSchema::new(SchemaKind::Protobuf, "syntax = \"proto3\"; message A { int32 a = 1; }");
    let json = NewSchema::new(SchemaKind::Json, r#"{"type": "object"}"#);
    assert_eq!(registry.register("p", &proto, false).map(|v| place(&v)), Ok((1, 1)));
    let commented = NewSchema::new(SchemaKind::Protobuf, "// Said.\nsyntax = \"proto3\"; message A { int32 a = 1; }");
    assert_eq!(registry.register("p", &commented, false).map(|v| place(&v)), Ok((1, 1)), "comments don't count");
    let serialized = registry.formatted(&registry.by_id(1, None).expect("there"), "serialized").expect("compiles");
    assert_eq!(registry.look_up("p", &NewSchema::new(SchemaKind::Protobuf, serialized), false, false).map(|v| place(&v)), Ok((1, 1)));
    assert_eq!(registry.register("j", &json, false).map(|v| place(&v)), Ok((2, 1)));
    assert_eq!(registry.by_id(2, None).map(|v| v.text.clone()), Ok(r#"{"type":"object"}"#.into()));
    let Err(OwnError::Incompatible { reasons, .. }) = registry.register("j", &record(A), false) else { panic!("refused") };
    assert_eq!(reasons[0], "Incompatible because of different schema type");
    let metadata = Some(serde_json::json!({ "properties": { "owner": "me" } }));
    let with = NewSchema { metadata: metadata.clone(), ..json.clone() };
    assert_eq!(registry.register("j", &with, false).map(|v| place(&v)), Ok((3, 2)), "what goes with it tells it apart");
    assert_eq!(
        registry.register("j", &json, false).map(|v| (v.id, v.metadata.clone())),
        Ok((3, metadata)),
        "and is kept where nothing is said"
    );
}

#[test]
fn a_restart_keeps_everything() {
    let place_of_data = Place::new();
    let log = place_of_data.log();
    let before = open(log.clone());
    assert!(log.describe_topic("_schemas").expect("answers").is_none(), "made when it is needed");
    before.register("s", &record(A), false).expect("taken");
    before.register("s", &record(A_B), false).expect("taken");
    before.register(":.c:s", &record(A), false).expect("taken");
    before.register("gone", &record(A), false).expect("taken");
    before.delete_subject("gone", false).expect("deletes");
    before.register("again", &record(A), false).expect("taken");
    before.delete_subject("again", false).expect("deletes");
    before.delete_subject("again", true).expect("deletes");
    before.register("again", &record(A_B), false).expect("taken");
    before.delete_version("s", VersionId::Number(1), false).expect("deletes");
    before.set_config(Some("s"), &Config { compatibility_level: Some(Level::FullTransitive), normalize: Some(true) }).expect("set");
    before.set_mode(None, Mode::ReadOnly, false).expect("set");
    let seen = |registry: &OwnRegistry| {
        let schemas = registry.schemas(":*:", true, false);
        (
            schemas,
            registry.contexts(),
            registry.config(Some("s"), false),
            registry.mode(None, false),
            registry.subjects(":*:", Deleted::Only),
            registry.max_id(None),
        )
    };
    let after = open(log.clone());
    assert_eq!(seen(&after), seen(&before));
    drop((before, after, log));
    let again = place_of_data.registry();
    assert_eq!(again.versions("s", Deleted::Exclude), Ok(vec![2]));
    assert_eq!(again.subjects("", Deleted::Only), ["gone"]);
    again.set_mode(None, Mode::ReadWrite, false).expect("set");
    assert_eq!(again.register("new", &avro("\"int\""), false).map(|v| v.id), Ok(3));
}

#[test]
fn a_topic_of_confluents_is_taken_over_with_garbage_in_it() {
    let data = Place::new();
    let log = data.log();
    log.create_topic(&TopicSpec {
        name: "_schemas".into(),
        partitions: 1,
        replicas: 1,
        config: [("cleanup.policy".into(), "compact".into())].into(),
    })
    .expect("created");
    let (handle, _) = log.topic("_schemas").expect("there");
    let put = |key: &str, value: Option<&str>| {
        let record = OutRecord {
            partition: 0,
            timestamp: 1,
            key: (!key.is_empty()).then_some(key.as_bytes()),
            value: value.map(str::as_bytes),
            headers: &[],
        };
        log.append(handle, record).expect("written");
    };
    put(r#"{"keytype":"NOOP","magic":0}"#, None);
    put("", Some("no key"));
    put("garbage", Some("garbage"));
    put(r#"{"keytype":"SCHEMA","subject":"bad","version":1,"magic":1}"#, Some("{"));
    put(
        r#"{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}"#,
        Some(r#"{"subject":"orders-value","version":1,"id":7,"md5":"rL0Y20zC+Fzt72VPzMSk2A==","schema":"\"string\"","deleted":false}"#),
    );
    put(r#"{"keytype":"CONFIG","subject":null,"magic":0}"#, Some(r#"{"compatibilityLevel":"NONE"}"#));
    put(
        r#"{"keytype":"SCHEMA","subject":"p-value","version":1,"magic":1}"#,
        Some(
            r#"{"subject":"p-value","version":1,"id":8,"schemaType":"PROTOBUF","references":[],"schema":"syntax = \"proto3\";\n\nmessage A {\n  int32 a = 1;\n}\n","deleted":false}"#,
        ),
    );
    let registry = open(log.clone());
    assert_eq!(registry.subjects("", Deleted::Include), ["orders-value", "p-value"]);
    assert_eq!(registry.config(None, false).map(|c| c.compatibility_level), Ok(Some(Level::None)));
    assert_eq!(registry.register("orders-value", &avro(r#"{"type":"string"}"#), false).map(|v| place(&v)), Ok((7, 1)));
    assert_eq!(registry.register("x", &avro("\"int\""), false).map(|v| v.id), Ok(9));
    // Who writes beside it is heard before the next change.
    put(
        r#"{"keytype":"SCHEMA","subject":"y","version":1,"magic":1}"#,
        Some(r#"{"subject":"y","version":1,"id":10,"schema":"\"long\"","deleted":false}"#),
    );
    assert_eq!(SchemaRegistry::poll_by_id(&registry, SchemaId(10)), Err(RegistryError::UnknownId(SchemaId(10))));
    assert_eq!(SchemaRegistry::by_id(&registry, SchemaId(10)), Ok(Arc::new(Schema::new(SchemaKind::Avro, "\"long\""))));
    assert_eq!(registry.register("z", &avro("\"double\""), false).map(|v| v.id), Ok(11));
    assert_eq!(open(log).schemas("", true, false), registry.schemas("", true, false));
}

#[test]
fn queries_ask_it_as_any_other() {
    let registry = Place::new().registry();
    let asked: &dyn SchemaRegistry = &registry;
    let schema = Schema::new(SchemaKind::Avro, "\"int\"");
    assert_eq!(asked.register("t-value", &schema), Ok(SchemaId(1)));
    assert_eq!(asked.latest("t-value").expect("answers").map(|found| (found.id, found.version)), Some((SchemaId(1), 1)));
    assert!(asked.latest("u-value").expect("answers").is_none() && asked.version("t-value", 2).expect("answers").is_none());
    let why = asked.register("t-value", &Schema::new(SchemaKind::Avro, "\"string\"")).expect_err("refused");
    assert!(
        matches!(&why, RegistryError::Refused(text) if text.starts_with("Schema being registered is incompatible with an earlier schema")),
        "{why}"
    );
    assert_eq!(asked.delete("t-value"), Ok(()));
    assert_eq!(asked.delete("t-value"), Ok(()));
    assert!(asked.latest("t-value").expect("answers").is_none());
    assert!(asked.by_id(SchemaId(1)).is_ok());
}

#[test]
fn ids_go_on_whatever_was_imported() {
    let data = Place::new();
    let registry = data.registry();
    registry.set_mode(None, Mode::Import, true).expect("a mode");
    let import = |id: i32| registry.register("a", &NewSchema { id: Some(id), ..avro("\"int\"") }, false);
    let refused = import(i32::MAX).expect_err("no id would be left").to_string();
    assert!(refused.contains("up to 2146483647"), "{refused}");
    import(2_146_483_647).expect("imported");
    registry.set_mode(None, Mode::ReadWrite, true).expect("a mode");
    let next = registry.register("b", &avro("\"long\""), false).expect("an id");
    assert_eq!(next.id, 2_146_483_648);
}

/// A topic that was taken over may have the last id there is.
#[test]
fn ids_go_on_below_the_last_one() {
    let data = Place::new();
    let log = data.log();
    let registry = open(log.clone());
    assert_eq!(registry.register("a", &avro("\"int\""), false).expect("an id").id, 1);
    let (handle, _) = log.topic("_schemas").expect("there");
    let key = r#"{"keytype":"SCHEMA","subject":"z","version":1,"magic":1}"#;
    let value = r#"{"subject":"z","version":1,"id":2147483647,"schema":"\"bytes\"","deleted":false}"#;
    let record = OutRecord { partition: 0, timestamp: 1, key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &[] };
    log.append(handle, record).expect("written");
    let registry = open(log);
    assert_eq!(registry.by_id(i32::MAX, None).expect("taken over").text, "\"bytes\"");
    assert_eq!(registry.register("b", &avro("\"long\""), false).expect("an id").id, 2);
    assert_eq!(registry.register("b", &avro("\"double\""), false).expect("an id").id, 3);
}
