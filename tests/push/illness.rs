//! Targets that are ill in one place: what they refuse there is not lost, and what else they take goes on.

use serde_json::json;

use super::{agree, down, pushing, rested, status, table, up};
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
fn a_firewall_that_answers_an_error_to_everything_loses_nothing() {
    let (lab, server) = clear_pass("");
    let mut firewall = server.client("campus-fw");
    let ill = "<userfw-response><error>out of memory</error></userfw-response>";
    lab.table().replies = Some(ill.to_owned());
    for n in 1..=20 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let said = until("it was tried several times", || {
        let said = status(&server);
        (said["retries"].as_u64() >= Some(5)).then_some(said)
    });
    let error = said["last_error"].as_str().unwrap_or_default();
    assert!(error.contains("(status 200): out of memory"), "{error}");
    lab.table().replies = None;
    until("all are there", || (lab.table().users.len() == 20).then_some(()));
    assert_eq!(rested(&server)["refused"], 0);
    let log = server.stop();
    assert_eq!(log.matches("push goes on").count(), 1, "{log}");
}

#[test]
fn one_bad_entry_after_the_other_is_given_up_where_others_are_taken() {
    let (lab, server) = clear_pass("batch_size = 3");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.100");
    until("she is there", || (lab.table().users.len() == 1).then_some(()));
    lab.table().poison = Some("mallory".to_owned());
    for n in 1..=12 {
        up(&mut firewall, "mallory", &format!("10.1.13.{n}"));
    }
    up(&mut firewall, "bob", "10.1.13.101");
    until("bob is there", || (lab.table().users.len() == 2).then_some(()));
    assert_eq!(rested(&server)["refused"], 12);
    server.stop();
}

#[test]
fn pauses_grow_though_a_target_says_where_it_is() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.state().replies.insert("/v1/reports", Reply::Instead(500, json!({"detail": "ill"})));
    up(&mut firewall, "bob", "10.1.13.2");
    until("the pause has grown from 20 ms to the longest", || {
        let said = status(&server);
        let at = |key: &str| said[key].as_str()?.parse::<jiff::Timestamp>().ok();
        let pause = at("next_try")?.duration_since(at("last_error_at")?);
        (pause.as_millis() >= 200).then_some(())
    });
    edge.state().replies.clear();
    agree(&server, &edge);
    let log = server.stop();
    assert_eq!(log.matches("push goes on").count(), 1, "{log}");
}

#[test]
fn whoever_sells_no_token_is_said_to_refuse_the_credentials_and_nothing_is_given_up() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    let refused = "refuses the credentials (status 400): invalid_client: it has expired";
    let expired = json!({"error": "invalid_client", "error_description": "it has expired"});
    for (n, (status_code, body, said)) in [
        (400, expired, refused),
        (401, json!({"detail": "who?"}), "refuses the credentials (status 401): who?"),
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
        until(said, || status(&server)["last_error"].as_str()?.starts_with(said).then_some(()));
        edge.state().replies.clear();
        agree(&server, &edge);
    }
    assert_eq!(rested(&server)["refused"], 0);
    assert_eq!(edge.state().synchronised, 1);
    server.stop();
}

#[test]
fn a_synchronisation_whose_end_was_taken_and_not_answered_is_over() {
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
    rested(&server);
    assert_eq!((edge.state().synchronised, &status(&server)["synchronisations"]), (1, &json!(1)));
    server.stop();
}

#[test]
fn a_server_that_is_killed_in_a_synchronisation_begins_another() {
    let (edge, server) = pushing("batch_size = 2");
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    let in_the_middle = |server: &Server| {
        until("it is told, and not ended", || {
            let said = status(server);
            let is_told =
                said["reports"].as_u64() >= Some(1) && said["retries"].as_u64() >= Some(1);
            is_told.then_some(())
        });
    };
    agree(&server, &edge);
    edge.state().replies.insert("/v1/synchronisations/end", Reply::Instead(500, json!({})));
    assert_eq!(server.post("/api/v1/push-targets/edge/resync").status, 202);
    in_the_middle(&server);
    assert!(edge.state().position.is_none() && edge.users().len() == 9, "they stay in force");
    let server = server.kill_and_restart();
    let mut firewall = server.client("campus-fw");
    down(&mut firewall, "user3", "10.1.13.3");
    in_the_middle(&server);
    edge.state().replies.clear();
    agree(&server, &edge);
    assert_eq!((edge.users().len(), edge.state().synchronised), (8, 2));
    server.stop();
}

#[test]
fn a_comparison_that_fails_holds_up_nothing() {
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
        let answer = server.post("/api/v1/push-targets/edge/verify");
        assert_eq!(answer.status, 503, "{answer:?}");
        up(&mut firewall, &format!("user{n}"), "10.1.13.2");
        agree(&server, &edge);
    }
    let said = rested(&server);
    assert_eq!((&said["retries"], &said["drift"]["outcome"]), (&json!(0), &json!("error")));
    edge.state().replies.insert("/v1/digest", Reply::Instead(404, json!({})));
    let untold = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!(untold["outcome"], "unsupported");
    server.stop();
}

#[test]
fn a_session_that_was_refused_is_no_drift() {
    let (edge, server) = pushing("");
    edge.state().unwanted.insert("mallory".to_owned());
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    up(&mut firewall, "mallory", "10.1.13.2");
    until("it is counted", || (status(&server)["refused"] == 1).then_some(()));
    rested(&server);
    let same = server.post("/api/v1/push-targets/edge/verify").json();
    assert_eq!((&same["outcome"], &same["unsettled"]), (&json!("same"), &json!(1)));
    assert_eq!(edge.state().synchronised, 1);
    server.stop();
}

#[test]
fn bodies_are_compressed_unless_that_is_switched_off() {
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
fn a_target_that_is_removed_lags_no_more() {
    let (edge, server) = pushing("");
    let mut firewall = server.client("campus-fw");
    up(&mut firewall, "alice", "10.1.13.1");
    agree(&server, &edge);
    edge.server().down();
    up(&mut firewall, "bob", "10.1.13.2");
    let lag = |name| server.metrics().sum(name, &[("target", "edge")]);
    until("it lags", || (lag("rollcall_push_lag_revisions") > 0).then_some(()));
    until("for a second", || (lag("rollcall_push_lag_seconds") > 0).then_some(()));
    let section = edge.section("");
    server.rewrite(|text| text.replace(&section, ""));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    for gauge in ["rollcall_push_lag_revisions", "rollcall_push_lag_seconds"] {
        assert_eq!(lag(gauge), 0, "{gauge}");
    }
    server.stop();
}

#[test]
fn a_firewall_that_was_away_while_ends_were_forgotten_is_said_to_hold_who_is_gone() {
    let setup = Setup::new().with_secret("lab-fw.password", CLEARPASS_PASSWORD);
    let lab = ClearPass::start(setup.authority());
    let section = format!("[change_log]\nmax_tombstones = 3\n{}", lab.section(""));
    let server = Server::start(setup.with(&section));
    let mut firewall = server.client("campus-fw");
    for n in 1..=9 {
        up(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    until("all are there", || (lab.table().users.len() == 9).then_some(()));
    assert!(rested(&server)["may_hold_gone"].is_null(), "it was told everything");
    lab.server().down();
    for n in 1..=5 {
        down(&mut firewall, &format!("user{n}"), &format!("10.1.13.{n}"));
    }
    lab.server().up();
    until("what is remembered is told", || (lab.table().users.len() < 9).then_some(()));
    let said = until("it is said", || {
        let said = rested(&server);
        said["may_hold_gone"].is_string().then_some(said)
    });
    assert_eq!(said["synchronisations"], 1);
    server.wait_for_log("may hold ended sessions");
    // As the log says: it is cleared, and told everything.
    lab.table().users.clear();
    assert_eq!(server.post("/api/v1/push-targets/lab-fw/resync").status, 202);
    until("it holds who is there", || (lab.table().users == table(&server)).then_some(()));
    assert!(rested(&server)["may_hold_gone"].is_null());
    server.stop();
}
