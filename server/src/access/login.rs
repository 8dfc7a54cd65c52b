//! What somebody was let in by, for connections and answers that last: whoever is taken out of the file of users or of tokens, gets
//! another password or a lesser role, or whose JWT has come to its end, is not served for longer than [`LOOK_EVERY`] after that was
//! read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;

use super::jwt::Jwt;
use super::password::Credential;
use super::role::Entrance;
use super::tokens::Tokens;
use super::users::Users;
use super::{Principal, Role};

/// How often it is looked whether somebody is still let in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What says who somebody is.
pub(super) enum Grounds {
    /// A password, as the file of users had it.
    Password {
        users: Arc<Users>,
        credential: Arc<Credential>,
    },
    Token {
        tokens: Arc<Tokens>,
        token: String,
    },
    Jwt {
        jwt: Arc<Jwt>,
        token: String,
    },
}

/// See the module.
pub(super) struct Login {
    pub grounds: Grounds,
    pub entrance: Arc<Entrance>,
}

impl Login {
    /// The role of a user of this name as of now; `None`: it is not let in any more.
    fn role_of(&self, name: &str) -> Option<Role> {
        let roles = match &self.grounds {
            Grounds::Password { users, credential } => users.roles_of(name, credential)?,
            Grounds::Token { tokens, token } => tokens.find(token)?.1,
            Grounds::Jwt { jwt, token } => jwt.verify(token)?.1,
        };
        self.entrance.role_of(name, &roles).ok()
    }
}

/// Comes true when somebody is not let in any more, with what is to be said of that.
pub type Ousted = Pin<Box<dyn Future<Output = String> + Send>>;

impl Principal {
    /// Whether it may still do what this role may.
    ///
    /// # Errors
    /// It may not; what is to be said.
    fn still(&self, needed: Role) -> Result<(), String> {
        let (Some(name), Some(login)) = (&self.name, &self.login) else { return Ok(()) };
        match login.role_of(name) {
            Some(role) if role >= needed => Ok(()),
            Some(role) => Err(format!("user '{name}' has no longer the role {needed}, but {role}; log in again")),
            None => Err(format!("the login of user '{name}' does not hold any more")),
        }
    }

    /// Waits until it may not do any more what this role may: for ever where nobody is asked who it is.
    pub fn ousted(&self, needed: Role) -> Ousted {
        if self.login.is_none() {
            return Box::pin(std::future::pending());
        }
        let principal = self.clone();
        Box::pin(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Err(why) = principal.still(needed) {
                    tracing::info!("a connection or an answer that lasts is ended: {why}");
                    return why;
                }
            }
        })
    }
}

/// What a stream sends, as long as somebody is let in; then it is dropped, and the last words are sent.
pub struct Held<S, F> {
    inner: Option<Pin<Box<S>>>,
    ousted: Ousted,
    last_words: Option<F>,
}

impl<S: Stream<Item = Bytes>, F: FnOnce(String) -> Bytes + Unpin> Held<S, F> {
    pub fn new(inner: S, ousted: Ousted, last_words: F) -> Self {
        Held { inner: Some(Box::pin(inner)), ousted, last_words: Some(last_words) }
    }
}

impl<S: Stream<Item = Bytes>, F: FnOnce(String) -> Bytes + Unpin> Stream for Held<S, F> {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let held = self.get_mut();
        let Some(inner) = &mut held.inner else { return Poll::Ready(None) };
        if let Poll::Ready(why) = held.ousted.as_mut().poll(cx) {
            held.inner = None;
            return Poll::Ready(held.last_words.take().map(|last_words| last_words(why)));
        }
        inner.as_mut().poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::{StreamExt, stream};

    use super::super::Access;
    use super::*;

    #[tokio::test]
    async fn who_is_not_let_in_any_more_is_not_served_any_longer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (users, tokens) = (folder.path().join("users"), folder.path().join("tokens"));
        let token = "a token of more than twenty letters";
        std::fs::write(&users, "ann: one,write\n").expect("written");
        std::fs::write(&tokens, format!("ci: {},admin\n", super::super::fingerprint_of_token(token))).expect("written");
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let values: BTreeMap<_, _> = [
            set("authentication.method", "BASIC"),
            set("tidemill.auth.users.file", &users.display().to_string()),
            set("tidemill.auth.tokens.file", &tokens.display().to_string()),
        ]
        .into();
        let access = Access::from_properties(&values).expect("good").expect("set");
        let reload = || access.reloadable().iter().for_each(|one| one.reload().expect("good"));
        let ann = access.by_password("ann", "one").await.expect("let in");
        let ci = access.by_token(token).expect("let in");
        for principal in [&ann, &ci] {
            assert_eq!(principal.still(Role::Write), Ok(()));
            assert!(!format!("{principal:?}").contains(token));
        }

        // Other files with the same in them take nothing away; a greater role takes nothing away either.
        std::fs::write(&users, "bob: two,read\nann: one,admin\n").expect("written");
        reload();
        assert_eq!(ann.still(Role::Write), Ok(()));
        // A lesser role, another password, no line at all.
        std::fs::write(&users, "ann: one,read\n").expect("written");
        reload();
        assert_eq!(ann.still(Role::Read), Ok(()));
        assert!(ann.still(Role::Write).is_err_and(|why| why.contains("no longer the role write, but read")));
        for text in ["ann: other,write\n", "bob: one,write\n"] {
            std::fs::write(&users, text).expect("written");
            reload();
            assert!(ann.still(Role::Read).is_err_and(|why| why.contains("does not hold any more")), "{text}");
        }
        std::fs::write(&tokens, "").expect("written");
        reload();
        assert!(ci.still(Role::Read).is_err());
        assert_eq!(Principal::anybody().still(Role::Admin), Ok(()));

        let last_words = |why: String| Bytes::from(why);
        let endless = Held::new(stream::pending::<Bytes>(), ann.ousted(Role::Read), last_words);
        let said: Vec<Bytes> = endless.collect().await;
        assert!(said.len() == 1 && said.iter().all(|said| said.ends_with(b"does not hold any more")), "{said:?}");
    }
}
