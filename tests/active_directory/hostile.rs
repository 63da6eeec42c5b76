//! Hostile or faulty directories: endless responses and lost rights. Passwords are never shown.

use std::fmt::Write;
use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rollcall_producers::active_directory::DirectoryState;

use super::configured;
use super::sync::{Reader, SEALED, SEES_DELETIONS, change, staff, until, with_member};
use crate::harness::{Authority, Controller, PASSWORD, Server, Setup, rollcall};

#[test]
fn the_directory_password_is_in_no_log_response_or_environment() {
    let story = "the_directory_password_is_in_no_log_response_or_environment";
    let Some(controller) = Controller::small(story) else { return };
    let mut output = String::new();
    let ldaps =
        "account = \"rollcall@corp.example.com\"\nca = \"ca.pem\"\npoll_interval = \"1s\"\n";
    // A simple bind over TLS, a sealed bind, and a rejected bind.
    for (method, password) in [(ldaps, PASSWORD), (SEALED, PASSWORD), (ldaps, "canary-wrong-90c1")]
    {
        let setup = Setup::new().replacing("level = \"debug\"", "level = \"trace\"");
        let setup = setup.with_secret("password", password).with(&controller.section(method));
        fs::copy(controller.authority(), setup.folder().join("ca.pem")).unwrap();
        let server = Server::start(setup);
        let read = ["rollcall_directory_objects_total", "rollcall_directory_failures_total"];
        until("it is read or rejected", || {
            let metrics = server.metrics();
            read.iter().any(|name| metrics.sum(name, &[]) > 0).then_some(())
        });
        let id = server.id();
        for file in ["cmdline", "environ"] {
            output += &String::from_utf8_lossy(&fs::read(format!("/proc/{id}/{file}")).unwrap());
        }
        for path in ["/metrics", "/api/v1/producers", "/api/v1/domains", "/api/v1/actors"] {
            output += &server.get(path).text;
        }
        let config = server.setup().folder().join("rollcall.toml").display().to_string();
        for command in [&["check"][..], &["test", "directory"]] {
            let arguments = [&["--config", &config], command].concat();
            let command_output = rollcall(server.setup().folder(), &arguments);
            output +=
                &String::from_utf8_lossy(&[command_output.stdout, command_output.stderr].concat());
        }
        let log = server.stop();
        assert!(log.contains("TRACE"), "the log has trace level");
        output += &log;
        let base64 = BASE64_STANDARD.encode(password);
        let utf16: String = password.chars().flat_map(|letter| [letter, '\0']).collect();
        for form in [password, &base64, &utf16] {
            let at = output.find(form);
            let around = at.map(|at| &output[at.saturating_sub(120)..at]);
            assert!(around.is_none(), "it was shown after {around:?}");
        }
    }
    // A core file would contain the password.
    let unit = include_str!("../../packaging/rollcall.service");
    assert!(unit.lines().any(|line| line == "LimitCORE=0"));
}

#[test]
fn an_empty_or_world_readable_password_file_is_rejected() {
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
        let ended = rollcall(folder.path(), &["--config", "rollcall.toml", "check"]);
        (ended.status.success(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
    };
    let tls = "ca = \"ca.crt\"\n";
    assert!(setup(0o600, "canary-31", tls).0);
    for (mode, password, more, why) in [
        (0o644, "canary-31", tls, "password"),
        (0o600, "", tls, "empty"),
        (0o600, "canary-31", "transport = \"ldap\"\n", "in clear text"),
        (0o600, "canary-31", "", "TLS requires the CA"),
    ] {
        let (accepted, output) = setup(mode, password, more);
        assert!(!accepted && output.contains(why), "{why}:\n{output}");
        assert!(!output.contains("canary"), "{output}");
    }
}

#[test]
fn a_directory_over_the_limit_is_cut_and_known_objects_stay() {
    let story = "a_directory_over_the_limit_is_cut_and_known_objects_stay";
    let Some(controller) = Controller::small(story) else { return };
    let limits = "[active_directory.limits]\nmax_objects = 1000\npage_size = 10\n";
    let reader = Reader::start(&controller, &format!("{SEALED}{limits}"));
    reader.until_read();
    // One group has more members than the limit allows. All are read with the changed group.
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
    let why = until("the error is reported", || reader.status().error);
    assert!(why.contains("stopped after 1000 objects and members"), "{why}");
    assert_eq!(reader.status().state, DirectoryState::Failing);
    assert!(reader.user_at("bob").is_some(), "known objects stay");
    controller.modify(&change(&group, "modify\ndelete: member"));
    controller.modify(&with_member("everyone-here", "add", &staff("Bob")));
    until("the directory is read again below the limit", || {
        reader.groups("bob").contains(&"everyone-here".to_owned()).then_some(())
    });
}

#[test]
fn a_reader_account_that_loses_its_rights_ends_no_session() {
    let story = "a_reader_account_that_loses_its_rights_ends_no_session";
    let Some(controller) = Controller::small(story) else { return };
    let bases = ["Staff", "Groups"].map(|unit| format!("OU={unit},{}", Controller::BASE));
    let more = format!("{SEALED}search_bases = {bases:?}\n");
    let reader = Reader::start(&controller, &more);
    reader.until_read();
    // One hidden base is enough: its accounts do not count as deleted.
    let hidden = controller.deny_read(&bases[0], "rollcall");
    controller.modify(&with_member("everyone-here", "add", &staff("Alice")));
    let why = until("the error is reported", || reader.status().error);
    assert!(why.contains("check its read rights"), "{why}");
    assert!(reader.user_at("bob").is_some() && reader.user_at("alice").is_some());
    // Changes elsewhere are still applied.
    until("alice is in the group", || {
        reader.groups("alice").contains(&"everyone-here".to_owned()).then_some(())
    });
    assert_eq!(reader.status().state, DirectoryState::Failing);
    // A new reader reports the same error.
    let folder = configured(&controller, &more);
    let (worked, output) = super::test_directory(folder.path());
    assert!(!worked && output.contains("check its read rights"), "{output}");
    // When the account has its rights again, reading continues without a loss.
    controller.restore_permissions(hidden);
    until("the directory is current", || {
        (reader.status().state == DirectoryState::Current).then_some(())
    });
    assert_eq!((reader.full_reads(), reader.status().error), (1, None));
    controller.modify(&change(&staff("Bob"), "delete"));
    until("deletions are detected", || reader.user_at("bob").is_none().then_some(()));
    assert!(reader.user_at("alice").is_some());
}

/// The number of accounts in the unit `Movers`.
const MOVERS: usize = 12;

/// LDIF of the unit `Movers` with its accounts.
fn unit_of_movers() -> String {
    let unit = format!("OU=Movers,{}", Controller::BASE);
    let mut ldif = format!("{}\n", change(&unit, "add\nobjectClass: organizationalUnit"));
    for number in 0..MOVERS {
        let person =
            format!("objectClass: user\nsAMAccountName: m{number}\nuserAccountControl: 544");
        writeln!(ldif, "{}", change(&mover(number), &format!("add\n{person}"))).unwrap();
    }
    ldif
}

fn mover(number: usize) -> String {
    format!("CN=m{number},OU=Movers,{}", Controller::BASE)
}

/// LDIF of the same change of all accounts of the unit; `#` is the number of the account.
fn to_movers(lines: &str) -> String {
    (0..MOVERS)
        .map(|number| change(&mover(number), &lines.replace('#', &number.to_string())) + "\n")
        .collect()
}

/// The `search_bases` of a section: the unit `Movers` and the groups.
fn bases_of_movers() -> String {
    format!(
        "search_bases = {:?}\n",
        ["Movers", "Groups"].map(|it| format!("OU={it},{}", Controller::BASE))
    )
}

#[test]
fn a_base_whose_objects_all_moved_is_accepted_as_empty() {
    let story = "a_base_whose_objects_all_moved_is_accepted_as_empty";
    let Some(controller) = Controller::small(story) else { return };
    controller.modify(&unit_of_movers());
    let reader = Reader::start(&controller, &format!("{SEALED}{}", bases_of_movers()));
    reader.until_read();
    assert!(reader.user_at("m3").is_some());
    let service = format!("OU=Service,{}", Controller::BASE);
    controller.modify(&to_movers(&format!(
        "modrdn\nnewrdn: CN=m#\ndeleteoldrdn: 1\nnewsuperior: {service}"
    )));
    until("they are outside the bases", || reader.user_at("m3").is_none().then_some(()));
    // Each change causes another deletion scan.
    for what in ["add", "delete"] {
        controller.modify(&with_member("everyone-here", what, &staff("Alice")));
        let before = reader.status().last_poll;
        until("the changes are read", || (reader.status().last_poll != before).then_some(()));
    }
    assert_eq!((reader.status().state, reader.status().error), (DirectoryState::Current, None));
}

#[test]
fn an_emptied_base_is_accepted_only_if_the_account_sees_deletions() {
    let story = "an_emptied_base_is_accepted_only_if_the_account_sees_deletions";
    let Some(controller) = Controller::small(story) else { return };
    controller.modify(&unit_of_movers());
    let of = |account: &str| Reader::start(&controller, &format!("{account}{}", bases_of_movers()));
    let (privileged, ordinary) = (of(SEES_DELETIONS), of(SEALED));
    privileged.until_read();
    ordinary.until_read();
    controller.modify(&to_movers("delete"));
    until("they are deleted", || privileged.user_at("m3").is_none().then_some(()));
    // An account that cannot read deleted objects cannot distinguish this from lost rights.
    let why = until("the error is reported", || ordinary.status().error);
    assert!(why.contains("OU=Movers") && why.contains("remove it from search_bases"), "{why}");
    assert!(ordinary.user_at("m3").is_some());
    controller.stop();
    controller.set_invocation();
    controller.start_again();
    until("the full resync is complete", || {
        (privileged.full_reads() == 2 && privileged.status().state == DirectoryState::Current)
            .then_some(())
    });
    assert!(ordinary.user_at("m3").is_some());
}

#[test]
fn a_search_aborted_by_the_controller_is_reported_and_retried() {
    let story = "a_search_aborted_by_the_controller_is_reported_and_retried";
    let Some(controller) = Controller::start(story) else { return };
    // Of the limits in this policy, Samba 4.17 applies this one. It searches all objects before it
    // returns the first page, so that one second is not enough for 12,500 objects.
    let policy = "CN=Default Query Policy,CN=Query-Policies,CN=Directory Service,CN=Windows NT,\
                  CN=Services,CN=Configuration";
    let limited = |change: &str, seconds: u32| {
        let lines =
            format!("modify\n{change}: lDAPAdminLimits\nlDAPAdminLimits: MaxQueryDuration=");
        let dn = format!("{policy},{}", Controller::BASE);
        super::sync::change(&dn, &format!("{lines}{seconds}"))
    };
    controller.modify(&(limited("delete", 120) + "\n" + &limited("add", 1)));
    let reader = Reader::start(&controller, SEALED);
    let why = until("the error is reported", || reader.status().error);
    assert!(why.contains("the search") && why.contains(Controller::BASE), "{why}");
    assert_eq!((reader.status().state, reader.full_reads()), (DirectoryState::Failing, 0));
    controller.modify(&(limited("delete", 1) + "\n" + &limited("add", 120)));
    until("the domain is read without the limit", || (reader.full_reads() > 0).then_some(()));
    assert!(reader.user_at("user00100").is_some());
}

#[test]
fn referrals_of_a_controller_are_not_followed() {
    let story = "referrals_of_a_controller_are_not_followed";
    let Some(controller) = Controller::small(story) else { return };
    // Each search of the whole domain returns three referrals, also to the reader.
    let filter = "(|(objectClass=user)(objectClass=group))";
    let found = controller.search(&["-LLL", "-b", Controller::BASE, filter, "cn"]);
    assert_eq!(found.matches("# refldap://").count(), 3, "{found}");
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    assert_eq!(reader.status().problems, Default::default());
    assert!(reader.user_at("bob").is_some());
    controller.modify(&with_member("everyone-here", "add", &staff("Bob")));
    until("changes are also read", || {
        reader.groups("bob").contains(&"everyone-here".to_owned()).then_some(())
    });
    assert_eq!((reader.full_reads(), reader.status().error), (1, None));
}
