//! What must hold of a record besides its id: it succeeded, of its own accord, by such a logon.

use super::fields::{field_number, field_text};
use super::logon_account::stem;
use super::{IgnoreReason, LogRecord, LogonSettings};

/// One condition.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guard {
    /// `Status` is 0x0. A record without it did not succeed.
    Succeeded,
    /// `PreAuthType` is not 0. Of an account that needs no pre-authentication, anybody gets a TGT
    /// (RFC 4120 section 5.2.7.2), encrypted with a password that they need not know: "AS-REP
    /// roasting", and the way to find out which accounts there are.
    PreAuthenticated,
    /// `LogonType` is one of those that are read.
    LogonType,
    /// `LogonType` is one in which people stay.
    Interactive,
    /// No service acts for the user (constrained delegation, MS-SFU S4U2proxy): the address would be
    /// the service's.
    NotDelegated,
    /// Nobody asks for a ticket to themselves: so does a service for a user who never came with
    /// Kerberos (MS-SFU S4U2self), and again the address is the service's.
    NotSelfTicket,
}

/// Interactive, remote interactive, and interactive with cached credentials: somebody sits before
/// the logon until its end. All others are a connection's or a program's.
const INTERACTIVE_TYPES: [u64; 3] = [2, 10, 11];

impl Guard {
    pub(super) fn check(
        self,
        record: &LogRecord<'_>,
        settings: &LogonSettings,
    ) -> Result<(), IgnoreReason> {
        let kind = || field_number(record, "LogonType");
        match self {
            Self::Succeeded if field_number(record, "Status") != Some(0) => {
                Err(IgnoreReason::Failure)
            }
            Self::PreAuthenticated
                if field_number(record, "PreAuthType").is_none_or(|kind| kind == 0) =>
            {
                Err(IgnoreReason::Unproven)
            }
            Self::LogonType if kind().is_none_or(|kind| !settings.reads_type(kind)) => {
                Err(IgnoreReason::LogonType)
            }
            Self::Interactive if !is_interactive(record) => Err(IgnoreReason::LogonType),
            Self::NotDelegated if field_text(record, "TransmittedServices").is_some() => {
                Err(IgnoreReason::Delegated)
            }
            Self::NotSelfTicket if is_self_ticket(record) => Err(IgnoreReason::ToItself),
            _ => Ok(()),
        }
    }
}

/// Whether the logon that the record tells of is one in which people stay.
pub(super) fn is_interactive(record: &LogRecord<'_>) -> bool {
    field_number(record, "LogonType").is_some_and(|kind| INTERACTIVE_TYPES.contains(&kind))
}

fn is_self_ticket(record: &LogRecord<'_>) -> bool {
    let (user, service) = (field_text(record, "TargetUserName"), field_text(record, "ServiceName"));
    let (Some(user), Some(service)) = (user, service) else { return false };
    let user = user.rsplit_once('@').map_or(&*user, |(user, _realm)| user);
    stem(user).eq_ignore_ascii_case(stem(&service))
}
