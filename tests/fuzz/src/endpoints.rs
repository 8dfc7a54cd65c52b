//! The registry's endpoints: any methods, paths, parameters and bodies, against the function that connections reach them by.

use arbitrary::{Result, Unstructured};
use hyper::Method;
use serde_json::{Map, Value as Json, json};
use tidemill_engine::registry::own::OwnRegistry;

use super::mutate::mutate;
use super::registry::on_a_log;
use super::schemas;

/// Requests of one case.
const MAX_REQUESTS: usize = 24;

/// Paths that there are, with `*` for what is chosen, and others.
const PATHS: &[&str] = &[
    "subjects",
    "subjects/*",
    "subjects/*/versions",
    "subjects/*/versions",
    "subjects/*/versions/*",
    "subjects/*/versions/*/schema",
    "subjects/*/versions/*/referencedby",
    "schemas",
    "schemas/types",
    "schemas/ids/*",
    "schemas/ids/*/schema",
    "schemas/ids/*/subjects",
    "schemas/ids/*/versions",
    "config",
    "config/*",
    "mode",
    "mode/*",
    "compatibility/subjects/*/versions",
    "compatibility/subjects/*/versions/*",
    "contexts",
    "contexts/*/subjects",
    "contexts/*/subjects/*/versions",
    "contexts/*/schemas/ids/*",
    "contexts/*/config",
    "v1/metadata/version",
    "subjects/*/nothing",
    "*",
];
const PARTS: &[&str] = &[
    "a",
    "a",
    "b-value",
    ":.ctx:c",
    ":*:",
    ".ctx",
    ".",
    "",
    "%00",
    "%2F",
    "%zz",
    "a%ff",
    "1",
    "2",
    "0",
    "-1",
    "latest",
    "2147483647",
    "99999999999999999999",
    "__GLOBAL",
    "%F0%9F%98%80",
];
const PARAMETERS: &[&str] = &[
    "deleted",
    "permanent",
    "normalize",
    "verbose",
    "force",
    "fetchMaxId",
    "latestOnly",
    "defaultToGlobal",
    "subject",
    "subjectPrefix",
    "deletedOnly",
    "format",
    "offset",
    "limit",
    "lookupDeletedSchema",
    "deletedAsNegative",
    "nothing",
];
const VALUES: &[&str] =
    &["true", "TRUE", "false", "", "1", "-1", "18446744073709551616", "a", ":.ctx:", "resolved", "serialized", "%ff", "%"];
const METHODS: [Method; 7] = [Method::GET, Method::GET, Method::POST, Method::POST, Method::PUT, Method::DELETE, Method::HEAD];

/// Any bytes.
pub fn endpoints(data: &[u8]) {
    // An end of the bytes ends the case.
    let _ = one(&mut Unstructured::new(data));
}

fn one(u: &mut Unstructured<'_>) -> Result<()> {
    let open = on_a_log();
    let registry = open();
    for _ in 0..MAX_REQUESTS {
        if u.is_empty() {
            break;
        }
        let method = if u.ratio(15, 16)? { u.choose(&METHODS)?.clone() } else { Method::PATCH };
        let (target, body) = (target(u)?, body(u)?);
        let (status, answer) = tidemill_server::ask_own_registry(&registry, method.clone(), &target, body.clone().into());
        let request = || format!("{method} {target} {}: {status} {answer}", body.escape_ascii());
        assert!(status == 200 || (400..600).contains(&status), "{}", request());
        // A fault of ours, or of the log, which never fails here.
        assert!(status < 500, "{}", request());
        if status != 200 {
            let error: Json = serde_json::from_str(&answer).unwrap_or_default();
            assert!(
                error.get("error_code").is_some_and(Json::is_number) && error.get("message").is_some_and(Json::is_string),
                "{}",
                request()
            );
        }
    }
    let list = |registry: &OwnRegistry| {
        ["/schemas?deleted=true", "/subjects?deleted=true", "/contexts", "/config", "/mode"]
            .map(|target| tidemill_server::ask_own_registry(registry, Method::GET, target, bytes::Bytes::new()))
    };
    assert_eq!(list(&registry), list(&open()), "what the topic adds up to");
    Ok(())
}

fn target(u: &mut Unstructured<'_>) -> Result<String> {
    let mut target = String::new();
    for part in u.choose(PATHS)?.split('/') {
        target.push('/');
        target += if part == "*" { *u.choose(PARTS)? } else { part };
    }
    if u.ratio(1, 16)? {
        target = format!("/{target}//x/y/z/");
    }
    for at in 0..u.int_in_range(0..=3)? {
        target.push(if at == 0 { '?' } else { '&' });
        target += u.choose(PARAMETERS)?;
        if u.ratio(7, 8)? {
            target.push('=');
            target += u.choose(VALUES)?;
        }
    }
    Ok(target)
}

/// Mostly an object whose members are known.
fn body(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if u.ratio(1, 4)? {
        return Ok(Vec::new());
    }
    let mut object = Map::new();
    match u.int_in_range(0..=3)? {
        0 => drop(object.insert("compatibility".to_owned(), json!(u.choose(&["NONE", "FULL_TRANSITIVE", "FORWARD", "nothing", ""])?))),
        1 => drop(object.insert("mode".to_owned(), json!(u.choose(&["READWRITE", "READWRITE", "IMPORT", "READONLY", "nothing"])?))),
        _ => {
            let schema = schemas::any(u)?;
            object.insert("schema".to_owned(), schema.text.into());
            object.insert("schemaType".to_owned(), schema.kind.name().into());
        }
    }
    for _ in 0..u.int_in_range(0..=2)? {
        let name =
            *u.choose(&["id", "version", "references", "metadata", "ruleSet", "normalize", "compatibilityGroup", "schemaType", "schema"])?;
        let value = match u.int_in_range(0..=6)? {
            0 => json!(u.int_in_range(-2..=4)?),
            1 => json!(u.choose(&[i64::MAX, i64::from(i32::MAX), i64::from(i32::MIN)])?),
            2 => json!([{"name": u.choose(PARTS)?, "subject": u.choose(PARTS)?, "version": u.int_in_range(-1..=2)?}]),
            3 => json!({"properties": {"k": u.choose(PARTS)?}}),
            4 => json!(u.choose(PARTS)?),
            5 => json!(u.arbitrary::<bool>()?),
            _ => Json::Null,
        };
        object.insert(name.to_owned(), value);
    }
    let mut body = Json::Object(object).to_string().into_bytes();
    if u.ratio(1, 6)? {
        mutate(&mut body, u)?;
    }
    Ok(body)
}
