//! Targets of which one part fails: nothing that they refuse there is lost, and the rest continues.

use serde_json::json;

use super::{agree, down, idle, pushing, status, table, up};
use crate::harness::until;
use crate::harness::{CLEARPASS_PASSWORD, ClearPass, ONBOARDING, Reply, SecureEdge, Server, Setup};

fn clear_pass(more: &str) -> (ClearPass, Server) {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section = lab.section(more);
    let server = Server::start(setup.with(&section));
    (lab, server)
}

#[test]
fn a_firewall_that_responds_to_everything_with_an_error_loses_nothing() {
    let (lab, server) = clear_pass("");
    let mut firewall = server.client("campus-fw");
    let error = "<userfw-response><error>out of memory</error></userfw-response>";
    lab.table().replies = Some(error.to_owned());
    for n in 1..=20 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let current = until("there were several retries", || {
        let current = status(&server);
        (current["retries"].as_u64() >= Some(5)).then_some(current)
    });
    let error = current["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("(status 200): out of memory"), "{error}");
    lab.table().replies = None;
    until("all entries are there", || (lab.table().users.len() == 20).then_some(()));
    assert_eq!(idle(&server)["refused"], 0);
    let log = server.stop();
    assert_eq!(log.matches("push resumed").count(), 1, "{log}");
}

#[test]
fn each_rejected_entry_is_discarded_while_others_are_accepted() {
    let (lab, server) = clear_pass("batch_size = 3");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.100");
    until("the first user is there", || (lab.table().users.len() == 1).then_some(()));
    lab.table().poison = Some("mallory".to_owned());
    for n in 1..=12 {
        up(&mut firewall, "mallory", &format!("10.1.13.{n}"));
    }
    up(&mut firewall, "bob", "10.1.13.101");
    until("the last user is there", || (lab.table().users.len() == 2).then_some(()));
    assert_eq!(idle(&server)["refused"], 12);
    server.stop();
}

#[test]
fn backoff_grows_although_a_target_reports_its_position() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.state().replies.insert("/v1/reports", Reply::Instead(500, json!({"detail": "failed"})));
    up(&mut firewall, "bob", "10.1.13.2");
    until("the backoff has grown from 20 ms to the maximum", || {
        let current = status(&server);
        let at = |key: &str| current[key].as_str()?.parse::<jiff::Timestamp>().ok();
        let pause = at("next_attempt")?.duration_since(at("last_error_at")?);
        (pause.as_millis() >= 200).then_some(())
    });
    edge.state().replies.clear();
    agree(&server, &edge);
    let log = server.stop();
    assert_eq!(log.matches("push resumed").count(), 1, "{log}");
}

#[test]
fn a_refused_token_request_is_reported_and_discards_nothing() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    let refused = "refuses the credentials (status 400): invalid_client: it has expired";
    let expired = json!({"error": "invalid_client", "error_description": "it has expired"});
    for (n, (status_code, body, expected)) in [
        (400, expired, refused),
        (
            401,
            json!({"detail": "no such client"}),
            "refuses the credentials (status 401): no such client",
        ),
        (500, json!({}), "failed (status 500)"),
        (200, json!("garbage"), "sent an invalid response"),
        (200, json!({"access_token": "a b"}), "sent an invalid response"),
    ]
    .into_iter()
    .enumerate()
    {
        edge.state().replies.insert("/v1/oauth/token", Reply::Instead(status_code, body));
        edge.revoke_tokens();
        up(&mut firewall, &format!("user{n}"), "10.1.13.2");
        until(expected, || {
            status(&server)["last_error"].as_str()?.starts_with(expected).then_some(())
        });
        edge.state().replies.clear();
        agree(&server, &edge);
    }
    assert_eq!(idle(&server)["refused"], 0);
    assert_eq!(edge.state().synchronised, 1);
    server.stop();
}

#[test]
fn a_full_resync_whose_last_response_was_lost_is_complete() {
    let setup = Setup::new().with_secret("edge.token", ONBOARDING);
    let edge = SecureEdge::start(setup.authority());
    let end = "/v1/synchronisations/end";
    edge.state().replies.insert(end, Reply::AfterEffect(500, json!({})));
    let server = Server::start(setup.with(&edge.section("")));
    let mut firewall = server.client("campus-fw");
    for n in 1..=5 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    agree(&server, &edge);
    idle(&server);
    assert_eq!((edge.state().synchronised, &status(&server)["full_resyncs"]), (1, &json!(1)));
    server.stop();
}

#[test]
fn a_server_that_is_killed_during_a_full_resync_starts_another() {
    let (edge, server) = pushing("batch_size = 2");
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let is_in_progress = |server: &Server| {
        until("reports are sent and the resync is not complete", || {
            let current = status(server);
            let is_sent =
                current["reports"].as_u64() >= Some(1) && current["retries"].as_u64() >= Some(1);
            is_sent.then_some(())
        });
    };
    agree(&server, &edge);
    edge.state().replies.insert("/v1/synchronisations/end", Reply::Instead(500, json!({})));
    assert_eq!(server.post("/api/v1/push-targets/edge/resync").status, 202);
    is_in_progress(&server);
    assert!(
        edge.state().position.is_none() && edge.users().len() == 9,
        "the old sessions stay effective"
    );
    let server = server.kill_and_restart();
    let mut firewall = server.client("campus-fw");
    down(&mut firewall, "user3", "10.1.13.3");
    is_in_progress(&server);
    edge.state().replies.clear();
    agree(&server, &edge);
    assert_eq!((edge.users().len(), edge.state().synchronised), (8, 2));
    server.stop();
}

#[test]
fn a_failed_consistency_check_does_not_block_delivery() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    for (n, (status_code, body)) in
        [(500, json!({})), (403, json!({})), (200, json!({"position": null, "pages": []}))]
            .into_iter()
            .enumerate()
    {
        edge.state().replies.insert("/v1/digest", Reply::Instead(status_code, body));
        let response = server.post("/api/v1/push-targets/edge/verify");
        assert_eq!(response.status, 503, "{response:?}");
        up(&mut firewall, &format!("user{n}"), "10.1.13.2");
        agree(&server, &edge);
    }
    let current = idle(&server);
    assert_eq!((&current["retries"], &current["drift"]["outcome"]), (&json!(0), &json!("error")));
    edge.state().replies.insert("/v1/digest", Reply::Instead(404, json!({})));
    let unsupported = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!(unsupported["outcome"], "unsupported");
    server.stop();
}

#[test]
fn a_refused_session_is_not_drift() {
    let (edge, server) = pushing("");
    edge.state().unwanted.insert("mallory".to_owned());
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    up(&mut firewall, "mallory", "10.1.13.2");
    until("the refused report is counted", || (status(&server)["refused"] == 1).then_some(()));
    idle(&server);
    let same = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!((&same["outcome"], &same["not_compared"]), (&json!("same"), &json!(1)));
    assert_eq!(edge.state().synchronised, 1);
    server.stop();
}

#[test]
fn bodies_are_compressed_unless_gzip_is_disabled() {
    for (more, encoding) in [("", Some("gzip".to_owned())), ("gzip = false", None)] {
        let (edge, server) = pushing(more);
        let mut firewall = server.client("campus-fw");
        up(&mut firewall, "alice", "10.1.13.1");
        agree(&server, &edge);
        let encodings: Vec<_> = edge.state().encodings.iter().cloned().collect();
        assert_eq!(encodings, [encoding]);
        server.stop();
    }
}

#[test]
fn a_removed_target_has_no_lag() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.server().down();
    up(&mut firewall, "bob", "10.1.13.2");
    let lag = |name| server.metrics().sum(name, &[("target", "edge")]);
    until("the lag is measured", || (lag("rollcall_push_lag_revisions") > 0).then_some(()));
    until("the lag is a second", || (lag("rollcall_push_lag_seconds") > 0).then_some(()));
    let section = edge.section("");
    server.rewrite(|text| text.replace(&section, ""));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    for gauge in ["rollcall_push_lag_revisions", "rollcall_push_lag_seconds"] {
        assert_eq!(lag(gauge), 0, "{gauge}");
    }
    server.stop();
}

#[test]
fn a_firewall_that_was_down_while_tombstones_expired_is_reported_to_hold_ended_sessions() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section = format!("[change_log]\nmax_tombstones = 3\n{}", lab.section(""));
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    until("all entries are there", || (lab.table().users.len() == 9).then_some(()));
    assert!(idle(&server)["may_hold_ended"].is_null(), "the firewall received every change");
    lab.server().down();
    for n in 1..=5 {
        down(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    lab.server().up();
    until("the remaining tombstones are sent", || (lab.table().users.len() < 9).then_some(()));
    let current = until("the status shows it", || {
        let current = idle(&server);
        current["may_hold_ended"].is_string().then_some(current)
    });
    assert_eq!(current["full_resyncs"], 1);
    server.wait_for_log("may hold ended sessions");
    // The administrator clears the table and starts a full resync, as the log says.
    lab.table().users.clear();
    assert_eq!(server.post("/api/v1/push-targets/lab-fw/resync").status, 202);
    until("the firewall holds the server's table", || {
        (lab.table().users == table(&server)).then_some(())
    });
    assert!(idle(&server)["may_hold_ended"].is_null());
    server.stop();
}
