//! Why a directory cannot be read, in a sentence that says what to look at.

use std::io;
use std::time::Duration;

use rollcall_wire::active_directory::{CookieError, LdapFailure, RootDseError, classify_failure};
use rollcall_wire::ldap::{BerError, LdapResult};

use super::UpdateFailed;
use crate::resolver::{NoName, NotFound};

/// How far it came: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum DirectoryStage {
    /// Finding the servers and their addresses.
    Names,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Proving who Rollcall is.
    Credentials,
    /// Being allowed to read.
    Rights,
    /// Reading.
    Read,
    /// Handing over what was read.
    Learning,
}

/// Why a directory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A name server does not say where the domain controllers are.
    #[error("DNS does not tell {what}: {why}")]
    Names {
        /// What was asked for.
        what: String,
        /// What came instead.
        why: NoName,
    },
    /// Nobody accepts the connection.
    #[error("cannot connect to {server}: {why}")]
    Connect {
        /// Its name, address and port.
        server: String,
        /// What the system says.
        why: io::Error,
    },
    /// The handshake failed.
    #[error("no TLS with {server}: {why}")]
    Tls {
        /// Its name, address and port.
        server: String,
        /// Why, with the subject of the certificate.
        why: String,
    },
    /// The account is not let in.
    #[error("{server} does not let {account} in: {}", said(.outcome))]
    Refused {
        /// Which server.
        server: String,
        /// Which account.
        account: String,
        /// What it answered.
        outcome: LdapResult,
    },
    /// Kerberos or NTLM do not come to an end.
    #[error("{account} cannot prove itself to {server}: {why}")]
    Proof {
        /// Which server.
        server: String,
        /// Which account.
        account: String,
        /// Why.
        why: String,
    },
    /// The server neither lets the account in nor refuses it.
    #[error("{server} has not let {account} in after {patience:?}; see [active_directory.limits]")]
    Slow {
        /// Which server.
        server: String,
        /// Which account.
        account: String,
        /// How long it may take, from the beginning of the connection.
        patience: Duration,
    },
    /// A search is refused.
    #[error("the search {search} failed: {}", said(.outcome))]
    Search {
        /// The base and the filter.
        search: String,
        /// What the server answered.
        outcome: LdapResult,
    },
    /// The connection ended.
    #[error("the connection broke off: {0}")]
    Broken(#[from] io::Error),
    /// The server speaks no LDAP.
    #[error("the server does not keep to LDAP: {0}")]
    Protocol(#[from] BerError),
    /// A control is answered wrongly.
    #[error("the server does not keep to its controls: {0}")]
    Control(#[from] CookieError),
    /// It is no domain controller.
    #[error("{0}")]
    NoController(#[from] RootDseError),
    /// It is the controller of another domain.
    #[error("{server} is a controller of {found}, not of {wanted}")]
    OtherDomain {
        /// Which server.
        server: String,
        /// Its domain.
        found: String,
        /// The one that is configured.
        wanted: String,
    },
    /// The server does not answer.
    #[error("the server was silent for {0:?}")]
    Silent(Duration),
    /// The server says good-bye.
    #[error("the server closes the connection: {}", .0.diagnostic)]
    Closed(LdapResult),
    /// A reading grows beyond what is configured.
    #[error("cut after {0}: the directory answers on and on; see [active_directory.limits]")]
    Endless(String),
    /// There is nothing where everything should be, which would end everybody's groups.
    #[error(
        "the account sees no user, computer or group below {0}: has it lost its rights? Where \
         nobody is any more, take the place out of bases"
    )]
    Nothing(String),
    /// Each server of several fails in its own way.
    #[error("none of {} servers can be used: {}", .0.len(), each(.0))]
    Tried(Vec<(String, DirectoryError)>),
    /// What was read was not taken.
    #[error("{0}")]
    UpdateFailed(#[from] UpdateFailed),
}

impl From<NotFound> for DirectoryError {
    fn from(NotFound { what, why }: NotFound) -> Self {
        Self::Names { what, why }
    }
}

/// One server after the other, each named.
fn each(tried: &[(String, DirectoryError)]) -> String {
    let one = |(server, why): &(String, DirectoryError)| {
        let why = why.to_string();
        if why.contains(server.as_str()) { why } else { format!("{server}: {why}") }
    };
    tried.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn said(outcome: &LdapResult) -> String {
    match outcome.diagnostic.as_str() {
        "" => format!("{} (result {})", classify_failure(outcome), outcome.code),
        text => format!("{} (result {}: {text})", classify_failure(outcome), outcome.code),
    }
}

impl DirectoryError {
    /// How far it came.
    pub fn stage(&self) -> DirectoryStage {
        match self {
            Self::Names { .. } => DirectoryStage::Names,
            Self::Connect { .. } => DirectoryStage::Connect,
            Self::Tls { .. } => DirectoryStage::Tls,
            Self::Refused { .. } | Self::Proof { .. } | Self::Slow { .. } => {
                DirectoryStage::Credentials
            }
            Self::Search { outcome, .. }
                if matches!(
                    classify_failure(outcome),
                    LdapFailure::NoRight | LdapFailure::NoObject
                ) =>
            {
                DirectoryStage::Rights
            }
            Self::Nothing(_) => DirectoryStage::Rights,
            Self::UpdateFailed(_) => DirectoryStage::Learning,
            // Where it came furthest, there is most to mend.
            Self::Tried(tried) => {
                tried.iter().map(|(_, why)| why.stage()).max().unwrap_or(DirectoryStage::Names)
            }
            _ => DirectoryStage::Read,
        }
    }
}
