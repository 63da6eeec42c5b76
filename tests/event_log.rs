//! Stories of Windows event logs: a logon at a domain controller reaches a firewall, nothing is lost or
//! repeated, whatever the controller does, and what cannot be read is said in plain words.

use serde_json::json;

use crate::harness::{Controller, EventLogs, PASSWORD, Server, Setup, rollcall, until};

fn setup(logs: &EventLogs, more: &str) -> Setup {
    let password = format!("{}\n", EventLogs::PASSWORD);
    Setup::new().with_secret("reader.password", &password).with(&logs.sections(more))
}

#[test]
fn a_logon_at_a_domain_controller_is_seen_by_a_firewall_and_a_failed_one_by_nobody() {
    let story = "a_logon_at_a_domain_controller_is_seen_by_a_firewall_and_a_failed_one_by_nobody";
    let Some(logs) = EventLogs::start(story, 1) else { return };
    // One before Rollcall began, which is caught up with.
    logs.ticket("alice", "10.1.40.1");
    let server = Server::start(setup(&logs, ""));
    server.sees("alice", "10.1.40.1");
    for id in [4768, 4769, 4771, 4625, 4776] {
        logs.tell(&json!({"id": id, "failed": true, "user": "mallory", "ip": "10.1.40.9"}));
    }
    // Nobody works at the controller itself.
    logs.ticket("admin", &logs.address());
    logs.tell(&json!({"id": 4624, "user": "bob", "ip": "10.1.40.2"}));
    server.sees("bob", "10.1.40.2");
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
fn a_restart_neither_loses_nor_repeats_an_event() {
    let Some(logs) = EventLogs::start("a_restart_neither_loses_nor_repeats_an_event", 1) else {
        return;
    };
    logs.ticket("alice", "10.1.41.1");
    let server = Server::start(setup(&logs, ""));
    server.sees("alice", "10.1.41.1");
    let killed = server.kill();
    logs.ticket("bob", "10.1.41.2");
    let server = killed.start_again();
    server.sees("bob", "10.1.41.2");
    server.sees("alice", "10.1.41.1");
    // Only what was new: the first was not read again.
    assert_eq!(server.account("dc1", 1).applied, 1);
    let server = server.restart();
    logs.ticket("carol", "10.1.41.3");
    server.sees("carol", "10.1.41.3");
    assert_eq!(server.account("dc1", 1).applied, 1);
    server.stop();
}

#[test]
fn whatever_a_controller_does_the_next_logon_is_seen_once() {
    let Some(logs) = EventLogs::start("whatever_a_controller_does_the_next_logon_is_seen_once", 1)
    else {
        return;
    };
    let server = Server::start(setup(&logs, ""));
    logs.ticket("begin", "10.1.42.1");
    server.sees("begin", "10.1.42.1");
    let faults = [
        json!({"do": "cut", "after": 100}),
        json!({"do": "cut", "after": 10}),
        json!({"do": "reboot"}),
        json!({"do": "empty", "status": 0x5bf}),
        json!({"do": "empty", "status": 0x103}),
        json!({"do": "fail", "call": "next", "status": 5}),
        json!({"do": "fail", "call": "next", "status": 14}),
        json!({"do": "fail", "call": "wait", "status": 1722}),
        json!({"do": "slow", "seconds": 0.2}),
        json!({"do": "slow", "seconds": 0}),
    ];
    for (index, fault) in faults.iter().enumerate() {
        logs.tell(fault);
        let (user, address) = (format!("user{index}"), format!("10.1.42.{}", index + 2));
        logs.ticket(&user, &address);
        server.sees(&user, &address);
    }
    // One for each fault, that at the beginning, and the controller's own at its start.
    let tickets = faults.len() as u64 + 1;
    let account = server.account("dc1", tickets + 1);
    assert_eq!((account.applied, account.dropped), (tickets, 1), "{account:?}");
    server.stop();
}

#[test]
fn a_cleared_log_is_a_gap_that_is_told_and_caught_up_with() {
    let Some(logs) = EventLogs::start("a_cleared_log_is_a_gap_that_is_told_and_caught_up_with", 1)
    else {
        return;
    };
    logs.ticket("alice", "10.1.43.1");
    let server = Server::start(setup(&logs, ""));
    server.sees("alice", "10.1.43.1");
    let killed = server.kill();
    logs.ticket("lost", "10.1.43.9");
    logs.ticket("bob", "10.1.43.2");
    logs.tell(&json!({"do": "roll", "keep": 1}));
    let server = killed.start_again();
    server.sees("bob", "10.1.43.2");
    let gaps = || server.metrics().sum("rollcall_receiving_event_log_gaps_total", &[]);
    until("the gap is counted", || (gaps() == 1).then_some(()));
    assert!(server.log().contains("events are lost"), "{}", server.log());
    assert_eq!(server.who("10.1.43.9"), None);
    server.stop();
}

#[test]
fn a_hundred_controllers_are_read_at_once() {
    let Some(logs) = EventLogs::start("a_hundred_controllers_are_read_at_once", 100) else {
        return;
    };
    let server = Server::start(setup(&logs, ""));
    for index in 0..100 {
        let (user, ip) = (format!("user{index}"), format!("10.1.44.{}", index + 1));
        let controller = logs.address_of(index);
        logs.tell(&json!({"controller": controller, "id": 4768, "user": user, "ip": ip}));
    }
    for index in 0..100 {
        server.sees(&format!("user{index}"), &format!("10.1.44.{}", index + 1));
    }
    server.stop();
}

#[test]
fn a_look_at_a_log_says_each_step_and_what_helps() {
    let Some(logs) = EventLogs::start("a_look_at_a_log_says_each_step_and_what_helps", 1) else {
        return;
    };
    logs.ticket("alice", "10.1.45.1");
    let setup = setup(&logs, "");
    let tested = |setup: &Setup| {
        let config = setup.write().display().to_string();
        let ended = rollcall(setup.folder(), &["--config", &config, "events", "test"]);
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert!(!said.contains(EventLogs::PASSWORD), "{said}");
        (ended.status.success(), said)
    };
    let (worked, said) = tested(&setup);
    assert!(worked && said.contains("it can be read"), "{said}");
    assert!(said.contains("by its endpoint mapper") && said.contains("4768 of"), "{said}");
    logs.tell(&json!({"do": "fail", "call": "subscribe", "status": 5}));
    let (worked, said) = tested(&setup);
    assert!(!worked && said.contains("what helps: put the account into"), "{said}");
    let wrong = setup.with_secret("reader.password", "not the password\n");
    let (worked, said) = tested(&wrong);
    assert!(!worked && said.contains("what helps: check the account and its password"), "{said}");
}

#[test]
fn samba_lets_the_account_in_by_each_way_and_says_what_it_has_not() {
    let story = "samba_lets_the_account_in_by_each_way_and_says_what_it_has_not";
    let Some(_controller) = Controller::start(story) else { return };
    for auth in ["ntlm", "kerberos", "spnego"] {
        let text = format!(
            "[[event_log]]\naccount = \"administrator@corp.example.com\"\nauth = \"{auth}\"\n\
             kdc = \"{}:88\"\nsecret_file = \"reader.password\"\n[[event_log.sources]]\n\
             name = \"dc1\"\nhost = \"{}\"\naddress = \"{0}\"\n",
            Controller::ADDRESS,
            Controller::HOST
        );
        let setup = Setup::new().with_secret("reader.password", crate::harness::ADMINISTRATOR);
        let setup = setup.with(&text);
        let config = setup.write().display().to_string();
        let ended = rollcall(setup.folder(), &["--config", &config, "events", "test"]);
        let said = String::from_utf8(ended.stdout).unwrap();
        assert!(said.contains("proved itself by"), "{auth}: {said}");
        // It serves queries and no subscriptions.
        assert!(said.contains("nca_s_op_rng_error"), "{auth}: {said}");
        assert!(!said.contains(PASSWORD), "{said}");
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
    std::fs::write(folder.path().join("log.evtx"), b"ElfFile\0").unwrap();
    let replay = |file| {
        let ended = rollcall(folder.path(), &["events", "replay", file]);
        (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };
    let (code, said) = replay("log.jsonl");
    assert_eq!(code, Some(0), "{said}");
    let said: Vec<&str> = said.lines().collect();
    assert!(said[0].starts_with("1: record 1, 4768: login 10.1.46.1 user=alice@"), "{said:?}");
    assert!(said[0].ends_with("applied (first_user)"), "{said:?}");
    assert_eq!(said[1], "2: record 2, 4768: nothing: not the audit of a success");
    assert!(said[2].starts_with("3: unreadable: it is not an object of JSON"), "{said:?}");
    assert!(said[3].ends_with("deduplicated (known_already)"), "{said:?}");
    assert!(said.last().unwrap().to_lowercase().ends_with("10.1.46.1 alice@corp"), "{said:?}");
    let (code, said) = replay("log.evtx");
    assert!(code == Some(2) && said.contains("evtx_dump -o jsonl log.evtx"), "{said}");
}
