//! End-to-end tests of Windows event logs: logons at a domain controller reach a firewall, no fault
//! of a controller loses or repeats events, and errors name the cause and the remedy.

mod binxml;
pub(crate) mod guarantees;
mod in_flight;
mod recordings;

use serde_json::{Value, json};

use crate::harness::{Controller, EventLogs, PASSWORD, Server, Setup, now, rollcall, skip, until};

fn setup(logs: &EventLogs, more: &str) -> Setup {
    let password = format!("{}\n", EventLogs::PASSWORD);
    Setup::new().with_secret("reader.password", &password).with(&logs.sections(more))
}

#[test]
fn a_logon_at_a_domain_controller_reaches_a_firewall_and_a_failed_one_does_not() {
    let story = "a_logon_at_a_domain_controller_reaches_a_firewall_and_a_failed_one_does_not";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    // A logon before the start of Rollcall, which the catch-up reads.
    logs.ticket("alice", "10.1.40.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.40.1");
    for id in [4768, 4769, 4771, 4625, 4776] {
        logs.control(&json!({"id": id, "failed": true, "user": "mallory", "ip": "10.1.40.9"}));
    }
    // A logon at the address of the controller itself is ignored.
    logs.ticket("admin", &logs.address());
    logs.control(&json!({"id": 4624, "user": "bob", "ip": "10.1.40.2"}));
    server.wait_for_user("bob", "10.1.40.2");
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at("10.1.40.1"), Some("alice"));
    assert_eq!(firewall.user_at("10.1.40.2"), Some("bob"));
    assert_eq!(firewall.table().len(), 2, "{:?}", firewall.table());
    assert_eq!(server.metrics().dropped("dc1", "ignored"), 3);
    let explained = server.get("/api/v1/sessions/10.1.40.1/explain").text;
    assert!(explained.contains("login from dc1/dc1 (4768)"), "{explained}");
    assert!(!server.log().contains(EventLogs::PASSWORD));
    server.stop();
}

#[test]
fn a_restart_neither_loses_nor_repeats_an_event_log_record() {
    let Some(logs) = EventLogs::start("a_restart_neither_loses_nor_repeats_an_event_log_record", 1)
    else {
        return;
    };
    logs.ticket("alice", "10.1.41.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.41.1");
    let killed = server.kill();
    logs.ticket("bob", "10.1.41.2");
    let server = killed.start_again();
    server.wait_for_user("bob", "10.1.41.2");
    server.wait_for_user("alice", "10.1.41.1");
    // Only the new event: the first one was not read again.
    assert_eq!(server.account("dc1", 1).applied, 1);
    let server = server.restart();
    logs.ticket("carol", "10.1.41.3");
    server.wait_for_user("carol", "10.1.41.3");
    assert_eq!(server.account("dc1", 1).applied, 1);
    server.stop();
}

#[test]
fn after_any_controller_fault_the_next_logon_is_applied_once() {
    let Some(logs) =
        EventLogs::start("after_any_controller_fault_the_next_logon_is_applied_once", 1)
    else {
        return;
    };
    let server = Server::start(setup(&logs, ""));
    logs.ticket("begin", "10.1.42.1");
    server.wait_for_user("begin", "10.1.42.1");
    let faults = [
        json!({"do": "cut", "after": 100}),
        json!({"do": "cut", "after": 10}),
        json!({"do": "reboot"}),
        json!({"do": "empty", "status": 0x5bf}),
        json!({"do": "empty", "status": 0x103}),
        json!({"do": "fail", "call": "next", "status": 5}),
        json!({"do": "fail", "call": "next", "status": 14}),
        json!({"do": "fail", "call": "wait", "status": 1722}),
        // ERROR_EVT_QUERY_RESULT_STALE, although nothing is lost.
        json!({"do": "fail", "call": "next", "status": 0x3aa3}),
        json!({"do": "fail", "call": "wait", "status": 0x3aa3}),
        json!({"do": "slow", "seconds": 0.2}),
        json!({"do": "slow", "seconds": 0}),
    ];
    for (index, fault) in faults.iter().enumerate() {
        logs.control(fault);
        let (user, address) = (format!("user{index}"), format!("10.1.42.{}", index + 2));
        logs.ticket(&user, &address);
        server.wait_for_user(&user, &address);
    }
    // One for each fault, the first one, and the event of the controller at its start.
    let tickets = faults.len() as u64 + 1;
    let account = server.account("dc1", tickets + 1);
    assert_eq!((account.applied, account.dropped), (tickets, 1), "{account:?}");
    server.stop();
}

#[test]
fn a_cleared_log_is_reported_as_a_gap_and_reading_resumes() {
    let Some(logs) = EventLogs::start("a_cleared_log_is_reported_as_a_gap_and_reading_resumes", 1)
    else {
        return;
    };
    logs.ticket("alice", "10.1.43.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.43.1");
    let killed = server.kill();
    logs.ticket("lost", "10.1.43.9");
    logs.ticket("bob", "10.1.43.2");
    logs.control(&json!({"do": "roll", "keep": 1}));
    let server = killed.start_again();
    server.wait_for_user("bob", "10.1.43.2");
    let gaps = || server.metrics().sum("rollcall_event_log_gaps_total", &[]);
    until("the gap is counted", || (gaps() == 1).then_some(()));
    server.wait_for_log("event log lost events");
    assert_eq!(server.user_at("10.1.43.9"), None);
    server.stop();
}

#[test]
fn a_log_overwritten_while_read_is_reported_as_one_gap() {
    let story = "a_log_overwritten_while_read_is_reported_as_one_gap";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    let server = Server::start(setup(&logs, ""));
    logs.ticket("alice", "10.1.45.1");
    server.wait_for_user("alice", "10.1.45.1");
    logs.control(&json!({"do": "silent", "is": true}));
    logs.ticket("lost", "10.1.45.9");
    logs.ticket("bob", "10.1.45.2");
    logs.control(&json!({"do": "roll", "keep": 1}));
    // During the subscription: the records that it refers to no longer exist.
    logs.control(&json!({"do": "fail", "call": "next", "status": 0x3aa3}));
    logs.control(&json!({"do": "silent", "is": false}));
    server.wait_for_user("bob", "10.1.45.2");
    // Detected by the rejected bookmark, or, during a request, by the missing record numbers.
    let gaps = || server.metrics().sum("rollcall_event_log_gaps_total", &[]);
    until("the gap is counted", || (gaps() == 1).then_some(()));
    logs.ticket("carol", "10.1.45.3");
    server.wait_for_user("carol", "10.1.45.3");
    assert_eq!(gaps(), 1);
    assert_eq!(server.user_at("10.1.45.9"), None);
    server.wait_for_user("alice", "10.1.45.1");
    server.stop();
}

#[test]
fn a_hundred_controllers_are_read_concurrently() {
    let Some(logs) = EventLogs::start("a_hundred_controllers_are_read_concurrently", 100) else {
        return;
    };
    let server = Server::start(setup(&logs, ""));
    for index in 0..100 {
        let (user, ip) = (format!("user{index}"), format!("10.1.44.{}", index + 1));
        let controller = logs.address_of(index);
        logs.control(&json!({"controller": controller, "id": 4768, "user": user, "ip": ip}));
    }
    for index in 0..100 {
        server.wait_for_user(&format!("user{index}"), &format!("10.1.44.{}", index + 1));
    }
    server.stop();
}

#[test]
fn test_event_log_prints_each_step_and_the_remedy() {
    let Some(logs) = EventLogs::start("test_event_log_prints_each_step_and_the_remedy", 1) else {
        return;
    };
    logs.ticket("alice", "10.1.45.1");
    let setup = setup(&logs, "");
    let tested = |setup: &Setup| {
        let config = setup.write().display().to_string();
        let ended = rollcall(setup.folder(), &["--config", &config, "test", "event-log"]);
        let output = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!output.contains(EventLogs::PASSWORD), "{output}");
        (ended.status.success(), output)
    };
    let (worked, output) = tested(&setup);
    assert!(worked && output.contains("\n  ok"), "{output}");
    assert!(output.contains("from its endpoint mapper") && output.contains("4768 of"), "{output}");
    // An endpoint mapper that rejects anonymous clients is queried again with authentication.
    logs.control(&json!({"do": "fail", "call": "map", "status": 5}));
    let (worked, output) = tested(&setup);
    assert!(worked && output.contains("from its endpoint mapper"), "{output}");
    logs.control(&json!({"do": "fail", "call": "subscribe", "status": 5}));
    let (worked, output) = tested(&setup);
    assert!(!worked && output.contains("remedy: add the account to"), "{output}");
    logs.control(&json!({"do": "fail", "call": "subscribe", "status": 0x3aa3}));
    let (worked, output) = tested(&setup);
    assert!(!worked && output.contains("make the security log of the server larger"), "{output}");
    let wrong = setup.with_secret("reader.password", "not the password\n");
    let (worked, output) = tested(&wrong);
    assert!(!worked && output.contains("remedy: check the account and its password"), "{output}");
}

#[test]
fn push_delivery_receives_events_and_survives_faults() {
    let Some(logs) = EventLogs::start("push_delivery_receives_events_and_survives_faults", 1)
    else {
        return;
    };
    logs.ticket("alice", "10.1.47.1");
    let server = Server::start(setup(&logs, "delivery = \"push\""));
    server.wait_for_user("alice", "10.1.47.1");
    logs.ticket("bob", "10.1.47.2");
    server.wait_for_user("bob", "10.1.47.2");
    logs.control(&json!({"do": "cut", "after": 100}));
    logs.ticket("carol", "10.1.47.3");
    server.wait_for_user("carol", "10.1.47.3");
    logs.control(&json!({"do": "fail", "call": "next_async", "status": 14}));
    logs.ticket("dave", "10.1.47.4");
    logs.ticket("erin", "10.1.47.5");
    server.wait_for_user("erin", "10.1.47.5");
    server.wait_for_user("dave", "10.1.47.4");
    assert_eq!(server.account("dc1", 5).applied, 5);
    let calls = &logs.control(&json!({"do": "state"}))["calls"];
    assert!(calls["next_async"].as_u64() >= Some(4), "{calls}");
    assert_eq!((&calls["next"], &calls["wait"]), (&json!(null), &json!(null)), "{calls}");
    server.stop();
}

#[test]
fn a_wrong_password_is_tried_once_for_all_event_log_servers() {
    let story = "a_wrong_password_is_tried_once_for_all_event_log_servers";
    let Some(logs) = EventLogs::start(story, 3) else { return };
    logs.ticket("alice", "10.1.49.1");
    let setup = Setup::new().with_secret("reader.password", "not the password");
    let server = Server::start(setup.with(&logs.sections("")));
    let states = |server: &Server| -> Vec<String> {
        let all = server.get("/api/v1/producers").json();
        let logs = all.as_array().unwrap().iter().filter_map(|one| one.get("event_log"));
        logs.map(|log| log["state"].as_str().unwrap().to_owned()).collect()
    };
    until("all servers pause", || (states(&server) == ["credentials_refused"; 3]).then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(5));
    let metrics = server.metrics();
    assert_eq!(metrics.sum("rollcall_producer_credentials_refused", &[]), 3);
    assert_eq!(metrics.sum("rollcall_event_log_failures_total", &[("stage", "credentials")]), 3);
    assert_eq!(server.log().matches("account refused; it is not tried again").count(), 1);
    let file = server.setup().folder().join("reader.password");
    std::fs::write(file, EventLogs::PASSWORD).unwrap();
    server.wait_for_user("alice", "10.1.49.1");
    until("all servers are followed", || (states(&server) == ["following"; 3]).then_some(()));
    assert!(!server.stop().contains("not the password"));
}

/// The status of dc1 in REST, as soon as `condition` holds.
fn status_of_dc1(server: &Server, condition: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Value::Null;
    until("dc1 has the expected status", || {
        let all = server.get("/api/v1/producers/dc1").json();
        seen = all["event_log"].clone();
        condition(&seen).then_some(())
    });
    seen
}

#[test]
fn rest_reports_state_and_remedy_of_each_event_log() {
    let Some(logs) = EventLogs::start("rest_reports_state_and_remedy_of_each_event_log", 2) else {
        return;
    };
    logs.ticket("alice", "10.1.48.1");
    let server = Server::start(setup(&logs, ""));
    let following = status_of_dc1(&server, |log| log["state"] == "following");
    assert_eq!(following["description"], "connected; events are read as they are written");
    assert_eq!(following["addresses"], json!([logs.address()]));
    assert_eq!(
        (&following["last_event"]["record_id"], &following["bookmark"]),
        (&json!(1), &json!(1))
    );
    assert!(following["last_event"]["at"].is_string() && following["since"].is_string());
    assert_eq!((&following["gaps"], &following["bad_records"]), (&json!(0), &json!(0)));
    assert_eq!((&following["last_error"], &following["unaudited"]), (&json!(null), &json!([])));
    let one = logs.address();
    logs.control(
        &json!({"controller": one, "do": "fail", "call": "subscribe", "status": 5, "times": 9}),
    );
    logs.control(&json!({"controller": one, "do": "reboot"}));
    let failing = status_of_dc1(&server, |log| log["last_error"]["stage"] == "rights");
    assert_eq!(failing["state"], "failing");
    assert!(failing["last_error"]["error"].as_str().unwrap().contains("access denied (5)"));
    let remedy = failing["last_error"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("Event Log Readers"), "{remedy}");
    assert_eq!(failing["bookmark"], 1, "the bookmark is kept");
    // The other log is followed, and is in the same list.
    until("the other is followed", || {
        let all = server.get("/api/v1/producers").json();
        let of = |name: &str| all.as_array()?.iter().find(|one| one["actor"] == *name).cloned();
        assert_eq!(of("syslog")?.get("event_log"), None);
        (of("dc2")?["event_log"]["state"] == "following").then_some(())
    });
    logs.control(&json!({"controller": one, "do": "fail", "call": "subscribe", "status": 0}));
    let again = status_of_dc1(&server, |log| log["state"] == "following");
    assert!(again["last_error"]["remedy"].is_string(), "the last error is still reported");
    assert_eq!(server.get("/api/v1/producers/dc3").status, 404);
    server.stop();
}

#[test]
fn overwritten_unread_events_are_detected_by_record_numbers() {
    let story = "overwritten_unread_events_are_detected_by_record_numbers";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    logs.ticket("alice", "10.1.49.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.49.1");
    let gaps = |cause| server.metrics().sum("rollcall_event_log_gaps_total", &[("cause", cause)]);
    // Missing numbers of other events are not a gap.
    logs.control(&json!({"id": 4768, "user": "bob", "ip": "10.1.49.2", "record": 20}));
    server.wait_for_user("bob", "10.1.49.2");
    let state = || logs.control(&json!({"do": "state"}));
    until("the gap was verified", || (state()["calls"]["log_info"] == 1).then_some(()));
    assert_eq!(gaps("overwritten"), 0);
    // The log is overwritten while the server does not respond.
    logs.control(&json!({"do": "silent", "is": true}));
    logs.ticket("lost", "10.1.49.9");
    logs.control(&json!({"id": 4768, "user": "carol", "ip": "10.1.49.3", "record": 30}));
    logs.control(&json!({"do": "roll", "keep": 1}));
    logs.control(&json!({"do": "silent", "is": false}));
    server.wait_for_user("carol", "10.1.49.3");
    until("the gap is counted", || (gaps("overwritten") == 1).then_some(()));
    let gap = status_of_dc1(&server, |log| log["gaps"] == 1)["last_gap"].clone();
    assert_eq!((&gap["cause"], &gap["after"]), (&json!("overwritten"), &json!(20)));
    assert_eq!(gap["records"], 9);
    assert!(gap["remedy"].as_str().unwrap().contains("larger"), "{gap}");
    assert_eq!(server.user_at("10.1.49.9"), None);
    // The log is cleared, and its own event about it follows.
    logs.control(&json!({"do": "silent", "is": true}));
    logs.ticket("lost", "10.1.49.9");
    logs.control(&json!({"do": "clear"}));
    logs.control(&json!({"id": 1102}));
    logs.control(&json!({"do": "silent", "is": false}));
    until("the gap is counted", || (gaps("cleared") == 1).then_some(()));
    server.wait_for_log("event log lost events");
    // Windows reports lost audit events.
    logs.control(&json!({"id": 1101}));
    until("the gap is counted", || (gaps("audits_lost") == 1).then_some(()));
    assert_eq!(gaps("overwritten"), 1);
    server.stop();
}

#[test]
fn a_log_without_gap_verification_is_still_read() {
    let story = "a_log_without_gap_verification_is_still_read";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    logs.control(&json!({"do": "fail", "call": "open_log", "status": 5}));
    logs.ticket("alice", "10.1.50.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.50.1");
    logs.control(&json!({"id": 4768, "user": "bob", "ip": "10.1.50.2", "record": 20}));
    server.wait_for_user("bob", "10.1.50.2");
    let status = status_of_dc1(&server, |log| log["gaps_unverifiable"].is_string());
    assert!(
        status["gaps_unverifiable"].as_str().unwrap().contains("EvtRpcOpenLogHandle"),
        "{status}"
    );
    logs.ticket("carol", "10.1.50.3");
    server.wait_for_user("carol", "10.1.50.3");
    assert_eq!(status["last_error"], json!(null), "the connection is still usable");
    server.stop();
}

#[test]
fn a_silent_log_is_reported_while_connected() {
    let Some(logs) = EventLogs::start("a_silent_log_is_reported_while_connected", 1) else {
        return;
    };
    logs.ticket("alice", "10.1.51.1");
    let server = Server::start(setup(&logs, "silent_after = \"10s\""));
    server.wait_for_user("alice", "10.1.51.1");
    let silent = || server.metrics().sum("rollcall_event_log_silent", &[]);
    assert_eq!(silent(), 0);
    let status = status_of_dc1(&server, |log| log["state"] == "silent");
    until("the metric reports it", || (silent() == 1).then_some(()));
    assert!(status["last_error"]["remedy"].as_str().unwrap().contains("auditpol"), "{status}");
    server.wait_for_log("event log is silent");
    // Silence is not a failure: the session stays, and the next event is read at once.
    server.wait_for_user("alice", "10.1.51.1");
    let failures = server.metrics().sum("rollcall_event_log_failures_total", &[]);
    assert_eq!(failures, 0);
    logs.ticket("bob", "10.1.51.2");
    server.wait_for_user("bob", "10.1.51.2");
    until("the log is not silent", || (silent() == 0).then_some(()));
    status_of_dc1(&server, |log| log["state"] == "following");
    server.stop();
}

#[test]
fn missing_logon_auditing_is_reported() {
    let Some(logs) = EventLogs::start("missing_logon_auditing_is_reported", 1) else {
        return;
    };
    let server = Server::start(setup(&logs, ""));
    logs.ticket("alice", "10.1.52.1");
    server.wait_for_user("alice", "10.1.52.1");
    let unaudited = |of| {
        let labels = [("subcategory", of)];
        server.metrics().sum("rollcall_event_log_audit_missing", &labels)
    };
    assert_eq!(unaudited("logon"), 0);
    logs.control(&json!({"id": 4719}));
    until("the missing subcategory is reported", || (unaudited("logon") == 1).then_some(()));
    let missing =
        status_of_dc1(&server, |log| log["unaudited"] != json!([]))["unaudited"][0].clone();
    assert_eq!((&missing["subcategory"], &missing["by"]), (&json!("Logon"), &json!("policy")));
    let remedy = "on the server: auditpol /set /subcategory:\"Logon\" /success:enable";
    assert_eq!(missing["remedy"], remedy);
    server.wait_for_log("logons are not audited");
    logs.control(&json!({"id": 4719, "fields": {"AuditPolicyChanges": "%%8449"}}));
    until("it is audited again", || (unaudited("logon") == 0).then_some(()));
    // Without a policy event: 36 hours of other events, and no ticket among them.
    logs.control(&json!({"id": 4624, "user": "bob", "ip": "10.1.52.2", "at": later(36)}));
    until("the absence of tickets is reported", || {
        (unaudited("kerberos_authentication") == 1).then_some(())
    });
    let missing =
        status_of_dc1(&server, |log| log["unaudited"] != json!([]))["unaudited"][0].clone();
    assert_eq!(missing["by"], "absence", "{missing}");
    logs.control(&json!({"id": 4768, "user": "bob", "ip": "10.1.52.2", "at": later(37)}));
    until("a ticket is read", || (unaudited("kerberos_authentication") == 0).then_some(()));
    server.stop();
}

/// The time in `hours` hours, in the format of the simulator.
fn later(hours: i64) -> String {
    (now() + jiff::SignedDuration::from_hours(hours)).to_string()
}

#[test]
fn logons_at_addresses_of_other_controllers_are_ignored() {
    let story = "logons_at_addresses_of_other_controllers_are_ignored";
    let Some(logs) = EventLogs::start(story, 3) else { return };
    // Before the start of Rollcall, when no log knows the addresses of the others yet.
    for (index, user) in [(0, "backup"), (1, "monitor"), (2, "admin")] {
        let (controller, at) = (logs.address_of(index), logs.address_of((index + 1) % 3));
        logs.control(&json!({"controller": controller, "id": 4768, "user": user, "ip": at}));
    }
    logs.ticket("alice", "10.1.53.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.53.1");
    for (index, name) in ["dc1", "dc2", "dc3"].into_iter().enumerate() {
        let account = server.account(name, if index == 0 { 2 } else { 1 });
        assert_eq!(account.dropped, 1, "{name}: {account:?}");
        assert_eq!(server.user_at(&logs.address_of(index)), None);
    }
    server.stop();
}

#[test]
fn samba_authenticates_by_each_method_and_lacks_subscriptions() {
    let story = "samba_authenticates_by_each_method_and_lacks_subscriptions";
    let Some(_controller) = Controller::start(story) else { return };
    let kdc = format!("kdc = \"{}:88\"", Controller::ADDRESS);
    let sealed = format!("{kdc}\nendpoint_mapper = \"sealed\"");
    // Without `kdc`, DNS gives the KDC.
    let names = format!("name_servers = [\"{}:53\"]", Controller::ADDRESS);
    for (auth, role, more) in [
        ("ntlm", "domain_controller", ""),
        ("ntlm", "domain_controller", "endpoint_mapper = \"sealed\""),
        ("kerberos", "domain_controller", &*kdc),
        ("kerberos", "domain_controller", &*sealed),
        ("spnego", "domain_controller", &*kdc),
        ("kerberos", "exchange", &*names),
        ("spnego", "exchange", &*names),
    ] {
        let text = format!(
            "[[event_log]]\naccount = \"administrator@corp.example.com\"\nauth = \"{auth}\"\n\
             {more}\nsecret_file = \"reader.password\"\n[[event_log.sources]]\n\
             name = \"dc1\"\nhost = \"{}\"\naddress = \"{}\"\nrole = \"{role}\"\n",
            Controller::HOST,
            Controller::ADDRESS
        );
        let setup = Setup::new().with_secret("reader.password", crate::harness::ADMINISTRATOR);
        let setup = setup.with(&text);
        let config = setup.write().display().to_string();
        let ended = rollcall(setup.folder(), &["--config", &config, "test", "event-log"]);
        let output = String::from_utf8(ended.stdout).unwrap();
        assert!(output.contains("authenticated with"), "{auth}: {output}");
        // MS-SAMR, over a separate sealed connection.
        let domain = "it is a domain controller of CORP, SID S-1-5-21-";
        assert_eq!(output.contains(domain), role == "domain_controller", "{auth}: {output}");
        // Samba serves queries but no subscriptions.
        let queried =
            "it answers a query of its log, with 0 events, but does not support subscriptions";
        assert!(output.contains(queried), "{auth}: {output}");
        assert!(output.contains("nca_s_op_rng_error"), "{auth}: {output}");
        assert!(
            output.contains("remedy: the server does not support subscriptions"),
            "{auth}: {output}"
        );
        assert!(!output.contains(PASSWORD), "{output}");
    }
}

#[test]
fn the_samba_endpoint_mapper_is_authenticated_if_configured() {
    let story = "the_samba_endpoint_mapper_is_authenticated_if_configured";
    let Some(_controller) = Controller::start(story) else { return };
    // With a wrong password, an anonymous query of the endpoint mapper returns the port, and an
    // authenticated one does not.
    for (mapper, has_port) in [("anonymous", true), ("sealed", false)] {
        let text = format!(
            "[[event_log]]\naccount = \"administrator@corp.example.com\"\nauth = \"ntlm\"\n\
             endpoint_mapper = \"{mapper}\"\nsecret_file = \"reader.password\"\n\
             [[event_log.sources]]\nname = \"dc1\"\nhost = \"{}\"\naddress = \"{}\"\n\
             role = \"domain_controller\"\n",
            Controller::HOST,
            Controller::ADDRESS
        );
        let setup = Setup::new().with_secret("reader.password", "wrong").with(&text);
        let config = setup.write().display().to_string();
        let ended = rollcall(setup.folder(), &["--config", &config, "test", "event-log"]);
        let output = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(
            output.contains("the event log service has port"),
            has_port,
            "{mapper}: {output}"
        );
        assert!(output.contains("failed: "), "{mapper}: {output}");
    }
}

/// A ticket for `user` at 10.1.46.1, as `evtx_dump -o jsonl` writes it.
fn ticket_record(record: u64, user: &str, status: &str) -> String {
    let keywords = if status == "0x0" { "0x8020000000000000" } else { "0x8010000000000000" };
    let system = json!({
        "Provider": {"#attributes": {"Name": "Microsoft-Windows-Security-Auditing"}},
        "EventID": 4768, "EventRecordID": record, "Keywords": keywords, "Channel": "Security",
        "Computer": "dc1.corp.example.com",
        "TimeCreated": {"#attributes": {"SystemTime": "2026-11-22T08:00:00.123456Z"}},
    });
    let data = json!({
        "TargetUserName": user, "TargetDomainName": "CORP", "Status": status, "PreAuthType": "2",
        "TargetSid": "S-1-5-21-1-2-3-1105", "IpAddress": "::ffff:10.1.46.1",
    });
    json!({"Event": {"System": system, "EventData": data}}).to_string()
}

#[test]
fn a_recorded_log_is_replayed_with_its_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        ticket_record(1, "alice", "0x0"),
        ticket_record(2, "mallory", "0x18"),
        "no record".to_owned(),
        ticket_record(4, "alice", "0x0"),
    ];
    std::fs::write(folder.path().join("log.jsonl"), lines.join("\n")).unwrap();
    std::fs::write(folder.path().join("cut.evtx"), b"ElfFile\0").unwrap();
    let replay = |file| {
        let ended = rollcall(folder.path(), &["event-log", "replay", file]);
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };
    let (code, output) = replay("log.jsonl");
    assert_eq!(code, Some(0), "{output}");
    let output: Vec<&str> = output.lines().collect();
    assert!(output[0].starts_with("1: record 1, 4768: login 10.1.46.1 user=alice@"), "{output:?}");
    assert!(output[0].ends_with("applied (first_user)"), "{output:?}");
    assert_eq!(output[1], "2: record 2, 4768: no event: not a success audit");
    assert!(output[2].starts_with("3: unreadable: the line is not a JSON object"), "{output:?}");
    assert!(output[3].ends_with("deduplicated (known_already)"), "{output:?}");
    assert!(output.last().unwrap().to_lowercase().ends_with("10.1.46.1 alice@corp"), "{output:?}");
    let (code, output) = replay("cut.evtx");
    assert!(code != Some(0) && output.contains("cannot read cut.evtx"), "{output}");
}

#[test]
fn a_log_saved_by_windows_is_replayed() {
    let story = "a_log_saved_by_windows_is_replayed";
    let Some(log) = binxml::recorded("kerberos_user_enumeration.evtx") else {
        return skip(story, "there is no recording kerberos_user_enumeration.evtx");
    };
    let folder = tempfile::tempdir().unwrap();
    let ended = rollcall(folder.path(), &["event-log", "replay", log.to_str().unwrap()]);
    let output = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success(), "{output}");
    // Three of 42 logons succeeded, and the last of them has the session; see tests/logon.rs.
    for line in ["      37 failure", "       3 login", "       2 unproven"] {
        assert!(output.lines().any(|printed| printed == line), "{line}: {output}");
    }
    assert!(output.trim_end().ends_with("10.23.123.11 dsrm@offsec.lan"), "{output}");
}
