//! The account in a record: by SID, which is independent of the language of Windows, then by name.

use super::fields::field_text;
use super::{IgnoreReason, LogRecord, LogonSettings};
use crate::directory::Sid;
use crate::{Name, Principal};

/// The fields that name an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct AccountFields {
    /// The SID, if the event has one.
    pub(super) sid: Option<&'static str>,
    /// The name: `alice`, `alice@REALM` or `PC1$`.
    pub(super) user: &'static str,
    /// The domain: a NetBIOS or DNS name, or what the user typed.
    pub(super) domain: Option<&'static str>,
}

/// The user or computer that a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogonAccount {
    /// The account name.
    pub(super) principal: Principal,
    /// The host, if the name is a computer's. The names of group managed service accounts look the
    /// same; only a directory can distinguish them, by SID.
    pub(super) device: Option<Name>,
    /// The SID, if the event has one.
    pub(super) sid: Option<Box<Sid>>,
}

/// Domain accounts that are no users: the guest, and the account of the Kerberos service (MS-DTYP
/// section 2.4.2.4, DOMAIN_USER_RID_GUEST and DOMAIN_USER_RID_KRBTGT).
const EXCLUDED_RIDS: [u32; 2] = [501, 502];

impl AccountFields {
    /// The SID in the record.
    pub(super) fn sid(self, record: &LogRecord<'_>) -> Option<Sid> {
        record.fields.text(self.sid?)?.trim().parse().ok()
    }
}

impl LogonAccount {
    /// The account in `record`, if it can be a user's or computer's.
    pub(super) fn read(
        record: &LogRecord<'_>,
        fields: AccountFields,
        settings: &LogonSettings,
    ) -> Result<Self, IgnoreReason> {
        let sid = match fields.sid {
            Some(_) => Some(
                fields.sid(record).filter(Sid::is_of_domain).ok_or(IgnoreReason::NotOfDomain)?,
            ),
            None => None,
        };
        if sid.as_ref().is_some_and(|sid| EXCLUDED_RIDS.contains(&sid.rid())) {
            return Err(IgnoreReason::NotOfDomain);
        }
        let user = field_text(record, fields.user).ok_or(IgnoreReason::NoAccount)?;
        let domain = fields.domain.and_then(|field| field_text(record, field));
        let domain = domain.map(|domain| Name::new(&domain)).transpose();
        let domain = domain.map_err(|_| IgnoreReason::BadName)?;
        let principal =
            Principal::parse(&user, domain.as_ref()).map_err(|_| IgnoreReason::BadName)?;
        if settings.ignored_accounts.match_principal(&principal) {
            return Err(IgnoreReason::Noise);
        }
        let server = host(record.computer);
        let device = match principal.is_machine() {
            true => {
                Some(Name::new(stem(principal.user.as_str())).map_err(|_| IgnoreReason::BadName)?)
            }
            false => None,
        };
        if device.as_ref().is_some_and(|device| device.as_str().eq_ignore_ascii_case(server)) {
            return Err(IgnoreReason::Server);
        }
        // Local accounts of a server have its name as their domain.
        if domain.is_some_and(|domain| domain.as_str().eq_ignore_ascii_case(server)) {
            return Err(IgnoreReason::LocalAccount);
        }
        Ok(Self { principal, device, sid: sid.map(Box::new) })
    }
}

/// The name of an account without a computer's `$`.
pub(super) fn stem(account: &str) -> &str {
    account.trim_end_matches('$')
}

/// The name of a computer without its domain.
pub(super) fn host(computer: &str) -> &str {
    computer.split_once('.').map_or(computer, |(host, _domain)| host)
}
