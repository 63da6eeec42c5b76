//! Tests of disabled audits and missing events.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::logon::Fields;

struct Change(&'static str, &'static str);

impl Fields for Change {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "SubcategoryGuid" => Some(Cow::Borrowed(self.0)),
            "AuditPolicyChanges" => Some(Cow::Borrowed(self.1)),
            _ => None,
        }
    }
}

const LOGON: &str = "{0CCE9215-69AE-11D9-BED3-505054503030}";
const NOTHING: Change = Change("", "");

fn hours(hours: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + hours * 3_600_000)
}

fn record(id: u16, at: Timestamp, fields: &Change) -> LogRecord<'_> {
    LogRecord {
        id,
        time: at,
        record_id: 1,
        computer: "dc1.corp.example.com",
        channel: "Security",
        provider: if id < 2000 { EVENT_LOG } else { AUDITING },
        keywords: LogonReader::SUCCESS,
        fields,
    }
}

const DC: &[u16] = &[4768, 4769, 4770, 4624, 4634];

fn unaudited(auditing: &AuditMonitor) -> Vec<(&'static str, Timestamp, AuditGapReason)> {
    auditing.gaps().iter().map(|one| (one.subcategory.name(), one.since, one.reason)).collect()
}

#[test]
fn log_notices_are_recognized() {
    let of = |id, change: &Change| LogNotice::from_record(&record(id, hours(0), change));
    assert_eq!(of(1102, &NOTHING), Some(LogNotice::Cleared));
    assert_eq!(of(1101, &NOTHING), Some(LogNotice::AuditsLost));
    assert_eq!(of(4612, &NOTHING), Some(LogNotice::AuditsLost));
    assert_eq!(of(4624, &NOTHING), None);
    let policy = |policy| Some(LogNotice::Policy(AuditSubcategory::Logon, policy));
    for (changes, fields_of) in [
        ("%%8448", policy(AuditPolicy::Off)),
        ("%%8448, %%8450", policy(AuditPolicy::Off)),
        ("%%8448,%%8451", policy(AuditPolicy::Off)),
        ("%%8449", policy(AuditPolicy::On)),
        ("%%8449, %%8451", policy(AuditPolicy::On)),
        ("%%8450", None),
        ("%%84480", None),
        ("", None),
    ] {
        assert_eq!(of(4719, &Change(LOGON, changes)), fields_of, "{changes}");
    }
    let other = Change("{0CCE9226-69AE-11D9-BED3-505054503030}", "%%8448");
    assert_eq!(of(4719, &other), None, "filtering of packets is of no account");
    // Any program can write to the application log under its own provider name.
    let cleared = record(1102, hours(0), &NOTHING);
    assert_eq!(LogNotice::from_record(&LogRecord { provider: "Backup", ..cleared }), None);
    assert_eq!(LogNotice::from_record(&LogRecord { channel: "Application", ..cleared }), None);
}

#[test]
fn a_disabled_subcategory_is_reported_until_an_event_arrives() {
    let mut auditing = AuditMonitor::new(ServerRole::DomainController, DC);
    auditing.observe(&record(4624, hours(0), &NOTHING));
    auditing.observe(&record(4719, hours(1), &Change(LOGON, "%%8448")));
    assert_eq!(unaudited(&auditing), [("Logon", hours(1), AuditGapReason::Policy)]);
    // Earlier events, and failures, prove nothing.
    auditing.observe(&record(4624, hours(1), &NOTHING));
    let failed = LogRecord { keywords: LogonReader::FAILURE, ..record(4624, hours(2), &NOTHING) };
    auditing.observe(&failed);
    assert_eq!(unaudited(&auditing), [("Logon", hours(1), AuditGapReason::Policy)]);
    auditing.observe(&record(4624, hours(2), &NOTHING));
    assert_eq!(unaudited(&auditing), []);
    auditing.observe(&record(4719, hours(3), &Change(LOGON, "%%8448")));
    auditing.observe(&record(4719, hours(4), &Change(LOGON, "%%8449")));
    assert_eq!(unaudited(&auditing), []);
}

#[test]
fn absent_daily_events_are_reported_after_more_than_a_day() {
    let mut auditing = AuditMonitor::new(ServerRole::DomainController, DC);
    auditing.observe(&record(4768, hours(0), &NOTHING));
    auditing.observe(&record(4769, hours(30), &NOTHING));
    auditing.observe(&record(4624, hours(30), &NOTHING));
    assert_eq!(unaudited(&auditing), []);
    auditing.observe(&record(4770, hours(31), &NOTHING));
    let first = ("Kerberos Authentication Service", hours(0), AuditGapReason::Absence);
    assert_eq!(unaudited(&auditing), [first]);
    // An event that never came is missing since the log is read. A logoff may be absent for weeks.
    auditing.observe(&record(4769, hours(61), &NOTHING));
    assert_eq!(unaudited(&auditing), [first, ("Logon", hours(30), AuditGapReason::Absence)]);
    auditing.observe(&record(4768, hours(61), &NOTHING));
    auditing.observe(&record(4624, hours(61), &NOTHING));
    assert_eq!(unaudited(&auditing), []);
    // Unread events are not missing, and Exchange issues no tickets.
    let mut exchange = AuditMonitor::new(ServerRole::Exchange, &[4624, 4634]);
    exchange.observe(&record(4634, hours(0), &NOTHING));
    exchange.observe(&record(4634, hours(99), &NOTHING));
    assert_eq!(unaudited(&exchange), [("Logon", hours(0), AuditGapReason::Absence)]);
    let mut tickets = AuditMonitor::new(ServerRole::DomainController, &[4768]);
    tickets.observe(&record(4768, hours(0), &NOTHING));
    tickets.observe(&record(4768, hours(99), &NOTHING));
    assert_eq!(unaudited(&tickets), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// If every subcategory has an event at least daily, none is reported as missing.
    #[test]
    fn a_server_with_daily_events_has_no_gaps(
        steps in proptest::collection::vec((0_usize..5, 0_i64..6), 0..60),
    ) {
        let mut auditing = AuditMonitor::new(ServerRole::DomainController, DC);
        let (mut now, mut heard) = (0, [0_i64; 3]);
        for (kind, later) in steps {
            now += later;
            auditing.observe(&record(DC[kind], hours(now), &NOTHING));
            // 4768; 4769 and 4770; 4624.
            for (at, ids) in [&[0][..], &[1, 2], &[3]].iter().enumerate() {
                if ids.contains(&kind) {
                    heard[at] = now;
                }
            }
        }
        let daily = heard.iter().all(|at| now - at <= 30);
        // Before the first event of a subcategory, the start counts, which is not later.
        if daily {
            prop_assert_eq!(unaudited(&auditing), vec![]);
        }
    }
}
