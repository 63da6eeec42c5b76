//! Audits that are switched off, and those that are missing.

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
fn the_log_says_what_happens_to_it() {
    let of = |id, change: &Change| LogNotice::from_record(&record(id, hours(0), change));
    assert_eq!(of(1102, &NOTHING), Some(LogNotice::Cleared));
    assert_eq!(of(1101, &NOTHING), Some(LogNotice::AuditsLost));
    assert_eq!(of(4612, &NOTHING), Some(LogNotice::AuditsLost));
    assert_eq!(of(4624, &NOTHING), None);
    let policy = |policy| Some(LogNotice::Policy(AuditSubcategory::Logon, policy));
    for (changes, said) in [
        ("%%8448", policy(AuditPolicy::Off)),
        ("%%8448, %%8450", policy(AuditPolicy::Off)),
        ("%%8448,%%8451", policy(AuditPolicy::Off)),
        ("%%8449", policy(AuditPolicy::On)),
        ("%%8449, %%8451", policy(AuditPolicy::On)),
        ("%%8450", None),
        ("%%84480", None),
        ("", None),
    ] {
        assert_eq!(of(4719, &Change(LOGON, changes)), said, "{changes}");
    }
    let other = Change("{0CCE9226-69AE-11D9-BED3-505054503030}", "%%8448");
    assert_eq!(of(4719, &other), None, "filtering of packets is of no account");
    // Anybody may write to the log of applications, and any program as itself.
    let cleared = record(1102, hours(0), &NOTHING);
    assert_eq!(LogNotice::from_record(&LogRecord { provider: "Backup", ..cleared }), None);
    assert_eq!(LogNotice::from_record(&LogRecord { channel: "Application", ..cleared }), None);
}

#[test]
fn what_is_switched_off_is_said_until_it_is_heard_of_again() {
    let mut auditing = AuditMonitor::new(ServerRole::DomainController, DC);
    auditing.observe(&record(4624, hours(0), &NOTHING));
    auditing.observe(&record(4719, hours(1), &Change(LOGON, "%%8448")));
    assert_eq!(unaudited(&auditing), [("Logon", hours(1), AuditGapReason::Policy)]);
    // What was written before, and a failure, prove nothing.
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
fn daily_events_are_missed_after_more_than_a_day_of_others() {
    let mut auditing = AuditMonitor::new(ServerRole::DomainController, DC);
    auditing.observe(&record(4768, hours(0), &NOTHING));
    auditing.observe(&record(4769, hours(30), &NOTHING));
    auditing.observe(&record(4624, hours(30), &NOTHING));
    assert_eq!(unaudited(&auditing), []);
    auditing.observe(&record(4770, hours(31), &NOTHING));
    let first = ("Kerberos Authentication Service", hours(0), AuditGapReason::Absence);
    assert_eq!(unaudited(&auditing), [first]);
    // One that never came is missed since the log is read. A logoff may be missing for weeks.
    auditing.observe(&record(4769, hours(61), &NOTHING));
    assert_eq!(unaudited(&auditing), [first, ("Logon", hours(30), AuditGapReason::Absence)]);
    auditing.observe(&record(4768, hours(61), &NOTHING));
    auditing.observe(&record(4624, hours(61), &NOTHING));
    assert_eq!(unaudited(&auditing), []);
    // What is not read is not missed, and Exchange gives no tickets.
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

    /// While every kind is heard of at least once a day, nothing is missed.
    #[test]
    fn a_server_that_audits_is_not_accused(
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
        // Before the first of a kind it is the beginning that counts, which is no later.
        if daily {
            prop_assert_eq!(unaudited(&auditing), vec![]);
        }
    }
}
