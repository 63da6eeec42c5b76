//! Why a domain controller rejects a bind or a search, with messages that say what to do.

use crate::ldap::{Outcome, code};

/// The reason for a failed bind or search.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter, thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// LDAP error data 525 (ERROR_NO_SUCH_USER).
    #[error("the directory knows no such account")]
    NoAccount,
    /// LDAP error data 52e (ERROR_LOGON_FAILURE).
    #[error("the account or its password is wrong")]
    WrongPassword,
    /// LDAP error data 530 (ERROR_INVALID_LOGON_HOURS).
    #[error("the account may not log on at this time of day")]
    WrongHours,
    /// LDAP error data 531 (ERROR_INVALID_WORKSTATION).
    #[error("the account may not log on from this machine")]
    WrongWorkstation,
    /// LDAP error data 532 (ERROR_PASSWORD_EXPIRED).
    #[error("the password of the account has expired: set a new one, and one that never expires")]
    PasswordExpired,
    /// LDAP error data 533 (ERROR_ACCOUNT_DISABLED).
    #[error("the account is disabled")]
    Disabled,
    /// LDAP error data 701 (ERROR_ACCOUNT_EXPIRED).
    #[error("the account has expired")]
    AccountExpired,
    /// LDAP error data 773 (ERROR_PASSWORD_MUST_CHANGE).
    #[error("the account must change its password first: clear \"must change at next logon\"")]
    MustChange,
    /// LDAP error data 775 (ERROR_ACCOUNT_LOCKED_OUT).
    #[error("the account is locked out after too many wrong passwords")]
    LockedOut,
    /// LDAP error data 57 (ERROR_INVALID_PARAMETER), as Samba 4.17 responds to Kerberos over TLS.
    #[error("the server cannot read the proof: channel_binding = false may help an old Samba")]
    Unreadable,
    /// LDAP error data 80090346 (SEC_E_BAD_BINDINGS).
    #[error("the server requires channel binding: something between ends the TLS connection")]
    ChannelBinding,
    /// Result 8: a bind without TLS and without signing.
    #[error("the server requires TLS or signing: use transport = \"ldaps\" or bind = \"spnego\"")]
    StrongerAuth,
    /// Result 50, or operations error 000004DC.
    #[error("the account has no right to read this")]
    NoRight,
    /// Result 32.
    #[error("there is no such object, or the account may not see it")]
    NoObject,
    /// Results 51 and 52.
    #[error("the server has too much to do, or is shutting down")]
    Busy,
    /// Results 3 and 4.
    #[error("the server's own limit ended the search")]
    ServerLimit,
    /// Result 12.
    #[error("the server does not know a control that is needed")]
    NoControl,
    /// Any other.
    #[error("the server refuses")]
    Other,
}

/// Maps the number after `data` in a diagnostic message to a reason. In `80090308: LdapErr:
/// DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1` the number is `52e`.
const DATA: [(&str, Refusal); 11] = [
    ("57", Refusal::Unreadable),
    ("525", Refusal::NoAccount),
    ("52e", Refusal::WrongPassword),
    ("530", Refusal::WrongHours),
    ("531", Refusal::WrongWorkstation),
    ("532", Refusal::PasswordExpired),
    ("533", Refusal::Disabled),
    ("701", Refusal::AccountExpired),
    ("773", Refusal::MustChange),
    ("775", Refusal::LockedOut),
    ("80090346", Refusal::ChannelBinding),
];

/// Classifies a result that is not a success.
pub fn refusal(outcome: &Outcome) -> Refusal {
    let text = outcome.diagnostic.as_str();
    let data = text.split("data ").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    match outcome.code {
        code::INVALID_CREDENTIALS => {
            let named = DATA.iter().find(|(number, _)| Some(*number) == data);
            named.map_or(Refusal::WrongPassword, |(_, refusal)| *refusal)
        }
        code::STRONGER_AUTH => Refusal::StrongerAuth,
        code::NO_RIGHT => Refusal::NoRight,
        // Not bound: Samba writes 00002020, Windows 000004DC.
        1 if text.starts_with("000004DC") || text.starts_with("00002020") => Refusal::NoRight,
        code::NO_SUCH_OBJECT => Refusal::NoObject,
        code::BUSY | code::UNAVAILABLE => Refusal::Busy,
        code::TIME_LIMIT | code::SIZE_LIMIT => Refusal::ServerLimit,
        code::NO_SUCH_CONTROL => Refusal::NoControl,
        _ => Refusal::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_domain_controller_writes_is_understood() {
        let refused = |code, text: &str| refusal(&Outcome { code, diagnostic: text.to_owned() });
        let windows = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1"
            )
        };
        for (data, expected) in DATA {
            assert_eq!(refused(49, &windows(data)), expected);
        }
        assert_eq!(refused(49, ""), Refusal::WrongPassword);
        assert_eq!(refused(49, "data "), Refusal::WrongPassword);
        let anonymous = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this \
                         operation a successful bind must be completed";
        assert_eq!(refused(1, anonymous), Refusal::NoRight);
        assert_eq!(refused(1, "else"), Refusal::Other);
        assert_eq!(refused(8, ""), Refusal::StrongerAuth);
    }
}
