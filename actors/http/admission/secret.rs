//! Client secrets: made, hashed with argon2id, and checked, of which an attacker can make us do a
//! bounded number at once.

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::rand_core::{OsRng, RngCore};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashbrown::HashMap;
use rollcall_config::SecretHash;
use rollcall_identity::Timestamp;
use rollcall_wire::srx::token::ClientCredentials;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use rollcall_runtime::thread_priority::lower_priority;

/// A new secret of 192 random bits: 32 characters that need no quoting in Junos, JSON or a form.
pub fn generate() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; 24]);
    OsRng.fill_bytes(bytes.as_mut());
    URL_SAFE_NO_PAD.encode(bytes.as_ref()).into()
}

/// The argon2id hash of a secret, with a salt of its own, for the configuration or the clients
/// file. It takes about 30 ms.
pub fn hash(secret: &str) -> SecretHash {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default()
        .hash_password(secret.as_bytes(), &salt)
        .expect("any text can be hashed with the default parameters");
    SecretHash::new(&hash.to_string()).expect("what argon2 writes is an argon2id hash")
}

/// Checks at once: a core is left for those who have a token. One takes 27 ms of the other and, which
/// bounds them on large machines, 19 MiB.
fn at_once() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores - 1).clamp(1, 4)
}

/// Checks that may wait: two seconds of work of one core.
const WAITING: usize = 64;

/// Checks of one source that may wait or be in work: whoever sends wrong secrets all day must leave
/// room for the others.
const OF_ONE_SOURCE: usize = 8;

/// By how much the threads that check give way: so that a firewall which logs in beside a flood of lines
/// waits for a second, and not for many, as it would with the most.
const YIELDING: i32 = 10;

/// How long a secret that was right once is known without argon2.
///
/// A firewall buys a token with each restart and each failover, and should not stand in a line of
/// guesses for it. What is remembered is a hash keyed with 256 bits that exist in this process only, so
/// that no list of secrets can be tried against a copy of it; whoever reads the memory finds the token,
/// which is as good. There is one for each registered client, made by nothing but argon2's own yes,
/// bound to the very hash that said it, and forgotten with every reload. Nothing can be learnt from it
/// without the secret: who is not known by it is checked as if it were not there, and from where a
/// client may come is looked at with each request.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// It is the secret.
    Right,
    /// It is not, or there is no such client.
    Wrong,
    /// Too many checks wait.
    Busy,
}

/// Checks secrets.
pub(super) struct Checker {
    running: Arc<Semaphore>,
    line: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// With which the memory of right secrets is keyed; it never leaves this process.
    key: Zeroizing<[u8; 32]>,
    proven: Mutex<HashMap<String, Proof>>,
    /// Checked for clients that do not exist, so that they take as long as those that do.
    nobody: SecretHash,
}

/// A right secret, as its keyed hash.
struct Proof {
    hash: [u8; 32],
    until: Timestamp,
}

/// A place in the line of those who are checked or wait.
struct Place {
    line: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_source) = line.get_mut(&self.source) {
            *of_source -= 1;
            if *of_source == 0 {
                line.remove(&self.source);
            }
        }
    }
}

impl Checker {
    pub(super) fn new() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(key.as_mut());
        Self {
            running: Arc::new(Semaphore::new(at_once())),
            line: Arc::default(),
            key,
            proven: Mutex::default(),
            nobody: hash(&generate()),
        }
    }

    /// Checks the secret in `credentials` against that of the client, `None` when there is no such
    /// client.
    pub(super) async fn check(
        &self,
        secret: Option<&SecretHash>,
        credentials: ClientCredentials,
        source: IpAddr,
        now: Timestamp,
    ) -> Checked {
        if self.remembers(secret, &credentials, now) {
            return Checked::Right;
        }
        let Some(place) = self.queue(source) else { return Checked::Busy };
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else {
            return Checked::Busy;
        };
        let proof = secret.map(|secret| self.proof(secret, &credentials));
        let hash = secret.unwrap_or(&self.nobody).clone();
        let client_id = credentials.client_id.clone();
        // Held by the work and not by whoever asks: who goes away does not end it.
        let held = (place, running);
        let is_right = beneath(move || (is_right(&hash, &credentials.client_secret), held).0);
        match (is_right.await, proof) {
            (Some(true), Some(hash)) => {
                let proof = Proof { hash, until: now + REMEMBERED };
                self.proven().insert(client_id, proof);
                Checked::Right
            }
            (Some(_), _) => Checked::Wrong,
            (None, _) => Checked::Busy,
        }
    }

    /// Forgets everything that was right, when secrets may have changed.
    pub(super) fn forget(&self) {
        self.proven().clear();
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, HashMap<String, Proof>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the secret in `credentials` was found right a short time ago.
    pub(super) fn remembers(
        &self,
        secret: Option<&SecretHash>,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> bool {
        let Some(secret) = secret else { return false };
        let proof = self.proof(secret, credentials);
        self.proven()
            .get(&credentials.client_id)
            .is_some_and(|known| known.until > now && known.hash.ct_eq(&proof).into())
    }

    /// The keyed hash of a secret that was offered, and of what it is to be checked against.
    fn proof(&self, secret: &SecretHash, credentials: &ClientCredentials) -> [u8; 32] {
        let keyed = || Sha256::new().chain_update(self.key.as_ref());
        let inner = keyed()
            .chain_update(Sha256::digest(secret.expose()))
            .chain_update(credentials.client_secret.as_bytes());
        // Hashed twice, as in HMAC: nothing can be appended to a keyed hash.
        keyed().chain_update(inner.finalize()).finalize().into()
    }

    fn queue(&self, source: IpAddr) -> Option<Place> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let of_source = line.get(&source).copied().unwrap_or(0);
        if of_source >= OF_ONE_SOURCE || line.values().sum::<usize>() >= at_once() + WAITING {
            return None;
        }
        line.insert(source, of_source + 1);
        Some(Place { line: Arc::clone(&self.line), source })
    }
}

/// Does `work` on a thread of its own, which gives way to all others: whoever has a token does not wait
/// for whoever guesses one. `None` when there is no thread.
///
/// It is none of a pool, which would stay so for others; making one costs a thousandth of the work.
async fn beneath<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let thread = std::thread::Builder::new().name("secrets".to_owned());
    let yielding = move || {
        lower_priority(YIELDING);
        drop(tell.send(work()));
    };
    thread.spawn(yielding).ok()?;
    told.await.ok()
}

fn is_right(hash: &SecretHash, secret: &str) -> bool {
    PasswordHash::new(hash.expose())
        .is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn credentials(secret: &str) -> ClientCredentials {
        ClientCredentials { client_id: "srx1".to_owned(), client_secret: secret.to_owned().into() }
    }

    #[test]
    fn made_secrets_differ_and_have_at_least_128_bits() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(one.as_bytes()).unwrap().len() * 8, 192);
        assert_ne!(hash(&one), hash(&one), "each hash has a salt of its own");
    }

    #[actix_web::test]
    async fn only_the_secret_is_right_and_it_is_remembered_for_ten_minutes() {
        let (checker, secret) = (Checker::new(), hash("right"));
        let check = |offered: &'static str, now: Timestamp| {
            checker.check(Some(&secret), credentials(offered), HERE, now)
        };
        let (begin, soon) = (Timestamp::EPOCH, Timestamp::EPOCH + REMEMBERED / 2);
        assert_eq!(check("wrong", begin).await, Checked::Wrong);
        assert_eq!(check("right", begin).await, Checked::Right);
        assert_eq!(check("wrong", soon).await, Checked::Wrong);
        // Nobody can be checked any more: only what is remembered can still be right.
        checker.running.close();
        assert_eq!(check("right", soon).await, Checked::Right);
        assert_eq!(check("right", begin + REMEMBERED).await, Checked::Busy);
        let changed = hash("right");
        let check = checker.check(Some(&changed), credentials("right"), HERE, soon).await;
        assert_eq!(check, Checked::Busy, "the hash is another one now");
        checker.forget();
        let forgotten = checker.check(Some(&secret), credentials("right"), HERE, soon).await;
        assert_eq!(forgotten, Checked::Busy, "the register was read anew");
    }

    #[actix_web::test]
    async fn who_checks_gives_way_and_who_waits_for_it_does_not() {
        let priority = || getpriority_process(None).unwrap();
        let before = priority();
        let beneath = beneath(priority).await.unwrap();
        assert_eq!(beneath, (before + YIELDING).min(19));
        assert_eq!(priority(), before);
    }

    #[actix_web::test]
    async fn nobody_has_a_secret_that_is_right() {
        let checker = Checker::new();
        let nobody = checker.check(None, credentials(""), HERE, Timestamp::EPOCH).await;
        assert_eq!(nobody, Checked::Wrong);
    }

    #[test]
    fn the_line_is_bounded_in_all_and_for_each_source() {
        let checker = Checker::new();
        let source = |last: usize| IpAddr::from([10, 0, 0, u8::try_from(last).unwrap()]);
        let mut places: Vec<_> = (0..OF_ONE_SOURCE).map(|_| checker.queue(source(0))).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(checker.queue(source(0)).is_none());
        for at in OF_ONE_SOURCE..at_once() + WAITING {
            places.push(Some(checker.queue(source(at)).unwrap()));
        }
        assert!(checker.queue(source(255)).is_none());
        places.clear();
        assert!(checker.line.lock().unwrap().is_empty());
    }
}
