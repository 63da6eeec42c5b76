//! Why a record of an event log yields no event: a closed set, so that it can be counted.

use serde::Serialize;
use strum::{EnumIter, IntoStaticStr};

/// Why a record yields no event. This applies to most records: servers log far more about
/// themselves and about services than about users.
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
    /// The event ID is not read.
    #[error("events with this ID are not read")]
    NotRead,
    /// The record was not written to the security log by Windows auditing.
    #[error("not a security audit record")]
    OtherLog,
    /// The record is not a success audit.
    #[error("not a success audit")]
    Failure,
    /// The ticket was issued without proof that the client knows the password.
    #[error("issued without pre-authentication, which proves no identity")]
    Unproven,
    /// The logon type does not identify a user at an address.
    #[error("logons of this type are not read")]
    LogonType,
    /// A service acted for the user, from its own address.
    #[error("a service acted for the user")]
    Delegated,
    /// A service requested a ticket to itself.
    #[error("a ticket to itself: a service acted for a user")]
    ToItself,
    /// The SID is of the machine, a service, a built-in account, or missing.
    #[error("not a user or computer account of a domain")]
    NotOfDomain,
    /// A local account of the server.
    #[error("a local account of the server")]
    LocalAccount,
    /// The account name is empty or `-`.
    #[error("no account is named")]
    NoAccount,
    /// The name of the user, domain or host is invalid.
    #[error("an invalid name")]
    BadName,
    /// A monitoring or synchronization account, by its name.
    #[error("a monitoring or service account")]
    Noise,
    /// The address is empty, `-` or `LOCAL`.
    #[error("no address is named")]
    NoAddress,
    /// The address cannot be parsed.
    #[error("the address cannot be read")]
    BadAddress,
    /// A loopback, link-local, multicast or unspecified address.
    #[error("this address cannot have a session")]
    Unusable,
    /// The server itself, or an address that is configured as a server's.
    #[error("the server itself, or another server")]
    Server,
    /// A logoff for a logon that created no session, or is not remembered.
    #[error("the logon ID is not known")]
    UnknownLogon,
    /// The server started, so its logon IDs start again.
    #[error("the server started")]
    Started,
}

impl IgnoreReason {
    /// The name used in metrics and JSON, for example `not_of_domain`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
