//! Why an event log cannot be read, and what to do about it, in sentences for an administrator.

use std::time::Duration;

use rollcall_wire::event_log::CallStatus;
use rollcall_wire::event_log::call::EventLogCallError;
use rollcall_wire::msrpc::FaultStatus;
use rollcall_wire::msrpc::endpoint_mapper::EndpointError;
use rollcall_wire::msrpc::ndr::NdrError;
use rollcall_wire::msrpc::samr::SamrError;

use crate::resolver::NoName;
use crate::windows::msrpc::Trouble;
use rollcall_engine::messages::ApplyError;

/// How far it came: the label of a counter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum EventLogStage {
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
pub enum EventLogError {
    /// Its name leads nowhere.
    #[error("the address of {host} is not to be had: {why}")]
    Names {
        /// The name.
        host: String,
        /// What came instead.
        why: NoName,
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
        status: CallStatus,
    },
    /// The account manager does not say what it is asked.
    #[error("{call}: {why}")]
    NotTold {
        /// The name of the operation in MS-SAMR.
        call: &'static str,
        /// Why.
        why: SamrError,
    },
    /// An answer is not what the interface says.
    #[error("{call}: the answer cannot be read: {why}")]
    Answer {
        /// The name of the operation in MS-EVEN6.
        call: &'static str,
        /// Why.
        why: NdrError,
    },
    /// No call can be made of the configuration.
    #[error("{0}")]
    Configured(String),
    /// The server has nothing to say for too long.
    #[error("no event came for {0:?}")]
    Quiet(Duration),
    /// What was read was not taken; it is read again.
    #[error("what was read is not taken: {0}")]
    NotTaken(#[from] ApplyError),
}

impl From<EventLogCallError> for EventLogError {
    fn from(why: EventLogCallError) -> Self {
        Self::Configured(why.to_string())
    }
}

impl EventLogError {
    /// How far it came.
    pub fn stage(&self) -> EventLogStage {
        match self {
            Self::Names { .. } => EventLogStage::Names,
            Self::Endpoint(_) => EventLogStage::Endpoint,
            Self::Credentials { .. } => EventLogStage::Credentials,
            _ if self.is_denied() => EventLogStage::Rights,
            Self::NotTaken(_) => EventLogStage::HandingOver,
            Self::Call { .. }
            | Self::Status { .. }
            | Self::NotTold { .. }
            | Self::Answer { .. }
            | Self::Configured(_)
            | Self::Quiet(_) => EventLogStage::Read,
        }
    }

    /// Whether the server may have refused a bookmark because it has not what follows it any more:
    /// the specification names three errors for it (MS-EVEN6 section 3.1.4.8 and its note 8), of
    /// which one is also that of a query that is wrong in itself.
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

    /// Whether the server has the interface, but not this call of it.
    pub(super) fn is_of_no_such_call(&self) -> bool {
        matches!(
            self,
            Self::Call { why: Trouble::Fault(fault), .. } if fault.status == FaultStatus::OP_RANGE
        )
    }

    /// Whether the server does not believe the account, which trying again does not mend.
    pub(super) fn refuses_the_account(&self) -> bool {
        let Self::Credentials { why, .. } = self else { return false };
        match why {
            Trouble::Proof(_) => true,
            Trouble::Association(failure) => failure.is_account_denied(),
            _ => false,
        }
    }

    fn is_denied(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == CallStatus::AccessDenied,
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
            Self::Endpoint(why) => return at_the_mapper(why),
            Self::Credentials { why, .. } => at_the_bind(why),
            Self::Call { why, .. } => return at_a_call(why),
            Self::Status { status, .. } => return by_status(*status),
            Self::Quiet(_) => {
                "let the server audit logons: auditpol /get /category:\"Account Logon\",\
                 \"Logon/Logoff\""
            }
            Self::NotTaken(ApplyError::Journal(_)) => {
                "see what is wrong with the journal, in the log or at /readyz; what was not taken is \
                 read again"
            }
            Self::NotTaken(_)
            | Self::Configured(_)
            | Self::NotTold { .. }
            | Self::Answer { .. } => {
                return None;
            }
        })
    }
}

/// What helps when no endpoint is found.
const fn at_the_mapper(why: &Trouble) -> Option<&'static str> {
    Some(match why {
        Trouble::Connect { .. } | Trouble::Silent(_) => {
            "allow \"Remote Event Log Management (RPC-EPMAP)\" in the server's firewall, TCP 135"
        }
        Trouble::NoEndpoint(EndpointError::NotRegistered) => {
            "start the service \"Windows Event Log\" on the server"
        }
        _ => return None,
    })
}

/// What helps when the account is not let in.
const fn at_the_bind(why: &Trouble) -> &'static str {
    match why {
        Trouble::Connect { .. } | Trouble::Silent(_) => {
            "allow \"Remote Event Log Management (RPC)\" in the server's firewall: the dynamic ports, \
             TCP 49152 to 65535"
        }
        Trouble::NoKdc(_) => {
            "write kdc, the address and port 88 of a domain controller that can be reached, or let the \
             name servers know _kerberos._tcp of the domain"
        }
        _ => {
            "check the account and its password, that it is not locked, that the clocks agree within \
             five minutes, and that the server is called by its full name"
        }
    }
}

/// What helps when a call has no answer, or a fault in the place of one.
fn at_a_call(why: &Trouble) -> Option<&'static str> {
    Some(match why {
        Trouble::Closed | Trouble::Broken(_) | Trouble::Silent(_) => {
            "nothing, when the server or the line was away for a moment; when it comes again and again, \
             see what between here and the server cuts connections on which nothing is said for long"
        }
        Trouble::Fault(fault)
            if matches!(fault.status, FaultStatus::OP_RANGE | FaultStatus::UNKNOWN_INTERFACE) =>
        {
            "the server has no event log that can be followed from afar: is it a Windows server? \
             Samba has none"
        }
        _ => return None,
    })
}

/// What helps against an error of the event log itself.
const fn by_status(status: CallStatus) -> Option<&'static str> {
    Some(match status {
        CallStatus::InvalidChannelPath | CallStatus::ChannelNotFound => {
            "the server has no log called Security: is it a Windows server?"
        }
        // The log is to be asked anew (MS-ERREF section 2.2), which is done; an administrator can see
        // to it that there is no need.
        CallStatus::QueryResultStale | CallStatus::InvalidPosition | CallStatus::NotFound => {
            "nothing, when it is seldom: the log was cleared or went round, it is read on behind the \
             bookmark, and what was lost is told as a gap. When it comes again and again, make the \
             security log of the server larger (wevtutil sl Security /ms:BYTES) and see who clears it \
             (event 1102)"
        }
        CallStatus::OutOfMemory => "see what takes the memory of the server; it is tried again",
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

    fn call(why: Trouble) -> EventLogError {
        EventLogError::Call { call: "EvtRpcRegisterRemoteSubscription", why }
    }

    fn credentials(why: Trouble) -> EventLogError {
        EventLogError::Credentials { account: "reader".to_owned(), why }
    }

    fn fault(status: FaultStatus) -> Trouble {
        Trouble::Fault(Fault { status, did_not_execute: false })
    }

    fn refused() -> Trouble {
        let at = "192.0.2.1:135".parse().unwrap();
        Trouble::Connect { at, why: std::io::ErrorKind::ConnectionRefused.into() }
    }

    #[test]
    fn what_an_administrator_can_mend_has_its_remedy() {
        for (failure, stage, helps) in [
            (status(5), EventLogStage::Rights, "Event Log Readers"),
            (call(fault(FaultStatus::ACCESS_DENIED)), EventLogStage::Rights, "Event Log Readers"),
            (status(0x3a98), EventLogStage::Read, "no log called Security"),
            (status(0x3a9f), EventLogStage::Read, "no log called Security"),
            (status(0x3aa3), EventLogStage::Read, "wevtutil sl Security /ms:"),
            (status(0x3aa4), EventLogStage::Read, "wevtutil sl Security /ms:"),
            (status(0x490), EventLogStage::Read, "wevtutil sl Security /ms:"),
            (status(14), EventLogStage::Read, "memory"),
            (EventLogError::Endpoint(refused()), EventLogStage::Endpoint, "TCP 135"),
            (
                EventLogError::Endpoint(Trouble::NoEndpoint(EndpointError::NotRegistered)),
                EventLogStage::Endpoint,
                "start the service \"Windows Event Log\"",
            ),
            (credentials(refused()), EventLogStage::Credentials, "49152"),
            (credentials(Trouble::NoKdc(String::new())), EventLogStage::Credentials, "write kdc"),
            (
                credentials(Trouble::Proof(String::new())),
                EventLogStage::Credentials,
                "its password",
            ),
            (call(Trouble::Closed), EventLogStage::Read, "cuts connections"),
            (call(fault(FaultStatus::OP_RANGE)), EventLogStage::Read, "Windows server"),
            (EventLogError::Quiet(Duration::from_secs(1)), EventLogStage::Read, "auditpol"),
            (
                EventLogError::NotTaken(ApplyError::Journal("full".to_owned())),
                EventLogStage::HandingOver,
                "/readyz",
            ),
        ] {
            let remedy = failure.remedy().unwrap_or_default();
            assert!(remedy.contains(helps), "{failure}: {remedy}");
            assert_eq!(failure.stage(), stage, "{failure}");
        }
        assert_eq!(status(1223).remedy(), None, "nobody knows everything");
    }
}
