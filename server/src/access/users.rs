//! Users with passwords.
//!
//! A hash that resists guessing takes memory and time on purpose, so it is made by threads beside those that serve connections, a
//! few at a time; what waits for them is bounded, and what is beyond is refused at once. A password that was right is remembered,
//! as a hash with a key that no one knows, until the file changes; one that was wrong for a while: who sends the same again and
//! again costs nothing, and who is known waits for nobody.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::Refusal;
use super::file;
use super::password::{Credential, MAX_PASSWORD_BYTES, hashed};
use crate::reload::Reloadable;

/// One core in so many may hash passwords; one at least.
const CORES_PER_HASHER: usize = 4;
/// Passwords that may wait to be hashed, those at hand included.
const MAX_WAITING: usize = 64;
/// Passwords of each kind that are remembered.
const MAX_REMEMBERED: usize = 10_000;
/// How long a wrong one is.
const WRONG_FOR: Duration = Duration::from_secs(60);

/// See the module.
pub struct Users {
    property: &'static str,
    path: PathBuf,
    table: RwLock<Arc<Table>>,
    key: hmac::Key,
    seen: Mutex<Seen>,
    waiting: Arc<Semaphore>,
    hashers: Arc<Semaphore>,
    /// Compared with where there is no such user, so that this takes as long.
    nobody: Arc<Credential>,
}

/// What a file says.
struct Table {
    users: HashMap<String, User>,
    /// How many files were read before.
    generation: u64,
}

struct User {
    credential: Arc<Credential>,
    roles: Arc<[String]>,
}

impl User {
    fn both(&self) -> (Arc<[String]>, Arc<Credential>) {
        (self.roles.clone(), self.credential.clone())
    }
}

/// A name with a password, of one generation of the file.
type Print = [u8; 32];

#[derive(Default)]
struct Seen {
    right: HashMap<Print, ()>,
    wrong: HashMap<Print, Instant>,
}

impl Users {
    /// # Errors
    /// The file can't be used; a sentence that names the property, the file and the line.
    pub fn open(property: &'static str, path: PathBuf) -> Result<Self, String> {
        let table = RwLock::new(Arc::new(Table { users: read(property, &path)?, generation: 0 }));
        let key =
            hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| "the system gives no random numbers".to_owned())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let nobody = Arc::new(Credential::read(&hashed("nobody")?)?);
        Ok(Users {
            property,
            path,
            table,
            key,
            seen: Mutex::default(),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            hashers: Arc::new(Semaphore::new((cores / CORES_PER_HASHER).max(1))),
            nobody,
        })
    }

    /// What is to be said of the file at the start.
    pub fn warnings(&self) -> Vec<String> {
        let table = self.table.read().clone();
        let mut weak: Vec<&str> = table.users.iter().filter(|(_, user)| user.credential.is_weak()).map(|(name, _)| name.as_str()).collect();
        weak.sort_unstable();
        let mut warnings = Vec::new();
        if !weak.is_empty() {
            warnings.push(format!(
                "{}: {} keeps passwords that can be read or found by trying (of {}). 'tidemill user add NAME' keeps them as salted hashes",
                self.property,
                self.path.display(),
                weak.join(", ")
            ));
        }
        warnings.extend(file::warning(self.property, &self.path));
        warnings
    }

    /// The roles of a user whose password this is, and how the file has it.
    ///
    /// # Errors
    /// It is not, there is no such user, or too many are being looked at.
    pub async fn verify(&self, name: &str, password: &str) -> Result<(Arc<[String]>, Arc<Credential>), Refusal> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(Refusal::Unauthenticated);
        }
        let table = self.table.read().clone();
        let print = self.print(table.generation, name, password);
        let user = table.users.get(name);
        if let Some(known) = self.known(&print) {
            return user.filter(|_| known).map(User::both).ok_or(Refusal::Unauthenticated);
        }
        let credential = user.map_or_else(|| self.nobody.clone(), |user| user.credential.clone());
        let is_right = self.compare(credential, password).await? && user.is_some();
        self.remember(print, is_right);
        user.filter(|_| is_right).map(User::both).ok_or(Refusal::Unauthenticated)
    }

    /// The roles of a user as of now, where the file still has this password of it.
    pub fn roles_of(&self, name: &str, credential: &Credential) -> Option<Arc<[String]>> {
        let table = self.table.read().clone();
        table.users.get(name).filter(|user| *user.credential == *credential).map(|user| user.roles.clone())
    }

    /// Everybody, by name.
    pub fn all_roles(&self) -> std::collections::BTreeMap<Arc<str>, Arc<[String]>> {
        self.table.read().users.iter().map(|(name, user)| (name.as_str().into(), user.roles.clone())).collect()
    }

    async fn compare(&self, credential: Arc<Credential>, password: &str) -> Result<bool, Refusal> {
        if credential.is_weak() {
            return Ok(credential.is(password));
        }
        let waits = self.waiting.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let hashes = self.hashers.clone().acquire_owned().await.map_err(|_| Refusal::Busy)?;
        let password = password.to_owned();
        // Both go with the work: a client that leaves does not end it.
        let compared = tokio::task::spawn_blocking(move || {
            let is_right = credential.is(&password);
            drop((hashes, waits));
            is_right
        });
        compared.await.map_err(|_| Refusal::Busy)
    }

    fn print(&self, generation: u64, name: &str, password: &str) -> Print {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&generation.to_be_bytes());
        context.update(&(name.len() as u64).to_be_bytes());
        context.update(name.as_bytes());
        context.update(password.as_bytes());
        context.sign().as_ref().try_into().unwrap_or_default()
    }

    /// Whether a password was right, as far as that is remembered.
    fn known(&self, print: &Print) -> Option<bool> {
        let seen = self.seen.lock();
        if seen.right.contains_key(print) {
            return Some(true);
        }
        seen.wrong.get(print).filter(|at| at.elapsed() < WRONG_FOR).map(|_| false)
    }

    fn remember(&self, print: Print, is_right: bool) {
        let mut seen = self.seen.lock();
        if is_right {
            if seen.right.len() >= MAX_REMEMBERED {
                seen.right.clear();
            }
            seen.right.insert(print, ());
        } else {
            if seen.wrong.len() >= MAX_REMEMBERED {
                seen.wrong.clear();
            }
            seen.wrong.insert(print, Instant::now());
        }
    }
}

impl Reloadable for Users {
    fn what(&self) -> &'static str {
        "users"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn reload(&self) -> Result<(), String> {
        let users = read(self.property, &self.path)?;
        let mut table = self.table.write();
        *table = Arc::new(Table { users, generation: table.generation + 1 });
        // Of no use any more, and of no harm: they bear the old generation.
        *self.seen.lock() = Seen::default();
        Ok(())
    }
}

fn read(property: &str, path: &std::path::Path) -> Result<HashMap<String, User>, String> {
    let mut users = HashMap::new();
    for line in file::read(property, path, "password")? {
        let credential = Credential::read(&line.credential)
            .map_err(|error| format!("{property}: {}: line {}: user '{}': {error}", path.display(), line.number, line.name))?;
        users.insert(line.name, User { credential: Arc::new(credential), roles: line.roles.into() });
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles_of((roles, _): (Arc<[String]>, Arc<Credential>)) -> Arc<[String]> {
        roles
    }

    fn users(text: &str) -> (tempfile::TempDir, Arc<Users>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("users");
        std::fs::write(&path, text).expect("written");
        let users = Users::open("p", path).expect("a good file");
        (folder, Arc::new(users))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_of_wrong_passwords_is_bounded_and_who_is_known_waits_for_nobody() {
        let (_folder, users) = users(&format!("ann: {},admin\n", hashed("right").expect("hashed")));
        let roles: Arc<[String]> = Arc::from(["admin".to_owned()]);
        assert_eq!(users.verify("ann", "right").await.map(roles_of), Ok(roles.clone()));
        let attempts: Vec<_> = (0..1_000)
            .map(|number| {
                let users = users.clone();
                tokio::spawn(async move { users.verify("ann", &format!("wrong {number}")).await })
            })
            .collect();
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(users.verify("ann", "right").await.map(roles_of), Ok(roles.clone()));
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let (mut wrong, mut busy) = (0, 0);
        for attempt in attempts {
            match attempt.await.expect("no panic") {
                Err(Refusal::Unauthenticated) => wrong += 1,
                Err(Refusal::Busy) => busy += 1,
                other => panic!("{:?}", other.map(roles_of)),
            }
        }
        assert!(wrong >= MAX_WAITING && busy > 0 && wrong + busy == 1_000, "{wrong} {busy}");
        // Too long to be looked at.
        assert_eq!(users.verify("ann", &"x".repeat(100_000)).await.map(roles_of), Err(Refusal::Unauthenticated));
    }

    #[tokio::test]
    async fn a_changed_file_holds_at_once_and_a_wrong_one_not_at_all() {
        let (folder, users) = users("ann: one,read\n");
        let path = folder.path().join("users");
        assert!(users.verify("ann", "one").await.is_ok());
        std::fs::write(&path, "ann: CRYPT:x,read\n").expect("written");
        let error = users.reload().expect_err("wrong");
        assert!(error.contains("line 1") && error.contains("'ann'"), "{error}");
        assert!(users.verify("ann", "one").await.is_ok(), "the old one stays");
        std::fs::write(&path, "ann: two,write\nbob: MD5:2ab96390c7dbe3439de74d0c9b0b1767,read\n").expect("written");
        users.reload().expect("a good file");
        assert!(users.verify("ann", "one").await.is_err());
        assert_eq!(users.verify("ann", "two").await.map(roles_of), Ok(Arc::from(["write".to_owned()])));
        assert!(users.warnings().iter().any(|warning| warning.contains("ann, bob")));
    }
}
