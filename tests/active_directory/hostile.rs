//! What a directory may do to Rollcall: hostile names, no end, no rights; and what Rollcall may never
//! show of it.

use std::fmt::Write;
use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rollcall_actors::producers::active_directory::State;
use rollcall_identity::Name;
use serde_json::json;

use super::configured;
use super::following::{Reader, SEALED, change, staff, until, with_member};
use crate::harness::{Authority, Controller, PASSWORD, Server, Setup, rollcall};

/// What is written where a name is expected: for filters, distinguished names, logs, terminals, web
/// pages, JSON, XML, CSV, label values of Prometheus, and people who read from left to right.
const HOSTILE: [&str; 20] = [
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
    "\u{9}tab",
    "%00%0a${jndi:ldap://evil}",
    "{{7*7}}",
    "../../etc/passwd",
    "\u{feff}\u{200b}",
];

/// How often each comes: of users and groups, so called, there are a thousand.
const COPIES: usize = 25;

/// What the `copy`th of a name is.
fn name(number: usize, copy: usize) -> String {
    format!("{} {copy}", HOSTILE[number])
}

/// What the group is called: Active Directory takes some characters out of names by itself.
fn group(number: usize, copy: usize) -> String {
    let forbidden = |letter: char| letter.is_control() || "\"/\\[]:;|=,+*?<>".contains(letter);
    name(number, copy).replace(forbidden, "_")
}

/// LDIF of a user and a group for each name: the user is displayed so, and the group is called so and
/// holds the user.
fn hostile() -> String {
    let mut ldif = String::new();
    for (copy, number) in (0..COPIES).flat_map(|copy| (0..HOSTILE.len()).map(move |n| (copy, n))) {
        let text = BASE64_STANDARD.encode(name(number, copy));
        let called = BASE64_STANDARD.encode(group(number, copy));
        let (user, dn) = (format!("z{copy}x{number}"), staff(&format!("z{copy}x{number}")));
        write!(
            ldif,
            "dn: {dn}\nchangetype: add\nobjectClass: user\nsAMAccountName: {user}\n\
             userAccountControl: 544\ndisplayName:: {text}\n\n\
             dn: CN=g{copy}x{number},OU=Groups,{}\nchangetype: add\nobjectClass: group\n\
             sAMAccountName:: {called}\nmember: {dn}\n\n",
            Controller::BASE
        )
        .unwrap();
    }
    ldif
}

/// `text` as a part of a query.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn a_thousand_hostile_names_are_text_in_every_answer_and_one_line_in_the_log() {
    let story = "a_thousand_hostile_names_are_text_in_every_answer_and_one_line_in_the_log";
    let Some(controller) = Controller::small(story) else { return };
    controller.modify(&hostile());
    let section = controller.section(SEALED);
    let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
    let server = Server::start(setup.with_secret("password", PASSWORD).with(&section));
    let total = |path: &str| server.get(path).json()["total"].as_u64();
    let people = (COPIES * HOSTILE.len()) as u64;
    until("everybody is read", || (total("/api/v1/users?prefix=z") == Some(people)).then_some(()));

    // Control characters are no part of a name: it is missing, and counted.
    let all = (0..COPIES).flat_map(|copy| (0..HOSTILE.len()).map(move |number| name(number, copy)));
    let unusable = all.filter(|name| Name::new(name).is_err()).count() as u64;
    assert!(unusable >= 5 * COPIES as u64, "{unusable}");
    until("each is counted once", || {
        let problems = server.metrics().sum("rollcall_receiving_directory_problems_total", &[]);
        (problems == unusable).then_some(())
    });

    // A name that looks like a filter is a name.
    let prefix = escaped("*)(objectClass=*");
    assert_eq!(total(&format!("/api/v1/users?prefix={prefix}")), Some(0));
    let prefix = escaped(&group(0, 0)[..10]);
    assert_eq!(total(&format!("/api/v1/groups?prefix={prefix}")), Some(COPIES as u64));
    let shown = server.get("/api/v1/users?prefix=z3x6").json();
    assert_eq!(shown["accounts"][0]["display"], name(6, 3));

    let (mut firewall, mut script) = (server.client("campus-fw"), server.client("script"));
    for number in 0..HOSTILE.len() {
        let login = json!({
            "kind": "login", "address": format!("10.71.0.{}", number + 1),
            "user": format!("CORP\\z0x{number}"),
        });
        assert_eq!(script.post_events(&login).status, 200);
    }
    firewall.poll();
    assert_eq!(firewall.table().len(), HOSTILE.len());
    for number in 0..HOSTILE.len() {
        let heard = &firewall.table()[&format!("10.71.0.{}", number + 1)];
        let called = Name::new(&group(number, 0)).ok().map(|name| name.to_string());
        let mut expected = vec!["Domain Users".to_owned(), "Users".to_owned()];
        expected.extend(called);
        expected.sort();
        let mut roles = heard.roles.clone();
        roles.sort();
        assert_eq!(roles, expected, "{:?}", HOSTILE[number]);
    }
    for text in server.metrics().texts() {
        for part in ["evil", "FORGED", "forged", "script", "z0x"] {
            assert!(!text.contains(part), "{text}");
        }
    }
    let log = server.stop();
    assert!(!log.lines().any(|line| line.starts_with("FORGED") || line.starts_with("HTTP/")));
    assert!(!log.contains('\u{1b}'), "no terminal is steered by the log");
}

#[test]
fn the_password_of_a_directory_is_in_no_log_answer_or_environment() {
    let story = "the_password_of_a_directory_is_in_no_log_answer_or_environment";
    let Some(controller) = Controller::small(story) else { return };
    let mut said = String::new();
    let ldaps = "account = \"rollcall@corp.example.com\"\nca = \"ca.pem\"\ninterval = \"1s\"\n";
    // A bind whose password is on the wire, one that is sealed, and one that is refused.
    for (way, password) in [(ldaps, PASSWORD), (SEALED, PASSWORD), (ldaps, "canary-wrong-90c1")] {
        let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
        let setup = setup.with_secret("password", password).with(&controller.section(way));
        fs::copy(controller.authority(), setup.folder().join("ca.pem")).unwrap();
        let server = Server::start(setup);
        let read = [
            "rollcall_receiving_directory_objects_total",
            "rollcall_receiving_directory_failures_total",
        ];
        until("it is read or refused", || {
            let metrics = server.metrics();
            read.iter().any(|name| metrics.sum(name, &[]) > 0).then_some(())
        });
        let id = server.id();
        for file in ["cmdline", "environ"] {
            said += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/{file}")).unwrap());
        }
        for path in ["/metrics", "/api/v1/producers", "/api/v1/domains", "/api/v1/actors"] {
            said += &server.get(path).text;
        }
        let config = server.setup().folder().join("rollcall.toml").display().to_string();
        for command in [&["check"][..], &["directory", "test"]] {
            let arguments = [&["--config", &config], command].concat();
            let told = rollcall(server.setup().folder(), &arguments);
            said += &String::from_utf8_lossy(&[told.stdout, told.stderr].concat());
        }
        let log = server.stop();
        assert!(log.contains("TRACE"), "the log was at its loudest");
        said += &log;
        let base64 = BASE64_STANDARD.encode(password);
        let utf16: String = password.chars().flat_map(|letter| [letter, '\0']).collect();
        for form in [password, &base64, &utf16] {
            let at = said.find(form);
            let around = at.map(|at| &said[at.saturating_sub(120)..at]);
            assert!(around.is_none(), "it was shown after {around:?}");
        }
    }
}

#[test]
fn a_password_that_others_may_read_or_that_is_empty_is_not_used() {
    let setup = |mode: u32, password: &str, more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let _authority = Authority::new(folder.path());
        super::secret(folder.path(), password);
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(folder.path().join("password"), permissions).unwrap();
        let section = format!(
            "[[active_directory]]\nname = \"corp\"\ndomain = \"corp.example.com\"\n\
             account = \"rollcall\"\nsecret_file = \"password\"\n{more}"
        );
        fs::write(folder.path().join("rollcall.toml"), section).unwrap();
        let told = rollcall(folder.path(), &["--config", "rollcall.toml", "check"]);
        (told.status.success(), String::from_utf8([told.stdout, told.stderr].concat()).unwrap())
    };
    let tls = "ca = \"ca.crt\"\n";
    assert!(setup(0o600, "canary-31", tls).0);
    for (mode, password, more, why) in [
        (0o644, "canary-31", tls, "password"),
        (0o600, "", tls, "empty"),
        (0o600, "canary-31", "transport = \"ldap\"\n", "in clear text"),
        (0o600, "canary-31", "", "TLS needs the authority"),
    ] {
        let (taken, said) = setup(mode, password, more);
        assert!(!taken && said.contains(why), "{why}:\n{said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn a_directory_that_is_larger_than_allowed_is_cut_and_what_is_known_stays() {
    let story = "a_directory_that_is_larger_than_allowed_is_cut_and_what_is_known_stays";
    let Some(controller) = Controller::small(story) else { return };
    let limits = "[active_directory.limits]\nobjects = 1000\npage = 10\n";
    let reader = Reader::start(&controller, &format!("{SEALED}{limits}"));
    reader.until_read();
    // More members than the limit allows, in one group; each is read with the group that changed.
    let mut ldif = String::new();
    for number in 0..1100 {
        let dn = format!("CN=x{number},OU=Staff,{}", Controller::BASE);
        write!(ldif, "dn: {dn}\nchangetype: add\nobjectClass: contact\n\n").unwrap();
    }
    let members: String =
        (0..1100).map(|n| format!("member: CN=x{n},OU=Staff,{}\n", Controller::BASE)).collect();
    let group = format!("CN=everyone-here,OU=Groups,{}", Controller::BASE);
    write!(ldif, "dn: {group}\nchangetype: modify\nadd: member\n{members}\n").unwrap();
    controller.modify(&ldif);
    let why = until("it is said", || reader.status().error);
    assert!(why.contains("cut after 1000 objects and members"), "{why}");
    assert_eq!(reader.status().state, State::Failing);
    assert!(reader.who("bob").is_some(), "what is known stays in force");
    controller.modify(&change(&group, "modify\ndelete: member"));
    controller.modify(&with_member("everyone-here", "add", &staff("Bob")));
    until("it is read again when it is small enough", || {
        reader.groups("bob").contains(&"everyone-here".to_owned()).then_some(())
    });
}

#[test]
fn an_account_that_loses_its_rights_ends_nobody() {
    let story = "an_account_that_loses_its_rights_ends_nobody";
    let Some(controller) = Controller::small(story) else { return };
    let bases = ["Staff", "Groups"].map(|unit| format!("OU={unit},{}", Controller::BASE));
    let more = format!("{SEALED}bases = {bases:?}\n");
    let reader = Reader::start(&controller, &more);
    reader.until_read();
    // One of the two is enough: those in it are not taken for deleted.
    controller.hide(&bases[0], "rollcall");
    controller.modify(&with_member("everyone-here", "add", &staff("Alice")));
    let why = until("it is said", || reader.status().error);
    assert!(why.contains("has it lost its rights?"), "{why}");
    assert!(reader.who("bob").is_some() && reader.who("alice").is_some());
    // Whoever begins now hears the same.
    let folder = configured(&controller, &more);
    let (worked, said) = super::tested(folder.path());
    assert!(!worked && said.contains("has it lost its rights?"), "{said}");
}
