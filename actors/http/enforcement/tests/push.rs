//! Pushes in every format, their receipts, and rejected pushes.

use std::time::Duration;

use rollcall_wire::ptim::MissingTime;
use serde_json::json;

use super::fixture::{bearer, point, pushers, settings, with_server};

const THERE: [u8; 4] = [127, 0, 0, 2];

#[test]
fn pushed_events_are_visible_to_the_next_query() {
    with_server(vec![point("srx1"), point("srx2")], async |server| {
        let (one, other) = (server.token("srx1").await, server.token("srx2").await);
        let xml = "<userfw-entries><userfw-entry><operation>logon</operation><IP>10.0.0.3</IP>\
                   <user>carol</user><domain>corp.example</domain></userfw-entry></userfw-entries>";
        let xml_type = "Content-Type: application/xml";
        let bearer = bearer(&one);
        for (head, header, body) in [
            ("POST /user_query/v2/user?ip=10.0.0.1&id=alice&domain=corp.example", "X: y", ""),
            (
                "POST /user_query/v2/vpn",
                "Content-Type: application/json",
                r#"{"event":"IKE_VPN_UP_ALARM_USER","ip":"10.0.0.2","user":"bob"}"#,
            ),
            ("POST /api/userfw/v1/post-entry", xml_type, xml),
            (
                "POST /api/v1/events",
                "X: y",
                r#"{"kind":"vpn_up","address":"10.0.0.4","user":"dave"}"#,
            ),
        ] {
            let answer = server.request(head, &[&bearer, header], body).await;
            let json = answer.json();
            assert_eq!(
                (answer.status, json["applied"].as_u64()),
                (200, Some(1)),
                "{head} {answer:?}"
            );
        }
        let answer = server.get(&other, "").await.json();
        let users: Vec<_> = answer["report_entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|report| report["user-name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(users, ["alice", "bob", "carol", "dave"]);
    });
}

#[test]
fn a_receipt_counts_deduplicated_and_refused_events() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        let events = r#"[{"kind":"login","address":"10.0.0.1","user":"alice"},
            {"kind":"login","address":"127.0.0.1","user":"bob"},
            {"kind":"logout","address":"10.0.0.9","user":"carol"},
            {"kind":"login","address":"10.0.0.2","user":"dave","at":"2001-01-01T00:00:00Z"},
            {"kind":"login","address":"10.0.0.3","user":"erin","at":"2001-01-01T00:00:00Z"}]"#;
        let answer = server.post(&token, events).await;
        let json = answer.json();
        let count = |key: &str| json[key].as_u64().unwrap();
        assert_eq!((answer.status, count("received"), count("applied")), (200, 5, 1), "{answer:?}");
        assert_eq!(count("applied") + count("deduplicated") + count("refused"), 5);
        let reasons = json!({"address_unusable": 1, "no_session": 1, "too_old": 2});
        assert_eq!(json["reasons"], reasons, "{answer:?}");
        let known = server.post(&token, r#"{"kind":"login","address":"10.0.0.1","user":"alice"}"#);
        let known = known.await.json();
        assert!(known["refused"] == 0 && known.get("reasons").is_none(), "{known}");
    });
}

#[test]
fn an_invalid_body_is_rejected_as_a_whole_and_the_error_names_the_item() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        let bad = r#"[{"kind":"login","address":"10.0.0.1","user":"alice"},
            {"kind":"login","address":"nowhere","user":"bob"}]"#;
        let answer = server.post(&token, bad).await;
        assert_eq!(answer.status, 400);
        let problem = answer.json();
        assert_eq!(problem["detail"], "item 1: address: not an IP address");
        assert_eq!((&problem["type"], &problem["status"]), (&"about:blank".into(), &400.into()));
        let empty = server.get(&token, "/ip/10.0.0.1").await.json();
        assert_eq!(empty["report_entries"].as_array().map(Vec::len), Some(0));
        let entity = r#"<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><userfw-entries/>"#;
        let head = "POST /user_query/v2";
        assert_eq!(server.request(head, &[&bearer(&token)], entity).await.status, 400);
    });
}

#[test]
fn a_pusher_may_push_from_its_address_and_may_not_query() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token_from(THERE, "portal").await;
        let event = r#"{"kind":"login","address":"10.0.0.1","user":"alice"}"#;
        let post = "POST /api/v1/events";
        let here = server.post(&token, event).await;
        assert_eq!(here.status, 401, "not from the firewall's address");
        let there = server.request_from(THERE, post, &[&bearer(&token)], event).await;
        assert_eq!((there.status, there.json()["applied"].as_u64()), (200, Some(1)));
        let request =
            server.request_from(THERE, "GET /user_query/v2", &[&bearer(&token)], "").await;
        assert_eq!(request.status, 403);
        let srx = server.token("srx1").await;
        let report = server.get(&srx, "/ip/10.0.0.1").await.json();
        assert_eq!(report["report_entries"][0]["domain-name"], "corp.example");
    });
}

#[test]
fn a_push_without_permission_or_with_pushes_disabled_is_403() {
    let mut mute = point("srx1");
    mute.push = None;
    with_server(vec![mute, point("srx2")], async |server| {
        let event = r#"{"kind":"login","address":"10.0.0.1","user":"alice"}"#;
        let (mute, other) = (server.token("srx1").await, server.token("srx2").await);
        assert_eq!(server.post(&mute, event).await.status, 403);
        assert_eq!(server.post(&other, event).await.status, 200);
        let mut off = pushers();
        off.enabled = false;
        server.points.apply_settings(&settings(vec![point("srx2")]), &off);
        assert_eq!(server.post(&other, event).await.status, 403);
    });
}

#[test]
fn without_the_cache_or_the_producer_a_push_is_503() {
    with_server(vec![point("srx1")], async |server| {
        let token = server.token("srx1").await;
        let event = r#"{"kind":"login","address":"10.0.0.1","user":"alice"}"#;
        for actor in ["cache", "ptim"] {
            server.stop_actor(actor).await;
            let answer = server.post(&token, event).await;
            assert_eq!(answer.status, 503, "without {actor}");
            assert!(answer.head.contains("retry-after"), "{answer:?}");
        }
    });
}

/// Pushes in the order in which they were sent, each with its own time.
const MORNING: [&str; 4] = [
    r#"{"kind":"vpn_up","address":"10.0.0.1","user":"alice","at":"2026-11-18T11:06:35Z"}"#,
    r#"{"kind":"rekey","address":"10.0.0.1","user":"alice","at":"2026-11-18T11:06:36Z"}"#,
    r#"{"kind":"vpn_down","address":"10.0.0.1","user":"alice","at":"2026-11-18T11:06:37Z"}"#,
    r#"{"kind":"login","address":"10.0.0.2","user":"bob","at":"2026-11-18T11:06:38Z"}"#,
];

#[test]
fn replayed_pushes_change_nothing_when_a_time_is_required() {
    let mut strict = point("srx1");
    strict.push_missing_time = MissingTime::Reject;
    with_server(vec![strict], async |server| {
        let token = server.token("srx1").await;
        for push in MORNING {
            let answer = server.post(&token, push).await;
            assert_eq!((answer.status, &answer.json()["applied"]), (200, &1.into()), "{push}");
        }
        let seen = server.get(&token, "").await.body;
        // Immediately, after some minutes, and when the logins are too old.
        for pause in [0, 5, 15] {
            server.advance(Duration::from_secs(60 * pause));
            for push in MORNING {
                let answer = server.post(&token, push).await;
                assert_eq!((answer.status, &answer.json()["applied"]), (200, &0.into()), "{push}");
            }
        }
        assert_eq!(server.get(&token, "").await.body, seen, "what a firewall reads is the same");
        let untimed = r#"{"kind":"login","address":"10.0.0.1","user":"alice"}"#;
        for (head, body) in [
            ("POST /api/v1/events", untimed),
            ("POST /user_query/v2/user?ip=10.0.0.1&id=alice", ""),
            ("POST /user_query/v2/vpn?ip=10.0.0.2&event=down", ""),
        ] {
            let answer = server.request(head, &[&bearer(&token)], body).await;
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(answer.status == 400 && detail.contains("at: missing"), "{head}: {answer:?}");
        }
        assert_eq!(server.get(&token, "").await.body, seen);
    });
}
