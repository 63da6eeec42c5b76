//! End-to-end tests of pushes from a firewall, a captive portal and a script.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{Server, Setup, Stream, Vpn, frame_3164, now};

#[test]
fn the_same_vpn_event_by_syslog_and_push_is_one_session() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
    let line = frame_3164(&tunnel.up(), SignedDuration::from_secs(2));
    let at = (now() - SignedDuration::from_secs(2)).to_string();
    server.datagram(&line);
    server.wait_for_user("alice", "10.1.11.18");
    let first = server.get("/api/v1/sessions/10.1.11.18").json();
    let push = json!({"ip": "10.1.11.18", "user": "alice", "event": "IKE_VPN_UP_ALARM_USER", "timestamp": at});
    let answer = firewall.push("/user_query/v2/ptim", "application/json", &push.to_string());
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let account = server.account("ptim", 1);
    assert_eq!(
        (account.applied, account.refused),
        (0, 0),
        "the push has no new information: {account:?}"
    );
    let second = server.get("/api/v1/sessions/10.1.11.18").json();
    assert_eq!(second["since"], first["since"]);
    assert_eq!(second["revision"], first["revision"]);
    // The same line again.
    server.datagram(&line);
    assert_eq!(server.account("syslog", 2).deduplicated, 1);
    server.stop();
}

#[test]
fn a_push_is_visible_when_it_is_acknowledged() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    for n in 1..=50 {
        let address = format!("10.1.13.{n}");
        let push = format!("ip={address}&id=user{n}&domain=corp.example");
        let form = "application/x-www-form-urlencoded";
        let answer = firewall.push("/user_query/v2/user", form, &push);
        assert!((200..300).contains(&answer.status), "{answer:?}");
        // There is no wait here: the acknowledgement guarantees visibility.
        assert_eq!(server.user_at(&address), Some(format!("user{n}")));
    }
    server.stop();
}

#[test]
fn every_candidate_form_of_a_vpn_push_is_accepted() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let (form, json, xml) =
        ("application/x-www-form-urlencoded", "application/json", "application/xml");
    let entry = "<userfw-entries><userfw-entry><source>srx</source><operation>logon</operation>\
                 <IP>10.1.14.5</IP><domain>corp.example</domain><user>alice</user>\
                 <role-list><role>staff</role></role-list></userfw-entry></userfw-entries>";
    let candidates = [
        ("/user_query/v2/user", form, "ip=10.1.14.1&id=alice&domain=corp.example".to_owned()),
        (
            "/user_query/v2/user",
            json,
            r#"{"ip":"10.1.14.2","id":"alice","operation":"connect"}"#.into(),
        ),
        (
            "/user_query/v2/ptim",
            json,
            r#"[{"ip-address":"10.1.14.3","user-name":"alice","event":"IKE_VPN_UP_ALARM_USER"}]"#
                .into(),
        ),
        (
            "/user_query/v2",
            json,
            r#"{"entries":[{"tunnel-ip":"10.1.14.4","user":"alice","state":"up"}]}"#.into(),
        ),
        ("/api/userfw/v1/post-entry", xml, entry.into()),
        (
            "/api/v1/events",
            json,
            r#"{"kind":"vpn_up","address":"10.1.14.6","user":"alice"}"#.into(),
        ),
    ];
    for (n, (path, content_type, body)) in candidates.iter().enumerate() {
        let answer = firewall.push(path, content_type, body);
        assert!((200..300).contains(&answer.status), "{path} {body}: {answer:?}");
        let address = format!("10.1.14.{}", n + 1);
        assert_eq!(server.user_at(&address).as_deref(), Some("alice"), "{path} {body}");
    }
    assert_eq!(server.account("ptim", 6).applied, 6);
    server.stop();
}

#[test]
fn a_machine_account_does_not_displace_a_user() {
    let server = Server::new();
    let mut script = server.client("script");
    let earlier = (now() - SignedDuration::from_secs(30)).to_string();
    let user =
        json!({"kind": "login", "address": "10.1.15.1", "user": "CORP\\alice", "at": earlier});
    assert_eq!(script.post_events(&user).status, 200);
    let machine = json!({"kind": "login", "address": "10.1.15.1", "user": "CORP\\PC7$"});
    assert_eq!(script.post_events(&machine).status, 200);
    let session = server.get("/api/v1/sessions/10.1.15.1").json();
    assert_eq!(session["user"], "alice");
    assert_eq!(session["device"].as_str().map(str::to_ascii_uppercase).as_deref(), Some("PC7"));
    server.stop();
}

#[test]
fn a_failed_authentication_is_rejected_in_every_form() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let (form, json) = ("application/x-www-form-urlencoded", "application/json");
    for (path, content_type, body) in [
        ("/user_query/v2/user", form, "ip=10.1.16.1&id=alice&status=failed"),
        ("/user_query/v2/user", json, r#"{"ip":"10.1.16.1","id":"alice","result":"denied"}"#),
        ("/user_query/v2/ptim", json, r#"{"ip":"10.1.16.1","user":"alice","event":"AUTH_FAILED"}"#),
        ("/user_query/v2/ptim", json, r#"{"ip":"10.1.16.1","user":"alice","success":false}"#),
        ("/api/v1/events", json, r#"{"kind":"login_failed","address":"10.1.16.1","user":"alice"}"#),
    ] {
        let answer = firewall.push(path, content_type, body);
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
        assert_eq!(server.user_at("10.1.16.1"), None);
    }
    let account = server.account("ptim", 5);
    assert_eq!((account.applied, account.dropped), (0, 5));
    server.stop();
}

#[test]
fn a_body_with_one_invalid_event_is_rejected_completely() {
    let server = Server::new();
    let mut script = server.client("script");
    let events = json!([
        {"kind": "login", "address": "10.1.17.1", "user": "alice"},
        {"kind": "login", "address": "not an address", "user": "bob"},
    ]);
    let answer = script.post_events(&events);
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("address"), "the reason is reported: {answer:?}");
    assert_eq!(server.user_at("10.1.17.1"), None);
    assert_eq!(status_without_token(&server), 401);
    server.stop();
}

/// The status of a push with an invalid token.
fn status_without_token(server: &Server) -> u16 {
    let mut firewall = server.client("script");
    firewall.corrupt_tokens();
    let event: Value = json!({"kind": "login", "address": "10.1.17.2", "user": "mallory"});
    firewall.post_events(&event).status
}

#[test]
fn an_event_without_a_user_keeps_the_user_and_a_logout_ends_only_its_own_session() {
    let server = Server::new();
    let mut script = server.client("script");
    let ago = |seconds| (now() - SignedDuration::from_secs(seconds)).to_string();
    for event in [
        json!({"kind": "login", "address": "10.1.18.1", "user": "alice", "at": ago(60)}),
        json!({"kind": "device_seen", "address": "10.1.18.1", "device": "pc9", "at": ago(50)}),
        json!({"kind": "logout", "address": "10.1.18.1", "user": "bob", "at": ago(40)}),
    ] {
        assert_eq!(script.post_events(&event).status, 200, "{event}");
    }
    assert_eq!(server.user_at("10.1.18.1").as_deref(), Some("alice"));
    let logout = json!({"kind": "logout", "address": "10.1.18.1", "user": "alice", "at": ago(30)});
    assert_eq!(script.post_events(&logout).status, 200);
    assert_eq!(server.user_at("10.1.18.1"), None);
    server.stop();
}

#[test]
fn an_expired_session_ends_for_all_consumers() {
    let server = Server::start(Setup::new().with("[rules]\nlogoff_time = \"1m\""));
    let (mut script, mut firewall) = (server.client("script"), server.client("campus-fw"));
    let stream = Stream::open(&server, "", None);
    let at = (now() - SignedDuration::from_secs(57)).to_string();
    let login = json!({"kind": "login", "address": "10.1.19.1", "user": "alice", "at": at});
    assert_eq!(script.post_events(&login).status, 200);
    firewall.poll();
    assert_eq!(firewall.user_at("10.1.19.1"), Some("alice"));
    server.wait_for_no_user("10.1.19.1");
    assert_eq!(firewall.query_address(0, "10.1.19.1"), None);
    assert_eq!(stream.next().name, "began");
    let ended = stream.next();
    assert_eq!(
        (ended.name.as_str(), &ended.data["cause"]["rule"]),
        ("ended", &json!("logoff_time"))
    );
    firewall.poll();
    assert_eq!(firewall.user_at("10.1.19.1"), None);
    let listed = server.get("/api/v1/sessions?state=ended").json();
    assert_eq!(listed["sessions"][0]["user"], "alice", "{listed}");
    server.stop();
}
