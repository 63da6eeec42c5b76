//! Logs of real controllers, replayed by simulated ones.

use serde_json::json;

use super::{binxml, later, setup};
use crate::harness::{EventLogs, Server, skip};

/// Recorded logs, with the address of the client and its user at the end; tests/logon.rs checks
/// every record.
const RECORDINGS: [(&str, &str, Option<&str>); 4] = [
    // Password guessing: three guesses succeeded, and the last of them has the session.
    ("kerberos_user_enumeration.evtx", "10.23.123.11", Some("dsrm")),
    // A computer account has the name of the controller, without the `$`.
    ("samaccount_spoofing_dc.evtx", "172.16.66.19", Some("01566s-win16-ir")),
    // An attacker gets a ticket of Alice without her password, from the address of Bob.
    ("asrep_roasting_security.evtx", "192.168.1.2", Some("bob")),
    // A forged ticket names a user who does not exist.
    ("golden_ticket_4769.evtx", "10.23.23.9", None),
];

#[test]
fn replayed_logs_of_real_controllers_reach_a_firewall() {
    let story = "replayed_logs_of_real_controllers_reach_a_firewall";
    let Some(logs) = EventLogs::start(story, RECORDINGS.len()) else { return };
    for (index, (file, ..)) in RECORDINGS.iter().enumerate() {
        let Some(path) = binxml::recorded(file) else {
            return skip(story, &format!("there is no recording {file}"));
        };
        let controller = logs.address_of(index);
        let load = json!({"controller": controller, "do": "load", "file": path, "at": later(0)});
        logs.control(&load);
    }
    let server = Server::start(setup(&logs, ""));
    for (_, address, user) in RECORDINGS {
        if let Some(user) = user {
            server.wait_for_user(user, address);
        }
    }
    // The forged tickets are refreshes without a session: they are refused.
    let forged = server.account("dc4", 10);
    assert_eq!((forged.applied, forged.dropped), (0, 2), "{forged:?}");
    // Dropped: failed guesses, and two tickets without pre-authentication, which are no evidence.
    let tried = server.account("dc1", 20);
    assert_eq!((tried.applied, tried.dropped), (3, 17), "{tried:?}");
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    for (file, address, user) in RECORDINGS {
        assert_eq!(firewall.user_at(address), user, "{file}");
    }
    assert_eq!(firewall.table().len(), 3, "{:?}", firewall.table());
    server.stop();
}

#[test]
fn an_event_log_from_years_ago_creates_no_session() {
    let story = "an_event_log_from_years_ago_creates_no_session";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    let (file, address, _) = RECORDINGS[0];
    let Some(path) = binxml::recorded(file) else {
        return skip(story, &format!("there is no recording {file}"));
    };
    logs.control(&json!({"do": "load", "file": path}));
    let server = Server::start(setup(&logs, ""));
    let account = server.account("dc1", 20);
    assert_eq!((account.applied, account.refused, account.dropped), (0, 3, 17), "{account:?}");
    assert_eq!(server.user_at(address), None);
    server.stop();
}
