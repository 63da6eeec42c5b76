//! End-to-end tests with a real domain controller: Rollcall reads it by every bind method, follows
//! its changes, and reports why something cannot be read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Authority, Controller, PASSWORD, peer, skip};

mod change_latency;
mod credentials;
mod firewall;
mod hostile;
mod names;
mod offline_changes;
mod servers;
mod sync;

/// A folder with a configuration that reads the controller, and its password.
fn configured(controller: &Controller, more: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    secret(folder.path(), PASSWORD);
    fs::copy(controller.authority(), folder.path().join("ca.pem")).unwrap();
    fs::write(folder.path().join("rollcall.toml"), controller.section(more)).unwrap();
    folder
}

fn secret(folder: &Path, password: &str) {
    let file = folder.join("password");
    fs::write(&file, password).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Runs `rollcall test directory`: whether it succeeded, and its output.
fn test_directory(folder: &Path) -> (bool, String) {
    test_directory_by(Command::new(env!("CARGO_BIN_EXE_rollcall")), folder)
}

/// The same with the `command` that runs it.
fn test_directory_by(mut command: Command, folder: &Path) -> (bool, String) {
    let config = folder.join("rollcall.toml");
    command.arg("--config").arg(config).args(["test", "directory"]);
    let ended = command.output().unwrap();
    let output = [ended.stdout, ended.stderr].concat();
    (ended.status.success(), String::from_utf8(output).unwrap())
}

const READER: &str = "account = \"rollcall@corp.example.com\"\n";

/// The bind methods for an ordinary account.
const BIND_METHODS: [(&str, &str); 9] = [
    ("simple over clear text", "transport = \"ldap\"\nallow_clear_text = true\n"),
    ("simple over StartTLS", "transport = \"starttls\"\nca = \"ca.pem\"\n"),
    ("simple over LDAPS", "ca = \"ca.pem\"\n"),
    ("NTLM, sealed", "transport = \"ldap\"\nbind = \"ntlm\"\n"),
    ("Kerberos, sealed", "transport = \"ldap\"\nbind = \"kerberos\"\n"),
    ("SPNEGO, sealed", "transport = \"ldap\"\nbind = \"spnego\"\n"),
    ("NTLM over LDAPS", "bind = \"ntlm\"\nca = \"ca.pem\"\n"),
    (
        "Kerberos over LDAPS, without channel binding",
        "bind = \"kerberos\"\nca = \"ca.pem\"\nchannel_binding = false\n",
    ),
    (
        "Kerberos over StartTLS, without channel binding",
        "transport = \"starttls\"\nbind = \"kerberos\"\nca = \"ca.pem\"\nchannel_binding = false\n",
    ),
];

#[test]
fn every_bind_method_reads_the_directory_and_failures_state_the_cause() {
    let story = "every_bind_method_reads_the_directory_and_failures_state_the_cause";
    let Some(controller) = Controller::start(story) else { return };
    for (method, more) in BIND_METHODS {
        let folder = configured(&controller, &format!("{READER}{more}"));
        let (worked, output) = test_directory(folder.path());
        assert!(worked && output.contains("\n  ok"), "{method}:\n{output}");
        assert!(output.contains("corp.example.com (CORP, S-1-5-21-"), "{method}:\n{output}");
        assert!(output.contains("and more follow"), "{method}:\n{output}");
        assert!(!output.contains(PASSWORD), "{method}");
    }
    let pinned = format!("{READER}pins = [\"{}\"]\n", controller.fingerprint());
    assert!(test_directory(configured(&controller, &pinned).path()).0, "the certificate is pinned");
    let by_dns = configured(&controller, &format!("{READER}ca = \"ca.pem\"\n"));
    let file = by_dns.path().join("rollcall.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("servers = [\"dc1.corp.example.com\"]\n", "")).unwrap();
    let (worked, output) = test_directory(by_dns.path());
    assert!(worked && output.contains("connected to dc1.corp.example.com"), "{output}");
    clock_difference_is_reported(story, &controller);
    failures_state_the_cause(&controller);
}

/// A difference between the clocks is reported. Kerberos then uses the time of the controller.
fn clock_difference_is_reported(story: &str, controller: &Controller) {
    let Some(faketime) = peer("faketime") else {
        return skip(story, "faketime is not installed");
    };
    let (simple, kerberos) = (BIND_METHODS[0].1, BIND_METHODS[4].1);
    for (shift, method, side) in
        [("+10m", simple, "behind"), ("-10m", simple, "ahead of"), ("+10m", kerberos, "behind")]
    {
        let words = format!("{side} the clock of this machine: correct one of them");
        let folder = configured(controller, &format!("{READER}{method}"));
        let mut command = Command::new(&faketime);
        command.args(["-f", shift, env!("CARGO_BIN_EXE_rollcall")]);
        let (worked, output) = test_directory_by(command, folder.path());
        assert!(worked && output.contains(&words), "{shift}, {method}:\n{output}");
    }
}

/// Each failure has an error text of its own.
fn failures_state_the_cause(controller: &Controller) {
    let check = |more: &str, password: &str, expected: &[&str]| {
        let folder = configured(controller, more);
        secret(folder.path(), password);
        let _other = Authority::new(folder.path());
        let (worked, output) = test_directory(folder.path());
        assert!(!worked, "{more}:\n{output}");
        for words in expected {
            assert!(output.contains(words), "{words:?} is missing:\n{output}");
        }
        assert!(!output.contains(password), "{output}");
    };
    let of =
        |account: &str, more: &str| format!("account = \"{account}@corp.example.com\"\n{more}");
    let tls = "ca = \"ca.pem\"\n";
    check(
        &of("rollcall", tls),
        "not the password",
        &["the user name or the password is wrong", "52e"],
    );
    check(&of("nobody", tls), PASSWORD, &["the user name or the password is wrong"]);
    check(&of("blocked", tls), PASSWORD, &["the account is disabled", "533"]);
    check(&of("ended", tls), PASSWORD, &["the account has expired", "701"]);
    // A password that expired by age cannot be created here: Samba accepts no maximum age below a
    // day, and sets the password time by LDAP only to now or never. A unit test covers its code.
    check(&of("stale", tls), PASSWORD, &["must change its password", "773"]);
    for bind in ["ntlm", "kerberos"] {
        let method = format!("transport = \"ldap\"\nbind = \"{bind}\"\n");
        check(&of("rollcall", &method), "not the password", &["rollcall@corp.example.com", "dc1"]);
    }
    // Samba 4.17 does not support channel binding with Kerberos.
    let bound = of("rollcall", "bind = \"kerberos\"\nca = \"ca.pem\"\n");
    check(&bound, PASSWORD, &["channel_binding = false"]);
    // `ca.crt` is the authority of the tests, not of the controller.
    let wrong = of("rollcall", "ca = \"ca.crt\"\n");
    check(
        &wrong,
        PASSWORD,
        &[
            "TLS with dc1",
            "CN=dc1.corp.example.com",
            "CN=Example Root",
            "is not signed by the authority in ca",
        ],
    );
    let pins = format!("pins = [\"{}\"]\n", "ab".repeat(32));
    check(&of("rollcall", &pins), PASSWORD, &["does not match any pin"]);
    let bases = format!("{tls}search_bases = [\"OU=Nowhere,{}\"]\n", Controller::BASE);
    check(&of("rollcall", &bases), PASSWORD, &["the object does not exist", "OU=Nowhere"]);
    let folder = configured(controller, &of("rollcall", tls));
    let file = folder.path().join("rollcall.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[\"dc1.corp", "[\"dc9.corp")).unwrap();
    let (worked, output) = test_directory(folder.path());
    assert!(!worked && output.contains("cannot resolve the address of dc9.corp"), "{output}");
    fs::write(&file, text.replace("[\"dc1.corp.example.com\"]", "[\"127.0.10.99\"]")).unwrap();
    let (worked, output) = test_directory(folder.path());
    assert!(!worked && output.contains("cannot connect to 127.0.10.99 port 636"), "{output}");
    let several = "[\"127.0.10.99\", \"dc9.corp.example.com\", \"127.0.10.10\"]";
    fs::write(&file, text.replace("[\"dc1.corp.example.com\"]", several)).unwrap();
    let (worked, output) = test_directory(folder.path());
    assert!(worked, "one of three is enough: {output}");
    let untrusted = text.replace("[\"dc1.corp.example.com\"]", several).replace("ca.pem", "ca.crt");
    fs::write(&file, untrusted).unwrap();
    let _other = Authority::new(folder.path());
    let (worked, output) = test_directory(folder.path());
    assert!(!worked && output.contains("none of 3 servers can be used"), "{output}");
    for words in ["127.0.10.99 port 636", "the address of dc9.corp", "not signed by the authority"]
    {
        assert!(output.contains(words), "{words:?} is missing:\n{output}");
    }
}
