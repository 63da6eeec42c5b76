//! Why an event log cannot be read, and what an administrator can do about it.

use std::time::Duration;

use rollcall_wire::event_log::CallStatus;
use rollcall_wire::event_log::call::EventLogCallError;
use rollcall_wire::msrpc::FaultStatus;
use rollcall_wire::msrpc::endpoint_mapper::EndpointError;
use rollcall_wire::msrpc::ndr::NdrError;
use rollcall_wire::msrpc::samr::SamrError;

use crate::remote::{AccountRefused, FailureClass, FailureStage, RemoteError, ResolveError};
use crate::windows::msrpc::RpcError;
use crate::windows::sspi::AuthError;
use rollcall_engine::messages::ApplyError;

/// Why an event log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventLogError {
    /// The host name cannot be resolved.
    #[error("{0}")]
    Resolve(#[from] ResolveError),
    /// The endpoint mapper returns no port.
    #[error("the endpoint mapper on port 135: {0}")]
    Endpoint(RpcError),
    /// The authentication failed.
    #[error("{account} cannot authenticate: {why}")]
    Credentials {
        /// The account.
        account: String,
        /// The error.
        why: RpcError,
    },
    /// The account was refused before and is not tried.
    #[error("{0}")]
    AccountRefused(#[from] AccountRefused),
    /// A call failed.
    #[error("{call}: {why}")]
    Call {
        /// The operation in MS-EVEN6 or MS-SAMR.
        call: &'static str,
        /// The error.
        why: RpcError,
    },
    /// A call returned an error.
    #[error("{call}: {status}")]
    Status {
        /// The operation in MS-EVEN6.
        call: &'static str,
        /// The error.
        status: CallStatus,
    },
    /// The account manager returned an error.
    #[error("{call}: {why}")]
    AccountManager {
        /// The operation in MS-SAMR.
        call: &'static str,
        /// The error.
        why: SamrError,
    },
    /// A response violates the interface definition.
    #[error("{call}: the response cannot be decoded: {why}")]
    Answer {
        /// The operation in MS-EVEN6 or MS-SAMR.
        call: &'static str,
        /// The error.
        why: NdrError,
    },
    /// The configuration cannot be expressed in a call.
    #[error("{0}")]
    Configured(String),
    /// No event arrived for too long.
    #[error("no event arrived for {0:?}")]
    Quiet(Duration),
    /// The events were not accepted. They are read again.
    #[error("the events were not accepted: {0}")]
    NotTaken(#[from] ApplyError),
}

impl From<EventLogCallError> for EventLogError {
    fn from(why: EventLogCallError) -> Self {
        Self::Configured(why.to_string())
    }
}

impl RemoteError for EventLogError {
    fn stage(&self) -> FailureStage {
        match self {
            Self::Resolve(_) => FailureStage::Resolve,
            Self::Endpoint(_) => FailureStage::Endpoint,
            Self::Credentials { why: RpcError::Connect { .. }, .. } => FailureStage::Connect,
            Self::Credentials { .. } | Self::AccountRefused(_) => FailureStage::Credentials,
            _ if self.is_denied() => FailureStage::Rights,
            Self::NotTaken(_) => FailureStage::Submit,
            Self::Call { .. }
            | Self::Status { .. }
            | Self::AccountManager { .. }
            | Self::Answer { .. }
            | Self::Configured(_)
            | Self::Quiet(_) => FailureStage::Read,
        }
    }

    fn class(&self) -> FailureClass {
        match self {
            Self::Quiet(_) => FailureClass::Renewal,
            _ if self.is_credentials_refused() => FailureClass::CredentialsRefused,
            _ => FailureClass::Transient,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            _ if self.is_denied() => {
                "add the account to the group Event Log Readers of the server (of the domain, for \
                 domain controllers)"
            }
            Self::Resolve(_) => "set host to the full DNS name of the server, or set address",
            Self::Endpoint(why) => return endpoint_remedy(why),
            Self::Credentials { why, .. } => credentials_remedy(why),
            Self::AccountRefused(_) => ACCOUNT_REMEDY,
            Self::Call { why, .. } => return call_remedy(why),
            Self::Status { status, .. } => return status_remedy(*status),
            Self::Quiet(_) => {
                "enable the audit of logons on the server: auditpol /get /category:\"Account Logon\",\
                 \"Logon/Logoff\""
            }
            Self::NotTaken(ApplyError::Journal(_)) => {
                "see the log or /readyz for the error of the journal; the events are read again"
            }
            Self::NotTaken(_)
            | Self::Configured(_)
            | Self::AccountManager { .. }
            | Self::Answer { .. } => {
                return None;
            }
        })
    }
}

/// What helps if an account is refused.
const ACCOUNT_REMEDY: &str = "check the account and its password, and that it is neither locked out, \
                              disabled nor expired; then change the secret file, or reload";

impl EventLogError {
    /// Whether the account was refused, now or before.
    pub(super) const fn is_credentials_refused(&self) -> bool {
        matches!(
            self,
            Self::AccountRefused(_)
                | Self::Credentials { why: RpcError::Auth(AuthError::Refused(_)), .. }
        )
    }

    /// Whether the server may have rejected a bookmark because it no longer has the events after it.
    /// The specification names three errors (MS-EVEN6 section 3.1.4.8 and its note 8); one of them
    /// is also returned for an invalid query.
    pub(super) const fn is_gap(&self) -> bool {
        matches!(
            self,
            Self::Status {
                status: CallStatus::QueryResultStale
                    | CallStatus::InvalidPosition
                    | CallStatus::NotFound
                    | CallStatus::InvalidQuery,
                ..
            }
        )
    }

    /// Whether the server has the interface, but not this call.
    pub(super) fn is_unsupported_call(&self) -> bool {
        matches!(
            self,
            Self::Call { why: RpcError::Fault(fault), .. } if fault.status == FaultStatus::OP_RANGE
        )
    }

    fn is_denied(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == CallStatus::AccessDenied,
            Self::Call { why: RpcError::Fault(fault), .. } => fault.status.is_access_denied(),
            _ => false,
        }
    }
}

/// What helps if the endpoint mapper returns no port.
const fn endpoint_remedy(why: &RpcError) -> Option<&'static str> {
    Some(match why {
        RpcError::Connect { .. } | RpcError::Timeout(_) => {
            "allow \"Remote Event Log Management (RPC-EPMAP)\" in the server's firewall, TCP 135"
        }
        RpcError::NoEndpoint(EndpointError::NotRegistered) => {
            "start the service \"Windows Event Log\" on the server"
        }
        _ => return None,
    })
}

/// What helps if the authentication fails.
const fn credentials_remedy(why: &RpcError) -> &'static str {
    match why {
        RpcError::Connect { .. } | RpcError::Timeout(_) => {
            "allow \"Remote Event Log Management (RPC)\" in the server's firewall: the dynamic ports, \
             TCP 49152 to 65535"
        }
        RpcError::NoKdc(_) | RpcError::Auth(AuthError::NoKdc(_)) => {
            "set kdc to the address and port 88 of a reachable domain controller, or add \
             _kerberos._tcp of the domain to DNS"
        }
        RpcError::Auth(AuthError::Refused(_)) => ACCOUNT_REMEDY,
        _ => {
            "check the account and its password, that the clocks differ by less than five minutes, and \
             that host is the full DNS name of the server"
        }
    }
}

/// What helps if a call fails.
const fn call_remedy(why: &RpcError) -> Option<&'static str> {
    Some(match why {
        RpcError::Closed | RpcError::Broken(_) | RpcError::Timeout(_) => {
            "none is needed for a short outage of the server or the network; if it recurs, look for a \
             firewall between here and the server that drops idle connections"
        }
        RpcError::Fault(fault)
            if matches!(fault.status, FaultStatus::OP_RANGE | FaultStatus::UNKNOWN_INTERFACE) =>
        {
            "the server does not support subscriptions to its event log: is it a Windows server? \
             Samba does not support them"
        }
        _ => return None,
    })
}

/// What helps against an error of the event log service.
const fn status_remedy(status: CallStatus) -> Option<&'static str> {
    Some(match status {
        CallStatus::InvalidChannelPath | CallStatus::ChannelNotFound => {
            "the server has no log called Security: is it a Windows server?"
        }
        // MS-ERREF section 2.2 says to query again, which Rollcall does.
        CallStatus::QueryResultStale | CallStatus::InvalidPosition | CallStatus::NotFound => {
            "none is needed if it is rare: the log was cleared or overwritten, Rollcall continues after \
             its bookmark and reports lost events as a gap. If it recurs, make the security log of the \
             server larger (wevtutil sl Security /ms:BYTES) and find out who clears it (event 1102)"
        }
        CallStatus::OutOfMemory => "free memory on the server; Rollcall retries",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rollcall_wire::msrpc::Fault;

    use super::*;

    fn status(code: u32) -> EventLogError {
        let call = "EvtRpcRemoteSubscriptionNext";
        EventLogError::Status { call, status: CallStatus::from_code(code) }
    }

    fn call(why: RpcError) -> EventLogError {
        EventLogError::Call { call: "EvtRpcRegisterRemoteSubscription", why }
    }

    fn credentials(why: RpcError) -> EventLogError {
        EventLogError::Credentials { account: "reader".to_owned(), why }
    }

    fn fault(status: FaultStatus) -> RpcError {
        RpcError::Fault(Fault { status, did_not_execute: false })
    }

    fn refused() -> RpcError {
        let server = "192.0.2.1:135".parse().unwrap();
        RpcError::Connect { server, error: std::io::ErrorKind::ConnectionRefused.into() }
    }

    #[test]
    fn known_failures_have_a_remedy() {
        for (failure, stage, helps) in [
            (status(5), FailureStage::Rights, "Event Log Readers"),
            (call(fault(FaultStatus::ACCESS_DENIED)), FailureStage::Rights, "Event Log Readers"),
            (status(0x3a98), FailureStage::Read, "no log called Security"),
            (status(0x3a9f), FailureStage::Read, "no log called Security"),
            (status(0x3aa3), FailureStage::Read, "wevtutil sl Security /ms:"),
            (status(0x3aa4), FailureStage::Read, "wevtutil sl Security /ms:"),
            (status(0x490), FailureStage::Read, "wevtutil sl Security /ms:"),
            (status(14), FailureStage::Read, "memory"),
            (EventLogError::Endpoint(refused()), FailureStage::Endpoint, "TCP 135"),
            (
                EventLogError::Endpoint(RpcError::NoEndpoint(EndpointError::NotRegistered)),
                FailureStage::Endpoint,
                "start the service \"Windows Event Log\"",
            ),
            (credentials(refused()), FailureStage::Connect, "49152"),
            (
                credentials(RpcError::Auth(AuthError::NoKdc(String::new()))),
                FailureStage::Credentials,
                "set kdc",
            ),
            (
                credentials(RpcError::Auth(AuthError::Refused(String::new()))),
                FailureStage::Credentials,
                "its password",
            ),
            (call(RpcError::Closed), FailureStage::Read, "drops idle connections"),
            (call(fault(FaultStatus::OP_RANGE)), FailureStage::Read, "Windows server"),
            (EventLogError::Quiet(Duration::from_secs(1)), FailureStage::Read, "auditpol"),
            (
                EventLogError::NotTaken(ApplyError::Journal("full".to_owned())),
                FailureStage::Submit,
                "/readyz",
            ),
        ] {
            let remedy = failure.remedy().unwrap_or_default();
            assert!(remedy.contains(helps), "{failure}: {remedy}");
            assert_eq!(failure.stage(), stage, "{failure}");
        }
        assert_eq!(status(1223).remedy(), None, "an unknown error has no remedy");
    }
}
