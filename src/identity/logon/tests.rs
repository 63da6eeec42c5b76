//! Tests of every event rule, guard and ignore reason, with records as Windows writes them.

mod properties;

use std::collections::BTreeSet;

use strum::IntoEnumIterator;

use super::*;
use crate::test_support::{address, name, seconds};
use crate::{Authority, Change, Proof, Revision, Rules, Table};

/// The fields of a record, by name.
#[derive(Debug, Clone)]
pub(super) struct TestFields(Vec<(String, String)>);

impl Fields for TestFields {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, text)| Cow::Borrowed(&**text))
    }
}

const ALICE: &str = "S-1-5-21-2871512113-613133000-3782238197-1104";
const PC1: &str = "S-1-5-21-2871512113-613133000-3782238197-1601";
const SUCCESS: u64 = 0x8020_0000_0000_0000;
const FAILURE: u64 = 0x8010_0000_0000_0000;

/// The fields that differ from the defaults.
pub(super) type Overrides<'a> = &'a [(&'a str, &'a str)];

/// The fields of event `id` when alice logs on at 10.0.0.7, with some of them changed.
pub(super) fn fields_of(id: u16, overrides: Overrides<'_>) -> TestFields {
    let usual: &[(&str, &str)] = match id {
        4768 => &[
            ("TargetUserName", "alice"),
            ("TargetDomainName", "CORP"),
            ("TargetSid", ALICE),
            ("ServiceName", "krbtgt"),
            ("TicketOptions", "0x40810010"),
            ("Status", "0x0"),
            ("PreAuthType", "2"),
            ("IpAddress", "::ffff:10.0.0.7"),
            ("IpPort", "56265"),
        ],
        4769 | 4770 => &[
            ("TargetUserName", "alice@CORP"),
            ("TargetDomainName", "CORP"),
            ("ServiceName", "DC1$"),
            ("IpAddress", "::ffff:10.0.0.7"),
            ("Status", "0x0"),
            ("TransmittedServices", "-"),
        ],
        4776 => &[("TargetUserName", "alice"), ("Workstation", "PC1"), ("Status", "0x0")],
        4778 | 4779 => &[
            ("AccountName", "alice"),
            ("AccountDomain", "CORP"),
            ("LogonID", "0x10ac67"),
            ("SessionName", "RDP-Tcp#5"),
            ("ClientName", "pc1"),
            ("ClientAddress", "10.0.0.7"),
        ],
        4608 => &[],
        _ => &[
            ("TargetUserSid", ALICE),
            ("TargetUserName", "alice"),
            ("TargetDomainName", "CORP"),
            ("TargetLogonId", "0x738ae4"),
            ("LogonType", "3"),
            ("WorkstationName", "PC1"),
            ("TransmittedServices", "-"),
            ("ProcessName", "-"),
            ("IpAddress", "10.0.0.7"),
            ("IpPort", "49732"),
        ],
    };
    let kept = usual.iter().filter(|(field, _)| overrides.iter().all(|(other, _)| other != field));
    let fields = kept.chain(overrides).filter(|(_, text)| *text != "(none)");
    TestFields(fields.map(|(field, text)| ((*field).to_owned(), (*text).to_owned())).collect())
}

/// A record with `fields`, from the security log of dc1.
pub(super) fn record(id: u16, fields: &TestFields) -> LogRecord<'_> {
    LogRecord {
        id,
        time: seconds(10),
        record_id: 17,
        computer: "dc1.corp.example.com",
        channel: "Security",
        provider: "Microsoft-Windows-Security-Auditing",
        keywords: SUCCESS,
        fields,
    }
}

/// Settings that read all events, remote desktop included. 10.0.9.0/24 are servers.
pub(super) fn all_events() -> LogonSettings {
    LogonSettings {
        ids: readable_event_ids().collect(),
        logon_types: vec![3, 10],
        servers: vec!["10.0.9.0/24".parse().unwrap()],
        ..LogonSettings::for_role(ServerRole::DomainController)
    }
}

pub(super) fn reader(settings: LogonSettings) -> LogonReader {
    LogonReader::new(settings, &name("event_log"), &name("dc1"))
}

/// A short form of an outcome: `login of alice@corp at 10.0.0.7 by logon`.
pub(super) fn summary(outcome: &ReadOutcome) -> String {
    match outcome {
        ReadOutcome::Event(event) => {
            let (who, kind) = (event.principal.as_ref().unwrap(), event.kind.as_str());
            let device = event.device.as_ref().map(|device| format!("<{device}>"));
            let (device, proof) = (device.unwrap_or_default(), event.proof.as_str());
            format!("{kind} of {who}{device} at {} by {proof}", event.address)
        }
        ReadOutcome::Unresolved(unresolved) => format!("unresolved at {}", unresolved.host),
        ReadOutcome::Ignored(reason) => reason.as_str().to_owned(),
    }
}

/// The outcome of one record with these settings.
fn read(id: u16, overrides: Overrides<'_>) -> String {
    let fields = fields_of(id, overrides);
    summary(&reader(all_events()).read(&record(id, &fields), seconds(11)))
}

#[test]
fn each_event_rule_cites_its_page() {
    let expected = [
        (4768, "login of alice@corp at 10.0.0.7 by logon"),
        (4770, "refresh of alice@corp at 10.0.0.7 by ticket"),
        (4769, "refresh of alice@corp at 10.0.0.7 by ticket"),
        (4624, "login of alice@corp at 10.0.0.7 by connection"),
        (4634, "logon_type"),
        (4647, "unknown_logon"),
        (4776, "unresolved at PC1"),
        (4778, "login of alice@corp at 10.0.0.7 by connection"),
        (4779, "logout of alice@corp at 10.0.0.7 by connection"),
        (4608, "started"),
    ];
    assert_eq!(expected.map(|(id, _)| id).to_vec(), readable_event_ids().collect::<Vec<_>>());
    for (id, outcome) in expected {
        assert_eq!(read(id, &[]), outcome, "{id}");
        assert!(event_source(id).unwrap().starts_with(&format!("Event {id}, ")));
    }
    assert_eq!((event_source(4625), event_source(4800)), (None, None));
}

/// A record with some changed fields, and its outcome.
type Case = (u16, Overrides<'static>, &'static str);

const CASES: &[Case] = &[
    // Account: the SID takes precedence over the name, whose language varies.
    (4624, &[("TargetUserSid", "S-1-5-7"), ("TargetUserName", "ANONYMOUS LOGON")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-18"), ("TargetUserName", "SYSTEM")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-19"), ("TargetUserName", "LOKALER DIENST")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-90-0-1"), ("TargetUserName", "DWM-1")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-96-0-2"), ("TargetUserName", "UMFD-2")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-80-1-2-3-4")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-5-82-1-2-3-4")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-12-1-1-2-3-4")], "not_of_domain"),
    (4624, &[("TargetUserSid", "S-1-0-0")], "not_of_domain"),
    (4624, &[("TargetUserSid", "-")], "not_of_domain"),
    (4624, &[("TargetUserSid", "(none)")], "not_of_domain"),
    (4768, &[("TargetSid", "S-1-5-21-1-2-3-501")], "not_of_domain"),
    (4768, &[("TargetSid", "S-1-5-21-1-2-3-502")], "not_of_domain"),
    (4768, &[("TargetSid", "S-1-5-21-1-2-3")], "not_of_domain"),
    (4768, &[("TargetUserName", "")], "no_account"),
    (4768, &[("TargetUserName", "-")], "no_account"),
    (4768, &[("TargetUserName", "(none)")], "no_account"),
    (4768, &[("TargetUserName", "ali\u{7}ce")], "bad_name"),
    (4768, &[("TargetDomainName", "CO\nRP")], "bad_name"),
    (4768, &[("TargetDomainName", "-")], "login of alice at 10.0.0.7 by logon"),
    (
        4768,
        &[("TargetUserName", "alice@corp.test")],
        "login of alice@corp.test at 10.0.0.7 by logon",
    ),
    (4769, &[("TargetUserName", "a@b@CORP")], "refresh of a@b@corp at 10.0.0.7 by ticket"),
    (4624, &[("TargetDomainName", "DC1")], "local_account"),
    (
        4768,
        &[("TargetUserName", "$P51000-50I28MP5JB3E")],
        "login of $p51000-50i28mp5jb3e@corp at 10.0.0.7 by logon",
    ),
    // Devices, never users.
    (
        4768,
        &[("TargetUserName", "PC1$"), ("TargetSid", PC1)],
        "device_seen of pc1$@corp<pc1> at 10.0.0.7 by logon",
    ),
    (
        4624,
        &[("TargetUserName", "PC1$"), ("TargetUserSid", PC1)],
        "device_seen of pc1$@corp<pc1> at 10.0.0.7 by connection",
    ),
    (
        4769,
        &[("TargetUserName", "PC1$@CORP")],
        "device_seen of pc1$@corp<pc1> at 10.0.0.7 by ticket",
    ),
    (
        4770,
        &[("TargetUserName", "PC1$@CORP")],
        "device_seen of pc1$@corp<pc1> at 10.0.0.7 by ticket",
    ),
    (4779, &[("AccountName", "PC1$")], "unknown_logon"),
    (4768, &[("TargetUserName", "$")], "bad_name"),
    // Service accounts, in any domain.
    (4624, &[("TargetUserName", "HealthMailbox28ea308")], "noise"),
    (4769, &[("TargetUserName", "HealthMailbox28ea308e@corp")], "noise"),
    (4624, &[("TargetUserName", "SystemMailbox{bb558c35}")], "noise"),
    (4768, &[("TargetUserName", "SM_27d255b6407743b08")], "noise"),
    (4768, &[("TargetUserName", "MSOL_3f2a0c")], "noise"),
    (4768, &[("TargetUserName", "AAD_0a1b")], "noise"),
    (4770, &[("TargetUserName", "krbtgt_12345@CORP")], "noise"),
    (4624, &[("TargetUserName", "extest_ab12")], "noise"),
    // Address.
    (4768, &[("IpAddress", "10.0.0.7")], "login of alice@corp at 10.0.0.7 by logon"),
    (4768, &[("IpAddress", "2001:db8::7")], "login of alice@corp at 2001:db8::7 by logon"),
    (4768, &[("IpAddress", "-")], "no_address"),
    (4768, &[("IpAddress", "")], "no_address"),
    (4768, &[("IpAddress", "(none)")], "no_address"),
    (4778, &[("ClientAddress", "LOCAL")], "no_address"),
    (4778, &[("ClientAddress", "Unknown")], "bad_address"),
    (4768, &[("IpAddress", "::1")], "unusable"),
    (4624, &[("IpAddress", "127.0.0.1")], "unusable"),
    (4624, &[("IpAddress", "::ffff:127.0.0.1")], "unusable"),
    (4624, &[("IpAddress", "0.0.0.0")], "unusable"),
    (4624, &[("IpAddress", "fe80::b14f:e9ef:a6b2:f79f%12")], "unusable"),
    (4624, &[("IpAddress", "169.254.10.1")], "unusable"),
    (4624, &[("IpAddress", "10.0.9.5")], "server"),
    (4768, &[("IpAddress", "::ffff:10.0.9.5")], "server"),
    (4624, &[("TargetUserName", "DC1$"), ("TargetUserSid", PC1)], "server"),
    (4776, &[("Workstation", "DC1")], "server"),
    (4776, &[("Workstation", "\\\\PC2")], "unresolved at PC2"),
    (4776, &[("Workstation", "")], "no_address"),
    // Delegation.
    (4769, &[("TransmittedServices", "HTTP/web1.corp")], "delegated"),
    (4624, &[("TransmittedServices", "HTTP/web1.corp")], "delegated"),
    (4769, &[("TransmittedServices", "(none)")], "refresh of alice@corp at 10.0.0.7 by ticket"),
    (4769, &[("TargetUserName", "web1$@CORP"), ("ServiceName", "WEB1$")], "to_itself"),
    (4769, &[("TargetUserName", "svc-web@CORP"), ("ServiceName", "svc-web")], "to_itself"),
    (4768, &[("PreAuthType", "0")], "unproven"),
    (4768, &[("PreAuthType", "-")], "unproven"),
    (4768, &[("PreAuthType", "16")], "login of alice@corp at 10.0.0.7 by logon"),
    // Logon types.
    (4624, &[("LogonType", "0")], "logon_type"),
    (4624, &[("LogonType", "2")], "logon_type"),
    (4624, &[("LogonType", "4")], "logon_type"),
    (4624, &[("LogonType", "5")], "logon_type"),
    (4624, &[("LogonType", "7")], "logon_type"),
    (4624, &[("LogonType", "8")], "logon_type"),
    (4624, &[("LogonType", "9")], "logon_type"),
    (4624, &[("LogonType", "11")], "logon_type"),
    (4624, &[("LogonType", "(none)")], "logon_type"),
    (4624, &[("LogonType", "0x3")], "login of alice@corp at 10.0.0.7 by connection"),
    (4624, &[("LogonType", "10")], "login of alice@corp at 10.0.0.7 by connection"),
];

#[test]
fn every_guard_and_field_has_a_case() {
    for (id, overrides, outcome) in CASES {
        assert_eq!(read(*id, overrides), *outcome, "{id} {overrides:?}");
    }
    let mut reached: BTreeSet<&str> = CASES.iter().map(|(.., outcome)| *outcome).collect();
    // These are covered by other tests.
    reached.extend(["not_read", "other_log", "failure", "started"]);
    let missing =
        IgnoreReason::iter().map(IgnoreReason::as_str).filter(|reason| !reached.contains(reason));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn each_role_reads_its_default_events() {
    let dc = [4768, 4770, 4769, 4624];
    for (role, ids, types) in [
        (ServerRole::DomainController, &dc[..], &["3"][..]),
        (ServerRole::Exchange, &[4624], &["3", "8"]),
    ] {
        for id in readable_event_ids() {
            let fields = fields_of(id, &[]);
            let outcome =
                reader(LogonSettings::for_role(role)).read(&record(id, &fields), seconds(11));
            let is_event = matches!(outcome, ReadOutcome::Event(_));
            assert_eq!(is_event, ids.contains(&id), "{role:?} {id}: {}", summary(&outcome));
        }
        for logon_type in ["0", "2", "3", "4", "5", "7", "8", "9", "10", "11", "12", "13"] {
            let fields = fields_of(4624, &[("LogonType", logon_type)]);
            let outcome =
                reader(LogonSettings::for_role(role)).read(&record(4624, &fields), seconds(11));
            let is_event = matches!(outcome, ReadOutcome::Event(_));
            assert_eq!(is_event, types.contains(&logon_type), "{role:?} type {logon_type}");
        }
    }
}

/// Rules that grant the source everything.
fn rules() -> Rules {
    let mut rules = Rules::default();
    let kinds = vec![Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];
    let authority = Authority::unrestricted(kinds);
    rules.authorities.insert((name("event_log"), name("dc1")), authority);
    rules
}

#[test]
fn failures_never_yield_events() {
    let codes = [
        "0x1",
        "0x6",
        "0x7",
        "0x9",
        "0xc",
        "0xe",
        "0x12",
        "0x17",
        "0x18",
        "0x1b",
        "0x1f",
        "0x20",
        "0x25",
        "0x29",
        "0xc0000064",
        "0xc000006a",
        "0xc000006d",
        "0xc000006f",
        "0xc0000070",
        "0xc0000071",
        "0xc0000072",
        "0xc0000193",
        "0xc0000234",
        "-1",
        "-",
        "",
        "(none)",
        "yes",
    ];
    let mut variants = Vec::new();
    for id in readable_event_ids() {
        variants.push((id, fields_of(id, &[]), FAILURE));
        variants.push((id, fields_of(id, &[]), FAILURE | SUCCESS));
        variants.push((id, fields_of(id, &[]), 0));
        if matches!(id, 4768 | 4769 | 4776) {
            variants.extend(codes.map(|code| (id, fields_of(id, &[("Status", code)]), SUCCESS)));
        }
    }
    // Failure IDs, with all fields of a success and a success keyword.
    for &id in FAILURE_IDS {
        for like in [4624, 4768, 4769] {
            variants.extend([SUCCESS, FAILURE, 0].map(|words| (id, fields_of(like, &[]), words)));
        }
    }
    assert!(variants.len() > 200, "{}", variants.len());
    let (mut reader, mut table) = (reader(all_events()), Table::default());
    for (id, fields, keywords) in &variants {
        let outcome =
            reader.read(&LogRecord { keywords: *keywords, ..record(*id, fields) }, seconds(11));
        assert_eq!(
            outcome,
            ReadOutcome::Ignored(IgnoreReason::Failure),
            "{id} {fields:?} {keywords:#x}"
        );
        if let ReadOutcome::Event(event) = outcome {
            table.apply(Revision(1), &event, &rules());
        }
    }
    assert!(table.is_empty());
}

#[test]
fn only_windows_security_auditing_is_read() {
    let fields = fields_of(4768, &[]);
    let usual = record(4768, &fields);
    let read = |record| summary(&reader(all_events()).read(&record, seconds(11)));
    assert_eq!(read(LogRecord { channel: "security", ..usual }), read(usual));
    for record in [
        LogRecord { channel: "Application", ..usual },
        LogRecord { channel: "ForwardedEvents", ..usual },
        LogRecord { provider: "AD FS Auditing", ..usual },
        LogRecord { provider: "", ..usual },
    ] {
        assert_eq!(read(record), "other_log");
    }
    let only = LogonSettings { ids: vec![4624], ..all_events() };
    assert_eq!(summary(&reader(only).read(&usual, seconds(11))), "not_read");
    for id in [0, 1102, 4648, 4672, 4800, 4801, u16::MAX] {
        assert_eq!(read(LogRecord { id, ..usual }), "not_read");
    }
}

/// Reads records in order and compares their outcomes.
fn check_sequence(records: &[(u16, Overrides<'_>, &str)]) {
    let mut reader = reader(all_events());
    for (step, (id, overrides, expected)) in records.iter().enumerate() {
        let fields = fields_of(*id, overrides);
        let outcome = summary(&reader.read(&record(*id, &fields), seconds(11)));
        assert_eq!(outcome, *expected, "step {step}: {id} {overrides:?}");
    }
}

#[test]
fn a_logoff_ends_the_interactive_logon_of_its_id() {
    let login_text = "login of alice@corp at 10.0.0.7 by connection";
    let left = "logout of alice@corp at 10.0.0.7 by connection";
    const STAYS: (&str, &str) = ("LogonType", "10");
    check_sequence(&[
        (4624, &[STAYS], login_text),
        (4634, &[STAYS, ("TargetLogonId", "0x738AE4")], left),
        (4634, &[STAYS], "unknown_logon"),
        (4624, &[STAYS], login_text),
        (4647, &[], left),
        (4634, &[STAYS], "unknown_logon"),
    ]);
    // The end of a connection is no logoff, and a connection is not remembered.
    check_sequence(&[
        (4624, &[], login_text),
        (4634, &[], "logon_type"),
        (4647, &[], "unknown_logon"),
    ]);
    check_sequence(&[
        (4624, &[STAYS], login_text),
        (4634, &[], "logon_type"),
        (4634, &[STAYS], left),
    ]);
    // Another account's logoff, and a logoff after a restart of the server.
    check_sequence(&[
        (4624, &[STAYS], login_text),
        (4647, &[("TargetUserSid", PC1)], "unknown_logon"),
    ]);
    check_sequence(&[
        (4624, &[STAYS], login_text),
        (4608, &[], "started"),
        (4647, &[], "unknown_logon"),
    ]);
    // An ignored logon has no logoff.
    check_sequence(&[
        (4624, &[STAYS, ("IpAddress", "10.0.9.5")], "server"),
        (4634, &[STAYS], "unknown_logon"),
    ]);
}

#[test]
fn a_resolved_host_address_is_checked_like_any_other() {
    let mut reader = reader(all_events());
    let fields = fields_of(4776, &[]);
    let ReadOutcome::Unresolved(unresolved) = reader.read(&record(4776, &fields), seconds(11))
    else {
        panic!("4776 has no address");
    };
    let placed = |text| summary(&reader.locate(unresolved.clone(), address(text)));
    assert_eq!(placed("10.0.0.7"), "login of alice at 10.0.0.7 by host_name");
    assert_eq!(placed("10.0.9.7"), "server");
    assert_eq!(placed("127.0.1.1"), "unusable");
}

#[test]
fn an_event_has_times_origin_and_account() {
    let fields = fields_of(4768, &[]);
    let ReadOutcome::Event(event) = reader(all_events()).read(&record(4768, &fields), seconds(11))
    else {
        panic!("a TGT is a login");
    };
    assert_eq!((event.at, event.seen), (seconds(10), seconds(11)));
    assert_eq!(event.origin.to_string(), "event_log/dc1 (4768)");
    assert_eq!(event.sid.unwrap().to_string(), ALICE);
    assert_eq!(event.device, None, "what a client calls its host is its own choice");
}

/// Applies records, each `i64` seconds after the first, and returns the user of 10.0.0.7.
fn expected_user(records: &[(i64, u16, Overrides<'_>)]) -> String {
    let (mut reader, mut table) = (reader(all_events()), Table::default());
    for (position, (after, id, overrides)) in records.iter().enumerate() {
        let fields = fields_of(*id, overrides);
        let at = seconds(*after);
        let record = LogRecord { time: at, ..record(*id, &fields) };
        if let ReadOutcome::Event(event) = reader.read(&record, at) {
            table.apply(Revision(position as u64 + 1), &event, &rules());
        }
    }
    let session = table.get(address("10.0.0.7"));
    let user = session.and_then(|session| session.principal.as_ref());
    user.map_or("no user".to_owned(), ToString::to_string)
}

#[test]
fn a_connection_as_another_user_does_not_displace_a_logon() {
    const BOB: &[(&str, &str)] = &[("TargetUserName", "bob")];
    const BOBS: &[(&str, &str)] = &[("TargetUserName", "bob@CORP")];
    assert_eq!(expected_user(&[(0, 4768, &[]), (60, 4624, BOB)]), "alice@corp");
    assert_eq!(expected_user(&[(0, 4768, &[]), (60, 4769, BOBS), (61, 4770, BOBS)]), "alice@corp");
    assert_eq!(expected_user(&[(0, 4624, &[]), (60, 4769, BOBS)]), "alice@corp");
    assert_eq!(expected_user(&[(0, 4769, &[])]), "no user", "a ticket begins no session");
    assert_eq!(expected_user(&[(0, 4768, &[]), (60, 4768, BOB)]), "bob@corp", "bob logged on");
    assert_eq!(expected_user(&[(0, 4624, &[]), (60, 4624, BOB)]), "bob@corp", "equals: the later");
    assert_eq!(expected_user(&[(0, 4624, &[]), (60, 4768, BOB)]), "bob@corp");
    assert_eq!(expected_user(&[(0, 4768, &[]), (7200, 4624, BOB)]), "bob@corp", "alice is gone");
    let seen = [(0, 4768, &[][..]), (7100, 4624, &[]), (7300, 4624, BOB)];
    assert_eq!(expected_user(&seen), "alice@corp", "alice was seen meanwhile");
    // A ticket strengthens a session that a connection began.
    let raised = [(0, 4624, &[][..]), (5, 4769, &[]), (60, 4624, BOB)];
    assert_eq!(expected_user(&raised), "alice@corp");
    // The end of a remote desktop session on a server does not log the user off at the computer.
    const STAYS: &[(&str, &str)] = &[("LogonType", "10")];
    assert_eq!(
        expected_user(&[(0, 4768, &[]), (60, 4624, STAYS), (90, 4634, STAYS)]),
        "alice@corp"
    );
    assert_eq!(expected_user(&[(60, 4624, STAYS), (90, 4634, STAYS)]), "no user");
}

#[test]
fn replaying_a_captured_day_changes_nothing() {
    let (mut reader, mut table) = (reader(all_events()), Table::default());
    let day = 86_400;
    for id in readable_event_ids() {
        let fields = fields_of(id, &[("LogonType", "10")]);
        if let ReadOutcome::Event(event) = reader.read(&record(id, &fields), seconds(10 + day)) {
            let change: Option<Change> = table.apply(Revision(1), &event, &rules()).change;
            assert_eq!(change, None, "{id}");
        }
    }
    assert!(table.is_empty());
}
