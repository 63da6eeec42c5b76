//! Written responses, and names that try to break out of them.

use super::*;
use crate::srx::{Dialect, PostureForm, QueryToken, ResponseFormatter, TimeForm, UserForm};
use proptest::prelude::*;
use quick_xml::events::Event as Xml;
use rollcall_identity::directory::{Group, GroupFilter, NetbiosNames};
use rollcall_identity::{
    Cause, Change, Effect, GroupSet, Kind, Membership, Name, Origin, Posture, Precision, Principal,
    Producer, Proof, Revision, Rule, Timestamp,
};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn session() -> Session {
    let at = Timestamp::from_millis(1_795_287_032_353);
    let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
    let origin = Arc::new(Origin { kind: Producer::Ptim, producer, client, form });
    let cause = Cause { kind: Kind::Login, at, seen: at, origin, rule: Rule::FirstUser };
    Session {
        address: "10.0.0.7".parse().unwrap(),
        principal: Some(Principal::parse("Alice@Corp.Example", None).unwrap()),
        device: Some(name("pc1")),
        roles: Some([name("staff"), name("R&D \"lab\"")].into()),
        membership: Membership::default(),
        posture: Some(Posture::Healthy),
        since: at,
        confirmed: at,
        proved: at,
        proof: Proof::Logon,
        precision: Precision::Millisecond,
        expires: at,
        revision: Revision(7),
        cause,
        detail_sources: None,
    }
}

fn ended(before: Option<Session>) -> Change {
    let session = session();
    let cause = Cause { at: Timestamp::from_millis(1_795_287_033_000), ..session.cause };
    let (address, revision, effect) = (session.address, session.revision, Effect::Ended);
    Change { revision, address, effect, before: before.map(Arc::new), after: None, cause }
}

/// A response in a dialect, with all groups.
fn answered(
    dialect: &Dialect,
    answer: impl FnOnce(ResponseWriter<'_>, &mut Vec<u8>) -> ResponseSummary,
) -> (ResponseSummary, String) {
    let formatter = ResponseFormatter::new(dialect.clone(), GroupFilter::default());
    let (netbios, mut out) = (NetbiosNames::default(), Vec::new());
    let answer = answer(ResponseWriter { formatter: &formatter, netbios: &netbios }, &mut out);
    (answer, String::from_utf8(out).unwrap())
}

fn text(dialect: &Dialect, reports: &[Report<'_>]) -> String {
    let (answer, text) =
        answered(dialect, |writer, out| write_batch(writer, reports.iter().copied(), "5f-7", out));
    assert_eq!((answer.status, answer.reports), (200, reports.len()));
    text
}

#[test]
fn device_groups_and_state_are_written_in_both_formats() {
    let group = |text: &str| {
        let dn = format!("CN={text},DC=corp,DC=example").into();
        Arc::new(Group { name: name(text), domain: name("corp.example"), dn, sid: None })
    };
    let groups = GroupSet::new(vec![group("laptops"), group("r&d")]);
    let membership = Membership { user: None, device: Some(groups) };
    let session = Session { membership, roles: None, ..session() };
    let json = text(&Dialect::default(), &[Report::from(&session)]);
    assert!(
        json.contains(r#""device-name":"pc1","device-groups":["laptops","r&d"],"timestamp""#)
            && json.contains(r#""posture":"Healthy""#),
        "{json}"
    );
    let xml = Dialect { format: Format::Xml, ..Dialect::default() };
    let xml = text(&xml, &[Report::from(&session)]);
    assert!(
        xml.contains(
            "<posture>Healthy</posture><end-user-attribute><device-identity><value>pc1</value>\
             <groups><group>laptops</group><group>r&amp;d</group></groups></device-identity>"
        ),
        "{xml}"
    );
    let none = Membership { user: None, device: Some(GroupSet::new(Vec::new())) };
    let json = text(&Dialect::default(), &[Report::from(&Session { membership: none, ..session })]);
    assert!(!json.contains("device-groups"), "{json}");
}

/// A change of this output must raise the format version in the enforcement actor (`voices.rs`), so
/// that firewalls fetch their reports again.
#[test]
fn default_format_is_json() {
    let (session, gone) = (session(), ended(Some(session())));
    assert_eq!(
        text(&Dialect::default(), &[Report::from(&session), Report::from(&gone)]),
        r#"{"report_entries":[{"ip-address":"10.0.0.7","user-name":"alice","#.to_owned()
            + r#""domain-name":"corp.example","roles":["posture-healthy","staff","R&D \"lab\""],"#
            + r#""device-name":"pc1","timestamp":"2026-11-21T18:50:32.353Z","#
            + r#""activity":"login","posture":"Healthy"},{"ip-address":"10.0.0.7","#
            + r#""user-name":"alice","domain-name":"corp.example","#
            + r#""roles":["posture-healthy","staff","R&D \"lab\""],"device-name":"pc1","#
            + r#""timestamp":"2026-11-21T18:50:33Z","activity":"logout","#
            + r#""posture":"Healthy"}],"cookie":"5f-7"}"#
    );
}

#[test]
fn xml_is_the_model_of_the_web_api() {
    let dialect = Dialect {
        format: Format::Xml,
        user: UserForm::DownLevel,
        time: TimeForm::UnixSeconds,
        ..Dialect::default()
    };
    let (session, gone) = (session(), ended(None));
    assert_eq!(
        text(&dialect, &[Report::from(&session), Report::from(&gone)]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<userfw-entries><userfw-entry>\
         <source>rollcall</source><timestamp>1795287032</timestamp>\
         <operation>logon</operation><IP>10.0.0.7</IP><domain>corp.example</domain>\
         <user>corp.example\\alice</user><role-list><role>posture-healthy</role><role>staff</role>\
         <role>R&amp;D &quot;lab&quot;</role></role-list><posture>Healthy</posture>\
         <end-user-attribute><device-identity><value>pc1</value></device-identity>\
         </end-user-attribute></userfw-entry><userfw-entry><source>rollcall</source>\
         <timestamp>1795287033</timestamp><operation>logoff</operation><IP>10.0.0.7</IP>\
         </userfw-entry><cookie>5f-7</cookie></userfw-entries>\n"
    );
}

#[test]
fn response_without_session_follows_the_dialect() {
    let address = "10.0.0.9".parse().unwrap();
    let asked = AddressQuery { address, now: Timestamp::EPOCH };
    let null = r#"{"ip-address":"10.0.0.9","user-name":"","domain-name":"","roles":[],"device-name":"","timestamp":"1970-01-01T00:00:00Z","activity":"login"}"#;
    for (miss, status, reports) in [
        (NoSessionResponse::Empty, 200, ""),
        (NoSessionResponse::NullUser, 200, null),
        (NoSessionResponse::NotFound, 404, ""),
    ] {
        let dialect = Dialect { miss, ..Dialect::default() };
        let (answer, text) =
            answered(&dialect, |writer, out| write_address(writer, asked, None, out));
        assert_eq!(answer.status, status);
        assert_eq!(text, format!("{{\"report_entries\":[{reports}]}}"));
    }
    let (dialect, found) =
        (Dialect { miss: NoSessionResponse::NotFound, ..Dialect::default() }, session());
    let found = Arc::new(found);
    let (answer, _) =
        answered(&dialect, |writer, out| write_address(writer, asked, Some(&found), out));
    assert_eq!(answer, ResponseSummary { status: 200, reports: 1, roles_left_out: 0 });
}

#[test]
fn roles_beyond_the_limit_are_left_out_and_counted() {
    // The device state takes the first of the 200 roles.
    let roles: Vec<Name> = (0..250).map(|n| name(&format!("g{n}"))).collect();
    let session = Session { roles: Some(roles.into()), ..session() };
    let (answer, text) =
        answered(&Dialect::default(), |writer, out| write_user(writer, [&session, &session], out));
    assert_eq!(answer, ResponseSummary { status: 200, reports: 2, roles_left_out: 102 });
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["report_entries"][1]["roles"].as_array().unwrap().len(), 200);
    assert_eq!(json.get("cookie"), None);
}

#[test]
fn dialect_is_deserialized() {
    let text = "format = \"xml\"\nuser = \"user_at_domain\"\ndomain = \"netbios\"\ntime = \"unix_milliseconds\"\nmiss = \"null_user\"\nposture = \"role\"\nroles = 10\nquery_token = \"accepted\"";
    let wanted = Dialect {
        format: Format::Xml,
        user: UserForm::UserAtDomain,
        domain: crate::srx::DomainForm::Netbios,
        time: TimeForm::UnixMilliseconds,
        miss: NoSessionResponse::NullUser,
        posture: PostureForm::Role,
        roles: 10,
        query_token: QueryToken::Accepted,
    };
    assert_eq!(toml::from_str::<Dialect>(text).unwrap(), wanted);
    assert_eq!(toml::from_str::<Dialect>("").unwrap(), Dialect::default());
    assert!(toml::from_str::<Dialect>("formt = \"xml\"").is_err());
}

/// The text of every element named `wanted`, in order, and the number of elements.
fn xml_texts(document: &str, wanted: &str) -> (Vec<String>, usize) {
    let mut reader = quick_xml::Reader::from_str(document);
    let (mut texts, mut elements, mut inside) = (Vec::new(), 0, false);
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                elements += 1;
                inside = tag.name().into_inner() == wanted;
                if inside {
                    texts.push(String::new());
                }
            }
            Xml::End(_) => inside = false,
            Xml::Text(text) if inside => texts.last_mut().unwrap().push_str(&text),
            Xml::GeneralRef(name) if inside => {
                let plain = quick_xml::escape::resolve_predefined_entity(&name).unwrap();
                texts.last_mut().unwrap().push_str(plain);
            }
            Xml::Eof => return (texts, elements),
            _ => {}
        }
    }
}

/// Writes `hostile` as user, domain, role and device, and parses it back.
fn survives_both_writers(hostile: &Name) {
    let mut session = session();
    let folded = hostile.clone().folded();
    let principal = session.principal.as_mut().unwrap();
    (principal.user, principal.domain) = (folded.clone(), Some(folded.clone()));
    session.device = Some(hostile.clone());
    session.roles = Some([hostile.clone(), name("staff")].into());

    let written = text(&Dialect::default(), &[Report::from(&session)]);
    let json: serde_json::Value = serde_json::from_str(&written).unwrap();
    let entry = &json["report_entries"][0];
    assert_eq!(entry.as_object().unwrap().len(), 8, "{written}");
    assert_eq!(entry["user-name"], folded.as_str());
    assert_eq!(entry["domain-name"], folded.as_str());
    assert_eq!(entry["device-name"], hostile.as_str());
    assert_eq!(entry["roles"][1], hostile.as_str());

    let dialect = Dialect { format: Format::Xml, ..Dialect::default() };
    let written = text(&dialect, &[Report::from(&session)]);
    let possible = |name: &Name| name.as_str().replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    for (element, wanted) in [
        ("user", vec![possible(&folded)]),
        ("domain", vec![possible(&folded)]),
        ("value", vec![possible(hostile)]),
        ("role", vec!["posture-healthy".to_owned(), possible(hostile), "staff".to_owned()]),
    ] {
        assert_eq!(xml_texts(&written, element), (wanted, 17), "{written}");
    }
}

#[test]
fn hostile_names_round_trip_in_both_formats() {
    let pieces = [
        "\"",
        "\\",
        "'",
        "<",
        ">",
        "&",
        "&amp;",
        "&#0;",
        "]]>",
        "<![CDATA[",
        "</user>",
        "<!--",
        "-->",
        "\",\"activity\":\"login",
        "\\u0022",
        "\\\"",
        "{",
        "}]}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{10ffff}",
        "&xxe;",
        "<?xml?>",
        "%0a",
        "${jndi:x}",
        "*)(objectClass=*",
        "' or 1=1",
        "\u{e9}",
    ];
    let mut names = 0;
    for first in pieces {
        for second in pieces {
            survives_both_writers(&name(&format!("a{first}{second}z")));
            names += 1;
        }
    }
    assert!(names > 800, "{names}");
}

proptest! {
    #[test]
    fn any_name_round_trips_in_both_formats(text in any::<String>()) {
        if let Ok(name) = Name::new(&text) {
            survives_both_writers(&name);
        }
    }
}
