//! End-to-end tests of SRX queries: batches and cookies, failover, filters, tokens, lockout.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::harness::{
    Answer, RequestError, SECRET, Server, Setup, Srx, TableEntry, Vpn, enforcement_point,
    frame_3164, now, peer, run, skip, until,
};

/// The addresses and users in the table of a firewall.
fn users(firewall: &Srx) -> BTreeMap<String, String> {
    let entry = |(address, entry): (&String, &TableEntry)| (address.clone(), entry.user.clone());
    firewall.table().iter().map(entry).collect()
}

/// The active sessions in REST, page by page.
fn listed(server: &Server) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("/api/v1/sessions?limit=1000{after}")).json();
        for session in page["sessions"].as_array().unwrap() {
            let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
            all.insert(text("address"), text("user"));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
    }
}

#[test]
fn a_vpn_session_reaches_both_firewalls_within_one_poll_survives_a_rekey_and_ends() {
    let server = Server::start(Setup::new().replacing("zone = \"UTC\"", "zone = \"local\""));
    let (mut campus, mut branch) = (server.client("campus-fw"), server.client("branch-fw"));
    campus.poll();
    branch.poll();
    assert!(campus.table().is_empty() && branch.table().is_empty());

    let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
    let connected = now();
    logger(&server, &tunnel.up());
    server.wait_for_user("alice", "10.1.11.18");
    campus.poll();
    branch.poll();
    assert_eq!(campus.user_at("10.1.11.18"), Some("alice"));
    assert_eq!(branch.user_at("10.1.11.18"), Some("alice"));

    // RFC 3164 lines have whole seconds: later events must have a later second.
    until("the second of the first line has passed", || {
        (now() > connected + SignedDuration::from_secs(1)).then_some(())
    });
    let before = server.get("/api/v1/sessions/10.1.11.18").json();
    let rekey = json!({"ip": "10.1.11.18", "user": "alice", "event": "rekey"});
    let pushed = campus.push("/user_query/v2/ptim", "application/json", &rekey.to_string());
    assert!((200..300).contains(&pushed.status), "{pushed:?}");
    let after = server.get("/api/v1/sessions/10.1.11.18").json();
    assert_eq!(after["since"], before["since"], "it is the same session");
    let confirmed = |session: &Value| session["confirmed"].as_str().unwrap().to_owned();
    assert!(confirmed(&after) > confirmed(&before), "{before} {after}");
    assert_eq!(listed(&server).len(), 1);

    let rekeyed = now();
    until("the second of the rekey has passed", || {
        (now() > rekeyed + SignedDuration::from_secs(1)).then_some(())
    });
    logger(&server, &tunnel.down());
    server.wait_for_no_user("10.1.11.18");
    campus.poll();
    branch.poll();
    assert!(campus.table().is_empty() && branch.table().is_empty());
    assert_eq!(server.account("syslog", 2).applied, 2);
    server.stop();
}

/// Sends a line with `logger` of util-linux, as in the README.
fn logger(server: &Server, text: &str) {
    let port = server.udp().port().to_string();
    let logger = peer("logger").expect("logger belongs to every Debian (util-linux, bsdutils)");
    let arguments = ["-n", "127.0.0.1", "-P", &port, "-d", "--rfc3164", "-t", "iked", text];
    let sent = run(&logger, &arguments);
    assert!(sent.status.success(), "{sent:?}");
}

#[test]
fn an_ip_query_returns_the_user_or_no_entry() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    assert_eq!(firewall.query_address(0, "10.1.11.18"), None);
    let tunnel = Vpn { user: "alice", address: "10.1.11.18" };
    server.datagram(frame_3164(&tunnel.up(), SignedDuration::ZERO));
    server.wait_for_user("alice", "10.1.11.18");
    let entry = firewall.query_address(0, "10.1.11.18").expect("alice is there");
    assert_eq!(entry.user, "alice");
    assert_eq!(firewall.query_address(0, "10.1.11.19"), None);
    server.stop();
}

#[test]
fn a_probe_request_returns_the_known_session_and_is_counted_as_unsupported() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let login = json!({"kind": "login", "address": "10.2.0.1", "user": "alice"});
    assert_eq!(server.client("script").post_events(&login).status, 200);
    let metric = "rollcall_enforcement_probes_unsupported_total";
    for (address, expected) in [("10.2.0.1", json!(["alice"])), ("10.2.0.2", json!([]))] {
        let query = format!("/user_query/v2?ip={address}&force-probe=true");
        let answer = firewall.ask(0, &query).expect("the query succeeds").json();
        let reports = answer["report_entries"].as_array().unwrap().iter();
        let users: Value = reports.map(|report| report["user-name"].clone()).collect();
        assert_eq!(users, expected, "{answer}");
    }
    assert_eq!(server.metrics().sum(metric, &[("point", "campus-fw")]), 2);
    server.stop();
}

#[test]
fn the_posture_of_a_device_reaches_the_firewall_as_a_role() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    let log_in = |state: &str| {
        let login = json!({"kind": "login", "address": "10.2.0.1", "user": "alice", "device": "pc1",
            "groups": ["staff"], "posture": state});
        assert_eq!(server.client("script").post_events(&login).status, 200);
    };
    log_in("healthy");
    firewall.poll();
    assert_eq!(firewall.table()["10.2.0.1"].roles, ["posture-healthy", "staff"]);
    log_in("infected");
    firewall.poll();
    assert_eq!(firewall.table()["10.2.0.1"].roles, ["posture-infected", "staff"]);
    let entry = firewall.query_address(0, "10.2.0.1").expect("alice is there");
    assert_eq!(entry.roles, ["posture-infected", "staff"]);
    server.stop();
}

#[test]
fn a_firewall_fails_over_to_the_secondary_and_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("listen = [\"127.0.0.1:{port}\"]");
    let primary = || Setup::new().replacing("listen = [\"127.0.0.1:0\"]", &listen);
    let first = Server::start(primary());
    let second = Server::new();
    let urls = [first.enforcement(), second.enforcement()];
    // The firewall trusts the authorities of both servers.
    let mut both = std::fs::read(first.setup().authority().certificate()).unwrap();
    both.extend(std::fs::read(second.setup().authority().certificate()).unwrap());

    let login = json!({"kind": "login", "address": "10.2.0.1", "user": "alice"});
    for server in [&first, &second] {
        assert_eq!(server.client("script").post_events(&login).status, 200);
    }
    let mut firewall = firewall_of(&urls, &both);
    assert_eq!(firewall.poll(), 0, "the primary answers first");
    assert_eq!(firewall.user_at("10.2.0.1"), Some("alice"));

    first.stop();
    let later = json!({"kind": "login", "address": "10.2.0.2", "user": "bob"});
    assert_eq!(second.client("script").post_events(&later).status, 200);
    assert_eq!(firewall.poll(), 1, "the secondary answers when the primary is stopped");
    assert_eq!(firewall.user_at("10.2.0.1"), Some("alice"), "nothing was lost");
    assert_eq!(firewall.user_at("10.2.0.2"), Some("bob"));

    let back = Server::start(primary());
    both.extend(std::fs::read(back.setup().authority().certificate()).unwrap());
    let mut firewall = firewall_of(&urls, &both);
    assert_eq!(firewall.poll(), 0, "the primary is queried again");
    assert!(firewall.table().is_empty(), "the new primary has no sessions");
    second.stop();
    back.stop();
}

/// A firewall with two servers and a bundle of authorities.
fn firewall_of(urls: &[String; 2], bundle: &[u8]) -> Srx {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.crt");
    std::fs::write(&file, bundle).unwrap();
    Srx::new("campus-fw", SECRET, &file, &[&urls[0], &urls[1]])
}

#[test]
fn a_paged_read_of_2500_sessions_misses_none_under_load() {
    let server = Server::new();
    let mut script = server.client("script");
    let address = |n: usize| format!("10.3.{}.{}", n / 250, n % 250 + 1);
    let login = |n: usize, user: &str| json!({"kind": "login", "address": address(n), "user": format!("{user}{n}")});
    for start in (0..2500).step_by(500) {
        let events: Vec<Value> = (start..start + 500).map(|n| login(n, "first")).collect();
        assert_eq!(script.post_events(&Value::from(events)).status, 200);
    }
    let mut firewall = server.client("campus-fw").items_per_batch(100);
    let pages = thread::scope(|scope| {
        let events = scope.spawn(|| {
            for n in (0..2500).step_by(7) {
                let event = match n % 3 {
                    0 => json!({"kind": "logout", "address": address(n), "user": format!("first{n}")}),
                    _ => login(n, "second"),
                };
                assert_eq!(script.post_events(&event).status, 200);
            }
        });
        let mut pages = 0;
        loop {
            let finished = events.is_finished();
            let full = firewall.page(0).unwrap() == 100;
            pages += 1;
            if finished && !full {
                break;
            }
        }
        events.join().unwrap();
        pages
    });
    assert!(pages > 25, "the sessions are read in pages: {pages}");
    firewall.poll();
    let expected = listed(&server);
    assert_eq!(expected.len(), 2500 - (0..2500).step_by(21).count());
    assert_eq!(users(&firewall), expected);
    // After the table is cleared, the next batches fill it again.
    firewall.clear();
    firewall.poll();
    assert_eq!(users(&firewall), expected);
    server.stop();
}

#[test]
fn a_firewall_receives_only_entries_that_its_filter_and_query_admit() {
    let filter = "[enforcement.points.filter]\ndomains = [\"corp.example\"]\n\
                  include = [\"10.4.0.0/16\"]\nexclude = [\"10.4.9.0/24\"]";
    let server = Server::start(Setup::new().with(&enforcement_point("clinic-fw", filter)));
    let mut events = Vec::new();
    for (address, user) in [
        ("10.4.0.1", "alice@corp.example"),
        ("10.4.0.2", "bob@other.example"),
        ("10.4.9.1", "carol@corp.example"),
        ("10.5.0.1", "dave@corp.example"),
        ("10.4.1.1", "erin@corp.example"),
    ] {
        events.push(json!({"kind": "login", "address": address, "user": user}));
    }
    assert_eq!(server.client("script").post_events(&Value::from(events)).status, 200);
    let mut clinic = server.client("clinic-fw");
    clinic.poll();
    let received: Vec<_> = clinic.table().keys().map(String::as_str).collect();
    assert_eq!(received, ["10.4.0.1", "10.4.1.1"]);
    assert_eq!(clinic.query_address(0, "10.5.0.1"), None, "an IP query is also filtered");

    let asked = clinic.ask(0, "?begintime=0&include-ip=10.4.1.0/24").unwrap().json();
    let reports = asked["report_entries"].as_array().unwrap();
    let addresses: Vec<_> = reports.iter().map(|r| r["ip-address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["10.4.1.1"], "the filter of the query restricts further");
    let wider = clinic.ask(0, "?begintime=0&include-ip=10.0.0.0/8").unwrap().json();
    assert_eq!(
        wider["report_entries"].as_array().unwrap().len(),
        2,
        "the filter of the query does not extend"
    );

    let mut campus = server.client("campus-fw");
    campus.poll();
    assert_eq!(campus.table().len(), 5, "another firewall receives all");
    server.stop();
}

#[test]
fn a_session_end_reaches_a_firewall_whose_filter_admitted_the_login() {
    let filter = "[enforcement.points.filter]\ndomains = [\"corp.example\"]";
    let server = Server::start(Setup::new().with(&enforcement_point("clinic-fw", filter)));
    let mut script = server.client("script");
    let mut clinic = server.client("clinic-fw");
    let login = json!({"kind": "login", "address": "10.4.0.1", "user": "alice@corp.example"});
    assert_eq!(script.post_events(&login).status, 200);
    clinic.poll();
    assert_eq!(clinic.user_at("10.4.0.1"), Some("alice"));
    // A user whom the filter hides replaces alice: for this firewall the session ends.
    let later = json!({"kind": "login", "address": "10.4.0.1", "user": "bob@other.example"});
    assert_eq!(script.post_events(&later).status, 200);
    server.wait_for_user("bob", "10.4.0.1");
    clinic.poll();
    assert_eq!(clinic.user_at("10.4.0.1"), None);
    server.stop();
}

#[test]
fn a_cookie_of_another_server_causes_a_full_resync() {
    let server = Server::new();
    let login = json!({"kind": "login", "address": "10.2.0.1", "user": "alice"});
    assert_eq!(server.client("script").post_events(&login).status, 200);
    let mut firewall = server.client("campus-fw");
    for cookie in ["1.7", "of%20the%20JIMS%20before", "18446744073709551615.18446744073709551615"] {
        let answer = firewall.ask(0, &format!("?cookie={cookie}")).unwrap().json();
        assert_eq!(answer["report_entries"][0]["user-name"], "alice", "{cookie}: {answer}");
    }
    server.stop();
}

#[test]
fn a_firewall_resumes_after_a_server_restart() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("listen = [\"127.0.0.1:{port}\"]");
    let server = Server::start(Setup::new().replacing("listen = [\"127.0.0.1:0\"]", &listen));
    let login = |n: u8| json!({"kind": "login", "address": format!("10.2.1.{n}"), "user": "alice"});
    assert_eq!(server.client("script").post_events(&login(1)).status, 200);
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    let server = server.restart();
    assert_eq!(server.client("script").post_events(&login(2)).status, 200);
    // The server does not know its token: the firewall obtains another, and its cookie stays valid.
    assert_eq!(firewall.poll(), 0);
    assert_eq!(firewall.user_at("10.2.1.2"), Some("alice"));
    server.stop();
}

#[test]
fn a_firewall_with_an_invalid_token_obtains_another_and_resumes() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    firewall.poll();
    firewall.corrupt_tokens();
    assert_eq!(firewall.poll(), 0);
    server.stop();
}

#[test]
fn a_server_with_an_untrusted_certificate_is_not_queried() {
    let (server, other) = (Server::new(), Server::new());
    let authority = other.setup().authority().certificate();
    let firewall = Srx::new("campus-fw", SECRET, &authority, &[&server.enforcement()]);
    match firewall.request_token(0) {
        Err(RequestError::Unreachable(why)) => assert!(why.contains("certificate"), "{why}"),
        other => panic!("the secret was sent to an untrusted server: {other:?}"),
    }
    server.stop();
    other.stop();
}

#[test]
fn wrong_secrets_lock_out_only_the_client_at_that_address() {
    let story = "wrong_secrets_lock_out_only_the_client_at_that_address";
    let Some(curl) = peer("curl") else { return skip(story, "curl is not installed") };
    let lockout =
        "[enforcement.lockout]\nthreshold = 2\ninitial_delay = \"60s\"\nmax_delay = \"60s\"";
    let server = Server::start(Setup::new().with(lockout));
    for _ in 0..3 {
        assert_eq!(obtain_token(&curl, &server, "127.0.0.2", "campus-fw", "wrong").0, 401);
    }
    let (status, headers) = obtain_token(&curl, &server, "127.0.0.2", "campus-fw", SECRET);
    assert_eq!(status, 429, "a chosen secret that was never verified waits, too: {headers}");
    assert!(headers.to_ascii_lowercase().contains("retry-after:"), "{headers}");
    // The real firewall at another address is not locked out.
    assert_eq!(obtain_token(&curl, &server, "127.0.0.3", "campus-fw", SECRET).0, 200);
    assert_eq!(obtain_token(&curl, &server, "127.0.0.2", "branch-fw", SECRET).0, 200);
    // From now on the secret is known to be right, and no lock-out applies to it.
    assert_eq!(obtain_token(&curl, &server, "127.0.0.2", "campus-fw", SECRET).0, 200);
    // An unknown client gets the same answer as a wrong secret.
    assert_eq!(obtain_token(&curl, &server, "127.0.0.4", "nobody", "wrong").0, 401);
    server.stop();
}

#[test]
fn failed_logins_for_different_client_ids_are_throttled_by_address() {
    let story = "failed_logins_for_different_client_ids_are_throttled_by_address";
    let Some(curl) = peer("curl") else { return skip(story, "curl is not installed") };
    let server = Server::start(Setup::new().with("[enforcement.lockout]\nthreshold = 1"));
    assert_eq!(obtain_token(&curl, &server, "127.0.0.2", "campus-fw", SECRET).0, 200);
    let mut guesses =
        (0..64).map(|n| obtain_token(&curl, &server, "127.0.0.2", &format!("fw{n}"), "wrong"));
    let (_, headers) = guesses.find(|(status, _)| *status == 429).expect("no login was throttled");
    assert!(headers.to_ascii_lowercase().contains("retry-after:"), "{headers}");
    assert_eq!(obtain_token(&curl, &server, "127.0.0.2", "campus-fw", SECRET).0, 200);
    assert_eq!(obtain_token(&curl, &server, "127.0.0.3", "branch-fw", SECRET).0, 200);
    server.stop();
}

/// Requests a token from the loopback address `from`: the status, and the response.
fn obtain_token(curl: &Path, server: &Server, from: &str, id: &str, secret: &str) -> (u16, String) {
    let authority = server.setup().authority().certificate();
    let output = Command::new(curl)
        .args(["-sS", "-i", "--max-time", "20", "--interface", from, "--cacert"])
        .arg(authority)
        .args([
            "-d",
            &format!("grant_type=client_credentials&client_id={id}&client_secret={secret}"),
        ])
        .arg(format!("{}/oauth_token/oauth", server.enforcement()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = text.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{output:?}")), text)
}

#[test]
fn a_token_is_invalid_from_another_address() {
    let story = "a_token_is_invalid_from_another_address";
    let Some(curl) = peer("curl") else { return skip(story, "curl is not installed") };
    let fixed = enforcement_point("fixed-fw", "").replace("127.0.0.0/8", "127.0.0.5");
    let server = Server::start(Setup::new().with(&fixed));
    let (status, answer) = obtain_token(&curl, &server, "127.0.0.5", "fixed-fw", SECRET);
    assert_eq!(status, 200, "{answer}");
    let body: Value = serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap();
    let token = body["access_token"].as_str().unwrap();
    let ask = |from: &str| {
        let header = format!("Authorization: Bearer {token}");
        let authority = server.setup().authority().certificate();
        let url = format!("{}/user_query/v2?begintime=0", server.enforcement());
        let output = Command::new(&curl)
            .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--interface", from, "--cacert"])
            .arg(authority)
            .args(["-H", &header, &url])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(ask("127.0.0.5"), "200");
    assert!(["401", "403"].contains(&ask("127.0.0.6").as_str()), "a stolen token is rejected");
    server.stop();
}

#[test]
fn an_xml_response_escapes_user_and_group_names() {
    let server = Server::start(
        Setup::new()
            .with(&enforcement_point("xml-fw", "[enforcement.points.dialect]\nformat = \"xml\"")),
    );
    let login =
        json!({"kind": "login", "address": "10.6.0.1", "user": "a<b>&\"c'", "groups": ["<g>"]});
    let answer = server.client("script").post_events(&login);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: Answer = server.client("xml-fw").ask(0, "?begintime=0").unwrap();
    assert!(answer.headers["content-type"].contains("xml"), "{answer:?}");
    assert!(answer.text.contains("a&lt;b&gt;&amp;"), "{answer:?}");
    assert!(!answer.text.contains("<b>") && !answer.text.contains("<g>"), "{answer:?}");
    server.stop();
}

#[test]
fn an_invalid_query_is_rejected_with_its_reason() {
    let server = Server::new();
    let mut firewall = server.client("campus-fw");
    for (query, status) in [
        ("?begintime=yesterday", 400),
        ("?begintime=0&entry_count=0", 400),
        ("/ip/10.0.0", 400),
        ("/nothing/like/this", 404),
    ] {
        let refused = match firewall.ask(0, query) {
            Err(RequestError::Refused(answer)) => answer,
            other => panic!("{query}: {other:?}"),
        };
        assert_eq!(refused.status, status, "{query}: {refused:?}");
        assert!(refused.json()["detail"].is_string(), "{query}: {refused:?}");
    }
    // An unknown request is logged, so that the queries of real firewalls can be learned.
    server.wait_for_log("GET /user_query/v2/nothing/like/this");
    let answers = |code| {
        let labels = [("listener", "enforcement"), ("code", code)];
        server.metrics().sum("rollcall_http_requests_total", &labels)
    };
    assert_eq!((answers("400"), answers("404")), (3, 1));
    assert_eq!(firewall.poll(), 0);
    server.stop();
}
