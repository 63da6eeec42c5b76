//! End-to-end tests of grants: what a source can change that is not granted to it.

use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::harness::{Server, Setup, querying_point, rollcall};

/// A sender on loopback that is identified by its address alone and has no `allow`.
const UNGRANTED: &str = "[[syslog.clients]]\nname = \"forged\"\naddresses = [\"127.0.0.9\"]\n\
                         zone = \"UTC\"\ntemplates = [\"fortinet-ssl-vpn\"]";

/// A statistics line of a FortiGate, which confirms a session.
fn tunnel_stats(address: &str, user: &str, group: &str) -> String {
    format!(
        "<189>logid=\"0101039949\" type=\"event\" subtype=\"vpn\" logdesc=\"SSL VPN statistics\" \
         action=\"tunnel-stats\" tunneltype=\"ssl-tunnel\" tunnelid=1 remip=192.0.2.101 \
         tunnelip={address} user=\"{user}\" group=\"{group}\" dst_host=\"N/A\" nextstat=600"
    )
}

fn session(server: &Server, address: &str) -> Value {
    server.get(&format!("/api/v1/sessions/{address}")).json()
}

#[test]
fn a_forged_statistics_line_gives_no_role_and_no_domain() {
    let server = Server::start(Setup::new().with(UNGRANTED));
    let mut firewall = server.client("campus-fw");
    let login = json!({"kind": "login", "address": "10.9.0.1", "user": "administrator",
        "device": "pc1", "posture": "quarantine"});
    assert_eq!(server.client("script").post_events(&login).status, 200);
    let before = session(&server, "10.9.0.1");
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    let line = tunnel_stats("10.9.0.1", "administrator@hq", "Domain Admins");
    socket.send_to(line.as_bytes(), server.udp()).unwrap();
    assert_eq!(server.account("syslog", 1).applied, 1, "it extends the session");
    let after = session(&server, "10.9.0.1");
    for key in ["user", "domain", "roles", "device", "posture", "proved", "revision"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["posture_source"], "ptim/script");
    firewall.poll();
    assert_eq!(firewall.table()["10.9.0.1"].roles, ["posture-quarantine"]);
    let ungranted = server.metrics();
    let metric = "rollcall_ungranted_details_total";
    assert_eq!(ungranted.sum(metric, &[("client", "forged"), ("detail", "roles")]), 1);
    server.stop();
}

#[test]
fn a_client_sets_only_the_roles_that_it_is_granted() {
    let client = |name: &str, more: &str| {
        querying_point(name, more).replace("[[enforcement.points]]", "[[ptim.clients]]")
    };
    let server = Server::start(
        Setup::new()
            .with(&client("none", ""))
            .with(&client("vpn", "allow_roles = [\"vpn-*\"]"))
            .with(&client("nameless", "allow_roles = [\"*\"]\nallow_device = false")),
    );
    for (host, (name, roles, device)) in [
        ("none", json!(null), json!("pc1")),
        ("vpn", json!(["vpn-users"]), json!("pc1")),
        ("nameless", json!(["vpn-users", "Domain Admins"]), json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let address = format!("10.9.1.{host}");
        let login = json!({"kind": "login", "address": address, "user": "alice", "device": "pc1",
            "groups": ["vpn-users", "Domain Admins"], "posture": "healthy"});
        assert_eq!(server.client(name).post_events(&login).status, 200, "{name}");
        let session = session(&server, &address);
        assert_eq!((&session["roles"], &session["device"]), (&roles, &device), "{name}");
        assert_eq!(session["posture"], json!(null), "{name}: postures need allow_posture");
    }
    server.stop();
}

#[test]
fn an_added_firewall_pushes_only_after_a_grant_for_the_networks_of_the_grant() {
    let server = Server::start(Setup::new());
    let folder = server.setup().folder().to_owned();
    let config = folder.join("rollcall.toml").display().to_string();
    let token = server.data().join("admin.token").display().to_string();
    let run = |arguments: &[&str]| {
        let server = ["--config", &config, "--url", server.rest(), "--token-file", &token];
        let tried = rollcall(&folder, &[arguments, &server].concat());
        assert!(tried.status.success(), "{tried:?}");
        String::from_utf8(tried.stdout).unwrap()
    };
    let added = run(&["client", "add", "new-fw", "--address", "127.0.0.1", "--json"]);
    let added: Value = serde_json::from_str(&added).unwrap();
    assert_eq!(added["granted"], json!([]));
    let secret = added["client_secret"].as_str().unwrap();
    let authority = server.setup().authority().certificate();
    let mut firewall =
        crate::harness::Srx::new("new-fw", secret, &authority, &[&server.enforcement()]);
    let mut push = |address: &str, operation: &str| {
        let body = json!({"ip": address, "user": "alice", "event": operation}).to_string();
        firewall.push("/user_query/v2/ptim", "application/json", &body)
    };
    let refused = push("10.8.0.1", "IKE_VPN_UP_ALARM_USER");
    assert_eq!(refused.status, 403, "{refused:?}");
    let remedy = "rollcall client grant new-fw";
    assert!(refused.text.contains(remedy), "{refused:?}");
    let points = server.get("/api/v1/enforcement-points").json();
    let is_new = |point: &&Value| point["name"] == "new-fw";
    let new = points.as_array().unwrap().iter().find(is_new).unwrap();
    assert!(new["last_error"].as_str().unwrap().contains(remedy), "{points}");
    server.wait_for_log("push without a grant");

    let granted = run(&["client", "grant", "new-fw", "--vpn-pool", "10.8.0.0/16"]);
    assert!(granted.contains("vpn_up, vpn_down, rekey for 10.8.0.0/16"), "{granted}");
    assert_eq!(push("10.8.0.1", "IKE_VPN_UP_ALARM_USER").json()["applied"], 1);
    let elsewhere = push("10.1.0.1", "IKE_VPN_UP_ALARM_USER").json();
    assert_eq!(elsewhere["reasons"], json!({"network_not_granted": 1}), "{elsewhere}");
    server.stop();
}

#[test]
fn forged_leases_are_limited_by_the_quota_and_do_not_affect_other_sources() {
    let dhcp = "[[syslog.clients]]\nname = \"dhcp\"\naddresses = [\"127.0.0.9\"]\nzone = \"UTC\"\n\
                templates = [\"isc-dhcpd\"]\nallow = [\"device_seen\"]\nmax_sessions = 100";
    let server = Server::start(Setup::new().with(dhcp));
    let socket = UdpSocket::bind("127.0.0.9:0").unwrap();
    let lease = |host: u8, device: &str| {
        let line = format!(
            "<30>dhcpd[1]: DHCPACK on 10.9.3.{host} to 00:11:22:33:44:55 ({device}) via eth0"
        );
        socket.send_to(line.as_bytes(), server.udp()).unwrap();
    };
    for host in 1..=150 {
        lease(host, &format!("pc{host}"));
    }
    let account = server.account("syslog", 150);
    assert_eq!((account.applied, account.refused), (100, 50));
    let explained = server.get("/api/v1/sessions/10.9.3.150/explain").json();
    assert_eq!(explained["competed"][0]["reason"], "source_quota", "{explained}");
    let login = json!({"kind": "login", "address": "10.9.3.150", "user": "alice"});
    let answer = server.client("script").post_events(&login).json();
    assert_eq!(answer["applied"], 1, "another source has its own quota: {answer}");
    lease(1, "pc1");
    assert_eq!(server.account("syslog", 151).refused, 50, "a known session is extended");
    server.wait_for_log("client is near its quota of sessions");
    crate::harness::until("the quota is a metric", || {
        let labels = [("producer", "syslog"), ("client", "dhcp")];
        let metrics = server.metrics();
        let sessions = metrics.sum("rollcall_client_sessions", &labels);
        (sessions == 100 && metrics.sum("rollcall_client_session_quota", &labels) == 100)
            .then_some(())
    });
    server.stop();
}
