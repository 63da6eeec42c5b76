//! Client authentication: a client obtains an access token with its client ID and secret, and sends
//! the token with each request. Failed logins are throttled. Each listener has its own clients,
//! tokens and failure counts.

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
use rollcall_runtime::log_rate_limit::LogRateLimit;

/// The limit for the body of a token request. It needs a few hundred bytes: ID and secret have at
/// most 192 characters, each at most 12 bytes when percent-encoded.
pub(crate) const TOKEN_BODY: usize = 4096;

/// A client that authenticates.
pub(crate) trait CredentialSubject {
    /// The hash of the secret.
    fn secret(&self) -> &SecretHash;

    /// Whether the client may connect from `source`.
    fn allows_source(&self, source: IpAddr) -> bool;

    /// Whether the client may send its token in the query.
    fn allows_query_token(&self) -> bool;
}

/// The clients of a listener and the rules for them, as of one configuration.
pub(crate) trait ClientRegistry {
    /// The type of a client.
    type Client: CredentialSubject;

    /// The client with this ID.
    fn client(&self, id: &str) -> Option<&Arc<Self::Client>>;

    /// The lifetime of a token.
    fn token_lifetime(&self) -> Duration;

    /// The rules for failed logins.
    fn lockout(&self) -> &Lockout;
}

/// The valid tokens of one listener, and the failed logins.
pub(crate) struct Admission {
    tokens: Mutex<Tokens>,
    failures: Mutex<Failures>,
    checker: Checker,
    refused_tokens: LogRateLimit,
    clock: Clock,
}

impl Admission {
    /// No token is issued yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            tokens: Mutex::default(),
            failures: Mutex::default(),
            checker: Checker::new(),
            refused_tokens: LogRateLimit::default(),
            clock,
        }
    }

    /// Revokes the tokens of clients that are no longer in the registry, or whose secret changed.
    pub(crate) fn revoke_stale(&self, registry: &impl ClientRegistry) {
        self.checker.forget_others(|id| registry.client(id).is_some());
        let is_current = |id: &str, secret: &SecretHash| {
            registry.client(id).is_some_and(|client| client.secret() == secret)
        };
        locked(&self.tokens).retain(is_current);
    }

    /// The client of the token in the request, if the token is valid and the client may connect
    /// from `source`.
    ///
    /// # Errors
    /// The token is missing, invalid, or not allowed from this address or in the query.
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

/// The data behind a poisoned lock is consistent: no lock here is held over more than one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
