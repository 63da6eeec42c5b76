//! Why an event log cannot be read, and what to do about it, in sentences for an administrator.

use std::io;
use std::time::Duration;

use rollcall_wire::event_log::Status;
use rollcall_wire::event_log::call::BadCall;
use rollcall_wire::msrpc::endpoint_mapper::NoEndpoint;
use rollcall_wire::msrpc::ndr::BadStub;
use rollcall_wire::msrpc::security_accounts::NotTold;

use crate::cache::Refused;
use crate::msrpc::Trouble;

/// How far it came: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Stage {
    /// Finding the server's address.
    Names,
    /// Finding where its event log listens.
    Endpoint,
    /// Connecting and proving who Rollcall is.
    Credentials,
    /// Being allowed to read.
    Rights,
    /// Reading.
    Read,
    /// Handing over what was read.
    HandingOver,
}

/// Why an event log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Its name leads nowhere.
    #[error("the address of {host} is not to be had: {why}")]
    Names {
        /// The name.
        host: String,
        /// What the system says.
        why: io::Error,
    },
    /// The endpoint mapper does not help.
    #[error("the endpoint mapper on port 135: {0}")]
    Endpoint(Trouble),
    /// The account is not let in.
    #[error("{account} is not let in: {why}")]
    Credentials {
        /// Which account.
        account: String,
        /// Why.
        why: Trouble,
    },
    /// A call fails.
    #[error("{call}: {why}")]
    Call {
        /// The name of the operation in MS-EVEN6.
        call: &'static str,
        /// Why.
        why: Trouble,
    },
    /// A call is answered with an error.
    #[error("{call}: {status}")]
    Status {
        /// The name of the operation in MS-EVEN6.
        call: &'static str,
        /// The error.
        status: Status,
    },
    /// The account manager does not say what it is asked.
    #[error("{call}: {why}")]
    NotTold {
        /// The name of the operation in MS-SAMR.
        call: &'static str,
        /// Why.
        why: NotTold,
    },
    /// An answer is not what the interface says.
    #[error("{call}: the answer cannot be read: {why}")]
    Answer {
        /// The name of the operation in MS-EVEN6.
        call: &'static str,
        /// Why.
        why: BadStub,
    },
    /// No call can be made of the configuration.
    #[error("{0}")]
    Configured(String),
    /// The server has nothing to say for too long.
    #[error("no event came for {0:?}")]
    Quiet(Duration),
    /// What was read was not taken; it is read again.
    #[error("what was read is not taken: {0}")]
    NotTaken(#[from] Refused),
}

impl From<BadCall> for Failure {
    fn from(why: BadCall) -> Self {
        Self::Configured(why.to_string())
    }
}

impl Failure {
    /// How far it came.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Names { .. } => Stage::Names,
            Self::Endpoint(_) => Stage::Endpoint,
            Self::Credentials { .. } => Stage::Credentials,
            _ if self.is_denied() => Stage::Rights,
            Self::NotTaken(_) => Stage::HandingOver,
            Self::Call { .. }
            | Self::Status { .. }
            | Self::NotTold { .. }
            | Self::Answer { .. }
            | Self::Configured(_)
            | Self::Quiet(_) => Stage::Read,
        }
    }

    /// Whether the server may have refused a bookmark because it has not what follows it any more:
    /// the specification names three errors for it (MS-EVEN6 section 3.1.4.8 and its note 8), of
    /// which one is also that of a query that is wrong in itself.
    pub(super) const fn is_gap(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: Status::QueryResultStale
                    | Status::InvalidPosition
                    | Status::NotFound
                    | Status::InvalidQuery,
                ..
            }
        )
    }

    /// Whether the server does not believe the account, which trying again does not mend.
    pub(super) fn refuses_the_account(&self) -> bool {
        let Self::Credentials { why, .. } = self else { return false };
        match why {
            Trouble::Proof(_) => true,
            Trouble::Association(failure) => failure.denies_the_account(),
            _ => false,
        }
    }

    fn is_denied(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == Status::AccessDenied,
            Self::Call { why: Trouble::Fault(fault), .. } => fault.status.is_access_denied(),
            _ => false,
        }
    }

    /// What an administrator can do about it, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            _ if self.is_denied() => {
                "put the account into the group Event Log Readers of the server (of the domain, for \
                 domain controllers)"
            }
            Self::Names { .. } => "write the full name of the server, as its DNS has it",
            Self::Endpoint(Trouble::Connect { .. } | Trouble::Silent(_)) => {
                "allow \"Remote Event Log Management (RPC-EPMAP)\" in the server's firewall, TCP 135"
            }
            Self::Endpoint(Trouble::NoEndpoint(NoEndpoint::NotRegistered)) => {
                "start the service \"Windows Event Log\" on the server"
            }
            Self::Credentials { why: Trouble::Connect { .. } | Trouble::Silent(_), .. } => {
                "allow \"Remote Event Log Management (RPC)\" in the server's firewall: the dynamic \
                 ports, TCP 49152 to 65535"
            }
            Self::Credentials { why: Trouble::NoKdc(_), .. } => {
                "write kdc, the address and port 88 of a domain controller that can be reached"
            }
            Self::Credentials { .. } => {
                "check the account and its password, that it is not locked, that the clocks agree \
                 within five minutes, and that the server is called by its full name"
            }
            Self::Status {
                status: Status::InvalidChannelPath | Status::ChannelNotFound, ..
            } => "the server has no log called Security: is it a Windows server?",
            Self::Quiet(_) => {
                "let the server audit logons: auditpol /get /category:\"Account Logon\",\
                 \"Logon/Logoff\""
            }
            _ => return None,
        })
    }
}
