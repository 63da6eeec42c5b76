//! End-to-end tests of operations: invalid configurations, reloads, stops and restarts.

use std::fs;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{
    RequestError, SECRET, Server, Setup, Srx, Stream, Vpn, frame_3164, hash, peer, rollcall, run,
    skip, until, within,
};

const PORTAL: &str = "\n[[syslog.clients]]\nname = \"portal\"\naddresses = [\"127.0.0.9\"]\n\
                      zone = \"UTC\"\nallow = [\"vpn_up\"]\n";

fn login(address: &str, user: &str) -> Value {
    json!({"kind": "login", "address": address, "user": user})
}

/// Sends a VPN line from the address of the portal.
fn send_from_portal(server: &Server, user: &str, address: &str) {
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    let line = frame_3164(&Vpn { user, address }.up(), SignedDuration::ZERO);
    socket.send_to(line.as_bytes(), server.udp()).unwrap();
}

/// Adds a client to the file, reloads by `reload`, and verifies that nothing is lost.
fn a_reload_adds_a_client(reload: impl FnOnce(&Server)) {
    let server = Server::new();
    let mut script = server.client("script");
    assert_eq!(script.post_events(&login("10.40.0.1", "alice")).status, 200);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let stream = Stream::open(&server, "", None);
    send_from_portal(&server, "bob", "10.40.0.2");
    server.account("syslog", 1);
    assert_eq!(server.user_at("10.40.0.2"), None, "the portal is not configured yet");

    server.rewrite(|text| format!("{text}{PORTAL}"));
    reload(&server);
    until("the portal is accepted", || {
        send_from_portal(&server, "bob", "10.40.0.2");
        server.user_at("10.40.0.2")
    });
    assert_eq!(server.user_at("10.40.0.1").as_deref(), Some("alice"), "no session was lost");
    assert_eq!(stream.next().data["address"], "10.40.0.2", "the live stream continues");
    // The token and the cookie of the firewall stay valid: it receives only the new entry.
    assert_eq!(firewall.page(0).unwrap(), 1);
    server.stop();
}

#[test]
fn plain_http_to_firewalls_is_logged_and_measured() {
    let tls = "[enforcement.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n";
    let gauge = "rollcall_http_insecure_listeners";
    let server = Server::start(Setup::new().replacing(tls, "insecure = true\n"));
    assert_eq!(server.metrics().sum(gauge, &[]), 1);
    let warned = "plain HTTP: secrets and user names are readable in transit";
    server.wait_for_log(warned);
    server.rewrite(|text| text.replace("insecure = true\n", tls));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    assert_eq!(server.metrics().sum(gauge, &[]), 0);
    server.stop();
}

#[test]
fn a_reload_by_sighup_adds_a_client_and_keeps_sessions() {
    a_reload_adds_a_client(|server| server.signal(Signal::SIGHUP));
}

#[test]
fn a_reload_by_rest_adds_a_client_and_keeps_sessions() {
    a_reload_adds_a_client(|server| {
        let answer = server.post("/api/v1/reload");
        assert_eq!(answer.status, 200, "{answer:?}");
    });
}

#[test]
fn a_reload_of_an_invalid_file_changes_nothing_and_reports_all_errors() {
    let server = Server::new();
    assert_eq!(server.client("script").post_events(&login("10.41.0.1", "alice")).status, 200);
    server.rewrite(|text| {
        let text = text.replace("shutdown_timeout = \"5s\"", "shutdown_timeout = \"5 parsecs\"");
        format!("{text}{PORTAL}max_age = \"soon\"\nadresses = [\"127.0.0.9\"]\n")
    });
    let answer = server.post("/api/v1/reload");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    for key in ["shutdown_timeout", "max_age", "adresses"] {
        assert!(answer.text.contains(key), "{key} is named: {answer:?}");
    }
    server.signal(Signal::SIGHUP);
    server.wait_for_log("parsecs");
    assert_eq!(server.user_at("10.41.0.1").as_deref(), Some("alice"));
    send_from_portal(&server, "bob", "10.41.0.2");
    let tunnel = Vpn { user: "carol", address: "10.41.0.3" };
    server.datagram(frame_3164(&tunnel.up(), SignedDuration::ZERO));
    server.wait_for_user("carol", "10.41.0.3");
    assert_eq!(server.user_at("10.41.0.2"), None, "nothing of the invalid file is effective");
    server.stop();
}

#[test]
fn an_invalid_configuration_prevents_the_start_and_all_errors_are_reported() {
    let setup = Setup::new().with("[nonsense]\nkey = 1\n").with(&PORTAL.replace("vpn_up", "fly"));
    let path = setup.write().display().to_string();
    for arguments in [&["check", "--config", &path][..], &["--config", &path][..]] {
        let output = rollcall(setup.folder(), arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("nonsense") && text.contains("allow"), "all errors at once: {text}");
        assert!(text.contains("rollcall.toml"), "with the file: {text}");
    }
    assert!(!setup.folder().join("data/admin.token").exists(), "the start was not begun");
}

#[test]
fn check_prints_the_resolved_configuration_without_secrets() {
    let setup = Setup::new();
    let path = setup.write().display().to_string();
    let output = rollcall(setup.folder(), &["check", "--config", &path]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("campus-fw") && text.contains("gateway"), "{text}");
    assert!(!text.contains("$argon2id$"), "hashes are not shown: {text}");
}

#[test]
fn every_example_configuration_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let scratch = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let output = rollcall(scratch.path(), &["check", "--config", path.to_str().unwrap()]);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!text.contains("panicked"), "{text}");
        // Their secrets and certificates do not exist here; no other error is allowed.
        let errors = text.lines().filter(|line| line.contains(".toml:") && line.contains(": "));
        for line in errors.filter(|_| output.status.code() != Some(0)) {
            let of_files = ["secret", "certificate", "key", "client_ca", ".ca ", "_file"];
            assert!(of_files.iter().any(|word| line.contains(word)), "{}: {line}", path.display());
        }
        tried += 1;
    }
    assert!(tried >= 4, "{tried}");
}

#[test]
fn sigterm_drains_and_acknowledged_events_are_visible() {
    let server = Server::new();
    let mut script = server.client("script");
    let stream = Stream::open(&server, "", None);
    let mut half = TcpStream::connect(server.tcp()).unwrap();
    let line = frame_3164(&Vpn { user: "bob", address: "10.42.0.2" }.up(), SignedDuration::ZERO);
    std::io::Write::write_all(&mut half, format!("{line}\n").as_bytes()).unwrap();
    server.wait_for_user("bob", "10.42.0.2");
    assert_eq!(script.post_events(&login("10.42.0.1", "alice")).status, 200);
    assert_eq!(server.user_at("10.42.0.1").as_deref(), Some("alice"));
    let addresses = [stream.next(), stream.next()].map(|event| event.data["address"].clone());
    assert_eq!(addresses, [json!("10.42.0.2"), json!("10.42.0.1")]);
    // The server ends in time with an open syslog stream and an open live stream.
    server.stop();
    assert!(stream.ends(), "the live stream ends cleanly");
}

#[test]
fn a_killed_server_starts_again() {
    let server = Server::new();
    let token = server.token().to_owned();
    let server = server.kill_and_restart();
    assert_eq!(server.token(), token);
    assert_eq!(server.client("script").post_events(&login("10.43.0.1", "alice")).status, 200);
    assert_eq!(server.user_at("10.43.0.1").as_deref(), Some("alice"));
    server.stop();
}

#[test]
fn a_changed_secret_is_effective_at_once_and_revokes_existing_tokens() {
    let server = Server::new();
    let (mut campus, mut branch) = (server.client("campus-fw"), server.client("branch-fw"));
    campus.poll();
    branch.poll();
    let (old, new) = (hash(SECRET), hash("another secret, of the same firewall"));
    // The first of the two points.
    server.rewrite(|text| text.replacen(&old, &new, 1));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    match campus.page(0) {
        Err(RequestError::Refused(answer)) => assert_eq!(answer.status, 401),
        other => panic!("its token or its old secret is still valid: {other:?}"),
    }
    branch.poll();
    let authority = server.setup().authority().certificate();
    let url = server.enforcement();
    let mut renewed =
        Srx::new("campus-fw", "another secret, of the same firewall", &authority, &[&url]);
    assert_eq!(renewed.poll(), 0);
    server.stop();
}

#[test]
fn a_reload_applies_rules_without_a_restart() {
    let server = Server::new();
    let mut script = server.client("script");
    assert_eq!(script.post_events(&login("10.44.0.1", "svc-backup")).status, 200);
    assert_eq!(server.user_at("10.44.0.1").as_deref(), Some("svc-backup"));
    server.rewrite(|text| format!("{text}\n[rules.ignore]\nusers = [\"svc-*\"]\n"));
    assert_eq!(server.post("/api/v1/reload").status, 200);
    assert_eq!(script.post_events(&login("10.44.0.2", "svc-backup")).status, 200);
    assert_eq!(server.user_at("10.44.0.2"), None, "ignored from now on");
    assert_eq!(
        server.user_at("10.44.0.1").as_deref(),
        Some("svc-backup"),
        "existing sessions stay"
    );
    server.stop();
}

#[test]
fn a_reload_moves_a_listener_and_rejects_an_address_in_use() {
    let server = Server::new();
    let occupied = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (old, port) = ("udp = [\"127.0.0.1:0\"]", occupied.local_addr().unwrap().port());
    let new = format!("udp = [\"127.0.0.1:{port}\"]");
    server.rewrite(|text| text.replace(old, &new));
    let refused = server.post("/api/v1/reload");
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert!(refused.text.contains(&port.to_string()), "the address is named: {refused:?}");
    let tunnel = Vpn { user: "alice", address: "10.45.0.1" };
    server.datagram(frame_3164(&tunnel.up(), SignedDuration::ZERO));
    server.wait_for_user("alice", "10.45.0.1");

    drop(occupied);
    let moved = server.post("/api/v1/reload");
    assert_eq!(moved.status, 200, "{moved:?}");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    until("the new address is served", || {
        let tunnel = Vpn { user: "bob", address: "10.45.0.2" };
        let line = frame_3164(&tunnel.up(), SignedDuration::ZERO);
        socket.send_to(line.as_bytes(), ("127.0.0.1", port)).unwrap();
        server.user_at("10.45.0.2")
    });
    assert_eq!(server.user_at("10.45.0.1").as_deref(), Some("alice"));
    server.stop();
}

#[test]
fn the_commands_printed_at_the_first_start_work() {
    let story = "the_commands_printed_at_the_first_start_work";
    let Some(unshare) = peer("unshare") else { return skip(story, "unshare is not installed") };
    // In a separate network namespace the default ports are free.
    let namespace = ["--user", "--map-root-user", "--net"];
    if peer("ip").is_none()
        || !run(&unshare, &[&namespace[..], &["true"]].concat()).status.success()
    {
        return skip(story, "network namespaces are not permitted, or ip is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/first-start.sh");
    let (script, folder) = (script.display().to_string(), folder.path().display().to_string());
    let arguments = ["/bin/sh", &script, env!("CARGO_BIN_EXE_rollcall"), &folder];
    let output = run(&unshare, &[&namespace[..], &arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("alice"), "{output:?}");
}

#[test]
fn a_second_start_keeps_the_token_and_the_certificate() {
    let files = "certificate = \"server.crt\"\nkey = \"server.key\"";
    let server = Server::start(Setup::new().replacing(files, "names = [\"rollcall.example\"]"));
    let authority = server.data().join("tls/authority.pem");
    let firewall = |server: &Server| {
        Srx::new("campus-fw", SECRET, &authority, &[&server.enforcement()]).poll()
    };
    firewall(&server);
    let (token, before) = (server.token().to_owned(), fs::read(&authority).unwrap());
    let server = server.restart();
    assert_eq!(server.token(), token);
    assert_eq!(
        fs::read(&authority).unwrap(),
        before,
        "the ca-profile of the firewalls stays valid"
    );
    firewall(&server);
    server.stop();
}

#[test]
fn secrets_in_the_data_folder_are_readable_only_by_the_owner() {
    let files = "certificate = \"server.crt\"\nkey = \"server.key\"";
    let server = Server::start(Setup::new().replacing(files, "names = [\"rollcall.example\"]"));
    let (mut folders, mut secrets) = (vec![server.data()], 0);
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", folder.display());
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            if path.ends_with("admin.token") || text.contains("PRIVATE KEY") {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o177, 0, "{}: {mode:o}", path.display());
                secrets += 1;
            }
        }
    }
    assert!(secrets >= 2, "the token, and at least one key: {secrets}");
    server.stop();
}

#[test]
fn the_systemd_unit_file_is_hardened() {
    let story = "the_systemd_unit_file_is_hardened";
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rollcall.service");
    if !unit.exists() {
        return skip(story, "packaging/rollcall.service does not exist");
    }
    let Some(analyse) = peer("systemd-analyze") else {
        return skip(story, "systemd-analyze is not installed");
    };
    let output = run(
        &analyse,
        &["security", "--offline=true", "--threshold=16", "--no-pager", unit.to_str().unwrap()],
    );
    assert!(output.status.success(), "exposure above 1.6: {output:?}");
}

#[test]
fn the_unit_file_permits_what_the_server_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let unit = fs::read_to_string(root.join("packaging/rollcall.service")).unwrap();
    let families = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies="));
    let families: Vec<&str> = families.unwrap().split(' ').collect();
    // getifaddrs(3) reads the addresses of the machine by netlink.
    for family in ["AF_INET", "AF_INET6", "AF_NETLINK"] {
        assert!(families.contains(&family), "{family} is not in {families:?}");
    }
    // With this line, a service sees only process folders in /proc.
    assert!(unit.lines().any(|line| line == "ProcSubset=pid"));
    let mut folders = vec![root.join("actors"), root.join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                let hidden =
                    source.split("\"/proc/").skip(1).find(|rest| !rest.starts_with("self/"));
                assert_eq!(hidden, None, "{}: hidden by the unit", path.display());
            }
        }
    }
}

/// Destroys the UDP socket of the server, as an administrator can with `ss --kill`: its reader ends
/// with an error, and the socket stays bound.
fn destroy_socket(ss: &Path, port: u16) {
    run(ss, &["-K", "-n", "-u", "-a", "src", &format!("127.0.0.1:{port}")]);
}

#[test]
fn a_repeatedly_failing_producer_is_reported_and_other_actors_continue() {
    let story = "a_repeatedly_failing_producer_is_reported_and_other_actors_continue";
    let Some(ss) = peer("ss") else { return skip(story, "ss is not installed") };
    // A fixed port, because a port that the kernel chose is lost with the socket.
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fixed = format!("udp = [\"127.0.0.1:{port}\"]");
    let server = Server::start(Setup::new().replacing("udp = [\"127.0.0.1:0\"]", &fixed));
    let failures = || {
        let labels = [("actor", "syslog"), ("cause", "error")];
        server.metrics().sum("rollcall_actor_restarts_total", &labels)
    };
    destroy_socket(&ss, port);
    let first = within(Duration::from_secs(5), || (failures() > 0).then_some(()));
    if first.is_none() {
        return skip(story, "this kernel does not permit ss to destroy sockets");
    }
    until("it failed four times", || {
        destroy_socket(&ss, port);
        (failures() >= 4).then_some(())
    });
    let actors = server.get("/api/v1/actors").json();
    let actor =
        |name: &str| actors.as_array().unwrap().iter().find(|a| a["actor"] == name).unwrap();
    assert!(actor("syslog")["restarts"]["error"].as_u64() >= Some(4), "{actors}");
    let why = actor("syslog")["last_error"].as_str().unwrap_or_default();
    assert!(why.contains("abort"), "the last error is reported: {actors}");
    for other in ["cache", "query", "ptim"] {
        assert_eq!(actor(other)["restarts"], json!({}), "{other}: {actors}");
    }
    // The other actors: a push is accepted and reaches a firewall.
    let mut script = server.client("script");
    assert_eq!(script.post_events(&login("10.41.0.1", "alice")).status, 200);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    assert_eq!(firewall.user_at("10.41.0.1"), Some("alice"));
    server.wait_for_log("syslog");
    // Without further failures it receives again, on the same port.
    until("datagrams are read again", || {
        let line =
            frame_3164(&Vpn { user: "bob", address: "10.41.0.2" }.up(), SignedDuration::ZERO);
        server.datagram(&line);
        server.user_at("10.41.0.2")
    });
    server.stop();
}
