//! A request of the registry's API: its path, its parameters and its body.

use std::borrow::Cow;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Map, Value as Json};
use tidemill_engine::registry::SchemaKind;
use tidemill_engine::registry::own::{Link, NewSchema, OwnError, OwnRegistry, qualified};

use super::Answer;
use super::error::Failure;

/// Parameters that are looked at, at most.
const MAX_PARAMETERS: usize = 64;

#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    path: Vec<String>,
    parameters: Vec<(String, String)>,
    body: Bytes,
}

/// An endpoint that takes one method.
type Endpoint<'e> = &'e dyn Fn(&OwnRegistry, &Request) -> Result<Answer, Failure>;

impl Request {
    pub fn new(method: Method, path: &[&str], query: &str, body: Bytes) -> Self {
        let decoded = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let parameters = query.split('&').filter(|part| !part.is_empty()).take(MAX_PARAMETERS).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded(name), decoded(value))
        });
        Request { method, path: path.iter().map(|part| (*part).to_owned()).collect(), parameters: parameters.collect(), body }
    }

    pub fn path(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// Calls the endpoint of the request's method.
    pub fn only(&self, endpoints: &[(&Method, Endpoint<'_>)], registry: &OwnRegistry) -> Result<Answer, Failure> {
        let method = if self.method == Method::HEAD { &Method::GET } else { &self.method };
        match endpoints.iter().find(|(taken, _)| *taken == method) {
            Some((_, endpoint)) => endpoint(registry, self),
            None => {
                let takes = |method: &Method| endpoints.iter().any(|(taken, _)| *taken == method);
                let allowed = match (takes(&Method::GET), takes(&Method::POST), takes(&Method::PUT), takes(&Method::DELETE)) {
                    (true, false, true, _) => "GET,PUT,DELETE",
                    (true, true, ..) => "GET,POST",
                    (true, false, false, true) => "GET,DELETE",
                    (true, ..) => "GET",
                    (false, true, _, true) => "POST,DELETE",
                    _ => "POST",
                };
                Err(Failure { allowed: Some(allowed), ..Failure::plain(StatusCode::METHOD_NOT_ALLOWED) })
            }
        }
    }

    /// `/contexts/.name/…` says of which context the rest is; the subjects of the rest are put into it.
    pub fn in_context(&self) -> Cow<'_, Request> {
        let [first, context, rest @ ..] = self.path.as_slice() else { return Cow::Borrowed(self) };
        if first != "contexts" || rest.is_empty() {
            return Cow::Borrowed(self);
        }
        let context = context.trim_matches(':');
        let mut inner = Request { path: rest.to_vec(), ..self.clone() };
        let within = |subject: &str| qualified(context, subject);
        let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
        let place = match parts.as_slice() {
            ["subjects" | "config" | "mode", _, ..] => Some(1),
            ["compatibility", "subjects", _, ..] => Some(2),
            _ => None,
        };
        if let Some(subject) = place.and_then(|place| inner.path.get_mut(place)) {
            *subject = within(subject);
        } else if matches!(parts.as_slice(), ["config" | "mode"]) && !context.is_empty() && context != "." {
            inner.path.push(within(""));
        }
        let name = match parts.as_slice() {
            ["subjects"] | ["schemas"] => "subjectPrefix",
            _ => "subject",
        };
        let given = inner.text(name).unwrap_or_default().to_owned();
        inner.parameters.retain(|(known, _)| known != name);
        inner.parameters.push((name.to_owned(), within(&given)));
        Cow::Owned(inner)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter says `true`.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A part of a longer list: from `offset` on, `limit` of it, `most` where that says nothing sensible.
    pub fn page<T>(&self, list: Vec<T>, most: usize) -> Vec<T> {
        let number = |name: &str| self.text(name).and_then(|value| value.trim().parse::<usize>().ok());
        let limit = number("limit").filter(|limit| (1..=most).contains(limit)).unwrap_or(most);
        list.into_iter().skip(number("offset").unwrap_or_default()).take(limit).collect()
    }

    /// The JSON object in the body.
    ///
    /// # Errors
    /// There is none.
    pub fn object(&self) -> Result<Map<String, Json>, Failure> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Failure::unprocessable("The request has no body; a JSON object is expected"));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Json::Object(object)) => Ok(object),
            Ok(_) => Err(Failure::unreadable("The request's body must be a JSON object")),
            Err(error) => Err(Failure::unreadable(format!("The request's body is no JSON: {error}"))),
        }
    }

    /// The schema in the body.
    ///
    /// # Errors
    /// A member of the wrong kind, or a type of schemas that is not known.
    pub fn schema(&self) -> Result<NewSchema, Failure> {
        let mut object = self.object()?;
        let mut text = |name: &str| match object.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::unreadable(format!("\"{name}\" must be a text"))),
        };
        let (schema, kind) = (text("schema")?.unwrap_or_default(), text("schemaType")?);
        let kind = match kind.as_deref() {
            None | Some("") => SchemaKind::Avro,
            Some(name) => kind_of(name).ok_or_else(|| OwnError::InvalidSchema(format!("Invalid schema type {name}")))?,
        };
        let mut number = |name: &str| match object.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Number(number)) => match number.as_i64().and_then(|number| i32::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(Failure::unreadable(format!("\"{name}\" must be a whole number"))),
            },
            Some(_) => Err(Failure::unreadable(format!("\"{name}\" must be a whole number"))),
        };
        // Not said: a negative id, version 0 or -1.
        let id = number("id")?.filter(|id| *id >= 0);
        let version = number("version")?.filter(|version| *version > 0);
        let references: Vec<Link> = match object.remove("references") {
            None | Some(Json::Null) => Vec::new(),
            Some(list) => serde_json::from_value(list).map_err(|error| {
                Failure::unreadable(format!("\"references\" must be a list of objects with name, subject and version: {error}"))
            })?,
        };
        let mut other = |name: &str| match object.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(json @ Json::Object(_)) => Ok(Some(json)),
            Some(_) => Err(Failure::unreadable(format!("\"{name}\" must be an object"))),
        };
        let (metadata, rule_set) = (other("metadata")?, other("ruleSet")?);
        for name in ["schemaTagsToAdd", "schemaTagsToRemove"] {
            if object.get(name).is_some_and(|tags| !tags.is_null()) {
                return Err(Failure::unprocessable(format!("\"{name}\" is not built: put the tags into the schema")));
            }
        }
        Ok(NewSchema { kind, text: schema, references, metadata, rule_set, id, version })
    }
}

fn kind_of(name: &str) -> Option<SchemaKind> {
    match name {
        "AVRO" => Some(SchemaKind::Avro),
        "JSON" => Some(SchemaKind::Json),
        "PROTOBUF" => Some(SchemaKind::Protobuf),
        _ => None,
    }
}
