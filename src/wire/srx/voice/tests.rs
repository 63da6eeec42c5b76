//! Written groups: filtered, ordered, limited, and independent of the cache.

use std::sync::Arc;

use proptest::prelude::*;
use rollcall_identity::directory::{DomainNames, Group};
use rollcall_identity::{
    Cause, Glob, Kind, Membership, Origin, Posture, Precision, Producer, Proof, Revision, Rule,
    Timestamp,
};

use super::*;
use crate::srx::{Answer, PostureForm, Report, UserForm, batch};

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
        proof: Proof::Logon,
        precision: Precision::Second,
        expires: at,
        revision: Revision(7),
        cause: Cause { kind: Kind::Login, at, seen: at, origin, rule: Rule::FirstUser },
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

fn spoken(voice: &Voice, session: &Session) -> (Answer, String) {
    let (netbios, mut out) = (netbios(), Vec::new());
    let speaker = Speaker { voice, netbios: &netbios };
    let answer = batch(speaker, [Report::from(session)], "c", &mut out);
    (answer, String::from_utf8(out).unwrap())
}

fn roles(voice: &Voice, session: &Session) -> (String, usize) {
    let (answer, text) = spoken(voice, session);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let roles = json["report_entries"][0]["roles"].as_array().unwrap();
    let roles: Vec<_> = roles.iter().map(|role| role.as_str().unwrap()).collect();
    (roles.join(" "), answer.roles_left_out)
}

#[test]
fn what_a_source_listed_goes_first_and_no_group_twice() {
    let voice = Voice::new(Dialect::default(), filter(&["vpn-*", "staff"], 200));
    let set = groups("admins staff vpn-a vpn-b");
    let listed = session("STAFF guests", Some(set.clone()), None);
    assert_eq!(roles(&voice, &listed), ("STAFF guests vpn-a vpn-b".to_owned(), 0));
    let known = session("", Some(set), None);
    assert_eq!(roles(&voice, &known), ("vpn-a vpn-b staff".to_owned(), 0));
    assert_eq!(roles(&voice, &session("guests", None, None)), ("guests".to_owned(), 0));
}

#[test]
fn both_limits_hold_and_what_is_left_out_is_counted() {
    let set = groups("a b c d e");
    let known = session("", Some(set.clone()), None);
    let voice = Voice::new(Dialect::default(), filter(&[], 3));
    assert_eq!(roles(&voice, &known), ("a b c".to_owned(), 2));
    let voice = Voice::new(Dialect { roles: 2, ..Dialect::default() }, filter(&[], 3));
    assert_eq!(roles(&voice, &known), ("a b".to_owned(), 3));
    assert_eq!(roles(&voice, &session("x", Some(set), None)), ("x a".to_owned(), 4));
}

#[test]
fn the_groups_of_a_device_are_no_roles_of_its_user() {
    let known = session("", Some(groups("staff")), Some(groups("laptops a&b")));
    let dialect = Dialect { format: Format::Xml, ..Dialect::default() };
    let (_, text) = spoken(&Voice::new(dialect, GroupFilter::default()), &known);
    let device = "<device-identity><value>pc1</value><groups><group>a&amp;b</group>\
                  <group>laptops</group></groups></device-identity>";
    assert!(text.contains(device), "{text}");
    assert!(text.contains("<role-list><role>staff</role></role-list>"), "{text}");
    let (_, text) = spoken(&Voice::default(), &known);
    let device = r#""roles":["staff"],"device-name":"pc1","device-groups":["a&b","laptops"],"#;
    assert!(text.contains(device), "{text}");
}

#[test]
fn a_domain_is_called_as_the_point_wants_it() {
    let mut known = session("", None, None);
    let (user, domain) = (UserForm::DownLevel, DomainForm::Netbios);
    let short = Voice::new(Dialect { user, domain, ..Dialect::default() }, GroupFilter::default());
    let (_, text) = spoken(&short, &known);
    assert!(text.contains(r#""user-name":"corp\\alice","domain-name":"corp""#), "{text}");
    let long = Voice::new(Dialect { user, ..Dialect::default() }, GroupFilter::default());
    let (_, text) = spoken(&long, &known);
    assert!(text.contains(r#""corp.example.com\\alice","domain-name":"corp.example.com""#));
    known.principal = Some(Principal::parse("alice@lab.example.com", None).unwrap());
    let (_, text) = spoken(&short, &known);
    assert!(text.contains(r#""domain-name":"lab.example.com""#), "no directory knows it: {text}");
}

#[test]
fn sets_that_nobody_has_are_forgotten() {
    let mut voice = Voice::default();
    let kept = session("", Some(groups("kept")), None);
    voice.learn(&kept);
    for n in 0..10_000 {
        voice.learn(&session("", Some(groups(&format!("g{n}"))), None));
    }
    assert!(voice.known.len() <= FEW + 1, "{}", voice.known.len());
    assert!(voice.knows(&kept));
}

#[test]
fn the_state_of_a_device_is_a_role_before_all_others_where_that_is_wanted() {
    let voice = |posture, roles| {
        let dialect = Dialect { posture, roles, ..Dialect::default() };
        Voice::new(dialect, GroupFilter::default())
    };
    let mut known = session("Posture-Infected guests", Some(groups("staff")), None);
    known.posture = Some(Posture::Infected);
    for (form, wanted, field) in [
        (PostureForm::Both, "posture-infected guests staff", true),
        (PostureForm::Role, "posture-infected guests staff", false),
        (PostureForm::Field, "Posture-Infected guests staff", true),
    ] {
        assert_eq!(roles(&voice(form, 200), &known), (wanted.to_owned(), 0), "{form:?}");
        let (_, text) = spoken(&voice(form, 200), &known);
        assert_eq!(text.contains(r#""posture":"Infected""#), field, "{form:?}: {text}");
    }
    let few = voice(PostureForm::Role, 1);
    assert_eq!(roles(&few, &known), ("posture-infected".to_owned(), 2));
    known.posture = None;
    assert_eq!(roles(&few, &known), ("Posture-Infected".to_owned(), 2));
}

proptest! {
    #[test]
    fn learnt_or_not_the_answer_is_the_same(
        listed in "([a-d]{1,2} ){0,4}",
        user in proptest::option::of("([a-d]{1,2} ){0,8}"),
        device in proptest::option::of("([a-d]{1,2} ){0,8}"),
        (roles, limit, xml) in (0..9_usize, 0..9_usize, any::<bool>()),
        posture in proptest::option::of(Just(Posture::Quarantine)),
    ) {
        let format = if xml { Format::Xml } else { Format::Json };
        let fresh = Voice::new(Dialect { format, roles, ..Dialect::default() }, filter(&["b*"], limit));
        let mut learnt = Voice::new(fresh.dialect().clone(), fresh.groups().clone());
        let set = |names: Option<String>| names.map(|names| groups(&names));
        let session = Session { posture, ..session(&listed, set(user), set(device)) };
        learnt.learn(&session);
        prop_assert!(learnt.knows(&session));
        prop_assert_eq!(spoken(&learnt, &session), spoken(&fresh, &session));
    }
}
