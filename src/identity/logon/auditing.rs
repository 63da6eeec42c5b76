//! Detects servers that no longer audit logons: by events of the log itself, and by missing events.

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::{LogRecord, LogonReader, ServerRole};
use crate::Timestamp;

/// The provider of events about the log itself.
const EVENT_LOG: &str = "Microsoft-Windows-Eventlog";

/// The provider of audits.
const AUDITING: &str = "Microsoft-Windows-Security-Auditing";

/// An event about the security log itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogNotice {
    /// The log was cleared: unread records are lost.
    Cleared,
    /// Windows dropped audits before writing them.
    AuditsLost,
    /// Success audits of this subcategory were enabled or disabled.
    Policy(AuditSubcategory, AuditPolicy),
}

/// Whether successes are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditPolicy {
    /// They are audited.
    On,
    /// They are not audited.
    Off,
}

/// The audit subcategories that logons are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum AuditSubcategory {
    /// "Kerberos Authentication Service": 4768.
    KerberosAuthentication,
    /// "Kerberos Service Ticket Operations": 4769, 4770.
    KerberosTickets,
    /// "Logon": 4624.
    Logon,
    /// "Logoff": 4634, 4647.
    Logoff,
    /// "Other Logon/Logoff Events": 4778, 4779.
    OtherLogon,
}

impl LogNotice {
    /// The IDs of these events, by provider. They are read in addition to logon events. 1101: audit
    /// events were dropped by the transport; 1102: the audit log was cleared; 4612: the audit queue
    /// was exhausted; 4719: the audit policy was changed (Microsoft Learn, "Event 1102" and so on).
    pub const IDS: [(&'static str, &'static [u16]); 2] =
        [(EVENT_LOG, &[1101, 1102]), (AUDITING, &[4612, 4719])];

    /// The notice in `record`; usually none.
    pub fn from_record(record: &LogRecord<'_>) -> Option<Self> {
        let (provider, _) = Self::IDS.iter().find(|(_, ids)| ids.contains(&record.id))?;
        let is_security_log = record.channel.eq_ignore_ascii_case("Security")
            && record.provider.eq_ignore_ascii_case(provider);
        match record.id {
            _ if !is_security_log => None,
            1102 => Some(Self::Cleared),
            4719 => policy(record),
            _ => Some(Self::AuditsLost),
        }
    }
}

/// `AuditPolicyChanges` contains message IDs: 8448 success removed, 8449 success added; 8450 and
/// 8451 are the same for failures and are ignored.
fn policy(record: &LogRecord<'_>) -> Option<LogNotice> {
    let guid = record.fields.text("SubcategoryGuid")?;
    let guid = guid.trim_matches(['{', '}']);
    let of = AuditSubcategory::iter().find(|one| one.guid().eq_ignore_ascii_case(guid))?;
    let changes = record.fields.text("AuditPolicyChanges")?;
    let changed = |message| changes.split([',', ' ']).any(|change| change == message);
    match (changed("%%8449"), changed("%%8448")) {
        (true, _) => Some(LogNotice::Policy(of, AuditPolicy::On)),
        (false, true) => Some(LogNotice::Policy(of, AuditPolicy::Off)),
        (false, false) => None,
    }
}

impl AuditSubcategory {
    /// The name that `auditpol` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KerberosAuthentication => "Kerberos Authentication Service",
            Self::KerberosTickets => "Kerberos Service Ticket Operations",
            Self::Logon => "Logon",
            Self::Logoff => "Logoff",
            Self::OtherLogon => "Other Logon/Logoff Events",
        }
    }

    /// The command that enables it.
    pub fn remedy(self) -> String {
        format!("on the server: auditpol /set /subcategory:\"{}\" /success:enable", self.name())
    }

    const fn ids(self) -> &'static [u16] {
        match self {
            Self::KerberosAuthentication => &[4768],
            Self::KerberosTickets => &[4769, 4770],
            Self::Logon => &[4624],
            Self::Logoff => &[4634, 4647],
            Self::OtherLogon => &[4778, 4779],
        }
    }

    /// The GUIDs of MS-GPAC section 2.2.1.2.
    const fn guid(self) -> &'static str {
        match self {
            Self::KerberosAuthentication => "0cce9242-69ae-11d9-bed3-505054503030",
            Self::KerberosTickets => "0cce9240-69ae-11d9-bed3-505054503030",
            Self::Logon => "0cce9215-69ae-11d9-bed3-505054503030",
            Self::Logoff => "0cce9216-69ae-11d9-bed3-505054503030",
            Self::OtherLogon => "0cce921c-69ae-11d9-bed3-505054503030",
        }
    }

    /// Whether every server of the role has such events every day. A domain controller requests
    /// tickets, which last ten hours, from itself, and clients fetch policies. An Exchange server
    /// monitors itself every minute. Logoffs may be absent for weeks.
    const fn is_daily(self, role: ServerRole) -> bool {
        match self {
            Self::KerberosAuthentication | Self::KerberosTickets => {
                matches!(role, ServerRole::DomainController)
            }
            Self::Logon => true,
            Self::Logoff | Self::OtherLogon => false,
        }
    }
}

/// How long a daily event may be absent, in milliseconds: 30 hours, for a small office that closes
/// early and opens late.
const DAY: i64 = 30 * 3600 * 1000;

/// Monitors the audit policy of one server, by the time of its own events.
#[derive(Debug, Clone)]
pub struct AuditMonitor {
    kinds: Vec<Kind>,
    /// The times of the first and the newest event.
    span: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    of: AuditSubcategory,
    daily: bool,
    /// The time of the newest event of this subcategory.
    last_seen: Option<Timestamp>,
    off: Option<AuditGap>,
}

/// Success audits of a subcategory are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditGap {
    /// The subcategory.
    pub subcategory: AuditSubcategory,
    /// The time, by the server's clock, when it was disabled, or of its newest event.
    pub since: Timestamp,
    /// How the gap was detected.
    pub reason: AuditGapReason,
}

/// How a gap was detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AuditGapReason {
    /// Event 4719: an administrator or a group policy disabled it.
    Policy,
    /// Events that every server has daily are absent, while others arrive.
    Absence,
}

impl AuditMonitor {
    /// A monitor for a server of this `role` of which the events `ids` are read.
    pub fn new(role: ServerRole, ids: &[u16]) -> Self {
        let read = |of: &AuditSubcategory| ids.iter().any(|id| of.ids().contains(id));
        let kinds = AuditSubcategory::iter().filter(read);
        let kind = |of: AuditSubcategory| Kind {
            of,
            daily: of.is_daily(role),
            last_seen: None,
            off: None,
        };
        Self { kinds: kinds.map(kind).collect(), span: None }
    }

    /// Updates the state from any record.
    pub fn observe(&mut self, record: &LogRecord<'_>) {
        let (first, newest) = self.span.unwrap_or((record.time, record.time));
        self.span = Some((first, newest.max(record.time)));
        if let Some(LogNotice::Policy(of, policy)) = LogNotice::from_record(record) {
            let off =
                AuditGap { subcategory: of, since: record.time, reason: AuditGapReason::Policy };
            for kind in self.kinds.iter_mut().filter(|kind| kind.of == of) {
                kind.off = (policy == AuditPolicy::Off).then_some(off);
                // It was just enabled, so it is not absent yet.
                kind.last_seen = Some(record.time);
            }
        }
        if record.keywords & LogonReader::FAILURE != 0 {
            return;
        }
        let last_seen = |kind: &&mut Kind| kind.of.ids().contains(&record.id);
        if let Some(kind) = self.kinds.iter_mut().find(last_seen) {
            kind.last_seen = kind.last_seen.max(Some(record.time));
            // It is audited again, because this event is later than the notice.
            if kind.off.is_some_and(|off| off.since < record.time) {
                kind.off = None;
            }
        }
    }

    /// The subcategories that are known not to be audited.
    pub fn gaps(&self) -> Vec<AuditGap> {
        self.kinds.iter().filter_map(|kind| kind.off.or_else(|| self.missing(kind))).collect()
    }

    /// A daily subcategory without events while others arrived for more than a day.
    fn missing(&self, kind: &Kind) -> Option<AuditGap> {
        let (first, newest) = self.span?;
        let since = kind.last_seen.unwrap_or(first);
        let late = newest.millis().saturating_sub(since.millis()) > DAY;
        let missing = AuditGap { subcategory: kind.of, since, reason: AuditGapReason::Absence };
        (kind.daily && late).then_some(missing)
    }
}

#[cfg(test)]
mod tests;
