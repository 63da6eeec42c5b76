//! Valid and invalid pushes in every candidate form.

use std::collections::HashSet;

use proptest::prelude::*;
use rollcall_identity::{Kind, Posture, Precision, Producer};
use strum::IntoEnumIterator;

use super::*;

const SEEN: i64 = 1_795_287_032_353;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn origin() -> Arc<Origin> {
    let [producer, client, form] = ["ptim", "fw1", "srx"].map(name);
    Arc::new(Origin { kind: Producer::Ptim, producer, client, form })
}

type Reader = fn(&RequestParts<'_>, PtimContext<'_>) -> Result<Vec<Event>, PtimError>;

fn with(reader: Reader, request: &RequestParts<'_>) -> Result<Vec<Event>, PtimError> {
    let (origin, domain) = (origin(), name("home.example"));
    let seen = Timestamp::from_millis(SEEN);
    reader(
        request,
        PtimContext {
            seen,
            origin: &origin,
            domain: Some(&domain),
            untimed: MissingTime::UseArrival,
        },
    )
}

fn post<'a>(path: &'a str, query: &'a str, body: &'a str) -> RequestParts<'a> {
    RequestParts { method: "POST", path, query, body: body.as_bytes(), ..RequestParts::default() }
}

/// A short form of each event: `vpn_up 10.0.0.7 alice@corp.example`.
fn short(events: &[Event]) -> Vec<String> {
    let line = |event: &Event| {
        let who = event.principal.as_ref().map_or("-".to_owned(), ToString::to_string);
        format!("{} {} {who}", event.kind.as_str(), event.address)
    };
    events.iter().map(line).collect()
}

fn entry(operation: &str, inside: &str) -> String {
    format!("<userfw-entry><operation>{operation}</operation>{inside}</userfw-entry>")
}

#[test]
fn captive_portal_login_in_every_candidate_form() {
    let pairs = "ip=10.0.0.7&id=Alice&domain=Corp.Example";
    let xml = entry("logon", "<IP>10.0.0.7</IP><user>alice</user><domain>corp.example</domain>");
    let entries =
        format!("<?xml version='1.0' encoding='utf-8'?><userfw-entries>{xml}</userfw-entries>");
    for request in [
        post("/user", pairs, ""),
        post("/user", "", pairs),
        post("/user", "ip=10.0.0.7", "id=alice&domain=corp.example"),
        post("/user", "domain=corp.example", r#"{"ip":"10.0.0.7","id":"alice"}"#),
        post("user_query/v2/user/", pairs, ""),
        RequestParts { method: "GET", ..post("/user", pairs, "") },
        RequestParts {
            method: "PUT",
            ..post("/user", "", r#"{"ip-address":"10.0.0.7","user_name":"CORP.EXAMPLE\\alice"}"#)
        },
        post("", "", &xml),
        post("/api/userfw/v1/post-entry", "", &entries),
        post(
            "",
            "",
            r#"{"ip":"10.0.0.7","user":"alice","domain":"corp.example","operation":"logon"}"#,
        ),
    ] {
        assert!(is_push(&request), "{request:?}");
        let events = with(read, &request).unwrap();
        assert_eq!(short(&events), ["login 10.0.0.7 alice@corp.example"], "{request:?}");
        assert_eq!(events[0].at, Timestamp::from_millis(SEEN));
        assert_eq!((events[0].roles.as_ref(), events[0].posture), (None, None));
    }
}

#[test]
fn every_state_in_every_place() {
    for (state, kind) in [
        ("IKE_VPN_UP_ALARM_USER", Kind::VpnUp),
        ("KMD_VPN_UP_ALARM_USER", Kind::VpnUp),
        ("connect", Kind::VpnUp),
        ("UP", Kind::VpnUp),
        ("IKE_VPN_DOWN_ALARM_USER", Kind::VpnDown),
        ("KMD_VPN_DOWN_ALARM_USER", Kind::VpnDown),
        ("disconnect", Kind::VpnDown),
        ("down", Kind::VpnDown),
        ("rekey", Kind::Rekey),
        ("logon", Kind::Login),
        ("login", Kind::Login),
        ("logoff", Kind::Logout),
        ("logout", Kind::Logout),
    ] {
        let wanted = [format!("{} 10.0.0.7 alice@home.example", kind.as_str())];
        for key in ["event", "state", "operation", "activity", "type", "EVENT_TYPE"] {
            for (address, user) in [
                ("ip", "user"),
                ("ip-address", "user-name"),
                ("address", "user_name"),
                ("tunnel_ip", "id"),
                ("tunnel-ip", "username"),
            ] {
                let object = format!(
                    r#"{{"{address}":"10.0.0.7","{user}":"alice","{key}":"{state}","vpn":"x","n":1}}"#
                );
                for body in [
                    format!("[{object}]"),
                    format!(r#"{{"entries":[{object}]}}"#),
                    format!(r#"{{"version":2,"events":[{object}]}}"#),
                    format!(r#"{{"events":{object}}}"#),
                    format!(r#"{{"event":{object}}}"#),
                    format!("{address}=10.0.0.7&{user}=alice&{key}={state}"),
                    object,
                ] {
                    let events = with(read, &post("/ptim", "", &body)).unwrap();
                    assert_eq!(short(&events), wanted, "{body}");
                }
            }
        }
        let xml = entry(state, "<IP>10.0.0.7</IP><user>alice</user>");
        assert_eq!(short(&with(read, &post("", "", &xml)).unwrap()), wanted, "{xml}");
    }
}

#[test]
fn state_outside_of_the_entries_applies_to_them() {
    let list = r#"[{"ip":"10.0.0.7","user":"a"},{"ip":"10.0.0.8","user":"b"}]"#;
    let envelope = format!(r#"{{"state":"down","entries":{list}}}"#);
    let wanted = ["vpn_down 10.0.0.7 a@home.example", "vpn_down 10.0.0.8 b@home.example"];
    for request in [post("/ptim", "state=disconnect", list), post("/ptim", "", &envelope)] {
        assert_eq!(short(&with(read, &request).unwrap()), wanted);
    }
    let rekey = r#"{"ip":"10.0.0.7","user":"a","event":"IKE_VPN_UP_ALARM_USER","type":"rekey"}"#;
    let events = with(read, &post("/ptim", "", rekey)).unwrap();
    assert_eq!(short(&events), ["rekey 10.0.0.7 a@home.example"]);
}

#[test]
fn state_under_an_unknown_name_is_not_a_login() {
    for body in [
        r#"{"ip":"10.0.0.7","user":"a","vpn-phase":"down"}"#,
        r#"{"ip":"10.0.0.7","user":"a","status":"down"}"#,
        r#"{"ip":"10.0.0.7","user":"a","event":"tunnel","tunnel":{"x":"DISCONNECT"}}"#,
        "ip=10.0.0.7&user=a&phase=down",
    ] {
        let events = with(read, &post("/ptim", "", body)).unwrap();
        assert_eq!(short(&events), ["vpn_down 10.0.0.7 a@home.example"], "{body}");
    }
    let body = r#"{"ip":"10.0.0.7","user":"a","x":"down","y":"up"}"#;
    assert_eq!(with(read, &post("/ptim", "", body)).unwrap_err().problem, PtimErrorKind::Duplicate);
    let body = r#"{"ip":"10.0.0.7","user":"a","state":"connect","link":"down"}"#;
    let events = with(read, &post("/ptim", "", body)).unwrap();
    assert_eq!(short(&events), ["vpn_up 10.0.0.7 a@home.example"]);
}

#[test]
fn all_fields_are_kept() {
    let json = r#"{"ip":["10.0.0.7","2001:db8::7"],"user":"alice","event":"connect",
        "timestamp":"2026-11-21T18:50:30Z","groups":["Staff","R&D"],"status":"success",
        "device-identity":{"value":"PC1$","groups":["lab"]},"pre-logon-compliance":true}"#;
    let xml = format!(
        "<userfw-entries xmlns='x'><!-- c -->{}</userfw-entries>",
        entry(
            "connect",
            "<source>Aruba ClearPass</source><timestamp>2026-11-21T18:50:30Z</timestamp>\
             <IP>10.0.0.7</IP><domain/><user>&#97;lice</user><role-list><role>Staff</role>\
             <role><![CDATA[R&D]]></role></role-list><posture>Healthy</posture>\
             <end-user-attribute><device-identity><value>PC1</value><groups><group>lab</group>\
             </groups></device-identity><device-os>x</device-os></end-user-attribute>",
        )
    );
    let xml = xml.replace("</IP>", "</IP><IP>2001:db8::7</IP>");
    for body in [json, &xml] {
        let events = with(read, &post("/user", "", body)).unwrap();
        assert_eq!(
            short(&events),
            ["vpn_up 10.0.0.7 alice@home.example", "vpn_up 2001:db8::7 alice@home.example"]
        );
        for event in events {
            assert_eq!(event.device, Some(name("PC1")));
            assert_eq!(event.roles.as_deref(), Some(&[name("Staff"), name("R&D")][..]));
            assert_eq!(event.posture, Some(Posture::Healthy));
            assert_eq!(event.at, Timestamp::from_millis(1_795_287_030_000));
            assert_eq!(event.precision, Precision::Second);
            assert_eq!(event.seen, Timestamp::from_millis(SEEN));
            assert_eq!(event.origin, origin());
        }
    }
}

#[test]
fn device_without_user_is_the_null_user() {
    let body =
        r#"{"ip":"10.0.0.7","user":"Not-Applicable","device":"pc1","posture":"posture-infected"}"#;
    let events = with(read, &post("/user", "", body)).unwrap();
    assert_eq!(short(&events), ["login 10.0.0.7 -"]);
    assert_eq!(events[0].posture, Some(Posture::Infected));
    let strange = body.replace("posture-infected", "gesund");
    let events = with(read, &post("/user", "", &strange)).unwrap();
    assert_eq!(events[0].posture, Some(Posture::Unknown));
}

#[test]
fn tunnel_without_a_user_applies_to_the_current_user() {
    for (state, kind) in
        [("KMD_VPN_DOWN_ALARM_USER", "vpn_down"), ("disconnect", "vpn_down"), ("rekey", "rekey")]
    {
        let wanted = [format!("{kind} 10.0.0.7 -")];
        for body in [
            format!("ip=10.0.0.7&user=Not-applicable&state={state}"),
            format!("ip=10.0.0.7&state={state}"),
            format!(r#"{{"ip":"10.0.0.7","user":"not-applicable","event":"{state}"}}"#),
            format!(r#"[{{"ip":"10.0.0.7","event":"{state}"}}]"#),
            entry(state, "<IP>10.0.0.7</IP><user>Not-applicable</user>"),
        ] {
            let request = post("", "", &body);
            assert!(is_push(&request), "{body}");
            assert_eq!(short(&with(read, &request).unwrap()), wanted, "{body}");
        }
        let posted = format!(r#"{{"kind":"{kind}","address":"10.0.0.7"}}"#);
        assert_eq!(short(&with(read_json_events, &post("", "", &posted)).unwrap()), wanted);
    }
    // A session does not begin without a user, and a logout needs its user.
    for kind in ["login", "vpn_up", "logout", "refresh"] {
        let posted = format!(r#"{{"kind":"{kind}","address":"10.0.0.7"}}"#);
        let bad = with(read_json_events, &post("", "", &posted)).unwrap_err();
        assert_eq!(bad.to_string(), "item 0: user: missing");
    }
    let body = "ip=10.0.0.7&user=Not-applicable&state=";
    for state in ["connect", "logon", "logoff"] {
        let bad = with(read, &post("/ptim", "", &format!("{body}{state}"))).unwrap_err();
        assert_eq!(
            (bad.problem, bad.field),
            (PtimErrorKind::Missing, Some(PtimField::User)),
            "{state}"
        );
    }
}

#[test]
fn query_is_not_a_push() {
    for (method, path, query, body) in [
        ("GET", "", "ip=10.0.0.7&user=alice", ""),
        ("GET", "/user", "user=alice", ""),
        ("GET", "/user/alice", "", ""),
        ("POST", "", "", r#"{"cookie":"5f-7","count":200}"#),
        ("POST", "/users/endpoints", "", "begintime=0"),
        ("POST", "", "ip=10.0.0.7", ""),
        ("POST", "", "ip=10.0.0.7&type=query", ""),
        ("DELETE", "/user", "ip=10.0.0.7&id=alice", ""),
    ] {
        let request = RequestParts { method, ..post(path, query, body) };
        assert!(!is_push(&request), "{request:?}");
    }
}

#[test]
fn invalid_push_is_rejected_as_a_whole() {
    let long = format!("ip=10.0.0.7&id={}", "x".repeat(5000));
    let addresses: Vec<String> = (0..9).map(|n| format!("10.0.0.{n}")).collect();
    let addresses = format!("id=a&ip={}", addresses.join(","));
    let two_users = entry("logon", "<IP>10.0.0.7</IP><user>a</user><user>b</user>");
    let nested = entry("logon", "<IP>10.0.0.7</IP><user>a<b/></user>");
    let stateless = "<userfw-entry><IP>10.0.0.7</IP><user>a</user></userfw-entry>";
    for (body, error) in [
        ("", "the body has no event"),
        ("[]", "the body has no event"),
        ("<userfw-entries/>", "the body has no event"),
        ("[7]", "item 0: not of the expected shape"),
        ("{\"entries\":7}", "item 0: not of the expected shape"),
        ("{\n\"ip\"}", "not well-formed at line 2, column 5"),
        ("<userfw-entry>", "not well-formed"),
        ("<html></html>", "not of the expected shape"),
        (&two_users, "item 0: user: given twice"),
        (&nested, "item 0: not of the expected shape"),
        (stateless, "item 0: kind: missing"),
        ("ip=10.0.0.7", "item 0: user: missing"),
        ("id=alice", "item 0: address: missing"),
        ("ip=10.0.0&id=alice", "address: not an IP address"),
        ("ip=10.0.0.7&id=a%00b", "item 0: user: not a name"),
        ("ip=10.0.0.7&id=a&domain=%1b", "domain: not a name"),
        ("ip=10.0.0.7&id=a&timestamp=now", "at: not a time"),
        ("ip=10.0.0.7&id=a&state=dancing", "item 0: kind: not a kind of event that is pushed"),
        ("ip=10.0.0.7&id=a&state=up&event=down", "kind: given twice"),
        ("ip=10.0.0.7&id=a&state=login-failed", "kind: reports a failure"),
        ("ip=10.0.0.7&id=a&state=login&result=failure", "status: reports a failure"),
        (&long, "user: the body is too long"),
        (&addresses, "address: too many"),
        (r#"[{"ip":"10.0.0.7","id":"a"},{"ip":"x","id":"b"}]"#, "item 1: address: not an IP"),
        (r#"[{"ip":"10.0.0.7","id":["a","b"]}]"#, "item 0: user: not of the expected shape"),
    ] {
        let bad = with(read, &post("/user", "", body)).unwrap_err();
        assert!(bad.to_string().starts_with(error), "{body}: {bad}");
        assert!((400..500).contains(&bad.status()));
    }
    let item = r#"{"ip":"10.0.0.7","id":"a"},"#;
    let many = format!("[{}]", item.repeat(EVENTS + 1).trim_end_matches(','));
    assert_eq!(with(read, &post("", "", &many)).unwrap_err().problem, PtimErrorKind::TooMany);
    let enough = format!("[{}]", item.repeat(EVENTS).trim_end_matches(','));
    assert_eq!(with(read, &post("", "", &enough)).unwrap().len(), EVENTS);
}

#[test]
fn posted_events_are_read() {
    let body = r#"[
        {"kind":"login","address":"10.0.0.7","user":"CORP\\Alice","groups":[],"at":"2026-11-21T18:50:30.5Z"},
        {"kind":"vpn_up","address":"::ffff:10.0.0.8","user":"bob","domain":"Corp","device":"pc1","posture":"healthy"},
        {"kind":"device_seen","address":"10.0.0.9","device":"pc2","user":null,"groups":null},
        {"kind":"rekey","address":"10.0.0.8","user":"bob@corp","groups":["Staff"]}
    ]"#;
    let events = with(read_json_events, &post("", "", body)).unwrap();
    assert_eq!(
        short(&events),
        [
            "login 10.0.0.7 alice@corp",
            "vpn_up 10.0.0.8 bob@corp",
            "device_seen 10.0.0.9 -",
            "rekey 10.0.0.8 bob@corp",
        ]
    );
    assert_eq!(events[0].at, Timestamp::from_millis(1_795_287_030_500));
    assert_eq!(events[0].roles.as_deref(), Some(&[][..]));
    assert_eq!((events[2].roles.as_ref(), events[1].posture), (None, Some(Posture::Healthy)));
    let one = r#"{"kind":"refresh","address":"2001:db8::7","user":"bob"}"#;
    let events = with(read_json_events, &post("", "", one)).unwrap();
    assert_eq!(short(&events), ["refresh 2001:db8::7 bob@home.example"]);
}

#[test]
fn posted_events_are_read_strictly() {
    let good = r#"{"kind":"login","address":"10.0.0.7","user":"alice"}"#;
    for (item, error) in [
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","x":1}"#,
            "item 1: has a key besides kind",
        ),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","user":"a"}"#,
            "item 1: user: given twice",
        ),
        (r#"{"address":"10.0.0.7","user":"a"}"#, "item 1: kind: missing"),
        (r#"{"kind":null,"address":"10.0.0.7","user":"a"}"#, "item 1: kind: missing"),
        (r#"{"kind":"expiry","address":"10.0.0.7","user":"a"}"#, "item 1: kind: not a kind"),
        (r#"{"kind":"logon","address":"10.0.0.7","user":"a"}"#, "item 1: kind: not a kind"),
        (r#"{"kind":"login","user":"a"}"#, "item 1: address: missing"),
        (r#"{"kind":"login","address":"10.0.0.7/32","user":"a"}"#, "item 1: address: not an IP"),
        (r#"{"kind":"login","address":["10.0.0.7"],"user":"a"}"#, "item 1: address: not of the"),
        (r#"{"kind":"login","address":"10.0.0.7","user":" "}"#, "item 1: user: missing"),
        (r#"{"kind":"logout","address":"10.0.0.7","device":"pc1"}"#, "item 1: user: missing"),
        (r#"{"kind":"device_seen","address":"10.0.0.7","user":"a"}"#, "item 1: device: missing"),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","at":1795287032}"#,
            "item 1: at: not of",
        ),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","at":"1795287032"}"#,
            "item 1: at: not a time",
        ),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","posture":"well"}"#,
            "item 1: posture: not",
        ),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","groups":"x"}"#,
            "item 1: groups: not of",
        ),
        (
            r#"{"kind":"login","address":"10.0.0.7","user":"a","groups":["\n"]}"#,
            "item 1: groups: missing",
        ),
        ("7", "item 1: not of the expected shape"),
    ] {
        let bad = with(read_json_events, &post("", "", &format!("[{good},{item}]"))).unwrap_err();
        assert!(bad.to_string().starts_with(error), "{item}: {bad}");
    }
    for (body, problem) in [
        ("a=b", PtimErrorKind::Shape),
        ("<a/>", PtimErrorKind::Shape),
        ("", PtimErrorKind::Empty),
        ("[]", PtimErrorKind::Empty),
    ] {
        assert_eq!(with(read_json_events, &post("", "", body)).unwrap_err().problem, problem);
    }
}

#[test]
fn error_kinds_are_distinct_labels() {
    let labels: HashSet<&str> = PtimErrorKind::iter().map(PtimErrorKind::as_str).collect();
    assert_eq!(labels.len(), PtimErrorKind::iter().count());
    assert!(labels.iter().all(|label| label.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_parsed_or_rejected(query in any::<String>(), body: Vec<u8>) {
        let request = RequestParts { body: &body, ..post("/user", &query, "") };
        let _ = (is_push(&request), with(read, &request), with(read_json_events, &request));
    }

    /// Random sequences of the tokens of all candidate forms, which reach deeper than random bytes.
    #[test]
    fn shuffled_tokens_are_parsed_or_rejected(
        words in proptest::collection::vec(
            prop_oneof![
                "[\\[\\]{}:,\"<>/&=; ]",
                "<(/)?(userfw-entries|userfw-entry|user|IP|operation|role-list|role)>",
                "\"(ip|user|event|kind|address|groups|entries|at)\":",
                "(\"?10\\.0\\.0\\.[0-9]\"?|\"?(alice|up|login)\"?)",
                "&(amp|lt|#[0-9]{1,7}|x);|<!\\[CDATA\\[|\\]\\]>|<!--|-->|<\\?x\\?>",
            ],
            0..40,
        ),
    ) {
        let body = words.concat();
        for reader in [read as Reader, read_json_events] {
            if let Ok(events) = with(reader, &post("/user", "", &body)) {
                prop_assert!(!events.is_empty());
            }
        }
    }

    #[test]
    fn errors_never_quote_the_input(place in 0..8_usize, canary in "CANARY[a-z0-9]{6}") {
        let body = match place {
            0 => format!("ip={canary}&id=a"),
            1 => format!("{{\"ip\":\"10.0.0.7\",\"id\":\"a\",\"time\":\"{canary}\"}}"),
            2 => format!("{{\"password\":\"{canary}\""),
            3 => format!("<userfw-entry><{canary}></userfw-entry>"),
            4 => format!("<!DOCTYPE {canary}><userfw-entry/>"),
            5 => format!("<{canary}/>"),
            6 => format!("[{{\"{canary}\":1}}]"),
            _ => format!("[{{\"kind\":\"{canary}\"}}]"),
        };
        for reader in [read as Reader, read_json_events] {
            let bad = with(reader, &post("/user", "", &body)).unwrap_err();
            let shown = format!("{bad} {bad:?}");
            prop_assert!(!shown.contains("CANARY"), "{}", shown);
        }
    }
}
