//! Posted entries contain exactly the changes, and responses are validated.

use std::sync::Arc;

use proptest::prelude::*;
use rollcall_identity::directory::NetbiosNames;
use rollcall_identity::{
    Cause, Effect, Kind, Membership, Name, Origin, Posture, Precision, Principal, Producer,
    Revision, Rule, Session, Timestamp,
};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn change(user: &str, roles: &[String], present: Option<()>) -> Change {
    let at = Timestamp::from_millis(1_795_287_032_353);
    let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
    let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
    let cause = Cause { kind: Kind::Login, at, seen: at, origin, rule: Rule::FirstUser };
    let session = Arc::new(Session {
        address: "10.0.0.7".parse().unwrap(),
        principal: Some(Principal::parse(user, Some(&name("corp"))).unwrap()),
        device: Some(name("pc<1>")),
        roles: Some(roles.iter().map(|role| name(role)).collect()),
        membership: Membership::default(),
        posture: Some(Posture::Healthy),
        since: at,
        confirmed: at,
        proved: at,
        proof: rollcall_identity::Proof::default(),
        precision: Precision::Millisecond,
        expires: at,
        revision: Revision(7),
        cause: cause.clone(),
        detail_sources: None,
    });
    let (address, revision) = (session.address, Revision(7));
    match present {
        Some(()) => {
            let after = Some(session);
            Change { revision, address, effect: Effect::Began, before: None, after, cause }
        }
        None => {
            let before = Some(session);
            Change { revision, address, effect: Effect::Ended, before, after: None, cause }
        }
    }
}

fn posted(changes: &[Change], roles: usize, out: &mut Vec<u8>) -> ResponseSummary {
    let formatter = formatter(roles, GroupFilter::default());
    write_entries(
        ResponseWriter { formatter: &formatter, netbios: &NetbiosNames::default() },
        changes,
        out,
    )
}

/// The texts of all elements named `wanted`.
fn texts(document: &str, wanted: &str) -> Vec<String> {
    let (mut reader, mut found, mut open) = (Reader::from_str(document), Vec::new(), false);
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(start) if start.local_name().as_ref() == wanted => {
                open = true;
                found.push(String::new());
            }
            Xml::Text(text) if open => {
                found.last_mut().unwrap().push_str(&text);
            }
            Xml::GeneralRef(entity) if open => {
                let named = entity.resolve_char_ref().unwrap();
                let char = named.unwrap_or_else(|| match &*entity {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    other => panic!("entity {other}"),
                });
                found.last_mut().unwrap().push(char);
            }
            Xml::End(end) if end.local_name().as_ref() == wanted => open = false,
            Xml::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn logon_and_logoff_are_posted_together() {
    let changes = [change("alice", &["staff".into()], Some(())), change("bob", &[], None)];
    let mut out = Vec::new();
    let answer = posted(&changes, ROLES, &mut out);
    assert_eq!((answer.reports, answer.roles_left_out), (2, 0));
    let document = String::from_utf8(out).unwrap();
    assert_eq!(texts(&document, "operation"), ["logon", "logoff"]);
    assert_eq!(texts(&document, "user"), ["alice", "bob"]);
    assert_eq!(texts(&document, "timestamp")[0], "2026-11-21T18:50:32.353Z");
    assert!(document.contains("<value>pc&lt;1&gt;</value>"), "{document}");
}

#[test]
fn at_most_two_hundred_roles_are_posted() {
    let roles: Vec<String> = (0..250).map(|n| format!("g{n}")).collect();
    let mut out = Vec::new();
    let answer = posted(&[change("alice", &roles, Some(()))], 1000, &mut out);
    assert_eq!(answer.roles_left_out, 50);
    assert_eq!(texts(&String::from_utf8(out).unwrap(), "role").len(), 200);
}

#[test]
fn success_status_with_error_body_is_an_error() {
    let check = |body: &str| check_response(200, body.as_bytes());
    for fine in [
        "",
        " \r\n",
        "OK",
        "200 OK",
        "{\"status\": \"success\"}",
        "<ok/>",
        "<userfw-response><status>done</status></userfw-response>",
        "<userfw-response><error-code> 0 </error-code></userfw-response>",
        "<reply><errors><count>0</count></errors></reply>",
    ] {
        assert_eq!(check(fine), Ok(()), "{fine}");
    }
    let error = check("<rpc-reply><rpc-error><m>bad\nIP</m> address</rpc-error></rpc-reply>");
    assert_eq!(error, Err(PostEntryError::Error("bad IP address".to_owned())));
    assert_eq!(check("<reply><error/></reply>"), Err(PostEntryError::Error(String::new())));
    let second = "<reply><error-code>0</error-code><error>no room</error></reply>";
    assert_eq!(check(second), Err(PostEntryError::Error("no room".to_owned())));
    let code = check("<reply><error-code>10</error-code></reply>");
    assert_eq!(code, Err(PostEntryError::Error("10".to_owned())));
    assert_eq!(check("<!DOCTYPE HTML><p>log in"), Err(PostEntryError::HtmlPage));
    assert_eq!(check("<html><body>log in</body></html>"), Err(PostEntryError::HtmlPage));
    assert_eq!(check("<error/>"), Err(PostEntryError::Error(String::new())));
    for cut in ["<reply>", "<reply><a></reply>", "<reply", "</reply>"] {
        assert_eq!(check(cut), Err(PostEntryError::MalformedXml), "{cut}");
    }
}

#[test]
fn other_responses_are_not_confirmations() {
    for strange in [
        "<p>It works!</p>",
        "<p/>",
        "garbage",
        "{\"status\": \"error\"}",
        "not ok",
        "\u{1}\u{2}",
        "FAILED: OK",
    ] {
        let refused = check_response(200, strange.as_bytes());
        assert!(matches!(refused, Err(PostEntryError::UnknownForm(_))), "{strange:?}: {refused:?}");
    }
    let long = format!("OK{}", " and so on".repeat(100));
    assert!(check_response(200, long.as_bytes()).is_err());
    for status in [201, 202, 204] {
        assert_eq!(check_response(status, b"OK"), Err(PostEntryError::Status(status)));
    }
}

proptest! {
    /// Any valid user name gives exactly one user in one entry.
    #[test]
    fn names_are_escaped_in_elements(text in "[ -~é<&\"'>]{1,40}") {
        prop_assume!(Principal::parse(&text, None).is_ok());
        let change = change(&text, &["r&d".into()], Some(()));
        let mut out = Vec::new();
        posted(std::slice::from_ref(&change), ROLES, &mut out);
        let document = String::from_utf8(out).unwrap();
        let principal = change.after.as_ref().unwrap().principal.clone().unwrap();
        prop_assert_eq!(texts(&document, "user"), [principal.user.as_str()]);
        prop_assert_eq!(texts(&document, "userfw-entry").len(), 1);
        prop_assert_eq!(texts(&document, "role"), ["r&d"]);
    }

    #[test]
    fn any_response_is_handled(body: Vec<u8>, text in "[<>/a-z!\\[\\]&;?= -]{0,60}") {
        for body in [body.as_slice(), text.as_bytes()] {
            if let Err(PostEntryError::Error(quoted) | PostEntryError::UnknownForm(quoted)) = check_response(200, body) {
                prop_assert!(quoted.len() <= 4 * QUOTE_LIMIT && !quoted.chars().any(char::is_control));
            }
        }
    }
}
