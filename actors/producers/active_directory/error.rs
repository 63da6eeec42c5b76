//! Why a directory cannot be read, with messages that say what to check.

use std::io;
use std::time::Duration;

use rollcall_wire::active_directory::{CookieError, LdapFailure, RootDseError, classify_failure};
use rollcall_wire::ldap::{BerError, LdapResult};

use super::UpdateFailed;
use crate::remote::{AccountRefused, FailureClass, FailureStage, RemoteError, ResolveError};
use crate::windows::sspi::AuthError;

/// Why a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The domain controllers cannot be found.
    #[error("{0}")]
    Resolve(#[from] ResolveError),
    /// The connection is not accepted.
    #[error("cannot connect to {server}: {why}")]
    Connect {
        /// The name, address and port.
        server: String,
        /// The error of the system.
        why: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS with {server} failed: {why}")]
    Tls {
        /// The name, address and port.
        server: String,
        /// The error, with the subject of the certificate.
        why: String,
    },
    /// The server rejected the bind.
    #[error("{server} rejected the bind of {account}: {}", described(.outcome))]
    BindRejected {
        /// The server.
        server: String,
        /// The account.
        account: String,
        /// The result.
        outcome: LdapResult,
        /// Whether a KDC had confirmed the password.
        is_confirmed: bool,
    },
    /// Kerberos or NTLM failed.
    #[error("{account} cannot authenticate to {server}: {why}")]
    Auth {
        /// The server.
        server: String,
        /// The account.
        account: String,
        /// The error.
        why: AuthError,
    },
    /// The account was refused before and is not tried.
    #[error("{0}")]
    AccountRefused(#[from] AccountRefused),
    /// The server did not complete the authentication.
    #[error(
        "{server} did not complete the authentication of {account} within {limit:?}; see \
         connect_timeout in [active_directory.limits]"
    )]
    AuthTimeout {
        /// The server.
        server: String,
        /// The account.
        account: String,
        /// The timeout, from the start of the connection.
        limit: Duration,
    },
    /// A search was rejected.
    #[error("the search {search} failed: {}", described(.outcome))]
    Search {
        /// The base and the filter.
        search: String,
        /// The result.
        outcome: LdapResult,
    },
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Broken(#[from] io::Error),
    /// The server violates LDAP.
    #[error("the server violates the LDAP protocol: {0}")]
    Protocol(#[from] BerError),
    /// The response to a control is invalid.
    #[error("the server returned an invalid control: {0}")]
    Control(#[from] CookieError),
    /// The server is not a domain controller.
    #[error("{0}")]
    NoController(#[from] RootDseError),
    /// The server is a controller of another domain.
    #[error("{server} is a domain controller of {found}, not of {wanted}")]
    OtherDomain {
        /// The server.
        server: String,
        /// Its domain.
        found: String,
        /// The configured domain.
        wanted: String,
    },
    /// The server did not respond.
    #[error("the server did not respond for {0:?}")]
    Silent(Duration),
    /// The server sent a notice of disconnection.
    #[error("the server closes the connection: {}", .0.diagnostic)]
    Closed(LdapResult),
    /// A synchronization exceeds a limit.
    #[error("stopped after {0}: the directory exceeds a limit of [active_directory.limits]")]
    Endless(String),
    /// A search base is empty, which would remove all groups.
    #[error(
        "the account sees no user, computer or group below {0}: check its read rights; if the base \
         is empty on purpose, remove it from search_bases"
    )]
    Nothing(String),
    /// All of several servers failed.
    #[error("none of {} servers can be used: {}", .0.len(), listed(.0))]
    Tried(Vec<(String, DirectoryError)>),
    /// The directory writer did not accept what was read.
    #[error("{0}")]
    UpdateFailed(#[from] UpdateFailed),
}

impl DirectoryError {
    /// The error of all servers that were tried.
    pub(super) fn of_all(mut errors: Vec<(String, Self)>) -> Self {
        match (errors.len(), errors.pop()) {
            (0, _) | (_, None) => ResolveError::no_record("a domain controller").into(),
            (1, Some((_, only))) => only,
            (_, Some(last)) => {
                errors.push(last);
                Self::Tried(errors)
            }
        }
    }

    /// Whether the account was refused, now or before.
    pub(super) fn is_credentials_refused(&self) -> bool {
        match self {
            Self::AccountRefused(_) | Self::Auth { why: AuthError::Refused(_), .. } => true,
            Self::BindRejected { outcome, is_confirmed, .. } => {
                !is_confirmed && classify_failure(outcome).is_account_refused()
            }
            _ => false,
        }
    }
}

/// The errors of several servers, each with its name.
fn listed(errors: &[(String, DirectoryError)]) -> String {
    let one = |(server, why): &(String, DirectoryError)| {
        let why = why.to_string();
        if why.contains(server.as_str()) { why } else { format!("{server}: {why}") }
    };
    errors.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn described(outcome: &LdapResult) -> String {
    match outcome.diagnostic.as_str() {
        "" => format!("{} (result {})", classify_failure(outcome), outcome.code),
        text => format!("{} (result {}: {text})", classify_failure(outcome), outcome.code),
    }
}

impl RemoteError for DirectoryError {
    fn stage(&self) -> FailureStage {
        match self {
            Self::Resolve(_) => FailureStage::Resolve,
            Self::Connect { .. } => FailureStage::Connect,
            Self::Tls { .. } => FailureStage::Tls,
            Self::BindRejected { .. }
            | Self::Auth { .. }
            | Self::AccountRefused(_)
            | Self::AuthTimeout { .. } => FailureStage::Credentials,
            Self::Search { outcome, .. }
                if matches!(
                    classify_failure(outcome),
                    LdapFailure::NoRight | LdapFailure::NoObject
                ) =>
            {
                FailureStage::Rights
            }
            Self::Nothing(_) => FailureStage::Rights,
            Self::UpdateFailed(_) => FailureStage::Submit,
            // The server that came furthest is the most likely one to be repaired.
            Self::Tried(tried) => {
                tried.iter().map(|(_, why)| why.stage()).max().unwrap_or(FailureStage::Resolve)
            }
            _ => FailureStage::Read,
        }
    }

    fn class(&self) -> FailureClass {
        match self {
            _ if self.is_credentials_refused() => FailureClass::CredentialsRefused,
            _ => FailureClass::Transient,
        }
    }

    /// The messages themselves say what to check.
    fn remedy(&self) -> Option<&'static str> {
        None
    }
}
