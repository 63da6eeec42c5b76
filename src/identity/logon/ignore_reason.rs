//! Why a record of an event log comes to nothing: a closed set, so that it can be counted.

use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};

/// Why a record comes to nothing. Nearly all records do: a server writes of itself and of services
/// far more than of people.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    IntoStaticStr,
    EnumIter,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum IgnoreReason {
    /// Its event id is not among those that are read.
    #[error("events of this id are not read")]
    NotRead,
    /// It was not written by Windows' own auditing to the security log.
    #[error("not an audit of the security log")]
    OtherLog,
    /// Somebody did not succeed, or it is not said that they did.
    #[error("not the audit of a success")]
    Failure,
    /// A ticket that was given without a proof that whoever asked for it knows the password.
    #[error("given without pre-authentication: it proves nobody")]
    Unproven,
    /// A logon of a type that says nothing of who is at an address.
    #[error("logons of this type are not read")]
    LogonType,
    /// A service acted for the user, from its own address.
    #[error("a service acted for the user")]
    Delegated,
    /// A service asked for a ticket to itself.
    #[error("a ticket to oneself: a service acted for somebody")]
    ToItself,
    /// The SID is of the machine itself or of a service, of no one, or of a built-in account.
    #[error("not an account of a person or computer in a domain")]
    NotOfDomain,
    /// An account of the server itself.
    #[error("an account of the server and of no domain")]
    LocalAccount,
    /// The name is empty or `-`.
    #[error("nobody is named")]
    Nobody,
    /// The name of the user, domain or host is not one.
    #[error("a name that cannot be one")]
    BadName,
    /// An account that monitors or synchronises, by its name.
    #[error("a monitoring or service account")]
    Noise,
    /// The address is empty, `-` or `LOCAL`.
    #[error("no address is named")]
    NoAddress,
    /// The address cannot be read.
    #[error("the address cannot be read")]
    BadAddress,
    /// Loopback, link-local, multicast or unspecified.
    #[error("nobody can be behind this address")]
    Unusable,
    /// The server itself, or an address that is configured as a server's.
    #[error("the server itself, or another server")]
    Server,
    /// A logoff from a logon that made no session, or is not remembered.
    #[error("the logon is not known")]
    UnknownLogon,
    /// The server started: its logons count anew.
    #[error("the server started")]
    Started,
}

impl IgnoreReason {
    /// The name used in metrics and JSON, for instance `not_of_domain`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
