//! Guarantees for any content of an event log (S1, S2, S4 and S6 of docs/security.md), and logons
//! by NTLM, which name a computer instead of an address.

use serde_json::json;

use super::{later, setup};
use crate::harness::{EventLogs, Server, Setup};

/// All event IDs that can be read, except the start of a server.
pub(crate) const FAILED_AUDITS: [u16; 9] = [4768, 4769, 4770, 4624, 4634, 4647, 4776, 4778, 4779];

/// Success audits whose status is a failure: an unknown name, a wrong password, a disabled or
/// locked account, an expired password or ticket, a wrong clock (MS-ERREF section 2.3.1, RFC 4120
/// section 7.5.9).
pub(crate) const FAILED_STATUSES: [(u16, &str); 9] = [
    (4768, "0x6"),
    (4768, "0x12"),
    (4768, "0x17"),
    (4768, "0x18"),
    (4769, "0x20"),
    (4769, "0x25"),
    (4776, "0xc0000064"),
    (4776, "0xc000006a"),
    (4776, "0xc0000234"),
];

/// A configuration with these `event_ids` for each server.
fn setup_with_ids(logs: &EventLogs, ids: &[u16]) -> Setup {
    let password = format!("{}\n", EventLogs::PASSWORD);
    let read = format!("[[event_log.sources]]\nevent_ids = {ids:?}");
    let sections = logs.sections("").replace("[[event_log.sources]]", &read);
    Setup::new().with_secret("reader.password", &password).with(&sections)
}

#[test]
fn no_failure_audit_of_any_kind_reaches_a_firewall() {
    let story = "no_failure_audit_of_any_kind_reaches_a_firewall";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    let server = Server::start(setup_with_ids(&logs, &FAILED_AUDITS));
    // An address without a user, and a session that failures must not end.
    logs.control(&json!({"id": 4768, "user": "PC1$", "ip": "10.1.55.7"}));
    logs.ticket("alice", "10.1.55.1");
    server.wait_for_user("alice", "10.1.55.1");
    let mut failures = 0;
    for ip in ["10.1.55.1", "10.1.55.9"] {
        for id in FAILED_AUDITS {
            logs.control(&json!({"id": id, "failed": true, "user": "mallory", "ip": ip}));
            failures += 1;
        }
        for (id, status) in FAILED_STATUSES {
            let fields = json!({"Status": status});
            logs.control(&json!({"id": id, "user": "mallory", "ip": ip, "fields": fields}));
            failures += 1;
        }
    }
    logs.ticket("bob", "10.1.55.2");
    server.wait_for_user("bob", "10.1.55.2");
    let account = server.account("dc1", failures + 3);
    assert_eq!((account.applied, account.dropped), (3, failures), "{account:?}");
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at("10.1.55.1"), Some("alice"));
    assert_eq!(firewall.user_at("10.1.55.2"), Some("bob"));
    let explained = server.get("/api/v1/sessions/10.1.55.1/explain").text;
    assert!(!explained.contains("mallory"), "{explained}");
    // The computer has an entry without a user.
    assert_eq!(firewall.user_at("10.1.55.7"), Some(""));
    assert_eq!(firewall.user_at("10.1.55.9"), None);
    server.stop();
}

#[test]
fn an_event_log_is_limited_to_its_networks_and_domains() {
    let story = "an_event_log_is_limited_to_its_networks_and_domains";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    let more = "allow_networks = [\"10.1.56.0/24\"]\nallow_domains = [\"CORP\"]";
    let server = Server::start(setup(&logs, more));
    logs.ticket("mallory", "10.1.99.1");
    let elsewhere = json!({"id": 4768, "user": "mallory", "domain": "OTHER", "ip": "10.1.56.9"});
    logs.control(&elsewhere);
    logs.ticket("alice", "10.1.56.1");
    server.wait_for_user("alice", "10.1.56.1");
    let account = server.account("dc1", 3);
    assert_eq!((account.applied, account.refused), (1, 2), "{account:?}");
    assert_eq!((server.user_at("10.1.99.1"), server.user_at("10.1.56.9")), (None, None));
    server.stop();
}

#[test]
fn old_logons_create_no_session_and_computers_displace_no_user() {
    let story = "old_logons_create_no_session_and_computers_displace_no_user";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    logs.control(&json!({"id": 4768, "user": "mallory", "ip": "10.1.57.9", "at": later(-24)}));
    logs.ticket("alice", "10.1.57.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.57.1");
    logs.control(&json!({"id": 4768, "user": "PC1$", "ip": "10.1.57.1"}));
    logs.ticket("HealthMailbox28ea308", "10.1.57.1");
    logs.ticket("bob", "10.1.57.2");
    server.wait_for_user("bob", "10.1.57.2");
    let account = server.account("dc1", 5);
    assert_eq!((account.refused, account.dropped), (1, 1), "{account:?}");
    server.wait_for_user("alice", "10.1.57.1");
    assert_eq!(server.user_at("10.1.57.9"), None);
    server.stop();
}

#[test]
fn an_ntlm_logon_is_located_by_the_computer_that_any_controller_saw() {
    let story = "an_ntlm_logon_is_located_by_the_computer_that_any_controller_saw";
    let Some(logs) = EventLogs::start(story, 2) else { return };
    let server = Server::start(setup_with_ids(&logs, &[4768, 4776]));
    let [one, other] = [0, 1].map(|index| logs.address_of(index));
    let at = |controller: &str, user: &str, ip: &str| {
        logs.control(&json!({"controller": controller, "id": 4768, "user": user, "ip": ip}));
    };
    let by_ntlm = |user: &str, host: &str| {
        logs.control(&json!({"controller": one, "id": 4776, "user": user, "host": host}));
    };
    at(&other, "PC7$", "10.1.58.7");
    at(&other, "PC8$", "10.1.58.8");
    at(&other, "bob", "10.1.58.8");
    server.wait_for_user("bob", "10.1.58.8");
    by_ntlm("alice", "PC7");
    server.wait_for_user("alice", "10.1.58.7");
    // The weakest evidence displaces no user, and the address of PC9 is unknown.
    by_ntlm("mallory", "PC8");
    by_ntlm("mallory", "PC9");
    let account = server.account("dc1", 3);
    assert_eq!((account.applied, account.dropped), (1, 1), "{account:?}");
    assert_eq!(server.metrics().dropped("dc1", "unknown_host"), 1);
    server.wait_for_user("bob", "10.1.58.8");
    let explained = server.get("/api/v1/sessions/10.1.58.7/explain").text;
    assert!(explained.contains("(4776)"), "{explained}");
    server.stop();
}
