//! Values that stand elsewhere: `${env:NAME}`, `${file:/path}` (the whole file), `${file:/path:key}` (a key of a properties file),
//! `${dir:/path:name}` (a file of a folder). Kafka's `config.providers` gives these other names. What is fetched so counts as a
//! secret: it is in no message and no list, and in the command topic only where queries run by it, as the value of a property that
//! sessions may set.

use std::collections::BTreeMap;
use std::path::Path;

use super::file;
use super::streams::PREFIX;

/// The largest file that is read for a value, bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Values that one value may be made of.
const MAX_PARTS: usize = 100;

/// The property that lists providers; what begins with it and a dot says what they are.
const NAMES: &str = "config.providers";

/// The name without the prefix that says no more here: values of all clients come from the same providers.
fn without_prefix(name: &str) -> &str {
    name.strip_prefix(PREFIX).unwrap_or(name)
}

/// Whether a property says what providers there are.
pub fn is_about_providers(name: &str) -> bool {
    without_prefix(name).strip_prefix(NAMES).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where values are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Environment,
    File,
    Directory,
}

/// Providers by the names that they go by.
#[derive(Debug, Clone)]
pub struct Providers(BTreeMap<String, Provider>);

impl Default for Providers {
    fn default() -> Self {
        let known = [("env", Provider::Environment), ("file", Provider::File), ("dir", Provider::Directory)];
        Providers(known.map(|(name, provider)| (name.to_owned(), provider)).into())
    }
}

/// A value as it is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub text: String,
    /// What of it was fetched.
    pub fetched: Vec<String>,
}

impl Providers {
    /// Takes a property that says what providers there are; `None`: it says nothing of them.
    ///
    /// # Errors
    /// A provider that there is none of here.
    pub fn take(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
        let name = without_prefix(name);
        if name == NAMES {
            // Their classes say what they are.
            return Some(Ok(()));
        }
        let (provider, part) = name.strip_prefix("config.providers.")?.split_once('.')?;
        if part != "class" {
            // Parameters: `param.allowed.paths` and the like.
            return Some(Err(format!("{name}: parameters of providers have no effect here")));
        }
        let class = value.rsplit('.').next().unwrap_or_default().trim();
        let kind = match class {
            "EnvVarConfigProvider" => Provider::Environment,
            "FileConfigProvider" => Provider::File,
            "DirectoryConfigProvider" => Provider::Directory,
            _ => {
                return Some(Err(format!(
                    "{name}: {class} can't be used; FileConfigProvider, DirectoryConfigProvider and EnvVarConfigProvider can"
                )));
            }
        };
        self.0.insert(provider.to_owned(), kind);
        Some(Ok(()))
    }

    /// Puts what is fetched into its place; text in braces that names no provider stays as it is.
    ///
    /// # Errors
    /// It is not there; nothing of a value is said.
    pub fn expand(&self, value: &str) -> Result<Value, String> {
        let (mut text, mut fetched) = (String::new(), Vec::new());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${") {
            text.push_str(before);
            let reference = after.split_once('}').and_then(|(inside, behind)| {
                let (name, place) = inside.split_once(':')?;
                Some((*self.0.get(name)?, place, behind))
            });
            let Some((provider, place, behind)) = reference else {
                text.push_str("${");
                rest = after;
                continue;
            };
            let found = fetch(provider, place.trim_start_matches(':'))?;
            text.push_str(&found);
            fetched.push(found);
            if fetched.len() > MAX_PARTS {
                return Err(format!("it is made of more than {MAX_PARTS} values"));
            }
            rest = behind;
        }
        text.push_str(rest);
        Ok(Value { text, fetched })
    }
}

fn fetch(provider: Provider, place: &str) -> Result<String, String> {
    match (provider, place.rsplit_once(':')) {
        (Provider::Environment, _) => {
            std::env::var(place).map_err(|_| format!("the environment has no variable {place}, or it is no text"))
        }
        (Provider::File, Some((path, key))) => {
            let entries = file::parse(&read(Path::new(path))?).map_err(|error| format!("{path}: {error}"))?;
            let found = entries.into_iter().rfind(|entry| entry.name == key);
            found.map(|entry| entry.value).ok_or_else(|| format!("{path} has no key '{key}'"))
        }
        (Provider::File, None) => read(Path::new(place)).map(without_end),
        (Provider::Directory, Some((folder, name))) if !name.contains(['/', '\\']) && name != ".." => {
            read(&Path::new(folder).join(name)).map(without_end)
        }
        (Provider::Directory, _) => Err("write ${dir:/folder:name}".to_owned()),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > MAX_BYTES {
        return Err(format!("{}: {size} bytes are more than any value", path.display()));
    }
    super::file::text(std::fs::read(path).map_err(wrong)?).map_err(|error| format!("{}: {error}", path.display()))
}

/// Editors end a file with a line break.
fn without_end(text: String) -> String {
    text.trim_end_matches(['\n', '\r']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_fetched_where_they_stand() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("whole"), "s3cret\n").expect("written");
        std::fs::write(path("keys"), "a=1\nb: two words\n").expect("written");
        let mut providers = Providers::default();
        let class = "org.apache.kafka.common.config.provider.FileConfigProvider";
        assert_eq!(providers.take("config.providers.vault.class", class), Some(Ok(())));
        assert_eq!(providers.take("config.providers", "vault"), Some(Ok(())));
        assert_eq!(providers.take("ksql.streams.config.providers", "vault"), Some(Ok(())));
        assert!(is_about_providers("ksql.streams.config.providers.vault.class") && !is_about_providers("config.providers_x"));
        assert!(providers.take("config.providers.x.class", "com.x.Y").is_some_and(|taken| taken.is_err()));
        assert_eq!(providers.take("ksql.service.id", "x"), None);
        for (value, expected) in [
            ("plain", "plain".to_owned()),
            ("${file:WHOLE}", "s3cret".to_owned()),
            ("user:${file:WHOLE}@x ${file:KEYS:b}", "user:s3cret@x two words".to_owned()),
            ("${vault:KEYS:a}", "1".to_owned()),
            ("${dir:FOLDER:whole}", "s3cret".to_owned()),
            ("${env:PATH}", std::env::var("PATH").expect("a path")),
            ("${other:x} ${name} ${file", "${other:x} ${name} ${file".to_owned()),
        ] {
            let folder = folder.path().display().to_string();
            let value = value.replace("WHOLE", &path("whole")).replace("KEYS", &path("keys")).replace("FOLDER", &folder);
            assert_eq!(providers.expand(&value).map(|value| value.text), Ok(expected), "{value}");
        }
        for wrong in [
            "${file:/no/such}".to_owned(),
            format!("${{file:{}:c}}", path("keys")),
            "${env:NO_SUCH_VARIABLE}".to_owned(),
            "${dir:/x:../y}".to_owned(),
        ] {
            let error = providers.expand(&wrong).expect_err(&wrong);
            assert!(!error.contains("two words"), "{error}");
        }
    }
}
