//! Why a domain controller rejects a bind or a search, with messages that say what to do.

use crate::ldap::{LdapResult, code};

/// The reason for a failed bind or search.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter, thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
pub enum LdapFailure {
    /// LDAP error data 525 (ERROR_NO_SUCH_USER).
    #[error("the account does not exist")]
    NoAccount,
    /// LDAP error data 52e (ERROR_LOGON_FAILURE).
    #[error("the user name or the password is wrong")]
    WrongPassword,
    /// LDAP error data 530 (ERROR_INVALID_LOGON_HOURS).
    #[error("the account may not log on at this time of day")]
    WrongHours,
    /// LDAP error data 531 (ERROR_INVALID_WORKSTATION).
    #[error("the account may not log on from this computer")]
    WrongWorkstation,
    /// LDAP error data 532 (ERROR_PASSWORD_EXPIRED).
    #[error("the password of the account has expired: set a new one that does not expire")]
    PasswordExpired,
    /// LDAP error data 533 (ERROR_ACCOUNT_DISABLED).
    #[error("the account is disabled")]
    Disabled,
    /// LDAP error data 701 (ERROR_ACCOUNT_EXPIRED).
    #[error("the account has expired")]
    AccountExpired,
    /// LDAP error data 773 (ERROR_PASSWORD_MUST_CHANGE).
    #[error(
        "the account must change its password at the next logon: clear \"must change at next logon\""
    )]
    MustChange,
    /// LDAP error data 775 (ERROR_ACCOUNT_LOCKED_OUT).
    #[error("the account is locked out after too many wrong passwords")]
    LockedOut,
    /// LDAP error data 57 (ERROR_INVALID_PARAMETER), as Samba 4.17 responds to Kerberos over TLS.
    #[error(
        "the server cannot verify the credentials: for an old Samba try channel_binding = false"
    )]
    Unreadable,
    /// LDAP error data 80090346 (SEC_E_BAD_BINDINGS).
    #[error("the server requires channel binding: a proxy terminates the TLS connection")]
    ChannelBinding,
    /// Result 8: a bind without TLS and without signing.
    #[error("the server requires TLS or signing: use transport = \"ldaps\" or bind = \"spnego\"")]
    StrongerAuth,
    /// Result 50, or operations error 000004DC.
    #[error("the account has no right to read this")]
    NoRight,
    /// Result 32.
    #[error("the object does not exist, or the account has no right to see it")]
    NoObject,
    /// Results 51 and 52.
    #[error("the server is busy or is shutting down")]
    Busy,
    /// Results 3 and 4.
    #[error("a limit of the server ended the search")]
    ServerLimit,
    /// Result 12.
    #[error("the server does not support a required control")]
    NoControl,
    /// Any other.
    #[error("the server rejected the request")]
    Other,
}

impl LdapFailure {
    /// Whether the account cannot log on with this password, which another attempt does not change
    /// and which may count towards the lockout threshold of the domain.
    pub const fn is_account_refused(self) -> bool {
        matches!(
            self,
            Self::NoAccount
                | Self::WrongPassword
                | Self::WrongHours
                | Self::WrongWorkstation
                | Self::PasswordExpired
                | Self::Disabled
                | Self::AccountExpired
                | Self::MustChange
                | Self::LockedOut
        )
    }
}

/// Maps the number after `data` in a diagnostic message to a reason. In `80090308: LdapErr:
/// DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1` the number is `52e`.
const DATA: [(&str, LdapFailure); 11] = [
    ("57", LdapFailure::Unreadable),
    ("525", LdapFailure::NoAccount),
    ("52e", LdapFailure::WrongPassword),
    ("530", LdapFailure::WrongHours),
    ("531", LdapFailure::WrongWorkstation),
    ("532", LdapFailure::PasswordExpired),
    ("533", LdapFailure::Disabled),
    ("701", LdapFailure::AccountExpired),
    ("773", LdapFailure::MustChange),
    ("775", LdapFailure::LockedOut),
    ("80090346", LdapFailure::ChannelBinding),
];

/// Classifies a result that is not a success.
pub fn classify_failure(outcome: &LdapResult) -> LdapFailure {
    let text = outcome.diagnostic.as_str();
    let data = text.split("data ").nth(1).and_then(|rest| rest.split([',', ' ']).next());
    match outcome.code {
        code::INVALID_CREDENTIALS => {
            let known = DATA.iter().find(|(number, _)| Some(*number) == data);
            // An unknown number counts as a wrong password, because a retry could lock the account.
            known.map_or(LdapFailure::WrongPassword, |(_, failure)| *failure)
        }
        code::STRONGER_AUTH_REQUIRED => LdapFailure::StrongerAuth,
        code::INSUFFICIENT_ACCESS_RIGHTS => LdapFailure::NoRight,
        // Not bound: Samba writes 00002020, Windows 000004DC.
        1 if text.starts_with("000004DC") || text.starts_with("00002020") => LdapFailure::NoRight,
        code::NO_SUCH_OBJECT => LdapFailure::NoObject,
        code::BUSY | code::UNAVAILABLE => LdapFailure::Busy,
        code::TIME_LIMIT_EXCEEDED | code::SIZE_LIMIT_EXCEEDED => LdapFailure::ServerLimit,
        code::UNAVAILABLE_CRITICAL_EXTENSION => LdapFailure::NoControl,
        _ => LdapFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostic_messages_are_classified() {
        let refused =
            |code, text: &str| classify_failure(&LdapResult { code, diagnostic: text.to_owned() });
        let windows = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1"
            )
        };
        for (data, expected) in DATA {
            assert_eq!(refused(49, &windows(data)), expected);
        }
        assert_eq!(refused(49, ""), LdapFailure::WrongPassword);
        assert_eq!(refused(49, "data "), LdapFailure::WrongPassword);
        // Samba 4.17 for a wrong password with NTLM.
        assert_eq!(refused(49, &windows("490")), LdapFailure::WrongPassword);
        let anonymous = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this \
                         operation a successful bind must be completed";
        assert_eq!(refused(1, anonymous), LdapFailure::NoRight);
        assert_eq!(refused(1, "else"), LdapFailure::Other);
        assert_eq!(refused(8, ""), LdapFailure::StrongerAuth);
    }
}
