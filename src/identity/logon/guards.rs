//! The conditions that a record must meet besides its ID, such as success or the type of logon.

use super::fields::{field_number, field_text};
use super::logon_account::stem;
use super::{IgnoreReason, LogRecord, LogonSettings};

/// A condition.
#[derive(Debug, Clone, Copy)]
pub(super) enum Guard {
    /// `Status` is 0x0. A record without a status did not succeed.
    Succeeded,
    /// `PreAuthType` is not 0. For an account without pre-authentication, any client gets a TGT
    /// (RFC 4120 section 5.2.7.2) without knowing the password that encrypts it: "AS-REP roasting",
    /// also used to enumerate accounts.
    PreAuthenticated,
    /// `LogonType` is one of the configured types.
    LogonType,
    /// `LogonType` is an interactive type.
    Interactive,
    /// No service acts for the user (constrained delegation, MS-SFU S4U2proxy): the address would
    /// be the service's.
    NotDelegated,
    /// The account does not request a ticket to itself. A service does so for a user who did not
    /// authenticate with Kerberos (MS-SFU S4U2self), and the address would be the service's.
    NotSelfTicket,
}

/// Interactive, remote interactive, and interactive with cached credentials: the user stays until
/// the logoff. All other types belong to a connection or a program.
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

/// Whether the record is about an interactive logon.
pub(super) fn is_interactive(record: &LogRecord<'_>) -> bool {
    field_number(record, "LogonType").is_some_and(|kind| INTERACTIVE_TYPES.contains(&kind))
}

fn is_self_ticket(record: &LogRecord<'_>) -> bool {
    let (user, service) = (field_text(record, "TargetUserName"), field_text(record, "ServiceName"));
    let (Some(user), Some(service)) = (user, service) else { return false };
    let user = user.rsplit_once('@').map_or(&*user, |(user, _realm)| user);
    stem(user).eq_ignore_ascii_case(stem(&service))
}
