//! Settings of the OAuth 2.0 token endpoints: paths, token lifetime, lockout, client credentials.

use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::Name;

use crate::SecretHash;
use crate::scalar::{ClientId, UrlPath};
use crate::table_reader::TableReader;

/// The delay of failed logins of one client ID from one source address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// The number of failures without a delay.
    pub threshold: u32,
    /// The delay after the next failure. Each further failure doubles it.
    pub initial_delay: Duration,
    /// The maximum delay.
    pub max_delay: Duration,
}

impl Default for Lockout {
    fn default() -> Self {
        Self {
            threshold: 5,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
        }
    }
}

impl Lockout {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let default = Self::default();
        let delays = Duration::from_millis(100)..=Duration::from_secs(3600);
        let lockout = Self {
            threshold: table.in_range("threshold", default.threshold, 1..=1000),
            initial_delay: table.in_range("initial_delay", default.initial_delay, delays.clone()),
            max_delay: table.in_range("max_delay", default.max_delay, delays),
        };
        if lockout.initial_delay > lockout.max_delay {
            table.error_at("max_delay", "is shorter than initial_delay");
        }
        lockout
    }
}

/// The default lifetime of a token. A token outlives a changed secret by at most this time.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The valid lifetimes of a token.
const TOKEN_LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(24 * 3600);

/// Reads `token_lifetime`.
pub(crate) fn token_lifetime(table: &TableReader<'_>) -> Duration {
    table.in_range("token_lifetime", TOKEN_LIFETIME, TOKEN_LIFETIMES)
}

/// Reads `token_path` and `query_path`, which must differ. Returns both with a leading slash.
pub(crate) fn paths(table: &TableReader<'_>, default_query_path: &str) -> (String, String) {
    let path = |key, default: &str| table.get_or(key, UrlPath(default.to_owned())).0;
    let token_path = path("token_path", "/oauth_token/oauth");
    let query_path = path("query_path", default_query_path);
    if token_path == query_path {
        table.error_at("token_path", "is the same as query_path; the two must differ");
    }
    (token_path, query_path)
}

/// The listener that a client authenticates at. Names and client IDs are unique per listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientScope {
    /// Enforcement points and PTIM clients.
    Enforcement,
    /// Validator clients.
    Validator,
}

/// The credentials of an OAuth 2.0 client; `None` for a value that is absent or invalid.
pub(crate) struct ClientCredentials {
    pub(crate) name: Option<Name>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) client_id: Option<String>,
    pub(crate) secret: Option<SecretHash>,
}

impl ClientCredentials {
    pub(crate) fn from_table(table: &TableReader<'_>, scope: ClientScope) -> Self {
        let (name_scope, id_scope) = match scope {
            ClientScope::Enforcement => ("client name", "client_id"),
            ClientScope::Validator => ("validator client name", "validator client_id"),
        };
        let name = table.required::<Name>("name");
        if let Some(name) = &name {
            table.unique(name_scope, "name", name.as_str());
        }
        let client_id = table.required::<ClientId>("client_id").map(|id| id.0);
        if let Some(id) = &client_id {
            table.unique(id_scope, "client_id", id);
        }
        let addresses: Vec<IpNet> = table.list("addresses").unwrap_or_default();
        if addresses.is_empty() {
            table.error_at("addresses", "must contain at least one address or network");
        }
        Self { name, addresses, client_id, secret: SecretHash::from_table(table) }
    }
}
