//! Written groups: filtered, ordered, limited, and independent of the cache.

use std::sync::Arc;

use proptest::prelude::*;
use rollcall_identity::directory::{DomainNames, Group};
use rollcall_identity::{
    Cause, Glob, Kind, Membership, Origin, Posture, Precision, Producer, Proof, Revision, Rule,
    Timestamp,
};

use super::*;
use crate::srx::{PostureForm, Report, ResponseSummary, UserForm, write_batch};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Groups of one domain from a list of names, such as `sales staff`.
fn groups(names: &str) -> GroupSet {
    let group = |text: &str| Group {
        name: name(text),
        domain: name("corp.example.com"),
        dn: format!("CN={text},OU=Groups,DC=corp,DC=example,DC=com").into(),
        sid: None,
    };
    GroupSet::new(names.split_whitespace().map(|text| Arc::new(group(text))).collect())
}

fn session(listed: &str, user: Option<GroupSet>, device: Option<GroupSet>) -> Session {
    let at = Timestamp::from_millis(1_795_287_032_000);
    let [producer, client, form] = ["dc", "dc1", "4624"].map(name);
    let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
    Session {
        address: "10.0.0.7".parse().unwrap(),
        principal: Some(Principal::parse("alice@corp.example.com", None).unwrap()),
        device: Some(name("pc1")),
        roles: Some(listed.split_whitespace().map(name).collect()),
        membership: Membership { user, device },
        posture: None,
        since: at,
        confirmed: at,
        proved: at,
        proof: Proof::Logon,
        precision: Precision::Second,
        expires: at,
        revision: Revision(7),
        cause: Cause { kind: Kind::Login, at, seen: at, origin, rule: Rule::FirstUser },
        detail_sources: None,
    }
}

fn filter(globs: &[&str], limit: usize) -> GroupFilter {
    let names = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
    GroupFilter { names, limit, ..GroupFilter::default() }
}

fn netbios() -> NetbiosNames {
    let (dns, netbios) = (name("corp.example.com"), name("corp"));
    [&DomainNames { dns, netbios, sid: "S-1-5-21-1-2-3".parse().unwrap() }].into_iter().collect()
}

fn written(formatter: &ResponseFormatter, session: &Session) -> (ResponseSummary, String) {
    let (netbios, mut out) = (netbios(), Vec::new());
    let writer = ResponseWriter { formatter, netbios: &netbios };
    let answer = write_batch(writer, [Report::from(session)], "c", &mut out);
    (answer, String::from_utf8(out).unwrap())
}

fn roles(formatter: &ResponseFormatter, session: &Session) -> (String, usize) {
    let (answer, text) = written(formatter, session);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let roles = json["report_entries"][0]["roles"].as_array().unwrap();
    let roles: Vec<_> = roles.iter().map(|role| role.as_str().unwrap()).collect();
    (roles.join(" "), answer.roles_left_out)
}

#[test]
fn source_roles_come_first_and_groups_are_unique() {
    let formatter = ResponseFormatter::new(Dialect::default(), filter(&["vpn-*", "staff"], 200));
    let set = groups("admins staff vpn-a vpn-b");
    let listed = session("STAFF guests", Some(set.clone()), None);
    assert_eq!(roles(&formatter, &listed), ("STAFF guests vpn-a vpn-b".to_owned(), 0));
    let known = session("", Some(set), None);
    assert_eq!(roles(&formatter, &known), ("vpn-a vpn-b staff".to_owned(), 0));
    assert_eq!(roles(&formatter, &session("guests", None, None)), ("guests".to_owned(), 0));
}

#[test]
fn both_limits_apply_and_omissions_are_counted() {
    let set = groups("a b c d e");
    let known = session("", Some(set.clone()), None);
    let formatter = ResponseFormatter::new(Dialect::default(), filter(&[], 3));
    assert_eq!(roles(&formatter, &known), ("a b c".to_owned(), 2));
    let formatter =
        ResponseFormatter::new(Dialect { roles: 2, ..Dialect::default() }, filter(&[], 3));
    assert_eq!(roles(&formatter, &known), ("a b".to_owned(), 3));
    assert_eq!(roles(&formatter, &session("x", Some(set), None)), ("x a".to_owned(), 4));
}

#[test]
fn device_groups_are_not_roles_of_the_user() {
    let known = session("", Some(groups("staff")), Some(groups("laptops a&b")));
    let dialect = Dialect { format: Format::Xml, ..Dialect::default() };
    let (_, text) = written(&ResponseFormatter::new(dialect, GroupFilter::default()), &known);
    let device = "<device-identity><value>pc1</value><groups><group>a&amp;b</group>\
                  <group>laptops</group></groups></device-identity>";
    assert!(text.contains(device), "{text}");
    assert!(text.contains("<role-list><role>staff</role></role-list>"), "{text}");
    let (_, text) = written(&ResponseFormatter::default(), &known);
    let device = r#""roles":["staff"],"device-name":"pc1","device-groups":["a&b","laptops"],"#;
    assert!(text.contains(device), "{text}");
}

#[test]
fn domain_name_follows_the_dialect() {
    let mut known = session("", None, None);
    let (user, domain) = (UserForm::DownLevel, DomainForm::Netbios);
    let short = ResponseFormatter::new(
        Dialect { user, domain, ..Dialect::default() },
        GroupFilter::default(),
    );
    let (_, text) = written(&short, &known);
    assert!(text.contains(r#""user-name":"corp\\alice","domain-name":"corp""#), "{text}");
    let long =
        ResponseFormatter::new(Dialect { user, ..Dialect::default() }, GroupFilter::default());
    let (_, text) = written(&long, &known);
    assert!(text.contains(r#""corp.example.com\\alice","domain-name":"corp.example.com""#));
    known.principal = Some(Principal::parse("alice@lab.example.com", None).unwrap());
    let (_, text) = written(&short, &known);
    assert!(text.contains(r#""domain-name":"lab.example.com""#), "no directory knows it: {text}");
}

#[test]
fn unused_sets_are_evicted() {
    let mut formatter = ResponseFormatter::default();
    let kept = session("", Some(groups("kept")), None);
    formatter.cache_groups(&kept);
    for n in 0..10_000 {
        formatter.cache_groups(&session("", Some(groups(&format!("g{n}"))), None));
    }
    assert!(formatter.cache.len() <= MIN_CACHE + 1, "{}", formatter.cache.len());
    assert!(formatter.is_cached(&kept));
}

#[test]
fn device_state_is_the_first_role_if_configured() {
    let formatter = |posture, roles| {
        let dialect = Dialect { posture, roles, ..Dialect::default() };
        ResponseFormatter::new(dialect, GroupFilter::default())
    };
    let mut known = session("Posture-Infected guests", Some(groups("staff")), None);
    known.posture = Some(Posture::Infected);
    for (form, wanted, field) in [
        (PostureForm::Both, "posture-infected guests staff", true),
        (PostureForm::Role, "posture-infected guests staff", false),
        (PostureForm::Field, "Posture-Infected guests staff", true),
    ] {
        assert_eq!(roles(&formatter(form, 200), &known), (wanted.to_owned(), 0), "{form:?}");
        let (_, text) = written(&formatter(form, 200), &known);
        assert_eq!(text.contains(r#""posture":"Infected""#), field, "{form:?}: {text}");
    }
    let few = formatter(PostureForm::Role, 1);
    assert_eq!(roles(&few, &known), ("posture-infected".to_owned(), 2));
    known.posture = None;
    assert_eq!(roles(&few, &known), ("Posture-Infected".to_owned(), 2));
}

proptest! {
    #[test]
    fn cached_and_uncached_responses_are_equal(
        listed in "([a-d]{1,2} ){0,4}",
        user in proptest::option::of("([a-d]{1,2} ){0,8}"),
        device in proptest::option::of("([a-d]{1,2} ){0,8}"),
        (roles, limit, xml) in (0..9_usize, 0..9_usize, any::<bool>()),
        posture in proptest::option::of(Just(Posture::Quarantine)),
    ) {
        let format = if xml { Format::Xml } else { Format::Json };
        let fresh = ResponseFormatter::new(Dialect { format, roles, ..Dialect::default() }, filter(&["b*"], limit));
        let mut cached = ResponseFormatter::new(fresh.dialect().clone(), fresh.groups().clone());
        let set = |names: Option<String>| names.map(|names| groups(&names));
        let session = Session { posture, ..session(&listed, set(user), set(device)) };
        cached.cache_groups(&session);
        prop_assert!(cached.is_cached(&session));
        prop_assert_eq!(written(&cached, &session), written(&fresh, &session));
    }
}
