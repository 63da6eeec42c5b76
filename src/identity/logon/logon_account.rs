//! Who a record names: by the SID first, which no language of Windows changes, and then by the name.

use super::fields::field_text;
use super::{IgnoreReason, LogRecord, LogonSettings};
use crate::directory::Sid;
use crate::{Name, Principal};

/// The fields that name an account.
#[derive(Debug, Clone, Copy)]
pub(super) struct AccountFields {
    /// Its SID, where the event has one.
    pub(super) sid: Option<&'static str>,
    /// Its name: `alice`, `alice@REALM` or `PC1$`.
    pub(super) user: &'static str,
    /// Its domain: a NetBIOS or DNS name, or what the user typed.
    pub(super) domain: Option<&'static str>,
}

/// The user or computer that a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogonAccount {
    /// The account.
    pub(super) principal: Principal,
    /// Its host, when it is a computer's account by its name. So is that of a group managed service
    /// account; only a directory can tell, and does so by the SID.
    pub(super) device: Option<Name>,
    /// Its SID, when the event has one.
    pub(super) sid: Option<Box<Sid>>,
}

/// The accounts of a domain that are nobody: the guest, and that of the Kerberos service (MS-DTYP
/// section 2.4.2.4, DOMAIN_USER_RID_GUEST and DOMAIN_USER_RID_KRBTGT).
const EXCLUDED_RIDS: [u32; 2] = [501, 502];

impl AccountFields {
    /// The SID that the record has for it.
    pub(super) fn sid(self, record: &LogRecord<'_>) -> Option<Sid> {
        record.fields.text(self.sid?)?.trim().parse().ok()
    }
}

impl LogonAccount {
    /// The account that `who` names in `record`, when it can be that of somebody at a computer.
    pub(super) fn read(
        record: &LogRecord<'_>,
        who: AccountFields,
        settings: &LogonSettings,
    ) -> Result<Self, IgnoreReason> {
        let sid = match who.sid {
            Some(_) => {
                Some(who.sid(record).filter(Sid::is_of_domain).ok_or(IgnoreReason::NotOfDomain)?)
            }
            None => None,
        };
        if sid.as_ref().is_some_and(|sid| EXCLUDED_RIDS.contains(&sid.rid())) {
            return Err(IgnoreReason::NotOfDomain);
        }
        let user = field_text(record, who.user).ok_or(IgnoreReason::Nobody)?;
        let domain = who.domain.and_then(|field| field_text(record, field));
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
        // A server's own accounts have its name as their domain.
        if domain.is_some_and(|domain| domain.as_str().eq_ignore_ascii_case(server)) {
            return Err(IgnoreReason::LocalAccount);
        }
        Ok(Self { principal, device, sid: sid.map(Box::new) })
    }
}

/// The name of an account without the `$` of a computer's.
pub(super) fn stem(account: &str) -> &str {
    account.trim_end_matches('$')
}

/// The name of a computer without its domain.
pub(super) fn host(computer: &str) -> &str {
    computer.split_once('.').map_or(computer, |(host, _domain)| host)
}
