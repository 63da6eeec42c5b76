//! Bounds the attempts to authenticate with a service account.
//!
//! A domain locks an account after a few wrong passwords, often five. Several producers, servers and
//! connections can share one account, so the bound belongs to the account: one attempt is under way
//! at a time, and after a refusal there is none until the secret changes, the configuration is
//! reloaded, or the pause `credential_retry` ends.
//!
//! Code that authenticates takes the password from an [`AuthAttempt`], which only this guard creates.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rollcall_config::{Secret, ServiceAccount};
use rollcall_identity::Name;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::telemetry::AccountPaused;

/// How long an attempt holds back the others. A server that does not answer delays them no longer
/// than this. The KDC or domain controller of a healthy domain answers within a fraction of it.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(3);

/// How often the file of a refused secret is read again.
const SECRET_POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The accounts that are used, shared by all producers.
#[derive(Clone, Default)]
pub struct AccountGuard(Arc<Mutex<HashMap<String, Arc<AccountState>>>>);

impl AccountGuard {
    /// `account`, with `domain` as its domain if it has none. After a refusal it is not tried for
    /// `pause`.
    pub(crate) fn account(
        &self,
        account: &ServiceAccount,
        domain: Option<&Name>,
        pause: Duration,
    ) -> RemoteAccount {
        let key = key(account, domain);
        let state = Arc::clone(self.0.lock().entry(key).or_default());
        RemoteAccount { account: account.clone(), pause, state }
    }

    /// Ends all pauses, after a reload.
    pub fn release_all(&self) {
        let mut accounts = self.0.lock();
        accounts.retain(|_, state| Arc::strong_count(state) > 1);
        accounts.values().for_each(|state| state.change(|attempts| attempts.refusals.clear()));
    }
}

/// The key of an account: `user@domain` with the first label of the domain, in lower case.
/// `CORP\reader` and `reader@corp.example.com` are the same account in nearly every domain; where
/// they are not, they share no more than the turn, unless their passwords are equal.
fn key(account: &ServiceAccount, domain: Option<&Name>) -> String {
    let name = match domain {
        Some(domain) if !account.is_distinguished() => account.within(domain),
        _ => account.name.as_str().into(),
    };
    let name = name.to_lowercase();
    let label = |domain: &str| domain.split('.').next().unwrap_or_default().to_owned();
    if let Some((domain, user)) = name.split_once('\\') {
        return format!("{user}@{}", label(domain));
    }
    match name.rsplit_once('@') {
        Some((user, domain)) => format!("{user}@{}", label(domain)),
        None => name,
    }
}

/// What is known of one account.
#[derive(Default)]
struct AccountState {
    attempts: Mutex<Attempts>,
    /// Notified when an attempt or a pause ends.
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Attempts {
    /// The number of attempts so far; the newest has this number.
    count: u64,
    /// The start of the newest attempt, while it is under way.
    started: Option<Instant>,
    refusals: Vec<Refusal>,
}

/// A secret that was refused.
struct Refusal {
    secret: Secret,
    reason: String,
    until: Instant,
}

impl AccountState {
    fn change(&self, change: impl FnOnce(&mut Attempts)) {
        change(&mut self.attempts.lock());
        self.changes.send_replace(());
    }
}

impl Attempts {
    /// The refusal of `secret`, while it is in force.
    fn refusal(&mut self, secret: &Secret, now: Instant) -> Option<&Refusal> {
        self.refusals.retain(|refusal| refusal.until > now);
        self.refusals.iter().find(|refusal| refusal.secret == *secret)
    }
}

/// Why an account is not tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{account} was refused ({reason}); it is not tried again for {} s, unless its secret file changes \
     or the configuration is reloaded", .left.as_secs()
)]
pub struct AccountRefused {
    /// The account.
    pub account: String,
    /// The reason of the server.
    pub reason: String,
    /// The rest of the pause.
    pub left: Duration,
}

/// An account that a producer authenticates with.
#[derive(Clone)]
pub(crate) struct RemoteAccount {
    account: ServiceAccount,
    pause: Duration,
    state: Arc<AccountState>,
}

impl RemoteAccount {
    /// Waits until no other attempt with this account is under way, and begins one, with the secret
    /// as its file has it now.
    ///
    /// # Errors
    /// [`AccountRefused`] while this secret is refused.
    pub(crate) async fn begin(&self) -> Result<AuthAttempt, AccountRefused> {
        let mut changes = self.state.changes.subscribe();
        loop {
            let secret = self.secret();
            let busy = match self.try_begin(secret)? {
                Ok(attempt) => return Ok(attempt),
                Err(busy) => busy,
            };
            // Whether an attempt has ended or has taken too long is seen at the next try.
            let _ = timeout(busy, changes.changed()).await;
        }
    }

    /// Begins an attempt with `secret`. The inner error is how long another one may still take.
    fn try_begin(&self, secret: Secret) -> Result<Result<AuthAttempt, Duration>, AccountRefused> {
        let now = Clock::instant();
        let mut attempts = self.state.attempts.lock();
        if let Some(refusal) = attempts.refusal(&secret, now) {
            return Err(self.refused(refusal, now));
        }
        let elapsed = attempts.started.map(|started| now.duration_since(started));
        if let Some(left) = elapsed.and_then(|elapsed| ATTEMPT_LIMIT.checked_sub(elapsed))
            && !left.is_zero()
        {
            return Ok(Err(left));
        }
        attempts.count += 1;
        attempts.started = Some(now);
        let number = attempts.count;
        drop(attempts);
        Ok(Ok(AuthAttempt { account: self.clone(), secret, number }))
    }

    /// Waits until the account may be tried again.
    pub(crate) async fn released(&self) {
        let mut changes = self.state.changes.subscribe();
        loop {
            let (secret, now) = (self.secret(), Clock::instant());
            let left = {
                let mut attempts = self.state.attempts.lock();
                match attempts.refusal(&secret, now) {
                    None => return,
                    Some(refusal) => refusal.until - now,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = sleep(left.min(SECRET_POLL_INTERVAL)) => {}
            }
        }
    }

    /// The secret as its file has it now. While the file cannot be read, the configured secret is
    /// used: a file that is being replaced is readable a moment later.
    fn secret(&self) -> Secret {
        self.account.secret.reread().unwrap_or_else(|_| self.account.secret.clone())
    }

    fn refused(&self, refusal: &Refusal, now: Instant) -> AccountRefused {
        let (account, reason) = (self.account.name.clone(), refusal.reason.clone());
        AccountRefused { account, reason, left: refusal.until - now }
    }
}

/// One attempt to authenticate. Other attempts wait until it is dropped, for three seconds at most.
pub(crate) struct AuthAttempt {
    account: RemoteAccount,
    secret: Secret,
    number: u64,
}

impl AuthAttempt {
    /// The account, with the name as configured.
    pub(crate) fn account(&self) -> &ServiceAccount {
        &self.account.account
    }

    /// The password.
    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The server, or the KDC, accepted the password.
    pub(crate) fn accepted(self) {
        self.account.state.change(|attempts| {
            attempts.refusals.retain(|refusal| refusal.secret != self.secret);
        });
    }

    /// A server refused the account for `reason`: the pause begins.
    pub(crate) fn refused(self, reason: &str) {
        let RemoteAccount { account, pause, state } = &self.account;
        let refusal = Refusal {
            secret: self.secret.clone(),
            reason: reason.to_owned(),
            until: Clock::instant() + *pause,
        };
        state.change(|attempts| {
            attempts.refusals.retain(|known| known.secret != refusal.secret);
            attempts.refusals.push(refusal);
        });
        AccountPaused { account: &account.name, reason, pause: *pause }.emit();
    }
}

impl Drop for AuthAttempt {
    fn drop(&mut self) {
        self.account.state.change(|attempts| {
            if attempts.count == self.number {
                attempts.started = None;
            }
        });
    }
}

#[cfg(test)]
mod tests;
