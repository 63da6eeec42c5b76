//! Whether a server still writes down its logons: what its security log says of itself, and events
//! that ought to come and do not.

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};

use super::{LogRecord, LogonReader, ServerRole};
use crate::Timestamp;

/// The provider of what happens to the log itself.
const EVENT_LOG: &str = "Microsoft-Windows-Eventlog";

/// The provider of audits.
const AUDITING: &str = "Microsoft-Windows-Security-Auditing";

/// What the security log says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogNotice {
    /// It was cleared: what was in it and not read is lost.
    Cleared,
    /// Windows lost audits before it could write them.
    AuditsLost,
    /// Successes of this kind are audited from now on, or no longer.
    Policy(AuditSubcategory, AuditPolicy),
}

/// Whether successes are audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditPolicy {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// A kind of audit that can be switched on and off by itself, of those that logons are read from.
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
    /// The events that say so, by their provider: they are read beside those of logons. 1101, audit
    /// events have been dropped by the transport; 1102, the audit log was cleared; 4612, the queue of
    /// audits was exhausted; 4719, the audit policy was changed (Microsoft Learn, "Event 1102" and so
    /// on).
    pub const IDS: [(&'static str, &'static [u16]); 2] =
        [(EVENT_LOG, &[1101, 1102]), (AUDITING, &[4612, 4719])];

    /// What `record` says of the log; nothing as a rule.
    pub fn from_record(record: &LogRecord<'_>) -> Option<Self> {
        let (provider, _) = Self::IDS.iter().find(|(_, ids)| ids.contains(&record.id))?;
        let in_place = record.channel.eq_ignore_ascii_case("Security")
            && record.provider.eq_ignore_ascii_case(provider);
        match record.id {
            _ if !in_place => None,
            1102 => Some(Self::Cleared),
            4719 => policy(record),
            _ => Some(Self::AuditsLost),
        }
    }
}

/// `AuditPolicyChanges` has the numbers of messages: 8448 success removed, 8449 success added, 8450
/// and 8451 the same of failures, which are of no account.
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
    /// What `auditpol` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KerberosAuthentication => "Kerberos Authentication Service",
            Self::KerberosTickets => "Kerberos Service Ticket Operations",
            Self::Logon => "Logon",
            Self::Logoff => "Logoff",
            Self::OtherLogon => "Other Logon/Logoff Events",
        }
    }

    /// How it is switched on.
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

    /// As MS-GPAC section 2.2.1.2 numbers them.
    const fn guid(self) -> &'static str {
        match self {
            Self::KerberosAuthentication => "0cce9242-69ae-11d9-bed3-505054503030",
            Self::KerberosTickets => "0cce9240-69ae-11d9-bed3-505054503030",
            Self::Logon => "0cce9215-69ae-11d9-bed3-505054503030",
            Self::Logoff => "0cce9216-69ae-11d9-bed3-505054503030",
            Self::OtherLogon => "0cce921c-69ae-11d9-bed3-505054503030",
        }
    }

    /// Whether every server of the role has such events every day. A controller asks itself for
    /// tickets, whose life is ten hours, and others come to its policies; to an Exchange server its
    /// own monitoring comes each minute. A logoff may be missing for weeks.
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

/// For how long a daily event may be missing, in milliseconds: a day and some hours, for the log of a
/// small office that closes early and opens late.
const DAY: i64 = 30 * 3600 * 1000;

/// What the audits of one server say about its policy, told by the time of its own events.
#[derive(Debug, Clone)]
pub struct AuditMonitor {
    kinds: Vec<Kind>,
    /// The time of the first event, and of the newest.
    span: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    of: AuditSubcategory,
    daily: bool,
    /// The newest event of this kind.
    heard: Option<Timestamp>,
    off: Option<AuditGap>,
}

/// Since when, by the server's clock, successes of a kind are not audited, and how that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditGap {
    /// Of which kind.
    pub subcategory: AuditSubcategory,
    /// When it was switched off, or the newest event of the kind.
    pub since: Timestamp,
    /// What says so.
    pub reason: AuditGapReason,
}

/// How it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AuditGapReason {
    /// Event 4719: somebody, or a group policy, switched it off.
    Policy,
    /// Events that every server has each day are missing, and others come.
    Absence,
}

impl AuditMonitor {
    /// Of a server of this `role`, of which the events `ids` are read.
    pub fn new(role: ServerRole, ids: &[u16]) -> Self {
        let read = |of: &AuditSubcategory| ids.iter().any(|id| of.ids().contains(id));
        let kinds = AuditSubcategory::iter().filter(read);
        let kind =
            |of: AuditSubcategory| Kind { of, daily: of.is_daily(role), heard: None, off: None };
        Self { kinds: kinds.map(kind).collect(), span: None }
    }

    /// What `record` says, whatever else it says.
    pub fn observe(&mut self, record: &LogRecord<'_>) {
        let (first, newest) = self.span.unwrap_or((record.time, record.time));
        self.span = Some((first, newest.max(record.time)));
        if let Some(LogNotice::Policy(of, policy)) = LogNotice::from_record(record) {
            let off =
                AuditGap { subcategory: of, since: record.time, reason: AuditGapReason::Policy };
            for kind in self.kinds.iter_mut().filter(|kind| kind.of == of) {
                kind.off = (policy == AuditPolicy::Off).then_some(off);
                // Where it was just switched on, it is not yet missing.
                kind.heard = Some(record.time);
            }
        }
        if record.keywords & LogonReader::FAILURE != 0 {
            return;
        }
        let heard = |kind: &&mut Kind| kind.of.ids().contains(&record.id);
        if let Some(kind) = self.kinds.iter_mut().find(heard) {
            kind.heard = kind.heard.max(Some(record.time));
            // Whatever was said, it is audited now: this event is written after that one.
            if kind.off.is_some_and(|off| off.since < record.time) {
                kind.off = None;
            }
        }
    }

    /// The kinds that are not audited, as far as it is known.
    pub fn gaps(&self) -> Vec<AuditGap> {
        self.kinds.iter().filter_map(|kind| kind.off.or_else(|| self.missing(kind))).collect()
    }

    /// A daily kind of which nothing came while others did for more than a day.
    fn missing(&self, kind: &Kind) -> Option<AuditGap> {
        let (first, newest) = self.span?;
        let since = kind.heard.unwrap_or(first);
        let late = newest.millis().saturating_sub(since.millis()) > DAY;
        let missing = AuditGap { subcategory: kind.of, since, reason: AuditGapReason::Absence };
        (kind.daily && late).then_some(missing)
    }
}

#[cfg(test)]
mod tests;
