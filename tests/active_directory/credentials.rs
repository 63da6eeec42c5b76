//! Refused accounts: one attempt for all connections, and none until something changes.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Controller, PASSWORD, RejectingServers, Reserved, Server, Setup, until};

/// The time in which a retry would show. A producer that retried with backoff made 18 attempts in it.
const OBSERVATION: Duration = Duration::from_secs(5);

/// The state of the directory `name`, and its error.
fn status(server: &Server, name: &str) -> (String, String) {
    let all = server.get("/api/v1/directories").json();
    let directory = all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&directory["state"]), text(&directory["error"]))
}

fn until_refused(server: &Server, name: &str) -> String {
    until(&format!("{name} is refused"), || {
        let (state, error) = status(server, name);
        (state == "credentials_refused").then_some(error)
    })
}

/// The number of wrong passwords that a controller has counted, and whether the account is locked.
fn lockout(controller: &Controller) -> (u32, bool) {
    let account = "(sAMAccountName=rollcall)";
    let attributes = ["badPwdCount", "lockoutTime"];
    let found =
        controller.search(&["-LLL", "-b", Controller::BASE, account, attributes[0], attributes[1]]);
    let value = |name: &str| {
        let line = found.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.map_or(0, |digits| digits.parse::<u64>().unwrap())
    };
    (value("badPwdCount").try_into().unwrap(), value("lockoutTime") != 0)
}

#[test]
fn a_wrong_password_is_tried_once_and_never_locks_the_account() {
    let story = "a_wrong_password_is_tried_once_and_never_locks_the_account";
    let Some(controller) = Controller::small(story) else { return };
    controller.modify(&format!(
        "dn: {}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 5\n",
        Controller::BASE
    ));
    let account = "account = \"rollcall@corp.example.com\"\npoll_interval = \"1s\"\n";
    let clear = "transport = \"ldap\"\nallow_clear_text = true\n";
    // With the number of wrong passwords that Samba 4.17 has counted after each. It does not count
    // those of NTLM.
    let binds = [
        (1, clear),
        (1, "transport = \"ldap\"\nbind = \"ntlm\"\n"),
        (2, "transport = \"ldap\"\nbind = \"kerberos\"\n"),
        (3, "transport = \"ldap\"\nbind = \"spnego\"\n"),
    ];
    for (counted, bind) in binds {
        let section = controller.section(&format!("{account}{bind}"));
        let setup = Setup::new().with_secret("password", "not the password").with(&section);
        let server = Server::start(setup);
        let error = until_refused(&server, "corp");
        assert!(error.contains("rollcall@corp.example.com"), "{error}");
        thread::sleep(OBSERVATION);
        assert_eq!(lockout(&controller), (counted, false), "{bind}");
        assert_eq!(server.metrics().sum("rollcall_producer_credentials_refused", &[]), 1);
        if counted < 3 {
            assert!(!server.stop().contains("not the password"));
            continue;
        }
        // The account was never locked, so the correct password is accepted, without a reload.
        std::fs::write(server.setup().folder().join("password"), PASSWORD).unwrap();
        until("the directory is read", || (status(&server, "corp").0 == "current").then_some(()));
        assert_eq!(lockout(&controller), (0, false));
        assert_eq!(server.metrics().sum("rollcall_producer_credentials_refused", &[]), 0);
    }
    // The controller does lock an account after five wrong passwords.
    for _ in 0..5 {
        controller.bind_fails("rollcall", "not the password");
    }
    assert!(lockout(&controller).1);
}

#[test]
fn every_refusal_of_a_domain_is_followed_by_one_attempt_per_reload() {
    let errors = ["52e", "525", "530", "531", "532", "533", "701", "773", "775"];
    let (network, _reserved) = Reserved::network();
    let mut setup = Setup::new().with_secret("password", "canary");
    let mut all = Vec::new();
    for (number, error) in (0..).zip(errors) {
        let addresses = [1, 2, 3].map(|host| format!("127.0.{network}.{}", 10 * number + host));
        let listeners = addresses.each_ref().map(String::as_str);
        all.push((format!("d{error}"), RejectingServers::start(&listeners, error)));
        setup = setup.with(&format!(
            "[[active_directory]]\nname = \"d{error}\"\ndomain = \"d{error}.example.com\"\n\
             servers = {addresses:?}\naccount = \"reader\"\nsecret_file = \"password\"\n\
             transport = \"ldap\"\nallow_clear_text = true\n"
        ));
    }
    let server = Server::start(setup);
    for (name, servers) in &all {
        let error = until_refused(&server, name);
        assert!(error.contains(&format!("data {}", &name[1..])), "{error}");
        assert_eq!(servers.binds(), 1, "{name}");
    }
    thread::sleep(OBSERVATION);
    for (name, servers) in &all {
        assert_eq!(servers.binds(), 1, "{name}");
    }
    server.signal(Signal::SIGHUP);
    for (name, servers) in &all {
        until(&format!("{name} is tried again"), || (servers.binds() == 2).then_some(()));
    }
    thread::sleep(OBSERVATION);
    for (name, servers) in &all {
        assert_eq!(servers.binds(), 2, "{name}");
    }
    let log = server.stop();
    assert_eq!(log.matches("account refused; it is not tried again").count(), 2 * errors.len());
}
