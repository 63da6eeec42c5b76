//! Who may ask: a client id and a secret buy a token, wrong secrets make slow, and the token is shown
//! with each question. Each listener has its own clients and its own of all this.

mod lockout;
mod login;
mod rejection;
pub mod secret;
mod tokens;
mod unknown_requests;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rollcall_config::{Lockout, SecretHash};
use rollcall_identity::Timestamp;
use rollcall_wire::http::RequestParts;
use rollcall_wire::srx::token::{self, TokenLocation};

pub(crate) use self::rejection::Rejection;
pub(crate) use self::unknown_requests::UnknownRequestLog;

use self::lockout::Failures;
use self::secret::Checker;
use self::tokens::Tokens;
use rollcall_runtime::clock::Clock;

/// A token request needs a few hundred bytes: id and secret have at most 192 characters, each at
/// most 12 bytes when percent-encoded.
pub(crate) const TOKEN_BODY: usize = 4096;

/// Somebody who logs in.
pub(crate) trait CredentialSubject {
    /// What the secret must hash to.
    fn secret(&self) -> &SecretHash;

    /// Whether it may connect from there.
    fn allows_source(&self, source: IpAddr) -> bool;

    /// Whether its token may stand in the query.
    fn allows_query_token(&self) -> bool;
}

/// The clients of a listener, and on what terms they are let in: those of one moment.
pub(crate) trait ClientRegistry {
    /// What a client is.
    type Client: CredentialSubject;

    /// The client with this id.
    fn client(&self, id: &str) -> Option<&Arc<Self::Client>>;

    /// How long a token is good.
    fn token_lifetime(&self) -> Duration;

    /// What follows wrong secrets.
    fn lockout(&self) -> &Lockout;
}

/// The tokens of one listener that are good, and the wrong secrets so far.
pub(crate) struct Admission {
    tokens: Mutex<Tokens>,
    failures: Mutex<Failures>,
    checker: Checker,
    clock: Clock,
}

impl Admission {
    /// Nobody has a token.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            tokens: Mutex::default(),
            failures: Mutex::default(),
            checker: Checker::new(),
            clock,
        }
    }

    /// Ends the tokens of those who are not in the register any more, or whose secret is another.
    pub(crate) fn revoke_stale(&self, registry: &impl ClientRegistry) {
        self.checker.clear_verified();
        let is_current = |id: &str, secret: &SecretHash| {
            registry.client(id).is_some_and(|client| client.secret() == secret)
        };
        locked(&self.tokens).retain(is_current);
    }

    /// Whose token is shown, when it is good and shown from an address of its client.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn authenticate<R: ClientRegistry>(
        &self,
        request: &RequestParts<'_>,
        (registry, source, now): (&R, IpAddr, Timestamp),
    ) -> Result<Arc<R::Client>, Rejection> {
        let Some((token, location)) = token::access_token(request) else {
            return Err(Rejection::missing_token());
        };
        let record = locked(&self.tokens).lookup(&token, now);
        let Some((id, secret)) = record else { return Err(Rejection::bad_token()) };
        match registry.client(&id) {
            Some(client) if *client.secret() != secret => Err(Rejection::bad_token()),
            Some(client) if !client.allows_source(source) => Err(Rejection::wrong_address()),
            Some(client) if location == TokenLocation::InQuery && !client.allows_query_token() => {
                Err(Rejection::token_in_query())
            }
            Some(client) => Ok(Arc::clone(client)),
            None => Err(Rejection::bad_token()),
        }
    }
}

/// What a thread that panicked left locked is whole: no lock here is held over more than one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
