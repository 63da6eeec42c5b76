//! Batches contain exactly the changes; inconsistent responses are rejected.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use rollcall_identity::directory::Group;
use rollcall_identity::{
    Cause, Change, Cursor, Effect, GroupSet, Kind, Membership, Name, Origin, Posture, Precision,
    Principal, Producer, Revision, Rule, Session, Timestamp,
};
use serde_json::{Value, json};

use super::*;
use crate::http::ProblemDetails;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn cause(kind: Kind) -> Cause {
    let at = Timestamp::from_millis(1_795_287_032_353);
    let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
    let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
    Cause { kind, at, seen: at, origin, rule: Rule::FirstUser }
}

fn groups(names: &[&str]) -> GroupSet {
    let group = |text: &&str| {
        let dn = format!("CN={text},DC=corp").into();
        Arc::new(Group { name: name(text), domain: name("corp.example"), dn, sid: None })
    };
    GroupSet::new(names.iter().map(group).collect())
}

fn session(address: &str, user: Option<&str>, device: Option<&str>) -> Session {
    let cause = cause(Kind::VpnUp);
    Session {
        address: address.parse().unwrap(),
        principal: user.map(|user| Principal::parse(user, None).unwrap()),
        device: device.map(name),
        roles: None,
        membership: Membership::default(),
        posture: None,
        since: cause.at,
        confirmed: cause.at,
        proved: cause.at,
        proof: rollcall_identity::Proof::default(),
        precision: Precision::Millisecond,
        expires: cause.at,
        revision: Revision(7),
        cause,
        detail_sources: None,
    }
}

fn came(revision: u64, session: Session) -> Change {
    let (address, cause) = (session.address, session.cause.clone());
    let after = Some(Arc::new(session));
    let (revision, effect) = (Revision(revision), Effect::Began);
    Change { revision, address, effect, before: None, after, cause }
}

fn left(revision: u64, address: &str, before: Option<Session>) -> Change {
    let (revision, effect, cause) = (Revision(revision), Effect::Ended, cause(Kind::Expiry));
    let address = address.parse().unwrap();
    Change { revision, address, effect, before: before.map(Arc::new), after: None, cause }
}

fn written(changes: &[Change]) -> Value {
    let next = Cursor::new(5, Revision(9));
    serde_json::to_value(ReportBatch::new(changes, "t1", (None, &next))).unwrap()
}

#[test]
fn batch_matches_the_description() {
    let alice = Session {
        membership: Membership { user: Some(groups(&["staff"])), device: None },
        posture: Some(Posture::Quarantine),
        roles: Some([name("vpn")].into()),
        ..session("10.0.0.7", Some("alice@corp"), Some("pc1"))
    };
    let changes = [came(8, alice), left(9, "2001:db8::7", None)];
    let (after, next) = (Cursor::new(5, Revision(7)), Cursor::new(5, Revision(9)));
    let batch = ReportBatch::new(&changes, "sync", (Some(&after), &next)).as_synchronization();
    assert_eq!(batch.counts().all(), 6);
    assert_eq!(
        serde_json::to_value(&batch).unwrap(),
        json!({
            "synchronisation": "sync", "after": "5.7", "next": "5.9", "epoch": 5,
            "turn": "sync", "from": 7, "to": 9,
            "groups": [{"revision": 8, "name": "staff", "domain": "corp.example"}],
            "users": [{"revision": 8, "name": "alice", "domain": "corp", "groups": [0]}],
            "devices": [{"revision": 8, "name": "pc1", "groups": null}],
            "sessions": [
                {"revision": 8, "address": "10.0.0.7", "presence": "present", "event": "vpn_up",
                 "at": "2026-11-21T18:50:32.353Z", "since": "2026-11-21T18:50:32.353Z",
                 "user": "alice", "domain": "corp", "device": "pc1", "roles": ["vpn"]},
                {"revision": 9, "address": "2001:db8::7", "presence": "gone", "event": "expiry",
                 "at": "2026-11-21T18:50:32.353Z"}
            ],
            "states": [{"revision": 8, "address": "10.0.0.7", "posture": "quarantine",
                        "at": "2026-11-21T18:50:32.353Z"}],
        })
    );
}

#[test]
fn user_with_two_addresses_is_listed_once_with_latest_groups() {
    let of = |address: &str, member: &[&str]| Session {
        membership: Membership { user: Some(groups(member)), device: None },
        ..session(address, Some("alice@corp"), None)
    };
    let changes = [came(1, of("10.0.0.1", &["staff"])), came(2, of("10.0.0.2", &["lab", "staff"]))];
    let batch = written(&changes);
    assert_eq!(batch["users"].as_array().unwrap().len(), 1);
    let names = batch["users"][0]["groups"].as_array().unwrap().iter();
    let names = names.map(|index| &batch["groups"][index.as_u64().unwrap() as usize]["name"]);
    assert_eq!(names.collect::<Vec<_>>(), ["lab", "staff"]);
    assert_eq!(
        (&batch["users"][0]["revision"], batch["groups"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
}

#[test]
fn published_description_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/secure-edge.openapi.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, openapi()).unwrap();
    }
    let how = "docs/secure-edge.openapi.json is old: BLESS=1 cargo test -p rollcall-wire published";
    assert!(std::fs::read_to_string(&path).is_ok_and(|text| text == openapi()), "{how}");
    let described: Value = serde_json::from_str(&openapi()).unwrap();
    for path in [
        path::ONBOARD,
        path::TOKEN,
        path::POSITION,
        path::REPORTS,
        path::SYNC_BEGIN,
        path::SYNC_END,
        path::DIGEST,
    ] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
}

#[test]
fn inconsistent_response_acknowledges_nothing() {
    let sent = ReportCounts { sessions: 2, users: 1, ..ReportCounts::default() };
    let read = |answer: Value| BatchAck::read(answer.to_string().as_bytes(), sent, "5.9");
    let whole = json!({"position": "5.9", "accepted": 2, "duplicates": 1});
    assert_eq!(read(whole).unwrap().accepted, 2);
    let refusing = |list: &str, index| {
        let refused = json!({"list": list, "index": index, "reason": "too long"});
        json!({"position": "5.9", "accepted": 2, "duplicates": 0, "refused": [refused]})
    };
    assert_eq!(read(refusing("sessions", 1)).unwrap().refused[0].reason, "too long");
    let mut long = refusing("sessions", 1);
    long["refused"][0]["reason"] = json!("\u{202E}no\n".repeat(1_000));
    let reason = read(long).unwrap().refused[0].reason.clone();
    assert!(reason.starts_with("no no no") && reason.len() == 200, "{reason}");
    assert_eq!(read(refusing("sessions", 2)), Err(SecureEdgeError::UnknownReport));
    assert_eq!(read(refusing("users", 1)), Err(SecureEdgeError::UnknownReport));
    let elsewhere = json!({"position": "5.8", "accepted": 3, "duplicates": 0});
    assert_eq!(read(elsewhere), Err(SecureEdgeError::Position));
    let few = json!({"position": "5.9", "accepted": 2, "duplicates": 0});
    assert_eq!(read(few), Err(SecureEdgeError::Count { counted: 2, sent: 3 }));
    let many = json!({"position": "5.9", "accepted": u64::MAX, "duplicates": u64::MAX});
    assert!(matches!(read(many), Err(SecureEdgeError::Count { .. })));
    assert!(matches!(
        BatchAck::read(b"{\"position\":", sent, "5.9"),
        Err(SecureEdgeError::Shape { .. })
    ));
}

#[test]
fn invalid_secrets_are_rejected_and_never_shown() {
    let canary = "canary-of-a-secret";
    let with = |id: &str, secret: &str| {
        OnboardedCredentials::read(
            json!({"client_id": id, "client_secret": secret}).to_string().as_bytes(),
        )
    };
    let good = with("collector-1", canary).unwrap();
    assert!(!format!("{good:?}").contains(canary));
    for (id, secret) in [("a:b", canary), ("", canary), ("a", ""), ("a", "x\r\ny"), ("a\n", "x")] {
        let error = with(id, secret).unwrap_err();
        assert!(
            matches!(error, SecureEdgeError::Unusable(_)) && !error.to_string().contains(canary)
        );
    }
    let token = json!({"access_token": canary, "expires_in": 60}).to_string();
    let token = AccessToken::read(token.as_bytes()).unwrap();
    assert!(!format!("{token:?}").contains(canary) && token.expires_in == Some(60));
    assert!(AccessToken::read(br#"{"access_token":"a b"}"#).is_err());
    let cut = AccessToken::read(format!("{{\"access_token\":\"{canary}").as_bytes()).unwrap_err();
    assert!(!cut.to_string().contains(canary));
}

fn any_session() -> impl Strategy<Value = Session> {
    let user = prop::option::of("[a-c]@[xy]");
    let device = prop::option::of("pc[12]");
    let member = prop::option::of(prop::collection::vec("[g-i]", 0..3));
    (0u8..12, user, device, member).prop_map(|(host, user, device, member)| {
        let of = |list: &Vec<String>| groups(&list.iter().map(String::as_str).collect::<Vec<_>>());
        let membership = Membership { user: member.as_ref().map(of), device: None };
        Session {
            membership,
            ..session(&format!("10.0.0.{host}"), user.as_deref(), device.as_deref())
        }
    })
}

proptest! {
    /// A reader of the batch alone knows of each session what the change had, including groups.
    #[test]
    fn batch_is_self_contained(sessions in prop::collection::vec(any_session(), 0..20)) {
        let mut last = BTreeMap::new();
        for session in sessions {
            last.insert(session.address, session);
        }
        // A user has one set of groups in a real directory; the last report is used.
        let changes: Vec<Change> =
            last.into_values().enumerate().map(|(at, s)| came(at as u64 + 1, s)).collect();
        let batch = written(&changes);
        for (report, change) in batch["sessions"].as_array().unwrap().iter().zip(&changes) {
            let session = change.after.as_ref().unwrap();
            let principal = session.principal.as_ref();
            prop_assert_eq!(report["address"].as_str().unwrap(), session.address.to_string());
            prop_assert_eq!(report["user"].as_str(), principal.map(|p| p.user.as_str()));
            prop_assert_eq!(report["device"].as_str(), session.device.as_ref().map(Name::as_str));
            let Some(principal) = principal else { continue };
            let users = batch["users"].as_array().unwrap().iter();
            let mut users = users.filter(|user| {
                user["name"] == principal.user.as_str() && user["domain"] == report["domain"]
            });
            let user = users.next().unwrap();
            prop_assert!(users.next().is_none(), "listed once");
            let same = |other: &&Change| {
                other.after.as_ref().unwrap().principal.as_ref() == Some(principal)
            };
            let latest = changes.iter().rev().find(same).unwrap().after.as_ref().unwrap();
            let expected = latest.membership.user.as_ref().map(|set| {
                set.as_slice().iter().map(|group| group.name.to_string()).collect::<Vec<_>>()
            });
            let listed = user["groups"].as_array().map(|indexes| {
                let named = |index: &Value| {
                    let group = &batch["groups"][index.as_u64().unwrap() as usize];
                    group["name"].as_str().unwrap().to_owned()
                };
                indexes.iter().map(named).collect::<Vec<_>>()
            });
            prop_assert_eq!(listed, expected);
        }
    }

    /// Two digests are equal when the sessions are, independent of order and history.
    #[test]
    fn digests_depend_on_sessions_not_on_history(
        kept in prop::collection::vec(any_session(), 1..12),
        passing in any_session(),
    ) {
        let held: BTreeMap<_, _> = kept.into_iter().map(|s| (s.address, s)).collect();
        let (mut one, mut other) = (SessionDigest::default(), SessionDigest::default());
        held.values().for_each(|session| one.toggle(session));
        other.toggle(&passing);
        held.values().rev().for_each(|session| other.toggle(session));
        other.toggle(&passing);
        prop_assert_eq!(&one, &other);
        let theirs: Vec<String> = (0..DIGEST_PAGES).map(|page| other.hex(page)).collect();
        prop_assert_eq!(one.differing(&theirs).count(), 0);
        let first = held.values().next().unwrap();
        one.toggle(&Session { device: Some(name("another")), ..first.clone() });
        let page = SessionDigest::page(first.address);
        prop_assert_eq!(one.differing(&theirs).collect::<Vec<_>>(), [page]);
        prop_assert_eq!(one.differing(&[]).count(), DIGEST_PAGES);
    }

    #[test]
    fn any_response_is_handled(body: Vec<u8>, text in "[{}\\[\\]\":,a-z_0-9 ]{0,80}") {
        for body in [body.as_slice(), text.as_bytes()] {
            let sent = ReportCounts { sessions: 3, ..ReportCounts::default() };
            if let Ok(ack) = BatchAck::read(body, sent, "1.2") {
                prop_assert_eq!(ack.position.as_str(), "1.2");
            }
            let _ = (OnboardedCredentials::read(body), AccessToken::read(body), DigestPages::read(body));
            let _ = (read::<ReceiverPosition>(body), read::<SyncEnded>(body));
            if let Some(text) = ProblemDetails::read(body) {
                prop_assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control));
            }
        }
    }
}
