//! Stories of Windows event logs: a logon at a domain controller reaches a firewall, nothing is lost or
//! repeated, whatever the controller does, and what cannot be read is said in plain words.

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
    // One before Rollcall began, which is caught up with.
    logs.ticket("alice", "10.1.40.1");
    let server = Server::start(setup(&logs, ""));
    server.wait_for_user("alice", "10.1.40.1");
    for id in [4768, 4769, 4771, 4625, 4776] {
        logs.control(&json!({"id": id, "failed": true, "user": "mallory", "ip": "10.1.40.9"}));
    }
    // Nobody works at the controller itself.
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
    // Only what was new: the first was not read again.
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
        // ERROR_EVT_QUERY_RESULT_STALE, though nothing is lost.
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
    // One for each fault, that at the beginning, and the controller's own at its start.
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
    server.wait_for_log("events of an event log are lost");
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
    // In the middle of the stream: what the subscription was of is no longer there.
    logs.control(&json!({"do": "fail", "call": "next", "status": 0x3aa3}));
    logs.control(&json!({"do": "silent", "is": false}));
    server.wait_for_user("bob", "10.1.45.2");
    // By the bookmark that is refused, or, when it was asking just then, by the numbers left out.
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
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!said.contains(EventLogs::PASSWORD), "{said}");
        (ended.status.success(), said)
    };
    let (worked, said) = tested(&setup);
    assert!(worked && said.contains("\n  ok"), "{said}");
    assert!(said.contains("by its endpoint mapper") && said.contains("4768 of"), "{said}");
    // A mapper that answers no strangers is asked again with a proof.
    logs.control(&json!({"do": "fail", "call": "map", "status": 5}));
    let (worked, said) = tested(&setup);
    assert!(worked && said.contains("by its endpoint mapper"), "{said}");
    logs.control(&json!({"do": "fail", "call": "subscribe", "status": 5}));
    let (worked, said) = tested(&setup);
    assert!(!worked && said.contains("remedy: put the account into"), "{said}");
    logs.control(&json!({"do": "fail", "call": "subscribe", "status": 0x3aa3}));
    let (worked, said) = tested(&setup);
    assert!(!worked && said.contains("make the security log of the server larger"), "{said}");
    let wrong = setup.with_secret("reader.password", "not the password\n");
    let (worked, said) = tested(&wrong);
    assert!(!worked && said.contains("remedy: check the account and its password"), "{said}");
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

/// What REST says of the reading of dc1, once it is as `wanted`.
fn status_of_dc1(server: &Server, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut seen = Value::Null;
    until("REST says so of dc1", || {
        let all = server.get("/api/v1/producers/dc1").json();
        seen = all["event_log"].clone();
        wanted(&seen).then_some(())
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
    assert_eq!(following["in_words"], "connected; events are read as they are written");
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
    assert_eq!(failing["bookmark"], 1, "what was read stays read");
    // The other is well, and in the list beside it.
    until("the other is followed", || {
        let all = server.get("/api/v1/producers").json();
        let of = |name: &str| all.as_array()?.iter().find(|one| one["actor"] == *name).cloned();
        assert_eq!(of("syslog")?.get("event_log"), None);
        (of("dc2")?["event_log"]["state"] == "following").then_some(())
    });
    logs.control(&json!({"controller": one, "do": "fail", "call": "subscribe", "status": 0}));
    let again = status_of_dc1(&server, |log| log["state"] == "following");
    assert!(again["last_error"]["remedy"].is_string(), "what went wrong last can still be seen");
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
    // Numbers that only are of other events are no gap.
    logs.control(&json!({"id": 4768, "user": "bob", "ip": "10.1.49.2", "record": 20}));
    server.wait_for_user("bob", "10.1.49.2");
    let state = || logs.control(&json!({"do": "state"}));
    until("it was looked into", || (state()["calls"]["log_info"] == 1).then_some(()));
    assert_eq!(gaps("overwritten"), 0);
    // The server is busy, and its log goes round meanwhile.
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
    // Cleared, and one event later its own event of that.
    logs.control(&json!({"do": "silent", "is": true}));
    logs.ticket("lost", "10.1.49.9");
    logs.control(&json!({"do": "clear"}));
    logs.control(&json!({"id": 1102}));
    logs.control(&json!({"do": "silent", "is": false}));
    until("the gap is counted", || (gaps("cleared") == 1).then_some(()));
    server.wait_for_log("events of an event log are lost");
    // Windows itself has lost some; that is said, too.
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
    let said = status_of_dc1(&server, |log| log["gaps_unverifiable"].is_string());
    assert!(said["gaps_unverifiable"].as_str().unwrap().contains("EvtRpcOpenLogHandle"), "{said}");
    logs.ticket("carol", "10.1.50.3");
    server.wait_for_user("carol", "10.1.50.3");
    assert_eq!(said["last_error"], json!(null), "the connection is as good as before");
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
    let said = status_of_dc1(&server, |log| log["state"] == "silent");
    until("the metric says so", || (silent() == 1).then_some(()));
    assert!(said["last_error"]["remedy"].as_str().unwrap().contains("auditpol"), "{said}");
    server.wait_for_log("event log is silent");
    // It is no failure: the session stays, and the next event is read at once.
    server.wait_for_user("alice", "10.1.51.1");
    let failures = server.metrics().sum("rollcall_event_log_failures_total", &[]);
    assert_eq!(failures, 0);
    logs.ticket("bob", "10.1.51.2");
    server.wait_for_user("bob", "10.1.51.2");
    until("it is silent no more", || (silent() == 0).then_some(()));
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
    until("it is said", || (unaudited("logon") == 1).then_some(()));
    let said = status_of_dc1(&server, |log| log["unaudited"] != json!([]))["unaudited"][0].clone();
    assert_eq!((&said["subcategory"], &said["by"]), (&json!("Logon"), &json!("policy")));
    let remedy = "on the server: auditpol /set /subcategory:\"Logon\" /success:enable";
    assert_eq!(said["remedy"], remedy);
    server.wait_for_log("logons are not audited");
    logs.control(&json!({"id": 4719, "fields": {"AuditPolicyChanges": "%%8449"}}));
    until("it is audited again", || (unaudited("logon") == 0).then_some(()));
    // Without a word: a day and a half of other events, and no ticket among them.
    logs.control(&json!({"id": 4624, "user": "bob", "ip": "10.1.52.2", "at": later(36)}));
    until("its absence is said", || (unaudited("kerberos_authentication") == 1).then_some(()));
    let said = status_of_dc1(&server, |log| log["unaudited"] != json!([]))["unaudited"][0].clone();
    assert_eq!(said["by"], "absence", "{said}");
    logs.control(&json!({"id": 4768, "user": "bob", "ip": "10.1.52.2", "at": later(37)}));
    until("it came", || (unaudited("kerberos_authentication") == 0).then_some(()));
    server.stop();
}

/// The time in so many hours, as the simulator reads it.
fn later(hours: i64) -> String {
    (now() + jiff::SignedDuration::from_hours(hours)).to_string()
}

#[test]
fn logons_at_addresses_of_other_controllers_are_ignored() {
    let story = "logons_at_addresses_of_other_controllers_are_ignored";
    let Some(logs) = EventLogs::start(story, 3) else { return };
    // Before Rollcall began, when each has yet to find the others.
    for (teller, user) in [(0, "backup"), (1, "monitor"), (2, "admin")] {
        let (controller, at) = (logs.address_of(teller), logs.address_of((teller + 1) % 3));
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
    // What gives out no tickets asks DNS for who does.
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
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(said.contains("proved itself by"), "{auth}: {said}");
        // MS-SAMR, over a connection of its own and sealed as well.
        let domain = "it is a controller of CORP, whose accounts have S-1-5-21-";
        assert_eq!(said.contains(domain), role == "domain_controller", "{auth}: {said}");
        // It serves queries and no subscriptions.
        let queried = "it answers a query of its log, with 0 events, and serves no subscription";
        assert!(said.contains(queried), "{auth}: {said}");
        assert!(said.contains("nca_s_op_rng_error"), "{auth}: {said}");
        assert!(said.contains("remedy: the server has no event log"), "{auth}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn the_samba_endpoint_mapper_is_authenticated_if_configured() {
    let story = "the_samba_endpoint_mapper_is_authenticated_if_configured";
    let Some(_controller) = Controller::start(story) else { return };
    // Whose password is wrong is told the port by whoever tells everybody, and not by who was asked
    // with a proof.
    for (mapper, is_told) in [("anonymous", true), ("sealed", false)] {
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
        let said = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(said.contains("its event log is at port"), is_told, "{mapper}: {said}");
        assert!(said.contains("failed: "), "{mapper}: {said}");
    }
}

/// A ticket for `user` at 10.1.46.1, as `evtx_dump -o jsonl` writes it.
fn written(record: u64, user: &str, status: &str) -> String {
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
        written(1, "alice", "0x0"),
        written(2, "mallory", "0x18"),
        "no record".to_owned(),
        written(4, "alice", "0x0"),
    ];
    std::fs::write(folder.path().join("log.jsonl"), lines.join("\n")).unwrap();
    std::fs::write(folder.path().join("cut.evtx"), b"ElfFile\0").unwrap();
    let replay = |file| {
        let ended = rollcall(folder.path(), &["event-log", "replay", file]);
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };
    let (code, said) = replay("log.jsonl");
    assert_eq!(code, Some(0), "{said}");
    let said: Vec<&str> = said.lines().collect();
    assert!(said[0].starts_with("1: record 1, 4768: login 10.1.46.1 user=alice@"), "{said:?}");
    assert!(said[0].ends_with("applied (first_user)"), "{said:?}");
    assert_eq!(said[1], "2: record 2, 4768: no event: not a success audit");
    assert!(said[2].starts_with("3: unreadable: the line is not a JSON object"), "{said:?}");
    assert!(said[3].ends_with("deduplicated (known_already)"), "{said:?}");
    assert!(said.last().unwrap().to_lowercase().ends_with("10.1.46.1 alice@corp"), "{said:?}");
    let (code, said) = replay("cut.evtx");
    assert!(code != Some(0) && said.contains("cannot read cut.evtx"), "{said}");
}

#[test]
fn a_log_saved_by_windows_is_replayed() {
    let story = "a_log_saved_by_windows_is_replayed";
    let Some(log) = binxml::recorded("kerberos_user_enumeration.evtx") else {
        return skip(story, "there is no recording kerberos_user_enumeration.evtx");
    };
    let folder = tempfile::tempdir().unwrap();
    let ended = rollcall(folder.path(), &["event-log", "replay", log.to_str().unwrap()]);
    let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
    assert!(ended.status.success(), "{said}");
    // Of 42 tries three were right, and the last of them is there; see tests/logon.rs.
    for line in ["      37 failure", "       3 login", "       2 unproven"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    assert!(said.trim_end().ends_with("10.23.123.11 dsrm@offsec.lan"), "{said}");
}
