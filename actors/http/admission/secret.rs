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
fn parallel_checks() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores - 1).clamp(1, 4)
}

/// Checks that may wait: two seconds of work of one core.
const MAX_QUEUED: usize = 64;

/// Checks of one source that may wait or be in work: whoever sends wrong secrets all day must leave
/// room for the others.
const MAX_PER_SOURCE: usize = 8;

/// By how much the threads that check give way: so that a firewall which logs in beside a flood of lines
/// waits for a second, and not for many, as it would with the most.
const NICENESS: i32 = 10;

/// How long a secret that was right once is known without argon2.
///
/// A firewall buys a token with each restart and each failover, and should not stand in a line of
/// guesses for it. What is remembered is a hash keyed with 256 bits that exist in this process only, so
/// that no list of secrets can be tried against a copy of it; whoever reads the memory finds the token,
/// which is as good. There is one for each registered client, made by nothing but argon2's own yes,
/// bound to the very hash that said it, and forgotten with every reload. Nothing can be learnt from it
/// without the secret: who is not known by it is checked as if it were not there, and from where a
/// client may come is looked at with each request.
const VERIFIED_FOR: Duration = Duration::from_secs(600);

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretCheck {
    /// It is the secret.
    Match,
    /// It is not, or there is no such client.
    Mismatch,
    /// Too many checks wait.
    Busy,
}

/// Checks secrets.
pub(super) struct Checker {
    running: Arc<Semaphore>,
    queue: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// With which the memory of right secrets is keyed; it never leaves this process.
    key: Zeroizing<[u8; 32]>,
    verified: Mutex<HashMap<String, VerifiedSecret>>,
    /// Checked for clients that do not exist, so that they take as long as those that do.
    dummy_hash: SecretHash,
}

/// A right secret, as its keyed hash.
struct VerifiedSecret {
    hash: [u8; 32],
    until: Timestamp,
}

/// A place in the line of those who are checked or wait.
struct QueueSlot {
    queue: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = queue.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                queue.remove(&self.source);
            }
        }
    }
}

impl Checker {
    pub(super) fn new() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(key.as_mut());
        Self {
            running: Arc::new(Semaphore::new(parallel_checks())),
            queue: Arc::default(),
            key,
            verified: Mutex::default(),
            dummy_hash: hash(&generate()),
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
    ) -> SecretCheck {
        if self.is_verified(secret, &credentials, now) {
            return SecretCheck::Match;
        }
        let Some(slot) = self.enqueue(source) else { return SecretCheck::Busy };
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else {
            return SecretCheck::Busy;
        };
        let keyed_hash = secret.map(|secret| self.keyed_hash(secret, &credentials));
        let hash = secret.unwrap_or(&self.dummy_hash).clone();
        let client_id = credentials.client_id.clone();
        // Held by the work and not by whoever asks: who goes away does not end it.
        let held = (slot, running);
        let matches =
            run_at_low_priority(move || (verify(&hash, &credentials.client_secret), held).0);
        match (matches.await, keyed_hash) {
            (Some(true), Some(hash)) => {
                let secret = VerifiedSecret { hash, until: now + VERIFIED_FOR };
                self.verified().insert(client_id, secret);
                SecretCheck::Match
            }
            (Some(_), _) => SecretCheck::Mismatch,
            (None, _) => SecretCheck::Busy,
        }
    }

    /// Forgets everything that was right, when secrets may have changed.
    pub(super) fn clear_verified(&self) {
        self.verified().clear();
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashMap<String, VerifiedSecret>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the secret in `credentials` was found right a short time ago.
    pub(super) fn is_verified(
        &self,
        secret: Option<&SecretHash>,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> bool {
        let Some(secret) = secret else { return false };
        let keyed_hash = self.keyed_hash(secret, credentials);
        self.verified()
            .get(&credentials.client_id)
            .is_some_and(|known| known.until > now && known.hash.ct_eq(&keyed_hash).into())
    }

    /// The keyed hash of a secret that was offered, and of what it is to be checked against.
    fn keyed_hash(&self, secret: &SecretHash, credentials: &ClientCredentials) -> [u8; 32] {
        let keyed = || Sha256::new().chain_update(self.key.as_ref());
        let inner = keyed()
            .chain_update(Sha256::digest(secret.expose()))
            .chain_update(credentials.client_secret.as_bytes());
        // Hashed twice, as in HMAC: nothing can be appended to a keyed hash.
        keyed().chain_update(inner.finalize()).finalize().into()
    }

    fn enqueue(&self, source: IpAddr) -> Option<QueueSlot> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let count = queue.get(&source).copied().unwrap_or(0);
        if count >= MAX_PER_SOURCE
            || queue.values().sum::<usize>() >= parallel_checks() + MAX_QUEUED
        {
            return None;
        }
        queue.insert(source, count + 1);
        Some(QueueSlot { queue: Arc::clone(&self.queue), source })
    }
}

/// Does `work` on a thread of its own, which gives way to all others: whoever has a token does not wait
/// for whoever guesses one. `None` when there is no thread.
///
/// It is none of a pool, which would stay so for others; making one costs a thousandth of the work.
async fn run_at_low_priority<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("secrets".to_owned());
    let task = move || {
        lower_priority(NICENESS);
        drop(sender.send(work()));
    };
    thread.spawn(task).ok()?;
    receiver.await.ok()
}

fn verify(hash: &SecretHash, secret: &str) -> bool {
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
    fn generated_secrets_differ_and_have_at_least_128_bits() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(one.as_bytes()).unwrap().len() * 8, 192);
        assert_ne!(hash(&one), hash(&one), "each hash has a salt of its own");
    }

    #[actix_web::test]
    async fn only_the_secret_matches_and_it_stays_verified_for_ten_minutes() {
        let (checker, secret) = (Checker::new(), hash("right"));
        let check = |offered: &'static str, now: Timestamp| {
            checker.check(Some(&secret), credentials(offered), HERE, now)
        };
        let (begin, soon) = (Timestamp::EPOCH, Timestamp::EPOCH + VERIFIED_FOR / 2);
        assert_eq!(check("wrong", begin).await, SecretCheck::Mismatch);
        assert_eq!(check("right", begin).await, SecretCheck::Match);
        assert_eq!(check("wrong", soon).await, SecretCheck::Mismatch);
        // Nobody can be checked any more: only what is remembered can still be right.
        checker.running.close();
        assert_eq!(check("right", soon).await, SecretCheck::Match);
        assert_eq!(check("right", begin + VERIFIED_FOR).await, SecretCheck::Busy);
        let changed = hash("right");
        let check = checker.check(Some(&changed), credentials("right"), HERE, soon).await;
        assert_eq!(check, SecretCheck::Busy, "the configured hash changed");
        checker.clear_verified();
        let forgotten = checker.check(Some(&secret), credentials("right"), HERE, soon).await;
        assert_eq!(forgotten, SecretCheck::Busy, "the registry was reloaded");
    }

    #[actix_web::test]
    async fn a_check_runs_at_low_priority_and_its_caller_does_not() {
        let priority = || getpriority_process(None).unwrap();
        let before = priority();
        let lowered = run_at_low_priority(priority).await.unwrap();
        assert_eq!(lowered, (before + NICENESS).min(19));
        assert_eq!(priority(), before);
    }

    #[actix_web::test]
    async fn no_secret_matches_an_unknown_client() {
        let checker = Checker::new();
        let result = checker.check(None, credentials(""), HERE, Timestamp::EPOCH).await;
        assert_eq!(result, SecretCheck::Mismatch);
    }

    #[test]
    fn the_queue_is_bounded_in_total_and_for_each_source() {
        let checker = Checker::new();
        let source = |last: usize| IpAddr::from([10, 0, 0, u8::try_from(last).unwrap()]);
        let mut slots: Vec<_> = (0..MAX_PER_SOURCE).map(|_| checker.enqueue(source(0))).collect();
        assert!(slots.iter().all(Option::is_some));
        assert!(checker.enqueue(source(0)).is_none());
        for at in MAX_PER_SOURCE..parallel_checks() + MAX_QUEUED {
            slots.push(Some(checker.enqueue(source(at)).unwrap()));
        }
        assert!(checker.enqueue(source(255)).is_none());
        slots.clear();
        assert!(checker.queue.lock().unwrap().is_empty());
    }
}
