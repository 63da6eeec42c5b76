//! Stories about push targets: a Secure Edge and a firewall in ClearPass mode, over connections with
//! every kind of fault.

mod clearpass_faults;
mod partial_failures;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    CLEARPASS_PASSWORD, CLIENT_SECRET, ClearPass, Fault, ONBOARDING, SecureEdge, Server, Setup,
    Srx, until,
};

/// A Secure Edge, and a server that pushes to it.
fn pushing(more: &str) -> (SecureEdge, Server) {
    let setup = Setup::new().with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start(setup.authority());
    let section = edge.section(more);
    let server = Server::start(setup.with(&section));
    (edge, server)
}

fn send_event(firewall: &mut Srx, event: &str, user: &str, address: &str) {
    let push = json!({"ip": address, "user": user, "domain": "corp", "event": event});
    let response = firewall.push("/user_query/v2/ptim", "application/json", &push.to_string());
    assert!((200..300).contains(&response.status), "{response:?}");
}

fn up(firewall: &mut Srx, user: &str, address: &str) {
    send_event(firewall, "IKE_VPN_UP_ALARM_USER", user, address);
}

fn down(firewall: &mut Srx, user: &str, address: &str) {
    send_event(firewall, "IKE_VPN_DOWN_ALARM_USER", user, address);
}

/// The active sessions of the server.
fn table(server: &Server) -> BTreeMap<String, String> {
    let page = server.get("/api/v1/sessions?limit=1000").json();
    let text = |session: &Value, key: &str| session[key].as_str().unwrap_or_default().to_owned();
    let sessions = page["sessions"].as_array().unwrap().iter();
    sessions.map(|session| (text(session, "address"), text(session, "user"))).collect()
}

fn status(server: &Server) -> Value {
    server.get("/api/v1/push-targets").json()[0].clone()
}

/// Waits until the target has acknowledged everything, and returns its status.
#[track_caller]
fn idle(server: &Server) -> Value {
    until("the target has every change", || {
        let status = status(server);
        (status["state"] == "following" && status["lag_changes"] == 0).then_some(status)
    })
}

/// Waits until the target holds exactly the server's table.
#[track_caller]
fn agree(server: &Server, edge: &SecureEdge) {
    until("the target holds the server's table", || {
        let (ours, theirs) = (table(server), edge.users());
        (ours == theirs && edge.state().position.is_some()).then_some(())
    });
}

#[test]
fn a_new_target_is_onboarded_and_gets_a_full_resync_and_then_changes() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    for n in 1..=20 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    down(&mut firewall, "user7", "10.1.13.7");
    up(&mut firewall, "bob", "2001:db8::7");
    agree(&server, &edge);
    assert_eq!(edge.users().len(), 20);
    assert_eq!(edge.state().synchronised, 1, "changes need no full resync");
    assert_eq!(edge.server().connections(), 1, "one connection is reused");
    let credentials = server.data().join("push/edge.credentials");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(&credentials).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let current = idle(&server);
    assert_eq!((&current["kind"], &current["last_error"]), (&json!("secure_edge"), &Value::Null));
    assert!(
        current["reports"].as_u64() >= Some(21) && current["bytes"].as_u64() > Some(100),
        "{current}"
    );
    let labels = [("target", "edge"), ("outcome", "accepted")];
    assert!(server.metrics().sum("rollcall_push_reports_total", &labels) >= 21);
    let (rest, metrics) = (server.get("/api/v1/push-targets").text, server.get("/metrics").text);
    let log = server.stop();
    for secret in [ONBOARDING, CLIENT_SECRET, "canary-access-token"] {
        assert!(!log.contains(secret) && !rest.contains(secret) && !metrics.contains(secret));
    }
}

#[test]
fn after_any_connection_fault_a_target_converges_to_the_servers_table() {
    let (edge, server) = pushing("timeout = \"1s\"");
    inject_all_faults(&edge, &server);
    server.stop();
}

#[test]
fn after_any_connection_fault_with_parallel_batches_a_target_converges_to_the_servers_table() {
    let (edge, server) = pushing("timeout = \"1s\"\nbatch_size = 2");
    edge.state().window = Some(4);
    edge.lose_state();
    inject_all_faults(&edge, &server);
    assert!(edge.state().early > 0, "batches arrived out of order");
    server.stop();
}

/// Injects every fault while sessions change.
fn inject_all_faults(edge: &SecureEdge, server: &Server) {
    let mut firewall = server.client("campus-fw");
    for n in 100..120 {
        up(&mut firewall, "resident", &format!("10.1.13.{n}"));
    }
    up(&mut firewall, "before", "10.1.13.99");
    agree(server, edge);
    let faults = [
        (Fault::Status(500), "failed (status 500): told to fail"),
        (Fault::Status(503), "is busy (status 503)"),
        (Fault::Busy(1), "is busy (status 429, 1 s)"),
        (Fault::Garbage, "sent an invalid response"),
        (Fault::Half, "cannot be reached"),
        (Fault::Unanswered, "cannot be reached"),
        (Fault::SlowLoris, "cannot be reached"),
        (Fault::ClosedInBody, "cannot be reached"),
    ];
    for (n, (fault, expected)) in faults.into_iter().enumerate() {
        edge.inject_faults([fault]);
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
        down(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
        up(&mut firewall, &format!("late{n}"), &format!("10.1.13.{n}"));
        agree(server, edge);
        assert_eq!(edge.server().faults_left(), 0, "{fault:?} did not occur");
        let error = status(server)["last_error"].as_str().unwrap_or_default().to_owned();
        assert!(error.starts_with(expected), "{fault:?}: {error:?}");
    }
    // All faults in sequence during a full resync, and three more for its end.
    edge.inject_faults(faults.map(|(fault, _)| fault).into_iter().chain([Fault::Unanswered; 3]));
    assert_eq!(server.post("/api/v1/push-targets/edge/resync").status, 202);
    until("all faults occurred", || (edge.server().faults_left() == 0).then_some(()));
    agree(server, edge);
}

#[test]
fn a_target_with_a_window_gets_parallel_batches_that_may_arrive_in_any_order() {
    let (edge, server) = pushing("batch_size = 2\nmax_in_flight = 3");
    let mut firewall = server.client("campus-fw");
    edge.state().window = Some(8);
    for n in 1..=20 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    // At most max_in_flight batches are in flight; the receiver responds when three have arrived.
    edge.hold_batches(3);
    let early = edge.state().early;
    assert_eq!(server.post("/api/v1/push-targets/edge/resync").status, 202);
    until("the second full resync is complete", || (edge.state().synchronised == 2).then_some(()));
    assert!(edge.state().early >= early + 2, "the last of three batches arrived first");
    agree(&server, &edge);
    let current = idle(&server);
    assert_eq!((&current["retries"], &current["last_error"]), (&json!(0), &Value::Null));
    // Changes of one address are sent in order.
    edge.server().down();
    for n in 1..=20 {
        up(&mut firewall, &format!("late{n}"), &format!("10.1.13.{n}"));
    }
    edge.server().up();
    for n in 1..=20 {
        down(&mut firewall, &format!("late{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    assert!(edge.users().is_empty());
    server.stop();
}

#[test]
fn a_target_that_requests_a_client_certificate_gets_it() {
    let setup = Setup::new().with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start_for_known(setup.authority());
    setup.authority().client("rollcall");
    let server = Server::start(setup.with(&edge.section("")));
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    // The error can also be a closed connection, because the server closes it after its alert.
    until("the error names the certificate", || {
        let error = status(&server)["last_error"].as_str().unwrap_or_default().to_owned();
        error.contains("CertificateRequired").then_some(())
    });
    assert!(edge.users().is_empty());
    let with_certificate =
        "ca = \"ca.crt\"\ncertificate = \"rollcall.crt\"\nkey = \"rollcall.key\"\n";
    let without = "ca = \"ca.crt\"\nonboarding";
    server.rewrite(|text| text.replace(without, &format!("{with_certificate}onboarding")));
    assert_eq!(server.post("/api/v1/reload").json()["restarted"], json!(["edge"]));
    agree(&server, &edge);
    server.stop();
}

#[test]
fn a_target_that_was_down_for_longer_than_tombstones_are_kept_gets_a_full_resync() {
    let setup = Setup::new().with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start(setup.authority());
    let section = format!("[change_log]\nmax_tombstones = 3\n{}", edge.section(""));
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    for (downs, synchronised) in [(1..=3, 1), (4..=7, 2)] {
        edge.server().down();
        for n in downs {
            down(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
        }
        edge.server().up();
        agree(&server, &edge);
        assert_eq!(edge.state().synchronised, synchronised);
    }
    assert_eq!(edge.users().len(), 2);
    server.wait_for_log("tombstones_expired");
    server.stop();
}

/// Replaces the filter in the configuration and reloads it.
fn filter(server: &Server, include: &str) {
    server.rewrite(|text| {
        let begin = text.find("include = ").expect("the section has a filter");
        let end = begin + text[begin..].find('\n').expect("the line ends");
        format!("{}include = {include}{}", &text[..begin], &text[end..])
    });
    assert_eq!(server.post("/api/v1/reload").json()["changed"], json!(["push"]));
}

#[test]
fn a_target_whose_filter_changes_holds_the_matching_sessions() {
    let (edge, server) = pushing("[push.secure_edge.filter]\ninclude = [\"10.0.0.0/8\"]");
    let mut firewall = server.client("campus-fw");
    for (user, address) in [("alice", "10.1.13.1"), ("bob", "10.2.13.1"), ("carol", "198.51.100.7")]
    {
        up(&mut firewall, user, address);
    }
    let holds = |wanted: &[&str]| {
        until("the target holds the matching sessions", || {
            (edge.users().into_values().collect::<Vec<_>>() == wanted).then_some(())
        });
    };
    holds(&["alice", "bob"]);
    filter(&server, "[\"10.1.0.0/16\"]");
    holds(&["alice"]);
    filter(&server, "[\"0.0.0.0/0\"]");
    holds(&["alice", "bob", "carol"]);
    server.stop();
}

#[test]
fn a_firewall_whose_filter_changes_gets_logoffs_for_excluded_sessions() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section =
        lab.section("batch_size = 2\nentries_per_second = 20\n[push.srx_web_api.filter]\ninclude = [\"10.0.0.0/8\"]");
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    for (n, net) in ["10.1.13", "10.2.13", "198.51.100"].into_iter().enumerate() {
        for host in 1..=4 {
            up(&mut firewall, &format!("user{n}{host}"), &format!("{net}.{host}"));
        }
    }
    let holds = |wanted: &[&str]| {
        until("the target holds the matching sessions", || {
            let lab = lab.table();
            let of = |net: &&str| lab.users.keys().filter(|at| at.starts_with(*net)).count() == 4;
            (lab.users.len() == 4 * wanted.len() && wanted.iter().all(of)).then_some(())
        });
    };
    holds(&["10.1.", "10.2."]);
    idle(&server);
    filter(&server, "[\"10.1.0.0/16\"]");
    holds(&["10.1."]);
    idle(&server);
    filter(&server, "[\"0.0.0.0/0\"]");
    holds(&["10.1.", "10.2.", "198.51.100."]);
    idle(&server);
    // After a kill during the reconciliation and a start with the first filter, the firewall holds
    // the sessions that match the first filter.
    filter(&server, "[\"198.51.100.0/24\"]");
    until("the reconciliation has started", || (lab.table().users.len() < 12).then_some(()));
    lab.server().down();
    server.rewrite(|text| {
        text.replace("include = [\"198.51.100.0/24\"]", "include = [\"10.0.0.0/8\"]")
    });
    let server = server.kill_and_restart();
    lab.server().up();
    holds(&["10.1.", "10.2."]);
    server.stop();
}

#[test]
fn a_check_of_an_unreachable_target_fails_immediately() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.server().down();
    let began = crate::harness::now();
    let response = server.post("/api/v1/push-targets/edge/verify");
    let took = crate::harness::now().duration_since(began).as_secs();
    let detail = response.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(response.status == 503 && took < 8, "{took} s: {response:?}");
    assert!(detail.starts_with("it cannot be compared now: it cannot be reached"), "{detail}");
    server.stop();
}

#[test]
fn retry_after_is_honoured() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.inject_faults([Fault::Busy(1000)]);
    up(&mut firewall, "bob", "10.1.13.2");
    let waiting = until("the target is in backoff", || {
        let current = status(&server);
        (current["state"] == "retrying").then_some(current)
    });
    let at = |key: &str| waiting[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let pause = at("next_attempt").duration_since(at("last_error_at")).as_secs();
    assert_eq!(pause, 1000, "{waiting}");
    assert_eq!((waiting["lag_changes"].as_u64(), edge.users().len()), (Some(1), 1));
    // A requested full resync ends the backoff.
    assert_eq!(server.post("/api/v1/push-targets/edge/resync").status, 202);
    agree(&server, &edge);
    server.stop();
}

#[test]
fn a_target_that_lost_its_state_gets_a_full_resync_and_one_that_lost_its_tokens_does_not() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    for n in 1..=5 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    edge.revoke_tokens();
    up(&mut firewall, "alice", "10.1.13.6");
    agree(&server, &edge);
    assert_eq!(edge.state().synchronised, 1);
    edge.lose_state();
    up(&mut firewall, "bob", "10.1.13.7");
    agree(&server, &edge);
    assert_eq!(edge.state().synchronised, 2);
    assert_eq!(edge.users().len(), 7);
    server.stop();
}

#[test]
fn a_refused_report_does_not_block_others() {
    let (edge, server) = pushing("");
    edge.state().unwanted.insert("mallory".to_owned());
    let mut firewall = server.client("campus-fw");
    edge.server().down();
    for (n, user) in ["alice", "mallory", "bob"].into_iter().enumerate() {
        up(&mut firewall, user, &format!("10.1.13.{n}"));
    }
    edge.server().up();
    let users = until("the other users are there", || {
        let users = edge.users();
        (users.len() == 2).then_some(users)
    });
    assert_eq!(users.into_values().collect::<Vec<_>>(), ["alice", "bob"]);
    until("the refused report is counted", || (status(&server)["refused"] == 1).then_some(()));
    server.wait_for_log("unwanted");
    server.stop();
}

#[test]
fn a_target_that_refuses_everything_counts_as_failed() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.100");
    agree(&server, &edge);
    edge.inject_faults(std::iter::repeat_n(Fault::Status(400), 10_000));
    for n in 1..=20 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let current = until("there were several retries", || {
        let current = status(&server);
        (current["retries"].as_u64() >= Some(4)).then_some(current)
    });
    assert!(current["lag_changes"].as_u64() > Some(0), "{current}");
    edge.server().behave();
    agree(&server, &edge);
    assert_eq!((edge.users().len(), &idle(&server)["refused"]), (21, &json!(0)));
    server.stop();
}

#[test]
fn a_target_that_was_down_gets_only_the_last_state_of_each_address() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "first", "10.1.13.1");
    agree(&server, &edge);
    edge.server().down();
    let before = edge.state().batches.len();
    for n in 0..30 {
        up(&mut firewall, &format!("user{n}"), "10.1.13.1");
        up(&mut firewall, &format!("guest{n}"), "10.1.13.2");
        down(&mut firewall, &format!("guest{n}"), "10.1.13.2");
    }
    edge.server().up();
    agree(&server, &edge);
    let sent: Vec<_> = edge.state().batches[before..].concat();
    let count = |address: &str| sent.iter().filter(|(sent, _)| sent == address).count();
    assert_eq!((count("10.1.13.1"), count("10.1.13.2")), (1, 1), "{sent:?}");
    assert_eq!(edge.state().synchronised, 1);
    server.stop();
}

#[test]
fn a_target_with_an_untrusted_certificate_receives_nothing() {
    let setup = Setup::new().with_secret("edge.token", ONBOARDING);
    let (right, other) = (SecureEdge::start(setup.authority()), Setup::bare());
    let wrong = SecureEdge::start(other.authority());
    let server = Server::start(setup.with(&wrong.section("")));
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    let error =
        until("there is an error", || status(&server)["last_error"].as_str().map(str::to_owned));
    assert!(error.contains("certificate"), "{error}");
    assert!(wrong.users().is_empty());
    // After a reload with the URL of the right target, that one receives everything.
    let (old, new) = (wrong.server().url(), right.server().url());
    server.rewrite(|text| text.replace(&old, &new));
    let report = server.post("/api/v1/reload").json();
    assert_eq!(report["restarted"], json!(["edge"]));
    agree(&server, &right);
    assert_eq!(server.post("/api/v1/reload").json()["restarted"], json!([]));
    server.stop();
}

#[test]
fn a_killed_server_resumes_at_the_acknowledged_position() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    up(&mut firewall, "carol", "10.1.13.2");
    agree(&server, &edge);
    // The onboarding token was exchanged, and its file is deleted.
    std::fs::remove_file(server.setup().folder().join("edge.token")).unwrap();
    let before = edge.state().batches.len();
    let server = server.kill_and_restart();
    let mut firewall = server.client("campus-fw");
    down(&mut firewall, "carol", "10.1.13.2");
    up(&mut firewall, "bob", "10.1.13.3");
    agree(&server, &edge);
    assert_eq!(table(&server).len(), 2, "the session of alice remains");
    assert_eq!(edge.state().synchronised, 1);
    let sent = edge.state().batches[before..].concat();
    assert!(sent.iter().all(|(address, _)| address != "10.1.13.1"), "sent again: {sent:?}");
    server.stop();
}

#[test]
fn a_target_restored_to_an_older_state_gets_the_later_changes() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    let (position, sessions) = {
        let edge = edge.state();
        (edge.position.clone(), edge.sessions.clone())
    };
    up(&mut firewall, "bob", "10.1.13.2");
    down(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    {
        let mut edge = edge.state();
        (edge.position, edge.sessions) = (position, sessions);
    }
    up(&mut firewall, "carol", "10.1.13.3");
    agree(&server, &edge);
    assert_eq!(edge.state().synchronised, 1, "delivery continued from its old position");
    server.stop();
}

#[test]
fn drift_is_detected_on_request_and_repaired() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    let same = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!((&same["outcome"], &same["differing"]), (&json!("same"), &json!(0)));
    edge.state().sessions.remove("10.1.13.4");
    let drift = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!((&drift["outcome"], &drift["differing"]), (&json!("differs"), &json!(1)));
    agree(&server, &edge);
    assert_eq!(edge.users().len(), 9);
    assert_eq!(server.post("/api/v1/push-targets/nobody/verify").status, 404);
    server.stop();
}

#[test]
fn a_firewall_in_clearpass_mode_holds_the_servers_table() {
    let setup = Setup::new().with_secret("lab-fw.password", &format!("{CLEARPASS_PASSWORD}\n"));
    let lab = ClearPass::start(setup.authority());
    let server = Server::start(setup.with(&lab.section("timeout = \"1s\"")));
    let mut firewall = server.client("campus-fw");
    lab.server().down();
    lab.table().poison = Some("mallory".to_owned());
    for (n, user) in ["alice", "r&d<b>", "mallory", "carol"].into_iter().enumerate() {
        up(&mut firewall, user, &format!("10.1.13.{n}"));
    }
    down(&mut firewall, "carol", "10.1.13.3");
    lab.server().up();
    let users = until("all users but the rejected one are there", || {
        let users = lab.table().users.clone();
        (users.len() == 2).then_some(users)
    });
    assert_eq!(users["10.1.13.1"], "r&d<b>");
    until("the rejected entry is counted", || (status(&server)["refused"] == 1).then_some(()));
    lab.server().inject_faults([Fault::Status(500), Fault::ClosedInBody, Fault::Unanswered]);
    up(&mut firewall, "dave", "10.1.13.4");
    down(&mut firewall, "alice", "10.1.13.0");
    until("the changes arrive", || {
        let table = lab.table();
        let users: Vec<_> = table.users.values().cloned().collect();
        (users == ["r&d<b>", "dave"]).then_some(())
    });
    // The firewall does not report its position. The acknowledged position is stored once no lost
    // request can be applied any more.
    let revision = idle(&server)["revision"].to_string();
    until("the position is stored", || {
        let stored = std::fs::read_to_string(server.data().join("push/lab-fw.position")).ok()?;
        let stored: Value = serde_json::from_str(&stored).ok()?;
        stored["cursor"].as_str()?.ends_with(&format!(".{revision}")).then_some(())
    });
    let posts = lab.table().posts.len();
    let server = server.restart();
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "erin", "10.1.13.5");
    until("only the changes arrive", || (lab.table().users.len() == 3).then_some(()));
    assert!(
        lab.table().posts[posts..].iter().all(|entries| *entries == 1),
        "each entry is repeated at most once"
    );
    let log = server.stop();
    assert!(!log.contains(CLEARPASS_PASSWORD));
}

#[test]
fn recovery_of_a_firewall_is_logged_only_after_it_responds() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let server = Server::start(setup.with(&lab.section("")));
    let mut firewall = server.client("campus-fw");
    lab.server().down();
    up(&mut firewall, "alice", "10.1.13.1");
    until("there were several retries", || {
        (status(&server)["retries"].as_u64() >= Some(4)).then_some(())
    });
    let log = server.stop();
    assert!(log.contains("push failed") && !log.contains("push resumed"), "{log}");
}

#[test]
fn entries_are_posted_within_the_rate_limit_of_a_firewall() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let server =
        Server::start(setup.with(&lab.section("entries_per_second = 20\nbatch_size = 10")));
    let mut firewall = server.client("campus-fw");
    lab.server().down();
    for n in 1..=40 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let began = crate::harness::now();
    lab.server().up();
    until("all entries are there", || (lab.table().users.len() == 40).then_some(()));
    let took = crate::harness::now().duration_since(began).as_millis();
    assert!(took >= 1400, "40 entries at 20 per second arrived within {took} ms");
    assert!(lab.table().posts.iter().all(|entries| *entries <= 10));
    server.stop();
}
