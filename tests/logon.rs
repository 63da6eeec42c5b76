//! Real security logs of Windows servers: the outcome of every record, and the sessions at the end.
//! The logs are third-party recordings and not part of this repository.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rollcall_identity::logon::{
    Fields, LogRecord, LogonReader, LogonSettings, ReadOutcome, ServerRole,
};
use rollcall_identity::{Authority, Kind, Name, Revision, Rules, Table, Timestamp};
use serde_json::Value;

use crate::harness::{run, skip};

/// The fields of a record as `records.py` writes them.
struct RecordFields<'a>(&'a Value);

impl Fields for RecordFields<'_> {
    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.get(name)?.as_str().map(Cow::Borrowed)
    }
}

/// The path of a recorded log, in `ROLLCALL_DATA` or in `shared/data` beside the repository.
fn recorded(file: &str) -> Option<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = folders.map(|folder| folder.join("shared/data"));
    let named = std::env::var_os("ROLLCALL_DATA").map(PathBuf::from);
    let folder = named.or_else(|| folders.find(|folder| folder.is_dir()))?;
    Some(folder.join("windows").join(file)).filter(|path| path.is_file())
}

/// The records of a log, in their order. Skips the test and returns `None` when the log or the
/// simulator is missing.
fn records(story: &str, file: &str) -> Option<Vec<Value>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/peers/dc-simulator/bin/python");
    let Some(path) = recorded(file) else {
        skip(story, &format!("there is no recording {file}"));
        return None;
    };
    if !python.is_file() {
        skip(story, "the simulator of a domain controller is not installed");
        return None;
    }
    let script = root.join("tests/peers/dc-simulator/records.py");
    let output = run(&python, &[script.as_path(), &path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap()
}

/// Reads the records of `computer` in its role: the number of records for each outcome, and the
/// sessions at the end.
fn follow(
    records: &[Value],
    computer: &str,
    role: ServerRole,
) -> (Vec<(String, u32)>, Vec<String>) {
    let name = |text: &str| Name::new(text).unwrap();
    let mut reader =
        LogonReader::new(LogonSettings::for_role(role), &name("event_log"), &name("server"));
    let mut rules = Rules::default();
    let kinds = vec![Kind::Login, Kind::Logout, Kind::Refresh, Kind::DeviceSeen];
    let authority = Authority::unrestricted(kinds);
    rules.authorities.insert((name("event_log"), name("server")), authority);
    let (mut table, mut counts) = (Table::default(), BTreeMap::new());
    for (position, record) in records.iter().enumerate() {
        if text(record, "computer") != computer {
            continue;
        }
        let time: Timestamp = text(record, "time").parse().unwrap();
        let fields = RecordFields(&record["fields"]);
        let record = LogRecord {
            id: u16::try_from(record["id"].as_u64().unwrap()).unwrap(),
            time,
            record_id: record["record"].as_u64().unwrap(),
            computer,
            channel: text(record, "channel"),
            provider: text(record, "provider"),
            keywords: record["keywords"].as_u64().unwrap(),
            fields: &fields,
        };
        let outcome = match reader.read(&record, time) {
            ReadOutcome::Event(event) => {
                table.apply(Revision(position as u64 + 1), &event, &rules);
                event.kind.as_str()
            }
            ReadOutcome::Unresolved(_) => "unknown_host",
            ReadOutcome::Ignored(reason) => reason.as_str(),
        };
        *counts.entry(outcome.to_owned()).or_default() += 1;
    }
    let mut sessions: Vec<String> = table
        .sessions()
        .map(|session| match (&session.principal, &session.device) {
            (Some(user), _) => format!("{user} at {}", session.address),
            (None, device) => format!("<{}> at {}", device.as_ref().unwrap(), session.address),
        })
        .collect();
    sessions.sort();
    (counts.into_iter().collect(), sessions)
}

/// A computer of a recording: its name, its role, the number of records for each outcome, and the
/// sessions at the end.
type Expected<'a> = (&'a str, ServerRole, &'a [(&'a str, u32)], &'a [&'a str]);

/// Verifies the outcomes and the sessions of each computer in `file`.
#[track_caller]
fn verify_outcomes(story: &str, file: &str, expected: &[Expected<'_>]) {
    let Some(records) = records(story, file) else { return };
    for (computer, role, counts, sessions) in expected {
        let (counted, found) = follow(&records, computer, *role);
        let counted: Vec<_> = counted.iter().map(|(what, n)| (what.as_str(), *n)).collect();
        assert_eq!(counted, *counts, "{file} {computer}");
        assert_eq!(found, *sessions, "{file} {computer}");
    }
    let computers = records.iter().map(|record| text(record, "computer"));
    let unexpected =
        computers.filter(|known| expected.iter().all(|(computer, ..)| computer != known));
    assert_eq!(unexpected.count(), 0, "{file}: a computer without expectations");
}

/// Logons of HealthMailbox accounts, of SYSTEM and of services, at fe80::, ::1, 127.0.0.1 and the
/// own address of the server. None is of a user at a client.
#[test]
fn an_idle_exchange_server_gives_no_session() {
    verify_outcomes(
        "an_idle_exchange_server_gives_no_session",
        "proxylogon_ssrf_rce_poc.zip",
        &[(
            "MXS01.azsentinel.local",
            ServerRole::Exchange,
            // logon_type: nine ends of connections, and two services (type 5).
            &[("logon_type", 11), ("noise", 5), ("not_of_domain", 14), ("not_read", 5197)],
            &[],
        )],
    );
}

/// An attacker guesses passwords: 37 guesses fail. Two accounts need no pre-authentication, so that
/// any client gets a ticket for them. Three guesses succeed, which no log distinguishes from a
/// logon of the owner. The last of them has the session.
#[test]
fn only_successful_password_guesses_are_logins() {
    verify_outcomes(
        "only_successful_password_guesses_are_logins",
        "kerberos_user_enumeration.evtx",
        &[(
            "rootdc1.offsec.lan",
            ServerRole::DomainController,
            &[("failure", 37), ("login", 3), ("unproven", 2)],
            &["dsrm@offsec.lan at 10.23.123.11"],
        )],
    );
}

/// A ticket of Alice without pre-authentication is requested from the address of Bob. The logons of
/// the controller itself are of SYSTEM, and one is a ticket to itself.
#[test]
fn an_as_rep_roasted_account_displaces_no_session() {
    verify_outcomes(
        "an_as_rep_roasted_account_displaces_no_session",
        "asrep_roasting_security.evtx",
        &[(
            "DC-Server-1.labcorp.local",
            ServerRole::DomainController,
            &[
                ("login", 2),
                ("logon_type", 12),
                ("not_of_domain", 11),
                ("not_read", 14),
                ("refresh", 2),
                ("to_itself", 1),
                ("unproven", 1),
            ],
            &["bob@labcorp.local at 192.168.1.2"],
        )],
    );
}

/// A forged ticket names a user who does not exist. At a controller it creates no session. A
/// connection with it to a file server does; its SID (of the Administrator) allows a directory to
/// detect it.
#[test]
fn a_forged_ticket_creates_no_session_at_a_controller() {
    let story = "a_forged_ticket_creates_no_session_at_a_controller";
    let dc = [("refresh", 8), ("to_itself", 2)];
    let controller = ("rootdc1.offsec.lan", ServerRole::DomainController, &dc[..], &[][..]);
    verify_outcomes(story, "golden_ticket_4769.evtx", &[controller]);
    let sessions = ["admmig@offsec at 10.23.23.9"];
    let server = ("fs02.offsec.lan", ServerRole::Exchange, &[("login", 10)][..], &sessions[..]);
    verify_outcomes(story, "golden_ticket_4624.evtx", &[server]);
}

/// A computer account is renamed to the name of the controller without `$` and logs on: by its name
/// it is a user. Only by its SID a directory recognizes a computer. The ticket to itself is
/// ignored.
#[test]
fn a_renamed_computer_is_recognizable_only_by_its_sid() {
    verify_outcomes(
        "a_renamed_computer_is_recognizable_only_by_its_sid",
        "samaccount_spoofing_dc.evtx",
        &[(
            "01566s-win16-ir.threebeesco.com",
            ServerRole::DomainController,
            &[
                ("login", 6),
                ("not_of_domain", 1),
                ("not_read", 9),
                ("refresh", 1),
                ("to_itself", 1),
            ],
            &["01566s-win16-ir@threebeesco.com at 172.16.66.19"],
        )],
    );
}

/// One user of a small domain, who runs an attack tool from one computer against two others.
#[test]
fn the_logs_of_a_small_domain_give_one_user_and_its_devices() {
    let sessions = ["pgustavo@theshire.local at 172.18.39.5"];
    let target = |failures, others| {
        [("failure", failures), ("login", 1), ("logon_type", 4), ("no_address", 4), others]
    };
    verify_outcomes(
        "the_logs_of_a_small_domain_give_one_user_and_its_devices",
        "purplesharp_ad_playbook_I.zip",
        &[
            (
                "MORDORDC.theshire.local",
                ServerRole::DomainController,
                // The tool guesses passwords; computers request tickets to themselves.
                &[
                    ("device_seen", 3),
                    ("failure", 157),
                    ("login", 5),
                    ("logon_type", 23),
                    ("no_address", 4),
                    ("not_of_domain", 27),
                    ("not_read", 1353),
                    ("refresh", 14),
                    ("to_itself", 3),
                ],
                &[
                    "<wec> at 172.18.38.6",
                    "<workstation6> at 172.18.39.6",
                    "<workstation7> at 172.18.39.7",
                    "pgustavo@theshire.local at 172.18.39.5",
                ],
            ),
            // The user connected to it from WORKSTATION5.
            (
                "WORKSTATION6.theshire.local",
                ServerRole::Exchange,
                &target(3, ("not_read", 504)),
                &sessions,
            ),
            (
                "WORKSTATION7.theshire.local",
                ServerRole::Exchange,
                &target(3, ("not_read", 506)),
                &sessions,
            ),
            (
                "WORKSTATION5.theshire.local",
                ServerRole::Exchange,
                &[("failure", 7), ("not_read", 213)],
                &[],
            ),
        ],
    );
}

/// The same user, by remote desktop from 1.2.3.4. The log of the controller has the address where
/// the tickets are used, and not that of the remote desktop client.
#[test]
fn a_remote_desktop_logon_moves_no_session_at_a_controller() {
    verify_outcomes(
        "a_remote_desktop_logon_moves_no_session_at_a_controller",
        "rdp_interactive_taskmanager_lsass_dump.zip",
        &[
            (
                "MORDORDC.theshire.local",
                ServerRole::DomainController,
                &[
                    ("device_seen", 2),
                    ("login", 5),
                    ("logon_type", 10),
                    ("not_of_domain", 6),
                    ("not_read", 180),
                    ("refresh", 3),
                ],
                &["<wec> at 172.18.38.6", "pgustavo@theshire.local at 172.18.39.5"],
            ),
            (
                "WORKSTATION5.theshire.local",
                ServerRole::Exchange,
                // Network Level Authentication comes first, as a logon of type 3.
                &[("failure", 13), ("login", 1), ("logon_type", 10), ("not_read", 540)],
                &["pgustavo@theshire at 1.2.3.4"],
            ),
            ("WORKSTATION6.theshire.local", ServerRole::Exchange, &[("not_read", 23)], &[]),
        ],
    );
}
