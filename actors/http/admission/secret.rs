//! Client secrets: generation, hashing, and verification. The number of verifications with argon2id
//! that an attacker can cause at the same time is bounded.

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

/// The hash of a secret that [`generate`] returned, for the clients file. It has so many random bits
/// that SHA-256 is enough.
pub fn hash_generated(secret: &str) -> SecretHash {
    SecretHash::of_generated(Sha256::digest(secret).into())
}

/// The argon2id hash of a secret that a person chose, with its own salt, for the configuration.
/// Hashing takes about 30 ms.
pub fn hash(secret: &str) -> SecretHash {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default()
        .hash_password(secret.as_bytes(), &salt)
        .expect("any text can be hashed with the default parameters");
    SecretHash::new(&hash.to_string()).expect("what argon2 writes is an argon2id hash")
}

/// The number of concurrent checks. One core is left for clients that have a token. A check takes
/// 27 ms of a core and 19 MiB, which limits the number on large machines.
fn parallel_checks() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores - 1).clamp(1, 4)
}

/// The number of queued checks: two seconds of work of one core.
const MAX_QUEUED: usize = 64;

/// The number of queued and running checks of one source address, so that an attacker leaves room
/// for other clients.
const MAX_PER_SOURCE: usize = 8;

/// The niceness of the threads that check secrets. With it, a firewall that logs in during a flood
/// of log lines waits for a second; with the maximum niceness it waits for many.
const NICENESS: i32 = 10;

/// How long a verified secret is accepted without argon2.
///
/// A firewall obtains a token each hour, and with each restart and each failover, and must not wait
/// behind an attacker's guesses. With a day, only its first login after a start of Rollcall can wait. What is kept is a hash keyed with 256 bits that exist only in this process,
/// so that no list of secrets can be tried against a copy of it. An attacker who reads the memory
/// also finds the token, which gives the same access. There is at most one entry per registered
/// client. It is created only after argon2 verified the secret, is bound to that exact argon2id
/// hash, and is removed with the client. It reveals nothing without the secret: a secret that does
/// not match it is checked as if there were no entry, and the source address of a client is checked
/// with each request.
const VERIFIED_FOR: Duration = Duration::from_secs(24 * 3600);

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretCheck {
    /// The secret is right.
    Match,
    /// The secret is wrong, or there is no such client.
    Mismatch,
    /// Too many checks are queued.
    Busy,
}

/// Checks secrets.
pub(super) struct Checker {
    running: Arc<Semaphore>,
    queue: Arc<Mutex<HashMap<IpAddr, usize>>>,
    /// The key of the hashes of verified secrets; it never leaves this process.
    key: Zeroizing<[u8; 32]>,
    verified: Mutex<HashMap<String, VerifiedSecret>>,
    /// Checked for unknown clients, so that the response takes as long as for known ones.
    dummy_hash: SecretHash,
}

/// A verified secret, as its keyed hash.
struct VerifiedSecret {
    hash: [u8; 32],
    until: Timestamp,
}

/// A slot in the queue of checks, held while a check waits or runs.
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

    /// Checks the secret in `credentials` against the hash `secret`, which is `None` for an unknown
    /// client.
    pub(super) async fn check(
        &self,
        secret: Option<&SecretHash>,
        credentials: ClientCredentials,
        source: IpAddr,
        now: Timestamp,
    ) -> SecretCheck {
        if self.matches_at_once(secret, &credentials, now) {
            return SecretCheck::Match;
        }
        // A wrong guess of a generated secret takes as long as any other, so that the time does not
        // reveal which client IDs exist.
        let secret = secret.filter(|secret| !secret.is_of_generated());
        let Some(slot) = self.enqueue(source) else { return SecretCheck::Busy };
        let Ok(running) = Arc::clone(&self.running).acquire_owned().await else {
            return SecretCheck::Busy;
        };
        let keyed_hash = secret.map(|secret| self.keyed_hash(secret, &credentials));
        let hash = secret.unwrap_or(&self.dummy_hash).clone();
        let client_id = credentials.client_id.clone();
        // Held by the task and not by the caller: a client that disconnects does not end the check.
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

    /// Removes the verified secrets of clients that are no longer known. The entry of a client whose
    /// secret changed matches nothing.
    pub(super) fn forget_others(&self, is_known: impl Fn(&str) -> bool) {
        self.verified().retain(|client_id, _| is_known(client_id));
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, HashMap<String, VerifiedSecret>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the secret in `credentials` is right, as far as this can be told without argon2: it
    /// was generated, or it was verified recently. A login with it is never throttled.
    pub(super) fn matches_at_once(
        &self,
        secret: Option<&SecretHash>,
        credentials: &ClientCredentials,
        now: Timestamp,
    ) -> bool {
        match secret {
            Some(secret) if secret.is_of_generated() => {
                let offered = hash_generated(&credentials.client_secret);
                offered.expose().as_bytes().ct_eq(secret.expose().as_bytes()).into()
            }
            secret => self.is_verified(secret, credentials, now),
        }
    }

    /// Whether the secret in `credentials` was verified recently.
    fn is_verified(
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

    /// The keyed hash of the received secret and of the argon2id hash that it is checked against.
    fn keyed_hash(&self, secret: &SecretHash, credentials: &ClientCredentials) -> [u8; 32] {
        let keyed = || Sha256::new().chain_update(self.key.as_ref());
        let inner = keyed()
            .chain_update(Sha256::digest(secret.expose()))
            .chain_update(credentials.client_secret.as_bytes());
        // Hashed twice, as in HMAC, so that a keyed hash cannot be extended.
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

/// Runs `work` on a thread of its own with a low priority, so that clients with a token do not wait
/// for checks. `None` when the thread cannot be started.
///
/// The thread does not come from a pool, because it would keep its priority for other work.
/// Starting it costs a thousandth of the work.
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
    async fn only_the_secret_matches_and_it_stays_verified_for_a_day() {
        let (checker, secret) = (Checker::new(), hash("right"));
        let check = |offered: &'static str, now: Timestamp| {
            checker.check(Some(&secret), credentials(offered), HERE, now)
        };
        let (begin, soon) = (Timestamp::EPOCH, Timestamp::EPOCH + VERIFIED_FOR / 2);
        assert_eq!(check("wrong", begin).await, SecretCheck::Mismatch);
        assert_eq!(check("right", begin).await, SecretCheck::Match);
        assert_eq!(check("wrong", soon).await, SecretCheck::Mismatch);
        // No more checks run: only a verified secret can match.
        checker.running.close();
        assert_eq!(check("right", soon).await, SecretCheck::Match);
        assert_eq!(check("right", begin + VERIFIED_FOR).await, SecretCheck::Busy);
        let changed = hash("right");
        let with_changed = checker.check(Some(&changed), credentials("right"), HERE, soon).await;
        assert_eq!(with_changed, SecretCheck::Busy, "the configured hash changed");
        checker.forget_others(|id| id == "srx1");
        assert_eq!(check("right", soon).await, SecretCheck::Match, "a reload keeps it");
        checker.forget_others(|_| false);
        let forgotten = checker.check(Some(&secret), credentials("right"), HERE, soon).await;
        assert_eq!(forgotten, SecretCheck::Busy, "the client was removed");
    }

    #[actix_web::test]
    async fn a_generated_secret_is_checked_without_a_queue_and_a_wrong_one_is_not() {
        let (checker, secret) = (Checker::new(), generate());
        let hash = hash_generated(&secret);
        assert!(hash.expose().starts_with("$sha256$") && SecretHash::new(hash.expose()).is_ok());
        let check = |offered: &str| {
            checker.check(Some(&hash), credentials(offered), HERE, Timestamp::EPOCH)
        };
        assert_eq!(check("wrong").await, SecretCheck::Mismatch);
        checker.running.close();
        assert_eq!(check("wrong").await, SecretCheck::Busy, "it takes a check with argon2");
        assert_eq!(check(&secret).await, SecretCheck::Match);
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
