//! Who may ask what. A request says who asks by a name and a password, or by a token ([`Gate`]); that somebody has a role, which
//! endpoints and statements ask for.
//!
//! Nothing here tells a client more than that it may not: not whether a user exists, nor what was wrong with a token. Secrets are
//! compared as keyed hashes, in constant time. Passwords are hashed by other threads than those that serve connections, few at a
//! time ([`users`]).

mod file;
mod gate;
mod jwt;
mod login;
mod password;
mod rights;
mod role;
mod skip;
mod tokens;
mod users;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use tidemill_engine::engine::PushQueryInfo;

pub use file::{with_entry, without_entry};
pub use gate::Gate;
pub use login::{Held, Ousted};
pub use password::{MAX_PASSWORD_BYTES, fingerprint_of_token, hashed, is_hash_of_password, is_hash_of_token};
pub use rights::{of_path, of_statement};
pub use role::Role;

use crate::config::property;
use crate::reload::Reloadable;
use jwt::Jwt;
use login::{Grounds, Login};
use role::Entrance;
use skip::SkippedPaths;
use tokens::Tokens;
use users::Users;

/// Who asks.
#[derive(Clone)]
pub struct Principal {
    /// `None`: nobody was asked who it is.
    pub name: Option<Arc<str>>,
    pub role: Role,
    /// What it was let in by.
    login: Option<Arc<Login>>,
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principal").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// By its name and what it may do, however it logged in.
impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.role) == (&other.name, other.role)
    }
}

impl Eq for Principal {}

impl Principal {
    /// Where nobody is asked who it is: everybody may do everything.
    pub fn anybody() -> Self {
        Principal { name: None, role: Role::Admin, login: None }
    }

    /// Who asks for a path that needs no authentication.
    pub fn stranger() -> Self {
        Principal { name: None, role: Role::Read, login: None }
    }

    /// Whether a push query is its own: one that it has begun, under whatever address. Those who were not asked who they are can't be
    /// told apart.
    fn began(&self, query: &PushQueryInfo) -> bool {
        self.name == query.begun_by
    }

    /// The role that ending a push query asks it for.
    pub fn needed_to_end(&self, query: &PushQueryInfo) -> Role {
        if self.began(query) { Role::Read } else { Role::Write }
    }

    /// # Errors
    /// It lacks the role; what is to be said, which begins with what was asked for.
    pub fn check(&self, needed: Role, what: &str) -> Result<(), String> {
        if self.role >= needed {
            return Ok(());
        }
        let who = self.name.as_deref().map_or_else(|| "Who has not logged in".to_owned(), |name| format!("User '{name}'"));
        Err(format!("Forbidden: {what} needs the role {needed}. {who} has {}", self.role))
    }
}

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Asker {
    pub peer: SocketAddr,
    pub principal: Principal,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing says who it is, or what does is wrong.
    Unauthenticated,
    /// It is known who it is, and that it may not.
    Forbidden(String),
    /// Too many passwords are being looked at.
    Busy,
}

/// Who is let in, and how it says who it is.
pub struct Access {
    users: Option<Arc<Users>>,
    tokens: Option<Arc<Tokens>>,
    jwt: Option<Arc<Jwt>>,
    entrance: Arc<Entrance>,
    skipped: SkippedPaths,
    realm: String,
    /// Requests that were not let in: 401, 403, 429.
    denied: [AtomicU64; 3],
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// How long protocols with connections of their own wait after a wrong password, so that few can be tried.
pub const WRONG_PAUSE: Duration = Duration::from_millis(500);
const USERS: &str = "tidemill.auth.users.file";
const TOKENS: &str = "tidemill.auth.tokens.file";

impl Access {
    /// As it is configured; `None`: everybody may do everything.
    ///
    /// # Errors
    /// A file that can't be used, or what would let in whom nobody meant; a sentence that names the property.
    pub fn from_properties(values: &BTreeMap<String, String>) -> Result<Option<Arc<Access>>, String> {
        let set = |name: &str| {
            let given = values.get(name).map(|value| value.trim());
            given.or_else(|| property(name).and_then(|p| p.default)).filter(|value| !value.is_empty())
        };
        let method = set("authentication.method").unwrap_or("NONE").to_ascii_uppercase();
        let files = [USERS, TOKENS, jwt::KEY_FILE, jwt::JWKS_FILE];
        if method == "NONE" {
            return match files.iter().find(|name| set(name).is_some()) {
                Some(name) => {
                    Err(format!("{name} is set, and authentication.method is not: nobody would be asked. Set it to BASIC, or to BEARER"))
                }
                // Whoever lists who is let in believes that others are not.
                None if set("authentication.roles").is_some_and(|roles| !matches!(roles, "*" | "**")) => Err(
                    "authentication.roles is set, and authentication.method is not: nobody would be asked. Set it to BASIC, or to BEARER"
                        .to_owned(),
                ),
                None => Ok(None),
            };
        }
        let tokens = set(TOKENS).map(|path| Tokens::open(TOKENS, PathBuf::from(path)).map(Arc::new)).transpose()?;
        let jwt = Jwt::from_properties(set)?.map(Arc::new);
        let users = match (method.as_str(), set(USERS)) {
            ("BASIC", Some(path)) => Some(Arc::new(Users::open(USERS, PathBuf::from(path))?)),
            ("BASIC", None) => {
                return Err(format!(
                    "authentication.method=BASIC needs {USERS}: a file of users, as PropertyFileLoginModule has it, or made by 'tidemill \
                     user add NAME --role ROLE --file FILE'"
                ));
            }
            (_, Some(_)) => {
                return Err(format!("{USERS} is set, and authentication.method={method} asks for no passwords; set it to BASIC"));
            }
            (_, None) if tokens.is_none() && jwt.is_none() => {
                return Err(format!("authentication.method={method} needs {TOKENS}, {} or {}", jwt::KEY_FILE, jwt::JWKS_FILE));
            }
            (_, None) => None,
        };
        let entrance = Arc::new(Entrance::new(set("authentication.roles").unwrap_or("*")));
        let skipped = SkippedPaths::new(set("authentication.skip.paths").unwrap_or_default());
        let realm = set("authentication.realm").unwrap_or("Tidemill").replace(['"', '\\', '\r', '\n'], " ");
        Ok(Some(Arc::new(Access { users, tokens, jwt, entrance, skipped, realm, denied: Default::default() })))
    }

    /// What is read again when it changes.
    pub fn reloadable(&self) -> Vec<Arc<dyn Reloadable>> {
        let users = self.users.clone().map(|users| users as Arc<dyn Reloadable>);
        let tokens = self.tokens.clone().map(|tokens| tokens as Arc<dyn Reloadable>);
        let jwt = self.jwt.clone().map(|jwt| jwt as Arc<dyn Reloadable>);
        [users, tokens, jwt].into_iter().flatten().collect()
    }

    /// What is to be said of it at the start.
    pub fn warnings(&self) -> Vec<String> {
        let of_users = self.users.iter().flat_map(|users| users.warnings());
        let of_files = of_users.chain(self.tokens.iter().filter_map(|tokens| tokens.warning()));
        of_files.chain(self.shut_out()).chain(self.skipped.warning()).collect()
    }

    /// Who stands in a file and is let in nowhere: a role that is spelled wrong looks like one of another name.
    fn shut_out(&self) -> Vec<String> {
        let of_users = self.users.iter().map(|users| (USERS, users.all_roles()));
        let of_tokens = self.tokens.iter().map(|tokens| (TOKENS, tokens.all_roles()));
        let mut said = Vec::new();
        for (property, all) in of_users.chain(of_tokens) {
            if all.is_empty() {
                said.push(format!("{property}: nobody stands in it: 'tidemill user' adds somebody, while the server runs as well"));
            }
            let refused: Vec<&str> =
                all.iter().filter(|(name, roles)| self.entrance.role_of(name, roles).is_err()).map(|(name, _)| name.as_ref()).collect();
            if !refused.is_empty() {
                let names = refused.join(", ");
                said.push(format!(
                    "{property}: {names} will not be let in, without a role that does so: read, write, admin, or one that \
                     authentication.roles lists"
                ));
            }
        }
        said
    }

    /// Whether nobody is asked who it is at a path, its parts decoded.
    pub fn skips(&self, path: &[String]) -> bool {
        self.skipped.contains(path)
    }

    /// Who it is, by the header `Authorization`.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn by_header(&self, header: Option<&HeaderValue>) -> Result<Principal, Refusal> {
        let found = self.look(header).await;
        self.note(found.as_ref().err());
        found
    }

    /// Who it is, by a name and a password; a token may stand in the password's place. For protocols that have no more than
    /// these two.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn by_name(&self, name: &str, password: &str) -> Result<Principal, Refusal> {
        let found = match self.by_password(name, password).await {
            Err(Refusal::Unauthenticated) => self.by_token(password),
            found => found,
        };
        self.note(found.as_ref().err());
        found
    }

    /// Counts who was not let in.
    fn note(&self, refusal: Option<&Refusal>) {
        let index = match refusal {
            None => return,
            Some(Refusal::Unauthenticated) => 0,
            Some(Refusal::Forbidden(_)) => 1,
            Some(Refusal::Busy) => 2,
        };
        if let Some(count) = self.denied.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn look(&self, header: Option<&HeaderValue>) -> Result<Principal, Refusal> {
        let text = header.and_then(|header| header.to_str().ok()).ok_or(Refusal::Unauthenticated)?;
        let (scheme, credentials) = text.trim().split_once(' ').ok_or(Refusal::Unauthenticated)?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("Bearer") {
            return self.by_token(credentials);
        }
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(Refusal::Unauthenticated);
        }
        let decoded = STANDARD.decode(credentials).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or(Refusal::Unauthenticated)?;
        let (name, password) = decoded.split_once(':').ok_or(Refusal::Unauthenticated)?;
        self.by_password(name, password).await
    }

    /// Who it is, by a name and a password; for whatever protocol asks for them.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn by_password(&self, name: &str, password: &str) -> Result<Principal, Refusal> {
        let users = self.users.as_ref().ok_or(Refusal::Unauthenticated)?;
        let (roles, credential) = users.verify(name, password).await?;
        self.admitted(name, &roles, Grounds::Password { users: users.clone(), credential })
    }

    /// Who it is, by a token.
    ///
    /// # Errors
    /// It is not let in.
    pub fn by_token(&self, token: &str) -> Result<Principal, Refusal> {
        if let Some((tokens, (name, roles))) = self.tokens.as_ref().and_then(|tokens| Some((tokens, tokens.find(token)?))) {
            return self.admitted(&name, &roles, Grounds::Token { tokens: tokens.clone(), token: token.to_owned() });
        }
        let found = self.jwt.as_ref().and_then(|jwt| Some((jwt, jwt.verify(token)?)));
        let (jwt, (name, roles)) = found.ok_or(Refusal::Unauthenticated)?;
        self.admitted(&name, &roles, Grounds::Jwt { jwt: jwt.clone(), token: token.to_owned() })
    }

    fn admitted(&self, name: &str, roles: &[String], grounds: Grounds) -> Result<Principal, Refusal> {
        let role = self.entrance.role_of(name, roles).map_err(Refusal::Forbidden)?;
        let login = Login { grounds, entrance: self.entrance.clone() };
        Ok(Principal { name: Some(name.into()), role, login: Some(Arc::new(login)) })
    }

    /// The header `WWW-Authenticate` of an answer to who is not known.
    fn challenge(&self) -> HeaderValue {
        let scheme = if self.users.is_some() { "Basic" } else { "Bearer" };
        HeaderValue::try_from(format!("{scheme} realm=\"{}\"", self.realm)).unwrap_or(HeaderValue::from_static("Basic"))
    }

    /// Requests that were not let in, by status.
    pub fn denied(&self) -> [(&'static str, u64); 3] {
        let [unauthenticated, forbidden, busy] = &self.denied;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [("401", count(unauthenticated)), ("403", count(forbidden)), ("429", count(busy))]
    }

    /// A request of somebody who is known was refused.
    fn note_forbidden(&self) {
        let [_, forbidden, _] = &self.denied;
        forbidden.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(pairs: &[(&str, &str)]) -> Result<Option<Arc<Access>>, String> {
        Access::from_properties(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn basic(name: &str, password: &str) -> HeaderValue {
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))).expect("a header")
    }

    #[test]
    fn what_would_ask_nobody_is_refused() {
        assert!(access(&[]).expect("nothing asked").is_none());
        for (pairs, expected) in [
            (&[("tidemill.auth.users.file", "x")][..], "authentication.method is not"),
            (&[("authentication.roles", "ksql-user")], "authentication.method is not"),
            (&[("authentication.method", "BASIC")], "needs tidemill.auth.users.file"),
            (&[("authentication.method", "BEARER")], "needs tidemill.auth.tokens.file"),
            (&[("authentication.method", "BEARER"), ("tidemill.auth.users.file", "x")], "asks for no passwords"),
            (&[("authentication.method", "BASIC"), ("tidemill.auth.users.file", "/no/such")], "tidemill.auth.users.file: /no/such: "),
        ] {
            let error = access(pairs).map(|_| ()).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[tokio::test]
    async fn who_asks_is_known_by_password_or_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let (users, tokens) = (folder.path().join("users"), folder.path().join("tokens"));
        std::fs::write(&users, format!("ann: pa:ss,admin\nbob: {},read\neve: x,visitor\n", hashed("pw").expect("hashed")))
            .expect("written");
        std::fs::write(&tokens, format!("ci: {},write\n", fingerprint_of_token("t0ken-of-ci-0123456789"))).expect("written");
        let (users, tokens) = (users.display().to_string(), tokens.display().to_string());
        let set = [("authentication.method", "BASIC"), (USERS, users.as_str()), (TOKENS, tokens.as_str())];
        let access = access(&set).expect("good").expect("asked");
        let principal = |name: &str, role| Ok(Principal { name: Some(name.into()), role, login: None });
        assert_eq!(access.by_header(Some(&basic("ann", "pa:ss"))).await, principal("ann", Role::Admin));
        assert_eq!(access.by_header(Some(&basic("bob", "pw"))).await, principal("bob", Role::Read));
        assert!(matches!(access.by_header(Some(&basic("eve", "x"))).await, Err(Refusal::Forbidden(_))));
        let bearer = |token: &str| HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
        assert_eq!(access.by_header(Some(&bearer("t0ken-of-ci-0123456789"))).await, principal("ci", Role::Write));
        for wrong in [basic("bob", "pW"), basic("nobody", "pw"), basic("bob", ""), bearer("t0ken"), bearer("a.b.c")] {
            assert_eq!(access.by_header(Some(&wrong)).await, Err(Refusal::Unauthenticated), "{wrong:?}");
        }
        for wrong in ["Basic", "Basic !", "Digest x", "", "Basic Ym9i"] {
            assert_eq!(access.by_header(Some(&HeaderValue::from_static(wrong))).await, Err(Refusal::Unauthenticated), "{wrong}");
        }
        assert_eq!(access.by_header(None).await, Err(Refusal::Unauthenticated));
        assert_eq!(access.denied(), [("401", 11), ("403", 1), ("429", 0)]);
    }
}
